import { asTaskError, type TaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { isSecret, objectName } from '../../core/kubernetes/manifest';
import type { Follower } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import type { RolloutContext } from '../../core/releaseContext';
import { isJudged } from '../../core/status/result';
import { liveRollout, type LiveRollout } from '../../core/rollout/liveRollout';
import type { ReleaseHistory, Reservation } from '../../core/rollout/reservations';
import { rolloutSnapshot, type FollowedRef, type RolloutSnapshot } from '../../core/rollout/snapshot';
import { trimmed } from '../../core/rollout/trimmed';
import { ownedKinds } from '../../core/rollout/runner';
import { surroundingsOf, type Surroundings } from '../../core/rollout/surroundings';
import {
  type Cause,
  type RolloutMemory,
  type RolloutPolicy,
  type RolloutVerdict,
  type WorkloadVerdict,
} from '../../core/rollout/verdict';
import { withoutRepeats } from '../../core/text/sentence';
import type { PodLogs } from './podLogs';
import { timelineOf } from './timeline';
import { factFinder } from './facts';
import { jobLogs } from './jobLogs';
import type { DesiredObject } from '../release/desiredObjects';
import type { FollowChanges, FollowQuery, FollowSnapshot } from '../../core/kubernetes/queries';

export interface RolloutEnd {
  /** `unknown`: the deadline has passed, and some objects could not be read. */
  end: 'healthy' | 'failed' | 'unknown' | 'cancelled' | 'stopped';
  verdict: RolloutVerdict;
  /** Only with `healthy`. */
  reservations: readonly Reservation[];
  /** The last lines of containers, whose pods may be gone. */
  lastLines: PodLogs['lastLines'];
}

export interface RolloutOptions {
  policy: RolloutPolicy;
  memory: RolloutMemory | undefined;
  /** Ends the following, for example when Helm has ended. */
  stop?: AbortSignal;
  /** Until then the following goes on, although everything is healthy. */
  until?: AbortSignal;
  /** The last logged state of each object, so that nothing is logged twice. */
  logged: Map<string, string>;
  /** The earlier revisions of the release, if they are known. */
  earlier?: readonly Pick<Revision, 'manifest' | 'status'>[];
  /** The release whose revision is followed. Its history shows what running pods have read at their start. */
  release?: ReleaseHistory;
  /** Shows the logs of the new revisions' pods. */
  logs?: PodLogs;
  /** Distinguishes the timeline rows from those of another rollout of this run. */
  phase?: string;
}

const reminderMs = 30_000;
/** The rest of a container's log must arrive within this time. */
const lastWordsMs = 500;
/** Objects that may not be listed are read again after this time. */
const pollMs = 2_000;

export async function readRollout(
  context: RolloutContext,
  objects: readonly DesiredObject[],
): Promise<RolloutSnapshot> {
  const follower = await context.cluster.follow(rolloutQueries(objects), context.signal);
  try {
    const { objects: listed, unread } = follower.snapshot();
    const absent = objects.filter(({ key }) => !listed.has(key));
    const confirmed = await confirm(context, absent, unread);
    return rolloutSnapshot(followedRefs(objects), {
      ...confirmed,
      objects: new Map([...listed, ...confirmed.objects]),
    });
  } finally {
    follower.stop();
  }
}

/** Reads everything again, because earlier knowledge may be out of date. */
export async function followRollout(
  context: RolloutContext,
  objects: readonly DesiredObject[],
  options: RolloutOptions,
): Promise<RolloutEnd> {
  const follower = await context.cluster.follow(rolloutQueries(objects), context.signal);
  try {
    const end = await watch(context, follower, objects, options);
    if (end.end !== 'stopped') await options.logs?.end(lastWordsMs);
    return end;
  } finally {
    follower.stop();
  }
}

async function watch(
  context: RolloutContext,
  follower: Follower,
  objects: readonly DesiredObject[],
  options: RolloutOptions,
): Promise<RolloutEnd> {
  const { clock, signal } = context;
  const { policy, stop, until, logged } = options;
  const ended = stop === undefined ? signal : AbortSignal.any([signal, stop]);
  const live = liveRollout(followedRefs(objects));
  const timeline = timelineOf(context, options.phase);
  const jobs = jobLogs(context);
  const declared = objects.map((object) => object.declared);
  const facts = factFinder(context, { declared, ...(options.earlier && { earlier: options.earlier }) });
  let memory = options.memory;
  let lastLogged = clock.now().getTime();
  const news = confirmedChanges(context, follower, objects);
  let blind = new Set<string>();
  for (;;) {
    const { objects: changed, unread } = await news();
    live.apply(changed);
    live.setUnread(unread);
    const now = clock.now();
    const verdict = live.judge(facts.found(), { policy, memory, now });
    if (options.logs !== undefined) showPods(options.logs, live);
    ({ memory } = verdict);
    facts.ask(verdict.questions);
    jobs.update(verdict);
    blind = logUnread(context, verdict, blind);
    if (logChanges(context, verdict.workloads, logged)) lastLogged = now.getTime();
    const end = endOf(verdict, policy, {
      isCancelled: signal.aborted,
      isStopped: isAborted(stop),
      isOpen: until !== undefined && !isAborted(until),
      now,
    });
    if (end === 'failed' && (await facts.renew(verdict.questions))) continue;
    timeline.update(verdict, live.followed(), end !== undefined && end !== 'stopped');
    if (end !== undefined) {
      if (end === 'failed') await jobs.end();
      const reservations = end === 'healthy' ? live.reservations(verdict, options.release) : [];
      return { end, verdict, reservations, lastLines: jobs.lastLines };
    }
    if (now.getTime() - lastLogged >= reminderMs) {
      remind(context, verdict, policy.deadline.getTime() - now.getTime());
      lastLogged = now.getTime();
    }
    const untilReminder = reminderMs - (now.getTime() - lastLogged);
    const wait = Math.max(1, Math.min(untilReminder, untilNext(verdict, policy, now)));
    await follower.changed(wait, wakersOf([ended, facts.news()], until));
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** An `until` that has aborted would end every wait. */
function wakersOf(signals: AbortSignal[], until: AbortSignal | undefined): AbortSignal {
  return AbortSignal.any(until?.aborted === false ? [...signals, until] : signals);
}

/** Milliseconds until the verdict may change though nothing is seen to change. */
function untilNext({ health, recheckAt, unread }: RolloutVerdict, { deadline }: RolloutPolicy, now: Date): number {
  const recheck = recheckAt === undefined ? Infinity : Date.parse(recheckAt) - now.getTime();
  const poll = health === 'unknown' || unread.length > 0 ? pollMs : Infinity;
  return Math.min(recheck, poll, deadline.getTime() - now.getTime());
}

/** Undefined while the rollout goes on. */
function endOf(
  verdict: RolloutVerdict,
  policy: RolloutPolicy,
  { isCancelled, isStopped, isOpen, now }: { isCancelled: boolean; isStopped: boolean; isOpen: boolean; now: Date },
): RolloutEnd['end'] | undefined {
  if (isCancelled) return 'cancelled';
  if (verdict.health === 'healthy' && !isOpen) return 'healthy';
  if (isFailed(verdict, policy)) return 'failed';
  if (isStopped) return 'stopped';
  return now >= policy.deadline ? 'unknown' : undefined;
}

function showPods(logs: PodLogs, live: LiveRollout): void {
  for (const { workload, pod } of live.newPods()) logs.show(objectName(workload), pod);
}

/** Helm may still repair a pre-existing failure until it has applied everything. */
function isFailed(verdict: RolloutVerdict, policy: RolloutPolicy): boolean {
  if (verdict.health !== 'failed') return false;
  return policy.isApplied || verdict.decisive?.brokenBefore === undefined;
}

function followedRefs(objects: readonly DesiredObject[]): FollowedRef[] {
  return objects.map(({ ref, declared, purpose, halfApplied }) => ({
    ref,
    purpose,
    ...(halfApplied === undefined ? {} : { halfApplied }),
    ...(removesItself(declared) ? { removesItself: true } : {}),
  }));
}

/** The controller removes a Job with ttlSecondsAfterFinished after it has ended. */
function removesItself(declared: KubeObject): boolean {
  const spec = declared['spec'];
  return declared.kind === 'Job' && typeof spec === 'object' && spec !== null && 'ttlSecondsAfterFinished' in spec;
}

/** One query per kind and namespace. Queries for owners come first, because descendants are recognised by them. */
export function rolloutQueries(objects: readonly DesiredObject[]): FollowQuery[] {
  const uids = new Set<string>();
  const own = (object: KubeObject): true => {
    if (object.metadata.uid !== undefined) uids.add(object.metadata.uid);
    return true;
  };
  const isOwned = (object: KubeObject): boolean =>
    (object.metadata.ownerReferences ?? []).some(({ uid }) => uids.has(uid)) && own(object);
  const isAbout = (event: KubeObject): boolean => {
    const about = event['involvedObject'] as { uid?: unknown } | undefined;
    return typeof about?.uid === 'string' && uids.has(about.uid);
  };
  const around = surroundingsOf(objects);
  return [
    ...objectQueries(objects, own),
    ...around
      .filter(({ owned }) => owned)
      .flatMap(({ namespace }) => ownedKinds.map((kind) => ({ ...kind, namespace, keep: isOwned }))),
    ...around
      .filter(({ replicaSets }) => replicaSets)
      .map((place) => childQuery('apps/v1', 'ReplicaSet', place, isOwned)),
    ...around.filter(({ pods }) => pods).map((place) => childQuery('v1', 'Pod', place, isOwned)),
    ...around.filter(({ claims }) => claims.length > 0).map((place) => claimQuery(place, own)),
    ...around.map(({ namespace }) => ({ apiVersion: 'v1', kind: 'Event', namespace, keep: isAbout, trim: trimmed })),
  ];
}

function childQuery(apiVersion: string, kind: string, place: Surroundings, keep: FollowQuery['keep']): FollowQuery {
  const { namespace, labelSelector } = place;
  return {
    apiVersion,
    kind,
    namespace,
    ...(labelSelector === undefined ? {} : { labelSelector }),
    keep,
    trim: trimmed,
  };
}

function claimQuery({ namespace, claims }: Surroundings, own: (object: KubeObject) => true): FollowQuery {
  const isMounted = ({ metadata: { name } }: KubeObject): boolean =>
    claims.some((claim) => (claim.endsWith('-') ? name.startsWith(claim) : name === claim));
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    namespace,
    keep: (object) => isMounted(object) && own(object),
  };
}

function objectQueries(objects: readonly DesiredObject[], own: (object: KubeObject) => true): FollowQuery[] {
  const groups = new Map<string, { ref: ObjectRef; names: Set<string> }>();
  for (const { ref } of objects) {
    const key = `${ref.apiVersion} ${ref.kind} ${ref.namespace ?? ''}`;
    const group = groups.get(key) ?? { ref, names: new Set() };
    group.names.add(ref.name);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ ref, names }) => {
    const { apiVersion, kind, namespace } = ref;
    const [only] = names;
    // One list of all pods of the namespace serves the pods of the manifest too.
    const isOnly = names.size === 1 && only !== undefined && kind !== 'Pod';
    return {
      apiVersion,
      kind,
      ...(namespace === undefined ? {} : { namespace }),
      ...(isOnly ? { fieldSelector: `metadata.name=${only}` } : {}),
      ...(isSecret(ref) ? { metadataOnly: true } : {}),
      keep: (object) => names.has(object.metadata.name) && own(object),
    };
  });
}

