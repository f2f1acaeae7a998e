import {
  endingFor,
  endingOfRollout,
  endingThen,
  reportedObjects,
  wellEnded,
  type Ending,
} from '../../core/report/ending';
import { asTaskError, type FailureReason } from '../../core/failure';
import { isDeadInstall, isEdited, wasServing } from '../../core/release/history';
import { objectName } from '../../core/kubernetes/manifest';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type DeployContext, type DeployStart, type Lease } from '../../core/releaseContext';
import { notJudgedLines, type DeployReport } from '../../core/report/report';
import { announceWork, endWork, contextUnder } from '../release/change';
import { settleDroppedData } from './droppedData';
import { foreseenConflicts } from './fieldConflicts';
import { insist } from '../steps/insist';
import { withLease } from '../lock/lease';
import { askHelm, readRelease, type AskedHelm, type ReleaseSnapshot } from './readRelease';
import { later } from '../steps/phase';
import { hideSecrets, prune, verify } from '../release/record';
import { findPreexisting, settlePreexisting } from '../release/preexisting';
import { takesBack } from '../../core/lock/work';
import { followRollout, rolloutPolicy, type RolloutEnd } from '../rollout/rollout';
import { makeNamespace, needsNamespace } from './ownNamespace';
import { isPending } from '../release/recover';
import { newStory, reportOf, servingIn, type Story } from '../release/story';
import { readServices, servingAtEnd } from './servingAtEnd';
import { unchanged } from './unchanged';
import { upgrade } from './upgrade';
import { cancelledWith, removeRelease } from './uninstall';
import { wantedObjects } from '../release/wantedObjects';
import { fail } from './failedDeploy';
import { inPhase, type FailedDeploy, cancelled } from './failedDeploy';
import { helmFailed } from './helmFailure';
import { logReusedValues, logOutlook, logFieldWarnings } from './outlook';

/**
 * Deploys the release and returns the report. Throws nothing: an error is an ending too. Takes at most lockTimeout +
 * timeout + rollbackTimeout, plus the time to read the evidence.
 */
export async function deploy(start: DeployStart): Promise<DeployReport> {
  const story = newStory(start.clock.now());
  start.request.warnings.forEach((warning) => { start.agent.warning(warning); }); // prettier-ignore
  const stopLogging = logWhenCancelled(start, story);
  // The chart is rendered while the lock is being acquired.
  const asked = askHelm(start);
  const askedMs = start.clock.monotonicMs();
  const ending = await withLease(start, (lease) => {
    // Another run may since have changed objects that a template looks up.
    const isOld = start.clock.monotonicMs() - askedMs > freshMs;
    return underLease(start, story, lease, isOld ? askHelm(start) : asked);
  }).catch((thrown: unknown) => endingOfError(thrown, story.found, start.signal));
  stopLogging();
  if (!story.hasBegun) endWork(start.agent);
  return reportOf(start, story, ending);
}

/** A lock that is free is acquired in less time than this. */
const freshMs = 1500;

/** A cancelled step has only seconds. It logs at once what it was doing, and what recovers the release. */
function logWhenCancelled({ agent, namespace, request, signal }: DeployStart, story: Story): () => void {
  const next =
    request.onInterrupted === 'keep'
      ? 'the post-job step marks it failed (onInterrupted: keep)'
      : 'the post-job step rolls it back to the last good revision (onInterrupted: rollback)';
  const log = (): void => {
    agent.log(
      `${String(signal.reason)} reached the deploy of release ${request.releaseName} in namespace ${namespace}.`,
    );
    agent.log(`The step was at: ${story.phase}. It begins nothing more, and tells Helm to stop.`);
    agent.log(`If the release is half done, ${next}. Without a post-job step, the next run recovers it.`);
  };
  signal.addEventListener('abort', log, { once: true });
  return () => {
    signal.removeEventListener('abort', log);
  };
}

