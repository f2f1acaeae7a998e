import { isObject, ownField, type Fields, type JsonObject } from '../fields';
import { current, failed, inProgress, type ObjectStatus } from '../result';

export type StatusTest =
  /** The condition has this status (default: True). A condition about an earlier generation does not count. */
  | { condition: string; status?: string }
  /** The field exists, and its value as text equals one of the values. `path` is a dotted path or a JSON pointer. */
  | { path: string; equals: readonly string[] };

/**
 * A rule of the user for a kind, which replaces our rule. Deletion and observedGeneration are still checked first. The
 * object is Failed if one test of `failed` holds. The object is Current if every test of `current` holds, so an empty
 * list means Current.
 */
export interface StatusRule {
  /** Empty for the core group. */
  group: string;
  kind: string;
  current: readonly StatusTest[];
  failed: readonly StatusTest[];
}

export function ruleFor(rules: readonly StatusRule[], group: string, kind: string): StatusRule | undefined {
  return rules.findLast((rule) => rule.group === group && rule.kind === kind);
}

export function ruledStatus(rule: StatusRule, object: JsonObject, fields: Fields): ObjectStatus {
  const holds = (test: StatusTest): boolean => testHolds(test, object, fields);
  const failure = rule.failed.find(holds);
  if (failure !== undefined) return failed('RuleFailed', `${testText(failure)}, which the rule calls failed.`);
  const missing = rule.current.find((test) => !holds(test));
  if (missing !== undefined) return inProgress('RuleNotMet', `Not yet ${testText(missing)}.`);
  return current('RuleMet', 'The rule for this kind is met.');
}

function testHolds(test: StatusTest, object: JsonObject, fields: Fields): boolean {
  if ('path' in test) return test.equals.includes(scalarText(fieldAt(object, test.path)));
  const condition = fields.condition(test.condition);
  const generation = fields.integer('metadata.generation');
  const observed = condition?.observedGeneration ?? generation;
  return condition !== undefined && condition.status === (test.status ?? 'True') && observed === generation;
}

function testText(test: StatusTest): string {
  return 'path' in test ? `${test.path} = ${test.equals.join(' or ')}` : `${test.condition} = ${test.status ?? 'True'}`;
}

/** Returns undefined if the field does not exist. Numbers in the path are positions in lists. */
export function fieldAt(object: JsonObject, path: string): unknown {
  return pathElements(path).reduce<unknown>((value, element) => {
    if (Array.isArray(value)) return /^\d+$/.test(element) ? (value[Number(element)] as unknown) : undefined;
    return isObject(value) ? ownField(value, element) : undefined;
  }, object);
}

function pathElements(path: string): string[] {
  if (!path.startsWith('/')) return path.replace(/^\./, '').split('.');
  return path
    .slice(1)
    .split('/')
    .map((element) => element.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A value that is not a scalar gets a text that no test can ask for. */
function scalarText(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '\u0000';
}

/**
 * Reads one rule per line: `Kind.group: current TEST, TEST; failed TEST`. A test is `always`, `condition Type`,
 * `condition Type=Status` or `path=value|value`. For the core group, a line starts with `Kind:`. `problems` has a
 * message for every line that cannot be read, with the expected form.
 */
export function parseStatusRules(text: string): { rules: StatusRule[]; problems: string[] } {
  const rules: StatusRule[] = [];
  const problems: string[] = [];
  for (const line of text.split(/\r?\n/).map((item) => item.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const rule = parseRule(line);
    if (rule === undefined) problems.push(`'${line}' is not of the form 'Kind.group: current TEST; failed TEST'`);
    else rules.push(rule);
  }
  return { rules, problems };
}

function parseRule(line: string): StatusRule | undefined {
  const head = /^([A-Z][A-Za-z0-9]*)(?:\.([a-z0-9.-]+))?\s*:\s*(.+)$/.exec(line);
  if (head === null) return undefined;
  const [, kind = '', group = '', body = ''] = head;
  const rule = { group, kind, current: [] as StatusTest[], failed: [] as StatusTest[] };
  const seen = new Set<string>();
  for (const clause of body.split(';').map((item) => item.trim())) {
    const match = /^(current|failed)\s+(.+)$/.exec(clause);
    const [, word, tests = ''] = match ?? [];
    if ((word !== 'current' && word !== 'failed') || seen.has(word)) return undefined;
    seen.add(word);
    const parsed = tests.trim() === 'always' && word === 'current' ? [] : tests.split(',').map(parseTest);
    if (parsed.includes(undefined)) return undefined;
    rule[word].push(...parsed.filter((test) => test !== undefined));
  }
  // A rule without `current` would make the kind Current in every state that is not failed.
  return seen.has('current') ? rule : undefined;
}

function parseTest(text: string): StatusTest | undefined {
  const condition = /^condition\s+([A-Za-z0-9./_-]+)(?:\s*=\s*(True|False|Unknown))?$/.exec(text.trim());
  if (condition !== null) {
    const [, type = '', status] = condition;
    return status === undefined ? { condition: type } : { condition: type, status };
  }
  const field = /^([^\s=]+)\s*=\s*(.+)$/.exec(text.trim());
  if (field === null) return undefined;
  const [, path = '', values = ''] = field;
  return { path, equals: values.split('|').map((value) => value.trim()) };
}
