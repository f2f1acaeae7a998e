import { TaskError } from '../../core/failure';
import type { UninstallRequest } from '../../core/inputs/uninstallRequest';
import type { KubeObject } from '../../core/kubernetes/object';
import type { Interruption } from '../../core/lock/interruption';
import type { Work } from '../../core/lock/work';
import type { ReleaseHelm, ReleaseStorage, RollbackHelm } from '../../core/ports';
import { releaseState } from '../../core/release/history';
import { deletionHooks, keptSentence, removalLines } from '../../core/release/removal';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type LeaseContext, type LeftEnded, type RolloutContext } from '../../core/releaseContext';
import { endingFor, endingThen, wellEnded, type Ending } from '../../core/report/ending';
import { endingOfHelm, hookEnding, blamedHook } from '../../core/report/helmEnding';
import type { DeployReport } from '../../core/report/report';
import type { Sha256 } from '../../core/rollbackPlan/model/types';
import { sentences } from '../../core/text/sentence';
import { counted } from '../../core/text/counted';
import { briefly } from '../../core/helm/helmFailure';
import { lostEnding } from '../deploy/deploy';
import { endingOfError } from '../deploy/endingOfError';
import { cancelledWith } from '../deploy/uninstall';
import { withLease, type FlowLease } from '../lock/lease';
import { announceWork, beginWork, contextUnder, endWork } from '../release/change';
import { newDeployProgress, reportOf, servingIn, type DeployProgress } from '../release/deployProgress';
import { giveRecord, onBase, type GivenBase } from '../release/mergeBase';
import { leftObjects, settlePreexisting } from '../release/preexisting';
import { hideSecrets } from '../release/record';
import { isPending, markDead, ownerOf, pendingRefusal, restoreHistory } from '../release/recover';
import { renewRecords } from '../release/servedVersions';
import { showHookEvidence, whileHooksRun } from '../rollout/hookLogs';
import { group, later, remindingWhile, secondsUntil } from '../steps/phase';
import { withRetries } from '../steps/withRetries';
import { followIfReadable, hangingObject, hangingSentence, type RemovalFollower } from './followRemoval';
import { checkRoom, ownKeys, planRemoval, type RemovalPlan, type UninstallContext } from './planRemoval';
import { removeNamespace } from './removeNamespace';

export type UninstallStart = RolloutContext &
  LeaseContext & {
    helm: ReleaseHelm;
    rollbackHelm: RollbackHelm;
    sha256: Sha256;
    storage: ReleaseStorage;
    request: UninstallRequest;
  };

/**
 * Uninstalls the release, follows its objects until they are gone, and returns the report. Throws nothing. Helm's
 * records go last, so that a run that dies, or that ends before all is gone, is continued by the next one.
 */
export async function uninstallRelease(start: UninstallStart): Promise<DeployReport> {
  const progress = newDeployProgress(start.clock.now());
  const ending = await withLease(start, (lease) => underLease(start, progress, lease)).catch((thrown: unknown) =>
    endingOfError(thrown, progress.found, start.signal),
  );
  if (!progress.hasBegun) endWork(start.agent);
  return reportOf(start, progress, ending);
}

/** Continues in the post-job phase what the main phase of the step had begun, unless `onInterrupted` is `keep`. */
export async function resumeUninstall(start: UninstallStart & LeftEnded, left: Interruption): Promise<DeployReport> {
  const progress = newDeployProgress(start.clock.now());
  const ending = await withLease(start, async (lease): Promise<Ending> => {
    const begun = left.action === undefined ? lease.previous?.work : { action: left.action, revision: left.revision };
    if (begun !== undefined) return underLease(start, progress, lease, begun);
    start.agent.log('No change was begun.');
    endWork(start.agent);
    return wellEnded;
  }).catch((thrown: unknown) => endingOfError(thrown, progress.found, start.signal));
  return reportOf(start, progress, ending);
}