/** An object is missing only if the API server says so. One that may not be listed may still be read by its name. */
async function confirm(
  context: RolloutContext,
  absent: readonly DesiredObject[],
  hidden: FollowSnapshot['unread'],
): Promise<FollowSnapshot> {
  const found = new Map<string, KubeObject>();
  const unreadable = new Map<DesiredObject, TaskError>();
  await Promise.all(
    absent.map(async (object) => {
      try {
        const live = await context.cluster.get(object.ref, { metadataOnly: isSecret(object.ref) });
        if (live !== undefined) found.set(object.key, live);
      } catch (thrown) {
        // An object that cannot be read is unknown, not absent.
        unreadable.set(object, asTaskError(thrown));
      }
    }),
  );
  const isAnswered = (query: { kind: string; namespace?: string }): boolean =>
    absent.some((object) => !unreadable.has(object) && isIn(object.ref, query)) &&
    ![...unreadable.keys()].some(({ ref }) => isIn(ref, query));
  const unread = hidden.filter(({ query }) => !isAnswered(query));
  const added = [...unreadable]
    .filter(([{ ref }]) => !unread.some(({ query }) => isIn(ref, query)))
    .map(([{ ref }, { reason, message }]) => ({ query: ref, reason, message }));
  return { objects: found, unread: [...unread, ...added] };
}

