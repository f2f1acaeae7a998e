import {
  endingFor,
  endingOfCause,
  endingOfRollout,
  endingThen,
  reportedObjects,
  sentence,
  wellEnded,
  type Ending,
} from '../../core/report/ending';
import { asTaskError, type FailureReason } from '../../core/failure';
import { fieldWarningWords } from '../../core/kubernetes/fieldWarnings';
import { isDeadInstall, isEdited, sinceUninstall, wasServing, type RollbackTarget } from '../../core/release/history';
import { blamedObject, briefly, isCreation } from '../../core/helm/helmFailure';
import type { ObjectRef } from '../../core/kubernetes/object';
import { manifestObjects, objectName, refOf } from '../../core/kubernetes/manifest';
import type { HelmResult } from '../../core/ports';
import type { Hook, Revision } from '../../core/release/release';
import { helmProvenance, judgeProvenance } from '../../core/helm/provenance';
import { reusedValuesSentence } from '../../core/inputs/reusedValues';
import { stopIfCancelled, type DeployContext, type DeployStart, type Lease } from '../../core/releaseContext';
import { blaming, type DeployReport, type Evidence } from '../../core/report/report';
import type { CauseCode } from '../../core/rollout/causes';
import { causesOf, type Cause, type RolloutPolicy, type RolloutVerdict } from '../../core/rollout/verdict';
import { announceWork, endWork, contextUnder } from '../release/change';
import { collectEvidence, sayEvidence } from '../rollout/evidence';
import type { PodLogs } from '../rollout/podLogs';
import { foreseenConflicts } from './fieldConflicts';
import { insist } from '../steps/insist';
import { firstMark, irreversibleWords } from './irreversible';
import { withLease } from '../lock/lease';
import { askHelm, look, type AskedHelm, type Look } from './look';
import { group, later } from '../steps/phase';
import {
  cancelledDescription,
  hideSecrets,
  markUnhealthy,
  prune,
  settle,
  unhealthyDescription,
  verify,
} from '../release/record';
import { findPreexisting, settlePreexisting } from '../release/preexisting';
import { takesBack } from '../../core/lock/work';
import { followRollout, rolloutPolicy, type RolloutEnd } from '../rollout/rollout';
import { makeNamespace, needsNamespace, refuseNamespaceLoss } from './ownNamespace';
import { isPending, removeHooks } from '../release/recover';
import { newStory, reportOf, servingIn, type Story } from '../release/story';
import { seeServing } from './seeServing';
import { unchanged } from './unchanged';
import { isInstall, upgrade, type Upgraded } from './upgrade';
import { automaticRollback } from './automaticRollback';
import { cancelledWith, removeRelease, uninstall } from './uninstall';
import { wantedObjects } from '../release/wantedObjects';
import { duration } from '../../core/text/durationText';
import { ifReadable, judgeNow } from '../rollout/moment';

/**
 * Deploys the release and returns the report. Throws nothing: an error is an ending too. Takes at most lockTimeout +
 * timeout + rollbackTimeout, plus the time to read the evidence.
 */
export async function deploy(start: DeployStart): Promise<DeployReport> {
  const story = newStory(start.clock.now());
  start.request.warnings.forEach((warning) => { start.agent.warning(warning); }); // prettier-ignore
  const stopTelling = tellWhenCancelled(start, story);
  // The chart is rendered while the lock is being acquired.
  const asked = askHelm(start);
  const askedMs = start.clock.monotonicMs();
  const ending = await withLease(start, (lease) => {
    // Another run may since have changed objects that a template looks up.
    const isOld = start.clock.monotonicMs() - askedMs > freshMs;
    return underLease(start, story, lease, isOld ? askHelm(start) : asked);
  }).catch((thrown: unknown) => endingOfError(thrown, story.found, start.signal));
  stopTelling();
  if (!story.hasBegun) endWork(start.agent);
  return reportOf(start, story, ending);
}

/** A lock that is free is acquired in less time than this. */
const freshMs = 1500;

