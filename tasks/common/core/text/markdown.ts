import { neutralise, splitLines } from './foreignText';

/** Joins the parts that are not empty to a page. */
export function markdownPage(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n') + '\n';
}

export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (values: readonly string[]): string =>
    `|${values.map((value) => ` ${cell(value)} `.replace(/^ +$/, ' ')).join('|')}|`;
  return [line(heads), `|${heads.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

/** Names and values. A row without a value is left out. */
export function factTable(rows: readonly (readonly [string, string])[]): string {
  return markdownTable(
    ['', ''],
    rows.filter(([, value]) => value !== ''),
  );
}

export function foldedSection(title: string, number: number, body: string): string {
  if (number === 0) return '';
  return `<details>\n<summary>${title} (${number})</summary>\n\n${body}\n\n</details>`;
}

/** Escapes text for one line of Markdown. An underscore inside a word stays, so that names remain searchable. */
export function cell(text: string): string {
  return neutralise(splitLines(text).join(' '))
    .trim()
    .replace(/[\\`*~|<>[\]&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, (mark) => `\\${mark}`)
    .replace(/^(?=[#+=-])/, '\\')
    .replace(/^(\d+)(?=[.)](?:\s|$))/, '$1\\')
    .replace(/:(?=\/\/)|(?<=www)\./gi, (mark) => `\\${mark}`);
}

/** A pod may log a megabyte in one line. Unit: characters. */
const codeLineLimit = 1000;

export function codeBlock(lines: readonly string[]): string {
  const shown = lines.flatMap(splitLines).map((line) => {
    const text = neutralise(line);
    return text.length > codeLineLimit ? `${text.slice(0, codeLineLimit).replace(/[\ud800-\udbff]$/, '')} ...` : text;
  });
  const ticks = shown.flatMap((line) => line.match(/`+/g) ?? []);
  const longest = ticks.reduce((most, { length }) => Math.max(most, length), 2);
  const fence = '`'.repeat(longest + 1);
  return [fence, ...shown, fence].join('\n');
}
