import type { ProvenApproval } from '../../../core/approval/proven';
import { errorThen } from '../../../core/report/ending';
import { asTaskError, TaskError } from '../../../core/failure';
import { appliedLast, wasJudged, isVerified } from '../../../core/release/history';
import { objectName } from '../../../core/kubernetes/manifest';
import type { Revision } from '../../../core/release/release';
import type { Lease, LeftEnded, ReleaseRollbackStart, RollbackContext } from '../../../core/releaseContext';
import { isSameContent } from '../../../core/rollbackPlan/model/digest';
import { isSameRecord, recordDigest } from '../../../core/rollbackPlan/model/recordDigest';
import { renewedHistory, renewedRevision, type RecordRenewal } from '../../../core/release/servedVersions';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import type { RollbackEnding } from '../../../core/rollbackPlan/document/rollbackReport';
import { askApproval, approvedPlan, sameOrRefused, logPlan, type ApprovedPlan } from './approvedPlan';
import { endWork, contextUnder } from '../../release/change';
import { executeRollback, isServing, finishMade } from './executeRollback';
import { withRetries } from '../../steps/withRetries';
import { withLease } from '../../lock/lease';
import { group, later } from '../../steps/phase';
import { keepPlan, refusedPlan, type ReportedRollback } from '../plan/makePlan';
import { planRelease, sealOf } from '../plan/planRelease';
import { settleLeft } from '../../release/preexisting';
import { hideSecrets, verify } from '../../release/record';
import { markDead, isPending, ownerOf, pendingRefusal, restoreHistory } from '../../release/recover';
import { refuseOld } from './planAge';
import { writeRenewals } from '../../release/servedVersions';
import {
  endingOfThrown,
  lostEnding,
  newRollbackProgress,
  rollbackEnding,
  rollbackReport,
  wellRolledBack,
  type RollbackProgress,
} from '../plan/rollbackProgress';

/**
 * Carries out a plan for a release as it was approved, proves the result, and reports it. Resumes what a run that is
 * gone had begun. Throws nothing.
 */
export function rollBackRelease(start: ReleaseRollbackStart): Promise<ReportedRollback> {
  return rollBack(start, carryOut);
}

/**
 * For the post-job phase of a step that was ended in the middle: resumes what the step had begun, and does nothing
 * else.
 */
export function resumeRollback(start: ReleaseRollbackStart & LeftEnded): Promise<ReportedRollback> {
  return rollBack(start, async (context, progress) => {
    const approved = await approvedPlan(context, progress);
    const history = await restoreHistory(context, await context.storage.history());
    const resumed = await resume(context, progress, approved, history);
    return resumed ?? rollbackEnding('cancelled', 'Cancelled', 'Nothing of the rollback was begun.');
  });
}

type Act = (context: RollbackContext, progress: RollbackProgress) => Promise<RollbackEnding>;

async function rollBack(start: ReleaseRollbackStart, act: Act): Promise<ReportedRollback> {
  const progress = newRollbackProgress(start.clock.now());
  const ending = await withLease(start, (lease) => underLease(start, progress, lease, act)).catch((thrown: unknown) =>
    endingOfThrown(thrown, progress, start.signal),
  );
  if (!progress.hasBegun) endWork(start.agent);
  return { report: rollbackReport(start, progress, ending), plan: progress.plan };
}

async function underLease(
  start: ReleaseRollbackStart,
  progress: RollbackProgress,
  lease: Lease,
  act: Act,
): Promise<RollbackEnding> {
  const deadline = later(start.clock.now(), start.request.rollbackTimeoutSeconds);
  const context: RollbackContext = { ...contextUnder(start, lease), deadline };
  const ending = await act(context, progress).catch((thrown: unknown) =>
    endingOfThrown(thrown, progress, start.signal),
  );
  if (lease.lost.aborted && !start.signal.aborted) return lostEnding(ending);
  if (ending.outcome === 'rolledBack') await settleLeft(context);
  const history = await context.storage.history().catch(() => undefined);
  await hideSecrets(context, history ?? []);
  if (history !== undefined && !isPending(history)) {
    if (isFinished(progress, history)) await lease.settled();
    // The post-job phase resumes a rollback that was cancelled in the middle.
    if (ending.outcome !== 'cancelled') endWork(context.agent);
  }
  return ending;
}