/** The changes since the last call. Objects that no list has are read by their names in each call. */
function confirmedChanges(
  context: RolloutContext,
  follower: Follower,
  objects: readonly DesiredObject[],
): () => Promise<FollowChanges> {
  const unlisted = new Set(objects.map(({ key }) => key));
  let confirmed: ReadonlyMap<string, KubeObject> = new Map();
  return async () => {
    const { objects: listed, unread } = follower.changes();
    for (const { key } of objects) {
      if (listed.get(key) !== undefined) unlisted.delete(key);
      else if (listed.has(key)) unlisted.add(key);
    }
    const absent = objects.filter(({ key }) => unlisted.has(key));
    const gone = [...confirmed.keys()].map((key): [string, undefined] => [key, undefined]);
    const answer = await confirm(context, absent, unread);
    confirmed = answer.objects;
    return { objects: new Map([...gone, ...listed, ...confirmed]), unread: answer.unread };
  };
}

function isIn(ref: ObjectRef, query: { kind: string; namespace?: string }): boolean {
  return ref.kind === query.kind && ref.namespace === query.namespace;
}

/** Logs each kind that cannot be read once. */
function logUnread(context: RolloutContext, verdict: RolloutVerdict, known: Set<string>): Set<string> {
  // After a cancellation, an object that was not read says nothing about the cluster.
  if (context.signal.aborted) return known;
  const now = new Set(verdict.unread.map(({ kind, message }) => `${kind} ${message}`));
  for (const { kind, message } of verdict.unread) {
    if (known.has(`${kind} ${message}`)) continue;
    context.agent.log(`  ${kind} objects cannot be read, so causes may stay unknown: ${message}`);
  }
  return now;
}

