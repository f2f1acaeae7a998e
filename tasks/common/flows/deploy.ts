import { advice, asTaskError, type FailureReason } from '../core/failure';
import {
  changedNothing,
  isVerified,
  prunable,
  rollbackTarget,
  sinceUninstall,
  unhealthyLabel,
  verifiedLabel,
  type RollbackTarget,
} from '../core/history';
import { objectName } from '../core/manifest';
import type { Follower, HelmResult, Rendering } from '../core/ports';
import { baselineOf, type Readiness, type WantedObject } from '../core/readiness';
import type { ObjectRef } from '../core/kubernetes';
import type { Hook, Revision } from '../core/release';
import type { DeployReport, Evidence, Outcome, ReportedLeftover, ReportedObject } from '../core/report';
import { stopIfCancelled, type ReleaseContext } from './context';
import { collectEvidence } from './evidence';
import { followRelease, type FollowResult } from './followRelease';
import { chainFrom, giveBase, restoreRecord, type GivenBase } from './mergeBase';
import { look, type Look } from './look';
import { followQueries, wantedObjects } from './wantedObjects';

/** What a deploy has come to know; the report is made from it, however the deploy ends. */
interface Story {
  startedAt: Date;
  helmVersion: string;
  chart: string;
  appVersion: string;
  revisionBefore: number | null;
  servingRevision: number | null;
  objects: readonly ReportedObject[];
  evidence: Evidence[];
  leftovers: ReportedLeftover[];
}

interface Ending {
  outcome: Outcome;
  reason: string;
  message: string;
  failedWorkload: string;
}

const done: Ending = { outcome: 'deployed', reason: '', message: '', failedWorkload: '' };

/**
 * Deploys the release and answers with what it came to. Throws nothing: what stops it is an ending too.
 * Longest time: timeout + rollbackTimeout, and what reading the evidence takes.
 */
export async function deploy(context: ReleaseContext): Promise<DeployReport> {
  const story: Story = {
    startedAt: context.clock.now(),
    helmVersion: '',
    chart: '',
    appVersion: '',
    revisionBefore: null,
    servingRevision: null,
    objects: [],
    evidence: [],
    leftovers: [],
  };
  const ending = await tell(context, story).catch((thrown: unknown) => endingOf(thrown, context.signal));
  return reportOf(context, story, ending);
}

function endingOf(thrown: unknown, signal: AbortSignal): Ending {
  const error = asTaskError(thrown);
  const isCancelled = signal.aborted || error.reason === 'Cancelled';
  const outcome = isCancelled ? 'cancelled' : refusals.has(error.reason) ? 'refused' : 'failed';
  return { outcome, reason: isCancelled ? 'Cancelled' : error.reason, message: error.message, failedWorkload: '' };
}

const refusals = new Set<FailureReason>(['ReleasePending', 'StorageUnsupported']);

async function tell(context: ReleaseContext, story: Story): Promise<Ending> {
  const deadline = later(context.clock.now(), context.request.timeoutSeconds);
  const seen = await group(context, 'Look at the release and the chart', () => look(context));
  story.helmVersion = seen.capabilities.version;
  story.revisionBefore = seen.history.at(-1)?.revision ?? null;
  story.servingRevision = servingOf(seen)?.revision ?? null;
  stopIfCancelled(context.signal);
  const target = seen.target;
  sayTarget(context, seen, target);

  const follower = seen.follower;
  try {
    const upgraded = await group(context, 'Run helm upgrade --install', () => upgrade(context, story, seen, deadline));
    return await judge(context, story, seen, upgraded, deadline);
  } finally {
    follower?.stop();
  }
}

