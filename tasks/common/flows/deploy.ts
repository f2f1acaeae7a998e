import {
  duration,
  endingFor,
  endingOfRollout,
  endingThen,
  reportedObjects,
  sentence,
  wellEnded,
  type Ending,
} from '../core/ending';
import { asTaskError, type FailureReason } from '../core/failure';
import { releaseState, rollbackTarget, sinceUninstall, type RollbackTarget } from '../core/history';
import { objectName } from '../core/manifest';
import type { Hook, Revision } from '../core/release';
import { stopIfCancelled, type ReleaseContext } from '../core/releaseContext';
import type { DeployReport, Evidence } from '../core/report';
import { causesOf, judge, type Cause, type RolloutVerdict } from '../core/rollout/verdict';
import { collectEvidence, sayEvidence } from './evidence';
import type { PodLogs } from './podLogs';
import { insist } from './insist';
import { look, type Look } from './look';
import { group, later } from './phase';
import { markUnhealthy, prune, settle, verify } from './record';
import { followRollout, readRollout, rolloutPolicy, type RolloutEnd } from './rollout';
import { reportOf, type Story } from './story';
import { isInstall, upgrade, type Upgraded } from './upgrade';
import { cancelledWith, returnTo, uninstall } from './wayBack';
import { wantedObjects } from './wantedObjects';

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
    found: undefined,
    objects: [],
    evidence: [],
    leftovers: [],
  };
  const ending = await tell(context, story).catch((thrown: unknown) =>
    endingOfError(thrown, story.found, context.signal),
  );
  return reportOf(context, story, ending);
}

const refusals = new Set<FailureReason>(['ReleasePending', 'StorageUnsupported']);

function endingOfError(thrown: unknown, found: Ending | undefined, signal: AbortSignal): Ending {
  if (found !== undefined) {
    const both = endingThen(found, thrown);
    return signal.aborted ? cancelledWith(both.message) : both;
  }
  const error = asTaskError(thrown);
  if (signal.aborted || error.reason === 'Cancelled') return cancelledWith(error.message);
  return endingFor(refusals.has(error.reason) ? 'refused' : 'failed', error.reason, error.message);
}

async function tell(context: ReleaseContext, story: Story): Promise<Ending> {
  const deadline = later(context.clock.now(), context.request.timeoutSeconds);
  const seen = await group(context, 'Look at the release and the chart', () =>
    look(context, (history) => {
      const serving = servingIn(history)?.revision ?? null;
      story.revisionBefore = serving;
      story.servingRevision = serving;
    }),
  );
  story.helmVersion = seen.capabilities.version;
  stopIfCancelled(context.signal);
  sayWayBack(context, seen);
  const upgraded = await group(context, 'Run helm upgrade --install', () => upgrade(context, story, seen, deadline));
  return judgeUpgrade(context, story, seen, upgraded, deadline);
}

function servingIn(history: readonly Revision[]): Revision | undefined {
  const state = releaseState(history);
  return state.state === 'deployed' ? state.last : rollbackTarget(history)?.revision;
}

function sayWayBack(context: ReleaseContext, seen: Look): void {
  const { agent, request } = context;
  const most = request.timeoutSeconds + (request.onFailure === 'rollback' ? request.rollbackTimeoutSeconds : 0);
  agent.log(`At most ${duration(most)} from here; ${wayBack(context, seen, seen.target)}.`);
}

function wayBack(context: ReleaseContext, seen: Look, target: RollbackTarget | undefined): string {
  if (context.request.onFailure === 'keep') return 'a failed deploy is left as it is (onFailure: keep)';
  if (target !== undefined) {
    const proof = target.proof === 'verified' ? 'verified healthy' : 'deployed, not verified';
    return `a failed deploy returns to revision ${target.revision.revision} (${proof})`;
  }
  return isInstall(seen) ? 'a failed first install is uninstalled' : 'there is no revision to return to';
}

/** Decides what Helm's run came to, and follows the rollout where it is still open. */
async function judgeUpgrade(
  context: ReleaseContext,
  story: Story,
  seen: Look,
  upgraded: Upgraded,
  deadline: Date,
): Promise<Ending> {
  const { result, revision, followed } = upgraded;
  const failing: Failing = { context, story, seen, upgraded };
  if (!result.ok) await upgraded.logs?.end(0);
  if (followed !== undefined) {
    return fail({ ...failing, heard: followed.heard }, endingOfRollout(followed.verdict), followed.verdict);
  }
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (!result.ok || revision === undefined) return helmFailed(failing);

  let rollout: RolloutEnd;
  try {
    const objects = await wantedObjects(context.cluster, revision.manifest, context.namespace);
    rollout = await group(context, `Follow revision ${revision.revision}`, () =>
      followRollout(context, objects, {
        policy: rolloutPolicy(context, deadline, true),
        memory: seen.baseline,
        said: upgraded.said,
        ...(upgraded.logs && { logs: upgraded.logs }),
      }),
    );
  } catch (thrown) {
    return unfollowed(failing, revision, thrown);
  }
  const { end, verdict } = rollout;
  story.objects = reportedObjects(verdict);
  if (end === 'healthy') return succeed(context, story, revision);
  if (end === 'cancelled') return cancelled(context, upgraded);
  return fail({ ...failing, heard: rollout.heard }, endingOfRollout(verdict), verdict);
}

/** What was not seen healthy has not been deployed well, whatever kept us from seeing it. */
async function unfollowed(failing: Failing, revision: Revision, thrown: unknown): Promise<Ending> {
  if (failing.context.signal.aborted) return cancelled(failing.context, failing.upgraded);
  const { reason, message } = asTaskError(thrown);
  const what = `Revision ${revision.revision} was applied, but could not be followed`;
  return fail(failing, endingFor('failed', reason, `${what}: ${message}`), undefined);
}

