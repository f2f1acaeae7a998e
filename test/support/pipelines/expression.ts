/** A value of the expression language of Azure Pipelines. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

export type Expression =
  | { kind: 'literal'; value: Value }
  | { kind: 'name'; name: string }
  | { kind: 'index'; of: Expression; key: Expression }
  | { kind: 'call'; name: string; args: readonly Expression[] };

/** Where an expression takes its names and further functions from. */
export interface Scope {
  /** Undefined if there is no such name: then the expression is an error. */
  readonly names: Readonly<Record<string, Value | undefined>>;
  readonly functions?: Readonly<Record<string, (args: readonly Value[]) => Value>>;
}

export class PipelineError extends Error {}

const token = /\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?(?![\w.]))|([A-Za-z_][\w-]*)|([()[\],.]))/y;

/** Throws if the text is not an expression of the subset that the templates use. */
export function parseExpression(text: string): Expression {
  const tokens = tokensOf(text);
  let next = 0;
  const take = (): string => tokens[next++] ?? '';
  const expect = (wanted: string): void => {
    if (take() !== wanted) throw new PipelineError(`"${wanted}" is missing in: ${text}`);
  };
  const list = (): Expression[] => {
    const args: Expression[] = [];
    while (tokens[next] !== ')') {
      if (args.length > 0) expect(',');
      args.push(whole());
    }
    expect(')');
    return args;
  };
  const first = (): Expression => {
    const word = take();
    if (word.startsWith("'")) return { kind: 'literal', value: word.slice(1, -1).replaceAll("''", "'") };
    if (/^-?\d/.test(word)) return { kind: 'literal', value: Number(word) };
    if (!/^[A-Za-z_]/.test(word)) throw new PipelineError(`"${word}" is not understood in: ${text}`);
    if (tokens[next] === '(') {
      next += 1;
      return { kind: 'call', name: word.toLowerCase(), args: list() };
    }
    const literal = { true: true, false: false, null: null }[word.toLowerCase()];
    return literal === undefined ? { kind: 'name', name: word } : { kind: 'literal', value: literal };
  };
  const whole = (): Expression => {
    let of = first();
    for (;;) {
      if (tokens[next] === '.') {
        next += 1;
        of = { kind: 'index', of, key: { kind: 'literal', value: take() } };
      } else if (tokens[next] === '[') {
        next += 1;
        of = { kind: 'index', of, key: whole() };
        expect(']');
      } else return of;
    }
  };
  const parsed = whole();
  if (next < tokens.length) throw new PipelineError(`"${take()}" is too much in: ${text}`);
  return parsed;
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (text.slice(token.lastIndex).trim() !== '') {
    const at = token.lastIndex;
    const found = token.exec(text);
    if (found === null) throw new PipelineError(`"${text.slice(at).trim()}" is not understood in: ${text}`);
    tokens.push(found[1] ?? found[2] ?? found[3] ?? found[4] ?? '');
  }
  return tokens;
}

export function evaluate(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'name': {
      const value = fieldOf(scope.names, expression.name);
      if (value === undefined) throw new PipelineError(`there is no ${expression.name} here`);
      return value;
    }
    case 'index': {
      const of = evaluate(expression.of, scope);
      const key = evaluate(expression.key, scope);
      if (Array.isArray(of)) return (of as readonly Value[])[Number(key)] ?? null;
      const field = isMapping(of) ? fieldOf(of, textOf(key)) : undefined;
      if (field === undefined && isVariables(expression.of)) {
        throw new PipelineError(`there is no variable ${textOf(key)} here`);
      }
      return field ?? null;
    }
    case 'call':
      return call(expression.name, expression.args, scope);
  }
}

/** A parameter may lack a field, but a variable that nobody sets is a mistake. */
function isVariables(expression: Expression): boolean {
  return expression.kind === 'name' && expression.name.toLowerCase() === 'variables';
}

