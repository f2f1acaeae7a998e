import { stringify } from 'yaml';
import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './kubernetes';
import { apiGroup, manifestKey, manifestObjects } from './manifest';

/*
 * What a failed or dead revision leaves behind.
 *
 * Helm computes what to remove from the manifest of one earlier revision: an upgrade from the last deployed one, a
 * rollback from the last one. What other revisions wrote since then is in neither manifest, so Helm 3 (and Helm 4 on
 * a release made by Helm 3) leaves their fields, every Helm leaves their objects, and before 4.2 a rollback fails
 * on an object that is alive but not in the last revision's manifest (all measured).
 *
 * The mend is to give Helm one base that holds everything that may be there: the objects of all revisions since the
 * last good one, with all fields that any of them had. It stands in the last revision's record while Helm runs, and
 * Helm's own merge then removes exactly what the new manifest does not have.
 */

/** Groups that the API server itself serves. Objects of any other group are custom resources. */
const builtInGroups = new Set([
  '',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'apps',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
  'extensions',
  'flowcontrol.apiserver.k8s.io',
  'internal.apiserver.k8s.io',
  'networking.k8s.io',
  'node.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'resource.k8s.io',
  'scheduling.k8s.io',
  'storage.k8s.io',
]);

const dataKinds = new Set([
  '/PersistentVolumeClaim',
  '/PersistentVolume',
  '/Namespace',
  'apiextensions.k8s.io/CustomResourceDefinition',
]);

export function isCustomResource(ref: { apiVersion: string }): boolean {
  return !builtInGroups.has(apiGroup(ref.apiVersion));
}

/**
 * Why an object is not removed with the revision that brought it; undefined where it may go. What the last good
 * revision had as well goes by the chart's own wish, unless somebody else owns it now.
 */
export function keepReason(
  ref: ObjectRef,
  live: KubeObject,
  release: { name: string; namespace: string },
  wasGood: boolean,
): string | undefined {
  const annotations = live.metadata.annotations ?? {};
  if (annotations['helm.sh/resource-policy'] === 'keep') return 'its resource policy is keep';
  const owner = annotations['meta.helm.sh/release-name'];
  const ownerNamespace = annotations['meta.helm.sh/release-namespace'] ?? release.namespace;
  if (owner !== undefined && (owner !== release.name || ownerNamespace !== release.namespace)) {
    return `it belongs to release ${owner} in namespace ${ownerNamespace} now`;
  }
  if (wasGood) return undefined;
  if (dataKinds.has(`${apiGroup(ref.apiVersion)}/${ref.kind}`)) return 'it may hold data';
  return isCustomResource(ref) ? 'it is a custom resource: what it stands for may go with it' : undefined;
}

/** An object of an earlier revision that the wanted manifest does not have. */
export interface Leftover {
  key: string;
  object: KubeObject;
  /** The last good revision had it as well: that Helm removes it is the chart's own wish. */
  wasGood: boolean;
}

/** The objects of `manifests` that `wanted` does not have. `good` is the manifest of the last good revision. */
export function leftovers(
  manifests: readonly string[],
  good: string | undefined,
  wanted: string,
  namespace: string,
): Leftover[] {
  const keyOf = (object: KubeObject): string => manifestKey(object, namespace);
  const wantedKeys = new Set(manifestObjects(wanted).map(keyOf));
  const goodKeys = new Set(good === undefined ? [] : manifestObjects(good).map(keyOf));
  const found = new Map<string, Leftover>();
  for (const object of manifests.flatMap(manifestObjects)) {
    const key = keyOf(object);
    if (!wantedKeys.has(key)) found.set(key, { key, object, wasGood: goodKeys.has(key) });
  }
  return [...found.values()];
}

/**
 * The manifest that Helm is to merge from: everything that any of `manifests` (oldest first) declares, in the API
 * version of `wanted` where that has the object too (Helm 4.1.0 takes another version for another object), without
 * the objects in `spared`, which Helm then does not see and so does not delete.
 */