async function underLease(
  start: UninstallStart,
  progress: DeployProgress,
  lease: FlowLease,
  begun?: Work,
): Promise<Ending> {
  const context: UninstallContext = contextUnder(start, lease);
  const scope: Scope = { lease, signal: start.signal, lockIsLeft: false, namespaceIsGone: false };
  const ending = await uninstall(context, progress, scope, begun).catch((thrown: unknown) =>
    endingOfError(thrown, progress.found, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted && !scope.lockIsLeft) return lostEnding(ending);
  await settleWork(context, ending);
  return ending;
}

/** `signal` aborts with the step, and not with the lock, which goes with the namespace. */
interface Scope {
  lease: FlowLease;
  signal: AbortSignal;
  lockIsLeft: boolean;
  namespaceIsGone: boolean;
}

async function settleWork(context: UninstallContext, ending: Ending): Promise<void> {
  const history = await context.storage.history().catch(() => undefined);
  await hideSecrets(context, history ?? []);
  if (history === undefined || isPending(history) || ending.outcome === 'cancelled') return;
  await context.lease.settled();
  endWork(context.agent);
}

async function uninstall(
  context: UninstallContext,
  progress: DeployProgress,
  scope: Scope,
  begun?: Work,
): Promise<Ending> {
  const { clock, namespace, request, signal } = context;
  const deadline = later(clock.now(), request.timeoutSeconds);
  const history = await readHistory(context, progress, begun);
  const last = history.at(-1);
  stopIfCancelled(signal);
  if (last === undefined) {
    const message = `There is no release ${request.releaseName} in namespace ${namespace}, so there is nothing to uninstall.`;
    return wellUninstalled(context, progress, { history, scope, message, didNothing: true });
  }
  if (begun !== undefined && request.onInterrupted === 'keep') {
    const state =
      releaseState(history).state === 'uninstalled' ? 'what is left of it goes on ending' : 'it may be half gone';
    return cancelledWith(`The uninstall was interrupted, and ${state} (onInterrupted: keep). The next run ends it.`);
  }
  progress.chart = `${last.chart.name} ${last.chart.version}`;
  progress.appVersion = last.chart.appVersion;
  const plan = await group(context, 'Plan the uninstall', () => planned(context, history));
  progress.leftovers.push(
    ...plan.removals.flatMap(({ fate, ref: { kind, name }, why }) =>
      fate === 'kept' ? [{ kind, name, keptBecause: why }] : [],
    ),
  );
  progress.removals = plan.removals;
  const follower = await followIfReadable(
    context,
    plan.removals.filter(({ isLater }) => isLater !== true),
  );
  try {
    return await carryOut(context, progress, { history, last, plan, follower, deadline, scope });
  } finally {
    follower?.stop();
  }
}

async function planned(context: UninstallContext, history: readonly Revision[]): Promise<RemovalPlan> {
  const plan = await planRemoval(context, history);
  const isDone = releaseState(history).state === 'uninstalled';
  const hooks = isDone ? [] : deletionHooks(history.at(-1)?.hooks ?? []);
  for (const line of removalLines(plan.removals, hooks)) context.agent.log(line);
  return plan;
}

/** Takes over what a dead run has left. Throws if its run may be alive. */
async function readHistory(
  context: UninstallContext,
  progress: DeployProgress,
  begun: Work | undefined,
): Promise<readonly Revision[]> {
  const { agent, namespace, process, request, storage } = context;
  context.preexisting.push(...(await leftObjects(context)));
  const found = await withRetries(context, () => storage.history());
  const state = releaseState(found);
  progress.serving = servingIn(found);
  progress.revisionBefore = progress.serving?.revision ?? null;
  if (state.state === 'unknown') throw pendingRefusal(state.last, 'this task does not know its status');
  if (state.state === 'pending') {
    const { last } = state;
    const owner =
      begun?.revision === last.revision
        ? ({ isGone: true, how: 'its step was interrupted' } as const)
        : await ownerOf(context, last, request.assumeAbandonedAfterSeconds);
    if (!owner.isGone) throw pendingRefusal(last, owner.why);
    progress.hasBegun = true;
    announceWork(agent, {
      release: request.releaseName,
      namespace,
      revision: last.revision,
      action: 'uninstall',
      process,
    });
    await markDead(context, last, owner.how);
  }
  const history = state.state === 'pending' ? await storage.history() : found;
  const restored = await restoreHistory(context, history);
  return renewRecords(context, restored, restored.at(-1)?.revision ?? 0);
}

interface Uninstalling {
  history: readonly Revision[];
  last: Revision;
  plan: RemovalPlan;
  follower: RemovalFollower | undefined;
  deadline: Date;
  scope: Scope;
}

async function carryOut(
  context: UninstallContext,
  progress: DeployProgress,
  uninstalling: Uninstalling,
): Promise<Ending> {
  const { agent, request } = context;
  const { last, plan, history } = uninstalling;
  const isDone = releaseState(history).state === 'uninstalled';
  await beginWork(context, progress, { action: 'uninstall', revision: last.revision });
  progress.serving = null;
  let failed: Ending | undefined;
  if (isDone) agent.log('Helm has uninstalled the release before. What is left of it is followed to its end.');
  else failed = await group(context, 'Run helm uninstall', () => runHelm(context, progress, uninstalling));
  if (failed !== undefined && !(await isUninstalled(context))) return failed;
  const hanging = await group(context, 'Follow the objects to their end', () => followToEnd(context, uninstalling));
  await settlePreexisting(context, true);
  if (hanging !== undefined)
    return failed === undefined ? hanging : endingThen(failed, new TaskError('TimedOut', hanging.message));
  if (failed !== undefined) return failed;
  const deleted = plan.removals.filter(({ fate }) => fate === 'deleted').length;
  const didNothing = isDone && deleted === 0 && request.keepHistory;
  const what = didNothing
    ? `Release ${request.releaseName} was uninstalled before`
    : `Release ${request.releaseName} is uninstalled: ${counted(deleted, 'object is', 'objects are')} gone`;
  const records = request.keepHistory ? "Helm's records stay (keepHistory: true)" : '';
  const message = sentences(what, keptSentence(plan.removals), records);
  return wellUninstalled(context, progress, { history, scope: uninstalling.scope, message, didNothing });
}

interface WellUninstalled {
  history: readonly Revision[];
  scope: Scope;
  message: string;
  didNothing: boolean;
}

/** Helm's records are removed after the namespace, because they show the next run what belongs to the release. */
async function wellUninstalled(
  context: UninstallContext,
  progress: DeployProgress,
  { history, scope, message, didNothing }: WellUninstalled,
): Promise<Ending> {
  const { agent, namespace, request } = context;
  agent.log(message);
  const hanging = request.deleteNamespace ? await endNamespace(context, progress, history, scope) : undefined;
  if (hanging !== undefined) return { ...hanging, message: sentences(message, hanging.message) };
  if (!scope.namespaceIsGone && !request.keepHistory) await removeRecords(context, history);
  const kept = progress.leftovers.find(({ kind, name }) => kind === 'Namespace' && name === namespace);
  const end = scope.namespaceIsGone
    ? `Namespace ${namespace} is gone`
    : kept === undefined
      ? ''
      : `Namespace ${namespace} stays: ${kept.keptBecause}`;
  const outcome = didNothing && !scope.namespaceIsGone ? 'unchanged' : 'uninstalled';
  return { ...wellEnded, outcome, message: sentences(message, request.deleteNamespace ? end : '') };
}

/** Helm keeps its records, which are removed when everything is gone. */
async function runHelm(
  context: UninstallContext,
  progress: DeployProgress,
  { history, last, plan, deadline }: Uninstalling,
): Promise<Ending | undefined> {
  const { agent, clock, helm } = context;
  const given = plan.base && (await giveRecord(context, history, plan.base));
  await checkGiven(context, plan, given, history);
  const timeoutSeconds = secondsUntil(deadline, clock.now());
  const { result, hooks } = await onBase(context, given, history, () =>
    whileHooksRun(context, last.hooks, ['pre-delete', 'post-delete'], () =>
      remindingWhile(context, helm.uninstall({ timeoutSeconds, keepHistory: true })),
    ),
  );
  if (result.ok) {
    agent.log(`Helm succeeded after ${(result.durationMs / 1000).toFixed(1)} s.`);
    return undefined;
  }
  await showHookEvidence(context, progress, hooks);
  const failure = result.failure ?? { reason: 'HelmFailed', message: 'Helm did not say why.' };
  const now = (await withRetries(context, () => context.storage.history())).at(-1);
  const hook = blamedHook(now?.hooks ?? []);
  const [cause] = hook === undefined ? [] : await hooks.causesOf(hook);
  const ending = hookEnding({ failure, hopeless: undefined, hook, cause }) ?? endingOfHelm(failure, '');
  progress.found = ending;
  if (now !== undefined && now.status !== 'uninstalled') {
    const change = { status: 'failed', description: `Uninstall failed: ${briefly(failure.message)}` } as const;
    await withRetries(context, () => context.storage.update(now.revision, change));
  }
  const next = 'The release may be half gone. The next run of this step goes on, and a deploy restores the release.';
  return { ...ending, message: sentences(ending.message, next) };
}

/** Restores Helm's record before it throws. */
async function checkGiven(
  context: UninstallContext,
  plan: RemovalPlan,
  given: GivenBase | undefined,
  history: readonly Revision[],
): Promise<void> {
  const check = (): Promise<void> => {
    checkRoom(plan, given?.edited !== undefined);
    return Promise.resolve();
  };
  if (plan.base !== undefined && given?.edited === undefined) await onBase(context, given, history, check);
}

async function isUninstalled(context: UninstallContext): Promise<boolean> {
  const history = await withRetries(context, () => context.storage.history());
  return releaseState(history).state === 'uninstalled';
}

/** Returns the ending if something is left. */
async function followToEnd(
  context: UninstallContext,
  { plan, follower, deadline }: Uninstalling,
): Promise<Ending | undefined> {
  const { cluster, lease, signal } = context;
  const left = (await follower?.gone(deadline, signal)) ?? [];
  if (left.length > 0) return hangingEnding(context, left);
  const claims = plan.removals.filter(({ isLater, uid }) => isLater === true && uid !== undefined);
  const claimFollower = await followIfReadable(context, claims);
  try {
    for (const { ref, uid } of claims) {
      stopIfCancelled(signal);
      await lease.confirm();
      await cluster.delete(ref, uid === undefined ? {} : { uid });
    }
    const leftClaims = (await claimFollower?.gone(deadline, signal)) ?? [];
    if (leftClaims.length > 0) return hangingEnding(context, leftClaims);
  } finally {
    claimFollower?.stop();
  }
  stopIfCancelled(signal);
  return undefined;
}

function hangingEnding({ request, signal }: UninstallContext, left: readonly KubeObject[]): Ending {
  const words = hangingSentence(left, request.timeoutSeconds);
  if (signal.aborted) return cancelledWith(`The step was cancelled while objects were being deleted. ${words}`);
  const next = "Helm's record of the release stays as uninstalled, so that the next run of this step goes on.";
  return endingFor('failed', 'TimedOut', `${words} ${next}`, hangingObject(left));
}

async function removeRecords(context: UninstallContext, history: readonly Revision[]): Promise<void> {
  // The last record goes last: it shows the next run that Helm is done.
  for (const { revision } of history) await withRetries(context, () => context.storage.remove(revision));
}

async function endNamespace(
  context: UninstallContext,
  progress: DeployProgress,
  history: readonly Revision[],
  scope: Scope,
): Promise<Ending | undefined> {
  const { agent, clock, namespace, request } = context;
  const fate = await group(context, `Delete namespace ${namespace} if it is empty`, () =>
    removeNamespace(context, {
      ours: new Set(ownKeys(context, history)),
      deadline: later(clock.now(), request.timeoutSeconds),
      signal: scope.signal,
      leaveLock: () => {
        scope.lockIsLeft = true;
        scope.lease.leaveToExpire();
      },
    }),
  );
  if (fate.fate === 'hanging') return fate.ending;
  if (fate.fate === 'kept') {
    agent.log(`Namespace ${namespace} stays: ${fate.why}.`);
    progress.leftovers.push({ kind: 'Namespace', name: namespace, keptBecause: fate.why });
    return undefined;
  }
  scope.namespaceIsGone = true;
  agent.log(`Namespace ${namespace} is gone.`);
  return undefined;
}
