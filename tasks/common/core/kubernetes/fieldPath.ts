import { isRecord } from './json';
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
    return Array.isArray(inner) ? (inner.find((item, index) => isAt(step, item, index)) as unknown) : undefined;
  }, value);
}

/** A copy with another value at the path; the value itself if it has no such field. */
export function withValueAt(value: unknown, path: Path, becomes: unknown): unknown {
  const [step, ...below] = path;
  if (step === undefined) return becomes;
  if (typeof step !== 'string') {
    if (!Array.isArray(value)) return value;
    return value.map((item, index) => (isAt(step, item, index) ? withValueAt(item, below, becomes) : item) as unknown);
  }
  if (!isRecord(value) || !Object.hasOwn(value, step)) return value;
  return { ...value, [step]: withValueAt(value[step], below, becomes) };
}

function isAt(step: Exclude<PathStep, string>, item: unknown, index: number): boolean {
  if (typeof step === 'number') return index === step;
  return step.by.every((name) => keyField(item, name) === keyField(step.item, name));
}

/** The fields of keys that a manifest may leave out (core/v1, ContainerPort and ServicePort). */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

function keyField(item: unknown, name: string): unknown {
  return at(item, name) ?? keyDefaults[name];
}
