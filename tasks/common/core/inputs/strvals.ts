/** The grammars of Helm's `--set` (pkg/strvals/parser.go) and `--set-literal` (literal_parser.go), from 3.14 to 4.3. */

import { isRecord } from '../kubernetes/json';

export type Segment = string | number;

export type Scalar = string | boolean | null | bigint;

export interface Assignment {
  path: Segment[];
  /** Absent if Helm reads the key to the end of the line and assigns nothing useful. */
  value?: Scalar | Scalar[];
  /** The assignment without the comma after it, at [start, end) of the line. */
  text: string;
  start: number;
  end: number;
  /** The part of `text` before the equals sign. */
  key: string;
}

export type Range = readonly [number, number];

export interface SetGrammar {
  /** For `--set-string`: every value is text. */
  asString?: boolean;
  /** Ranges in which no character is grammar, in order and not overlapping. */
  verbatim?: readonly Range[];
}

/** `problem` is the error that Helm would give, without any text of the line. */
export type ParsedLine = { assignments: Assignment[] } | { problem: string };

const maxIndex = 65_536;
const maxNesting = 30;

class LineProblem extends Error {}

interface Token {
  text: string;
  /** The character that ended the token, if any. */
  stop: string | undefined;
}

export function parseSetLine(line: string, { asString = false, verbatim = [] }: SetGrammar = {}): ParsedLine {
  return parsed(() => [...readAssignments(new Scanner(line, verbatim), asString)]);
}

/** The value is the rest of the line. A backslash in the key escapes nothing. */
export function parseLiteralLine(line: string, verbatim: readonly Range[] = []): ParsedLine {
  return parsed(() => {
    const scanner = new Scanner(line, verbatim, false);
    const path = readPath(scanner);
    const key = line.slice(0, scanner.position - 1);
    const place = { path: path.segments, text: line, start: 0, end: line.length };
    return [path.assigns ? { ...place, key, value: line.slice(scanner.position) } : { ...place, key: line }];
  });
}

function parsed(read: () => Assignment[]): ParsedLine {
  try {
    return { assignments: read() };
  } catch (thrown) {
    if (thrown instanceof LineProblem) return { problem: thrown.message };
    throw thrown;
  }
}

function* readAssignments(scanner: Scanner, asString: boolean): Generator<Assignment> {
  const { line } = scanner;
  while (!scanner.atEnd()) {
    const start = scanner.position;
    const path = readPath(scanner);
    if (path.assigns) {
      const key = line.slice(start, scanner.position - 1);
      const { value, end } = readValue(scanner, asString);
      yield { path: path.segments, value, text: line.slice(start, end), start, end, key };
    } else {
      yield { path: path.segments, text: line.slice(start), start, end: line.length, key: line.slice(start) };
    }
  }
}

class Scanner {
  position = 0;
  private readonly verbatim: Uint8Array;

  constructor(
    readonly line: string,
    verbatim: readonly Range[],
    /** A backslash escapes the next character, and a comma ends a key or a value. */
    readonly escapes = true,
  ) {
    this.verbatim = new Uint8Array(line.length);
    for (const [start, end] of verbatim) this.verbatim.fill(1, start, end);
  }

  atEnd(): boolean {
    return this.position >= this.line.length;
  }

  /** Returns true if the next character is this one and is grammar. */
  isAt(character: string): boolean {
    return this.line[this.position] === character && !this.isVerbatim();
  }

  /** Consumes the text and the stop. */
  until(stops: string): Token {
    let text = '';
    while (!this.atEnd()) {
      const isVerbatim = this.isVerbatim();
      const character = this.take();
      if (isVerbatim) text += character;
      else if (stops.includes(character)) return { text, stop: character };
      else if (character !== '\\' || !this.escapes) text += character;
      else if (!this.atEnd()) text += this.take();
    }
    return { text, stop: undefined };
  }

  take(): string {
    const character = String.fromCodePoint(this.line.codePointAt(this.position) ?? 0);
    this.position += character.length;
    return character;
  }

  private isVerbatim(): boolean {
    return this.verbatim[this.position] === 1;
  }
}

function readPath(scanner: Scanner): { segments: Segment[]; assigns: boolean } {
  const segments: Segment[] = [];
  let nesting = 0;
  for (;;) {
    const name = scanner.until(scanner.escapes ? '=[,.' : '=[.');
    if (name.stop === undefined && name.text === '' && segments.length > 0) return { segments, assigns: false };
    if (name.stop === undefined) throw new LineProblem('a key has no value (key=value is expected)');
    if (name.stop === ',') {
      throw new LineProblem('a key has no value: a comma begins the next key=value, \\, is a comma inside a value');
    }
    segments.push(name.text);
    if (name.stop === '=') return { segments, assigns: true };
    const after = name.stop === '[' ? readIndices(scanner, segments) : '.';
    if (after === '=') return { segments, assigns: true };
    if (after === undefined) return { segments, assigns: false };
    nesting += 1;
    if (nesting > maxNesting) throw new LineProblem(`its key has more than ${maxNesting} levels`);
  }
}

/** Reads `0]`, `0][1]`, and so on. Returns `=` before a value, `.` before a name, or undefined. */
function readIndices(scanner: Scanner, segments: Segment[]): '=' | '.' | undefined {
  for (;;) {
    const index = scanner.until(']');
    if (index.stop === undefined) throw new LineProblem('an index is opened and not closed');
    if (!/^[+-]?\d+$/.test(index.text)) throw new LineProblem('an index is not a number');
    const value = Number(index.text);
    if (value < 0 || value > maxIndex) throw new LineProblem(`an index is not between 0 and ${maxIndex}`);
    segments.push(value);
    const after = scanner.until('[.=');
    if (after.text !== '')
      throw new LineProblem('an index is followed by something other than a dot, an index or a value');
    if (after.stop !== '[') return after.stop as '=' | '.' | undefined;
  }
}

function readValue(scanner: Scanner, asString: boolean): { value: Scalar | Scalar[]; end: number } {
  if (scanner.isAt('{')) return readList(scanner, asString);
  const { text, stop } = scanner.until(',');
  return { value: typed(text, asString), end: scanner.position - (stop === undefined ? 0 : 1) };
}

function readList(scanner: Scanner, asString: boolean): { value: Scalar[]; end: number } {
  scanner.take();
  const items: Scalar[] = [];
  for (;;) {
    const item = scanner.until(',}');
    if (item.stop === undefined) throw new LineProblem('a list is opened with { and not closed with }');
    items.push(typed(item.text, asString));
    if (item.stop === ',') continue;
    const end = scanner.position;
    if (scanner.isAt(',')) scanner.take();
    return { value: items, end };
  }
}

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

function typed(text: string, asString: boolean): Scalar {
  if (asString) return text;
  if (/^true$/iu.test(text)) return true;
  if (/^false$/iu.test(text)) return false;
  if (/^null$/iu.test(text)) return null;
  if (text === '0') return 0n;
  if (!/^(?:[1-9]\d*|[+-]\d+)$/.test(text)) return text;
  const integer = BigInt(text.replace(/^\+/, ''));
  return integer >= int64.min && integer <= int64.max ? integer : text;
}

/** The names from the top of the values down to a value, or to the list that contains it. */
export type ValuePath = readonly string[];

/** Helm replaces a list as a whole, so a list is a leaf. */
export function leafPaths(values: Readonly<Record<string, unknown>>, above: ValuePath = []): ValuePath[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const path = [...above, name];
    return isRecord(value) && Object.keys(value).length > 0 ? leafPaths(value, path) : [path];
  });
}
