import { objectName } from '../core/manifest';
import type { Follower, FollowSnapshot } from '../core/ports';
import {
  changedReadings,
  readiness,
  wordOf,
  type Baseline,
  type ObjectReading,
  type Readiness,
  type WantedObject,
} from '../core/readiness';
import type { ReleaseContext } from '../core/releaseContext';

export type FollowEnd = 'healthy' | 'failed' | 'timedOut' | 'cancelled' | 'stopped';

export interface FollowResult {
  end: FollowEnd;
  readiness: Readiness;
}

export interface FollowOptions {
  deadline: Date;
  /** Ends the following from outside, for example when Helm has ended. */
  stop?: AbortSignal;
  /** Leave out what has not changed since then. */
  untouched?: Baseline;
  /** What was said of each object before, so that nothing is said twice. */
  said: Map<string, string>;
}

const reminderMs = 30_000;
/** Objects that cannot be listed are read one by one, this often. */
const pollMs = 2_000;

/** Follows until all objects are ready, one has failed, or the time is over. Says each change, and now and then that there is none. */
export async function followRelease(
  context: ReleaseContext,
  follower: Follower,
  objects: readonly WantedObject[],
  options: FollowOptions,
): Promise<FollowResult> {
  const { clock, signal } = context;
  const ended = anyOf(signal, options.stop);
  let lastSaid = clock.now().getTime();
  for (;;) {
    const snapshot = await confirmed(context, objects, follower.snapshot());
    const now = clock.now();
    const state = readiness(objects, snapshot, now, options.untouched);
    if (sayChanges(context, state.objects, options.said)) lastSaid = now.getTime();
    if (signal.aborted) return { end: 'cancelled', readiness: state };
    if (state.state !== 'progressing' && (options.untouched === undefined || state.state === 'failed')) {
      return { end: state.state, readiness: state };
    }
    if (options.stop?.aborted) return { end: 'stopped', readiness: state };
    const left = options.deadline.getTime() - now.getTime();
    if (left <= 0) return { end: 'timedOut', readiness: state };
    if (now.getTime() - lastSaid >= reminderMs) {
      remind(context, state, left);
      lastSaid = now.getTime();
    }
    const untilReminder = reminderMs - (now.getTime() - lastSaid);
    await follower.changed(Math.min(left, untilReminder, snapshot.unread.length > 0 ? pollMs : Infinity), ended);
  }
}

function anyOf(signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other]);
}

/**
 * The snapshot, with a second look at what it lacks: an object is called missing only when the API server itself says
 * so, and what may not be listed may still be read by its name (Helm itself needs no more).
 */
async function confirmed(
  context: ReleaseContext,
  objects: readonly WantedObject[],
  snapshot: FollowSnapshot,
): Promise<FollowSnapshot> {
  const absent = objects.filter((object) => !snapshot.objects.has(object.key));
  if (absent.length === 0) return snapshot;
  const found = new Map(snapshot.objects);
  const unreadable = new Set<string>();
  await Promise.all(
    absent.map(async ({ key, ref }) => {
      try {
        const live = await context.cluster.get(ref);
        if (live !== undefined) found.set(key, live);
      } catch {
        // The query's own error stands in `unread`, or stands in for it: what cannot be read is not absent.
        unreadable.add(key);
      }
    }),
  );
  const answered = absent.filter((object) => !unreadable.has(object.key));
  const unread = snapshot.unread.filter(
    ({ query }) => !answered.some(({ ref }) => ref.kind === query.kind && ref.namespace === query.namespace),
  );
  const added = absent
    .filter((object) => unreadable.has(object.key) && !unread.some(({ query }) => query.kind === object.ref.kind))
    .map(({ ref }) => ({
      query: ref,
      reason: 'ClusterUnreachable' as const,
      message: `${objectName(ref)} could not be read.`,
    }));
  return { objects: found, unread: [...unread, ...added] };
}

function sayChanges(context: ReleaseContext, readings: readonly ObjectReading[], said: Map<string, string>): boolean {
  const changes = changedReadings(said, readings);
  for (const reading of changes) {
    const isNews = said.has(reading.key) || reading.status !== 'Current';
    said.set(reading.key, wordOf(reading));
    if (isNews) context.agent.log(`  ${objectName(reading.ref)}  ${reading.message}`);
  }
  return changes.length > 0;
}

function remind(context: ReleaseContext, state: Readiness, leftMs: number): void {
  const waiting = state.objects.filter((object) => object.status !== 'Current');
  const names = waiting.slice(0, 5).map((object) => `${objectName(object.ref)}: ${object.message}`);
  const more = waiting.length > names.length ? ` and ${waiting.length - names.length} more` : '';
  context.agent.log(`  Still waiting, ${Math.round(leftMs / 1000)} s left: ${names.join('; ')}${more}`);
}