export function mergeBase(
  manifests: readonly string[],
  wanted: string,
  namespace: string,
  spared: ReadonlySet<string>,
): string {
  const target = new Map(manifestObjects(wanted).map((object) => [manifestKey(object, namespace), object]));
  const union = new Map<string, KubeObject>();
  for (const object of manifests.flatMap(manifestObjects)) {
    const key = manifestKey(object, namespace);
    const earlier = union.get(key);
    union.set(key, earlier === undefined ? object : (unionOf(earlier, object, '') as KubeObject));
  }
  const base: KubeObject[] = [];
  for (const [key, object] of union) {
    const wish = target.get(key);
    if (wish !== undefined) base.push(inVersionOf(object, wish));
    else if (!spared.has(key)) base.push(object);
  }
  // A rollback fails on an object that is alive and in no base (before Helm 4.2); in the base it is just patched.
  for (const [key, wish] of target) if (!union.has(key)) base.push(identityOf(wish));
  return base.map((object) => `---\n${stringify(object, { lineWidth: 0, version: '1.1' })}`).join('');
}

/** The namespace is named only where the wanted manifest names it: Helm compares it as it stands. */
function identityOf(object: KubeObject): KubeObject {
  const { name, namespace } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: namespace === undefined ? { name } : { name, namespace },
  };
}

/**
 * Custom resources are merged two-way, from base to wanted, without a look at what is live (Helm 3 and 4): a field
 * whose wanted value stood in the base would not be sent. So their base holds only what is to go.
 */
function inVersionOf(object: KubeObject, wish: KubeObject): KubeObject {
  const base = isCustomResource(wish) ? (without(object, wish) as KubeObject) : object;
  const { namespace: _, ...metadata } = base.metadata as Partial<KubeObject['metadata']>;
  return { ...base, ...identityOf(wish), metadata: { ...metadata, ...identityOf(wish).metadata } };
}

/** The fields of `value` that `wish` does not declare, and nothing that it does. */
function without(value: unknown, wish: unknown): unknown {
  if (!isRecord(value) || !isRecord(wish)) return value;
  const rest: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    if (!(name in wish)) rest[name] = field;
    else if (isRecord(field) && isRecord(wish[name])) rest[name] = without(field, wish[name]);
  }
  return rest;
}

/** `patchMergeKey` of the lists that Kubernetes merges by key (k8s.io/api types.go); all other lists are replaced whole. */
const mergeKeys: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  secrets: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  ports: ['containerPort', 'port'],
  hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey'],
  resourceClaims: ['name'],
  webhooks: ['name'],
};

function mergeKeyOf(field: string, items: readonly unknown[]): string | undefined {
  return mergeKeys[field]?.find((key) => items.every((item) => isRecord(item) && key in item));
}

/** Both values' fields together; where they differ the later one counts. */
function unionOf(earlier: unknown, later: unknown, field: string): unknown {
  if (isRecord(earlier) && isRecord(later)) {
    const merged: Record<string, unknown> = { ...earlier };
    for (const [name, value] of Object.entries(later)) {
      merged[name] = name in earlier ? unionOf(earlier[name], value, name) : value;
    }
    return merged;
  }
  if (Array.isArray(earlier) && Array.isArray(later)) return unionOfLists(earlier, later, field);
  return later;
}

function unionOfLists(earlier: readonly unknown[], later: readonly unknown[], field: string): unknown[] {
  const key = mergeKeyOf(field, [...earlier, ...later]);
  if (key === undefined) return [...later];
  const byKey = new Map<unknown, unknown>();
  for (const item of [...earlier, ...later] as Record<string, unknown>[]) {
    const known = byKey.get(item[key]);
    byKey.set(item[key], known === undefined ? item : unionOf(known, item, ''));
  }
  return [...byKey.values()];
}
