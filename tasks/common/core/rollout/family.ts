import { apiGroup, objectKey, refOf } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import type { EventRecord } from './events';
import { isBuiltIn } from '../kubernetes/groups';
import { listAt, numberAt, textAt } from '../kubernetes/read';
import { isRunner } from './runner';
import type { RolloutSnapshot } from './snapshot';

export type Lookup<Value> = Pick<ReadonlyMap<string, Value>, 'get'>;

/** The relations between the objects of one snapshot, so that judging takes time linear in their number. */
export interface Index {
  /** By the uid of any owner, also of one that is not the controller. */
  ownedBy: Lookup<readonly KubeObject[]>;
  eventsOf: Lookup<readonly EventRecord[]>;
  nodes: Pick<ReadonlyMap<string, KubeObject>, 'get' | 'values'>;
  claims: Lookup<KubeObject>;
}

export interface Family {
  /** The objects that create pods for the new revision. Their conditions and events show refused pods. */
  makers: readonly KubeObject[];
  pods: readonly KubeObject[];
  oldPods: readonly KubeObject[];
  /** These pods are being deleted. They may still show a cause. */
  ending: readonly KubeObject[];
  /** Pods of any revision that are being deleted. */
  leaving: readonly KubeObject[];
  /** False if it is not known which pods belong to the new revision. */
  isRevisionKnown: boolean;
  /** The workloads that a custom resource owns; its family holds all of theirs. */
  owned?: readonly KubeObject[];
}

export function indexOf(snapshot: RolloutSnapshot): Index {
  const ownedBy = new Map<string, KubeObject[]>();
  const nodes = new Map<string, KubeObject>();
  const claims = new Map<string, KubeObject>();
  const take = (object: KubeObject): void => {
    const { name, namespace } = object.metadata;
    if (object.kind === 'Node') nodes.set(name, object);
    if (object.kind === 'PersistentVolumeClaim') claims.set(claimKey(namespace, name), object);
    for (const uid of ownersOf(object)) push(ownedBy, uid, object);
  };
  // Most followed objects are also in `around`. The followed copy counts, because it is the one that is judged.
  const followed = new Map<string, KubeObject>();
  for (const { object } of snapshot.followed) if (object !== undefined) followed.set(identity(object), object);
  for (const object of snapshot.around) {
    take(followed.get(identity(object)) ?? object);
    followed.delete(identity(object));
  }
  for (const object of followed.values()) take(object);
  for (const node of snapshot.facts?.nodes?.nodes ?? []) nodes.set(node.metadata.name, node);
  const eventsOf = new Map<string, EventRecord[]>();
  for (const event of snapshot.events) push(eventsOf, event.about.uid, event);
  return { ownedBy, eventsOf, nodes, claims };
}

export function ownersOf({ metadata }: KubeObject): string[] {
  return [...new Set((metadata.ownerReferences ?? []).map(({ uid }) => uid))];
}

function identity(object: KubeObject): string {
  return object.metadata.uid ?? objectKey(refOf(object));
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function controllerOf(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)?.uid;
}

export function claimKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

/** Undefined for kinds that create no pods, and for custom resources that own no workload. */
export function familyOf(object: KubeObject, index: Index): Family | undefined {
  const group = apiGroup(object.apiVersion);
  switch (group === '' ? object.kind : `${group}/${object.kind}`) {
    case 'apps/Deployment':
      return deploymentFamily(object, index);
    case 'apps/StatefulSet':
      return revisionFamily(object, index, 'controller-revision-hash', textAt(object, 'status', 'updateRevision'));
    case 'apps/DaemonSet':
      return revisionFamily(
        object,
        index,
        'pod-template-generation',
        object.metadata.annotations?.['deprecated.daemonset.template.generation'] ?? '',
      );
    case 'apps/ReplicaSet':
    case 'ReplicationController':
    case 'batch/Job':
      return family([object], childrenOfKind(object, index, 'Pod'), []);
    case 'Pod':
      return family([], [object], []);
    default:
      return isBuiltIn(group) ? undefined : customFamily(object, index);
  }
}

