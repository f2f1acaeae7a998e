import { TaskError } from '../failure';
import type { SecretFinder } from '../text/secrets';
import { splitSetLines, type SetLine } from './setLines';

/** What the agent gave for an input; undefined when it gave nothing (an older task.json on the server). */
export type RawInputs = (name: string) => string | undefined;

/** The file system as far as inputs are checked against it. Relative paths start at System.DefaultWorkingDirectory. */
export interface InputFiles {
  /** Absent: not Windows. */
  platform?: NodeJS.Platform;
  absolute(path: string): string;
  kind(path: string): 'file' | 'folder' | 'missing' | 'unreadable';
  /** Of what lies in a folder; none where that cannot be read. */
  names(folder: string): readonly string[];
  /** Throws when the file cannot be read. */
  readText(path: string): string;
}

export interface InputContext {
  files: InputFiles;
  secrets: SecretFinder;
  redact(text: string): string;
  /** Ids of the service connections that the agent handed to this step, without its own. */
  serviceConnections: readonly string[];
}

/** One thing that is wrong with the inputs, as a person is told it. */
export interface Mistake {
  input: string;
  /** What the input holds there, absent when it is empty or too long to help. */
  holds?: string;
  /** What is expected, or what is wrong and what to do; goes on the sentence after a semicolon. */
  problem: string;
}

/** One line of an input of many lines. */
export interface InputLine {
  input: string;
  text: string;
  /** From 1, as written. */
  number: number;
  /** As in `SetLine`; absent where nothing of the line is a secret that is to stay whole. */
  verbatim?: SetLine['verbatim'];
}

/**
 * Reads inputs and remembers every mistake. A mistaken input answers with something of the right type, so that reading
 * can go on: nothing read may be used before `finish` has returned.
 */
export interface InputReader {
  /** Trimmed; the default when empty or not given. */
  text(name: string): string;
  optionalText(name: string): string | undefined;
  boolean(name: string): boolean;
  choice<Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice;
  /** `parse` answers undefined for what it does not take. */
  parsed<Value>(name: string, expected: string, parse: (text: string) => Value | undefined, fallback: Value): Value;
  /** The lines that hold anything, trimmed. */
  lines(name: string): InputLine[];
  /** As `lines`, for assignments: a secret in them stays whole. */
  setLines(name: string): InputLine[];
  /** As `lines`, without comments: for inputs in whose words no `#` can stand. */
  entries(name: string): InputLine[];
  mistake(mistake: Mistake): void;
  /** Throws one TaskError `InputInvalid` that lists every mistake. */
  finish(): void;
}

/**
 * Azure Pipelines leaves `$(name)` as it is when the run has no such variable. One that a secret brings along is part of
 * the secret, and one that a secret ends is not quoted.
 */
function unresolvedIn(text: string, secrets: SecretFinder): Pick<Mistake, 'holds'> | undefined {
  const variables = [...text.matchAll(/\$\([^()\r\n]+\)/g)];
  const places = variables.length === 0 ? [] : secrets.occurrences(text).filter(([start, end]) => start + 1 < end);
  for (const { 0: variable, index } of variables) {
    const end = index + variable.length;
    if (places.some(([from, to]) => from <= index && index + 1 < to)) continue;
    const isWhole = places.every(([from, to]) => to <= index || from >= end || (from >= index && to <= end));
    return isWhole ? { holds: variable } : {};
  }
  return undefined;
}

