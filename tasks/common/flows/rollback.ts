import { TaskError } from '../core/failure';
import type { Execution } from '../core/keptPlan';
import { objectName } from '../core/manifest';
import type { Revision } from '../core/release';
import type { Lease } from '../core/releaseContext';
import type { ReleaseRollbackStart, RollbackContext } from '../core/rollbackContext';
import type { RollbackPlan } from '../core/rollbackPlan/types';
import type { RollbackEnding } from '../core/rollbackReport';
import { askApproval, approvedPlan, sameOrRefused, sayPlan, type ApprovedPlan } from './approvedPlan';
import { endWork, fenced } from './change';
import { executeRollback, finishRollback, isServing } from './executeRollback';
import { insist } from './insist';
import { withLease } from './lease';
import { group, later } from './phase';
import { keepPlan, refusedPlan, type ToldRollback } from './plan';
import { planRelease } from './planRelease';
import { verify } from './record';
import { isPending, ownerOf, pendingRefusal, restoreHistory } from './recover';
import { refuseOld } from './rollbackAge';
import {
  endingOfThrown,
  newRollbackStory,
  rollbackEnding,
  rollbackReport,
  wellRolledBack,
  type RollbackStory,
} from './rollbackStory';

/**
 * Carries out a plan for a release as it was approved, proves the result, and tells what came of it. What was begun by a
 * run that is gone is carried on. Throws nothing.
 */
export function rollBackRelease(start: ReleaseRollbackStart): Promise<ToldRollback> {
  return rollBack(start, carryOut);
}

/** The post-job phase of a step that was ended in the middle: carries on what it had begun, and nothing else. */
export function resumeRollback(start: ReleaseRollbackStart): Promise<ToldRollback> {
  return rollBack(start, async (context, story) => {
    const approved = await approvedPlan(context, story);
    const history = await restoreHistory(context, await context.storage.history());
    const resumed = await resume(context, story, approved, history, later(context.clock.now(), timeout(context)));
    return resumed ?? rollbackEnding('cancelled', 'Cancelled', 'Nothing of the rollback was begun.');
  });
}

type Act = (context: RollbackContext, story: RollbackStory) => Promise<RollbackEnding>;

async function rollBack(start: ReleaseRollbackStart, act: Act): Promise<ToldRollback> {
  const story = newRollbackStory(start.clock.now());
  const ending = await withLease(start, (lease) => underLease(start, story, lease, act)).catch((thrown: unknown) =>
    endingOfThrown(thrown, story, start.signal),
  );
  return { report: rollbackReport(start, story, ending), plan: story.plan };
}

async function underLease(
  start: ReleaseRollbackStart,
  story: RollbackStory,
  lease: Lease,
  act: Act,
): Promise<RollbackEnding> {
  const context: RollbackContext = {
    ...start,
    lease,
    storage: fenced(start.storage, lease),
    signal: AbortSignal.any([start.signal, lease.lost]),
    process: start.holder.process,
    run: start.holder.run,
  };
  const ending = await act(context, story).catch((thrown: unknown) => endingOfThrown(thrown, story, start.signal));
  if (lease.lost.aborted && !start.signal.aborted) {
    const message = 'Another run has taken the release over, because this one was silent for too long.';
    return rollbackEnding('failed', 'LeaseLost', `${message} ${ending.message}`);
  }
  const history = await context.storage.history().catch(() => undefined);
  if (history !== undefined && !isPending(history)) {
    await lease.settled();
    // What was cancelled in the middle is carried on by the post-job phase.
    if (ending.outcome !== 'cancelled') endWork(context.agent);
  }
  return ending;
}

function timeout({ request }: RollbackContext): number {
  return request.rollbackTimeoutSeconds;
}

async function carryOut(context: RollbackContext, story: RollbackStory): Promise<RollbackEnding> {
  const { clock, request, storage } = context;
  const deadline = later(clock.now(), timeout(context));
  const approved = await approvedPlan(context, story);
  const history = await restoreHistory(context, await storage.history());
  story.revision = servingIn(history);
  const resumed = await resume(context, story, approved, history, deadline);
  if (resumed !== undefined) return resumed;
  const there =
    approved === undefined ? undefined : await alreadyThere(context, story, approved.plan, history, approved.execution);
  if (there !== undefined) return there;
  await refuseOld(context, approved);
  await refuseForeignPending(context, history);

  const { plan, base } = await group(context, 'Plan again', () => planRelease(context, history));
  story.plan = plan;
  sayPlan(context, plan);
  sameOrRefused(story, approved, plan, clock.now());
  if (plan.risk === 'refused') return refusedPlan(plan);
  if (approved === undefined) {
    const served = await alreadyThere(context, story, plan, history);
    if (served !== undefined) return served;
    await keepPlan(context, plan);
  }
  const approval = await group(context, 'Approval', () => askApproval(context, story, approved));
  const target = targetOf(history, plan);
  if (target === undefined) {
    throw new TaskError('RollbackTargetMissing', `The target of the rollback of ${request.releaseName} is gone.`);
  }
  return executeRollback(context, story, { plan, base, target, history, approval, deadline, deletions: plan });
}

function servingIn(history: readonly Revision[]): number | null {
  const last = history.at(-1);
  return last?.status === 'deployed' ? last.revision : null;
}

