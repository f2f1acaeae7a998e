import { counted } from '../../../core/text/counted';
import type { ProvenApproval } from '../../../core/approval/proven';
import { reportedObjects, sentence } from '../../../core/report/ending';
import { asTaskError, TaskError } from '../../../core/failure';
import type { WorkloadName } from '../../../core/inputs/healthRequest';
import type { ObjectRef } from '../../../core/kubernetes/object';
import { objectKey, objectName } from '../../../core/kubernetes/manifest';
import { stopIfCancelled, type Lease, type LeftEnded, type PlainStart } from '../../../core/releaseContext';
import { canonicalJson } from '../../../core/rollbackPlan/model/comparable';
import { objectDifference, type WriterOf } from '../../../core/rollbackPlan/execution/differences';
import { isSameObject } from '../../../core/rollbackPlan/model/digest';
import { mayHaveTrappedPods, refOfPlanned } from '../../../core/rollbackPlan/execution/execution';
import type { PlainWorkload, PlannedObject, ChangePlan, RollbackRequest } from '../../../core/rollbackPlan/model/types';
import { undoOf, type UndoChoice } from '../../../core/rollbackPlan/objects/workloadHistory';
import type { RollbackEnding } from '../../../core/rollbackPlan/document/rollbackReport';
import { at } from '../../../core/kubernetes/read';
import { baselineForRollback } from '../../../core/rollout/verdict';
import { planDigestVariable } from '../../../core/inputs/taskVariables';
import { askApproval, approvedPlan, sameOrRefused, logPlan, writersOf, type ApprovedPlan } from './approvedPlan';
import { markTemplates } from '../../release/markTemplates';
import { announceWork, endWork } from '../../release/change';
import { withLease } from '../../lock/lease';
import { group, later } from '../../steps/phase';
import { keepPlan, refusedPlan, type ReportedRollback } from '../plan/makePlan';
import { planPlain, readWorkloads } from '../plan/planWorkloads';
import { refuseOld } from './planAge';
import { noteOnWorkloads } from '../../rollout/workloadEvents';
import { changedWorkloads } from './changedWorkloads';
import {
  asRollbackEnding,
  endingOfThrown,
  lostEnding,
  newRollbackProgress,
  noteDone,
  rollbackEnding,
  rollbackReport,
  unhealthyEnding,
  wellRolledBack,
  type RollbackProgress,
} from '../plan/rollbackProgress';
import type { DesiredObject } from '../../release/desiredObjects';
import { healthNow, judgeNow } from '../../rollout/moment';
import { followRolledBack } from '../engine/finishRollback';

/**
 * Carries out a plan for plain workloads as it was approved, and proves the result. Resumes what a run that is gone had
 * begun. Throws nothing.
 */
export function rollBackWorkloads(start: PlainStart): Promise<ReportedRollback> {
  return rollBack(start, carryOut);
}

/**
 * For the post-job phase of a step that was ended in the middle: resumes what the step had begun, and does nothing
 * else.
 */
export function resumeWorkloads(start: PlainStart & LeftEnded): Promise<ReportedRollback> {
  return rollBack(start, async (context, progress) => {
    const approved = await approvedPlan(context, progress);
    const resumed = approved === undefined ? undefined : await resume(context, progress, approved);
    return resumed ?? rollbackEnding('cancelled', 'Cancelled', 'Nothing of the rollback was begun.');
  });
}

type PlainContext = PlainStart & { lease: Lease; deadline: Date };

type Act = (context: PlainContext, progress: RollbackProgress) => Promise<RollbackEnding>;

async function rollBack(start: PlainStart, act: Act): Promise<ReportedRollback> {
  const progress = newRollbackProgress(start.clock.now());
  const ending = await withLease(start, async (lease) => {
    const deadline = later(start.clock.now(), start.request.rollbackTimeoutSeconds);
    const context: PlainContext = { ...start, lease, deadline, signal: AbortSignal.any([start.signal, lease.lost]) };
    const ended = await act(context, progress).catch((thrown: unknown) =>
      endingOfThrown(thrown, progress, start.signal),
    );
    return lease.lost.aborted && !start.signal.aborted ? lostEnding(ended) : ended;
  }).catch((thrown: unknown) => endingOfThrown(thrown, progress, start.signal));
  // The post-job phase resumes a rollback that was cancelled in the middle.
  const isOver = ending.outcome !== 'cancelled' && ending.reason !== 'LeaseLost';
  if (isOver || !progress.hasBegun) endWork(start.agent);
  return { report: rollbackReport(start, progress, ending), plan: progress.plan };
}

