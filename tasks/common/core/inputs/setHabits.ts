import type { InputLine } from './inputs';
import type { Assignment } from './strvals';

/** The inputs whose lines are assignments in the grammar of Helm's --set flags. */
export type SetInput = 'set' | 'setString' | 'setFile' | 'setLiteral';

/**
 * A habit from a shell or from HelmDeploy that works differently with Helm. A `refusal` cannot be intended, a `warning`
 * may be. The texts never quote the line.
 */
interface Habit {
  refusal?: string;
  warning?: string;
}

export function habitOf(input: SetInput, line: InputLine, assignments: readonly Assignment[]): Habit {
  const shape = shapeOf(line);
  const keys = assignments.map(({ start, key }) => shape.slice(start, start + key.length));
  const values = assignments.map(({ start, key, end }) => shape.slice(start + key.length + 1, end));
  const refusal = lineRefusal(input, shape) ?? keyRefusal(keys);
  if (refusal !== undefined) return { refusal };
  if (input === 'setLiteral') return {};
  const dropped = escapeRefusal(input, shape) ?? quoteRefusal(values);
  if (dropped !== undefined) return { refusal: dropped };
  return input === 'setFile' ? {} : valueWarning(values);
}

/** Replaces each character of a secret by a letter, because habits are not searched inside secrets. */
function shapeOf({ text, verbatim = [] }: InputLine): string {
  let shape = text;
  for (const [start, end] of verbatim)
    shape = shape.slice(0, start) + secretLetter.repeat(end - start) + shape.slice(end);
  return shape;
}

const secretLetter = '\ue000';

function lineRefusal(input: SetInput, shape: string): string | undefined {
  if (/^(?:--[a-z]|-[a-z]\s)/i.test(shape)) {
    return 'it begins with a flag; write key=value alone, and put flags into arguments';
  }
  if (input !== 'setLiteral' && /\s--set(?:-[a-z]+)?[\s=]/.test(shape)) {
    return 'it contains a second --set; write each key=value on a line of its own';
  }
  return undefined;
}

function keyRefusal(keys: readonly string[]): string | undefined {
  if (keys.some((key) => /(?:^|\.)["']/.test(key))) {
    return (
      'a key begins with a quote, and no shell removes quotes here; leave them out ' +
      '(a dot inside a name is \\., which setLiteral does not support)'
    );
  }
  if (keys.some((key) => /^\s|\s$/.test(key))) {
    return 'a key begins or ends with a blank, which would be part of its name; leave the blank out';
  }
  return undefined;
}

function escapeRefusal(input: SetInput, shape: string): string | undefined {
  const isDropped = [...shape.matchAll(/\\(.)/gs)].some(([, escaped = '']) => /[a-z0-9]/i.test(escaped));
  if (!isDropped) return undefined;
  const instead = input === 'setFile' ? 'write / or two of them' : 'write two of them, or use setLiteral';
  return `Helm drops a backslash before a letter or digit; ${instead}`;
}

/** Finds quotes that were meant to protect a comma: Helm begins the next key at the comma anyway. */
function quoteRefusal(values: readonly string[]): string | undefined {
  const isCut = values.some((value, at) => {
    const quote = /^["']/.exec(value)?.[0];
    if (quote === undefined || isQuoted(value)) return false;
    return values.slice(at + 1).some((later) => later.endsWith(quote));
  });
  return isCut
    ? 'quotes do not protect a comma, which begins the next key=value; write \\, for it, or use setLiteral'
    : undefined;
}

function isQuoted(value: string): boolean {
  return /^(["']).*\1$/s.test(value);
}

function valueWarning(values: readonly string[]): Habit {
  if (values.some((value) => isQuoted(value) || /^\{\s*(["'])[^,}]*\1\s*[,}]/.test(value))) {
    const meant = 'leave them out, or use setLiteral if you mean them';
    return { warning: `the quotes around a value are part of it, because no shell removes them; ${meant}` };
  }
  if (values.some((value) => /^\s/.test(value))) {
    const meant = 'leave it out, or use setLiteral if you mean it';
    return { warning: `the blank before a value is part of it, and makes it a text; ${meant}` };
  }
  return {};
}