async function succeed(context: ReleaseContext, story: Story, revision: Revision): Promise<Ending> {
  story.servingRevision = revision.revision;
  await insist(context, () => verify(context.storage, revision));
  const broken = story.objects.filter((object) => object.isPreexisting);
  context.agent.log(
    `All ${story.objects.length - broken.length} objects of revision ${revision.revision} are there and ready.`,
  );
  for (const object of broken) {
    context.agent.log(`${objectName(object)} was broken before this deploy and is so still: ${object.message}`);
  }
  await prune(context);
  return wellEnded;
}

interface Failing {
  context: ReleaseContext;
  story: Story;
  seen: Look;
  upgraded: Upgraded;
  /** What containers of Jobs have said whose pods may be gone. */
  heard?: PodLogs['heard'];
}

/** Helm's own failure: what it had done by then decides what is to be done. */
async function helmFailed(failing: Failing): Promise<Ending> {
  const { context, story, seen, upgraded } = failing;
  const { result, revision } = upgraded;
  const failure = result.failure ?? { reason: 'Internal' as const, message: 'Helm ended well, but made no revision.' };
  const hook = revision === undefined ? undefined : blamedHook(revision.hooks);
  const ending = endingFor('failed', failure.reason, failure.message, hook === undefined ? '' : objectName(hook));
  if (revision === undefined) return ending;
  story.found = ending;
  const hooks = hook === undefined ? [] : ((await upgraded.hooks?.causesOf(hook)) ?? []);
  if (upgraded.changedNothing && seen.history.length > 0) {
    story.evidence.push(...(await group(context, 'Why it failed', () => showEvidence(failing, ending, hooks))));
    await settle(context, revision);
    context.agent.log('Nothing of the release was changed, so nothing is rolled back.');
    await prune(context);
    return ending;
  }
  const verdict = await judgeNow(context, revision.manifest);
  // A wait that Helm gave up says less than the object that it waited for.
  const isWait = failure.reason === 'TimedOut' && hook === undefined && verdict?.decisive !== undefined;
  return fail(failing, isWait ? endingOfRollout(verdict) : ending, verdict, hooks);
}

/** The hook that failed, else the one that Helm was waiting for when it was ended. */
function blamedHook(hooks: readonly Hook[]): Hook | undefined {
  const waitedFor = (hook: Hook): boolean => hook.lastPhase === 'Running' || hook.lastPhase === 'Unknown';
  return hooks.find(({ lastPhase }) => lastPhase === 'Failed') ?? hooks.find(waitedFor);
}

/** What is wrong at this moment, with no time left for anything to heal; undefined where that cannot be read. */
async function judgeNow(context: ReleaseContext, manifest: string): Promise<RolloutVerdict | undefined> {
  try {
    const snapshot = await readRollout(context, await wantedObjects(context.cluster, manifest, context.namespace));
    const now = context.clock.now();
    return judge(snapshot, rolloutPolicy(context, now, true), undefined, now);
  } catch (thrown) {
    context.agent.log(`The objects of the release could not be read: ${asTaskError(thrown).message}`);
    return undefined;
  }
}

/** The deploy has failed after it changed something: evidence first, then the record, then the way back. */
async function fail(
  failing: Failing,
  ending: Ending,
  verdict: RolloutVerdict | undefined,
  hooks: readonly Cause[] = [],
): Promise<Ending> {
  const { context, story, seen, upgraded } = failing;
  const { agent, request } = context;
  const { revision } = upgraded;
  story.found = ending;
  story.objects = verdict === undefined ? [] : reportedObjects(verdict);
  const causes = [...hooks, ...(verdict === undefined ? [] : causesOf(verdict))];
  story.evidence.push(...(await group(context, 'Why it failed', () => showEvidence(failing, ending, causes))));
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
    return group(context, `Roll back to revision ${target.revision}`, () =>
      returnTo(context, story, target, ending, seen.baseline),
    );
  }
  if (sinceUninstall(seen.history).some((old) => old.status !== 'failed')) {
    const message = `${sentence(ending.message)} No revision was verified or deployed before, so there is none to return to.`;
    return { ...ending, message };
  }
  return group(context, 'Uninstall the failed first install', () => uninstall(context, story, revision, ending));
}

async function showEvidence(
  { context, upgraded, heard }: Failing,
  ending: Ending,
  causes: readonly Cause[],
): Promise<Evidence[]> {
  const { agent, signal } = context;
  agent.log(`${ending.failedWorkload === '' ? 'helm' : ending.failedWorkload}: ${ending.message} (${ending.reason})`);
  // Who cancels has seconds; the log above has said what there is.
  const evidence = signal.aborted
    ? []
    : await collectEvidence(context, causes, (namespace, pod, container) => {
        const ofHooks = upgraded.hooks?.heard(namespace, pod, container) ?? [];
        return ofHooks.length > 0 ? ofHooks : (heard?.(namespace, pod, container) ?? []);
      });
  sayEvidence(context, evidence);
  return evidence;
}

/** The record of a revision that nobody saw healthy says so; Helm itself does the same when it is interrupted. */
async function cancelled(context: ReleaseContext, upgraded: Upgraded): Promise<Ending> {
  const { revision } = upgraded;
  if (revision === undefined) return cancelledWith('Helm had not changed anything yet.');
  if (revision.status !== 'failed') {
    const change = { status: 'failed', description: 'Cancelled before it was seen healthy' } as const;
    await insist(context, () => context.storage.update(revision.revision, change));
  }
  const state = upgraded.changedNothing ? 'nothing of the release was changed' : 'its objects may be half way';
  return cancelledWith(
    `Revision ${revision.revision} is marked failed in Helm's record; ${state}. The next deploy starts from there.`,
  );
}
