import { endingFor, endingOfRollout, reportedObjects, wellEnded, type Ending } from '../../core/report/ending';
import { isDeadInstall, isEdited, wasServing } from '../../core/release/history';
import { objectName } from '../../core/kubernetes/manifest';
import type { Before } from '../../core/metrics/condition';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type DeployContext, type DeployStart, type Lease } from '../../core/releaseContext';
import { historyLines, notJudgedLines, type DeployReport } from '../../core/report/report';
import { deployNote } from '../../core/report/workloadNote';
import { noteOnWorkloads } from '../rollout/workloadEvents';
import { warnOfUnusedServices } from '../release/readServicePods';
import { announceWork, endWork, contextUnder } from '../release/change';
import { settleDroppedData } from './droppedData';
import { readKeptFields } from '../release/keptFields';
import { settleFailedLeftovers } from './cleanup';
import { compareOnceMore, driftEnding, findDrift } from './drift';
import { installCrds } from './installCrds';
import { withRetries } from '../steps/withRetries';
import { withLease } from '../lock/lease';
import { askHelm, readRelease, type AskedHelm, type ReleaseSnapshot } from './readRelease';
import { group, later } from '../steps/phase';
import { hideSecrets, prune, reserve, verify } from '../release/record';
import { findPreexisting, settlePreexisting } from '../release/preexisting';
import { takesBack } from '../../core/lock/work';
import { followRollout, rolloutPolicy, type RolloutEnd } from '../rollout/rollout';
import { makeNamespace, needsNamespace, updateNamespace } from './ownNamespace';
import { isPending } from '../release/recover';
import { newDeployProgress, reportOf, servingIn, type DeployProgress } from '../release/deployProgress';
import { readServices, servingAtEnd } from './servingAtEnd';
import { bakeUpgrade, metricsBefore } from './bakeUpgrade';
import { checkTestNames, smokeTest, smokeTestUnchanged } from './smokeTest';
import { refusedBeforeHelm } from './refusals';
import { unchanged } from './unchanged';
import { upgrade } from './upgrade';
import { refuseOtherPlan } from './approvedDeploy';
import { endingOfError } from './endingOfError';
import { removeRelease } from './uninstall';
import type { Reservation } from '../../core/rollout/reservations';
import { desiredObjects } from '../release/desiredObjects';
import { fail, unfollowed } from './failedDeploy';
import { inPhase, type FailedDeploy, cancelled } from './failedDeploy';
import { helmFailed } from './helmFailure';
import { logReusedValues, logOutlook, logFieldWarnings } from './outlook';

/**
 * Deploys the release and returns the report. Throws nothing: an error is an ending too. Takes at most lockTimeout +
 * timeout + smokeTestTimeout + bakeFor + rollbackTimeout, plus the time to read the evidence.
 */
export async function deploy(start: DeployStart): Promise<DeployReport> {
  const progress = newDeployProgress(start.clock.now());
  start.request.warnings.forEach((warning) => { start.agent.warning(warning); }); // prettier-ignore
  const stopLogging = logWhenCancelled(start, progress);
  // The chart is rendered while the lock is being acquired.
  const asked = askHelm(start);
  const askedMs = start.clock.monotonicMs();
  const ending = await withLease(start, (lease) => {
    // Another run may since have changed objects that a template looks up.
    const isOld = start.clock.monotonicMs() - askedMs > freshMs;
    return underLease(start, progress, lease, isOld ? askHelm(start) : asked);
  }).catch((thrown: unknown) => endingOfError(thrown, progress.found, start.signal));
  stopLogging();
  if (!progress.hasBegun) endWork(start.agent);
  const report = await reportOf(start, progress, ending);
  await noteDeploy(start, report);
  await logHistory(start, report);
  return report;
}

/** Tells users of kubectl what the pipeline has done with the workloads. */
async function noteDeploy(start: DeployStart, report: DeployReport): Promise<void> {
  const note = deployNote(report, start.holder);
  if (note !== undefined) await noteOnWorkloads(start, report.objects, note);
}

