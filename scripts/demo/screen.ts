import type { AgentLogLine } from '../../test/support/agent';
import { renderLine } from '../../test/support/agent';

/** Prints for the person who runs the demo. */
export interface Screen {
  /** Starts a new part. */
  part(title: string): void;
  say(text: string): void;
  /** Prints output of a program, in a less prominent style. */
  aside(text: string): void;
  /** Prints text without reformatting, such as YAML or a table. */
  block(text: string): void;
  check(isTrue: boolean, text: string): void;
  /** Returns a function that prints the lines of a job as the run page shows a step's log. */
  logPrinter(): (line: AgentLogLine) => void;
}

const width = 100;
const indent = '    ';

export function createScreen(write: (text: string) => void, colour: boolean, parts: number): Screen {
  const styled = (style: string, text: string): string => (colour ? `\u001b[${style}m${text}\u001b[0m` : text);
  const line = (text: string): void => {
    write(`${text}\n`);
  };
  const paragraph = (text: string, style?: string): void => {
    for (const each of wrapped(text, width - indent.length)) {
      line(`${indent}${style === undefined ? each : styled(style, each)}`);
    }
  };
  let part = 0;
  let isFresh = true;
  const gap = (): void => {
    if (!isFresh) write('\n');
    isFresh = false;
  };
  return {
    part: (title) => {
      part += 1;
      line('');
      line(styled('1;36', `${part}/${parts} ${title}`));
      line('');
      isFresh = true;
    },
    say: (text) => {
      gap();
      paragraph(text);
    },
    aside: (text) => {
      isFresh = false;
      paragraph(text, '90');
    },
    block: (text) => {
      gap();
      for (const each of text.trimEnd().split('\n')) line(`${indent}${each.trimEnd()}`);
    },
    check: (isTrue, text) => {
      line(`${indent}${isTrue ? styled('32', '✔') : styled('31', '✘')} ${isTrue ? text : styled('31', text)}`);
    },
    logPrinter: () => {
      const gutter = `${indent}${styled('90', '│')} `;
      let isInGroup = false;
      gap();
      return (logged) => {
        if (logged.stage !== 'main') return;
        if (logged.kind === 'endgroup' || logged.kind === 'section') isInGroup = false;
        const text = renderLine(logged, isInGroup, { colour });
        if (text !== undefined) line(`${gutter}${text}`.trimEnd());
        if (logged.kind === 'group') isInGroup = true;
      };
    },
  };
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
