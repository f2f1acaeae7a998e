import { structuredPatch } from 'diff';
import { stringify } from 'yaml';

/** Lines of one object's diff that a plan keeps. */
const lineLimit = 300;

/** Characters of one line. */
const widthLimit = 500;

/** Lines that differ beyond which no diff is looked for: it would take seconds and nobody would read it. */
const editLimit = 2000;

export interface TextDiff {
  /** Of a unified diff, without file names. Empty when both are the same. */
  lines: readonly string[];
  /** Lines that were left out because there are so many. */
  cut: number;
}

/** The difference of two objects as YAML, fields in the order of their names. */
export function textDiff(before: unknown, after: unknown): TextDiff {
  const patch = structuredPatch('', '', yamlOf(before), yamlOf(after), undefined, undefined, {
    context: 3,
    maxEditLength: editLimit,
  });
  if (patch === undefined) return { lines: ['(the two differ nearly everywhere)'], cut: 0 };
  const lines = patch.hunks.flatMap((hunk) => [
    `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`,
    ...hunk.lines.filter((line) => !line.startsWith('\\')),
  ]);
  return { lines: lines.slice(0, lineLimit), cut: Math.max(0, lines.length - lineLimit) };
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
