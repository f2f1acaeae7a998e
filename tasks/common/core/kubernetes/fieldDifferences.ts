import type { Path } from './fieldPath';
import { isRecord } from './json';
import { quantity } from './quantity';
import { isSame } from './sameValue';

/*
 * The fields in which two objects differ. Lists of objects are held against each other item by item where their items
 * have something to tell them apart, since more of them may be there than were declared (a sidecar, a port).
 */

export interface Difference {
  path: Path;
  /** Undefined: not there. */
  live: unknown;
  wanted: unknown;
  /** The same in another order: items that are merged by their keys, or plain values. */
  order?: 'items' | 'values';
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * How a live object differs from what the API server says it would be. Both come from that server, so they are spelled
 * alike. `declared` is what was asked for: annotations and labels that it does not have are not looked at (webhooks
 * write a new time or sum there at each request), and neither is the order of items that it does not have.
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

/** `metadata.labels` and `metadata.annotations`, those of a pod template too. */
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

/** Lists of texts and numbers: some are sets, to which others may have added. */
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

/** What tells the items of a list apart: list map keys of Kubernetes' own types, and what custom resources are wont to use. */
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

/** The first key that every item of every list has, and that no two of a list share. */
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

/** Whether a declared item, which may leave out what has a default, is the one that the server holds. */
function matches(item: Fields, declared: Fields, by: readonly string[]): boolean {
  return by.every((name) => declared[name] === undefined || declared[name] === item[name]);
}

/**
 * The declared fields that a live object does not have so: a comparison without the API server's help. Quantities count
 * by their amount; what is declared as empty may be absent. What a list has beyond the declared is a difference, since
 * nothing tells here whether others may add to it. Spellings that only the server knows are told as differences, too.
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

/** What the API server does not keep when it is declared. */
function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isRecord(value)) return Object.values(value).every(isEmpty);
  return value === undefined || value === null || value === '' || value === 0 || value === false;
}

/** Maps of amounts, and fields that are one; elsewhere `1.0` and `1` are two texts. */
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
