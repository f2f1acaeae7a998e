import { lineContent } from './log';
import type { AgentLogLine, LineKind } from './log';

export interface PrintOptions {
  readonly colour?: boolean;
  readonly timestamps?: boolean;
}

// Terminal codes. In later Node versions styleText of node:util decides by stdout, not by the stream that is printed
// to.
const styles: Readonly<Partial<Record<LineKind, string>>> = {
  section: '1;32',
  group: '1',
  command: '34',
  warning: '33',
  error: '31',
  debug: '90',
};

// Without colours a word shows the kind of a line.
const words: Readonly<Partial<Record<LineKind, string>>> = {
  group: '▾ ',
  warning: 'Warning: ',
  error: 'Error: ',
  debug: 'Debug: ',
};

/** One line as the run page shows it. Undefined for the end of a group, which has no line of its own. */
export function renderLine(line: AgentLogLine, isInGroup: boolean, options: PrintOptions = {}): string | undefined {
  if (line.kind === 'endgroup') return undefined;
  const indent = isInGroup && line.kind !== 'group' && line.kind !== 'section' ? '  ' : '';
  const text = `${words[line.kind] ?? ''}${lineContent(line)}`;
  const style = styles[line.kind];
  const styled =
    options.colour === true && style !== undefined && text !== '' ? `\u001b[${style}m${text}\u001b[0m` : text;
  return `${options.timestamps === true ? `${line.at.toISOString()} ` : ''}${indent}${styled}`;
}

/** Prints a job while it runs. Pass it to `createAgent` as `onLine`. Colours are used if the stream is a terminal. */
export function logPrinter(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean },
  options: PrintOptions = {},
): (line: AgentLogLine) => void {
  const colour = options.colour ?? stream.isTTY === true;
  let isInGroup = false;
  return (line) => {
    if (line.kind === 'endgroup' || line.kind === 'section') isInGroup = false;
    const text = renderLine(line, isInGroup, { ...options, colour });
    if (text !== undefined) stream.write(`${text}\n`);
    if (line.kind === 'group') isInGroup = true;
  };
}
