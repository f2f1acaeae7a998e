import { isRecord } from './json';

type Fields = Readonly<Record<string, unknown>>;
type Items = readonly unknown[];

interface ListKey {
  /** `x-kubernetes-patch-merge-key`, by which a strategic merge patch finds an item. Helm 3 writes such patches. */
  patch: string;
  /** `x-kubernetes-list-map-keys`, by which a server-side apply finds an item, where it is more than the patch key. */
  map?: readonly string[];
}

const byName: readonly ListKey[] = [{ patch: 'name' }];

/** The lists that Kubernetes merges item by item (api/openapi-spec/swagger.json). It replaces all other lists. */
const listKeys: Readonly<Record<string, readonly ListKey[]>> = {
  containers: byName,
  initContainers: byName,
  ephemeralContainers: byName,
  volumes: byName,
  env: byName,
  imagePullSecrets: byName,
  secrets: byName,
  resourceClaims: byName,
  schedulingGates: byName,
  webhooks: byName,
  matchConditions: byName,
  variables: byName,
  volumeMounts: [{ patch: 'mountPath' }],
  volumeDevices: [{ patch: 'devicePath' }],
  ports: [
    { patch: 'containerPort', map: ['containerPort', 'protocol'] },
    { patch: 'port', map: ['port', 'protocol'] },
  ],
  hostAliases: [{ patch: 'ip' }],
  topologySpreadConstraints: [{ patch: 'topologyKey', map: ['topologyKey', 'whenUnsatisfiable'] }],
  ownerReferences: [{ patch: 'uid' }],
};

/** Keys that lists of custom resources usually have, and lists that Kubernetes replaces. */
const usualKeys: readonly (readonly string[])[] = [
  ['name'],
  ['port', 'protocol'],
  ['port'],
  ['mountPath'],
  ['ip'],
  ['kind', 'name'],
  ['uid'],
  ['key'],
  ['id'],
  ['host'],
  ['path'],
  ['type'],
];

/** Returns undefined if Kubernetes replaces the lists of a field as a whole. Two items may have the same key. */
export function mergeKeyOf(field: string, items: Items): string | undefined {
  const isInAll = ({ patch }: ListKey): boolean => items.every((item) => isRecord(item) && Object.hasOwn(item, patch));
  return keysOfField(field).find(isInAll)?.patch;
}

function keysOfField(field: string): readonly ListKey[] {
  return Object.hasOwn(listKeys, field) ? (listKeys[field] ?? []) : [];
}

/** Returns the first key that every item of every list has and that no two items of one list share. */
export function itemKeyOf(field: string, lists: readonly Items[]): readonly string[] | undefined {
  if (!lists.every((list) => list.every(isRecord))) return undefined;
  const known = keysOfField(field);
  const candidates = [...known.flatMap(({ map }) => (map ? [map] : [])), ...known.map(({ patch }) => [patch])];
  return [...candidates, ...usualKeys].find((by) => lists.every((list) => isKeyOf(list, by)));
}

function isKeyOf(list: readonly Fields[], by: readonly string[]): boolean {
  const found = list.map((item) => keyOfItem(item, by));
  const isComplete = found.every((key) => key.every((value) => value !== undefined && isPlain(value)));
  return isComplete && new Set(found.map((key) => JSON.stringify(key))).size === found.length;
}

export function keyOfItem(item: Fields, by: readonly string[]): unknown[] {
  return by.map((name) => item[name]);
}

export function hasSameKey(one: Fields, other: Fields, by: readonly string[]): boolean {
  return by.every((name) => one[name] === other[name]);
}

export function isPlain(item: unknown): boolean {
  return typeof item !== 'object' || item === null;
}
