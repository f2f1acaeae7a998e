import { endingOfRollout, reportedObjects, sentence } from '../core/ending';
import { TaskError } from '../core/failure';
import type { Execution } from '../core/keptPlan';
import type { ObjectRef } from '../core/kubernetes';
import { objectKey, objectName } from '../core/manifest';
import type { Lease } from '../core/releaseContext';
import type { PlainStart } from '../core/rollbackContext';
import { canonicalJson } from '../core/rollbackPlan/comparable';
import { mayHaveTrappedPods, refOfPlanned } from '../core/rollbackPlan/execution';
import type { PlainWorkload, RollbackPlan } from '../core/rollbackPlan/types';
import { undoOf } from '../core/rollbackPlan/workloadHistory';
import type { RollbackEnding } from '../core/rollbackReport';
import { at } from '../core/rollout/read';
import { baselineForWayBack, baselineOf, causesOf, judge } from '../core/rollout/verdict';
import {
  askApproval,
  approvedPlan,
  sameOrRefused,
  sayPlan,
  type ApprovedPlan,
  type ToldApproval,
} from './approvedPlan';
import { collectEvidence, sayEvidence } from './evidence';
import { withLease } from './lease';
import { group, later } from './phase';
import { keepPlan, refusedPlan, type ToldRollback } from './plan';
import { planPlain, readWorkloads } from './planPlain';
import { refuseOld } from './rollbackAge';
import { noteOnWorkloads } from './rollbackEvents';
import {
  asRollbackEnding,
  endingOfThrown,
  newRollbackStory,
  rollbackEnding,
  rollbackReport,
  wellRolledBack,
  type RollbackStory,
} from './rollbackStory';
import { followRollout, readRollout, rolloutPolicy } from './rollout';
import { deletingTrappedPods } from './trappedPods';
import type { WantedObject } from './wantedObjects';

/** Carries out a plan for plain workloads as it was approved, and proves the result. Throws nothing. */
export async function rollBackWorkloads(start: PlainStart): Promise<ToldRollback> {
  const story = newRollbackStory(start.clock.now());
  const ending = await withLease(start, async (lease) => {
    const context: PlainContext = { ...start, lease, signal: AbortSignal.any([start.signal, lease.lost]) };
    return carryOut(context, story).catch((thrown: unknown) => endingOfThrown(thrown, story, start.signal));
  }).catch((thrown: unknown) => endingOfThrown(thrown, story, start.signal));
  return { report: rollbackReport(start, story, ending), plan: story.plan };
}

type PlainContext = PlainStart & { lease: Lease };

async function carryOut(context: PlainContext, story: RollbackStory): Promise<RollbackEnding> {
  const { clock, request } = context;
  const deadline = later(clock.now(), request.rollbackTimeoutSeconds);
  const names = request.subject.kind === 'workloads' ? request.subject.workloads : [];
  const approved = await approvedPlan(context, story);
  const present = await readWorkloads(context, names);
  const executed = approved?.execution;
  if (approved !== undefined && executed !== undefined && isMade(context, present, executed)) {
    return goOn(context, story, { approved, executed, present, deadline });
  }
  await refuseOld(context, approved);
  const { plan, workloads } = await group(context, 'Plan again', () => planPlain(context, names));
  story.plan = plan;
  sayPlan(context, plan);
  sameOrRefused(story, approved, plan, clock.now());
  if (plan.risk === 'refused') return refusedPlan(plan);
  if (approved === undefined) await keepPlan(context, plan);
  const approval = await group(context, 'Approval', () => askApproval(context, story, approved));
  story.healthBefore = await healthNow(context, workloads);
  return undo(context, story, { plan, workloads, approval, deadline });
}

/** The templates that an execution has made, of those workloads that it has come to. */
function isMade({ sha256 }: PlainContext, present: readonly PlainWorkload[], { templates }: Execution): boolean {
  return (
    present.length > 0 &&
    present.every(({ ref, live }) => {
      const made = templates[objectName(ref)];
      return made !== undefined && sha256(canonicalJson(at(live, 'spec', 'template'))) === made;
    })
  );
}

interface MadePlain {
  approved: ApprovedPlan;
  executed: Execution;
  present: readonly PlainWorkload[];
  deadline: Date;
}

/** What an earlier run has made: there already where it serves, else followed to its end. */
async function goOn(context: PlainContext, story: RollbackStory, made: MadePlain): Promise<RollbackEnding> {
  const { approved, executed, present, deadline } = made;
  story.approval = executed.approval;
  story.approvedBy = executed.approvedBy;
  if ((await healthNow(context, present)) === 'healthy') {
    story.health = 'healthy';
    const message = 'The workloads are as this plan has made them, and healthy: nothing was done.';
    return { ...wellRolledBack, outcome: 'alreadyThere', message };
  }
  const approval = { sentence: executed.approval, approvedBy: executed.approvedBy };
  return finish(context, story, { plan: approved.plan, workloads: present, approval, deadline }, executed);
}

