import { shortestSecret, type SecretFinder } from '../text/secrets';
import type { Range } from './strvals';

export interface SetLine {
  text: string;
  /** Counts from 1. An assignment over several lines has the number of the first. */
  number: number;
  /** The ranges of secrets in `text`, in order and not overlapping. No character in them is grammar. */
  verbatim: readonly Range[];
}

/**
 * Splits assignments into lines. An inserted secret stays whole: its line breaks end no line, and nothing in it is
 * grammar. A secret that fills whole lines may hold assignments itself, so it is treated as plain lines.
 */
export function splitSetLines(text: string, secrets: SecretFinder): SetLine[] {
  const verbatim = merged(secrets.occurrences(text).filter((range) => isPartOfLine(range, text)));
  const lines: SetLine[] = [];
  let number = 1;
  for (const [start, end] of lineRanges(text, verbatim)) {
    const [from, to] = trimmed(text, [start, end], verbatim);
    if (from < to) lines.push({ text: text.slice(from, to), number, verbatim: within(verbatim, from, to) });
    number += (text.slice(start, end).match(/\r\n|\r|\n/g)?.length ?? 0) + 1;
  }
  return lines;
}

function isPartOfLine([start, end]: Range, text: string): boolean {
  const beginsLine = isLineBreak(text[beforeBlanks(text, start) - 1]);
  const endsLine = isLineBreak(text[afterBlanks(text, end)]);
  const isWholeValue = text[start - 1] === '=' && (endsLine || text[end] === ',');
  const secret = text.slice(start, end);
  // A short secret counts if it is the whole value.
  if (secret.trim().length < shortestSecret) return isWholeValue;
  // This secret is also found without its final line break, and that one is kept whole.
  if (/[\r\n]$/.test(secret) && !endsLine && text[end] !== ',') return false;
  return !(beginsLine && endsLine);
}

/** The start and the end of the text count as line breaks. */
function isLineBreak(character: string | undefined): boolean {
  return character === undefined || character === '\r' || character === '\n';
}

function isBlank(character: string | undefined): boolean {
  return !isLineBreak(character) && /\s/.test(character ?? '');
}

function afterBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text[at])) at += 1;
  return at;
}

function beforeBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text[at - 1])) at -= 1;
  return at;
}

function merged(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const all: [number, number][] = [];
  for (const [start, end] of sorted) {
    const last = all.at(-1);
    if (last === undefined || start >= last[1]) all.push([start, end]);
    else last[1] = Math.max(last[1], end);
  }
  return all;
}

/** The ranges of the lines, without their line breaks. */
function lineRanges(text: string, verbatim: readonly Range[]): Range[] {
  const breaksAt = (at: number, character: string): boolean => text[at] === character && !isInside(verbatim, at);
  const ranges: Range[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (!breaksAt(at, '\r') && !breaksAt(at, '\n')) continue;
    ranges.push([start, at]);
    if (breaksAt(at, '\r') && breaksAt(at + 1, '\n')) at += 1;
    start = at + 1;
  }
  return [...ranges, [start, text.length]];
}

function isInside(ranges: readonly Range[], at: number): boolean {
  return ranges.some(([start, end]) => start <= at && at < end);
}

/** Lines are trimmed as a shell trims a word. A blank after a backslash is kept. */
function trimmed(text: string, [start, end]: Range, verbatim: readonly Range[]): Range {
  let from = start;
  let to = end;
  while (from < to && /\s/.test(text.charAt(from)) && !isInside(verbatim, from)) from += 1;
  while (to > from && /\s/.test(text.charAt(to - 1)) && !isInside(verbatim, to - 1)) to -= 1;
  let backslashes = 0;
  while (text[to - 1 - backslashes] === '\\' && !isInside(verbatim, to - 1 - backslashes)) backslashes += 1;
  return [from, to < end && backslashes % 2 === 1 ? to + 1 : to];
}

function within(ranges: readonly Range[], from: number, to: number): Range[] {
  return ranges.filter(([start, end]) => start < to && end > from).map(([start, end]) => [start - from, end - from]);
}
