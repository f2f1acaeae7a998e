import { isRecord } from '../kubernetes/json';
import { mergeKeyOf } from '../kubernetes/listKeys';
import { isCustomResource } from '../kubernetes/groups';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { apiGroup, manifestKey, manifestObjects } from '../kubernetes/manifest';

/*
 * The leftovers of failed and dead revisions.
 *
 * Helm removes what one earlier manifest has and the new one lacks: an upgrade uses the last deployed revision, a
 * rollback the last revision. The writes of other revisions are in neither manifest, so their objects (and in Helm 3
 * their fields) stay. Before 4.2, a rollback fails at a live object that the last revision lacks (all measured).
 *
 * The remedy is one merge base with everything to remove, in the record of the last revision while Helm runs.
 */

const dataKinds = new Set([
  '/PersistentVolumeClaim',
  '/PersistentVolume',
  '/Namespace',
  'apiextensions.k8s.io/CustomResourceDefinition',
]);

/** Returns true for kinds with which data would go. */
export function mayHoldData({ apiVersion, kind }: Pick<ObjectRef, 'apiVersion' | 'kind'>): boolean {
  return dataKinds.has(`${apiGroup(apiVersion)}/${kind}`) || isCustomResource({ apiVersion });
}

export interface ReleaseName {
  name: string;
  namespace: string;
}

/** Returns who owns a live object, if not this release. Helm writes its marks on every object that it creates. */
export function otherOwner(live: KubeObject, release: ReleaseName): string | undefined {
  const owner = markedOwner(live, release.namespace);
  if (owner === undefined) return 'no Helm release';
  const isOurs = owner.name === release.name && owner.namespace === release.namespace;
  return isOurs ? undefined : `release ${owner.name} in namespace ${owner.namespace}`;
}

/** The release that Helm's marks name, if any. */
export function markedOwner({ metadata }: KubeObject, defaultNamespace: string): ReleaseName | undefined {
  const annotations = metadata.annotations ?? {};
  const name = annotations['meta.helm.sh/release-name'];
  if (name === undefined) return undefined;
  return { name, namespace: annotations['meta.helm.sh/release-namespace'] ?? defaultNamespace };
}

