/** The answer to a query. */
export type Value = number | string;

type Operator = '<' | '<=' | '>' | '>=' | '==' | '!=';

type Operand = { number: number } | { text: string } | { before: { times: number; plus: number } };

interface Clause {
  operator: Operator;
  operand: Operand;
}

/** All clauses must hold. */
export interface Condition {
  text: string;
  clauses: readonly Clause[];
}

export const conditionExpected =
  'a condition such as result < 0.01, result >= 0.9 && result <= 1.1, result <= before * 1.2 + 0.01 or result == "UP"';

const number = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`;
const clausePattern = new RegExp(
  String.raw`^result(?:\[0\])?\s*(<=|>=|==|!=|<|>)\s*(?:(?<number>${number})|(?<text>"[^"]*"|'[^']*'|true|false)|` +
    String.raw`before(?:\s*\*\s*(?<times>${number}))?(?:\s*(?<sign>[+-])\s*(?<plus>${number}))?)$`,
);
const longestCondition = 500;

/** Reads a condition as Argo Rollouts has it in `successCondition`. Undefined if it is none. */
export function parseCondition(text: string): Condition | undefined {
  if (text.length > longestCondition) return undefined;
  const clauses = text.split('&&').map((part) => parseClause(part.trim()));
  const whole = clauses.filter((clause) => clause !== undefined);
  return whole.length === clauses.length ? { text: text.trim(), clauses: whole } : undefined;
}

function parseClause(text: string): Clause | undefined {
  const match = clausePattern.exec(text);
  if (match === null) return undefined;
  const operator = match[1] as Operator;
  const { number: plain, text: quoted, times = '1', sign = '+', plus = '0' } = match.groups ?? {};
  if (plain !== undefined) return { operator, operand: { number: Number(plain) } };
  if (quoted !== undefined) {
    // Texts have no order.
    const isEquality = operator === '==' || operator === '!=';
    return isEquality ? { operator, operand: { text: quoted.replace(/^["']|["']$/g, '') } } : undefined;
  }
  return { operator, operand: { before: { times: Number(times), plus: Number(`${sign}1`) * Number(plus) } } };
}

export function comparesWithBefore({ clauses }: Condition): boolean {
  return clauses.some(({ operand }) => 'before' in operand);
}

/** The numbers that a condition compares with, for a drawing. */
export function limitsOf({ clauses }: Condition, before: Before): number[] {
  return clauses.flatMap(({ operand }) => ('text' in operand ? [] : (limitOf(operand, before) ?? [])));
}

/** The value of the query before the deploy. Null: nothing served before, so there is nothing to compare with. */
export type Before = Value | null | undefined;

/** Undefined if a clause cannot be decided, and no other one fails. */
export function holds({ clauses }: Condition, value: Value, before: Before): boolean | undefined {
  const answers = clauses.map((clause) => clauseHolds(clause, value, before));
  if (answers.includes(false)) return false;
  return answers.includes(undefined) ? undefined : true;
}

function clauseHolds({ operator, operand }: Clause, value: Value, before: Before): boolean | undefined {
  if ('text' in operand) return (String(value) === operand.text) === (operator === '==');
  if ('before' in operand && before === null) return true;
  const [left, right] = [numberOf(value), limitOf(operand, before)];
  return left === undefined || right === undefined ? undefined : compare(left, operator, right);
}

function limitOf(operand: Exclude<Operand, { text: string }>, before: Before): number | undefined {
  if ('number' in operand) return operand.number;
  const base = before === undefined || before === null ? undefined : numberOf(before);
  return base === undefined ? undefined : base * operand.before.times + operand.before.plus;
}

function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  const read = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(read) ? read : undefined;
}

function compare(left: number, operator: Operator, right: number): boolean {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
  }
}