async function carryOut(context: PlainContext, progress: RollbackProgress): Promise<RollbackEnding> {
  const { request } = context;
  const names = namesOf(context);
  const approved = await approvedPlan(context, progress);
  const resumed = approved === undefined ? undefined : await resume(context, progress, approved);
  if (resumed !== undefined) return resumed;
  await refuseOld(context, approved);
  const { plan: planned, workloads } = await group(context, 'Plan again', () => planPlain(context, names));
  progress.plan = planned;
  logPlan(context, planned);
  const plan = await sameOrRefused(context, progress, approved, planned);
  if (plan.risk === 'refused') return refusedPlan(plan);
  if (approved === undefined) await keepPlan(context, plan, '');
  const approval = await group(context, 'Approval', () => askApproval(context, progress, approved, plan.digest));
  progress.healthBefore = await healthNow(context, wanted(workloads));
  const choices = choicesOf(workloads, request.rollback);
  return undo(context, progress, { plan, workloads, approval }, choices);
}

function namesOf({ request: { subject } }: PlainContext): readonly WorkloadName[] {
  return subject.kind === 'workloads' ? subject.workloads : [];
}

/**
 * Resumes what an earlier run, or the main phase of this step, had begun of this very plan. The live workloads show how
 * far it came: a workload with the pod template of the plan is done. Returns undefined where nothing was begun.
 */
async function resume(
  context: PlainContext,
  progress: RollbackProgress,
  approved: ApprovedPlan,
): Promise<RollbackEnding | undefined> {
  const { plan, execution } = approved;
  const names = namesOf(context);
  const present = await readWorkloads(context, names);
  const made = present.filter((workload) => isMade(context, workload, plan));
  const open = names.filter((_, index) => {
    const workload = present[index];
    return workload !== undefined && !made.includes(workload);
  });
  const isWhole = present.length > 0 && open.length === 0;
  if (isWhole && (await healthNow(context, wanted(present), true)) === 'healthy') {
    progress.health = 'healthy';
    const message = 'The workloads are as this plan makes them, and healthy: nothing was done.';
    return { ...wellRolledBack, outcome: 'alreadyThere', message };
  }
  if (execution === undefined || made.length === 0) return undefined;
  progress.doneBefore = doneBefore(made, present);
  const approval = await group(context, 'Approval', () => askApproval(context, progress, approved, plan.digest));
  context.agent.log(`An earlier run of this rollback has rolled back ${nameList(made)}. It is resumed.`);
  if (isWhole) return finish(context, progress, { plan, workloads: present, approval });
  const rest = await group(context, 'Plan the rest again', () => planPlain(context, open));
  refuseChangedRest(plan, rest.plan, await writersOf(context, plan, rest.plan));
  const choices = choicesOf(rest.workloads, context.request.rollback);
  return undo(context, progress, { plan, workloads: present, approval }, choices);
}

/** Throws `PlanChanged` if a workload that is not yet rolled back differs from the approved plan. */
function refuseChangedRest(approved: ChangePlan, rest: ChangePlan, writerOf: WriterOf): void {
  const changed = rest.objects.filter((object) => !approved.objects.some((other) => isSameObject(object, other)));
  const refusals = rest.findings.filter(({ severity }) => severity === 'refusal');
  if (changed.length === 0 && refusals.length === 0) return;
  const what = [
    ...changed.map((object) => changedSentence(approved, object, writerOf)),
    ...refusals.map(({ message }) => sentence(message)),
  ];
  throw new TaskError('PlanChanged', what.join(' '));
}

function changedSentence({ objects }: ChangePlan, object: PlannedObject, writerOf: WriterOf): string {
  const before = objects.find((other) => objectName(other) === objectName(object));
  const [difference] = before === undefined ? [] : objectDifference(before, object, writerOf);
  return difference ?? `${objectName(object)} was changed since the plan was made.`;
}

function doneBefore(made: readonly PlainWorkload[], all: readonly PlainWorkload[]): string {
  const open = all.filter((workload) => !made.includes(workload));
  const rest = open.length === 0 ? '' : ` Not rolled back yet: ${nameList(open)}.`;
  return `An earlier run of this rollback has rolled back ${nameList(made)}.${rest}`;
}

function nameList(workloads: readonly Pick<PlainWorkload, 'ref'>[]): string {
  return workloads.map(({ ref }) => objectName(ref)).join(', ');
}

function isMade({ sha256 }: PlainContext, { ref, live }: PlainWorkload, { objects }: ChangePlan): boolean {
  const planned = objects.find((object) => objectName(object) === objectName(ref));
  if (live === undefined || planned === undefined || planned.podTemplateDigest === '') return false;
  return sha256(canonicalJson(at(live, 'spec', 'template'))) === planned.podTemplateDigest;
}

