import type { TaskResult } from './taskResult';

/** The values that a step's condition can use. */
export interface ConditionScope {
  readonly jobStatus: TaskResult;
  variable(name: string): string | undefined;
}

type Value = string | boolean | number | null;

const statusFunctions: Readonly<Record<string, (status: TaskResult) => boolean>> = {
  always: () => true,
  succeeded: (status) => status === 'Succeeded' || status === 'SucceededWithIssues',
  failed: (status) => status === 'Failed',
  canceled: (status) => status === 'Canceled',
  succeededorfailed: (status) => ['Succeeded', 'SucceededWithIssues', 'Failed'].includes(status),
};

const functions: Readonly<Record<string, (values: readonly Value[]) => boolean>> = {
  and: (values) => values.every(isTrue),
  or: (values) => values.some(isTrue),
  not: (values) => !isTrue(values[0] ?? null),
  xor: (values) => isTrue(values[0] ?? null) !== isTrue(values[1] ?? null),
  eq: (values) => text(values[0]) === text(values[1]),
  ne: (values) => text(values[0]) !== text(values[1]),
  in: (values) => values.slice(1).some((value) => text(value) === text(values[0])),
  notin: (values) => values.slice(1).every((value) => text(value) !== text(values[0])),
  contains: (values) => text(values[0]).includes(text(values[1])),
  startswith: (values) => text(values[0]).startsWith(text(values[1])),
  endswith: (values) => text(values[0]).endsWith(text(values[1])),
};

/**
 * Evaluates a step condition: the status functions, and, or, not, xor, eq, ne, in, notIn, contains, startsWith,
 * endsWith over literals and `variables['name']`. Throws an Error for anything else, as the agent fails such a step.
 */
export function evaluateCondition(condition: string, scope: ConditionScope): boolean {
  const tokens = condition.match(/'(?:[^']|'')*'|[A-Za-z_][\w.]*|-?\d+(?:\.\d+)?|[()[\],]|\S/g) ?? [];
  let at = 0;
  const expect = (token: string): void => {
    if (tokens[at] !== token) throw new Error(`The condition "${condition}" needs "${token}" after ${at} words.`);
    at += 1;
  };
  const parse = (): Value => {
    const token = tokens[at] ?? '';
    at += 1;
    if (token.startsWith("'")) return token.slice(1, -1).replaceAll("''", "'");
    if (/^-?\d/.test(token)) return Number(token);
    if (/^(true|false)$/i.test(token)) return token.toLowerCase() === 'true';
    if (/^variables\./i.test(token)) return scope.variable(token.slice('variables.'.length)) ?? null;
    if (/^variables$/i.test(token)) return indexed();
    return call(token.toLowerCase());
  };
  const indexed = (): Value => {
    expect('[');
    const name = parse();
    expect(']');
    return scope.variable(String(name)) ?? null;
  };
  const call = (name: string): Value => {
    expect('(');
    const values: Value[] = [];
    while (at < tokens.length && tokens[at] !== ')') {
      if (values.length > 0) expect(',');
      values.push(parse());
    }
    expect(')');
    const status = statusFunctions[name];
    if (status !== undefined) return status(scope.jobStatus);
    const evaluate = functions[name];
    if (evaluate === undefined)
      throw new Error(`The condition "${condition}" uses "${name}", which is not known here.`);
    return evaluate(values);
  };
  const value = parse();
  if (at < tokens.length) throw new Error(`The condition "${condition}" goes on after its end.`);
  return isTrue(value);
}

function isTrue(value: Value): boolean {
  return value !== null && value !== false && value !== '' && value !== 0;
}

function text(value: Value | undefined): string {
  return String(value ?? '').toLowerCase();
}
