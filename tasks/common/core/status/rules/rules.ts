import { isRecord } from '../../kubernetes/json';
import { isFresh, ownField, readConditions, type Condition, type Fields, type JsonObject } from '../fields';
import { current, failed, heldOnPurpose, inProgress, notJudged, type ObjectStatus } from '../result';

/**
 * One statement about an object. A path is a dotted path or a JSON pointer; `*` in it stands for every item of a list.
 * With `*`, a test of `current` must hold for all items, and for at least one; elsewhere, and with `isOne`, one item is
 * enough. `and` must hold too.
 */
export type StatusTest = { isNegated?: true; isOne?: true; and?: StatusTest } & (
  | ConditionTest
  /** The field's value as text equals one of the values. */
  | { path: string; equals: readonly string[] }
  /** The field exists and is not empty. */
  | { path: string; exists: true }
  /** `other` is a number or a path. The test holds if the other field does not exist. A missing count is 0. */
  | { path: string; compare: '>=' | '=='; other: string }
);

/** A condition about an earlier generation does not count. */
interface ConditionTest {
  condition: string;
  statuses: readonly string[];
  reasons?: readonly string[];
  /** The path of the list of conditions. */
  in: string;
}

/**
 * When an object of a kind is current, failed or held on purpose. A rule replaces the rules for all kinds. Deletion and
 * observedGeneration are still checked first.
 */
export interface StatusRule {
  /** Empty for the core group. */
  group: string;
  /** `*` for all kinds of the group and of the groups below it. */
  kind: string;
  /** True if the rule is also for this kind in the groups below. */
  isBelow?: true;
  /** All tests must hold, so an empty list means Current. Absent: the rules for all kinds decide. */
  current?: readonly StatusTest[];
  /** One test is enough, and is checked first. */
  failed: readonly StatusTest[];
  /** One test is enough: the object is held or scheduled on purpose and is not waited for. */
  suspended: readonly StatusTest[];
  /** How long an object without a status is waited for; then it counts as in place. Absent: `current` decides. */
  waitSeconds?: number;
}

/** The rule for the kind, or else for all kinds; of the smallest group around it; of equal rules, the last one. */
export function ruleFor(rules: readonly StatusRule[], group: string, kind: string): StatusRule | undefined {
  const isFor = (rule: StatusRule): boolean =>
    (rule.kind === kind || rule.kind === '*') &&
    (rule.group === group || ((rule.isBelow === true || rule.kind === '*') && group.endsWith(`.${rule.group}`)));
  const rank = (rule: StatusRule): number => (rule.kind === '*' ? 0 : 1000) + rule.group.length;
  return rules
    .filter(isFor)
    .toSorted((a, b) => rank(a) - rank(b))
    .at(-1);
}

/** Undefined if the rule leaves the decision to the rules for all kinds. */
export function ruledStatus(rule: StatusRule, object: JsonObject, fields: Fields, now: Date): ObjectStatus | undefined {
  const generation = fields.integer('metadata.generation');
  const holdsOnce = (test: StatusTest): boolean => testHolds(test, object, generation, 'some');
  const failure = rule.failed.find(holdsOnce);
  if (failure !== undefined) return failed('RuleFailed', found(failure, object));
  const hold = rule.suspended.find(holdsOnce);
  if (hold !== undefined) return heldOnPurpose(found(hold, object));
  if (rule.waitSeconds !== undefined && !hasStatus(object)) return withoutStatus(fields, rule.waitSeconds, now);
  if (rule.current === undefined) return undefined;
  const missing = rule.current.find((test) => !testHolds(test, object, generation, 'every'));
  if (missing !== undefined) {
    if (!hasStatus(object)) return inProgress('NoStatus', 'No controller has written a status yet.');
    return inProgress('RuleNotMet', `Not yet ${testText(missing)}. ${found(missing, object)}`.trim());
  }
  return current('RuleMet', 'The rule for this kind is met.');
}

/** Current if the spec or the metadata ask for a hold. */
export function askedToHold(rule: StatusRule | undefined, object: JsonObject): ObjectStatus | undefined {
  const isAsked = (test: StatusTest): boolean =>
    'path' in test && !test.path.startsWith('status') && testHolds(test, object, undefined, 'some');
  const hold = rule?.suspended.find(isAsked);
  return hold === undefined ? undefined : heldOnPurpose(found(hold, object));
}

export function hasStatus(object: JsonObject): boolean {
  return isRecord(object.status) && Object.keys(object.status).length > 0;
}

