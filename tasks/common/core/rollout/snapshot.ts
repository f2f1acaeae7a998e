import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';
import { eventRecord, type EventRecord } from './events';
import type { Facts } from './facts';
import type { FollowSnapshot } from '../kubernetes/queries';

/** One object that the rollout must make healthy. */
export interface FollowedRef {
  ref: ObjectRef;
  /** A hook fails early only for a certain cause: it runs once, and obstacles may disappear. */
  purpose: 'object' | 'hook';
  /**
   * True for an object that is removed after it has ended (a Job with ttlSecondsAfterFinished), so its absence is no
   * failure.
   */
  removesItself?: boolean;
  /** The status of the declaring revision in Helm's record, if Helm did not complete that revision. */
  halfApplied?: string;
  /** The generation after the change; a snapshot with a smaller generation is older than the change. */
  generation?: number;
}

/** `object` is absent if it was looked up and does not exist. */
export interface FollowedObject extends FollowedRef {
  object?: KubeObject;
}

/** A kind that could not be read. The existence of its objects is unknown. */
export interface UnreadKind {
  apiVersion: string;
  kind: string;
  namespace?: string;
  reason: string;
  message: string;
}

/** All data read at one moment. Plain data that survives JSON. */
export interface RolloutSnapshot {
  followed: readonly FollowedObject[];
  /** ReplicaSets, pods, claims, Jobs, nodes and so on: all objects read around the followed ones, in any order. */
  around: readonly KubeObject[];
  events: readonly EventRecord[];
  unread: readonly UnreadKind[];
  facts?: Facts;
}

/** Sorts a snapshot of the follower into followed objects, surrounding objects, events and unread kinds. */
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

/** A repeated event is a new object, so each one is converted only once, even if many snapshots contain it. */
const records = new WeakMap<KubeObject, EventRecord>();

function recordOf(event: KubeObject): EventRecord {
  const known = records.get(event);
  if (known !== undefined) return known;
  const record = eventRecord(event);
  records.set(event, record);
  return record;
}
