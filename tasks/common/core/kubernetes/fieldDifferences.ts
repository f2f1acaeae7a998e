import type { Path } from './fieldPath';
import { isRecord } from './json';
import { quantity } from './quantity';
import { isSame } from './sameValue';

/*
 * Lists of objects are compared item by item if their items have a key, because the live list may have more items than
 * were declared (a sidecar, a port).
 */

export interface Difference {
  path: Path;
  /** Undefined if the field does not exist. */
  live: unknown;
  wanted: unknown;
  /** Present if only the order differs, of items that are merged by their keys or of plain values. */
  order?: 'items' | 'values';
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Compares a live object with the object that the API server would store. `declared` is the object that was sent.
 * Labels, annotations and the order of items count only as far as they are declared: others may add them.
 */
export function differences(live: unknown, wanted: unknown, declared: unknown, path: Path = []): Difference[] {
  if (isSame(live, wanted)) return [];
  if (isRecord(live) && isRecord(wanted)) {
    const declaredFields = isRecord(declared) ? declared : {};
    const names = isLabelling(path)
      ? Object.keys(declaredFields)
      : [...new Set([...Object.keys(live), ...Object.keys(wanted)])];
    return names.flatMap((field) => {
      return differences(live[field], wanted[field], declaredFields[field], [...path, { field }]);
    });
  }
  if (Array.isArray(live) && Array.isArray(wanted)) {
    return listDifferences(live, wanted, Array.isArray(declared) ? declared : [], path);
  }
  return [{ path, live, wanted }];
}

/** `metadata.labels` and `metadata.annotations`, also of a pod template. */
function isLabelling(path: Path): boolean {
  const [parent, last] = path.slice(-2);
  if (parent === undefined || last === undefined || !('field' in parent) || !('field' in last)) return false;
  return parent.field === 'metadata' && (last.field === 'labels' || last.field === 'annotations');
}

type Items = readonly unknown[];

function listDifferences(live: Items, wanted: Items, declared: Items, path: Path): Difference[] {
  const by = keyOf([live, wanted]);
  const whole = [{ path, live, wanted }];
  if (by === undefined) return live.every(isPlain) && wanted.every(isPlain) ? setDifferences(whole, declared) : whole;
  const one = live as readonly Fields[];
  const other = wanted as readonly Fields[];
  const found = other.flatMap((item) => {
    const counterpart = one.find((each) => hasSameKey(each, item, by));
    const wish = declared.find((each) => isRecord(each) && matches(item, each, by));
    return differences(counterpart, item, wish, [...path, { item, by }]);
  });
  const surplus = one
    .filter((item) => !other.some((each) => hasSameKey(each, item, by)))
    .map((item) => ({ path: [...path, { item, by }], live: item, wanted: undefined }));
  if (found.length > 0 || surplus.length > 0) return [...found, ...surplus];
  const isDeclared = (item: Fields): boolean => declared.some((each) => isRecord(each) && matches(item, each, by));
  const isSameOrder = isSame(keys(one.filter(isDeclared), by), keys(other.filter(isDeclared), by));
  return isSameOrder ? [] : [{ path, live: keys(one, by), wanted: keys(other, by), order: 'items' }];
}

/** Only the order of declared items counts, because others may add items to some of these lists. */
function setDifferences(whole: readonly { path: Path; live: Items; wanted: Items }[], declared: Items): Difference[] {
  return whole.flatMap(({ path, live, wanted }) => {
    if (!isSame([...live].sort(), [...wanted].sort())) return [{ path, live, wanted }];
    const isDeclared = (item: unknown): boolean => declared.includes(item);
    if (isSame(live.filter(isDeclared), wanted.filter(isDeclared))) return [];
    return [{ path, live, wanted, order: 'values' }];
  });
}

function isPlain(item: unknown): boolean {
  return typeof item !== 'object' || item === null;
}

/** The list map keys of Kubernetes' own types, and keys that custom resources usually have. */
const listKeys: readonly (readonly string[])[] = [
  ['name'],
  ['containerPort', 'protocol'],
  ['port', 'protocol'],
  ['containerPort'],
  ['port'],
  ['mountPath'],
  ['devicePath'],
  ['ip'],
  ['topologyKey', 'whenUnsatisfiable'],
  ['kind', 'name'],
  ['uid'],
  ['key'],
  ['id'],
  ['host'],
  ['path'],
  ['type'],
];

/** Returns the first key that every item has and that no two items of one list share. */
export function keyOf(lists: readonly Items[]): readonly string[] | undefined {
  if (!lists.every((list) => list.every(isRecord))) return undefined;
  return listKeys.find((by) =>
    lists.every((list) => {
      const found = keys(list, by);
      const isComplete = found.every((key) => key.every((value) => value !== undefined && isPlain(value)));
      return isComplete && new Set(found.map((key) => JSON.stringify(key))).size === found.length;
    }),
  );
}

function keys(items: readonly Fields[], by: readonly string[]): unknown[][] {
  return items.map((item) => by.map((name) => item[name]));
}

export function hasSameKey(one: Fields, other: Fields, by: readonly string[]): boolean {
  return by.every((name) => one[name] === other[name]);
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
    return Object.keys(declared).flatMap((field) => missingFields(declared[field], live[field], [...path, { field }]));
  }
  if (Array.isArray(declared) && Array.isArray(live)) return missingItems(declared, live, path);
  return isSameQuantity(declared, live, path) ? [] : [{ path, live, wanted: declared }];
}

function missingItems(declared: Items, live: Items, path: Path): Difference[] {
  const by = keyOf([declared, live]);
  if (by === undefined && declared.length === live.length) {
    return declared.flatMap((item, index) => missingFields(item, live[index], [...path, { index }]));
  }
  if (by === undefined) return [{ path, live, wanted: declared }];
  const wishes = declared as readonly Fields[];
  const found = live as readonly Fields[];
  const missing = wishes.flatMap((item) => {
    const counterpart = found.find((each) => hasSameKey(each, item, by));
    return missingFields(item, counterpart, [...path, { item, by }]);
  });
  const surplus = found
    .filter((item) => !wishes.some((each) => hasSameKey(each, item, by)))
    .map((item) => ({ path: [...path, { item, by }], live: item, wanted: undefined }));
  return [...missing, ...surplus];
}

/** Returns true for values that the API server drops. */
function isEmpty(value: unknown): boolean {
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
    (parent !== undefined && 'field' in parent && amounts.has(parent.field)) ||
    (last !== undefined && 'field' in last && amount.has(last.field));
  if (!isAmount) return false;
  const value = quantity(one);
  return value !== undefined && value === quantity(other);
}
