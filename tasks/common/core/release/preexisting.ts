import { hasSameKey, itemKeyOf } from '../kubernetes/listKeys';
import { ownersOf } from '../kubernetes/fieldOwners';
import { lastField, type Path } from '../kubernetes/fieldPath';
import { chainFrom, sinceUninstall, lastGood } from './history';
import { isRecord } from '../kubernetes/json';
import { creation, type KubeObject, type ObjectMeta } from '../kubernetes/object';
import {
  apiGroup,
  hookObject,
  isSecret,
  manifestKey,
  manifestObjects,
  desiredFromManifest,
} from '../kubernetes/manifest';
import type { Revision } from './release';
import { otherOwner, type ReleaseName } from './mergeBase';
import { isSame } from '../kubernetes/sameValue';
import type { Rendering } from './unchanged';

/*
 * Objects that existed before a deploy and that Helm takes over, with --take-ownership or because they have its marks.
 * They are in the manifest from then on, so that a rollback, an uninstall or the removal of leftovers would remove them
 * (measured with 3.17.3, 4.1.4 and 4.2.3). Two rules prevent this:
 *
 * - A pre-existing object is never removed. It is older than the record of the first revision that declares it, which
 *   Helm creates before any object, or a run has seen its uid.
 * - A pre-existing object is restored. A Secret keeps it from before Helm runs until the end of the run.
 */

/** An object from before Helm ran, without its status. */
export interface KeptObject {
  object: KubeObject;
  purpose: 'object' | 'hook';
}

/** An object that Helm is about to write. `key` is its `manifestKey`. */
export interface Candidate {
  key: string;
  object: KubeObject;
  purpose: KeptObject['purpose'];
}

/** Returns the objects and hooks that the last good revision lacks: only these can belong to somebody else. */
export function candidates(
  { manifest, hooks }: Pick<Rendering, 'manifest' | 'hooks'>,
  history: readonly Revision[],
  good: Revision | undefined,
  namespace: string,
): Candidate[] {
  const keyed = (purpose: Candidate['purpose']) => (object: KubeObject) =>
    ({ key: manifestKey(object, namespace), object, purpose }) satisfies Candidate;
  const declared = desiredFromManifest(manifest, namespace).map(keyed('object'));
  const known = new Set(good === undefined ? [] : keysOf(good.manifest, namespace));
  const otherwiseKnown = new Set([
    ...known,
    ...declared.map(({ key }) => key),
    ...sinceUninstall(history).flatMap((revision) => hooksOf(revision).map((hook) => manifestKey(hook, namespace))),
  ]);
  const ofHooks = new Map(
    hooksOf({ hooks })
      .map(keyed('hook'))
      .filter(({ key }) => !otherwiseKnown.has(key))
      .map((each) => [each.key, each]),
  );
  return [...declared.filter(({ key }) => !known.has(key)), ...ofHooks.values()];
}

function keysOf(manifest: string, namespace: string): string[] {
  return manifestObjects(manifest).map((object) => manifestKey(object, namespace));
}

function hooksOf({ hooks }: Pick<Rendering, 'hooks'>): KubeObject[] {
  return hooks
    .filter(({ events }) => events.some((event) => event !== 'test' && event !== 'test-success'))
    .flatMap(({ manifest }) => hookObject(manifest) ?? []);
}

/** Returns, by the key of each object, the first of these revisions (oldest first) that declares it. */
export function firstDeclared(
  revisions: readonly Pick<Revision, 'manifest' | 'revision' | 'createdAt'>[],
  namespace: string,
): Map<string, Pick<Revision, 'revision' | 'createdAt'>> {
  const first = new Map<string, Pick<Revision, 'revision' | 'createdAt'>>();
  for (const revision of revisions) {
    for (const key of keysOf(revision.manifest, namespace)) if (!first.has(key)) first.set(key, revision);
  }
  return first;
}

/**
 * Returns the failed revisions after the last good one that first declare an object. Without their records, an object
 * that a later failed revision declares too would count as pre-existing.
 */
export function firstDeclarers(history: readonly Revision[], namespace: string): ReadonlySet<number> {
  const good = lastGood(history);
  const firsts = [...firstDeclared(chainFrom(history, good), namespace).values()];
  return new Set(firsts.map(({ revision }) => revision).filter((revision) => revision !== good?.revision));
}