/** Reads the annotation as Helm's uninstall does: without regard to case and spaces (pkg/action/resource_policy.go). */
export function isMarkedToStay({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[keepPolicy]?.trim().toLowerCase() === 'keep';
}

/** Returns true if the object has no mark of Helm, for example because somebody created it by hand. */
export function isUnowned({ metadata }: KubeObject): boolean {
  return metadata.annotations?.['meta.helm.sh/release-name'] === undefined;
}

/**
 * Returns why an object is not removed together with the revision that brought it, or undefined. If the last good
 * revision had the object too, the chart itself asks for the removal.
 */
export function keepReason(
  ref: ObjectRef,
  live: KubeObject,
  release: ReleaseName,
  wasGood: boolean,
): string | undefined {
  const annotations = live.metadata.annotations ?? {};
  if (isMarkedToStay(live)) return 'its resource policy is keep';
  const owner = otherOwner(live, release);
  const isUnmarked = annotations['meta.helm.sh/release-name'] === undefined;
  if (owner !== undefined && !(wasGood && isUnmarked)) return `it belongs to ${owner} now`;
  if (wasGood) return undefined;
  const controller = live.metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (controller !== undefined) return `it is controlled by ${controller.kind}/${controller.name} now`;
  if (dataKinds.has(`${apiGroup(ref.apiVersion)}/${ref.kind}`)) return 'it may hold data';
  return isCustomResource(ref)
    ? 'it is a custom resource, and its controller may delete what belongs to it'
    : undefined;
}

/** Returns the templates whose claims outlive the StatefulSet. */
export function claimTemplates(object: KubeObject): string[] {
  const spec = object['spec'];
  if (object.kind !== 'StatefulSet' || apiGroup(object.apiVersion) !== 'apps' || !isRecord(spec)) return [];
  const policy = spec['persistentVolumeClaimRetentionPolicy'];
  if (isRecord(policy) && policy['whenDeleted'] === 'Delete') return [];
  const templates = Array.isArray(spec['volumeClaimTemplates']) ? spec['volumeClaimTemplates'] : [];
  return templates.flatMap((template) => {
    const metadata = isRecord(template) ? template['metadata'] : undefined;
    return isRecord(metadata) && typeof metadata['name'] === 'string' ? [metadata['name']] : [];
  });
}

export interface Leftover {
  key: string;
  object: KubeObject;
  /** The last good revision had the object too, so the chart itself asks for the removal. */
  wasGood: boolean;
}

/** Returns the objects of `manifests` that `desired` lacks. `good` is the manifest of the last good revision. */
export function leftovers(
  manifests: readonly string[],
  good: string | undefined,
  desired: string,
  namespace: string,
): Leftover[] {
  const keyOf = (object: KubeObject): string => manifestKey(object, namespace);
  const desiredKeys = new Set(manifestObjects(desired).map(keyOf));
  const goodKeys = new Set(good === undefined ? [] : manifestObjects(good).map(keyOf));
  const found = new Map<string, Leftover>();
  for (const object of manifests.flatMap(manifestObjects)) {
    const key = keyOf(object);
    if (!desiredKeys.has(key)) found.set(key, { key, object, wasGood: goodKeys.has(key) });
  }
  return [...found.values()];
}

/**
 * Returns the objects of `desired` that `manifests` have and `good` lacks. The merge base must spare such an object if
 * it belongs to somebody else, because Helm takes over every object of its merge base without a message.
 */
export function newcomers(
  manifests: readonly string[],
  good: string | undefined,
  desired: string,
  namespace: string,
): { key: string; object: KubeObject }[] {
  const keysOf = (manifest: string): string[] => manifestObjects(manifest).map((one) => manifestKey(one, namespace));
  const known = new Set(manifests.flatMap(keysOf));
  const goodKeys = new Set(good === undefined ? [] : keysOf(good));
  const keyed = manifestObjects(desired).map((object) => ({ key: manifestKey(object, namespace), object }));
  return keyed.filter(({ key }) => known.has(key) && !goodKeys.has(key));
}

/**
 * Returns a manifest with everything that any of `manifests` (oldest first) declares and `desired` does not, in the API
 * versions of `desired`, because Helm 4.1.0 matches objects by version. Helm does not see the objects in `spared`.
 */
export function mergeBase(
  manifests: readonly string[],
  desired: string,
  namespace: string,
  spared: ReadonlySet<string>,
): string {
  const target = new Map(manifestObjects(desired).map((object) => [manifestKey(object, namespace), object]));
  const union = new Map<string, KubeObject>();
  for (const object of manifests.flatMap(manifestObjects)) {
    const key = manifestKey(object, namespace);
    const earlier = union.get(key);
    union.set(key, earlier === undefined ? object : (unionOf(earlier, object, '') as KubeObject));
  }
  const base = [...union].filter(([key]) => !spared.has(key));
  return base
    .map(([key, object]) => {
      const declared = target.get(key);
      return manifestDocument(declared === undefined ? identityOf(object) : remainderOf(object, declared));
    })
    .join('');
}

const keepPolicy = 'helm.sh/resource-policy';

/** Returns what Helm reads of an object that it removes, because the record may hold only 1 MiB. */
function identityOf({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, annotations } = metadata;
  const policy = annotations?.[keepPolicy];
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(policy === undefined ? {} : { annotations: { [keepPolicy]: policy } }),
    },
  };
}

/** The document is JSON, in which no text has another type. Escapes characters that go-yaml refuses or folds. */
export function manifestDocument(object: KubeObject): string {
  const escaped = JSON.stringify(object).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `---\n${escaped}\n`;
}

/**
 * Returns the parts of an object to remove, under its identity in the desired manifest, with a namespace only if that
 * manifest names it. Fields that both declare are left out: Helm merges objects without a type (custom resources, CRDs)
 * from base to desired, and would not send a field that is in both.
 */
