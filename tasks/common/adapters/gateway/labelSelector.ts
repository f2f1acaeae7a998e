type Labels = Readonly<Record<string, string>>;

const requirement =
  /^(?:(!?)([\w./-]+)|([\w./-]+)\s*(==|=|!=)\s*([^\s!=,()]*)|([\w./-]+)\s+(in|notin)\s*\(([^()]*)\))$/;

/** Undefined for anything else (apimachinery, pkg/labels/selector.go); gt and lt are for node selectors only. */
export function labelSelector(text: string): ((labels: Labels) => boolean) | undefined {
  const tests: ((labels: Labels) => boolean)[] = [];
  // A comma inside parentheses separates values, not requirements.
  for (const part of text.match(/(?:[^,(]|\([^)]*\)?)+/g) ?? []) {
    const trimmed = part.trim();
    if (trimmed === '') continue;
    const test = requirementTest(trimmed);
    if (test === undefined) return undefined;
    tests.push(test);
  }
  return (labels) => tests.every((test) => test(labels));
}

function requirementTest(part: string): ((labels: Labels) => boolean) | undefined {
  const match = requirement.exec(part);
  if (match === null) return undefined;
  const [, negation, present, equalKey, operator, value = '', setKey = '', setOperator, values = ''] = match;
  if (present !== undefined) return (labels) => Object.hasOwn(labels, present) === (negation === '');
  if (equalKey !== undefined) return (labels) => (labels[equalKey] === value) === (operator !== '!=');
  const wanted = new Set(values.split(',').map((each) => each.trim()));
  const isIn = (labels: Labels): boolean => Object.hasOwn(labels, setKey) && wanted.has(labels[setKey] ?? '');
  return (labels) => isIn(labels) === (setOperator === 'in');
}
