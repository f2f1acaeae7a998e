import { Lexer } from 'yaml';

/** No chart comes near this depth, at which the recursive parser does not yet fill the stack. */
export const deepest = 400;

export function isNestedTooDeep(text: string): boolean {
  return blockDepth(text) > deepest || ((text.match(/[[{]/g)?.length ?? 0) > deepest && flowDepth(text) > deepest);
}

/** Returns an upper bound: a line with more indentation than the line before may be nested in it. */
function blockDepth(text: string): number {
  const open: { indent: number; depth: number }[] = [];
  let most = 0;
  for (const { 0: line } of text.matchAll(/^(?:[ \t]|[?-](?=\s|$))*/gm)) {
    const indent = line.search(/[^ ]|$/);
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop();
    const depth = (open.at(-1)?.depth ?? 0) + 1 + line.replace(/[ \t]+/g, '').length;
    open.push({ indent, depth });
    most = Math.max(most, depth);
  }
  return most;
}

function flowDepth(text: string): number {
  let depth = 0;
  let most = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '{' || token === '[') most = Math.max(most, ++depth);
    if (token === '}' || token === ']') depth -= 1;
  }
  return most;
}
