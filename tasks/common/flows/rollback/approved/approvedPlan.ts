import { describeApproval, shownApprovers, type ApprovalDecision } from '../../../core/approval/judgeApproval';
import { provenApprovalText, type ProvenApproval } from '../../../core/approval/proven';
import { TaskError } from '../../../core/failure';
import type { Execution } from '../../../core/rollbackPlan/document/keptPlan';
import type { KubeObject } from '../../../core/kubernetes/object';
import { isSecret } from '../../../core/kubernetes/manifest';
import { planDifferences, type WriterOf } from '../../../core/rollbackPlan/execution/differences';
import { isSameContent, isSameObject } from '../../../core/rollbackPlan/model/digest';
import { refOfPlanned } from '../../../core/rollbackPlan/execution/execution';
import { writerWords } from '../../../core/rollbackPlan/execution/writers';
import { isSameDigest } from '../../../core/rollbackPlan/document/document';
import type { PlannedObject, ChangePlan } from '../../../core/rollbackPlan/model/types';
import { planLines } from '../../../core/rollbackPlan/document/rollbackReport';
import { approvalVariable } from '../../../core/inputs/taskVariables';
import { proveApproval } from './proveApproval';
import type { RollbackProgress } from '../plan/rollbackProgress';
import type { PlainStart } from '../../../core/releaseContext';

/** A plan that was made earlier, as it was kept. */
export interface ApprovedPlan {
  plan: ChangePlan;
  /** The salt of the plan's `Seal`; empty where it has none. */
  salt: string;
  madeAt: Date;
  execution: Execution | undefined;
}

interface GivenDigest {
  planDigest?: string;
  requirePlan?: boolean;
}

/**
 * Returns the plan of the input planDigest; undefined where no plan is required and none was given. Throws
 * `PlanMissing`.
 */
export async function approvedPlan(
  { namespace, plans, request }: Pick<PlainStart, 'namespace' | 'plans'> & { request: GivenDigest },
  progress: Pick<RollbackProgress, 'plan'>,
): Promise<ApprovedPlan | undefined> {
  const { planDigest, requirePlan = false } = request;
  if (planDigest === undefined) {
    if (!requirePlan) return undefined;
    throw new TaskError('PlanMissing', 'No planDigest was given, and requirePlan asks for a plan.');
  }
  const found = await plans.find(planDigest);
  switch (found.found) {
    case 'plan': {
      progress.plan = found.plan;
      const { plan, salt, madeAt, execution } = found;
      return { plan, salt, madeAt, execution };
    }
    case 'nothing': {
      const message = `There is no plan sha256:${planDigest} in namespace ${namespace}: it was never made here, for another release, or was older than its maxPlanAge and is removed.`;
      throw new TaskError('PlanMissing', message);
    }
    case 'unusable':
      throw new TaskError(
        'PlanMissing',
        `The plan sha256:${planDigest} in namespace ${namespace} cannot be used: ${found.problem}.`,
      );
  }
}

export function logPlan({ agent }: Pick<PlainStart, 'agent'>, plan: ChangePlan): void {
  for (const line of planLines(plan)) agent.log(line);
  agent.log(`Digest ${plan.digest}`);
}

/**
 * Returns the present plan under the digest of the approved one if both have the same content. Otherwise throws
 * `PlanChanged` with the differences in words.
 */
export async function sameOrRefused(
  { cluster, clock }: Pick<PlainStart, 'cluster' | 'clock'>,
  progress: Pick<RollbackProgress, 'plan'> & { differences: readonly string[] },
  approved: ApprovedPlan | undefined,
  plan: ChangePlan,
): Promise<ChangePlan> {
  if (approved === undefined) return plan;
  if (isSameContent(approved.plan, plan)) {
    const { digest, createdAt } = approved.plan;
    progress.plan = { ...plan, digest, createdAt };
    return progress.plan;
  }
  const writerOf = await writersOf({ cluster }, approved.plan, plan);
  const differences = planDifferences(approved.plan, plan, clock.now(), writerOf);
  progress.differences = differences;
  const named = differences.slice(0, differencesNamed).join(' ');
  const rest = differences.length > differencesNamed ? ` And ${differences.length - differencesNamed} more.` : '';
  throw new TaskError('PlanChanged', `This is no longer the ${plan.change} that was planned. ${named}${rest}`);
}

const differencesNamed = 3;

/** For at most this many changed objects, the cluster is asked who has changed them. */
const askedAtMost = 10;

/** Finds out who has set the fields of the objects that have changed. Of Secrets only the metadata is read. */
export async function writersOf(
  { cluster }: Pick<PlainStart, 'cluster'>,
  approved: ChangePlan,
  present: ChangePlan,
): Promise<WriterOf> {
  const changed = present.objects.filter(
    (object) => object.isLive && !approved.objects.some((other) => isSameObject(object, other)),
  );
  const live = new Map<PlannedObject, KubeObject>();
  await Promise.all(
    changed.slice(0, askedAtMost).map(async (object) => {
      const ref = refOfPlanned(object);
      const found = await cluster.get(ref, { metadataOnly: isSecret(ref) }).catch(() => undefined);
      if (found !== undefined) live.set(object, found);
    }),
  );
  return (object, path) => {
    const found = live.get(object);
    return found === undefined ? '' : writerWords(found, path);
  };
}

/**
 * Proves that the plan of `digest` was approved as the inputs demand, by what Azure DevOps reports about this run now.
 * Only the post-job phase accepts the proof of the step's main phase, because the agent keeps that proof, not the
 * cluster. Throws `ApprovalMissing`.
 */
export async function askApproval(
  context: Pick<PlainStart, 'agent' | 'azure' | 'place' | 'request' | 'cluster' | 'proven'>,
  progress: RollbackProgress,
  approved: ApprovedPlan | undefined,
  digest: string,
): Promise<ProvenApproval> {
  const { agent, azure, place, request, cluster, proven: before } = context;
  if (before !== undefined && isSameDigest(before.digest, digest)) {
    agent.log(`The main phase of this step has proven the approval. ${before.sentence}`);
    return takeApproval(context, progress, before);
  }
  const decision = await proveApproval(azure, {
    policy: request.approval,
    place,
    // Without a plan there is nothing that an approver must have seen, so any approval of this run counts.
    planMadeAt: later(approved?.madeAt ?? new Date(0), request.approvedSince),
    now: await cluster.serverTime(),
  });
  const sentence = describeApproval(decision);
  agent.log(sentence);
  for (const note of notesOf(decision)) agent.log(`  ${note}`);
  if (decision.decision === 'refused') {
    throw new TaskError('ApprovalMissing', `${sentence} (${decision.code})`);
  }
  if (decision.decision === 'unknown') agent.warning(sentence);
  const approvedAt = decision.decision === 'approved' ? decision.at.toISOString() : '';
  return takeApproval(context, progress, { digest, sentence, approvedBy: shownApprovers(decision), approvedAt });
}

function later(one: Date, other: Date | undefined): Date {
  return other === undefined || one > other ? one : other;
}

function takeApproval(
  { agent }: Pick<PlainStart, 'agent'>,
  progress: RollbackProgress,
  proven: ProvenApproval,
): ProvenApproval {
  progress.approval = proven.sentence;
  progress.approvedBy = proven.approvedBy;
  progress.approvedAt = proven.approvedAt;
  agent.setTaskVariable(approvalVariable, provenApprovalText(proven));
  return proven;
}

function notesOf(decision: ApprovalDecision): readonly string[] {
  return decision.decision === 'approved' ? decision.notes : [];
}
