import { objectKey } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import type { FollowChanges, FollowSnapshot } from '../kubernetes/queries';
import type { Facts, NodeFacts } from './facts';
import { newPods, type Index } from './family';
import { anyNode, liveIndex } from './liveIndex';
import type { Reading, RolloutVerdict } from './model';
import { readingOf, type ReadingContext } from './reading';
import { remembered } from './remembered';
import { reservationsOf, type ReleaseHistory, type Reservation } from './reservations';
import { unreadKinds, type FollowedObject, type FollowedRef, type UnreadKind } from './snapshot';
import { judgeScene, type JudgingTime } from './verdict';

/** A rollout that is judged again and again. Only what has changed is read anew. */
export interface LiveRollout {
  /** An object that is gone is undefined. */
  apply(changes: FollowChanges['objects']): void;
  setUnread(unread: FollowSnapshot['unread']): void;
  /** The verdict is the one of `judge` for the same objects. */
  judge(facts: Facts, time: JudgingTime): RolloutVerdict;
  followed(): readonly FollowedObject[];
  /** For a verdict that is healthy. */
  reservations(verdict: RolloutVerdict, release?: ReleaseHistory): Reservation[];
  newPods(): { workload: ObjectRef; pod: KubeObject }[];
}

export function liveRollout(refs: readonly FollowedRef[]): LiveRollout {
  const live = liveIndex();
  const readings = keptReadings();
  const pending = new Map<string, KubeObject | undefined>();
  const keys = refs.map(({ ref }) => objectKey(ref));
  let followed: readonly FollowedObject[] = refs;
  let unread: readonly UnreadKind[] = [];
  let nodes: NodeFacts | undefined;
  const settle = (): void => {
    for (const key of live.apply(pending, nodes)) readings.forget(key);
    if (keys.some((key) => pending.has(key))) {
      followed = refs.map((ref, index) => {
        const key = keys[index] ?? '';
        const object = live.objects.get(key);
        if (!pending.has(key)) return followed[index] ?? ref;
        return object === undefined ? ref : { ...ref, object };
      });
    }
    pending.clear();
  };
  return {
    apply: (changes) => {
      for (const [key, object] of changes) {
        // An object that was deleted and created again is a new one, and comes after all others.
        if (object !== undefined && pending.has(key) && pending.get(key) === undefined) settle();
        pending.set(key, object);
      }
    },
    setUnread: (queries) => {
      const kinds = unreadKinds(queries);
      // A list that says the same is kept, and all readings with it.
      if (JSON.stringify(kinds) !== JSON.stringify(unread)) unread = kinds;
    },
    judge: (facts, time) => {
      ({ nodes } = facts);
      settle();
      const { index, pods } = live;
      const scene = { followed, unread, facts, index, pods, isAnythingEnding: live.isAnythingEnding() };
      return judgeScene(scene, time, readings.read);
    },
    followed: () => followed,
    reservations: ({ workloads }, release) => reservationsOf(followed, live.index, workloads, release),
    newPods: () => newPods(followed, live.index),
  };
}

const keyOf = remembered(objectKey);

interface KeptReadings {
  read: typeof readingOf;
  /** Forgets the readings that rest on what the index says of this uid or claim. */
  forget(key: string): void;
}

function keptReadings(): KeptReadings {
  const kept = new Map<string, Reading>();
  const readers = new Map<string, Set<string>>();
  let ground: readonly unknown[] = [];
  let lastContext: ReadingContext | undefined;
  return {
    forget: (key) => {
      for (const reader of readers.get(key) ?? []) kept.delete(reader);
      readers.delete(key);
    },
    read: (item, context) => {
      if (context !== lastContext) {
        const { policy, before, unread, isAnythingEnding } = context;
        const now = [policy, before.baseline, before.baselineEvents, unread, isAnythingEnding];
        if (now.some((value, index) => value !== ground[index])) kept.clear();
        ground = now;
        lastContext = context;
      }
      const key = keyOf(item.ref);
      const known = kept.get(key);
      if (known?.followed === item) return known;
      const { noted, mayBeKept } = notedContext(context, (about) => {
        const known = readers.get(about);
        if (known === undefined) readers.set(about, new Set([key]));
        else known.add(key);
      });
      const reading = readingOf(item, noted);
      if (mayBeKept()) kept.set(key, reading);
      else kept.delete(key);
      return reading;
    },
  };
}

/** The context with a note of all that is read of it. A reading that rests on what always changes may not be kept. */
function notedContext(
  context: ReadingContext,
  note: (key: string) => void,
): { noted: ReadingContext; mayBeKept: () => boolean } {
  let rests = false;
  const restsOn = <Value>(value: Value): Value => {
    rests = true;
    return value;
  };
  const { before, now, pods } = context;
  const noted = {
    ...context,
    index: notedIndex(context.index, note),
    before: {
      ...before,
      get workloads() {
        return restsOn(before.workloads);
      },
      get findings() {
        return restsOn(before.findings);
      },
    },
    now: new NotedDate(now, restsOn),
    pods: () => restsOn(pods()),
  };
  return { noted, mayBeKept: () => !rests };
}

class NotedDate extends Date {
  constructor(
    time: Date,
    private readonly noted: (time: number) => number,
  ) {
    super(time.getTime());
  }

  override getTime(): number {
    return this.noted(super.getTime());
  }

  override valueOf(): number {
    return this.getTime();
  }
}

function notedIndex({ ownedBy, eventsOf, claims, nodes }: Index, note: (key: string) => void): Index {
  const noting = <Value>(map: { get(key: string): Value | undefined }, about?: string) => ({
    get: (key: string): Value | undefined => {
      note(about ?? key);
      return map.get(key);
    },
  });
  return {
    ownedBy: noting(ownedBy),
    eventsOf: noting(eventsOf),
    claims: noting(claims),
    nodes: {
      ...noting(nodes, anyNode),
      values: () => {
        note(anyNode);
        return nodes.values();
      },
    },
  };
}
