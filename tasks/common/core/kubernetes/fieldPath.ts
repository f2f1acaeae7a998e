import { at } from './read';

/* A path names an item of a list by its key, as structured-merge-diff does, so that inserted items do not change it. */

/** A field, an item of a list by its index, or an item with all its fields, of which `by` names those that form its key. */
export type PathStep = string | number | { item: Readonly<Record<string, unknown>>; by: readonly string[] };

export type Path = readonly PathStep[];

/** Returns `spec.template.spec.containers[name=web].image` or `metadata.labels["example.com/tier"]`. */
export function pathText(path: Path): string {
  return path.map(stepText).join('').replace(/^\./, '');
}

function stepText(step: PathStep): string {
  if (typeof step === 'number') return `[${step}]`;
  if (typeof step === 'object') return `[${step.by.map((name) => `${name}=${String(step.item[name])}`).join(',')}]`;
  return /^[\w$-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

/** Returns a path text with `containers[web]` for `containers[name=web]`, as plans of earlier versions spell it. */
export function withoutKeyNames(text: string): string {
  return text.replace(/\[[\w-]+=([^\],]*)[^\]]*\]/g, '[$1]');
}

export function lastField(path: Path): string {
  return path.findLast((step) => typeof step === 'string') ?? '';
}

/** Returns the value at a path, also in another state of the object from which the path was made. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((inner, step) => {
    if (typeof step === 'string') return at(inner, step);
    if (!Array.isArray(inner)) return undefined;
    if (typeof step === 'number') return inner[step] as unknown;
    return inner.find((item) => step.by.every((name) => keyField(item, name) === keyField(step.item, name))) as unknown;
  }, value);
}

/** The fields of keys that a manifest may leave out (core/v1, ContainerPort and ServicePort). */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

function keyField(item: unknown, name: string): unknown {
  return at(item, name) ?? keyDefaults[name];
}