async function logHistory(start: DeployStart, { history = [] }: DeployReport): Promise<void> {
  // A cancelled step has only seconds.
  if (history.length === 0 || start.signal.aborted) return;
  await group(start, 'History of the release', async () => {
    for (const line of historyLines(history)) start.agent.log(line);
    return Promise.resolve();
  });
}

/** A lock that is free is acquired in less time than this. */
const freshMs = 1500;

/** A cancelled step has only seconds. It logs at once what it was doing, and what recovers the release. */
function logWhenCancelled({ agent, namespace, request, signal }: DeployStart, progress: DeployProgress): () => void {
  const next =
    request.onInterrupted === 'keep'
      ? 'the post-job step marks it failed (onInterrupted: keep)'
      : 'the post-job step rolls it back to the last good revision (onInterrupted: rollback)';
  const log = (): void => {
    agent.log(
      `${String(signal.reason)} reached the deploy of release ${request.releaseName} in namespace ${namespace}.`,
    );
    agent.log(`The step was at: ${progress.phase}. It begins nothing more and stops Helm.`);
    agent.log(`If the release is half done, ${next}. Without a post-job step, the next run recovers it.`);
  };
  signal.addEventListener('abort', log, { once: true });
  return () => {
    signal.removeEventListener('abort', log);
  };
}

