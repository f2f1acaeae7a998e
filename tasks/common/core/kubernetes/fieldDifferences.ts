import { lastField, type Path } from './fieldPath';
import { isRecord } from './json';
import { hasSameKey, isPlain, itemKeyOf, keyOfItem } from './listKeys';
import { quantity } from './quantity';
import { isSame } from './sameValue';

/*
 * Lists of objects are compared item by item if their items have a key, because the live list may have more items than
 * were declared (a sidecar, a port).
 */

export interface Difference {
  path: Path;
  /** The live value, or the one before a change. Undefined if the field does not exist. */
  before: unknown;
  /** The desired value, or the one after a change. */
  after: unknown;
  /** Present if only the order differs, of items that are merged by their keys or of plain values. */
  order?: 'items' | 'values';
}

type Fields = Readonly<Record<string, unknown>>;
type Items = readonly unknown[];

/** Returns the smallest fields that differ. A list without a key whose length changes counts as one field. */
export function changesOf(before: unknown, after: unknown): Difference[] {
  return differencesAt(before, after, everything, []);
}

/**
 * Compares a live object with the object that the API server would store. `declared` is the object that was sent.
 * Labels, annotations and the order of items count only as far as they are declared: others may add them.
 */
export function differences(live: unknown, wanted: unknown, declared: unknown): Difference[] {
  return differencesAt(live, wanted, declared, []);
}

/** Stands for a declaration that has every field. */
const everything = Symbol('everything');

function differencesAt(before: unknown, after: unknown, declared: unknown, path: Path): Difference[] {
  if (isSame(before, after)) return [];
  if (isRecord(before) && isRecord(after)) return fieldDifferences(before, after, declared, path);
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(before, after, declared, path);
  return [{ path, before, after }];
}

function fieldDifferences(before: Fields, after: Fields, declared: unknown, path: Path): Difference[] {
  const isStrict = declared === everything;
  const wishes = isRecord(declared) ? declared : {};
  const all = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const names = isStrict ? all.sort() : isLabelling(path) ? Object.keys(wishes) : all;
  return names.flatMap((name) => {
    const wish = isStrict ? everything : own(wishes, name);
    return differencesAt(own(before, name), own(after, name), wish, [...path, name]);
  });
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** `metadata.labels` and `metadata.annotations`, also of a pod template. */
function isLabelling(path: Path): boolean {
  return path.at(-2) === 'metadata' && (path.at(-1) === 'labels' || path.at(-1) === 'annotations');
}

function listDifferences(before: Items, after: Items, declared: unknown, path: Path): Difference[] {
  const by = itemKeyOf(lastField(path), [before, after]);
  if (by !== undefined) return keyedDifferences(before as Fields[], after as Fields[], { by, declared }, path);
  const isAligned = declared === everything && before.length === after.length && [...before, ...after].every(isRecord);
  if (isAligned) return before.flatMap((item, at) => differencesAt(item, after[at], declared, [...path, at]));
  const isMoved = [...before, ...after].every(isPlain) && isSame([...before].sort(), [...after].sort());
  if (!isMoved) return [{ path, before, after }];
  // Some of these lists are sets to which others may have added items, so only the order of declared items counts.
  const counts = (item: unknown): boolean => wishFor(declared, (wish) => wish === item) !== undefined;
  return isSame(before.filter(counts), after.filter(counts)) ? [] : [{ path, before, after, order: 'values' }];
}

function keyedDifferences(
  before: readonly Fields[],
  after: readonly Fields[],
  { by, declared }: { by: readonly string[]; declared: unknown },
  path: Path,
): Difference[] {
  const wishOf = (item: Fields): unknown => wishFor(declared, (wish) => isRecord(wish) && matches(item, wish, by));
  const found = after.flatMap((item) => {
    const counterpart = before.find((each) => hasSameKey(each, item, by));
    return differencesAt(counterpart, item, wishOf(item), [...path, { item, by }]);
  });
  const all = [...found, ...surplusItems(before, after, by, path)];
  if (all.length > 0) return all;
  const order = (items: readonly Fields[]): unknown[] =>
    items.filter((item) => wishOf(item) !== undefined).map((item) => keyOfItem(item, by));
  return isSame(order(before), order(after)) ? [] : [{ path, before, after, order: 'items' }];
}

function wishFor(declared: unknown, isIt: (wish: unknown) => boolean): unknown {
  if (declared === everything) return everything;
  return Array.isArray(declared) ? (declared as Items).find(isIt) : undefined;
}

function surplusItems(
  items: readonly Fields[],
  wanted: readonly Fields[],
  by: readonly string[],
  path: Path,
): Difference[] {
  return items
    .filter((item) => !wanted.some((each) => hasSameKey(each, item, by)))
    .map((item) => ({ path: [...path, { item, by }], before: item, after: undefined }));
}

/** A value without inner fields, with its path. */
export interface Leaf {
  path: Path;
  value: unknown;
}

export function leavesOf(value: unknown, path: Path = []): Leaf[] {
  if (value === undefined) return [];
  if (isRecord(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([name, field]) => leavesOf(field, [...path, name]));
  }
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRecord)) return [{ path, value }];
  const by = itemKeyOf(lastField(path), [value]);
  return value.flatMap((item, at) => leavesOf(item, [...path, by === undefined ? at : { item, by }]));
}

