import { TaskError } from '../../core/failure';
import { isEdited, releaseState, servedLabel, wasServing } from '../../core/release/history';
import { isRecord } from '../../core/kubernetes/json';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { hookObject, isSecret, refOf } from '../../core/kubernetes/manifest';
import { isAbandoned } from '../../core/lock/lease';
import { isOlder } from '../../core/release/preexisting';
import type { Hook, Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import { withRetries } from '../steps/withRetries';
import { forgetEdit } from './mergeBase';
import { liveRef } from './desiredObjects';
import type { RecordChange } from '../../core/release/releaseRecord';
import { duration } from '../../core/text/durationText';

/** If the run that left a revision pending is gone, with the reason. */
type Owner = { isGone: true; how: string } | { isGone: false; why: string };

/** A Lease that names the run is proof. Without one, the revision's age and its running hooks decide. */
export async function ownerOf(
  context: ReleaseContext,
  pending: Revision,
  assumeAbandonedAfterSeconds: number,
): Promise<Owner> {
  const { previous, state } = context.lease;
  if (state === 'held' && previous !== undefined && isAbandoned(previous, pending)) {
    return { isGone: true, how: `its run is gone (${previous.holder || 'it has released the lock'})` };
  }
  const job = await runningHook(context, pending);
  if (job !== undefined) return { isGone: false, why: `Job/${job} of its hooks is still running` };
  const since = pending.writtenAt ?? new Date(pending.lastDeployed);
  const ageSeconds = ((await context.cluster.serverTime()).getTime() - since.getTime()) / 1000;
  const limit = `assumeAbandonedAfter is ${duration(assumeAbandonedAfterSeconds)}`;
  // A record without a time has no age.
  if (!(ageSeconds >= assumeAbandonedAfterSeconds)) {
    const age = isNaN(ageSeconds) ? 'of no known age' : `${duration(Math.max(0, ageSeconds))} old`;
    return { isGone: false, why: `it is ${age}, and nothing shows that its run is gone (${limit})` };
  }
  return { isGone: true, how: `it is ${duration(ageSeconds)} old (${limit}), and none of its hooks is running` };
}

async function runningHook(context: ReleaseContext, { hooks }: Revision): Promise<string | undefined> {
  for (const hook of hooks.filter(({ kind }) => kind === 'Job')) {
    const live = await liveHook(context, hook);
    if (live !== undefined && isRunning(live)) return live.metadata.name;
  }
  return undefined;
}

function isRunning({ kind, ...object }: KubeObject): boolean {
  const status = object['status'];
  if (!isRecord(status)) return false;
  if (kind === 'Pod') return status['phase'] === 'Pending' || status['phase'] === 'Running';
  return kind === 'Job' && Number(status['active'] ?? 0) > 0;
}

async function liveHook({ cluster, namespace }: ReleaseContext, hook: Hook): Promise<KubeObject | undefined> {
  const object = hookObject(hook.manifest);
  const ref = object === undefined ? undefined : await liveRef(cluster, object, namespace);
  return ref === undefined ? undefined : cluster.get(ref, { metadataOnly: isSecret(ref) });
}

const deadWords = ' by a run that is gone';

/** Returns true if `markDead` marked the revision failed. Its record does not show how far its run came. */
export function isMarkedDead({ status, description }: Revision): boolean {
  return status === 'failed' && description.endsWith(deadWords);
}

/** Marks a revision failed whose run is gone. The next change of the release removes its objects; see mergeBase. */
export async function markDead(context: ReleaseContext, dead: Revision, how: string): Promise<void> {
  context.agent.log(
    `Revision ${dead.revision} was left ${dead.status}: ${how}. The task marks it failed and recovers the release.`,
  );
  const change = { status: 'failed', description: `Left ${dead.status}${deadWords}` } as const;
  await withRetries(context, () => context.storage.update(dead.revision, change));
  await removeHooks(context, dead);
}

/** Returns true if the run of a failed revision was ended from outside, possibly during a hook. */
export function wasInterrupted({ status, description }: Revision): boolean {
  return status === 'failed' && /context canceled|by a run that is gone$/.test(description);
}

/** Removes the hooks that still run or that Helm would have removed. A `hopeless` hook that `hasEnded` may stay. */
export async function removeHooks(
  context: ReleaseContext,
  revision: Revision,
  hopeless?: { ref: ObjectRef; hasEnded: boolean },
): Promise<void> {
  for (const hook of revision.hooks) {
    const isHopeless = hopeless?.ref.kind === hook.kind && hopeless.ref.name === hook.name;
    await removeHook(context, revision, hook, isHopeless ? hopeless.hasEnded : undefined);
  }
}

/** A Job that still runs would run beside the hooks of the next revision. */
async function removeHook(
  context: ReleaseContext,
  revision: Revision,
  hook: Hook,
  hasEnded: boolean | undefined,
): Promise<void> {
  const live = await liveHook(context, hook);
  const uid = live?.metadata.uid;
  // Helm creates its hooks after its record, so it had not yet replaced an object that is older.
  if (live === undefined || uid === undefined || isOlder(live, revision)) return;
  const isLeft = hasEnded === undefined ? isRunning(live) : !hasEnded;
  if (!isLeft && !isRemovedByHelm(live, hasEnded === undefined)) return;
  await context.lease.confirm();
  await context.cluster.delete(refOf(live), { uid });
  context.agent.log(`${live.kind}/${live.metadata.name}, a hook that its run had not removed, was removed.`);
}

/** A hook without such a policy stays until its next run. */
function isRemovedByHelm({ metadata }: KubeObject, maySucceed: boolean): boolean {
  const policies = (metadata.annotations?.['helm.sh/hook-delete-policy'] ?? '')
    .split(',')
    .map((policy) => policy.trim());
  return policies.includes('hook-failed') || (maySucceed && policies.includes('hook-succeeded'));
}

/** Restores what a dead run had changed in Helm's records, and returns the history. */
export async function restoreHistory(
  context: ReleaseContext,
  history: readonly Revision[],
): Promise<readonly Revision[]> {
  const edited = history.filter(isEdited);
  const marked = history.filter(wasServing);
  if (edited.length === 0 && marked.length === 0) return history;
  for (const revision of edited) await restoreEdited(context, revision, history);
  const isReplaced = history.some((revision) => revision.status === 'deployed');
  for (const revision of marked) {
    const serves = !isReplaced && revision === marked.at(-1);
    const change: RecordChange = { ...(serves ? { status: 'deployed' } : {}), labels: { [servedLabel]: undefined } };
    await withRetries(context, () => context.storage.update(revision.revision, change));
  }
  return withRetries(context, () => context.storage.history());
}

async function restoreEdited(
  context: ReleaseContext,
  { revision, status }: Revision,
  history: readonly Revision[],
): Promise<void> {
  const { agent, storage } = context;
  const original = await withRetries(context, () => storage.copyOf(revision));
  if (original === undefined) agent.debug(`There is no copy of the record of revision ${revision}.`);
  // Helm marks every replaced revision `superseded`, even a failed one.
  const failed = original?.status === 'failed' && status === 'superseded' ? { status: original.status } : {};
  if (original !== undefined) {
    const { manifest, config } = original;
    await withRetries(context, () => storage.update(revision, { manifest, config, bulk: 'from copy', ...failed }));
  }
  await forgetEdit(context, revision, history);
}

export function pendingRefusal(last: Revision, why: string): TaskError {
  return new TaskError(
    'ReleasePending',
    `Release ${last.name} in namespace ${last.namespace} is ${last.status} since ${last.lastDeployed || 'an unknown time'} ` +
      `(revision ${last.revision}, chart ${last.chart.name} ${last.chart.version}, «${last.description}»): ` +
      `another run of Helm works on it, or died while working on it; ${why}. Nothing was changed.`,
    { facts: { revision: last.revision, status: last.status } },
  );
}

export function isPending(history: readonly Revision[]): boolean {
  return releaseState(history).state === 'pending';
}
