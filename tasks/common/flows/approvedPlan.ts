import { describeApproval, shownApprovers, type ApprovalDecision } from '../core/approval';
import { TaskError } from '../core/failure';
import type { Execution } from '../core/keptPlan';
import type { PlainStart } from '../core/rollbackContext';
import { planDifferences } from '../core/rollbackPlan/differences';
import { isSameDigest } from '../core/rollbackPlan/document';
import type { RollbackPlan } from '../core/rollbackPlan/types';
import { planLines } from '../core/rollbackReport';
import { proveApproval } from './approval';
import type { RollbackStory } from './rollbackStory';

/** A plan that was made before, as it was kept. */
export interface ApprovedPlan {
  plan: RollbackPlan;
  madeAt: Date;
  execution: Execution | undefined;
}

/** What is to be told of an approval. */
export interface ToldApproval {
  sentence: string;
  approvedBy: string;
}

/** The plan of the input planDigest; undefined where none is needed and none was given. Throws `PlanMissing`. */
export async function approvedPlan(
  { namespace, plans, request }: Pick<PlainStart, 'namespace' | 'plans' | 'request'>,
  story: RollbackStory,
): Promise<ApprovedPlan | undefined> {
  const { planDigest, requirePlan } = request;
  if (planDigest === undefined) {
    if (!requirePlan) return undefined;
    throw new TaskError('PlanMissing', 'No planDigest was given, and requirePlan asks for a plan.');
  }
  const found = await plans.find(planDigest);
  switch (found.found) {
    case 'plan': {
      story.plan = found.plan;
      return { plan: found.plan, madeAt: found.madeAt, execution: found.execution };
    }
    case 'nothing': {
      const message = `There is no plan sha256:${planDigest} in namespace ${namespace}: it was never made here, for another release, or is older than maxPlanAge and was removed.`;
      throw new TaskError('PlanMissing', message);
    }
    case 'unusable':
      throw new TaskError(
        'PlanMissing',
        `The plan sha256:${planDigest} in namespace ${namespace} cannot be used: ${found.problem}.`,
      );
  }
}

export function sayPlan({ agent }: Pick<PlainStart, 'agent'>, plan: RollbackPlan): void {
  for (const line of planLines(plan)) agent.log(line);
  agent.log(`Digest ${plan.digest}`);
}

/** Throws `PlanChanged` where it is not what was approved, with the differences in words. */
export function sameOrRefused(
  story: RollbackStory,
  approved: ApprovedPlan | undefined,
  plan: RollbackPlan,
  now: Date,
): void {
  if (approved === undefined || isSameDigest(approved.plan.digest, plan.digest)) return;
  const differences = planDifferences(approved.plan, plan, now);
  story.differences = differences;
  const told = differences.slice(0, differencesTold).join(' ');
  const rest = differences.length > differencesTold ? ` And ${differences.length - differencesTold} more.` : '';
  throw new TaskError('PlanChanged', `This is no longer the rollback that was planned. ${told}${rest}`);
}

const differencesTold = 3;

/** Throws `ApprovalMissing` unless it was approved as the inputs ask for. */
export async function askApproval(
  context: Pick<PlainStart, 'agent' | 'azure' | 'place' | 'request' | 'cluster'>,
  story: RollbackStory,
  approved: ApprovedPlan | undefined,
): Promise<ToldApproval> {
  const { agent, azure, place, request, cluster } = context;
  const decision = await proveApproval(azure, {
    policy: request.approval,
    place,
    // Without a plan nobody can have seen it: then any approval of this run counts.
    planMadeAt: approved?.madeAt ?? new Date(0),
    now: await cluster.serverTime(),
  });
  const sentence = describeApproval(decision);
  agent.log(sentence);
  for (const note of notesOf(decision)) agent.log(`  ${note}`);
  if (decision.decision === 'refused') {
    throw new TaskError('ApprovalMissing', `${sentence} (${decision.code})`);
  }
  if (decision.decision === 'unknown') agent.warning(sentence);
  story.approval = sentence;
  story.approvedBy = shownApprovers(decision);
  story.approvedAt = decision.decision === 'approved' ? decision.at.toISOString() : '';
  return { sentence, approvedBy: story.approvedBy };
}

function notesOf(decision: ApprovalDecision): readonly string[] {
  return decision.decision === 'approved' ? decision.notes : [];
}