async function underLease(start: DeployStart, story: Story, lease: Lease, asked: AskedHelm): Promise<Ending> {
  const context: DeployContext = contextUnder(start, lease);
  const ending = await deployChart(context, story, asked).catch((thrown: unknown) =>
    endingOfError(thrown, story.found, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted) return lostEnding(ending);
  await settleWork(context, ending);
  await servingAtEnd(context, story);
  if (ending.outcome === 'failed' || ending.outcome === 'rolledBack') await readServices(context, story);
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

function lostEnding(ending: Ending): Ending {
  if (ending.reason === 'LeaseLost') return ending;
  const message =
    'Another run has taken the release over, because this one was silent for too long. This run began nothing more.';
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

async function deployChart(context: DeployContext, story: Story, asked: AskedHelm): Promise<Ending> {
  const deadline = later(context.clock.now(), context.request.timeoutSeconds);
  const seen = await readTwice(context, story, asked);
  story.helmVersion = seen.capabilities.version;
  stopIfCancelled(context.signal);
  logReusedValues(context, seen);
  const same = await inPhase(context, story, 'Compare with what serves', () => unchanged(context, seen));
  if (same !== undefined) {
    const serving = seen.history.at(-1);
    if (serving !== undefined) await settleDroppedData(context, story, seen.history, serving);
    return same;
  }
  const conflicting = await foreseenConflicts(context, seen);
  if (conflicting !== undefined) return conflicting;
  logOutlook(context, seen);
  await findPreexisting(context, seen);
  const upgraded = await inPhase(context, story, 'Run helm upgrade --install', () =>
    upgrade(context, story, seen, deadline),
  );
  logFieldWarnings(context, seen, upgraded);
  const ending = await judgeUpgrade({ context, story, seen, upgraded }, deadline);
  // A cancelled deploy is left to the post-job phase, which repairs it.
  if (ending.outcome !== 'cancelled') {
    await settlePreexisting(context, takesBack(story.lastWork) || upgraded.changedNothing);
  }
  return ending;
}

/**
 * Reads the release and the chart, and reads both again if this made a change: a namespace for the lock was made, or a
 * dead first install was removed.
 */
async function readTwice(context: DeployContext, story: Story, asked: AskedHelm): Promise<ReleaseSnapshot> {
  const { agent, lease, namespace, process, request } = context;
  const read = (answers: AskedHelm, title = 'Read the release and the chart'): Promise<ReleaseSnapshot> =>
    inPhase(context, story, title, () =>
      readRelease(context, answers, {
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
          announceWork(agent, { release: request.releaseName, namespace, revision, action: 'upgrade', process });
        },
      }),
    );
  const readAgain = (): Promise<ReleaseSnapshot> => read(askHelm(context), 'Read the release and the chart again');
  const seen = await read(asked);
  const isLeftWork = lease.previous?.work !== undefined && seen.state.state === 'failed';
  story.recovered = seen.died !== undefined || isLeftWork;
  if (needsNamespace(context, seen)) {
    await makeNamespace(context, seen);
    if (lease.state === 'later') await lease.acquireNow();
    return readAgain();
  }
  const { died } = seen;
  if (died === undefined || !isDeadInstall(died, seen.history) || !request.recreateFailedInstall) return seen;
  const problem = await inPhase(context, story, 'Remove the first install that died', () =>
    removeRelease(context, story, died),
  );
  if (problem !== undefined) throw problem;
  return { ...(await readAgain()), died };
}

/** Judges the result of Helm's run, and follows the rollout if it is still open. */
async function judgeUpgrade(failing: FailedDeploy, deadline: Date): Promise<Ending> {
  const { context, story, seen, upgraded } = failing;
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
  story.objects = reportedObjects(rollout.verdict);
  if (rollout.end === 'healthy') return succeed(context, story, seen.history, revision);
  return rollout.end === 'cancelled' ? cancelled(context, upgraded) : unhealthy(failing, rollout);
}

async function followUpgrade(
  { context, story, seen, upgraded }: FailedDeploy,
  { manifest, revision }: Revision,
  deadline: Date,
): Promise<RolloutEnd> {
  const objects = await wantedObjects(context.cluster, manifest, context.namespace);
  return inPhase(context, story, `Follow revision ${revision}`, () =>
    followRollout(context, objects, {
      policy: rolloutPolicy(context, deadline, true),
      memory: seen.baseline,
      earlier: seen.history,
      said: upgraded.said,
      ...(upgraded.logs && { logs: upgraded.logs }),
    }),
  );
}

function unhealthy(failing: FailedDeploy, { heard, verdict }: RolloutEnd): Promise<Ending> {
  return fail({ ...failing, heard }, endingOfRollout(verdict), verdict);
}

/** A revision that was not seen healthy is not deployed well, whatever prevented the check. */
async function unfollowed(failing: FailedDeploy, revision: Revision, thrown: unknown): Promise<Ending> {
  if (failing.context.signal.aborted) return cancelled(failing.context, failing.upgraded);
  const { reason, message } = asTaskError(thrown);
  const what = `Revision ${revision.revision} was applied, but could not be followed`;
  return fail(failing, endingFor('failed', reason, `${what}: ${message}`), undefined);
}

async function succeed(
  context: DeployContext,
  story: Story,
  history: readonly Revision[],
  revision: Revision,
): Promise<Ending> {
  story.serving = { revision: revision.revision, health: 'healthy' };
  await insist(context, () => verify(context.storage, revision, context.run));
  const broken = story.objects.filter((object) => object.isPreexisting);
  const blind = notJudgedLines(story.objects);
  const ready = story.objects.length - broken.length - blind.length;
  const what = ready === 1 ? 'One object' : `All ${ready} ${blind.length > 0 ? 'other ' : ''}objects`;
  for (const line of blind) context.agent.log(line);
  if (ready > 0 || blind.length === 0) {
    context.agent.log(`${what} of revision ${revision.revision} ${ready === 1 ? 'is' : 'are'} there and ready.`);
  }
  for (const object of broken) {
    context.agent.log(`${objectName(object)} was broken before this deploy and still is: ${object.message}`);
  }
  await settleDroppedData(context, story, history, revision);
  await prune(context);
  return story.recovered ? { ...wellEnded, outcome: 'recovered' } : wellEnded;
}
