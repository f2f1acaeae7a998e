import { endingFor, wellEnded, type Ending } from '../../core/report/ending';
import { asTaskError, TaskError } from '../../core/failure';
import { isAbandoned, type Work } from '../../core/lock/lease';
import { takesBack } from '../../core/lock/work';
import { changedNothing, isOfRollback, isVerified, rollbackTarget, sinceUninstall } from '../../core/release/history';
import type { RepairRequest } from '../../core/inputs/deployRequest';
import { missingProof } from '../../core/inputs/bakeRequest';
import type { Interruption } from '../../core/lock/interruption';
import type { ReleaseHelm, ReleaseStorage, RollbackHelm } from '../../core/ports';
import type { DeployReport } from '../../core/report/report';
import type { Revision } from '../../core/release/release';
import type { Lease, LeaseContext, LeftEnded, ReleaseContext, RolloutContext } from '../../core/releaseContext';
import type { Sha256 } from '../../core/rollbackPlan/model/types';
import { endWork, contextUnder } from '../release/change';
import { withRetries } from '../steps/withRetries';
import { withLease } from '../lock/lease';
import { group } from '../steps/phase';
import { cancelledDescription, hideSecrets, markCancelled, reserve, verify } from '../release/record';
import {
  markDead,
  isMarkedDead,
  isPending,
  pendingRefusal,
  removeHooks,
  restoreHistory,
  wasInterrupted,
} from '../release/recover';
import { leftObjects, settlePreexisting } from '../release/preexisting';
import { newDeployProgress, reportOf, servingIn, type DeployProgress } from '../release/deployProgress';
import { automaticRollback } from './automaticRollback';
import { removeRelease } from './uninstall';
import { deployNote } from '../../core/report/workloadNote';
import { noteOnWorkloads } from '../rollout/workloadEvents';
import { judgeNow } from '../rollout/moment';

/** The input of a repair. `signal` also aborts when the time of the repair is over. */
type RepairStart = RolloutContext &
  LeaseContext &
  LeftEnded & {
    helm: ReleaseHelm;
    rollbackHelm: RollbackHelm;
    sha256: Sha256;
    storage: ReleaseStorage;
    request: RepairRequest;
  };

type RepairContext = ReleaseContext & { request: RepairRequest };

/**
 * Repairs a release whose deploy was interrupted, after the process of the deploy has ended. Does nothing if the
 * revision became healthy all the same. Otherwise rolls back to the last good revision, or marks the revision failed,
 * as `onInterrupted` says. If time or the cluster do not allow this, the release is left for the next run in a state
 * that this run knows. Throws nothing.
 */
export async function repair(start: RepairStart, left: Interruption): Promise<DeployReport> {
  const progress = newDeployProgress(start.clock.now());
  const ending = await withLease(start, (lease) => underLease(start, progress, lease, left)).catch((thrown: unknown) =>
    // Another run is at work, and this one had begun nothing.
    left.revision === 0 && asTaskError(thrown).reason === 'ReleaseLocked' ? wellEnded : endingOfError(thrown),
  );
  const report = await reportOf(start, progress, ending);
  const note = ending.outcome === 'rolledBack' ? deployNote(report, start.holder) : undefined;
  if (note !== undefined) await noteOnWorkloads(start, report.objects, note);
  return report;
}

function endingOfError(thrown: unknown): Ending {
  const { reason, message } = asTaskError(thrown);
  const next = 'The next run of this step, in any pipeline, recovers it.';
  return endingFor('failed', reason, `The interrupted release could not be repaired: ${message} ${next}`);
}

async function underLease(
  start: RepairStart,
  progress: DeployProgress,
  lease: Lease,
  left: Interruption,
): Promise<Ending> {
  const context: RepairContext = contextUnder(start, lease);
  // The last task variable of the step may not have reached the agent. The Lease has the same note.
  const begun = left.action === undefined ? lease.previous?.work : { action: left.action, revision: left.revision };
  if (begun !== undefined) context.preexisting.push(...(await withRetries(context, () => leftObjects(context))));
  const ending = await putInOrder(context, progress, begun);
  await settlePreexisting(context, takesBack(progress.lastWork) || takesBack(begun));
  const history = await context.storage.history();
  await hideSecrets(context, history);
  if (!isPending(history)) {
    await lease.settled();
    endWork(context.agent);
  }
  return ending;
}