function sayTarget(context: ReleaseContext, seen: Look, target: RollbackTarget | undefined): void {
  const { agent, request } = context;
  const most = request.timeoutSeconds + (request.onFailure === 'rollback' ? request.rollbackTimeoutSeconds : 0);
  const way =
    request.onFailure === 'keep'
      ? 'a failed deploy is left as it is (onFailure: keep)'
      : target !== undefined
        ? `a failed deploy returns to revision ${target.revision.revision} (${target.proof === 'verified' ? 'verified healthy' : 'deployed, not verified'})`
        : isInstall(seen)
          ? 'a failed first install is uninstalled'
          : 'there is no revision to return to';
  agent.log(`At most ${duration(most)} from here; ${way}.`);
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = whole % 60;
  if (minutes === 0) return `${rest} s`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

interface Upgraded {
  result: HelmResult;
  /** The revision that this run made; undefined when Helm ended before it made one. */
  revision: Revision | undefined;
  history: readonly Revision[];
  /** No object of the chart was touched. */
  changedNothing: boolean;
  /** What the follower saw beside a waiting Helm, when that ended the run. */
  followed: FollowResult | undefined;
  said: Map<string, string>;
}

async function upgrade(context: ReleaseContext, story: Story, seen: Look, deadline: Date): Promise<Upgraded> {
  const { storage } = context;
  const given = await baseForUpgrade(context, seen);
  story.leftovers.push(...(given?.leftovers ?? []));
  const said = new Map<string, string>();
  let result: HelmResult | undefined;
  let followed: FollowResult | undefined;
  try {
    const wait = needsWait(seen.rendering, isInstall(seen) ? 'post-install' : 'post-upgrade');
    if (wait) context.agent.log('The chart has hooks that run when all is ready: Helm waits too.');
    ({ result, followed } = await runUpgrade(context, seen, wait, deadline, said));
  } finally {
    const history = await storage.history();
    const made = newRevision(seen.history, history);
    const untouched = made === undefined || changedNothing(made, preHook(seen));
    await restoreRecord(context, given, seen.history, result?.ok !== true && untouched);
  }
  const history = await storage.history();
  const revision = newRevision(seen.history, history);
  if (revision !== undefined) {
    story.chart = `${revision.chart.name} ${revision.chart.version}`;
    story.appVersion = revision.chart.appVersion;
  }
  const nothing = !result.ok && (revision === undefined || changedNothing(revision, preHook(seen)));
  context.agent.log(`Helm ended ${result.ok ? 'well' : 'badly'} after ${(result.durationMs / 1000).toFixed(1)} s.`);
  return { result, revision, history, changedNothing: nothing, followed, said };
}

function newRevision(before: readonly Revision[], now: readonly Revision[]): Revision | undefined {
  const last = now.at(-1);
  return last !== undefined && last.revision > (before.at(-1)?.revision ?? 0) ? last : undefined;
}

function isInstall(seen: Look): boolean {
  return seen.state.state === 'absent' || seen.state.state === 'uninstalled';
}

function preHook(seen: Look): 'pre-install' | 'pre-upgrade' {
  return isInstall(seen) ? 'pre-install' : 'pre-upgrade';
}

function needsWait(rendering: Rendering, event: string): boolean {
  return rendering.hooks.some((hook) => hook.events.includes(event));
}

/** After a failed revision Helm needs help to leave nothing of it behind; see core/remains. */
async function baseForUpgrade(context: ReleaseContext, seen: Look): Promise<GivenBase | undefined> {
  if (seen.state.state !== 'failed') return undefined;
  const good = lastGood(seen.history);
  const chain = chainFrom(seen.history, good);
  context.agent.log(
    `Revision ${seen.state.last.revision} failed. Helm is made to merge from all that revisions ${chain
      .map((revision) => revision.revision)
      .join(', ')} may have left, so that nothing of it stays.`,
  );
  const config = reusesValues(context) ? good?.config : undefined;
  return giveBase(context, seen.history, chain, good, seen.rendering.manifest, config);
}

function lastGood(history: readonly Revision[]): Revision | undefined {
  return sinceUninstall(history).findLast((revision) => revision.status === 'deployed' || isVerified(revision));
}

/** Helm takes the last values when it is given none, and those of a failed revision would come back with it. */
function reusesValues(context: ReleaseContext): boolean {
  const { extraArguments, valueFiles, values } = context.request;
  if (extraArguments.some((argument) => /^--(reuse-values|reset-then-reuse-values)(=true)?$/.test(argument)))
    return true;
  return valueFiles.length === 0 && values.argv.length === 0 && values.privateValues === undefined;
}

/** Runs Helm; beside a Helm that waits, our own follower ends the run at the first object that has failed. */
async function runUpgrade(
  context: ReleaseContext,
  seen: Look,
  wait: boolean,
  deadline: Date,
  said: Map<string, string>,
): Promise<{ result: HelmResult; followed: FollowResult | undefined }> {
  const { cluster, clock, helm, namespace, signal } = context;
  const timeoutSeconds = secondsUntil(deadline, clock.now());
  if (!wait) {
    const running = helm.upgrade({ timeoutSeconds, wait }, signal);
    return { result: await remindingWhile(context, running), followed: undefined };
  }

  const objects = await wantedObjects(cluster, seen.rendering.manifest, namespace);
  const follower = seen.follower ?? (await cluster.follow([], signal));
  await follower.add(followQueries(objects));
  const untouched = baselineOf(follower.snapshot());
  const giveUp = new AbortController();
  const helmEnded = new AbortController();
  const running = helm.upgrade({ timeoutSeconds, wait }, AbortSignal.any([signal, giveUp.signal])).finally(() => {
    helmEnded.abort();
  });
  const following = followRelease(context, follower, objects, { deadline, stop: helmEnded.signal, untouched, said });
  const followed = await following;
  if (followed.end === 'failed') giveUp.abort();
  const result = await running;
  if (seen.follower === undefined) follower.stop();
  return { result, followed: followed.end === 'failed' ? followed : undefined };
}

function secondsUntil(deadline: Date, now: Date): number {
  return Math.max(1, Math.floor((deadline.getTime() - now.getTime()) / 1000));
}

function later(from: Date, seconds: number): Date {
  return new Date(from.getTime() + seconds * 1000);
}

/** Decides what Helm's run came to, and follows the rollout where it is still open. */
async function judge(
  context: ReleaseContext,
  story: Story,
  seen: Look,
  upgraded: Upgraded,
  deadline: Date,
): Promise<Ending> {
  const { result, revision } = upgraded;
  if (upgraded.followed !== undefined) {
    return fail(
      context,
      story,
      seen,
      upgraded,
      endingOfReadiness(upgraded.followed.readiness, false),
      upgraded.followed.readiness,
    );
  }
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (!result.ok || revision === undefined) return helmFailed(context, story, seen, upgraded);

  const followed = await group(context, `Follow revision ${revision.revision}`, () =>
    followRevision(context, revision, deadline, upgraded.said),
  );
  story.objects = reported(followed.readiness);
  switch (followed.end) {
    case 'healthy':
      return succeed(context, story, revision);
    case 'cancelled':
      return cancelled(context, upgraded);
    case 'failed':
    case 'stopped':
    case 'timedOut':
      return fail(
        context,
        story,
        seen,
        upgraded,
        endingOfReadiness(followed.readiness, followed.end === 'timedOut'),
        followed.readiness,
      );
  }
}

async function followRevision(
  context: ReleaseContext,
  revision: Revision,
  deadline: Date,
  said: Map<string, string>,
): Promise<FollowResult> {
  const objects = await wantedObjects(context.cluster, revision.manifest, context.namespace);
  return followObjects(context, objects, deadline, said);
}

/** Reads everything anew: what a follower holds from before Helm ran may not have caught up. */
async function followObjects(
  context: ReleaseContext,
  objects: readonly WantedObject[],
  deadline: Date,
  said: Map<string, string>,
): Promise<FollowResult> {
  let follower: Follower | undefined;
  try {
    follower = await context.cluster.follow(followQueries(objects), context.signal);
    return await followRelease(context, follower, objects, { deadline, said });
  } finally {
    follower?.stop();
  }
}

function endingOfReadiness(readiness: Readiness, isTimedOut: boolean): Ending {
  const decisive = readiness.decisive;
  if (decisive === undefined)
    return { outcome: 'failed', reason: 'Internal', message: 'Nothing to wait for.', failedWorkload: '' };
  const late = isTimedOut ? ' The time for the deploy is over.' : '';
  return {
    outcome: 'failed',
    reason: isTimedOut && decisive.reason === '' ? 'TimedOut' : decisive.reason,
    message: `${sentence(decisive.message)}${late}`,
    failedWorkload: objectName(decisive.ref),
  };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function reported(readiness: Readiness): ReportedObject[] {
  return readiness.objects.map(({ ref, status, reason, message }) => ({
    kind: ref.kind,
    apiVersion: ref.apiVersion,
    name: ref.name,
    namespace: ref.namespace ?? '',
    status,
    reason,
    message,
  }));
}

async function succeed(context: ReleaseContext, story: Story, revision: Revision): Promise<Ending> {
  await verify(context, revision);
  story.servingRevision = revision.revision;
  context.agent.log(`All ${story.objects.length} objects of revision ${revision.revision} are there and ready.`);
  await prune(context);
  return done;
}

async function verify(context: ReleaseContext, revision: Revision): Promise<void> {
  await context.storage.update(revision.revision, {
    labels: { [verifiedLabel]: String(revision.revision), [unhealthyLabel]: undefined },
  });
}

/** Too long a history is no reason to fail a deploy that is done. */
async function prune(context: ReleaseContext): Promise<void> {
  const { agent, storage, request } = context;
  try {
    for (const revision of prunable(await storage.history(), request.historyMax)) {
      await storage.remove(revision.revision);
    }
  } catch (error) {
    agent.warning(`Old revisions could not be removed from Helm's history: ${asTaskError(error).message}`);
  }
}

/** Helm's own failure: what it had done by then decides what is to be done. */
async function helmFailed(context: ReleaseContext, story: Story, seen: Look, upgraded: Upgraded): Promise<Ending> {
  const { result, revision } = upgraded;
  const failure = result.failure ?? { reason: 'Internal' as const, message: 'Helm ended well, but made no revision.' };
  const hook = revision?.hooks.find((candidate) => candidate.lastPhase === 'Failed');
  const ending: Ending = {
    outcome: 'failed',
    reason: failure.reason,
    message: sentence(failure.message),
    failedWorkload: hook === undefined ? '' : objectName(hook),
  };
  if (revision === undefined) return ending;
  const hooks = hookRefs(context, hook);
  if (upgraded.changedNothing && seen.history.length > 0) {
    story.evidence.push(...(await group(context, 'Why it failed', () => showEvidence(context, ending, hooks))));
    await settle(context, revision);
    context.agent.log('Nothing of the release was changed, so nothing is rolled back.');
    await prune(context);
    return ending;
  }
  const objects = await wantedObjects(context.cluster, revision.manifest, context.namespace);
  const readiness = await readOnce(context, objects);
  // A wait that Helm gave up says less than the object that it waited for.
  const isWait = failure.reason === 'TimedOut' && hook === undefined && readiness.decisive !== undefined;
  return fail(context, story, seen, upgraded, isWait ? endingOfReadiness(readiness, true) : ending, readiness, hooks);
}

/** A record that says `pending` after Helm has ended is Helm's, killed: it says failed from now on. */
async function settle(context: ReleaseContext, revision: Revision): Promise<void> {
  if (!revision.status.startsWith('pending-')) return;
  await context.storage.update(revision.revision, { status: 'failed', description: 'Helm ended before it was done' });
}

function hookRefs(context: ReleaseContext, hook: Hook | undefined): ObjectRef[] {
  if (hook === undefined || (hook.kind !== 'Job' && hook.kind !== 'Pod')) return [];
  const apiVersion = hook.kind === 'Job' ? 'batch/v1' : 'v1';
  return [{ apiVersion, kind: hook.kind, namespace: context.namespace, name: hook.name }];
}

async function readOnce(context: ReleaseContext, objects: readonly WantedObject[]): Promise<Readiness> {
  const followed = await followObjects(context, objects, context.clock.now(), new Map());
  return followed.readiness;
}

/** The deploy has failed after it changed something: evidence first, then the record, then the way back. */
async function fail(
  context: ReleaseContext,
  story: Story,
  seen: Look,
  upgraded: Upgraded,
  ending: Ending,
  readiness: Readiness,
  hooks: readonly ObjectRef[] = [],
): Promise<Ending> {
  const { agent, request } = context;
  const revision = upgraded.revision;
  story.objects = reported(readiness);
  const blamed = readiness.objects.filter((object) => object.status !== 'Current').map((object) => object.ref);
  const suspects = [...hooks, ...blamed];
  story.evidence.push(...(await group(context, 'Why it failed', () => showEvidence(context, ending, suspects))));
  if (revision === undefined) return ending;
  await markUnhealthy(context, revision, ending);
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (request.onFailure === 'keep') {
    agent.log(`Revision ${revision.revision} is left as it is (onFailure: keep), marked failed in Helm's record.`);
    story.servingRevision = revision.revision;
    await prune(context);
    return ending;
  }
  if (seen.target !== undefined) {
    const target = seen.target.revision;
    return group(context, `Roll back to revision ${target.revision}`, () => returnTo(context, story, target, ending));
  }
  if (seen.history.length > 0 && sinceUninstall(seen.history).some((old) => old.status !== 'failed')) {
    return { ...ending, message: `${ending.message} There is no revision to return to that was verified or deployed.` };
  }
  return group(context, 'Uninstall the failed first install', () => uninstall(context, story, revision, ending));
}

async function showEvidence(
  context: ReleaseContext,
  ending: Ending,
  blamed: readonly ObjectRef[],
): Promise<Evidence[]> {
  const { agent } = context;
  agent.log(`${ending.failedWorkload === '' ? 'helm' : ending.failedWorkload}: ${ending.message} (${ending.reason})`);
  const evidence = await collectEvidence(context, blamed);
  for (const item of evidence) {
    agent.log(`${item.object}, ${item.title}:`);
    for (const line of item.lines) agent.log(`  | ${line}`);
  }
  return evidence;
}

async function markUnhealthy(context: ReleaseContext, revision: Revision, ending: Ending): Promise<void> {
  await context.storage.update(revision.revision, {
    status: 'failed',
    ...(revision.status === 'failed'
      ? {}
      : { description: `Not healthy: ${ending.failedWorkload} ${ending.reason}`.replace(/ +/g, ' ').trim() }),
    labels: { [unhealthyLabel]: String(revision.revision), [verifiedLabel]: undefined },
  });
}

async function returnTo(context: ReleaseContext, story: Story, target: Revision, ending: Ending): Promise<Ending> {
  const { agent, storage, helm, request, clock } = context;
  const deadline = later(clock.now(), request.rollbackTimeoutSeconds);
  const history = await storage.history();
  const chain = chainFrom(history, target);
  const given = await giveBase(context, history, chain, target, target.manifest);
  story.leftovers.push(...(given?.leftovers ?? []));
  let result: HelmResult;
  try {
    const wait = target.hooks.some((hook) => hook.events.includes('post-rollback'));
    result = await helm.rollback({
      revision: target.revision,
      timeoutSeconds: secondsUntil(deadline, clock.now()),
      wait,
    });
  } finally {
    await restoreRecord(context, given, history, false);
  }
  const revision = newRevision(history, await storage.history());
  if (!result.ok || revision === undefined) {
    if (revision !== undefined) await settle(context, revision);
    return rollbackFailed(context, ending, target, result.failure?.message ?? 'Helm made no revision.');
  }
  const followed = await followRevision(context, revision, deadline, new Map());
  story.servingRevision = revision.revision;
  if (followed.end === 'healthy') {
    await verify(context, revision);
    await prune(context);
    agent.log(
      `Revision ${revision.revision} has the manifest of revision ${target.revision}; all of it is there and ready.`,
    );
    return { ...ending, outcome: 'rolledBack' };
  }
  if (followed.end === 'cancelled') {
    return cancelledWith(
      `The rollback to revision ${target.revision} was done (revision ${revision.revision}), but not seen to the end.`,
    );
  }
  const why = endingOfReadiness(followed.readiness, followed.end === 'timedOut');
  story.objects = reported(followed.readiness);
  await markUnhealthy(context, revision, why);
  return rollbackFailed(context, ending, target, `${why.failedWorkload}: ${why.message}`);
}

function rollbackFailed(context: ReleaseContext, ending: Ending, target: Revision, why: string): Ending {
  const { request, namespace } = context;
  return {
    ...ending,
    outcome: 'failed',
    message: [
      sentence(ending.message),
      `The rollback to revision ${target.revision} failed too: ${sentence(why)}`,
      `To look: helm history ${request.releaseName} --namespace ${namespace}.`,
      `To try again: helm rollback ${request.releaseName} ${target.revision} --namespace ${namespace}`,
    ].join(' '),
  };
}

async function uninstall(context: ReleaseContext, story: Story, revision: Revision, ending: Ending): Promise<Ending> {
  const { agent, helm, request, storage } = context;
  const history = await storage.history();
  const given = await giveBase(context, history, [...chainFrom(history, undefined)], undefined, '');
  story.leftovers.push(...(given?.leftovers ?? []));
  const uninstalling = helm.uninstall({ timeoutSeconds: request.rollbackTimeoutSeconds });
  const result = await remindingWhile(context, uninstalling);
  story.servingRevision = null;
  if (!result.ok) {
    await restoreRecord(context, given, history, false);
    const said = result.failure?.message ?? '';
    return {
      ...ending,
      message: `${sentence(ending.message)} Uninstalling it failed too: ${sentence(said)} To try again: helm uninstall ${request.releaseName} --namespace ${context.namespace}`,
    };
  }
  agent.log(`Revision ${revision.revision} was the first of this release; it is uninstalled.`);
  return { ...ending, outcome: 'rolledBack' };
}

/** The record of a revision that nobody saw healthy says so; Helm itself does the same when it is interrupted. */
async function cancelled(context: ReleaseContext, upgraded: Upgraded): Promise<Ending> {
  const { revision } = upgraded;
  if (revision === undefined) return cancelledWith('Helm had not changed anything yet.');
  if (revision.status !== 'failed') {
    await context.storage.update(revision.revision, {
      status: 'failed',
      description: 'Cancelled before it was seen healthy',
    });
  }
  const state = upgraded.changedNothing ? 'nothing of the release was changed' : 'its objects may be half way';
  return cancelledWith(
    `Revision ${revision.revision} is marked failed in Helm's record; ${state}. The next deploy starts from there.`,
  );
}

function cancelledWith(message: string): Ending {
  return { outcome: 'cancelled', reason: 'Cancelled', message, failedWorkload: '' };
}

function servingOf(seen: Look): Revision | undefined {
  const { state } = seen;
  if (state.state === 'deployed') return state.last;
  return rollbackTarget(seen.history)?.revision;
}

/** Helm says nothing while a hook runs; so that nobody thinks it hangs, we do. */
async function remindingWhile<T>(context: ReleaseContext, work: Promise<T>): Promise<T> {
  const { agent, clock } = context;
  const ended = new AbortController();
  const started = clock.now().getTime();
  const remind = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(reminderMs, ended.signal);
      if (ended.signal.aborted) return;
      agent.log(`  Helm is still at work, ${duration((clock.now().getTime() - started) / 1000)} so far.`);
    }
  };
  const reminding = remind();
  try {
    return await work;
  } finally {
    ended.abort();
    await reminding;
  }
}

