import { isBuiltIn } from '../kubernetes/groups';
import { apiGroup, manifestObjects, objectName, refOf } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { at, listAt, numberAt, timeAt } from '../kubernetes/read';
import { isSame } from '../kubernetes/sameValue';
import { changedNothing } from '../release/history';
import type { Revision } from '../release/release';
import { isJudged } from '../status/result';
import { counted } from '../text/counted';
import { someNames } from '../text/someNames';
import { familyOf, type Index } from './family';
import { podHold } from './heldPods';
import type { WorkloadVerdict } from './model';
import { contentOf, readAtStart, type ReadAtStart } from './readAtStart';
import { isRunner } from './runner';
import type { FollowedObject } from './snapshot';

/** Why a revision is not verified although all of it is as declared: no pod has run a part of it. */
export interface Reservation {
  ref: ObjectRef;
  reason: 'NoReplicas' | 'PodsHeldBack' | 'Suspended' | 'ConfigNotRead' | 'NotJudged';
  /** A sentence. */
  message: string;
}

export interface ReleaseHistory {
  revision: Revision;
  /** Oldest first. Later revisions do not matter. */
  history: readonly Revision[];
}

/** For a rollout that is healthy. Without `release`, it is not known which ConfigMaps have changed. */
export function reservationsOf(
  followed: readonly FollowedObject[],
  index: Index,
  workloads: readonly WorkloadVerdict[],
  release?: ReleaseHistory,
): Reservation[] {
  const objects = followed.flatMap(({ object, purpose }) =>
    object === undefined || purpose === 'hook' ? [] : [object],
  );
  const unrun = objects.flatMap((object) => unrunReservation(object) ?? []);
  const unread = release === undefined ? [] : configReservations(index, objects, release);
  return [...unrun, ...unread, ...blindReservations(workloads)];
}

function unrunReservation(object: KubeObject): Reservation | undefined {
  const ref = refOf(object);
  const name = objectName(ref);
  if (ref.kind === 'Job' && at(object, 'spec', 'suspend') === true) {
    return { ref, reason: 'Suspended', message: `${name} is suspended, so no pod of it has run.` };
  }
  if (!isRunner(ref) || ref.kind === 'Job' || ref.kind === 'Pod') return undefined;
  if (at(object, 'spec', 'replicas') === 0) {
    return { ref, reason: 'NoReplicas', message: `${name} has no replicas, so no pod of it has run.` };
  }
  const isDaemonSet = ref.kind === 'DaemonSet';
  if (isDaemonSet && numberAt(object, 'status', 'desiredNumberScheduled') === 0) {
    return { ref, reason: 'NoReplicas', message: `No node takes a pod of ${name}, so none has run.` };
  }
  const hold = podHold(object);
  const updated = numberAt(object, 'status', isDaemonSet ? 'updatedNumberScheduled' : 'updatedReplicas');
  if (hold === undefined || updated > 0) return undefined;
  return { ref, reason: 'PodsHeldBack', message: `No pod of ${name} has its new template, because ${hold.why}.` };
}

/** Objects that nobody judged prove nothing by themselves: something else has to be seen at work. */
function blindReservations(workloads: readonly WorkloadVerdict[]): Reservation[] {
  const blind = workloads.filter(({ health, status }) => health === 'healthy' && !isJudged(status));
  const isWitness = ({ ref, status }: WorkloadVerdict): boolean =>
    isJudged(status) && (isRunner(ref) || !isBuiltIn(apiGroup(ref.apiVersion)));
  if (workloads.some(isWitness)) return [];
  return blind.map(({ ref, status }) => ({
    ref,
    reason: 'NotJudged',
    message: `${objectName(ref)}: ${status.message}`,
  }));
}

const namedAtMost = 5;

/** Pods that have read a ConfigMap or Secret at their start, in an earlier revision that declared something else. */
function configReservations(index: Index, objects: readonly KubeObject[], release: ReleaseHistory): Reservation[] {
  const since = release.revision.createdAt?.getTime();
  if (since === undefined) return [];
  const declared = declarations(release);
  return objects.flatMap((object) => {
    const ref = refOf(object);
    if (!isRunner(ref) || ref.kind === 'Job') return [];
    const reads = readAtStart(at(object, 'spec', 'template', 'spec') ?? at(object, 'spec'));
    const pods = reads.length === 0 ? [] : (familyOf(object, index)?.pods ?? []);
    const old = pods.filter((pod) => timeAt(pod, 'metadata', 'creationTimestamp') < since);
    const stale = old.map((pod) => reads.filter((read) => declared.isOther(read, ref.namespace, startOf(pod, read))));
    const names = [...new Set(stale.flat().map(({ kind, name }) => `${kind}/${name}`))];
    const count = stale.filter(({ length }) => length > 0).length;
    if (count === 0) return [];
    const which = `${counted(count, 'running pod of', 'running pods of')} ${objectName(ref)}`;
    const message = `${which} ${count === 1 ? 'has' : 'have'} read ${someNames(names, namedAtMost)} before it changed, and will read it again only at the next start.`;
    return [{ ref, reason: 'ConfigNotRead' as const, message }];
  });
}

/** When the container started that reads. 0 if it is not known. */
function startOf(pod: KubeObject, { container }: ReadAtStart): number {
  const status = listAt(pod, 'status', 'containerStatuses').find(({ name }) => name === container);
  return Math.max(timeAt(pod, 'metadata', 'creationTimestamp'), timeAt(status, 'state', 'running', 'startedAt'));
}

interface Declarations {
  /** True if a container that started at `time` has read something else than the revision declares. */
  isOther(read: ReadAtStart, namespace: string | undefined, time: number): boolean;
}

function declarations({ revision, history }: ReleaseHistory): Declarations {
  const applied = history.filter(
    (one) =>
      one.revision <= revision.revision &&
      one.createdAt !== undefined &&
      !changedNothing(one, 'pre-install') &&
      !changedNothing(one, 'pre-upgrade'),
  );
  const parsed = new Map<number, readonly KubeObject[]>();
  const objectsOf = ({ revision: number, manifest }: Revision): readonly KubeObject[] => {
    const known = parsed.get(number) ?? manifestObjects(manifest);
    parsed.set(number, known);
    return known;
  };
  const find = (of: Revision, { kind, name }: ReadAtStart, namespace: string | undefined): KubeObject | undefined =>
    objectsOf(of).find(
      ({ apiVersion, kind: other, metadata }) =>
        apiVersion === 'v1' &&
        other === kind &&
        metadata.name === name &&
        (metadata.namespace ?? revision.namespace) === namespace,
    );
  return {
    isOther(read, namespace, time) {
      if (time === 0) return false;
      const then = applied.findLast(({ createdAt }) => (createdAt?.getTime() ?? Infinity) <= time) ?? applied[0];
      if (then === undefined || then.revision === revision.revision) return false;
      const [before, now] = [find(then, read, namespace), find(revision, read, namespace)];
      if (before === undefined || now === undefined) return false;
      return !isSame(contentOf(before, read.key), contentOf(now, read.key));
    },
  };
}