interface Undoing {
  plan: ChangePlan;
  /** All workloads of the plan. */
  workloads: readonly PlainWorkload[];
  approval: ProvenApproval;
}

type Choice = Exclude<UndoChoice, { refusal: unknown }> & { ref: ObjectRef };

/** The patch for each workload. Throws `PlanChanged` where it can no longer be determined. */
function choicesOf(workloads: readonly PlainWorkload[], rollback: RollbackRequest): Choice[] {
  return workloads.map((workload) => {
    const choice = undoOf(workload, rollback);
    if ('refusal' in choice) throw new TaskError('PlanChanged', choice.refusal.message);
    return { ...choice, ref: workload.ref };
  });
}

async function undo(
  context: PlainContext,
  progress: RollbackProgress,
  undoing: Undoing,
  choices: readonly Choice[],
): Promise<RollbackEnding> {
  const { agent, holder, namespace, plans, request } = context;
  const { digest } = undoing.plan;
  agent.setTaskVariable(planDigestVariable, digest);
  await plans.note(digest, { state: 'begun', revision: 0 });
  stopIfCancelled(context.signal);
  announceWork(agent, {
    release: request.releaseName,
    namespace,
    revision: 0,
    action: 'rollback',
    process: holder.process,
  });
  await group(context, 'Roll back', () => patchEach(context, progress, undoing, choices));
  return finish(context, progress, undoing);
}

/** Throws the error that stopped the rollback, with the workloads that are rolled back and those that are not. */
async function patchEach(
  { agent, cluster, lease, signal }: PlainContext,
  progress: RollbackProgress,
  { workloads }: Undoing,
  choices: readonly Choice[],
): Promise<void> {
  const open = new Set(choices.map(({ ref }) => objectName(ref)));
  try {
    for (const { ref, patch, past } of choices) {
      stopIfCancelled(signal);
      await lease.confirm();
      progress.hasBegun = true;
      await cluster.patch(ref, patch);
      open.delete(objectName(ref));
      agent.log(`${objectName(ref)} has the pod template of its revision ${past.revision} again.`);
    }
  } catch (thrown) {
    const { reason, message, facts } = asTaskError(thrown);
    const back = workloads.map(({ ref }) => objectName(ref)).filter((name) => !open.has(name));
    const state = `Rolled back by then: ${back.join(', ') || 'none'}. Not rolled back: ${[...open].join(', ')}. The same step run again resumes the rollback.`;
    throw new TaskError(reason, `${sentence(message)} ${state}`, { cause: thrown, facts });
  }
}

function wanted(workloads: readonly PlainWorkload[]): DesiredObject[] {
  return workloads.flatMap(({ ref, live }) =>
    live === undefined ? [] : [{ key: objectKey(ref), ref, declared: live, purpose: 'object' as const }],
  );
}

async function finish(
  context: PlainContext,
  progress: RollbackProgress,
  { plan, workloads, approval }: Undoing,
): Promise<RollbackEnding> {
  const { deadline, request } = context;
  const objects = wanted(workloads);
  const memory = baselineForRollback(undefined, (await judgeNow(context, objects)).baseline);
  const trapped = request.rollback.policy.allowPodDelete ? mayHaveTrappedPods(plan) : [];
  const followed = await followRolledBack(context, {
    title: 'Follow the workloads',
    objects,
    memory,
    deadline,
    everyPod: true,
    trapped,
  });
  progress.objects = reportedObjects(followed.verdict);
  if (followed.end === 'cancelled') {
    return rollbackEnding('cancelled', 'Cancelled', 'The workloads were rolled back, but not followed to the end.');
  }
  if (followed.end !== 'healthy') {
    const why = await unhealthyEnding(context, progress, followed);
    const names = plan.objects.map((object) => objectName(refOfPlanned(object))).join(', ');
    const message = `${sentence(why.message)} ${names} have their earlier pod templates; they were ${progress.healthBefore || 'not judged'} before. To look: kubectl rollout history.`;
    return asRollbackEnding({ ...why, message }, 'failed');
  }
  progress.health = 'healthy';
  await markTemplates(context, followed.verdict.workloads);
  await noteOnWorkloads(context, changedWorkloads(plan), {
    type: 'Normal',
    reason: 'RolledBack',
    message: `Rolled back by plan ${plan.digest}. ${approval.sentence}`,
  });
  await noteDone(context, plan.digest, 0);
  return {
    ...wellRolledBack,
    message: `${counted(plan.objects.length, 'workload has its earlier pod template and is', 'workloads have their earlier pod templates and are')} healthy.`,
  };
}
