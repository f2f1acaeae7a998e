/** A range [start, end) of a text. */
export type Range = readonly [number, number];

/** Finds many texts, also long ones, in one pass over another text. */
interface TextFinder {
  /** Returns the ranges of whole texts, in order. Ranges that overlap or touch are merged. */
  ranges(text: string): Range[];
  /** Works as `ranges` and also finds a part of a text at a place where the searched text was cut. */
  rangesWithParts(text: string): Range[];
}

const shortestFound = 3;

/** The length from which the head or the tail of a text counts as the text, where the searched text was cut. */
const shortestPart = 16;

/** The length from which a part that was cut at both ends counts. A few words of a file are not a secret. */
const shortestMiddle = 64;

/** Places where text was left out. A decoder writes U+FFFD if only some bytes of a character are left. */
const cutMark = /^\s+|(?<!\s)\s+$|\s?\[?(?:\.{3}|\u2026)\s?|\ufffd+/g;

const hashSize = 65_536;

function hashAt(text: string, at: number): number {
  return (text.charCodeAt(at) * 961 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2)) & (hashSize - 1);
}

/** Texts by a few of their characters (the key). The hashes spare most positions the lookup in the map. */
interface Index {
  hashes: Uint8Array;
  texts: Map<string, string[]>;
}

/** Longer texts come first, because they cover shorter ones. */
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

function textsAt(text: string, at: number, keyLength: number, { hashes, texts }: Index): readonly string[] {
  if (hashes[hashAt(text, at)] !== 1) return [];
  return texts.get(text.slice(at, at + keyLength)) ?? [];
}

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

/** Finds the longest heads of the texts that reach up to an end. */
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

/** Finds the longest tails of the texts that begin at a start. */
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

/** Returns the longest stretch between two cuts, if one of the texts contains the whole stretch. */
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

/** Returns the last of the ascending numbers that is not above `limit`. */
function lastUpTo(numbers: readonly number[], limit: number): number | undefined {
  return numbers[countBelow(numbers, limit + 1) - 1];
}

/** Returns the first of the ascending numbers that is not below `limit`. */
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
