import { structuredPatch } from 'diff';
import { stringify } from 'yaml';

/** Lines of one object's diff that a plan keeps. */
const lineLimit = 300;

/** Characters of one line. */
const widthLimit = 500;

/** Lines that differ beyond which it is not looked for which of them are the same: that would take seconds. */
const editLimit = 2000;

export interface TextDiff {
  /** Of a unified diff, without file names. Empty when both are the same. */
  lines: readonly string[];
  /** Lines that were left out because there are so many. */
  cut: number;
}

/** The difference of two objects as YAML, fields in the order of their names. */
export function textDiff(before: unknown, after: unknown): TextDiff {
  const [was, is] = [yamlOf(before), yamlOf(after)];
  const patch = structuredPatch('', '', was, is, undefined, undefined, { context: 3, maxEditLength: editLimit });
  if (patch === undefined) return wholeDiff(was.split('\n'), is.split('\n'));
  const lines = patch.hunks.flatMap((hunk) => [
    `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`,
    ...hunk.lines.filter((line) => !line.startsWith('\\')),
  ]);
  return { lines: lines.slice(0, lineLimit), cut: Math.max(0, lines.length - lineLimit) };
}

/** All that lies between the first and the last line that differ, as replaced. */
function wholeDiff(before: readonly string[], after: readonly string[]): TextDiff {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const [gone, come] = [before, after].map((lines) => lines.slice(start, lines.length - end));
  const head = `@@ -${start + 1},${gone?.length ?? 0} +${start + 1},${come?.length ?? 0} @@`;
  const half = (lines: readonly string[] | undefined, sign: string): string[] =>
    (lines ?? []).slice(0, lineLimit / 2 - 1).map((line) => `${sign}${line}`);
  const lines = [head, ...half(gone, '-'), ...half(come, '+')];
  return { lines, cut: (gone?.length ?? 0) + (come?.length ?? 0) + 1 - lines.length };
}

function yamlOf(value: unknown): string {
  return value === undefined
    ? ''
    : stringify(value, { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false });
}

/** One line, cut where it is too long to be read; to be done after secrets are taken out, since half of one matches nothing. */
export function narrow(line: string): string {
  if (line.length <= widthLimit) return line;
  return `${line.slice(0, widthLimit).replace(/[\ud800-\udbff]$/, '')} ... (${line.length - widthLimit} more)`;
}
