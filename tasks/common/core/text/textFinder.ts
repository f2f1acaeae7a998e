/** [start, end) in a text. */
export type Range = readonly [number, number];

/** Finds many texts, long ones too, in one pass over another text. */
export interface TextFinder {
  /** Where the texts stand as a whole; merged where they overlap or touch, in order. */
  ranges(text: string): Range[];
  /** As `ranges`, and also where the text was cut within one of them, see `shortestPart`. */
  rangesWithParts(text: string): Range[];
}

/** Texts that are shorter cannot be looked for. Characters. */
export const shortestFound = 3;

/**
 * This much of the beginning of a text counts as the text where the searched one ends or was cut, and so does this much
 * of its end where the searched one begins or goes on after a cut. Characters.
 */
export const shortestPart = 16;

/** What was cut at both ends has to be longer: a few words of a configuration file are no secret. Characters. */
const shortestMiddle = 64;

/**
 * Where something was left out: `...` and `…`, with a space or without; the beginning and the end, with their white space;
 * and what a reader makes of a character of which only some bytes are left.
 */
const cutMark = /^\s+|(?<!\s)\s+$|\s?\[?(?:\.{3}|\u2026)\s?|\ufffd+/g;

const hashSize = 65_536;

function hashAt(text: string, at: number): number {
  return (text.charCodeAt(at) * 961 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2)) & (hashSize - 1);
}

/** Texts by some characters of theirs. Few places of another text have the hash of one, so few are looked at twice. */
interface Index {
  hashes: Uint8Array;
  texts: Map<string, string[]>;
}

/** `keyOf`: the characters to find a text by. The longest text comes first, since it covers the others. */
function indexed(texts: readonly string[], keyOf: (text: string) => string): Index {
  const index: Index = { hashes: new Uint8Array(hashSize), texts: new Map() };
  for (const text of [...texts].sort((one, other) => other.length - one.length)) {
    const key = keyOf(text);
    index.hashes[hashAt(key, 0)] = 1;
    const known = index.texts.get(key);
    if (known === undefined) index.texts.set(key, [text]);
    else known.push(text);
  }
  return index;
}

/** The texts whose key stands at that place. */
function textsAt(text: string, at: number, keyLength: number, { hashes, texts }: Index): readonly string[] {
  if (hashes[hashAt(text, at)] !== 1) return [];
  return texts.get(text.slice(at, at + keyLength)) ?? [];
}

/** Texts of fewer than `shortestFound` characters are left out. */
export function textFinder(wanted: readonly string[]): TextFinder {
  const texts = [...new Set(wanted)].filter((text) => text.length >= shortestFound);
  const long = texts.filter((text) => text.length > shortestPart);
  const whole = indexed(texts, (text) => text.slice(0, shortestFound));
  const heads = indexed(long, (text) => text.slice(0, shortestPart));
  const tails = indexed(long, (text) => text.slice(-shortestPart));
  const middles = long.filter((text) => text.length > shortestMiddle).join('\n\0');
  return {
    ranges: (text) => merged(wholes(text, whole)),
    rangesWithParts: (text) => {
      const found = wholes(text, whole);
      return merged(long.length > 0 ? found.concat(parts(text, heads, tails, middles)) : found);
    },
  };
}

function wholes(text: string, index: Index): Range[] {
  const found: Range[] = [];
  let covered = 0;
  for (let at = 0; at <= text.length - shortestFound; at++) {
    for (const wanted of textsAt(text, at, shortestFound, index)) {
      if (at + wanted.length <= covered) break;
      if (!text.startsWith(wanted, at)) continue;
      covered = at + wanted.length;
      found.push([at, covered]);
      break;
    }
  }
  return found;
}

function parts(text: string, heads: Index, tails: Index, middles: string): Range[] {
  const cuts = [...text.matchAll(cutMark)].map(({ 0: { length }, index }): Range => [index, index + length]);
  const ends = [...cuts.map(([start]) => start), text.length];
  const starts = [0, ...cuts.map(([, end]) => end)];
  return [...headsOf(text, heads, ends), ...tailsOf(text, tails, starts), ...middleOf(text, middles, starts, ends)];
}

/** Beginnings of the texts that reach up to an end; the longest at each place. */
function headsOf(text: string, index: Index, ends: readonly number[]): Range[] {
  const found: Range[] = [];
  for (let at = 0; at <= text.length - shortestPart; at++) {
    for (const wanted of textsAt(text, at, shortestPart, index)) {
      const end = lastUpTo(ends, at + sharedFrom(text, at, wanted));
      if (end !== undefined && end - at >= shortestPart) found.push([at, end]);
    }
  }
  return found;
}

/** Ends of the texts that begin at a start; the longest at each place. */
function tailsOf(text: string, index: Index, starts: readonly number[]): Range[] {
  const found: Range[] = [];
  for (let end = shortestPart; end <= text.length; end++) {
    for (const wanted of textsAt(text, end - shortestPart, shortestPart, index)) {
      const start = firstFrom(starts, end - sharedUpTo(text, end, wanted));
      if (start !== undefined && end - start >= shortestPart) found.push([start, end]);
    }
  }
  return found;
}

/** The longest stretch between cuts, where it is all of one text. */
function middleOf(text: string, middles: string, starts: readonly number[], ends: readonly number[]): Range[] {
  const stretches = starts.map((start, index): Range => [start, ends[index] ?? text.length]);
  const [start, end] = stretches.reduce((one, other) => (other[1] - other[0] > one[1] - one[0] ? other : one));
  return end - start >= shortestMiddle && middles.includes(text.slice(start, end)) ? [[start, end]] : [];
}

function sharedFrom(text: string, at: number, wanted: string): number {
  let shared = shortestPart;
  while (shared < wanted.length && text.charCodeAt(at + shared) === wanted.charCodeAt(shared)) shared++;
  return shared;
}

function sharedUpTo(text: string, end: number, wanted: string): number {
  let shared = shortestPart;
  const last = wanted.length - 1;
  while (shared <= last && text.charCodeAt(end - 1 - shared) === wanted.charCodeAt(last - shared)) shared++;
  return shared;
}

/** The last of the ascending numbers that is not above `limit`. */
function lastUpTo(numbers: readonly number[], limit: number): number | undefined {
  return numbers[countBelow(numbers, limit + 1) - 1];
}

/** The first of the ascending numbers that is not below `limit`. */
function firstFrom(numbers: readonly number[], limit: number): number | undefined {
  return numbers[countBelow(numbers, limit)];
}

function countBelow(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merged(found: readonly Range[]): Range[] {
  const inOrder: [number, number][] = [...found].sort((a, b) => a[0] - b[0]).map(([start, end]) => [start, end]);
  const ranges: [number, number][] = [];
  for (const range of inOrder) {
    const last = ranges.at(-1);
    if (last === undefined || range[0] > last[1]) ranges.push(range);
    else last[1] = Math.max(last[1], range[1]);
  }
  return ranges;
}