/** Both times are from the API server, to the second. */
export function isOlder(live: KubeObject, since: Pick<Revision, 'createdAt'> | undefined): boolean {
  const created = creation(live);
  return created !== undefined && since?.createdAt !== undefined && created < since.createdAt;
}

/** `since` is the first failed revision after the last good one that declares the object. */
export function isPreexisting(
  live: KubeObject,
  since: Pick<Revision, 'createdAt'> | undefined,
  release: ReleaseName,
  known: ReadonlySet<string>,
): boolean {
  if (since === undefined || otherOwner(live, release) !== undefined) return true;
  return isOlder(live, since) || known.has(live.metadata.uid ?? '');
}

export function kept(live: KubeObject, purpose: KeptObject['purpose']): KeptObject {
  const { status: _, ...object } = live;
  return { object, purpose };
}

/** A Secret of another namespace may not be kept, because other people may read the Secrets of this namespace. */
export function mayBeKept({ object }: KeptObject, namespace: string): boolean {
  return !isSecret(object) || object.metadata.namespace === namespace;
}

/** Returns the uids of objects that must not be removed. */
export function knownUids(preexisting: readonly KeptObject[]): Set<string> {
  return new Set(preexisting.map(({ object }) => object.metadata.uid ?? ''));
}

/** Returns the items that fit together below a limit, small ones first. `bytes` has their sizes in the same order. */
export function fitting<T>(items: readonly T[], bytes: readonly number[], limit: number): Set<T> {
  const order = items.map((item, index) => ({ item, size: bytes[index] ?? Infinity }));
  let left = limit;
  const fits = order
    .sort((one, other) => one.size - other.size)
    .filter(({ size }) => {
      left -= size;
      return left >= 0;
    });
  return new Set(fits.map(({ item }) => item));
}

export type Restoration =
  | { action: 'nothing' }
  | { action: 'create'; object: KubeObject }
  /** The chart made the object immutable, so only a new object can have the old content. */
  | { action: 'replace'; uid: string; object: KubeObject }
  /** JSON merge patches. `metadata` has only labels and annotations, in case the API server refuses `patch`. */
  | { action: 'patch'; patch: Patch; metadata: Patch }
  /** `why` is a clause: «it is gone, …». */
  | { action: 'leave'; why: string };

type Patch = Readonly<Record<string, unknown>>;

const runsAgain = new Set(['batch/Job', '/Pod']);
const holdsData = new Set([
  '/PersistentVolumeClaim',
  '/PersistentVolume',
  '/Namespace',
  'apiextensions.k8s.io/CustomResourceDefinition',
]);

/** Later writes of managers other than Helm stay, for example the replicas of an autoscaler. */
export function restoration({ object: before, purpose }: KeptObject, live: KubeObject | undefined): Restoration {
  const kind = `${apiGroup(before.apiVersion)}/${before.kind}`;
  if (live === undefined) return recreation(before, kind);
  if (live.metadata.deletionTimestamp !== undefined) return { action: 'leave', why: 'it is being deleted' };
  const isAnew = live.metadata.uid !== before.metadata.uid;
  if (isAnew && !isHelms(live)) return { action: 'leave', why: 'somebody has deleted it and created a new one' };
  if (runsAgain.has(kind) && (isAnew || purpose === 'hook')) {
    return isAnew ? { action: 'leave', why: 'Helm has replaced it, and it would run again' } : { action: 'nothing' };
  }
  return correction(before, live);
}

function recreation(before: KubeObject, kind: string): Restoration {
  if (runsAgain.has(kind)) return { action: 'leave', why: 'it is gone, and a new one would run again' };
  if (holdsData.has(kind)) return { action: 'leave', why: 'it is gone, and a new one would be empty' };
  return { action: 'create', object: withoutServerFields(before) };
}

function correction(before: KubeObject, live: KubeObject): Restoration {
  const now = contentOf(live);
  const patch = mergePatch(now, restored(contentOf(before), now, isOthersIn(live), []));
  if (patch === undefined) return { action: 'nothing' };
  const { metadata = {}, ...content } = patch as { metadata?: Patch };
  if (live['immutable'] === true && Object.keys(content).length > 0) {
    return { action: 'replace', uid: live.metadata.uid ?? '', object: withoutServerFields(before) };
  }
  return { action: 'patch', patch: onto(live, patch), metadata: onto(live, { metadata }) };
}