/** An age below zero comes from a clock that differs, and proves nothing. */
export function withoutStatus(fields: Fields, waitSeconds: number, now: Date): ObjectStatus {
  const created = fields.time('metadata.creationTimestamp');
  const ageSeconds = created === undefined ? Infinity : (now.getTime() - created) / 1000;
  if (ageSeconds < waitSeconds && ageSeconds > -waitSeconds) {
    return inProgress('NotObserved', 'The object is new and no controller has written a status yet.');
  }
  return notJudged('No controller has written a status.');
}

function testHolds(
  test: StatusTest,
  object: JsonObject,
  generation: number | undefined,
  quantity: 'some' | 'every',
): boolean {
  const values = valuesAt(object, pathElements('condition' in test ? test.in : test.path));
  const isNegated = test.isNegated === true;
  const holds = (value: unknown): boolean => valueHolds(test, value, object, generation);
  const isForAll = test.isOne !== true && (quantity === 'every') !== isNegated;
  const isMet = (isForAll ? values.length > 0 && values.every(holds) : values.some(holds)) !== isNegated;
  return isMet && (test.and === undefined || testHolds(test.and, object, generation, quantity));
}

function valueHolds(test: StatusTest, value: unknown, object: JsonObject, generation: number | undefined): boolean {
  if ('condition' in test) return readConditions(value).some((condition) => isMeant(test, condition, generation));
  if ('equals' in test) return test.equals.includes(scalarText(value));
  if ('exists' in test) return value !== undefined && value !== null && value !== '' && !isEmpty(value);
  const other = /^\d+$/.test(test.other) ? Number(test.other) : fieldAt(object, test.other);
  if (other === undefined || other === null) return true;
  return test.compare === '==' ? scalarText(value) === scalarText(other) : Number(value ?? 0) >= Number(other);
}

function isMeant(test: ConditionTest, condition: Condition, generation: number | undefined): boolean {
  return (
    condition.type === test.condition &&
    test.statuses.includes(condition.status) &&
    (test.reasons === undefined || test.reasons.includes(condition.reason)) &&
    isFresh(condition, generation)
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function testText(test: StatusTest): string {
  const not = test.isNegated === true ? 'without ' : '';
  if ('condition' in test) return `${not}${test.condition} = ${test.statuses.join(' or ')}`;
  if ('equals' in test) return `${not}${test.path} = ${test.equals.join(' or ')}`;
  return 'exists' in test ? `${not}${test.path}` : `${not}${test.path} ${test.compare} ${test.other}`;
}

/** Describes the value that the object has at the place of the test. */
function found(test: StatusTest, object: JsonObject): string {
  if ('condition' in test) {
    const conditions = valuesAt(object, pathElements(test.in)).flatMap(readConditions);
    const same = conditions.filter(({ type }) => type === test.condition);
    const decisive = same.find(({ status }) => test.statuses.includes(status) === (test.isNegated === true)) ?? same[0];
    if (decisive === undefined) return '';
    return [`${decisive.type} is ${decisive.status}`, decisive.reason, decisive.message]
      .filter((part) => part !== '')
      .join(': ');
  }
  const values = valuesAt(object, pathElements(test.path))
    .map(scalarText)
    .filter((text) => text !== noScalar);
  const message = ['message', 'reason', 'error'].map((name) => fieldAt(object, `status.${name}`));
  const text = message.find((each) => typeof each === 'string' && each !== '');
  const value = values.length === 0 ? '' : `${test.path} is ${values.slice(0, 3).join(', ')}`;
  return [value, text].filter((part) => part !== undefined && part !== '').join(': ');
}

/** Undefined if the field does not exist. Numbers in the path are positions in lists. */
export function fieldAt(object: JsonObject, path: string): unknown {
  return valuesAt(object, pathElements(path))[0];
}

function valuesAt(value: unknown, [element, ...rest]: readonly string[]): unknown[] {
  if (element === undefined) return [value];
  if (element === '*') {
    const items = Array.isArray(value) ? (value as unknown[]) : isRecord(value) ? Object.values(value) : [];
    return items.flatMap((item) => valuesAt(item, rest));
  }
  if (Array.isArray(value))
    return valuesAt(/^\d+$/.test(element) ? (value[Number(element)] as unknown) : undefined, rest);
  return valuesAt(isRecord(value) ? ownField(value, element) : undefined, rest);
}

function pathElements(path: string): string[] {
  if (!path.startsWith('/')) return path.replace(/^\./, '').split('.');
  return path
    .slice(1)
    .split('/')
    .map((element) => element.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A value that is not a scalar gets a text that no test can ask for. */
const noScalar = '\u0000';

function scalarText(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : noScalar;
}