/** Logs one line for each object with news. Returns true if there was any. */
export function logChanges(
  context: RolloutContext,
  workloads: readonly WorkloadVerdict[],
  logged: Map<string, string>,
): boolean {
  let isNews = false;
  for (const workload of workloads) {
    // The message of one cause differs from try to try, which is no news.
    const state = `${workload.status.message} ${clearestCause(workload)?.code ?? ''}`;
    if (logged.get(workload.key) === state) continue;
    const isFirst = !logged.has(workload.key);
    logged.set(workload.key, state);
    // Objects that were not judged are listed at the end.
    if (workload.health === 'healthy' && (isFirst || !isJudged(workload.status))) continue;
    const name = objectName(workload.ref);
    const words = wordsFor(workload);
    context.agent.log(words.startsWith(`${name} `) ? `  ${words}` : `  ${name}  ${words}`);
    isNews = true;
  }
  return isNews;
}

function wordsFor(workload: WorkloadVerdict): string {
  const telling = clearestCause(workload);
  const { message } = workload.status;
  if (telling === undefined) return message;
  // A cause that only repeats the status in other words is logged once.
  const isSame = telling.message.endsWith(message) || message.includes(telling.message);
  return `${isSame ? message : withoutRepeats(`${message} ${telling.message}`)} (${telling.code})`;
}

/** A container that has just started is not ready, which alone is not worth a line. */
function clearestCause({ health, cause, suspects }: WorkloadVerdict): Cause | undefined {
  if (health === 'healthy') return undefined;
  return (
    cause ??
    suspects.find(
      ({ code, evidence }) => code !== 'ReadinessProbeFailed' || evidence.some(({ kind }) => kind === 'event'),
    )
  );
}

function remind(context: RolloutContext, verdict: RolloutVerdict, leftMs: number): void {
  const waiting = verdict.workloads.filter(({ health }) => health !== 'healthy');
  if (waiting.length === 0) {
    context.agent.log('  Everything is still healthy.');
    return;
  }
  const names = waiting.slice(0, 5).map((workload) => `${objectName(workload.ref)}: ${wordsFor(workload)}`);
  const more = waiting.length > names.length ? ` and ${waiting.length - names.length} more` : '';
  context.agent.log(`  Still waiting, ${Math.round(leftMs / 1000)} s left: ${names.join('; ')}${more}`);
}

export function rolloutPolicy(context: RolloutContext, deadline: Date, isApplied: boolean): RolloutPolicy {
  const { failFast, stableForSeconds, graces, statusRules } = context.request.rollout;
  return {
    failFast,
    deadline,
    isApplied,
    ...(stableForSeconds === undefined ? {} : { stableForSeconds }),
    graces,
    statusRules,
  };
}
