import type { SecretMasker } from './masking';

export interface Variable {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
  readonly readOnly: boolean;
  readonly preserveCase: boolean;
}

export type VariableFlags = Partial<Pick<Variable, 'secret' | 'readOnly' | 'preserveCase'>>;

/** The variables of a job, or the task variables of a step. Names are case-insensitive. */
export interface Variables {
  get(name: string): string | undefined;
  set(name: string, value: string, flags?: VariableFlags): void;
  isReadOnly(name: string): boolean;
  all(): readonly Variable[];
  /** Replaces `$(name)` once and does not expand the inserted text. An unknown name stays literal. */
  expand(text: string): string;
  /** Expands variables whose values name others. The agent does this at the start of each step. */
  recalculate(): void;
}

export function createVariables(masker: SecretMasker): Variables {
  const given = new Map<string, Variable>();
  let expanded = new Map<string, Variable>();
  const get = (name: string): string | undefined => expanded.get(name.toLowerCase())?.value;
  const set = (name: string, value: string, flags: VariableFlags = {}): void => {
    const key = name.toLowerCase();
    const before = expanded.get(key);
    // A variable that was once secret or read-only stays so.
    const secret = flags.secret === true || before?.secret === true;
    const readOnly = flags.readOnly === true || before?.readOnly === true;
    if (secret) masker.add(value);
    const variable = { name, value, secret, readOnly, preserveCase: flags.preserveCase === true };
    given.set(key, variable);
    expanded.set(key, variable);
  };
  const recalculate = (): void => {
    expanded = new Map([...given].map(([key, variable]) => [key, expandVariable(variable, given, masker)]));
  };
  return {
    get,
    set,
    isReadOnly: (name) => expanded.get(name.toLowerCase())?.readOnly === true,
    all: () => [...expanded.values()],
    expand: (text) => expandMacros(text, get),
    recalculate,
  };
}

// A variable that refers to itself, directly or through others, keeps its text.
function expandVariable(variable: Variable, given: ReadonlyMap<string, Variable>, masker: SecretMasker): Variable {
  let secret = variable.secret;
  const resolve = (current: Variable, path: readonly string[]): string =>
    expandMacros(current.value, (name) => {
      const key = name.toLowerCase();
      const nested = given.get(key);
      if (nested === undefined) return undefined;
      if (path.includes(key)) throw new CyclicVariable(name);
      secret ||= nested.secret;
      return resolve(nested, [...path, key]);
    });
  try {
    const value = resolve(variable, [variable.name.toLowerCase()]);
    if (value === variable.value) return variable;
    if (secret) masker.add(value);
    return { ...variable, value, secret };
  } catch (error) {
    if (error instanceof CyclicVariable) return variable;
    throw error;
  }
}

class CyclicVariable extends Error {}

/** The agent's macro expansion: `$(name)` is replaced if `lookup` knows the name, and stays otherwise. */
export function expandMacros(text: string, lookup: (name: string) => string | undefined): string {
  let result = text;
  let from = 0;
  for (;;) {
    const prefix = result.indexOf('$(', from);
    const suffix = prefix < 0 ? -1 : result.indexOf(')', prefix + 2);
    if (suffix < 0) return result;
    const name = result.slice(prefix + 2, suffix);
    const value = name === '' ? undefined : lookup(name);
    if (value === undefined) {
      from = prefix + 1;
      continue;
    }
    result = result.slice(0, prefix) + value + result.slice(suffix + 1);
    from = prefix + value.length;
  }
}

/** `Agent.TempDirectory` -> `AGENT_TEMPDIRECTORY`. */
export function environmentName(name: string, preserveCase = false): string {
  const formatted = name.replace(/[. ]/g, '_');
  return preserveCase ? formatted : formatted.toUpperCase();
}
