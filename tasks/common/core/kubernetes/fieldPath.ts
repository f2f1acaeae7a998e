/*
 * Where a field stands in an object. An item of a list is named by what tells it from the others, as the API server
 * does (structured-merge-diff), so that it stays the same field when others are put before it.
 */

export type Step =
  | { field: string }
  /** The item of a list that has these fields, among others; `by` are those that tell it from the others. */
  | { item: Readonly<Record<string, unknown>>; by: readonly string[] }
  | { index: number };

export type Path = readonly Step[];

/** `spec.template.spec.containers[name=web].image`, `metadata.labels["example.com/tier"]`. */
export function pathText(path: Path): string {
  return path.map(stepText).join('').replace(/^\./, '');
}

function stepText(step: Step): string {
  if ('index' in step) return `[${step.index}]`;
  if ('item' in step) return `[${step.by.map((name) => `${name}=${String(step.item[name])}`).join(',')}]`;
  return /^[\w$-]+$/.test(step.field) ? `.${step.field}` : `[${JSON.stringify(step.field)}]`;
}

export function lastField(path: Path): string {
  const last = path.findLast((step) => 'field' in step);
  return last === undefined ? '' : last.field;
}