/**
 * Returns false while a begun rollback has made its revision and has not seen it verified: then objects that the target
 * does not have may still be live, and the next run, whatever it does, has to know of them.
 */
function isFinished({ hasBegun }: RollbackProgress, history: readonly Revision[]): boolean {
  const last = history.at(-1);
  return !hasBegun || last?.status !== 'deployed' || isVerified(last);
}

async function carryOut(context: RollbackContext, progress: RollbackProgress): Promise<RollbackEnding> {
  const { request, storage } = context;
  const approved = await approvedPlan(context, progress);
  const history = await restoreHistory(context, await storage.history());
  progress.revision = appliedLast(history)?.revision ?? null;
  const resumed = await resume(context, progress, approved, history);
  if (resumed !== undefined) return resumed;
  const there = approved === undefined ? undefined : await alreadyThere(context, progress, approved, history);
  if (there !== undefined) return there;
  await refuseOld(context, approved);
  await refuseForeignPending(context, history);

  const salt = approved === undefined ? context.newSalt() : approved.salt;
  const planned = await group(context, 'Plan again', () => planRelease(context, history, salt));
  progress.plan = planned.plan;
  logPlan(context, planned.plan);
  const plan = await sameOrRefused(context, progress, approved, planned.plan);
  if (plan.risk === 'refused') return refusedPlan(plan);
  if (approved === undefined) {
    const served = await alreadyThere(context, progress, { plan, salt }, history);
    if (served !== undefined) return served;
    await keepPlan(context, plan, salt);
  }
  const approval = await group(context, 'Approval', () => askApproval(context, progress, approved, plan.digest));
  const renewed = await renewedBy(context, history, planned.renewals);
  const target = targetOf(renewed, plan);
  if (target === undefined) {
    throw new TaskError('RollbackTargetMissing', `The target of the rollback of ${request.releaseName} is gone.`);
  }
  return executeRollback(context, progress, { ...planned, plan, target, history: renewed, approval, deletions: plan });
}

/** Renews the records, and returns the history as Helm can then read it. */
async function renewedBy(
  context: RollbackContext,
  history: readonly Revision[],
  renewals: readonly RecordRenewal[],
): Promise<readonly Revision[]> {
  await withRetries(context, () => writeRenewals(context, renewals));
  return renewedHistory(history, renewals);
}

function targetOf(history: readonly Revision[], { target }: ChangePlan): Revision | undefined {
  return history.find(({ revision }) => revision === target?.revision);
}

/** Throws if another run may still be at work on the release. */
async function refuseForeignPending(context: RollbackContext, history: readonly Revision[]): Promise<void> {
  const last = history.at(-1);
  if (last === undefined || !isPending(history)) return;
  const owner = await ownerOf(context, last, abandonedSeconds);
  if (!owner.isGone) throw pendingRefusal(last, owner.why);
}

const abandonedSeconds = 900;

/**
 * No rollback is needed if the serving revision has the manifest, hooks and values of the target, and is healthy and as
 * declared. Then this or another run has already carried out the plan, or the plan has nothing to do.
 */
async function alreadyThere(
  context: RollbackContext,
  progress: RollbackProgress,
  planned: Pick<ApprovedPlan, 'plan' | 'salt'>,
  history: readonly Revision[],
): Promise<RollbackEnding | undefined> {
  const { plan } = planned;
  const last = history.at(-1);
  const target = plan.target?.revision;
  if (last?.status !== 'deployed' || target === undefined || last.revision <= target) return undefined;
  if (!isTargetAgain(context, planned, targetOf(history, plan), last)) return undefined;
  if (isStillToRun(plan, last)) return undefined;
  if (!(await isServing(context, progress, last))) return undefined;
  await withRetries(context, () => verify(context.storage, last));
  progress.plan = plan;
  progress.revision = last.revision;
  const message = `Revision ${last.revision} has the manifest, hooks and values of revision ${target}, all of it is as declared and healthy: nothing was done.`;
  return { ...wellRolledBack, outcome: 'alreadyThere', message };
}

/** Returns true if the plan runs hooks and no revision was made since: these hooks have not run yet. */
function isStillToRun({ hooks, present }: ChangePlan, last: Revision): boolean {
  return present?.revision === last.revision && hooks.some(({ willRun }) => willRun);
}

