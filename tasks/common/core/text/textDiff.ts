import { structuredPatch } from 'diff';
import { stringify } from 'yaml';

const lineLimit = 300;

const widthLimit = 500;

/** With more differing lines, the search for common lines would take seconds. */
const editLimit = 2000;

export interface TextDiff {
  /** The lines of a unified diff, without file names. */
  lines: readonly string[];
  /** The number of lines that were left out because the diff is too long. */
  cut: number;
}

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

/** Cuts a line that is too long to read. Redact secrets first, because a cut secret is not found. */
export function narrow(line: string): string {
  if (line.length <= widthLimit) return line;
  return `${line.slice(0, widthLimit).replace(/[\ud800-\udbff]$/, '')} ... (${line.length - widthLimit} more)`;
}