/** A declared item may lack key fields that have a default. */
function matches(item: Fields, declared: Fields, by: readonly string[]): boolean {
  return by.every((name) => declared[name] === undefined || declared[name] === item[name]);
}

/**
 * Returns the declared fields that a live object lacks or has with another value, without the help of the API server.
 * Surplus items of a list count as differences, and so does another spelling of a value that only the server knows.
 */
export function missingFields(declared: unknown, live: unknown, path: Path = []): Difference[] {
  if (declared === undefined || isSame(declared, live) || (live === undefined && isEmpty(declared))) return [];
  if (isRecord(declared) && isRecord(live)) {
    return Object.keys(declared).flatMap((name) => missingFields(declared[name], live[name], [...path, name]));
  }
  if (Array.isArray(declared) && Array.isArray(live)) return missingItems(declared, live, path);
  return isSameQuantity(declared, live, path) ? [] : [{ path, before: live, after: declared }];
}

function missingItems(declared: Items, live: Items, path: Path): Difference[] {
  const by = itemKeyOf(lastField(path), [declared, live]);
  if (by === undefined && declared.length === live.length) {
    return declared.flatMap((item, index) => missingFields(item, live[index], [...path, index]));
  }
  if (by === undefined) return [{ path, before: live, after: declared }];
  const wishes = declared as readonly Fields[];
  const found = live as readonly Fields[];
  const missing = wishes.flatMap((item) => {
    const counterpart = found.find((each) => hasSameKey(each, item, by));
    return missingFields(item, counterpart, [...path, { item, by }]);
  });
  return [...missing, ...surplusItems(found, wishes, by, path)];
}

/** Returns true for values that the API server drops. */
export function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isRecord(value)) return Object.values(value).every(isEmpty);
  return value === undefined || value === null || value === '' || value === 0 || value === false;
}

/** `amounts` are maps of quantities, `amount` are fields with one quantity. Elsewhere, `1.0` and `1` differ. */
const amounts = new Set([
  'limits',
  'requests',
  'capacity',
  'hard',
  'min',
  'max',
  'default',
  'defaultRequest',
  'target',
]);
const amount = new Set(['sizeLimit', 'averageValue', 'divisor']);

function isSameQuantity(one: unknown, other: unknown, path: Path): boolean {
  const [parent, last] = path.slice(-2);
  const isAmount =
    (typeof parent === 'string' && amounts.has(parent)) || (typeof last === 'string' && amount.has(last));
  if (!isAmount) return false;
  const value = quantity(one);
  return value !== undefined && value === quantity(other);
}
