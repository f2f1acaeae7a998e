import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';
import { eventRecord, type EventRecord } from './events';
import type { Facts } from './facts';
import type { FollowSnapshot } from '../kubernetes/queries';

export interface FollowedRef {
  ref: ObjectRef;
  /** A hook fails early only for a certain cause: it runs once, and obstacles may disappear. */
  purpose: 'object' | 'hook';
  /** A Job with ttlSecondsAfterFinished, for example. */
  removesItself?: boolean;
  /** The status in Helm's record, if the revision was not completed. */
  halfApplied?: string;
  /** A snapshot with a smaller generation is older than the change. */
  generation?: number;
}

/** `object` is absent if it was looked up and does not exist. */
export interface FollowedObject extends FollowedRef {
  object?: KubeObject;
}

export interface UnreadKind {
  apiVersion: string;
  kind: string;
  namespace?: string;
  reason: string;
  message: string;
}

/** Plain data. */
export interface RolloutSnapshot {
  followed: readonly FollowedObject[];
  /** All objects read around the followed ones. */
  around: readonly KubeObject[];
  events: readonly EventRecord[];
  unread: readonly UnreadKind[];
  facts?: Facts;
}

export function rolloutSnapshot(followed: readonly FollowedRef[], reading: FollowSnapshot): RolloutSnapshot {
  const objects = [...reading.objects.values()];
  return {
    followed: followed.map((item) => {
      const object = reading.objects.get(objectKey(item.ref));
      return object === undefined ? { ...item } : { ...item, object };
    }),
    around: objects.filter((object) => object.kind !== 'Event'),
    events: objects.filter((object) => object.kind === 'Event').map(recordOf),
    unread: unreadKinds(reading.unread),
  };
}

export function unreadKinds(unread: FollowSnapshot['unread']): UnreadKind[] {
  return unread.map(({ query, reason, message }) => ({
    apiVersion: query.apiVersion,
    kind: query.kind,
    ...(query.namespace === undefined ? {} : { namespace: query.namespace }),
    reason,
    message,
  }));
}

const records = new WeakMap<KubeObject, EventRecord>();

export function recordOf(event: KubeObject): EventRecord {
  const known = records.get(event);
  if (known !== undefined) return known;
  const record = eventRecord(event);
  records.set(event, record);
  return record;
}