async function underLease(
  start: DeployStart,
  progress: DeployProgress,
  lease: Lease,
  asked: AskedHelm,
): Promise<Ending> {
  const context: DeployContext = contextUnder(start, lease);
  const ending = await deployChart(context, progress, asked).catch((thrown: unknown) =>
    endingOfError(thrown, progress.found, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted) return lostEnding(ending);
  await settleWork(context, ending);
  await servingAtEnd(context, progress);
  if (ending.outcome === 'failed' || ending.outcome === 'rolledBack') await readServices(context, progress);
  return ending;
}

/** Notes the work as settled, unless Helm's record of it could not be restored. */
async function settleWork(context: DeployContext, ending: Ending): Promise<void> {
  const history = await context.storage.history().catch(() => undefined);
  await hideSecrets(context, history ?? []);
  if (history === undefined || isPending(history)) return;
  if (history.some((revision) => wasServing(revision) || isEdited(revision))) return;
  await context.lease.settled();
  if (ending.outcome !== 'cancelled') endWork(context.agent);
}

export function lostEnding(ending: Ending): Ending {
  if (ending.reason === 'LeaseLost') return ending;
  const message =
    'Another run has taken the release over, because this one was silent for too long. This run began nothing more.';
  return endingFor('failed', 'LeaseLost', `${message} ${ending.message}`);
}

async function deployChart(context: DeployContext, progress: DeployProgress, asked: AskedHelm): Promise<Ending> {
  await refuseOtherPlan(context, progress, asked.rendered);
  const deadline = later(context.clock.now(), context.request.timeoutSeconds);
  const seen = await readTwice(context, progress, asked);
  progress.helmVersion = seen.capabilities.version;
  stopIfCancelled(context.signal);
  checkTestNames(context, seen.rendering);
  logReusedValues(context, seen);
  const drifts = await findDrift(context, progress, seen);
  const drifted = driftEnding(context, drifts ?? [], progress.serving?.revision ?? 0);
  if (drifted !== undefined) return drifted;
  await installCrds(context, progress);
  const same = await inPhase(context, progress, 'Compare with what serves', () => unchanged(context, seen, drifts));
  if (same !== undefined) {
    const serving = seen.history.at(-1);
    progress.reservations = seen.reservations;
    logReservations(context, seen.reservations);
    if (serving === undefined) return same;
    const failed = await smokeTestUnchanged(context, progress, serving);
    if (failed !== undefined) return failed;
    await settleDroppedData(context, progress, seen.history, serving);
    await settleFailedLeftovers(context, progress, serving);
    return same;
  }
  const existing = await findPreexisting(context, seen);
  const { kept, cut } = await readKeptFields(context, seen.rendering.manifest);
  const refused = await refusedBeforeHelm(context, seen, { existing, drifts: drifts ?? [], kept });
  if (refused !== undefined) return refused;
  logOutlook(context, seen);
  for (const { words } of kept) context.agent.log(words);
  for (const words of cut) context.agent.warning(words);
  const before = await metricsBefore(context, progress);
  const upgraded = await inPhase(context, progress, 'Run helm upgrade --install', () =>
    upgrade(context, progress, { ...seen, kept }, deadline),
  );
  logFieldWarnings(context, seen, upgraded);
  const ending = await judgeUpgrade({ context, progress, seen, upgraded }, deadline, before);
  // A cancelled deploy is left to the post-job phase, which repairs it.
  if (ending.outcome !== 'cancelled') {
    await settlePreexisting(context, takesBack(progress.lastWork) || upgraded.changedNothing);
  }
  return ending;
}

/**
 * Reads the release and the chart, and reads both again if this made a change: a namespace for the lock was made, or a
 * dead first install was removed.
 */
async function readTwice(context: DeployContext, progress: DeployProgress, asked: AskedHelm): Promise<ReleaseSnapshot> {
  const { agent, lease, namespace, process, request } = context;
  const read = (answers: AskedHelm, title = 'Read the release and the chart'): Promise<ReleaseSnapshot> =>
    inPhase(context, progress, title, () =>
      readRelease(context, answers, {
        onHistory: (history) => {
          progress.serving = servingIn(history);
          progress.revisionBefore = progress.serving?.revision ?? null;
        },
        onServing: (serving) => {
          progress.serving = serving;
        },
        // From here on, this run and its post-job phase have to repair the release.
        onDied: ({ revision }) => {
          progress.hasBegun = true;
          announceWork(agent, { release: request.releaseName, namespace, revision, action: 'upgrade', process });
        },
      }),
    );
  const readAgain = (): Promise<ReleaseSnapshot> => read(askHelm(context), 'Read the release and the chart again');
  const seen = await read(asked);
  const isLeftWork = lease.previous?.work !== undefined && seen.state.state === 'failed';
  progress.recovered = seen.died !== undefined || isLeftWork;
  if (needsNamespace(context, seen)) {
    await makeNamespace(context, seen);
    if (lease.state === 'later') await lease.acquireNow();
    return readAgain();
  }
  await updateNamespace(context);
  const { died } = seen;
  if (died === undefined || !isDeadInstall(died, seen.history) || !request.recreateFailedInstall) return seen;
  const problem = await inPhase(context, progress, 'Remove the first install that died', () =>
    removeRelease(context, progress, died),
  );
  if (problem !== undefined) throw problem;
  return { ...(await readAgain()), died };
}

/** Judges the result of Helm's run, and follows the rollout if it is still open. */
async function judgeUpgrade(
  failing: FailedDeploy,
  deadline: Date,
  before: ReadonlyMap<string, Before>,
): Promise<Ending> {
  const { context, progress, seen, upgraded } = failing;
  const { result, revision, followed } = upgraded;
  if (!result.ok) await upgraded.logs?.end(0);
  if (followed !== undefined) return unhealthy(failing, followed);
  if (context.signal.aborted) return cancelled(context, upgraded);
  if (!result.ok || revision === undefined) return helmFailed(failing);
  let rollout: RolloutEnd;
  try {
    rollout = await followUpgrade(failing, revision, deadline);
  } catch (thrown) {
    return unfollowed(failing, revision, thrown);
  }
  progress.objects = reportedObjects(rollout.verdict);
  if (rollout.end === 'healthy') {
    return (
      (await proveUpgraded(failing, revision, rollout, before)) ?? succeed(context, progress, seen.history, revision)
    );
  }
  return rollout.end === 'cancelled' ? cancelled(context, upgraded) : unhealthy(failing, rollout);
}

/** Returns undefined if the revision has passed its tests and its baking, as far as they are asked for. */
async function proveUpgraded(
  failing: FailedDeploy,
  revision: Revision,
  rollout: RolloutEnd,
  before: ReadonlyMap<string, Before>,
): Promise<Ending | undefined> {
  const { progress } = failing;
  const untested = await testUpgraded(failing, revision, rollout);
  if (untested !== undefined) return untested;
  const baked = await bakeUpgrade(failing, revision, rollout, before);
  if ('ending' in baked) return baked.ending;
  progress.objects = reportedObjects(baked.rollout.verdict);
  progress.reservations = baked.rollout.reservations;
  return undefined;
}

/** Returns undefined if the tests of the chart have passed, or are not asked for. */
async function testUpgraded(
  failing: FailedDeploy,
  revision: Revision,
  { verdict }: RolloutEnd,
): Promise<Ending | undefined> {
  const { context, progress, upgraded } = failing;
  const failed = await smokeTest(context, progress, revision);
  if (failed === undefined) return undefined;
  if (context.signal.aborted) return cancelled(context, upgraded);
  return fail({ ...failing, upgraded: { ...upgraded, hooks: failed.hooks } }, failed.ending, verdict, failed.causes);
}

async function followUpgrade(
  { context, progress, seen, upgraded }: FailedDeploy,
  revision: Revision,
  deadline: Date,
): Promise<RolloutEnd> {
  const objects = await desiredObjects(context.cluster, revision.manifest, context.namespace);
  return inPhase(context, progress, `Follow revision ${revision.revision}`, () =>
    followRollout(context, objects, {
      policy: rolloutPolicy(context, deadline, true),
      memory: seen.baseline,
      earlier: seen.history,
      release: { revision, history: upgraded.history },
      logged: upgraded.logged,
      ...(upgraded.logs && { logs: upgraded.logs }),
    }),
  );
}

function unhealthy(failing: FailedDeploy, { lastLines: lastLines, verdict }: RolloutEnd): Promise<Ending> {
  return fail({ ...failing, lastLines: lastLines }, endingOfRollout(verdict), verdict);
}

function logReservations({ agent }: DeployContext, reservations: readonly Reservation[]): void {
  for (const { message } of reservations) agent.log(`Not verified: ${message}`);
}

async function succeed(
  context: DeployContext,
  progress: DeployProgress,
  history: readonly Revision[],
  revision: Revision,
): Promise<Ending> {
  progress.serving = { revision: revision.revision, health: 'healthy' };
  const { reservations } = progress;
  await withRetries(context, () =>
    reservations.length === 0
      ? verify(context.storage, revision, context.run, context.link)
      : reserve(context.storage, revision, context.run),
  );
  const broken = progress.objects.filter((object) => object.isPreexisting);
  const blind = notJudgedLines(progress.objects);
  const ready = progress.objects.length - broken.length - blind.length;
  const what = ready === 1 ? 'One object' : `All ${ready} ${blind.length > 0 ? 'other ' : ''}objects`;
  for (const line of blind) context.agent.log(line);
  if (ready > 0 || blind.length === 0) {
    context.agent.log(`${what} of revision ${revision.revision} ${ready === 1 ? 'is' : 'are'} there and ready.`);
  }
  for (const object of broken) {
    context.agent.log(`${objectName(object)} was broken before this deploy and still is: ${object.message}`);
  }
  logReservations(context, reservations);
  if (reservations.length === 0) await warnOfUnusedServices(context, revision);
  await compareOnceMore(context, progress, revision);
  await settleDroppedData(context, progress, history, revision);
  await settleFailedLeftovers(context, progress, revision);
  await prune(context);
  return progress.recovered ? { ...wellEnded, outcome: 'recovered' } : wellEnded;
}
