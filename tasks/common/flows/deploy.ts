import { duration, endingOfReadiness, reported, sentence, type Ending } from '../core/ending';
import { asTaskError, type FailureReason } from '../core/failure';
import { rollbackTarget, sinceUninstall, type RollbackTarget } from '../core/history';
import type { ObjectRef } from '../core/kubernetes';
import { objectName } from '../core/manifest';
import type { Readiness } from '../core/readiness';
import type { Hook, Revision } from '../core/release';
import type { DeployReport, Evidence } from '../core/report';
import { stopIfCancelled, type ReleaseContext } from '../core/releaseContext';
import { collectEvidence } from './evidence';
import { followRevision, readOnce } from './followRevision';
import { look, type Look } from './look';
import { group, later } from './phase';
import { markUnhealthy, prune, settle, verify } from './record';
import { reportOf, type Story } from './story';
import { isInstall, upgrade, type Upgraded } from './upgrade';
import { cancelledWith, returnTo, uninstall } from './wayBack';
import { wantedObjects } from './wantedObjects';

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

function servingOf(seen: Look): Revision | undefined {
  const { state } = seen;
  if (state.state === 'deployed') return state.last;
  return rollbackTarget(seen.history)?.revision;
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

async function succeed(context: ReleaseContext, story: Story, revision: Revision): Promise<Ending> {
  await verify(context, revision);
  story.servingRevision = revision.revision;
  context.agent.log(`All ${story.objects.length} objects of revision ${revision.revision} are there and ready.`);
  await prune(context);
  return done;
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

function hookRefs(context: ReleaseContext, hook: Hook | undefined): ObjectRef[] {
  if (hook === undefined || (hook.kind !== 'Job' && hook.kind !== 'Pod')) return [];
  const apiVersion = hook.kind === 'Job' ? 'batch/v1' : 'v1';
  return [{ apiVersion, kind: hook.kind, namespace: context.namespace, name: hook.name }];
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
