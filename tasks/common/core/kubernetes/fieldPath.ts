/* A path names an item of a list by its key, as structured-merge-diff does, so that inserted items do not change it. */

export type Step =
  | { field: string }
  /** `by` names the fields that distinguish the item from the others. */
  | { item: Readonly<Record<string, unknown>>; by: readonly string[] }
  | { index: number };

export type Path = readonly Step[];

/** Returns `spec.template.spec.containers[name=web].image` or `metadata.labels["example.com/tier"]`. */
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