function remainderOf(object: KubeObject, declared: KubeObject): KubeObject {
  const { apiVersion, kind } = declared;
  const { name, namespace } = declared.metadata;
  const { namespace: _, ...metadata } = emptied(without(object.metadata, declared.metadata)) as Fields;
  const rest = emptied(without(object, declared)) as Fields;
  return {
    ...rest,
    apiVersion,
    kind,
    metadata: namespace === undefined ? { ...metadata, name } : { ...metadata, name, namespace },
  };
}

/** To remove a field, Helm needs its name only. Items of lists stay whole: Helm may find them by any field. */
function emptied(value: unknown): unknown {
  if (typeof value === 'string' && value.length > longText) return '';
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, emptied(field)]));
}

const longText = 200;

type Fields = Readonly<Record<string, unknown>>;

function without(value: Fields, declared: Fields): Record<string, unknown> {
  const rest = Object.entries(value).flatMap(([name, field]): [string, unknown][] => {
    if (!Object.hasOwn(declared, name)) return [[name, field]];
    const declaredField = declared[name];
    if (isRecord(field) && isRecord(declaredField)) return nonEmpty(name, without(field, declaredField));
    if (Array.isArray(field) && Array.isArray(declaredField))
      return nonEmpty(name, withoutItems(field, declaredField, name));
    return [];
  });
  return Object.fromEntries(rest);
}

function nonEmpty(name: string, rest: object): [string, unknown][] {
  return Object.keys(rest).length === 0 ? [] : [[name, rest]];
}

function withoutItems(items: readonly unknown[], declared: readonly unknown[], field: string): unknown[] {
  if (primitiveSets.has(field)) return items.filter((item) => !declared.includes(item));
  const key = mergeKeyOf(field, [...items, ...declared]);
  if (key === undefined) return [];
  const declaredItems = byMergeKey(declared as Fields[], key);
  return (items as Fields[]).flatMap((item) => {
    const counterpart = declaredItems.get(item[key]);
    if (counterpart === undefined) return [item];
    const rest = without(item, counterpart);
    return Object.keys(rest).length === 0 ? [] : [{ [key]: item[key], ...rest }];
  });
}

/** Lists of texts that Kubernetes merges as sets. */
const primitiveSets = new Set(['finalizers', 'podCIDRs']);

/** Items with the same key count as one item, because a deletion by key would remove both. */
function byMergeKey(items: readonly Fields[], key: string): Map<unknown, Fields> {
  const byKey = new Map<unknown, Fields>();
  for (const item of items) {
    const known = byKey.get(item[key]);
    byKey.set(item[key], known === undefined ? item : unionOfFields(known, item));
  }
  return byKey;
}

/** The later value counts, but a plain value never replaces a map or list. */
function unionOf(earlier: unknown, later: unknown, field: string): unknown {
  if (isRecord(earlier) && isRecord(later)) return unionOfFields(earlier, later);
  if (Array.isArray(earlier) && Array.isArray(later)) return unionOfLists(earlier, later, field);
  const isStructured = (value: unknown): boolean => typeof value === 'object' && value !== null;
  return isStructured(earlier) && !isStructured(later) ? earlier : later;
}

function unionOfFields(earlier: Fields, later: Fields): Record<string, unknown> {
  const names = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries(
    [...names].map((name) => {
      if (!Object.hasOwn(later, name)) return [name, earlier[name]];
      return [name, Object.hasOwn(earlier, name) ? unionOf(earlier[name], later[name], name) : later[name]];
    }),
  );
}

function unionOfLists(earlier: readonly unknown[], later: readonly unknown[], field: string): unknown[] {
  const items = [...earlier, ...later];
  if (primitiveSets.has(field)) return [...new Set(items)];
  const key = mergeKeyOf(field, items);
  return key === undefined ? [...later] : [...byMergeKey(items as Fields[], key).values()];
}