/** Compares with the plan's own digest of the target's record, which outlives that record. */
function isTargetAgain(
  context: RollbackContext,
  { plan, salt }: Pick<ApprovedPlan, 'plan' | 'salt'>,
  target: Revision | undefined,
  made: Revision,
): boolean {
  const seal = sealOf(context, salt);
  if (seal === undefined || plan.targetRecord === '') return target !== undefined && isSameRecord(target, made);
  return recordDigest(made, seal) === plan.targetRecord;
}

/** Throws `PlanChanged` if the target's record is not the one that was approved. */
function refuseEditedTarget(context: RollbackContext, approved: ApprovedPlan, target: Revision): void {
  if (isTargetAgain(context, approved, target, target)) return;
  const message = `The record of revision ${target.revision}, the target, was changed since the plan was made: its manifest, its hooks or its values.`;
  throw new TaskError('PlanChanged', message);
}

/**
 * Resumes an execution of this very plan whose run is gone. The state of the cluster decides where to go on. Azure
 * DevOps is asked again if the rollback is approved.
 */
async function resume(
  context: RollbackContext,
  progress: RollbackProgress,
  approved: ApprovedPlan | undefined,
  history: readonly Revision[],
): Promise<RollbackEnding | undefined> {
  const last = history.at(-1);
  if (approved?.execution?.state !== 'begun' || last === undefined) return undefined;
  const target = targetOf(history, approved.plan);
  if (target === undefined) return undefined;
  const begun: Begun = { approved, target, history };
  const { revision } = approved.execution;
  if (last.revision === revision - 1) return resumeWithoutRecord(context, progress, begun, revision);
  if (last.revision !== revision) return undefined;
  if (last.status === 'deployed') return resumeMade(context, progress, begun, last);
  if (last.status === 'failed') return resumeFailed(context, progress, begun, last);
  return last.status === 'pending-rollback' ? resumePending(context, progress, begun, last) : undefined;
}

/** An execution that another run, or the main phase of this step, has begun. */
interface Begun {
  approved: ApprovedPlan;
  target: Revision;
  history: readonly Revision[];
}

/** Helm had made its revision. The proof and the deletions are left to do. */
async function resumeMade(
  context: RollbackContext,
  progress: RollbackProgress,
  { approved, target }: Begun,
  made: Revision,
): Promise<RollbackEnding | undefined> {
  if (!isTargetAgain(context, approved, target, made)) return undefined;
  const { plan } = approved;
  progress.plan = plan;
  context.agent.log(
    `An earlier run of this rollback ended after Helm had made revision ${made.revision}. It is resumed.`,
  );
  const approval = await group(context, 'Approval', () => askApproval(context, progress, approved, plan.digest));
  progress.hasBegun = true;
  return finishMade(context, progress, { plan, target, approval, deletions: plan }, made);
}

/**
 * Helm died in the middle. Its record is a copy of the target, and Helm would merge from it. Without that record, Helm
 * merges from the revision that served before, as in the approved plan.
 */
async function resumePending(
  context: RollbackContext,
  progress: RollbackProgress,
  begun: Begun,
  dead: Revision,
): Promise<RollbackEnding> {
  const { approved, target, history } = begun;
  const owner = await ownerOf(context, dead, abandonedSeconds);
  if (!owner.isGone) throw pendingRefusal(dead, owner.why);
  progress.plan = approved.plan;
  const approval = await mayResume(context, progress, begun).catch(async (thrown: unknown) => {
    if (context.signal.aborted || asTaskError(thrown).reason === 'Cancelled') throw thrown;
    progress.hasBegun = true;
    await markDead(context, dead, owner.how);
    const message = `Revision ${dead.revision} of the rollback that was begun is marked failed, so that Helm and the next deploy can go on.`;
    throw errorThen(thrown, new Error(message));
  });
  context.agent.log(
    `Revision ${dead.revision} of this rollback was left ${dead.status}: ${owner.how}. Helm runs again.`,
  );
  progress.hasBegun = true;
  await withRetries(context, () => context.storage.remove(dead.revision));
  const before = history.filter((revision) => revision !== dead);
  return runAgain(context, progress, {
    ...begun,
    history: before,
    approval,
    dead: { ...target, revision: dead.revision },
  });
}

/**
 * Helm failed in the middle, for example because the API server was away, and its result was not judged. The record of
 * that attempt stays: Helm merges from it, and makes another revision.
 */
