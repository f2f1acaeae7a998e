import {
  approvalIds,
  decideApproval,
  type ApprovalDecision,
  type ApprovalQuestion,
  type AzureRun,
  type RunEvidence,
} from '../../../core/approval/judgeApproval';

/** Looks up in the run if the plan was approved, and decides. Sends no request where no answer is needed. */
export async function proveApproval(run: AzureRun, question: ApprovalQuestion): Promise<ApprovalDecision> {
  if (question.policy.approval === 'none') return decideApproval(question, nothingAsked);
  const timeline = await run.timeline();
  if (!timeline.isKnown) return decideApproval(question, { ...nothingAsked, timeline });
  const ids = approvalIds(question, timeline.value);
  const [build, approvals] = await Promise.all([
    question.policy.fourEyes ? run.build() : nothingAsked.build,
    ids.length === 0 ? nothingAsked.approvals : run.approvals(ids),
  ]);
  return decideApproval(question, { timeline, build, approvals });
}

const nothingAsked: RunEvidence = {
  timeline: { isKnown: true, value: [] },
  build: { isKnown: true, value: {} },
  approvals: { isKnown: true, value: [] },
};
