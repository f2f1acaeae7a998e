import { counted } from '../text/counted';
import { apiGroup, manifestKey, manifestObjects } from '../kubernetes/manifest';
import { isCustomResource } from '../kubernetes/groups';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { sinceUninstall } from './history';
import { isMarkedToStay, isUnowned, manifestDocument, mayHoldData, otherOwner } from './mergeBase';
import { isOlder } from './preexisting';
import type { Revision } from './release';

/*
 * Dropped data are objects that may hold data and that the new revision no longer declares. Helm would delete them in
 * the upgrade, and a rollback would create them empty. So they are not in Helm's base, and the task decides about them
 * when the new revision is verified.
 */

export interface DroppedData {
  key: string;
  object: KubeObject;
  /** A revision that did not fail declared the object, so the chart itself asks for the removal. */
  wasGood: boolean;
  first: Revision;
}

/** In the order of deletion: custom resources first, namespaces last. */
export function droppedData(history: readonly Revision[], wanted: string, namespace: string): DroppedData[] {
  const wantedKeys = new Set(manifestObjects(wanted).map((object) => manifestKey(object, namespace)));
  const found = new Map<string, DroppedData>();
  for (const revision of sinceUninstall(history)) {
    for (const object of manifestObjects(revision.manifest).filter(mayHoldData)) {
      const key = manifestKey(object, namespace);
      const { first, wasGood } = found.get(key) ?? { first: revision, wasGood: false };
      if (!wantedKeys.has(key))
        found.set(key, { key, object, first, wasGood: wasGood || revision.status !== 'failed' });
    }
  }
  return [...found.values()].sort((one, other) => turnOf(one.object) - turnOf(other.object));
}

const lastKinds = ['PersistentVolumeClaim', 'CustomResourceDefinition', 'PersistentVolume', 'Namespace'];

function turnOf({ apiVersion, kind }: KubeObject): number {
  return isCustomResource({ apiVersion }) ? -1 : lastKinds.indexOf(kind);
}

/** An object that only failed revisions declare may be older than they are. */
export function isForUsToDelete(
  { wasGood, first }: Pick<DroppedData, 'wasGood' | 'first'>,
  live: KubeObject,
  release: { name: string; namespace: string },
): boolean {
  const { deletionTimestamp, ownerReferences = [] } = live.metadata;
  const isControlled = ownerReferences.some(({ controller }) => controller === true);
  const isOurs = wasGood
    ? isUnowned(live) || otherOwner(live, release) === undefined
    : otherOwner(live, release) === undefined && !isOlder(live, first);
  return isOurs && !isControlled && !isMarkedToStay(live) && deletionTimestamp === undefined;
}

export function manifestWithout(manifest: string, namespace: string, keys: ReadonlySet<string>): string {
  return manifestObjects(manifest)
    .filter((object) => !keys.has(manifestKey(object, namespace)))
    .map(manifestDocument)
    .join('');
}

/** The claims of a StatefulSet have no owner by default, so a StatefulSet with templates counts as well. */
export function ownsClaims(owner: KubeObject, claims: readonly KubeObject[], sets: readonly KubeObject[]): boolean {
  const isOwnedBy = ({ metadata }: KubeObject, { metadata: { uid } }: KubeObject): boolean =>
    uid !== undefined && metadata.ownerReferences?.some((reference) => reference.uid === uid) === true;
  const owned = sets.filter((set) => isOwnedBy(set, owner));
  return (
    owned.some((set) => hasClaimTemplates(set)) ||
    claims.some((claim) => [owner, ...owned].some((each) => isOwnedBy(claim, each)))
  );
}

function hasClaimTemplates({ spec }: KubeObject): boolean {
  const templates = (spec as { volumeClaimTemplates?: unknown } | undefined)?.volumeClaimTemplates;
  return Array.isArray(templates) && templates.length > 0;
}

export interface DataFacts {
  ref: ObjectRef;
  wasGood: boolean;
  deleteData: boolean;
  namespace: string;
  /** True if the custom resource owns claims; undefined if that is not known. */
  hasClaims?: boolean | undefined;
  /** The number of objects of the defined kind; undefined if it is not known. */
  instances?: number | undefined;
}

export function reasonToKeep(facts: DataFacts): string | undefined {
  const { ref, wasGood, deleteData, namespace } = facts;
  if (ref.kind === 'Namespace' && ref.name === namespace) return 'it contains the release itself';
  if (isCustomResource(ref) && wasGood && facts.hasClaims === false) return undefined;
  if (!deleteData) return `${whyData(facts)}; deleteData: true deletes it`;
  if (ref.kind !== 'CustomResourceDefinition' || apiGroup(ref.apiVersion) !== 'apiextensions.k8s.io') return undefined;
  if (facts.instances === 0) return undefined;
  return facts.instances === undefined
    ? 'the objects of its kind could not be counted, and they would be deleted with it'
    : `there ${facts.instances === 1 ? 'is' : 'are'} ${counted(facts.instances, 'object', 'objects')} of its kind, which would be deleted with it`;
}

function whyData({ ref, wasGood, hasClaims }: DataFacts): string {
  if (!isCustomResource(ref)) return 'it may hold data';
  if (!wasGood) return 'only a revision that failed declared it';
  return hasClaims === true ? 'it owns claims, which may hold data' : 'the claims that it may own could not be read';
}
