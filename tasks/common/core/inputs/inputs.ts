import { TaskError } from '../failure';
import type { SecretFinder } from '../text/secrets';
import { splitSetLines, type SetLine } from './setLines';

/** Returns undefined for an input that the agent does not know (an older task.json on the server). */
export type RawInputs = (name: string) => string | undefined;

/** The files against which inputs are checked. Relative paths start at System.DefaultWorkingDirectory. */
export interface InputFiles {
  /** Absent: not Windows. */
  platform?: NodeJS.Platform;
  absolute(path: string): string;
  kind(path: string): 'file' | 'folder' | 'missing' | 'unreadable';
  /** Empty if the folder cannot be read. */
  names(folder: string): readonly string[];
  /** Throws if the file cannot be read. */
  readText(path: string): string;
}

export interface InputContext {
  files: InputFiles;
  secrets: SecretFinder;
  redact(text: string): string;
  /** Ids of the service connections of this step. */
  serviceConnections: readonly string[];
}

export interface Mistake {
  input: string;
  /** The text that the input holds; absent if it would not help. */
  holds?: string;
  /** The expected value, or the mistake and its correction. The message appends this text after a semicolon. */
  problem: string;
}

export interface InputLine {
  input: string;
  text: string;
  /** Counts from 1. */
  number: number;
  /** As in `SetLine`. */
  verbatim?: SetLine['verbatim'];
}

/** Reads inputs and collects every mistake. Use nothing that was read before `finish` has returned. */
export interface InputReader {
  /** The trimmed text, or the default of an empty input. */
  text(name: string): string;
  optionalText(name: string): string | undefined;
  boolean(name: string): boolean;
  choice<Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice;
  /** `parse` returns undefined for a text that it does not accept. */
  parsed<Value>(name: string, expected: string, parse: (text: string) => Value | undefined, fallback: Value): Value;
  /** The trimmed lines that are not empty. */
  lines(name: string): InputLine[];
  /** Like `lines`, for assignments: a secret in a line stays whole. */
  setLines(name: string): InputLine[];
  /** Like `lines`, without comments: for inputs whose words cannot contain `#`. */
  entries(name: string): InputLine[];
  mistake(mistake: Mistake): void;
  /** Throws one TaskError `InputInvalid` that lists every mistake. */
  finish(): void;
}

/**
 * Finds a `$(name)`, which Azure Pipelines leaves in the text if the run has no such variable. A `$(name)` inside a
 * secret is no mistake, and one that overlaps a secret is not quoted.
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

/** `defaults` names every input of the task. */
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
        // A short secret is masked if it is the whole text.
        return masked === held && context.secrets.isIn(held) ? '***' : masked;
      };
      throw mistakesError(mistakes, redacted);
    },
  };
}

/** `redact` masks secrets in the texts that the inputs hold. */
export function mistakesError(
  mistakes: readonly Mistake[],
  redact: (text: string) => string = (text) => text,
): TaskError {
  const message = describeMistakes(mistakes, redact);
  return new TaskError('InputInvalid', message, {
    facts: { inputs: [...new Set(mistakes.map(({ input }) => input))].join(', ') },
  });
}

const unresolvedProblem =
  'the run has no such variable (check its spelling, its scope, and that its group is linked to this stage); ' +
  'if you mean this text literally, put it into a values file';

function parseBoolean(text: string): boolean | undefined {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  return undefined;
}

/** Lines are trimmed as a shell trims a word. A blank after a backslash is kept. */
function splitInputLines(text: string): { line: string; number: number }[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ line: trimLine(line), number: index + 1 }))
    .filter(({ line }) => line !== '');
}

/** Removes comments, from a `#` that begins a word to the end of its line. The lines keep their numbers. */
export function withoutComments(text: string): string {
  return text.replace(/(?<![^\s])#[^\r\n]*/g, '');
}

function trimLine(line: string): string {
  const trimmed = line.trim();
  const backslashes = /(?<!\\)\\*$/.exec(trimmed)?.[0].length ?? 0;
  return backslashes % 2 === 1 && line.trimStart().length > trimmed.length ? `${trimmed} ` : trimmed;
}

/** Longer values are cut. Unit: characters. */
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
