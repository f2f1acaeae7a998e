/**
 * The grammar of Helm's `--set` (pkg/strvals/parser.go, the same from 3.14 to 4.2), as far as it says what a line
 * assigns. Text stays text: nothing is assigned here.
 */

/** A name, or an index into a list. */
export type Segment = string | number;

export type Scalar = string | boolean | null | bigint;

export interface Assignment {
  path: Segment[];
  /** Absent where Helm reads a key to the end of the line and assigns nothing, or nothing of use. */
  value?: Scalar | Scalar[];
  /** The assignment as it is written, without the comma after it; its place in the line is [start, end). */
  text: string;
  start: number;
  end: number;
  /** `text` up to the value, without the equals sign. */
  key: string;
}

/** `problem` is what Helm would say of the line, without anything that stands in it. */
export type ParsedLine = { assignments: Assignment[] } | { problem: string };

const maxIndex = 65_536;
const maxNesting = 30;

class LineProblem extends Error {}

interface Token {
  text: string;
  /** The character that ended it; undefined at the end of the line. */
  stop: string | undefined;
}

/** `asString` is `--set-string`: no value is anything but text. */
export function parseSetLine(line: string, asString: boolean): ParsedLine {
  try {
    return { assignments: [...readAssignments(line, asString)] };
  } catch (thrown) {
    if (thrown instanceof LineProblem) return { problem: thrown.message };
    throw thrown;
  }
}

function* readAssignments(line: string, asString: boolean): Generator<Assignment> {
  const scanner = new Scanner(line);
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
  constructor(private readonly line: string) {}

  atEnd(): boolean {
    return this.position >= this.line.length;
  }

  peek(): string | undefined {
    return this.line[this.position];
  }

  /** Up to one of `stops`, which is consumed; a backslash makes the next character ordinary. */
  until(stops: string): Token {
    let text = '';
    while (!this.atEnd()) {
      const character = this.take();
      if (stops.includes(character)) return { text, stop: character };
      if (character !== '\\') text += character;
      else if (!this.atEnd()) text += this.take();
    }
    return { text, stop: undefined };
  }

  take(): string {
    const character = String.fromCodePoint(this.line.codePointAt(this.position) ?? 0);
    this.position += character.length;
    return character;
  }
}

function readPath(scanner: Scanner): { segments: Segment[]; assigns: boolean } {
  const segments: Segment[] = [];
  let nesting = 0;
  for (;;) {
    const name = scanner.until('=[,.');
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

/** Reads `0]`, `0][1]`, ...; answers what comes after: a value, a name, or nothing. */
function readIndices(scanner: Scanner, segments: Segment[]): '=' | '.' | undefined {
  for (;;) {
    const index = scanner.until(']');
    if (index.stop === undefined) throw new LineProblem('an index is opened and not closed');
    if (!/^[+-]?\d+$/.test(index.text)) throw new LineProblem('an index is no number');
    const value = Number(index.text);
    if (value < 0 || value > maxIndex) throw new LineProblem(`an index is not between 0 and ${maxIndex}`);
    segments.push(value);
    const after = scanner.until('[.=');
    if (after.text !== '') throw new LineProblem('there is something after an index that is no dot, index or value');
    if (after.stop !== '[') return after.stop as '=' | '.' | undefined;
  }
}

function readValue(scanner: Scanner, asString: boolean): { value: Scalar | Scalar[]; end: number } {
  if (scanner.peek() === '{') return readList(scanner, asString);
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
    if (scanner.peek() === ',') scanner.take();
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