async function resumeFailed(
  context: RollbackContext,
  progress: RollbackProgress,
  begun: Begun,
  failed: Revision,
): Promise<RollbackEnding | undefined> {
  const { approved, target } = begun;
  if (wasJudged(failed) || !isTargetAgain(context, approved, target, failed)) return undefined;
  progress.plan = approved.plan;
  const approval = await mayResume(context, progress, begun);
  context.agent.log(`Revision ${failed.revision} of this rollback failed («${failed.description}»). Helm runs again.`);
  progress.hasBegun = true;
  return runAgain(context, progress, { ...begun, approval });
}

/** The earlier run died before Helm had made a record, or a resumed run died after it had removed the record. */
async function resumeWithoutRecord(
  context: RollbackContext,
  progress: RollbackProgress,
  begun: Begun,
  revision: number,
): Promise<RollbackEnding | undefined> {
  const { approved, target, history } = begun;
  const { plan } = await group(context, 'Find what was begun', () => planRelease(context, history, approved.salt));
  // If nothing was done yet, the approved rollback is carried out from its start, and there is nothing to resume.
  if (isSameContent(approved.plan, plan) || history.at(-1)?.revision !== approved.plan.present?.revision)
    return undefined;
  progress.plan = approved.plan;
  const approval = await mayResume(context, progress, begun);
  context.agent.log('An earlier run of this rollback was ended in the middle. Helm runs again.');
  progress.hasBegun = true;
  return runAgain(context, progress, { ...begun, approval, dead: { ...target, revision } });
}

async function mayResume(context: RollbackContext, progress: RollbackProgress, begun: Begun): Promise<ProvenApproval> {
  refuseEditedTarget(context, begun.approved, begun.target);
  const { approved } = begun;
  return group(context, 'Approval', () => askApproval(context, progress, approved, approved.plan.digest));
}

/**
 * The work of the interrupted run makes the present plan differ from the approved one. The present plan must not delete
 * more than was approved. `dead` is a rollback whose record is gone: the base for Helm's merge includes what it has
 * made.
 */
async function runAgain(
  context: RollbackContext,
  progress: RollbackProgress,
  { approved, target, history, approval, dead }: Begun & { approval: ProvenApproval; dead?: Revision },
): Promise<RollbackEnding> {
  const { request } = context;
  // With one more revision in the history, «previous» would mean another revision.
  const rollback = { ...request.rollback, toRevision: target.revision };
  const again = { ...context, request: { ...request, rollback } };
  const planned = await group(context, 'Plan again', () => planRelease(again, history, approved.salt, dead));
  const { plan, renewals } = planned;
  const { digest } = approved.plan;
  progress.plan = { ...plan, digest, createdAt: approved.plan.createdAt };
  if (plan.risk === 'refused') return { ...refusedPlan(plan, halfDone), outcome: 'failed' };
  const allowed = new Set(deletedNames(approved.plan));
  const more = deletedNames(plan).filter((name) => !allowed.has(name));
  if (more.length > 0 || plan.target?.revision !== target.revision) {
    const message = `The rollback would now delete what was not approved: ${more.join(', ')}. ${halfDone}`;
    return rollbackEnding('failed', 'PlanChanged', message);
  }
  logHotFixes(context, approved.plan, plan);
  return executeRollback(context, progress, {
    ...planned,
    digest,
    target: renewedRevision(target, renewals),
    history: await renewedBy(context, history, renewals),
    approval,
    deletions: approved.plan,
  });
}

const halfDone = 'The rollback was begun, and what it has done is not undone.';

/** The rollback overwrites fields that somebody has changed by hand since the plan. Logs a warning for each. */
function logHotFixes({ agent }: RollbackContext, approved: ChangePlan, plan: ChangePlan): void {
  const drifted = ({ objects }: ChangePlan): string[] =>
    objects.flatMap((object) =>
      object.drift.map(({ path, live }) => `${objectName(object)} ${path} (${live || 'absent'})`),
    );
  const known = new Set(drifted(approved));
  for (const field of drifted(plan).filter((each) => !known.has(each))) {
    agent.warning(
      `Somebody has changed ${field} since the plan was made; the rollback sets it as the target declares it.`,
    );
  }
}

function deletedNames({ objects }: ChangePlan): string[] {
  return objects
    .filter(({ fate }) => fate === 'deleted')
    .map((object) => `${object.namespace} ${objectName(object)} ${object.uid}`);
}