function fieldOf(of: Readonly<Record<string, Value | undefined>>, name: string): Value | undefined {
  const key = Object.keys(of).find((each) => each.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : of[key];
}

function call(name: string, args: readonly Expression[], scope: Scope): Value {
  // These two evaluate only as much as they need.
  if (name === 'and') return args.every((each) => isTrue(evaluate(each, scope)));
  if (name === 'or') return args.some((each) => isTrue(evaluate(each, scope)));
  const values = args.map((each) => evaluate(each, scope));
  const known = scope.functions?.[name] ?? functions[name];
  if (known === undefined) throw new PipelineError(`the function ${name} is not known here`);
  return known(values);
}

const functions: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  not: ([value = null]) => !isTrue(value),
  eq: ([left = null, right = null]) => isEqual(left, right),
  ne: ([left = null, right = null]) => !isEqual(left, right),
  gt: ([left = null, right = null]) => numberOf(left) > numberOf(right),
  ge: ([left = null, right = null]) => numberOf(left) >= numberOf(right),
  lt: ([left = null, right = null]) => numberOf(left) < numberOf(right),
  le: ([left = null, right = null]) => numberOf(left) <= numberOf(right),
  in: ([wanted = null, ...others]) => others.some((other) => isEqual(wanted, other)),
  notin: ([wanted = null, ...others]) => !others.some((other) => isEqual(wanted, other)),
  length: ([of = null]) => lengthOf(of),
  lower: ([text = null]) => textOf(text).toLowerCase(),
  replace: ([text = null, from = null, to = null]) => textOf(text).replaceAll(textOf(from), textOf(to)),
  contains: ([text = null, part = null]) => textOf(text).toLowerCase().includes(textOf(part).toLowerCase()),
  join: ([separator = null, list = null]) => (Array.isArray(list) ? list : [list]).map(textOf).join(textOf(separator)),
  split: ([text = null, separator = null]) => textOf(text).split(textOf(separator)),
  coalesce: (args) => args.find((arg) => arg !== null && arg !== '') ?? null,
  format: ([text = null, ...args]) =>
    textOf(text).replace(/\{(\d+)\}/g, (_, index: string) => textOf(args[Number(index)] ?? null)),
};

function lengthOf(of: Value): number {
  if (typeof of === 'string' || Array.isArray(of)) return of.length;
  if (isMapping(of)) return Object.keys(of).length;
  throw new PipelineError('length takes a text, a list or a mapping');
}

export function isMapping(value: unknown): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isTrue(value: Value): boolean {
  return value !== null && value !== false && value !== 0 && value !== '';
}

/** The right value is converted to the type of the left one. Texts are compared without regard to case. */
function isEqual(left: Value, right: Value): boolean {
  if (left === null) return right === null || right === '';
  if (typeof left === 'boolean') return left === isTrue(right);
  if (typeof left === 'number') return left === numberOf(right);
  if (typeof left === 'string') return left.toLowerCase() === textOf(right).toLowerCase();
  throw new PipelineError('lists and mappings are not compared');
}

function numberOf(value: Value): number {
  const number = Number(textOf(value));
  if (Number.isNaN(number)) throw new PipelineError(`"${textOf(value)}" is not a number`);
  return number;
}

/** The text that the service puts into a string. */
export function textOf(value: Value): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'object') throw new PipelineError('a list or a mapping is not a text');
  return String(value);
}

/** All names with their indexes, for example `['dependencies', 'Plan', 'result']`, outermost first. */
export function pathsIn(expression: Expression): string[][] {
  switch (expression.kind) {
    case 'literal':
      return [];
    case 'name':
      return [[expression.name]];
    case 'call':
      return expression.args.flatMap(pathsIn);
    case 'index': {
      const path = pathOf(expression);
      return path === undefined ? [...pathsIn(expression.of), ...pathsIn(expression.key)] : [path];
    }
  }
}

function pathOf(expression: Expression): string[] | undefined {
  if (expression.kind === 'name') return [expression.name];
  if (expression.kind !== 'index' || expression.key.kind !== 'literal') return undefined;
  const before = pathOf(expression.of);
  return before === undefined ? undefined : [...before, textOf(expression.key.value)];
}