/** A cancelled step has only seconds. It logs at once what it was doing, and what recovers the release. */
function tellWhenCancelled({ agent, namespace, request, signal }: DeployStart, story: Story): () => void {
  const next =
    request.onInterrupted === 'keep'
      ? 'the post-job step marks it failed (onInterrupted: keep)'
      : 'the post-job step returns it to the last good revision (onInterrupted: rollback)';
  const tell = (): void => {
    agent.log(
      `${String(signal.reason)} reached the deploy of release ${request.releaseName} in namespace ${namespace}.`,
    );
    agent.log(`It was at: ${story.phase}. Nothing more is begun; what Helm is doing is told to stop.`);
    agent.log(`If the release is left half done, ${next}; where no post-job step comes, the next run recovers it.`);
  };
  signal.addEventListener('abort', tell, { once: true });
  return () => {
    signal.removeEventListener('abort', tell);
  };
}

async function underLease(start: DeployStart, story: Story, lease: Lease, asked: AskedHelm): Promise<Ending> {
  const context: DeployContext = contextUnder(start, lease);
  const ending = await tell(context, story, asked).catch((thrown: unknown) =>
    endingOfError(thrown, story.found, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted) return lostEnding(ending);
  await settleWork(context, ending);
  await seeServing(context, story);
  return ending;
}

/** Notes the work as settled, unless Helm's record of it could not be restored. */
async function settleWork(context: DeployContext, ending: Ending): Promise<void> {
  const history = await context.storage.history().catch(() => undefined);
  await hideSecrets(context, history ?? []);
  if (
    history === undefined ||
    isPending(history) ||
    history.some((revision) => wasServing(revision) || isEdited(revision))
  )
    return;
  await context.lease.settled();
  if (ending.outcome !== 'cancelled') endWork(context.agent);
}

function lostEnding(ending: Ending): Ending {
  if (ending.reason === 'LeaseLost') return ending;
  const message =
    'Another run has taken the release over, because this one was silent for too long; nothing more was begun.';
  return endingFor('failed', 'LeaseLost', `${message} ${ending.message}`);
}

const refusals = new Set<FailureReason>(['ReleasePending', 'ReleaseLocked', 'StorageUnsupported']);

function endingOfError(thrown: unknown, found: Ending | undefined, signal: AbortSignal): Ending {
  if (found !== undefined) {
    const both = endingThen(found, thrown);
    return signal.aborted ? cancelledWith(both.message) : both;
  }
  const error = asTaskError(thrown);
  if (signal.aborted || error.reason === 'Cancelled') return cancelledWith(error.message);
  const outcome = refusals.has(error.reason) ? 'refused' : 'failed';
  return endingFor(outcome, error.reason, error.message, String(error.facts['object'] ?? ''));
}

async function tell(context: DeployContext, story: Story, asked: AskedHelm): Promise<Ending> {
  const deadline = later(context.clock.now(), context.request.timeoutSeconds);
  const found = await lookTwice(context, story, asked);
  story.helmVersion = found.capabilities.version;
  stopIfCancelled(context.signal);
  sayReusedValues(context, found);
  const same = await inPhase(context, story, 'Compare with what serves', () => unchanged(context, found));
  if (same !== undefined) return same;
  await refuseNamespaceLoss(context, found);
  const conflicting = await foreseenConflicts(context, found);
  if (conflicting !== undefined) return conflicting;
  sayWayBack(context, found);
  await findPreexisting(context, found);
  const upgraded = await inPhase(context, story, 'Run helm upgrade --install', () =>
    upgrade(context, story, found, deadline),
  );
  sayFieldWarnings(context, found, upgraded);
  const ending = await judgeUpgrade(context, story, found, upgraded, deadline);
  // A cancelled deploy is left to the post-job phase, which repairs it.
  if (ending.outcome !== 'cancelled') {
    await settlePreexisting(context, takesBack(story.lastWork) || upgraded.changedNothing);
  }
  return ending;
}

/**
 * Looks at the release and the chart. Looks again if this made a change: a namespace for the lock was made, or a dead
 * first install was removed.
 */
async function lookTwice(context: DeployContext, story: Story, asked: AskedHelm): Promise<Look> {
  const once = (answers: AskedHelm, title = 'Look at the release and the chart'): Promise<Look> =>
    inPhase(context, story, title, () =>
      look(context, answers, {
        onHistory: (history) => {
          story.serving = servingIn(history);
          story.revisionBefore = story.serving?.revision ?? null;
        },
        onServing: (serving) => {
          story.serving = serving;
        },
        // From here on, this run and its post-job phase have to repair the release.
        onDied: ({ revision }) => {
          story.hasBegun = true;
          const { agent, namespace, process, request } = context;
          announceWork(agent, { release: request.releaseName, namespace, revision, action: 'upgrade', process });
        },
      }),
    );
  const seen = await once(asked);
  const isLeftWork = context.lease.previous?.work !== undefined && seen.state.state === 'failed';
  story.recovered = seen.died !== undefined || isLeftWork;
  if (needsNamespace(context, seen)) {
    await makeNamespace(context, seen);
    if (context.lease.state === 'later') await context.lease.acquireNow();
    return once(askHelm(context), again);
  }
  const { died } = seen;
  if (died === undefined || !isDeadInstall(died, seen.history) || !context.request.recreateFailedInstall) return seen;
  const problem = await inPhase(context, story, 'Remove the first install that died', () =>
    removeRelease(context, story, died),
  );
  if (problem !== undefined) throw problem;
  return { ...(await once(askHelm(context), again)), died };
}

const again = 'Look again at the release and the chart';

async function inPhase<T>(context: DeployContext, story: Story, title: string, act: () => Promise<T>): Promise<T> {
  story.phase = title;
  return group(context, title, act);
}

/** Logged outside of the groups, so that nobody has to open one to see why a value is still there. */
function sayReusedValues({ agent, request }: DeployContext, { rendering }: Look): void {
  const sentence = reusedValuesSentence(request, request.givenPaths, rendering.config);
  if (sentence !== undefined) agent.log(sentence);
}

/** Also logged outside of the groups: such a chart is not what its author means, even if its deploy succeeds. */
function sayFieldWarnings({ agent }: DeployContext, { rendering }: Look, { result }: Upgraded): void {
  const sentence = fieldWarningWords(result.fieldWarnings ?? [], rendering.manifest);
  if (sentence !== undefined) agent.warning(sentence);
}

function sayWayBack(context: DeployContext, seen: Look): void {
  const { agent, request } = context;
  const most = request.timeoutSeconds + (request.onFailure === 'rollback' ? request.rollbackTimeoutSeconds : 0);
  agent.log(`At most ${duration(most)} from here; ${wayBack(context, seen, seen.target)}.`);
  if (request.onFailure === 'rollback') judgeHelm(context, seen);
}

/**
 * The proof guards the rollback, whatever the provenance of this Helm is. The log still names a provenance that is not
 * accepted.
 */
function judgeHelm({ agent, request }: DeployContext, { capabilities }: Look): void {
  if (!Object.hasOwn(capabilities, 'build')) return;
  const provenance = helmProvenance({ build: capabilities.build, sha256: undefined }, undefined);
  const policy = { binary: request.helmPath ?? 'helm', allowUnknownHelm: false, isAutomatic: true };
  const judged = judgeProvenance(provenance, policy);
  if (judged.verdict !== 'accepted') agent.log(judged.message);
}

/**
 * The new chart, or a revision between it and the target, may be an irreversible step. Returns words for the first such
 * step, and undefined where there is none.
 */
function irreversible(seen: Look, target: RollbackTarget): string | undefined {
  const passed = seen.history.filter(({ revision }) => revision > target.revision.revision);
  const next = { ...seen.rendering, revision: (seen.history.at(-1)?.revision ?? 0) + 1 };
  const mark = firstMark([...passed, next]);
  return mark === undefined ? undefined : irreversibleWords(mark);
}

function wayBack(context: DeployContext, seen: Look, target: RollbackTarget | undefined): string {
  if (context.request.onFailure === 'keep') return 'a failed deploy is left as it is (onFailure: keep)';
  if (target !== undefined) {
    const why = irreversible(seen, target);
    if (why !== undefined) return `a failed deploy is not rolled back by itself: ${why}`;
    const proof = target.proof === 'verified' ? 'verified healthy' : 'deployed, not verified';
    return `a failed deploy returns to revision ${target.revision.revision} (${proof})`;
  }
  return isInstall(seen) ? 'a failed first install is uninstalled' : 'there is no revision to return to';
}

/** Judges the result of Helm's run, and follows the rollout if it is still open. */
async function judgeUpgrade(
  context: DeployContext,
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
    rollout = await inPhase(context, story, `Follow revision ${revision.revision}`, () =>
      followRollout(context, objects, {
        policy: rolloutPolicy(context, deadline, true),
        memory: seen.baseline,
        earlier: seen.history,
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

/** A revision that was not seen healthy is not deployed well, whatever prevented the check. */
async function unfollowed(failing: Failing, revision: Revision, thrown: unknown): Promise<Ending> {
  if (failing.context.signal.aborted) return cancelled(failing.context, failing.upgraded);
  const { reason, message } = asTaskError(thrown);
  const what = `Revision ${revision.revision} was applied, but could not be followed`;
  return fail(failing, endingFor('failed', reason, `${what}: ${message}`), undefined);
}

async function succeed(context: DeployContext, story: Story, revision: Revision): Promise<Ending> {
  story.serving = { revision: revision.revision, health: 'healthy' };
  await insist(context, () => verify(context.storage, revision, context.run));
  const broken = story.objects.filter((object) => object.isPreexisting);
  const ready = story.objects.length - broken.length;
  const what = ready === 1 ? 'One object' : `All ${ready} objects`;
  context.agent.log(`${what} of revision ${revision.revision} ${ready === 1 ? 'is' : 'are'} there and ready.`);
  for (const object of broken) {
    context.agent.log(`${objectName(object)} was broken before this deploy and is so still: ${object.message}`);
  }
  await prune(context);
  return story.recovered ? { ...wellEnded, outcome: 'recovered' } : wellEnded;
}

interface Failing {
  context: DeployContext;
  story: Story;
  seen: Look;
  upgraded: Upgraded;
  /** Returns the last lines of Jobs' containers whose pods may be gone. */
  heard?: PodLogs['heard'];
  /** The ending repeats Helm's own message. */
  isHelmsWord?: boolean;
}

/** For a failure of Helm, or a hook that can no longer succeed. How far Helm had come decides what to do. */
async function helmFailed(failing: Failing): Promise<Ending> {
  const { context, story, seen, upgraded } = failing;
  const { result, revision } = upgraded;
  const failure = result.failure ?? { reason: 'HelmFailed', message: 'Helm ended well, but made no revision.' };
  const declared = declaredIn(seen.rendering.manifest);
  const named = blamedObject(failure, declared);
  if (revision === undefined) return endingOfHelm(failure, named);
  const hook = blamedHook(revision.hooks);
  const hooks = hook === undefined ? [] : ((await upgraded.hooks?.causesOf(hook)) ?? []);
  const hooked = hookEnding(upgraded, hook, hooks[0]);
  story.found = hooked ?? endingOfHelm(failure, named);
  const isUnchanged = upgraded.changedNothing && seen.history.length > 0;
  const isApplied = hook !== undefined || failure.reason === 'TimedOut';
  const verdict = isUnchanged ? undefined : await verdictAfterHelm(failing, revision, isApplied);
  const blamed = named === '' && isCreation(failure, isInstall(seen)) ? firstMissing(declared, verdict) : named;
  const ending = hooked ?? endingOfHelm(failure, blamed);
  story.found = ending;
  // The evidence of the hook says more than Helm, which only waited for the hook.
  if (hooks.length === 0) story.evidence.push(wordsOfHelm(failure, ending.failedWorkload));
  const told: Failing = { ...failing, isHelmsWord: ending.reason === failure.reason };
  if (isUnchanged) {
    await explain(told, ending, hooks);
    await settle(context, revision);
    await endHooks(context, upgraded, ending);
    context.agent.log('Nothing of the release was changed, so nothing is rolled back.');
    await prune(context, true);
    return ending;
  }
  // Where Helm gave up its wait, the object that it waited for says more than Helm.
  const isWait = failure.reason === 'TimedOut' && hook === undefined && verdict?.decisive !== undefined;
  if (isWait) return fail(failing, endingOfRollout(verdict), verdict, hooks);
  return fail(told, ending, isApplied || verdict === undefined ? verdict : halfApplied(verdict, ending), hooks);
}

/** `isApplied`: Helm had applied everything, so nothing has time left to become healthy. */
async function verdictAfterHelm(
  { context, seen }: Failing,
  { manifest }: Revision,
  isApplied: boolean,
): Promise<RolloutVerdict | undefined> {
  const policyAt = (now: Date): RolloutPolicy => rolloutPolicy(context, isApplied ? now : endOfTime, isApplied);
  const now = await ifReadable(context, () => judgeNow(context, manifest, policyAt, seen.baseline));
  return now?.verdict;
}

/** Helm makes the objects of a chart in the order of its manifest, and stops at the first one that is refused. */
function firstMissing(declared: readonly ObjectRef[], verdict: RolloutVerdict | undefined): string {
  const isMissing = ({ kind, name }: ObjectRef): boolean =>
    verdict?.workloads.some(
      ({ ref, status }) => status.reason === 'ObjectMissing' && ref.kind === kind && ref.name === name,
    ) === true;
  const missing = declared.find(isMissing);
  return missing === undefined ? '' : objectName(missing);
}

/** An object that does not exist was refused, or Helm had not come to it. A pre-existing failure explains nothing. */
function halfApplied(verdict: RolloutVerdict, { failedWorkload, reason, message }: Ending): RolloutVerdict {
  const workloads = verdict.workloads.map((workload) => {
    const { ref, status } = workload;
    if (objectName(ref) === failedWorkload) {
      return { ...workload, health: 'failed' as const, status: { ...status, reason, message }, suspects: [] };
    }
    if (status.reason !== 'ObjectMissing') return { ...workload, isPreexisting: workload.brokenBefore !== undefined };
    return {
      ...workload,
      status: { ...status, reason: 'NotApplied', message: 'Helm ended before it made this object.' },
    };
  });
  const { decisive: _, ...rest } = verdict;
  return { ...rest, workloads };
}

/** The message is shortened. The log and the evidence have all of Helm's words. */
function endingOfHelm({ reason, message }: NonNullable<HelmResult['failure']>, failedWorkload: string): Ending {
  const ending = endingFor('failed', reason, message, failedWorkload);
  return { ...ending, message: sentence(briefly(message)) };
}

function wordsOfHelm({ reason, message }: NonNullable<HelmResult['failure']>, blamed: string): Evidence {
  return { object: blamed || 'Helm', kind: 'object', title: reason, lines: message.split('\n') };
}

/** Returns none where the manifest cannot be read. Other code reports that. */
function declaredIn(manifest: string): ObjectRef[] {
  try {
    return manifestObjects(manifest).map(refOf);
  } catch {
    return [];
  }
}

/** The ending that a hook has caused. It has the hook's cause if this cause is certain or the time is over. */
function hookEnding({ result, hooks }: Upgraded, hook: Hook | undefined, cause: Cause | undefined): Ending | undefined {
  if (hooks?.hopeless !== undefined) return endingOfCause(hooks.hopeless.cause, objectName(hooks.hopeless.ref), false);
  if (hook === undefined || result.failure === undefined) return undefined;
  const { reason } = result.failure;
  const isTimedOut = reason === 'TimedOut';
  const isTold = isTimedOut ? cause?.code !== 'TimedOut' : reason === 'HookFailed' && cause?.isCertain === true;
  if (cause === undefined || !isTold || cause.code === 'HookFailed') {
    return endingOfHelm(result.failure, objectName(hook));
  }
  return endingOfCause(cause, objectName(hook), isTimedOut);
}

/**
 * Helm removes hooks of a revision that fails, but has no time for it when it is told to stop. This function does it
 * instead.
 */
async function endHooks(context: DeployContext, { hooks, revision }: Upgraded, ending: Ending): Promise<void> {
  const hopeless = hooks?.hopeless;
  if (hopeless === undefined || revision === undefined) return;
  await removeHooks(context, revision, { ref: hopeless.ref, hasEnded: endedHooks.has(hopeless.cause.code) });
  const description = unhealthyDescription(ending);
  await insist(context, () => context.storage.update(revision.revision, { description }));
}

/**
 * After these causes, nothing of the hook still runs. After others, a hook would begin to run when its image, or
 * whatever else it lacks, becomes available.
 */
const endedHooks: ReadonlySet<string> = new Set<CauseCode>(['HookFailed', 'JobDeadlineExceeded']);

/** The hook that failed, else the one that Helm was waiting for when it was ended. */
function blamedHook(hooks: readonly Hook[]): Hook | undefined {
  const waitedFor = (hook: Hook): boolean => hook.lastPhase === 'Running' || hook.lastPhase === 'Unknown';
  return hooks.find(({ lastPhase }) => lastPhase === 'Failed') ?? hooks.find(waitedFor);
}

/** The last moment that a Date can hold. */
const endOfTime = new Date(8.64e15);

/** The deploy has failed after it changed something: evidence first, then the record, then the rollback. */
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
  await explain(failing, ending, [...hooks, ...(verdict === undefined ? [] : causesOf(verdict))]);
  if (revision === undefined) return ending;
  story.serving = { revision: revision.revision, health: 'unhealthy' };
  await markUnhealthy(context, revision, ending);
  await endHooks(context, upgraded, ending);
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (request.onFailure === 'keep') {
    agent.log(`Revision ${revision.revision} is left as it is (onFailure: keep), marked failed in Helm's record.`);
    await prune(context, !upgraded.result.ok);
    return ending;
  }
  if (seen.target !== undefined) {
    const failed = { ending, target: seen.target.revision, beforeDeploy: seen.baseline };
    return automaticRollback(context, story, failed);
  }
  if (sinceUninstall(seen.history).some((old) => old.status !== 'failed')) {
    const message = `${sentence(ending.message)} No revision was verified or deployed before, so there is none to return to.`;
    return { ...ending, message };
  }
  return inPhase(context, story, 'Uninstall the failed first install', () =>
    uninstall(context, story, revision, ending),
  );
}

/** Shows the evidence of the ending. Helm's own words are already in the log, right above. */
async function explain(failing: Failing, ending: Ending, causes: readonly Cause[]): Promise<void> {
  const { context, story, upgraded, heard, isHelmsWord = false } = failing;
  await group(context, 'Why it failed', async () => {
    if (!isHelmsWord) context.agent.log(`${blaming(ending)} (${ending.reason})`);
    // A cancelled step has only seconds, and the log above already shows the state.
    if (context.signal.aborted) return;
    const evidence = await collectEvidence(context, causes, (namespace, pod, container) => {
      const ofHooks = upgraded.hooks?.heard(namespace, pod, container) ?? [];
      return ofHooks.length > 0 ? ofHooks : (heard?.(namespace, pod, container) ?? []);
    });
    sayEvidence(context, evidence);
    story.evidence.push(...evidence);
  });
}

/** Marks a revision failed that was not seen healthy. Helm itself does the same when it is interrupted. */
async function cancelled(context: DeployContext, upgraded: Upgraded): Promise<Ending> {
  const { revision } = upgraded;
  if (revision === undefined) return cancelledWith('Helm had not changed anything yet.');
  if (revision.status !== 'failed') {
    const change = { status: 'failed', description: cancelledDescription } as const;
    await insist(context, () => context.storage.update(revision.revision, change));
  }
  const state = upgraded.changedNothing ? 'nothing of the release was changed' : 'its objects may be half way';
  return cancelledWith(
    `Revision ${revision.revision} is marked failed in Helm's record; ${state}. The next deploy starts from there.`,
  );
}
