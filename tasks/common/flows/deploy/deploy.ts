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
import { causesOf, judge, type Cause, type RolloutMemory, type RolloutVerdict } from '../../core/rollout/verdict';
import { announceWork, endWork, fenced } from '../release/change';
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
import { followRollout, readRollout, rolloutPolicy, type RolloutEnd } from '../rollout/rollout';
import { makeNamespace, needsNamespace, refuseNamespaceLoss } from './ownNamespace';
import { isPending, removeHooks } from '../release/recover';
import { newStory, reportOf, servingIn, type Story } from '../release/story';
import { seeServing } from './seeServing';
import { unchanged } from './unchanged';
import { isInstall, upgrade, type Upgraded } from './upgrade';
import { cancelledWith, removeRelease, returnTo, uninstall } from './wayBack';
import { wantedObjects } from '../release/wantedObjects';
import { duration } from '../../core/text/durationText';

/**
 * Deploys the release and answers with what it came to. Throws nothing: what stops it is an ending too.
 * Longest time: lockTimeout + timeout + rollbackTimeout, and what reading the evidence takes.
 */
export async function deploy(start: DeployStart): Promise<DeployReport> {
  const story = newStory(start.clock.now());
  start.request.warnings.forEach((warning) => { start.agent.warning(warning); }); // prettier-ignore
  const stopTelling = tellWhenCancelled(start, story);
  // The chart is rendered while the lock is asked for.
  const asked = askHelm(start);
  const askedMs = start.clock.monotonicMs();
  const ending = await withLease(start, (lease) => {
    // Another run may have changed since what a template looks up.
    const isOld = start.clock.monotonicMs() - askedMs > freshMs;
    return underLease(start, story, lease, isOld ? askHelm(start) : asked);
  }).catch((thrown: unknown) => endingOfError(thrown, story.found, start.signal));
  stopTelling();
  if (!story.hasBegun) endWork(start.agent);
  return reportOf(start, story, ending);
}

/** A lock that is free is had sooner. */
const freshMs = 1500;

/** A cancelled step has seconds: what it was at, and who goes on with it, is said at once. */
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
  const context: DeployContext = {
    ...start,
    lease,
    storage: fenced(start.storage, lease),
    signal: AbortSignal.any([start.signal, lease.lost]),
    process: start.holder.process,
    run: start.holder.run,
    preexisting: [],
  };
  const ending = await tell(context, story, asked).catch((thrown: unknown) =>
    endingOfError(thrown, story.found, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted) return lostEnding(ending);
  await settleWork(context, ending);
  await seeServing(context, story);
  return ending;
}

/** What was under way is over, unless the record of it could not be put in order. */
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
  // What was cancelled is for the post-job phase to put in order.
  if (ending.outcome !== 'cancelled') {
    await settlePreexisting(context, takesBack(story.lastWork) || upgraded.changedNothing);
  }
  return ending;
}

/** Looks, and once more where that made a change: a namespace, so that there can be a lock; or a first install removed. */
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
        // From here on it is ours to put in order, and our post-job phase's.
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

/** Outside of the groups, so that nobody has to open one to see why a value is still there. */
function sayReusedValues({ agent, request }: DeployContext, { rendering }: Look): void {
  const sentence = reusedValuesSentence(request, request.givenPaths, rendering.config);
  if (sentence !== undefined) agent.log(sentence);
}

/** Outside of the groups too: such a chart is not what its author means, however well it is deployed. */
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

/** The way back is guarded by its proof, whatever made this Helm; but whoever reads the log shall know. */
function judgeHelm({ agent, request }: DeployContext, { capabilities }: Look): void {
  if (!Object.hasOwn(capabilities, 'build')) return;
  const provenance = helmProvenance({ build: capabilities.build, sha256: undefined }, undefined);
  const policy = { binary: request.helmPath ?? 'helm', allowUnknownHelm: false, isAutomatic: true };
  const judged = judgeProvenance(provenance, policy);
  if (judged.verdict !== 'accepted') agent.log(judged.message);
}

/** What is to be deployed, or what lies between it and the target, may be a step that nobody comes back from. */
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

/** Decides what Helm's run came to, and follows the rollout where it is still open. */
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
  /** What containers of Jobs have said whose pods may be gone. */
  heard?: PodLogs['heard'];
  /** The ending is what Helm has said. */
  isHelmsWord?: boolean;
}