/** The API server refuses this patch if the object was changed or replaced after it was read. */
function onto({ metadata }: KubeObject, patch: Patch): Patch {
  const { uid, resourceVersion } = metadata;
  return { ...patch, metadata: { ...(patch['metadata'] as Patch | undefined), uid, resourceVersion } };
}

function withoutServerFields(object: KubeObject): KubeObject {
  const { name, namespace, labels, annotations, finalizers, ownerReferences } = object.metadata;
  const optional = { namespace, labels, annotations, finalizers, ownerReferences };
  const given = Object.entries(optional).filter(([, value]) => value !== undefined);
  return { ...object, metadata: { name, ...Object.fromEntries(given) } };
}

/** The field manager of Helm (pkg/kube, ManagedFieldsManager). */
const helmManager = 'helm';

function isHelms({ metadata }: KubeObject): boolean {
  const isMarked = metadata.annotations?.['meta.helm.sh/release-name'] !== undefined;
  return isMarked || (metadata.managedFields ?? []).some(({ manager }) => manager === helmManager);
}

/** Returns true if only managers other than Helm set a field. */
function isOthersIn(live: KubeObject): (path: Path) => boolean {
  return (path) => {
    const owners = ownersOf(live, path);
    return owners.length > 0 && owners.every(({ manager }) => manager !== helmManager);
  };
}

/** Returns the fields that Helm can have written. */
function contentOf(object: KubeObject): Fields {
  const { status: _, metadata, ...rest } = object;
  return { ...rest, metadata: ownMetadata(metadata) };
}

function ownMetadata({ labels, annotations, finalizers, ownerReferences }: ObjectMeta): Fields {
  const own = Object.entries({ labels, annotations, finalizers, ownerReferences });
  return Object.fromEntries(own.filter(([, value]) => value !== undefined));
}

type Fields = Readonly<Record<string, unknown>>;
type IsOthers = (path: Path) => boolean;

/** Returns `before`, with the fields that others have set in `live` since then. */
function restored(before: unknown, live: unknown, isOthers: IsOthers, path: Path): unknown {
  if (isSame(before, live)) return live;
  if (isRecord(live) && (isRecord(before) || before === undefined)) return restoredFields(before, live, isOthers, path);
  const by = Array.isArray(before) && Array.isArray(live) ? itemKeyOf(lastField(path), [before, live]) : undefined;
  if (by !== undefined)
    return restoredItems({ before: before as Fields[], live: live as Fields[], by }, isOthers, path);
  return live !== undefined && isOthers(path) ? live : before;
}

function restoredFields(before: Fields | undefined, live: Fields, isOthers: IsOthers, path: Path): unknown {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(live)])];
  const fields = names
    .map((field): [string, unknown] => [field, restored(before?.[field], live[field], isOthers, [...path, field])])
    .filter(([, value]) => value !== undefined);
  return before === undefined && fields.length === 0 ? undefined : Object.fromEntries(fields);
}

function restoredItems(
  { before, live, by }: { before: readonly Fields[]; live: readonly Fields[]; by: readonly string[] },
  isOthers: IsOthers,
  path: Path,
): unknown[] {
  const there = before.map((item) => {
    const counterpart = live.find((each) => hasSameKey(each, item, by));
    return counterpart === undefined ? item : restored(item, counterpart, isOthers, [...path, { item, by }]);
  });
  const surplus = live.filter((item) => !before.some((each) => hasSameKey(each, item, by)));
  return [...there, ...surplus.filter((item) => isOthers([...path, { item, by }]))];
}

/** Returns a JSON merge patch (RFC 7396), or undefined if there is no difference. */
function mergePatch(from: Fields, to: unknown): Patch | undefined {
  if (!isRecord(to)) return undefined;
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].filter(
    (name) => !isSame(from[name], to[name]),
  );
  if (names.length === 0) return undefined;
  return Object.fromEntries(
    names.map((name) => {
      const [one, other] = [from[name], to[name]];
      if (isRecord(one) && isRecord(other)) return [name, mergePatch(one, other)];
      return [name, other ?? null];
    }),
  );
}
