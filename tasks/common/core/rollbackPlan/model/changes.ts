import { isRecord } from '../../kubernetes/json';
import { quantity } from '../../kubernetes/quantity';
import { mergeKeyOf } from '../../release/mergeBase';
import { isSame } from '../../kubernetes/sameValue';

/** One step of a path. An item of a list is named by its merge key if the list has one, otherwise by its index. */
export type Step = string | number | { key: string; is: unknown };

/** A field that differs between two states; undefined in a state without the field. */
export interface Change {
  path: readonly Step[];
  before: unknown;
  after: unknown;
}

/** The smallest fields that differ. A list without a merge key whose length changes counts as one field. */
export function changesOf(before: unknown, after: unknown, path: readonly Step[] = []): Change[] {
  if (isSame(before, after)) return [];
  if (isRecord(before) && isRecord(after)) return fieldChanges(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) return listChanges(before, after, path);
  return [{ path, before, after }];
}

function fieldChanges(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  path: readonly Step[],
): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => changesOf(own(before, name), own(after, name), [...path, name]));
}

function listChanges(before: readonly unknown[], after: readonly unknown[], path: readonly Step[]): Change[] {
  const key = alignment(before, after, path);
  if (key === undefined) {
    const isAligned = before.length === after.length && [...before, ...after].every(isRecord);
    if (!isAligned) return [{ path, before, after }];
    return before.flatMap((item, index) => changesOf(item, after[index], [...path, index]));
  }
  const values = [...new Set([...before, ...after].map((item) => own(item, key)))];
  const changes = values.flatMap((is) =>
    changesOf(itemBy(before, key, is), itemBy(after, key, is), [...path, { key, is }]),
  );
  // Only the order of the items differs. It matters, for example for variables that refer to each other.
  return changes.length === 0 ? [{ path, before, after }] : changes;
}

/** A value that has no inner fields (no map and no list of maps, or an empty one), with its path. */
export interface Leaf {
  path: readonly Step[];
  value: unknown;
}

export function leavesOf(value: unknown, path: readonly Step[] = []): Leaf[] {
  if (value === undefined) return [];
  if (isRecord(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([name, field]) => leavesOf(field, [...path, name]));
  }
  if (Array.isArray(value) && value.length > 0 && value.every(isRecord)) {
    const key = alignment(value, [], path);
    return value.flatMap((item, index) =>
      leavesOf(item, [...path, key === undefined ? index : { key, is: item[key] }]),
    );
  }
  return [{ path, value }];
}

function alignment(before: readonly unknown[], after: readonly unknown[], path: readonly Step[]): string | undefined {
  const field = path.findLast((step) => typeof step === 'string') ?? '';
  const key = mergeKeyOf(field, [...before, ...after]);
  if (key === undefined) return undefined;
  const isUnique = (items: readonly unknown[]): boolean =>
    new Set(items.map((item) => own(item, key))).size === items.length;
  return isUnique(before) && isUnique(after) ? key : undefined;
}

function itemBy(items: readonly unknown[], key: string, is: unknown): unknown {
  return items.find((item) => own(item, key) === is);
}

function own(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function valueAt(value: unknown, path: readonly Step[]): unknown {
  let inner = value;
  for (const step of path) {
    if (typeof step === 'string') inner = own(inner, step);
    else if (!Array.isArray(inner)) return undefined;
    else inner = typeof step === 'number' ? (inner as readonly unknown[])[step] : itemBy(inner, step.key, step.is);
  }
  return inner;
}

/** For example `spec.template.spec.containers[web].image`. Names with special characters are quoted. */
export function pathText(path: readonly Step[]): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      if (typeof step !== 'string') return `[${String(step.is)}]`;
      if (!/^[A-Za-z_$][\w$]*$/.test(step)) return `[${JSON.stringify(step)}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join('');
}

/** Ignores the spelling of quantities, fields that the API server adds, and empty values that it drops. */
export function isAsDeclared(declared: unknown, value: unknown): boolean {
  if (isEmpty(declared) && isEmpty(value)) return true;
  if (isRecord(declared) && isRecord(value)) {
    return Object.keys(declared).every((name) => isAsDeclared(declared[name], own(value, name)));
  }
  if (Array.isArray(declared) && Array.isArray(value)) return isListAsDeclared(declared, value);
  return declared === value || (isScalar(declared) && isScalar(value) && isSameScalar(String(declared), String(value)));
}

function isListAsDeclared(declared: readonly unknown[], value: readonly unknown[]): boolean {
  return declared.length === value.length && declared.every((item, index) => isAsDeclared(item, value[index]));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.values(value).every(isEmpty);
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function isSameScalar(one: string, other: string): boolean {
  if (one === other) return true;
  const amount = quantity(one);
  return amount !== undefined && amount === quantity(other);
}

/** Fields that the API server chooses at each creation, and a `caBundle`, because a controller renews it. */
export function isMadeUpAnew(path: readonly Step[], kind: string): boolean {
  const text = pathText(path);
  if (path.at(-1) === 'caBundle') return true;
  if (kind === 'Service') return /^spec\.(clusterIPs?\b|healthCheckNodePort$|ports\b.*nodePort$)/.test(text);
  return kind === 'Job' && /controller-uid|^spec\.selector\b/.test(text);
}