/** Helm's own failure, or a hook that can no longer succeed: what Helm had done by then decides what is to be done. */
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
  const verdict = isUnchanged ? undefined : await judgeNow(context, revision.manifest, seen.baseline, isApplied);
  const blamed = named === '' && isCreation(failure, isInstall(seen)) ? firstMissing(declared, verdict) : named;
  const ending = hooked ?? endingOfHelm(failure, blamed);
  story.found = ending;
  // What the hook itself shows says more than Helm, which only waited for it.
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
  // A wait that Helm gave up says less than the object that it waited for.
  const isWait = failure.reason === 'TimedOut' && hook === undefined && verdict?.decisive !== undefined;
  if (isWait) return fail(failing, endingOfRollout(verdict), verdict, hooks);
  return fail(told, ending, isApplied || verdict === undefined ? verdict : halfApplied(verdict, ending), hooks);
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

/** What is not there was refused, or its turn never came; what was broken before explains nothing. */
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

/** In a sentence of ours; all of Helm's words are in the log and in the evidence. */
function endingOfHelm({ reason, message }: NonNullable<HelmResult['failure']>, failedWorkload: string): Ending {
  const ending = endingFor('failed', reason, message, failedWorkload);
  return { ...ending, message: sentence(briefly(message)) };
}

function wordsOfHelm({ reason, message }: NonNullable<HelmResult['failure']>, blamed: string): Evidence {
  return { object: blamed || 'Helm', kind: 'object', title: reason, lines: message.split('\n') };
}

/** None where the manifest cannot be read: that is told elsewhere. */
function declaredIn(manifest: string): ObjectRef[] {
  try {
    return manifestObjects(manifest).map(refOf);
  } catch {
    return [];
  }
}

/** The ending that a hook has brought about: with its cause, where that is certain or the time is over. */
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

/** What Helm does with the hooks of a revision that fails, it has no time for when it is told to stop. */
async function endHooks(context: DeployContext, { hooks, revision }: Upgraded, ending: Ending): Promise<void> {
  const hopeless = hooks?.hopeless;
  if (hopeless === undefined || revision === undefined) return;
  await removeHooks(context, revision, { ref: hopeless.ref, hasEnded: endedHooks.has(hopeless.cause.code) });
  const description = unhealthyDescription(ending);
  await insist(context, () => context.storage.update(revision.revision, { description }));
}

/** Of these nothing runs on. What is there of others would begin to run when its image or what else it lacks comes. */
const endedHooks: ReadonlySet<string> = new Set<CauseCode>(['HookFailed', 'JobDeadlineExceeded']);

/** The hook that failed, else the one that Helm was waiting for when it was ended. */
function blamedHook(hooks: readonly Hook[]): Hook | undefined {
  const waitedFor = (hook: Hook): boolean => hook.lastPhase === 'Running' || hook.lastPhase === 'Unknown';
  return hooks.find(({ lastPhase }) => lastPhase === 'Failed') ?? hooks.find(waitedFor);
}

/** The last moment that a Date knows. */
const endOfTime = new Date(8.64e15);

/**
 * What is wrong at this moment; undefined where that cannot be read. `isApplied`: Helm had applied all of it, so that nothing
 * has time left to heal.
 */
async function judgeNow(
  context: DeployContext,
  manifest: string,
  baseline: RolloutMemory | undefined,
  isApplied: boolean,
): Promise<RolloutVerdict | undefined> {
  try {
    const snapshot = await readRollout(context, await wantedObjects(context.cluster, manifest, context.namespace));
    const now = context.clock.now();
    return judge(snapshot, rolloutPolicy(context, isApplied ? now : endOfTime, isApplied), baseline, now);
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
    const target = seen.target.revision;
    return inPhase(context, story, `Roll back to revision ${target.revision}`, () =>
      returnTo(context, story, target, ending, seen.baseline),
    );
  }
  if (sinceUninstall(seen.history).some((old) => old.status !== 'failed')) {
    const message = `${sentence(ending.message)} No revision was verified or deployed before, so there is none to return to.`;
    return { ...ending, message };
  }
  return inPhase(context, story, 'Uninstall the failed first install', () =>
    uninstall(context, story, revision, ending),
  );
}

/** Shows what the ending rests on; Helm's own words stand in the log already, right above. */
async function explain(failing: Failing, ending: Ending, causes: readonly Cause[]): Promise<void> {
  const { context, story, upgraded, heard, isHelmsWord = false } = failing;
  await group(context, 'Why it failed', async () => {
    if (!isHelmsWord) context.agent.log(`${blaming(ending)} (${ending.reason})`);
    // Who cancels has seconds; the log above has said what there is.
    if (context.signal.aborted) return;
    const evidence = await collectEvidence(context, causes, (namespace, pod, container) => {
      const ofHooks = upgraded.hooks?.heard(namespace, pod, container) ?? [];
      return ofHooks.length > 0 ? ofHooks : (heard?.(namespace, pod, container) ?? []);
    });
    sayEvidence(context, evidence);
    story.evidence.push(...evidence);
  });
}

/** The record of a revision that nobody saw healthy says so; Helm itself does the same when it is interrupted. */
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