/** `defaults` names every input of the task; what is not in it cannot be read. */
export function inputReader(
  defaults: Readonly<Record<string, string>>,
  raw: RawInputs,
  context: Pick<InputContext, 'redact' | 'secrets'>,
): InputReader {
  const mistakes: Mistake[] = [];
  const unresolved = new Set<string>();

  const valueOf = (name: string): string => {
    const fallback = defaults[name];
    if (fallback === undefined) throw new TaskError('Internal', `The task reads an input it does not have: ${name}.`);
    const value = raw(name) ?? '';
    return value.trim() === '' ? fallback : value;
  };

  const untrimmed = (name: string): string => {
    const value = valueOf(name);
    const variable = unresolvedIn(value, context.secrets);
    if (variable === undefined) return value;
    if (!unresolved.has(name)) {
      mistakes.push({ input: name, ...variable, problem: unresolvedProblem });
      unresolved.add(name);
    }
    return '';
  };

  const text = (name: string): string => untrimmed(name).trim();

  const parsed: InputReader['parsed'] = (name, expected, parse, fallback) => {
    const value = text(name);
    if (unresolved.has(name)) return fallback;
    const result = parse(value);
    if (result !== undefined) return result;
    mistakes.push({ input: name, holds: value, problem: `expected ${expected}` });
    return fallback;
  };

  return {
    text,
    parsed,
    optionalText: (name) => text(name) || undefined,
    boolean: (name) => parsed(name, 'true or false', parseBoolean, false),
    choice: (name, choices) =>
      parsed(
        name,
        choices.join(' or '),
        (value) => choices.find((choice) => choice.toLowerCase() === value.toLowerCase()),
        choices[0],
      ),
    setLines: (name) => splitSetLines(untrimmed(name), context.secrets).map((line) => ({ input: name, ...line })),
    lines: (name) => splitInputLines(text(name)).map(({ line, number }) => ({ input: name, text: line, number })),
    entries: (name) =>
      splitInputLines(withoutComments(text(name))).map(({ line, number }) => ({ input: name, text: line, number })),
    mistake: (mistake) => mistakes.push(mistake),
    finish: () => {
      if (mistakes.length === 0) return;
      const redacted = (held: string): string => {
        const masked = context.redact(held);
        // a secret too short to be looked for inside other text is still one when it is all there is
        return masked === held && context.secrets.isIn(held) ? '***' : masked;
      };
      throw mistakesError(mistakes, redacted);
    },
  };
}

/** `redact` is for what the inputs hold; without it secrets must not be in there. */
export function mistakesError(
  mistakes: readonly Mistake[],
  redact: (text: string) => string = (text) => text,
): TaskError {
  const message = describeMistakes(mistakes, redact);
  return new TaskError('InputInvalid', message, { facts: { inputs: inputNames(mistakes) } });
}

const unresolvedProblem =
  'the run has no such variable (check its spelling, its scope, and that its group is linked to this stage); ' +
  'where this very text is meant, put it into a values file';

function parseBoolean(text: string): boolean | undefined {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  return undefined;
}

/**
 * Lines are trimmed as the agent trims the whole input and a shell trims a word; a blank that a backslash keeps is kept.
 */
function splitInputLines(text: string): { line: string; number: number }[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ line: trimLine(line), number: index + 1 }))
    .filter(({ line }) => line !== '');
}

/** From a `#` that begins a word to the end of its line, as in YAML; the lines keep their numbers. */
export function withoutComments(text: string): string {
  return text.replace(/(?<![^\s])#[^\r\n]*/g, '');
}

function trimLine(line: string): string {
  const trimmed = line.trim();
  const backslashes = /(?<!\\)\\*$/.exec(trimmed)?.[0].length ?? 0;
  return backslashes % 2 === 1 && line.trimStart().length > trimmed.length ? `${trimmed} ` : trimmed;
}

function inputNames(mistakes: readonly Mistake[]): string {
  return [...new Set(mistakes.map(({ input }) => input))].join(', ');
}

/** Longer values are cut where they are shown in a message. Characters. */
const heldLimit = 120;

function describeMistakes(mistakes: readonly Mistake[], redact: (text: string) => string): string {
  const sentences = mistakes.map((mistake) => describeMistake(mistake, redact));
  const [first] = sentences;
  if (sentences.length === 1 && first !== undefined) return `Input ${first} Nothing was changed.`;
  return `${mistakes.length} mistakes in the inputs; nothing was changed.\n${sentences.map((each) => `- ${each}`).join('\n')}`;
}

function describeMistake({ input, holds, problem }: Mistake, redact: (text: string) => string): string {
  if (holds === undefined) return `${input}: ${problem}.`;
  if (holds === '') return `${input} is empty; ${problem}.`;
  const shown = redact(holds);
  const cut = shown.length > heldLimit ? `${shown.slice(0, heldLimit)}...` : shown;
  return `${input} holds "${cut}"; ${problem}.`;
}