async function putInOrder(context: RepairContext, progress: DeployProgress, begun: Work | undefined): Promise<Ending> {
  const { agent, request, storage } = context;
  if (begun === undefined) {
    agent.log('No change was begun.');
    return wellEnded;
  }
  const dead = await recoverDead(context, begun);
  const history = await restoreHistory(context, await withRetries(context, () => storage.history()));
  const last = history.at(-1);
  if (last === undefined || isUnmade(begun, last)) {
    agent.log(
      last === undefined && begun.action === 'uninstall'
        ? 'The release is uninstalled, so there is nothing to do.'
        : `Helm had not made revision ${begun.revision} yet: nothing of the release was changed.`,
    );
    progress.serving = servingIn(history);
    return wellEnded;
  }
  if (isVerified(last) || (await gotHealthy(context, last))) {
    progress.serving = { revision: last.revision, health: 'healthy' };
    agent.log(`Revision ${last.revision} is healthy, so there is nothing to do.`);
    return isOfRollback(last) ? { ...wellEnded, outcome: 'rolledBack' } : wellEnded;
  }
  const missing = missingProof(request, last);
  if (missing !== undefined || wasInterrupted(last)) await removeHooks(context, last);
  const ending = interrupted(last, missing ?? 'it was seen healthy');
  if (request.onInterrupted === 'keep') return keep(context, last, ending);
  return rollBack(
    context,
    progress,
    { history, last, isDead: dead?.revision === last.revision || isMarkedDead(last) },
    ending,
  );
}

function interrupted({ revision }: Revision, aim: string): Ending {
  return endingFor('cancelled', 'Cancelled', `Revision ${revision} was interrupted before ${aim}`);
}

/** Marks a pending revision of this step failed, and returns it. */
async function recoverDead(context: RepairContext, begun: Work): Promise<Revision | undefined> {
  const history = await withRetries(context, () => context.storage.history());
  const dead = isPending(history) ? history.at(-1) : undefined;
  if (dead === undefined) return undefined;
  if (!isOurs(dead, begun, context.lease)) throw pendingRefusal(dead, 'it is not what this step had begun');
  await markDead(context, dead, 'its step was interrupted');
  return dead;
}

/** The pending revision may belong to another run, which is at work by now or died before this step. */
function isOurs(pending: Revision, begun: Work, { previous }: Lease): boolean {
  return pending.revision === begun.revision || isAbandoned(previous, pending);
}

/**
 * A rollback that Helm had not begun still has to be done, and so does the rollback from a dead revision that was taken
 * over.
 */
function isUnmade({ action, revision }: Work, last: Revision): boolean {
  return last.revision < revision && action !== 'rollback' && !isMarkedDead(last);
}

/**
 * Returns true if a revision that Helm itself had completed is healthy at this moment, and writes this into its record.
 * Health is not enough for a revision that needs more proof.
 */
async function gotHealthy(context: RepairContext, last: Revision): Promise<boolean> {
  const isWhole = last.status === 'deployed' || (last.status === 'failed' && last.description === cancelledDescription);
  if (!isWhole || missingProof(context.request, last) !== undefined) return false;
  // The rollout has been going on since before the step ended, so only its present state counts.
  const { verdict, reservations } = await judgeNow(context, last.manifest);
  if (verdict.health !== 'healthy') return false;
  if (last.status !== 'deployed') {
    const change = { status: 'deployed', description: 'Seen healthy after its step was cancelled' } as const;
    await withRetries(context, () => context.storage.update(last.revision, change));
  }
  const history = await withRetries(context, () => context.storage.history());
  const mark = reservations({ revision: last, history }).length === 0 ? verify : reserve;
  await withRetries(context, () => mark(context.storage, last, context.run));
  return true;
}

async function keep(context: RepairContext, last: Revision, ending: Ending): Promise<Ending> {
  await markCancelled(context, last);
  const message = `${ending.message} It is marked failed and kept (onInterrupted: keep).`;
  context.agent.log(message);
  return { ...ending, message };
}

interface Found {
  history: readonly Revision[];
  last: Revision;
  /** Helm died at this revision, so its record does not say how far Helm came. */
  isDead: boolean;
}

async function rollBack(
  context: RepairContext,
  progress: DeployProgress,
  found: Found,
  ending: Ending,
): Promise<Ending> {
  const { history, last } = found;
  const target = rollbackTarget(history, last.revision)?.revision;
  if (!found.isDead && target?.status === 'deployed' && changedNothing(last, 'pre-upgrade')) {
    progress.serving = { revision: target.revision, health: 'unknown' };
    const message = `${ending.message} It had changed nothing of the release: revision ${target.revision} serves as before.`;
    context.agent.log(message);
    return { ...ending, message };
  }
  await markCancelled(context, last);
  if (target === undefined) return removeFirst(context, progress, found, ending);
  return automaticRollback(context, progress, { ending, target, beforeDeploy: undefined });
}

async function removeFirst(
  context: RepairContext,
  progress: DeployProgress,
  { history, last }: Found,
  ending: Ending,
): Promise<Ending> {
  if (sinceUninstall(history).some((one) => one !== last && one.status !== 'failed')) {
    return { ...ending, message: `${ending.message} There is no revision to roll back to.` };
  }
  const problem = await group(context, 'Uninstall the interrupted first install', () =>
    removeRelease(context, progress, last),
  );
  if (problem !== undefined) throw new TaskError(problem.reason, `Uninstalling it failed: ${problem.message}`);
  return { ...ending, message: `${ending.message} It was the first of its release, which is uninstalled.` };
}