interface Undoing {
  plan: RollbackPlan;
  workloads: readonly PlainWorkload[];
  approval: ToldApproval;
  deadline: Date;
}

async function undo(context: PlainContext, story: RollbackStory, undoing: Undoing): Promise<RollbackEnding> {
  const { agent, cluster, lease, plans, request, sha256 } = context;
  const { plan, workloads, approval } = undoing;
  const templates: Record<string, string> = {};
  const choices = workloads.map((workload) => ({ workload, choice: undoOf(workload, request.rollback.toRevision) }));
  for (const { workload, choice } of choices) {
    if ('refusal' in choice) throw new TaskError('PlanChanged', choice.refusal.message);
    const result = workload.rehearsed !== undefined && 'result' in workload.rehearsed ? workload.rehearsed.result : {};
    templates[objectName(workload.ref)] = sha256(canonicalJson(at(result, 'spec', 'template')));
  }
  const execution = { approval: approval.sentence, approvedBy: approval.approvedBy, revision: 0, templates } as const;
  await plans.note(plan.digest, { ...execution, state: 'begun' });
  await group(context, 'Roll back', async () => {
    for (const { workload, choice } of choices) {
      if ('refusal' in choice) continue;
      await lease.confirm();
      story.hasBegun = true;
      await cluster.patch(workload.ref, choice.patch);
      agent.log(`${objectName(workload.ref)} has the pod template of its revision ${choice.past.revision} again.`);
    }
  });
  return finish(context, story, undoing, { ...execution, state: 'begun' });
}

function wanted(workloads: readonly PlainWorkload[]): WantedObject[] {
  return workloads.flatMap(({ ref, live }) =>
    live === undefined ? [] : [{ key: objectKey(ref), ref, declared: live, purpose: 'object' as const }],
  );
}

async function healthNow(context: PlainContext, workloads: readonly PlainWorkload[]): Promise<RollbackStory['health']> {
  const snapshot = await readRollout(context, wanted(workloads));
  const now = context.clock.now();
  const policy = { ...rolloutPolicy(context, new Date(now.getTime() + 1), true), stableForSeconds: 0, failFast: false };
  const { health } = judge(snapshot, policy, undefined, now);
  if (health === 'healthy') return 'healthy';
  return health === 'unknown' ? 'unknown' : 'unhealthy';
}

async function finish(
  context: PlainContext,
  story: RollbackStory,
  { plan, workloads, approval, deadline }: Undoing,
  execution: Execution,
): Promise<RollbackEnding> {
  const { clock, plans, request } = context;
  const objects = wanted(workloads);
  const policy = rolloutPolicy(context, deadline, true);
  const before = await readRollout(context, objects);
  const memory = baselineForWayBack(undefined, baselineOf(before, clock.now(), request.rollout.statusRules));
  const sets: ObjectRef[] = request.rollback.policy.allowPodDelete ? mayHaveTrappedPods(plan) : [];
  const followed = await group(context, 'Follow the workloads', () =>
    deletingTrappedPods(context, sets, () =>
      followRollout(context, objects, { policy, memory, said: new Map(), phase: 'rollback' }),
    ),
  );
  story.objects = reportedObjects(followed.verdict);
  if (followed.end === 'cancelled') {
    return rollbackEnding('cancelled', 'Cancelled', 'The workloads were rolled back, but not seen to the end.');
  }
  if (followed.end !== 'healthy') {
    story.health = followed.end === 'unknown' ? 'unknown' : 'unhealthy';
    const why = endingOfRollout(followed.verdict);
    const evidence = await collectEvidence(context, causesOf(followed.verdict), followed.heard);
    sayEvidence(context, evidence);
    story.evidence.push(...evidence);
    const names = plan.objects.map((object) => objectName(refOfPlanned(object))).join(', ');
    const message = `${sentence(why.message)} ${names} have their earlier pod templates; they were ${story.healthBefore || 'not looked at'} before. To look: kubectl rollout history.`;
    return asRollbackEnding({ ...why, message }, 'failed');
  }
  story.health = 'healthy';
  await noteOnWorkloads(context, plan, `Rolled back by plan ${plan.digest}. ${approval.sentence}`);
  await plans.note(plan.digest, { ...execution, state: 'done' });
  return {
    ...wellRolledBack,
    message: `${plan.objects.length} workloads have their earlier pod templates and are healthy.`,
  };
}