function customFamily(object: KubeObject, index: Index): Family | undefined {
  const owned = ownedWorkloads(object, index);
  const families = owned.flatMap((workload) => familyOf(workload, index) ?? []);
  if (families.length === 0) return undefined;
  return {
    makers: families.flatMap(({ makers }) => makers),
    pods: families.flatMap(({ pods }) => pods),
    oldPods: families.flatMap(({ oldPods }) => oldPods),
    ending: families.flatMap(({ ending }) => ending),
    leaving: families.flatMap(({ leaving }) => leaving),
    isRevisionKnown: families.every(({ isRevisionKnown }) => isRevisionKnown),
    owned,
  };
}

/** Owner references can form long chains and circles. */
const maximumLevels = 20;

/** The workloads nearest to the object among all that it owns. */
function ownedWorkloads({ metadata: { uid } }: KubeObject, index: Index): KubeObject[] {
  const seen = new Set<string>();
  const workloads: KubeObject[] = [];
  let level = uid === undefined ? [] : [uid];
  for (let depth = 0; depth < maximumLevels && level.length > 0; depth += 1) {
    const below: string[] = [];
    for (const child of level.flatMap((owner) => index.ownedBy.get(owner) ?? [])) {
      const childUid = child.metadata.uid ?? '';
      if (childUid === uid || seen.has(childUid)) continue;
      seen.add(childUid);
      if (isRunner(refOf(child))) workloads.push(child);
      else below.push(childUid);
    }
    level = below;
  }
  return workloads;
}

/** kubectl compares templates instead, which needs the API server's defaults. */
function deploymentFamily(object: KubeObject, index: Index): Family {
  const revision = 'deployment.kubernetes.io/revision';
  const sets = childrenOfKind(object, index, 'ReplicaSet');
  const current = object.metadata.annotations?.[revision];
  const isObserved = numberAt(object, 'status', 'observedGeneration') === (object.metadata.generation ?? 0);
  const newSet = isObserved ? sets.find((set) => set.metadata.annotations?.[revision] === current) : undefined;
  const podsOf = (set: KubeObject): readonly KubeObject[] => childrenOfKind(set, index, 'Pod');
  const old = sets.filter((set) => set !== newSet).flatMap(podsOf);
  if (newSet === undefined) return { ...family([object], [], old), isRevisionKnown: false };
  return family([newSet, object], podsOf(newSet), old);
}

function revisionFamily(object: KubeObject, index: Index, label: string, revision: string): Family {
  const pods = childrenOfKind(object, index, 'Pod');
  if (revision === '') return { ...family([object], pods, []), isRevisionKnown: false };
  const isNew = (pod: KubeObject): boolean => pod.metadata.labels?.[label] === revision;
  return family(
    [object],
    pods.filter(isNew),
    pods.filter((pod) => !isNew(pod)),
  );
}

function family(makers: readonly KubeObject[], pods: readonly KubeObject[], oldPods: readonly KubeObject[]): Family {
  return {
    makers,
    pods: pods.filter((pod) => !isEnding(pod)),
    oldPods: oldPods.filter((pod) => !isEnding(pod)),
    ending: pods.filter(isEnding),
    leaving: [...pods, ...oldPods].filter(isEnding),
    isRevisionKnown: true,
  };
}

export function isEnding({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function childrenOfKind(object: KubeObject, index: Index, kind: string): readonly KubeObject[] {
  const uid = object.metadata.uid;
  if (uid === undefined) return [];
  return (index.ownedBy.get(uid) ?? []).filter((child) => child.kind === kind && controllerOf(child) === uid);
}

export function eventsAbout(object: KubeObject, index: Index): readonly EventRecord[] {
  return index.eventsOf.get(object.metadata.uid ?? '') ?? [];
}

export function claimsOf(pod: KubeObject, index: Index): readonly KubeObject[] {
  return listAt(pod, 'spec', 'volumes').flatMap((volume) => {
    const name = textAt(volume, 'persistentVolumeClaim', 'claimName');
    return index.claims.get(claimKey(pod.metadata.namespace, name)) ?? [];
  });
}

/** Workloads whose new revision is not known are left out. */
export function newPods(
  followed: RolloutSnapshot['followed'],
  index: Index,
): { workload: ObjectRef; pod: KubeObject }[] {
  return followed.flatMap(({ ref, object }) => {
    const family = object === undefined ? undefined : familyOf(object, index);
    if (family?.isRevisionKnown !== true) return [];
    return family.pods.map((pod) => ({ workload: ref, pod }));
  });
}
