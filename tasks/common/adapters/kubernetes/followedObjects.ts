import type { KubeObject } from '../../core/kubernetes/object';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import { withRedactedMessages } from './redactedMessages';
import type { Following, Group, Life } from './followedGroup';
import type { WatchEvent } from './watchEvents';

/** An object may arrive before its owner, so that many objects are kept back for this time. */
const limboMs = 10_000;

const limboMaxSize = 200;

/** The owner of a younger object may have been created after the owners were listed. */
const youngMs = 60_000;

export function areSame(known: ReadonlyMap<string, KubeObject>, fresh: ReadonlyMap<string, KubeObject>): boolean {
  if (known.size !== fresh.size) return false;
  for (const [key, object] of fresh) {
    const before = known.get(key)?.metadata;
    if (before?.uid !== object.metadata.uid || before?.resourceVersion !== object.metadata.resourceVersion)
      return false;
  }
  return true;
}

export function isWanted(group: Group, object: KubeObject): boolean {
  return group.keepers.some((query) => query.keep(object));
}

export function held({ requests }: Following, group: Group, object: KubeObject): KubeObject {
  const keepers = group.keepers.filter((query) => query.keep(object));
  const [first] = keepers;
  const trim = keepers.every((query) => query.trim !== undefined) ? first?.trim : undefined;
  const kept = trim === undefined ? object : trim(object);
  return withRedactedMessages(kept, requests.transport.redact);
}

export function applyEvent(life: Life, event: Extract<WatchEvent, { type: 'ADDED' | 'MODIFIED' | 'DELETED' }>): void {
  const { group, following } = life;
  const { object } = event;
  const key = objectKey(refOf(object));
  group.limbo.delete(key);
  if (event.type !== 'DELETED' && isWanted(group, object)) {
    const isNew = group.objects.get(key)?.metadata.uid !== object.metadata.uid;
    put(following, group, key, object);
    if (isNew) releaseLimbo(following, object.metadata.uid);
    following.changed();
    return;
  }
  if (event.type !== 'DELETED') keepBack(group, key, object);
  if (!group.objects.delete(key)) return;
  following.touched.add(key);
  following.changed();
}

function put(following: Following, group: Group, key: string, object: KubeObject): void {
  group.objects.set(key, held(following, group, object));
  following.touched.add(key);
}

/** Replaces the objects of the group by those of a new list. */
export function replaceAll(following: Following, group: Group, fresh: Map<string, KubeObject>): void {
  for (const key of [...group.objects.keys(), ...fresh.keys()]) following.touched.add(key);
  group.objects = fresh;
}

export function isYoung({ metadata }: KubeObject): boolean {
  return Date.now() - Date.parse(metadata.creationTimestamp ?? '') < youngMs;
}

/** Keeps an object until its owner arrives. */
export function keepBack(group: Group, key: string, object: KubeObject): void {
  const belongsTo = ownersOf(object);
  if (belongsTo.length === 0) return;
  const now = performance.now();
  for (const [old, { until }] of group.limbo) {
    if (until > now && group.limbo.size < limboMaxSize) break;
    group.limbo.delete(old);
  }
  group.limbo.set(key, { object, belongsTo, until: now + limboMs });
}

/** Includes the object that an Event is about. */
function ownersOf({ metadata, involvedObject }: KubeObject): string[] {
  const owners = (metadata.ownerReferences ?? []).map(({ uid }) => uid);
  const subject = (involvedObject as { uid?: unknown } | undefined)?.uid;
  return typeof subject === 'string' ? [...owners, subject] : owners;
}

/** Checks the objects of an owner that has just arrived, and then the objects that they own. */
export function releaseLimbo(following: Following, owner: string | undefined): void {
  if (owner === undefined) return;
  const now = performance.now();
  for (const group of following.groups.values()) {
    for (const [key, { object, belongsTo, until }] of group.limbo) {
      if (until < now) group.limbo.delete(key);
      else if (belongsTo.includes(owner) && isWanted(group, object)) {
        group.limbo.delete(key);
        put(following, group, key, object);
        releaseLimbo(following, object.metadata.uid);
      }
    }
  }
}