function targetOf(history: readonly Revision[], { target }: RollbackPlan): Revision | undefined {
  return history.find(({ revision }) => revision === target?.revision);
}

/** A release on which somebody may be at work is nobody else's. */
async function refuseForeignPending(context: RollbackContext, history: readonly Revision[]): Promise<void> {
  const last = history.at(-1);
  if (last === undefined || !isPending(history)) return;
  const owner = await ownerOf(context, last, abandonedSeconds);
  if (!owner.isGone) throw pendingRefusal(last, owner.why);
}

const abandonedSeconds = 900;

/**
 * A target whose manifest and hooks are those of what serves, healthy and as declared, needs no rollback: the plan was
 * carried out already, by this or another run.
 */
async function alreadyThere(
  context: RollbackContext,
  story: RollbackStory,
  plan: RollbackPlan,
  history: readonly Revision[],
  execution?: Execution,
): Promise<RollbackEnding | undefined> {
  const last = history.at(-1);
  const target = plan.target?.revision;
  if (last?.status !== 'deployed' || target === undefined || last.revision <= target) return undefined;
  // What this plan has made is known by its number, also when the target was pruned since.
  const isMade = execution?.state === 'done' && execution.revision === last.revision;
  if (!isMade && last.manifest !== targetOf(history, plan)?.manifest) return undefined;
  if (!(await isServing(context, story, last))) return undefined;
  await insist(context, () => verify(context.storage, last));
  story.plan = plan;
  story.revision = last.revision;
  const message = `Revision ${last.revision} has the manifest of revision ${target}, all of it is as declared and healthy: nothing was done.`;
  return { ...wellRolledBack, outcome: 'alreadyThere', message };
}

/** Carries on an execution of this very plan that was begun, and whose run is gone. */
async function resume(
  context: RollbackContext,
  story: RollbackStory,
  approved: ApprovedPlan | undefined,
  history: readonly Revision[],
  deadline: Date,
): Promise<RollbackEnding | undefined> {
  const execution = approved?.execution;
  const last = history.at(-1);
  if (approved === undefined || execution?.state !== 'begun' || last?.revision !== execution.revision) return undefined;
  const target = targetOf(history, approved.plan);
  if (target === undefined) return undefined;
  if (last.status === 'deployed' && last.manifest === target.manifest) {
    context.agent.log(
      `Helm had made revision ${last.revision} when an earlier run of this rollback ended: carried on.`,
    );
    takeOver(story, approved.plan, execution);
    story.hasBegun = true;
    const approval = { sentence: execution.approval, approvedBy: execution.approvedBy };
    return finishRollback(
      context,
      story,
      { plan: approved.plan, target, approval, deadline, deletions: approved.plan },
      last,
    );
  }
  if (last.status !== 'pending-rollback') return undefined;
  return runAgain(context, story, { approved, execution, target, history, last, deadline });
}

function takeOver(story: RollbackStory, plan: RollbackPlan, { approval, approvedBy }: Execution): void {
  story.plan = plan;
  story.approval = approval;
  story.approvedBy = approvedBy;
}

interface Broken {
  approved: ApprovedPlan;
  execution: Execution;
  target: Revision;
  history: readonly Revision[];
  last: Revision;
  deadline: Date;
}

/**
 * Helm died in the middle. Its record is a copy of the target, from which it would merge: without that record it merges
 * from what served before, as in the approved plan. What it has done by then makes the plan of now another one; so it
 * must not delete more than was approved, and not be refused.
 */
async function runAgain(context: RollbackContext, story: RollbackStory, broken: Broken): Promise<RollbackEnding> {
  const { approved, execution, target, history, last, deadline } = broken;
  const owner = await ownerOf(context, last, abandonedSeconds);
  if (!owner.isGone) throw pendingRefusal(last, owner.why);
  const before = history.filter((revision) => revision !== last);
  context.agent.log(
    `Revision ${last.revision} of this rollback was left ${last.status}: ${owner.how}. It is done again.`,
  );
  takeOver(story, approved.plan, execution);
  story.hasBegun = true;
  await insist(context, () => context.storage.remove(last.revision));
  const { plan, base } = await group(context, 'Plan again', () => planRelease(context, before));
  story.plan = plan;
  if (plan.risk === 'refused') return { ...refusedPlan(plan), outcome: 'failed' };
  const allowed = new Set(deletedNames(approved.plan));
  const more = deletedNames(plan).filter((name) => !allowed.has(name));
  if (more.length > 0 || plan.target?.revision !== target.revision) {
    const message = `Carried on it would delete what was not approved: ${more.join(', ')}.`;
    return rollbackEnding('failed', 'PlanChanged', message);
  }
  const approval = { sentence: execution.approval, approvedBy: execution.approvedBy };
  const digest = approved.plan.digest;
  return executeRollback(context, story, {
    plan,
    base,
    digest,
    target,
    history: before,
    approval,
    deadline,
    deletions: approved.plan,
  });
}

function deletedNames({ objects }: RollbackPlan): string[] {
  return objects
    .filter(({ fate }) => fate === 'deleted')
    .map((object) => `${object.namespace} ${objectName(object)} ${object.uid}`);
}
