import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';
import { eventRecord, type EventRecord } from './events';
import type { FollowSnapshot } from '../kubernetes/queries';

/** One object that the rollout has to bring to health. */
export interface FollowedRef {
  ref: ObjectRef;
  /** A hook is given up early only for what is certain: it runs once, and what hinders it may pass. */
  purpose: 'object' | 'hook';
  /** Removes itself when it has ended (a Job with ttlSecondsAfterFinished), so its absence is no fault. */
  removesItself?: boolean;
  /** Helm was not done with the revision that declares it: what Helm's record calls that revision. */
  halfApplied?: string;
  /** What the change has made of it: a reading with a smaller generation is from before. */
  generation?: number;
}

/** `object` is absent when it was looked for and is not there. */
export interface FollowedObject extends FollowedRef {
  object?: KubeObject;
}

/** A kind that could not be read: its objects are unknown, not absent. */
export interface UnreadKind {
  apiVersion: string;
  kind: string;
  namespace?: string;
  reason: string;
  message: string;
}

/** All that one moment's reading knows. Plain data, JSON both ways. */
export interface RolloutSnapshot {
  followed: readonly FollowedObject[];
  /** ReplicaSets, pods, claims, jobs, nodes …: whatever was read around the followed objects, in any order. */
  around: readonly KubeObject[];
  events: readonly EventRecord[];
  unread: readonly UnreadKind[];
}

/** A reading of the follower, sorted into what is judged, what explains it, and what could not be read. */
export function rolloutSnapshot(followed: readonly FollowedRef[], reading: FollowSnapshot): RolloutSnapshot {
  const objects = [...reading.objects.values()];
  return {
    followed: followed.map((item) => {
      const object = reading.objects.get(objectKey(item.ref));
      return object === undefined ? { ...item } : { ...item, object };
    }),
    around: objects.filter((object) => object.kind !== 'Event'),
    events: objects.filter((object) => object.kind === 'Event').map(recordOf),
    unread: reading.unread.map(({ query, reason, message }) => ({
      apiVersion: query.apiVersion,
      kind: query.kind,
      ...(query.namespace === undefined ? {} : { namespace: query.namespace }),
      reason,
      message,
    })),
  };
}

/** An event that comes again is another object, so each is read once, whatever the number of readings that hold it. */
const records = new WeakMap<KubeObject, EventRecord>();

function recordOf(event: KubeObject): EventRecord {
  const known = records.get(event);
  if (known !== undefined) return known;
  const record = eventRecord(event);
  records.set(event, record);
  return record;
}
