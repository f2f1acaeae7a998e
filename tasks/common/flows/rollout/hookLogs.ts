import { asTaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { hookObject, objectKey, objectName, refOf } from '../../core/kubernetes/manifest';
import type { Follower, HelmResult } from '../../core/ports';
import type { Hook, Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import type { ReportedEvidence as Shown } from '../../core/report/report';
import { rolloutSnapshot, type RolloutSnapshot } from '../../core/rollout/snapshot';
import { causesOf, judge, type Cause, type RolloutMemory, type RolloutVerdict } from '../../core/rollout/verdict';
import { collectEvidence, logEvidence } from './evidence';
import { hookLogLimits, podLogs, type PodLogs } from './podLogs';
import { readRollout, rolloutPolicy, logChanges } from './rollout';
import type { FollowQuery, FollowSnapshot } from '../../core/kubernetes/queries';

type NamedHook = Pick<Hook, 'name' | 'kind' | 'events' | 'manifest'>;

/** The evidence that was collected while Helm ran the hooks. Helm may have deleted the hooks since. */
export interface HookEvidence {
  /** Empty if nothing of the hook was seen and it does not exist. */
  causesOf(hook: NamedHook): Promise<Cause[]>;
  causes(): Cause[];
  /** The hook that can no longer succeed, for which the signal of `act` was aborted. */
  hopeless: HopelessHook | undefined;
  lastLines: PodLogs['lastLines'];
}

interface HopelessHook {
  ref: ObjectRef;
  cause: Cause;
}

/** Helm gets this time beyond the longest time that its run may take. */
const hungAfterSeconds = 60;

/** In seconds. Helm gives the whole timeout to each of its hooks and to its wait. */
export function hungAfter(timeoutSeconds: number, { hooks }: Pick<Revision, 'hooks'>): number {
  const events = ['pre-rollback', 'post-rollback'];
  const runs = hooks.flatMap((hook) => hook.events.filter((event) => events.includes(event))).length;
  return timeoutSeconds * (runs + 1) + hungAfterSeconds;
}

const lastWordsMs = 2_000;
/** A failure that Helm has seen needs a moment to arrive here too. */
const arrivalMs = 100;

/**
 * Logs what becomes of the hooks' Jobs and Pods, and their output. `events` are those of this run, such as
 * `pre-upgrade`. Helm never waits for this, and an error here never fails a deploy. The signal of `act` aborts when a
 * hook can no longer succeed, which Helm may notice only at its timeout.
 */
export async function whileHooksRun(
  context: ReleaseContext,
  hooks: readonly NamedHook[],
  events: readonly string[],
  act: (hopeless: AbortSignal) => Promise<HelmResult>,
): Promise<{ result: HelmResult; hooks: HookEvidence }> {
  const followed = hooks.filter((hook) => isRunnable(hook) && hook.events.some((event) => events.includes(event)));
  const seen = newSeen(context);
  if (followed.length === 0) return { result: await act(seen.givenUp.signal), hooks: evidence(context, seen) };
  const stop = new AbortController();
  // A server that does not answer must not delay the deploy.
  void followHooks(context, followed, seen, stop.signal);
  try {
    const result = await act(seen.givenUp.signal);
    await lastWords(context, seen, result.ok);
    return { result, hooks: evidence(context, seen) };
  } finally {
    stop.abort();
    await seen.logs?.end(0);
  }
}

function isRunnable({ kind }: { kind: string }): boolean {
  return kind === 'Job' || kind === 'Pod';
}

/** The last state of each object of this run's hooks, also of deleted ones. */
interface Seen {
  objects: Map<string, KubeObject>;
  logs: PodLogs | undefined;
  hopeless: HopelessHook | undefined;
  givenUp: AbortController;
}

function newSeen(context: ReleaseContext): Seen {
  // A hook Pod is gone as soon as Helm deletes it, so its log is read eagerly.
  const logs = podLogs(context, { ...hookLogLimits, isEager: true });
  return { objects: new Map(), logs, hopeless: undefined, givenUp: new AbortController() };
}

async function lastWords(context: ReleaseContext, seen: Seen, isOk: boolean): Promise<void> {
  if (context.signal.aborted) return;
  if (!isOk) await context.clock.sleep(arrivalMs, context.signal);
  await seen.logs?.end(lastWordsMs);
}

async function followHooks(
  context: ReleaseContext,
  hooks: readonly NamedHook[],
  seen: Seen,
  stop: AbortSignal,
): Promise<void> {
  const { agent, cluster, signal } = context;
  const ended = AbortSignal.any([stop, signal]);
  let follower: Follower | undefined;
  try {
    const refs = hooks.map((hook) => hookRef(context, hook));
    const before = await uidsOf(context, refs);
    if (ended.aborted) return;
    follower = await cluster.follow(hookQueries(refs, before, seen), ended);
    const judgeHooks = hookJudge(context, refs);
    const logged = new Set<string>();
    while (!isOver(ended)) {
      const reading = follower.snapshot();
      for (const { query, message } of reading.unread) {
        if (!logged.has(query.kind)) agent.log(`  (${query.kind} objects of hooks cannot be followed: ${message})`);
        logged.add(query.kind);
      }
      const verdict = judgeHooks(reading);
      if (seen.hopeless === undefined) giveUp(context, seen, verdict);
      const recheck = verdict.recheckAt === undefined ? Infinity : Date.parse(verdict.recheckAt);
      await follower.changed(Math.max(1, Math.min(checkMs, recheck - context.clock.now().getTime())), ended);
    }
  } catch (error) {
    if (!ended.aborted) agent.log(`  (The logs of the hooks cannot be followed: ${asTaskError(error).message})`);
  } finally {
    follower?.stop();
  }
}

/** Judges the hooks that exist now. They have no deadline of their own: Helm's timeout ends them. */
function hookJudge(context: ReleaseContext, refs: readonly ObjectRef[]): (reading: FollowSnapshot) => RolloutVerdict {
  const policy = rolloutPolicy(context, never, true);
  const logged = new Map<string, string>();
  let memory: RolloutMemory | undefined;
  return (reading) => {
    const made = refs.filter((ref) => reading.objects.has(objectKey(ref)));
    const followed = made.map((ref) => ({ ref, purpose: 'hook' as const }));
    const verdict = judge(rolloutSnapshot(followed, reading), policy, memory, context.clock.now());
    ({ memory } = verdict);
    logChanges(context, verdict.workloads, logged);
    return verdict;
  };
}

/** The last moment that a Date can hold. */
const never = new Date(8.64e15);

function giveUp(context: ReleaseContext, seen: Seen, { workloads }: RolloutVerdict): void {
  const failed = workloads.find(({ health }) => health === 'failed');
  if (failed?.cause === undefined || context.signal.aborted) return;
  seen.hopeless = { ref: failed.ref, cause: failed.cause };
  seen.givenUp.abort();
}

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

const checkMs = 30_000;

export function hookRef(context: ReleaseContext, { kind, name, manifest }: NamedHook): ObjectRef {
  const namespace = hookObject(manifest)?.metadata.namespace || context.namespace;
  return { apiVersion: kind === 'Job' ? 'batch/v1' : 'v1', kind, namespace, name };
}

/** Hooks of an earlier run may still exist. Helm makes no hook in its first milliseconds. */
async function uidsOf({ cluster }: ReleaseContext, refs: readonly ObjectRef[]): Promise<ReadonlySet<string>> {
  const found = await Promise.allSettled(refs.map((ref) => cluster.get(ref, { metadataOnly: true })));
  const uids = found.flatMap((each) => (each.status === 'fulfilled' ? (each.value?.metadata.uid ?? []) : []));
  return new Set(uids);
}

/** One list and watch per kind and namespace. */
function hookQueries(refs: readonly ObjectRef[], before: ReadonlySet<string>, seen: Seen): FollowQuery[] {
  const keys = new Set(refs.map(objectKey));
  const uids = new Map<string, string>();
  const keepHook = (object: KubeObject): boolean => {
    const { uid = '' } = object.metadata;
    if (!keys.has(objectKey(refOf(object))) || before.has(uid)) return false;
    uids.set(uid, objectName(refOf(object)));
    return arrived(seen, object, uids);
  };
  const keepPod = (object: KubeObject): boolean => {
    const owner = (object.metadata.ownerReferences ?? []).find(({ uid }) => uids.has(uid));
    if (owner === undefined) return false;
    uids.set(object.metadata.uid ?? '', uids.get(owner.uid) ?? '');
    return arrived(seen, object, uids);
  };
  const keepEvent = (object: KubeObject): boolean => {
    const about = object['involvedObject'] as { uid?: unknown } | undefined;
    return typeof about?.uid === 'string' && uids.has(about.uid) && arrived(seen, object, uids);
  };
  const namespaces = [...new Set(refs.map(({ namespace = '' }) => namespace))];
  return namespaces.flatMap((namespace) => {
    const named = (kind: string): string[] =>
      refs.filter((ref) => ref.kind === kind && ref.namespace === namespace).map(({ name }) => name);
    const query = (apiVersion: string, kind: string, keep: FollowQuery['keep'], narrow: object = {}): FollowQuery => ({
      apiVersion,
      kind,
      namespace,
      keep,
      ...narrow,
    });
    const [jobs, pods] = [named('Job'), named('Pod')];
    const [job, pod] = [jobs.length === 1 ? jobs[0] : undefined, pods.length === 1 ? pods[0] : undefined];
    return [
      ...(jobs.length > 0 ? [query('batch/v1', 'Job', keepHook, onlyNamed(job))] : []),
      ...(pods.length > 0 ? [query('v1', 'Pod', keepHook, onlyNamed(pod))] : []),
      ...(jobs.length > 0 ? [query('v1', 'Pod', keepPod, { labelSelector: `job-name in (${jobs.join(',')})` })] : []),
      query('v1', 'Event', keepEvent),
    ];
  });
}

function onlyNamed(name: string | undefined): object {
  return name === undefined ? {} : { fieldSelector: `metadata.name=${name}` };
}

/**
 * An object that is made, ends and is deleted within milliseconds is in no snapshot. The deletion is Helm's doing and
 * says nothing about the hook.
 */
function arrived(seen: Seen, object: KubeObject, owners: ReadonlyMap<string, string>): true {
  const { deletionTimestamp: _deleted, ...metadata } = object.metadata;
  seen.objects.set(object.metadata.uid ?? objectKey(refOf(object)), { ...object, metadata });
  if (object.kind === 'Pod') seen.logs?.show(owners.get(object.metadata.uid ?? '') ?? '', object);
  return true;
}

function evidence(context: ReleaseContext, seen: Seen): HookEvidence {
  const hooksSeen = (): KubeObject[] =>
    [...seen.objects.values()].filter(
      (object) => object.kind === 'Job' || (object.kind === 'Pod' && isHookPod(seen, object)),
    );
  return {
    hopeless: seen.hopeless,
    lastLines: (namespace, pod, container) => seen.logs?.lastLines(namespace, pod, container) ?? [],
    causes: () => hooksSeen().flatMap((object) => judgeNow(context, snapshotOf(seen, object))),
    causesOf: async (hook) => {
      if (!isRunnable(hook)) return [];
      const ref = hookRef(context, hook);
      const object = hooksSeen().findLast(({ kind, metadata }) => kind === ref.kind && metadata.name === ref.name);
      return object === undefined ? causesNow(context, ref) : judgeNow(context, snapshotOf(seen, object));
    },
  };
}

function isHookPod(seen: Seen, { metadata }: KubeObject): boolean {
  return !(metadata.ownerReferences ?? []).some(({ uid }) => seen.objects.has(uid));
}

function snapshotOf(seen: Seen, hook: KubeObject): RolloutSnapshot {
  const ref = refOf(hook);
  const objects = new Map([...seen.objects.values()].map((object) => [objectKey(refOf(object)), object]));
  // Two hooks have one name if the hook was made again in one run.
  objects.set(objectKey(ref), hook);
  return rolloutSnapshot([{ ref, purpose: 'hook' }], { objects, unread: [] });
}

function judgeNow(context: ReleaseContext, snapshot: RolloutSnapshot): Cause[] {
  const now = context.clock.now();
  return causesOf(judge(snapshot, rolloutPolicy(context, now, true), undefined, now));
}

/** Judges what exists of a hook that could not be followed. */
async function causesNow(context: ReleaseContext, ref: ObjectRef): Promise<Cause[]> {
  try {
    const declared = await context.cluster.get(ref);
    if (declared === undefined) return [];
    const objects = [{ key: objectKey(ref), ref, declared, purpose: 'hook' as const }];
    return judgeNow(context, await readRollout(context, objects));
  } catch (error) {
    context.agent.log(`  (What ${objectName(ref)} shows cannot be read: ${asTaskError(error).message})`);
    return [];
  }
}

/** The phases in Helm's record of a rollback are those of the target's own deploy, so only the objects count. */
export async function showHookEvidence(
  context: ReleaseContext,
  progress: { evidence: Shown[] },
  hooks: HookEvidence,
): Promise<void> {
  const evidence = await collectEvidence(context, hooks.causes(), hooks.lastLines);
  logEvidence(context, evidence);
  progress.evidence.push(...evidence);
}