const reminderMs = 30_000;

async function group<T>(context: ReleaseContext, title: string, act: () => Promise<T>): Promise<T> {
  context.agent.startGroup(title);
  try {
    return await act();
  } finally {
    context.agent.endGroup();
  }
}

async function reportOf(context: ReleaseContext, story: Story, ending: Ending): Promise<DeployReport> {
  const { request, namespace } = context;
  const history = await context.storage.history().catch(() => []);
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: request.releaseName,
    namespace,
    outcome: ending.outcome,
    reason: ending.reason,
    message: ending.message,
    advice: ending.outcome === 'deployed' ? '' : adviceFor(ending.reason),
    failedWorkload: ending.failedWorkload,
    revisionBefore: story.revisionBefore,
    revision: history.at(-1)?.revision ?? null,
    verifiedRevision: history.findLast(isVerified)?.revision ?? null,
    servingRevision: story.servingRevision,
    chart: story.chart,
    appVersion: story.appVersion,
    helmVersion: story.helmVersion,
    startedAt: story.startedAt.toISOString(),
    finishedAt: context.clock.now().toISOString(),
    objects: story.objects,
    evidence: story.evidence,
    leftovers: story.leftovers,
  };
}

/** Reasons of objects are Kubernetes' own words, for which the evidence is the advice. */
function adviceFor(reason: string): string {
  return reason in advice ? advice[reason as FailureReason] : '';
}
