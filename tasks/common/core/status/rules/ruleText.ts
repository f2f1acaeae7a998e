import type { StatusRule, StatusTest } from './rules';

/**
 * Reads one rule per line: `Kind.group: current TEST, TEST; failed TEST; suspended TEST; wait 2m`. For the core group, a
 * line starts with `Kind:`; `*` is any kind, `A|B` are two kinds, and `Kind.*.group:` is also for the groups below. docs/status-rules.md
 * lists the tests. `problems` has a message for every line that cannot be read, with the expected form.
 */
export function parseStatusRules(text: string): { rules: StatusRule[]; problems: string[] } {
  const rules: StatusRule[] = [];
  const problems: string[] = [];
  for (const line of text.split(/\r?\n/).map((item) => item.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const read = parseLine(line);
    if (read.length === 0) problems.push(`'${line}' is not of the form 'Kind.group: current TEST; failed TEST'`);
    rules.push(...read);
  }
  return { rules, problems };
}

function parseLine(line: string): StatusRule[] {
  const head = /^(\*(?=\.)|[A-Za-z][A-Za-z0-9|]*)(?:\.(\*\.)?([a-z0-9.-]+))?\s*:\s*(.+)$/.exec(line);
  const [, kinds = '', below, group = '', body = ''] = head ?? [];
  // A kind of Kubernetes begins with a capital letter, so this is a mistake.
  if (head === null || (group === '' && /^[a-z]/.test(kinds))) return [];
  const rule = parseBody(body);
  if (rule === undefined) return [];
  return kinds.split('|').map((kind) => ({ ...rule, group, kind, ...(below === undefined ? {} : { isBelow: true }) }));
}

function parseBody(body: string): Omit<StatusRule, 'group' | 'kind'> | undefined {
  const rule = { failed: [], suspended: [] };
  const seen = new Set<string>();
  for (const clause of body.split(';').map((item) => item.trim())) {
    const [, word = '', text = ''] = /^(current|failed|suspended|wait)\s+(.+)$/.exec(clause) ?? [];
    const read = seen.has(word) ? undefined : parseClause(word, text);
    if (read === undefined) return undefined;
    seen.add(word);
    Object.assign(rule, read);
  }
  // A rule that only says what is failed would look as if it said when the kind is current.
  return seen.has('current') || seen.has('wait') ? rule : undefined;
}

const unitSeconds = new Map([
  ['m', 60],
  ['h', 3600],
]);

function parseClause(word: string, text: string): Partial<StatusRule> | undefined {
  if (word === 'wait') {
    const [, number, unit = ''] = /^(\d{1,5})(s|m|h)$/.exec(text) ?? [];
    return number === undefined ? undefined : { waitSeconds: Number(number) * (unitSeconds.get(unit) ?? 1) };
  }
  if (word === '') return undefined;
  if (text.trim() === 'always' && word === 'current') return { current: [] };
  const tests = text.split(',').map(parseTest);
  return tests.includes(undefined) ? undefined : { [word]: tests };
}

const conditionForm =
  /^condition\s+([A-Za-z0-9./_-]+)(?:\s*=\s*((?:True|False|Unknown)(?:\|(?:True|False|Unknown))*))?(?:\s+reason\s+(\S+))?(?:\s+in\s+(\S+))?$/;

function parseTest(text: string): StatusTest | undefined {
  const [first, ...others] = text.split('&').map(parseSingle).reverse();
  return others.reduce((and, test) => (and === undefined || test === undefined ? undefined : { ...test, and }), first);
}

function parseSingle(text: string): StatusTest | undefined {
  const plain = text.trim();
  const [, word, inner] = /^(not|one)\s+(.+)$/.exec(plain) ?? [];
  if (inner !== undefined) {
    const test = parseSingle(inner);
    if (test === undefined || test.isNegated === true || test.isOne === true) return undefined;
    return { ...test, ...(word === 'not' ? { isNegated: true } : { isOne: true }) };
  }
  const condition = conditionForm.exec(plain);
  return condition === null ? parseFieldTest(plain) : conditionTest(condition);
}

function conditionTest([
  ,
  type = '',
  statuses = 'True',
  reasons,
  list = 'status.conditions',
]: RegExpExecArray): StatusTest {
  const why = reasons === undefined ? {} : { reasons: reasons.split('|') };
  return { condition: type, statuses: statuses.split('|'), ...why, in: list };
}

function parseFieldTest(plain: string): StatusTest | undefined {
  const existing = /^has\s+(\S+)$/.exec(plain);
  if (existing !== null) return { path: existing[1] ?? '', exists: true };
  const [, path = '', sign = '', value = ''] = /^([^\s=<>]+)\s*(>=|==|=)\s*([^=].*)$/.exec(plain) ?? [];
  if (path === '') return undefined;
  if (sign === '=') return { path, equals: value.split('|').map((item) => item.trim()) };
  return { path, compare: sign === '==' ? '==' : '>=', other: value };
}
