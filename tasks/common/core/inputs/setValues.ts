import type { InputLine, Mistake } from './inputs';
import { habitOf, type SetInput } from './setHabits';
import { shortestSecret, type SecretFinder } from '../text/secrets';
import {
  parseLiteralLine,
  parseSetLine,
  type Assignment,
  type ParsedLine,
  type Scalar,
  type Segment,
  type ValuePath,
} from './strvals';

/** The values of the four set inputs. Those that hold a secret reach Helm through private files. */
export interface ValueArguments {
  /** `--set LINE` and so on, in the user's order and without secrets. */
  argv: readonly string[];
  /** The content of the last values file. */
  privateValues?: Readonly<Record<string, unknown>>;
  /** Each becomes a `--set-file` after the flags in `argv`. */
  privateTexts: readonly { key: string; text: string }[];
}

/** `files` are the paths of the files that hold the private texts. */
export function privateTextFlags({ privateTexts }: ValueArguments, files: readonly string[]): string[] {
  return privateTexts.flatMap(({ key }, index) => {
    const file = files[index];
    return file === undefined ? [] : ['--set-file', `${key}=${escapeSetValue(file)}`];
  });
}

/** Escapes a path as the value of a `--set-file` assignment. */
function escapeSetValue(text: string): string {
  return text.replace(/[\\,]/g, '\\$&').replace(/^\{/, '\\{');
}

/** Returns JSON with invisible characters escaped, for Helm's YAML reader. */
export function privateValuesText(values: Readonly<Record<string, unknown>>): string {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `${JSON.stringify(values).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, escaped)}\n`;
}

const flags = {
  set: '--set',
  setString: '--set-string',
  setFile: '--set-file',
  setLiteral: '--set-literal',
} as const satisfies Record<SetInput, string>;

interface Placed extends Assignment {
  input: SetInput;
  line: InputLine;
  isSecret: boolean;
}

export interface SetLines {
  set: readonly InputLine[];
  setString: readonly InputLine[];
  setFile: readonly InputLine[];
  setLiteral: readonly InputLine[];
}

/** Relative paths start where Helm starts. */
export interface SetFiles {
  kind(path: string): 'file' | 'folder' | 'missing' | 'unreadable';
  isAddress(reference: string): boolean;
}

/**
 * Splits the assignments into those that may be on Helm's command line and those that may not. Helm must end with the
 * same values of the same types. An assignment for which this is impossible is a mistake.
 */
export function planValues(lines: SetLines, secrets: SecretFinder, files: SetFiles): PlannedValues {
  const mistakes: Mistake[] = [];
  const warnings: string[] = [];
  // Helm applies its flags in this order, whatever their order on the command line.
  const placed = (['set', 'setString', 'setFile', 'setLiteral'] as const).flatMap((input) =>
    lines[input].flatMap((line) => placeLine({ input, line, secrets, mistakes, warnings })),
  );
  mistakes.push(...fileMistakes(placed, files));
  const privateValues = emptyObject();
  const privateTexts: { key: string; text: string }[] = [];
  for (const [at, assignment] of placed.entries()) {
    if (!assignment.isSecret) continue;
    const way = privateWay(assignment, at, placed, secrets);
    if ('problem' in way) mistakes.push(lineMistake(assignment.line, way.problem));
    else if (way.kind === 'values') assign(privateValues, way.path, way.value);
    else if (way.kind === 'text') privateTexts.push({ key: setKey(assignment.path), text: way.text });
  }
  const values: ValueArguments = {
    argv: commandLine(placed),
    privateTexts,
    ...(Object.keys(privateValues).length > 0 ? { privateValues } : {}),
  };
  return { values, mistakes, warnings, paths: placed.flatMap((assignment) => givenPath(assignment) ?? []) };
}

/** The path up to the first list, because Helm replaces a list as a whole. */
function givenPath({ path, value }: Assignment): [readonly string[]] | undefined {
  const list = path.findIndex((segment) => typeof segment === 'number');
  return value === undefined ? undefined : [(list < 0 ? path : path.slice(0, list)).map(String)];
}

interface PlannedValues {
  values: ValueArguments;
  mistakes: Mistake[];
  /** Sentences about lines that may be meant differently, without any value. */
  warnings: string[];
  paths: readonly ValuePath[];
}

interface GivenLine {
  input: SetInput;
  line: InputLine;
  secrets: SecretFinder;
  mistakes: Mistake[];
  warnings: string[];
}

function placeLine({ input, line, secrets, mistakes, warnings }: GivenLine): Placed[] {
  const parsed = parseLine(input, line);
  if ('problem' in parsed) {
    const advice = secrets.isIn(line.text) ? '; a value with commas in it is safe in setLiteral or a values file' : '';
    mistakes.push(lineMistake(line, parsed.problem + advice));
    return [];
  }
  const { refusal, warning } = habitOf(input, line, parsed.assignments);
  if (refusal !== undefined) {
    mistakes.push(lineMistake(line, refusal));
    return [];
  }
  if (warning !== undefined) warnings.push(`${lineName(line)}: ${warning}.`);
  const ranges = secrets.ranges(line.text);
  return parsed.assignments.map((assignment) => ({
    ...assignment,
    input,
    line,
    isSecret: holdsSecret(assignment, ranges, secrets),
  }));
}

function parseLine(input: SetInput, { text, verbatim = [] }: InputLine): ParsedLine {
  return input === 'setLiteral'
    ? parseLiteralLine(text, verbatim)
    : parseSetLine(text, { asString: input !== 'set', verbatim });
}

function holdsSecret(
  assignment: Assignment,
  ranges: readonly (readonly [number, number])[],
  secrets: SecretFinder,
): boolean {
  return (
    ranges.some(([start, end]) => start < assignment.end && end > assignment.start) ||
    scalars(assignment).some((scalar) => secrets.isIn(String(scalar)) && !isSmall(scalar)) ||
    assignment.path.some((segment) => typeof segment === 'string' && secrets.ranges(segment).length > 0)
  );
}

/** A secret of one or two digits is in so many texts that it counts as no secret. */
function isSmall(scalar: Scalar): boolean {
  return typeof scalar === 'bigint' && String(scalar).length < shortestSecret;
}

function scalars({ value }: Assignment): Scalar[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** Uses whole lines where no assignment is secret. */
function commandLine(placed: readonly Placed[]): string[] {
  const byLine = new Map<InputLine, Placed[]>();
  for (const assignment of placed) byLine.set(assignment.line, [...(byLine.get(assignment.line) ?? []), assignment]);
  return [...byLine.values()].flatMap((assignments) => {
    const open = assignments.filter(({ isSecret }) => !isSecret);
    if (open.length < assignments.length) return open.flatMap((each) => [flags[each.input], aloneText(each)]);
    return assignments.slice(0, 1).flatMap(({ input, line }) => [flags[input], line.text]);
  });
}

/** Helm drops an empty value of a list item at the end of a line, but not before a comma, so the comma stays. */
function aloneText({ text, end, line, value }: Placed): string {
  return value === '' && line.text[end] === ',' ? `${text},` : text;
}

type PrivateWay =
  | { kind: 'values'; path: string[]; value: unknown }
  | { kind: 'text'; text: string }
  /** A later assignment overwrites this one completely. */
  | { kind: 'none' }
  | { problem: string };

/**
 * Chooses how a secret assignment reaches Helm. A values file comes before all other values, so no other assignment may
 * touch the path, and it cannot give a single list item. `--set-file` comes after `set` and `setString`, shows its key
 * and always gives text, so no later assignment may touch the path.
 */
function privateWay(assignment: Placed, at: number, all: readonly Placed[], secrets: SecretFinder): PrivateWay {
  const { input, path, value } = assignment;
  if (input === 'setFile') return { problem: secretPathProblem };
  if (value === undefined || path.includes(''))
    return { problem: 'it holds a secret of the job in a key without a name' };
  const others = all.filter((other, index) => index !== at && overlap(touched(other), path));
  const later = others.filter((other) => all.indexOf(other) > at);
  if (later.some((other) => replaces(other, path))) return { kind: 'none' };
  const names = path.filter((segment) => typeof segment === 'string');
  const fitsFile = others.length === 0 && names.length === path.length;
  if (fitsFile && !scalars(assignment).some((scalar) => typeof scalar === 'bigint')) {
    return { kind: 'values', path: names, value };
  }
  if (typeof value === 'string' && later.length === 0 && !secrets.isIn(setKey(path)))
    return { kind: 'text', text: value };
  return { problem: whyNot(fitsFile, others.length > 0, value) };
}

function setKey(path: readonly Segment[]): string {
  const parts = path.map((segment) =>
    typeof segment === 'number' ? `[${segment}]` : `.${segment.replace(/[\\=[,.]/g, '\\$&')}`,
  );
  return parts.join('').replace(/^\./, '');
}

const secretPathProblem =
  'the path or key holds a secret of the job, and a command line can be read by every process of the machine; ' +
  'use a path without it';

const secretOnCommandLine = 'it holds a secret of the job, which must not be on a command line';

function whyNot(fitsFile: boolean, overlaps: boolean, value: Assignment['value']): string {
  if (fitsFile) {
    return (
      `${secretOnCommandLine}, and a whole number keeps its type only there (from a file it becomes a float); ` +
      'use setString if text is enough, valueFiles if a float is enough, or make the variable not secret'
    );
  }
  if (overlaps) {
    return `${secretOnCommandLine}, and other lines set the same key or one inside it; set each key once, or use valueFiles`;
  }
  const instead = typeof value === 'string' ? 'valueFiles' : 'setString if text is enough, else valueFiles';
  return `${secretOnCommandLine}, and a single item of a list can be set only there; use ${instead}`;
}

/** Returns true if one path leads to the other. A name in the place of an index touches the same value. */
function overlap(one: readonly Segment[], other: readonly Segment[]): boolean {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    if (typeof one[at] !== typeof other[at]) return true;
    if (one[at] !== other[at]) return false;
  }
  return true;
}

/** Helm drops an empty value at the end of a line if it belongs to a list item that does not exist yet. */
function dependsOnList({ input, path, value, end, line }: Placed): boolean {
  return (
    input !== 'setLiteral' &&
    value === '' &&
    end === line.text.length &&
    path.some((segment) => typeof segment === 'number')
  );
}

/** The path of everything that an assignment may change or depend on. */
function touched(assignment: Placed): Segment[] {
  const { path } = assignment;
  return dependsOnList(assignment)
    ? path.slice(
        0,
        path.findIndex((segment) => typeof segment === 'number'),
      )
    : path;
}

/** Returns true if the assignment overwrites everything at `path`. */
function replaces(assignment: Placed, path: readonly Segment[]): boolean {
  if (assignment.value === undefined || dependsOnList(assignment)) return false;
  return assignment.path.length <= path.length && assignment.path.every((segment, at) => segment === path[at]);
}

function emptyObject(): Record<string, unknown> {
  // Without a prototype, `__proto__` is an ordinary name.
  return Object.create(null) as Record<string, unknown>;
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner = (target[name] as Record<string, unknown> | undefined) ?? emptyObject();
  target[name] = inner;
  assign(inner, rest, value);
}

function fileMistakes(placed: readonly Placed[], files: SetFiles): Mistake[] {
  return placed.flatMap((assignment) => {
    if (assignment.input !== 'setFile' || assignment.isSecret) return [];
    return scalars(assignment).flatMap((path) => fileMistake(assignment.line, String(path), files));
  });
}

function fileMistake(line: InputLine, path: string, files: SetFiles): Mistake[] {
  const held = (problem: string): Mistake[] => [{ input: lineName(line), holds: path, problem }];
  if (path.trim() === '' || path.trim() === '-') return held('expected the path of a file');
  if (files.isAddress(path)) return [];
  switch (files.kind(path)) {
    case 'file':
      return [];
    case 'folder':
      return held('this is a folder, expected a file');
    case 'missing':
      return held('there is no such file; relative paths start at System.DefaultWorkingDirectory');
    case 'unreadable':
      return held('this file cannot be read by the user that the agent runs as');
  }
}

function lineMistake(line: InputLine, problem: string): Mistake {
  return { input: lineName(line), problem };
}

function lineName({ input, number }: InputLine): string {
  return `${input}, line ${number}`;
}
