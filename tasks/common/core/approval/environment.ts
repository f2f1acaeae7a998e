import type { ApprovalFinding, Approver } from './finding';
import { shownName, type OwnRecords, type Timeline } from './place';
import type { ApprovalStep, RunApproval, RunRecord } from './runRecords';
import { oneLine, shownTime } from './words';

/** The id of such a record is also the id of the approval. */
export function isEnvironmentApproval({ type }: RunRecord): boolean {
  return type.toLowerCase() === 'checkpoint.approval';
}

interface EnvironmentQuestion {
  timeline: Timeline;
  own: OwnRecords;
  planMadeAt: number;
  /** Undefined if the approvals API could not be read. */
  approvals: readonly RunApproval[] | undefined;
  now: number;
}

type CheckState = 'approved' | 'rejected' | 'skipped' | 'open';

interface Check {
  record: RunRecord;
  state: CheckState;
  approval: RunApproval | undefined;
  decidedAt: number | undefined;
}

/**
 * Judges whether this stage's environment was approved after the plan was made. The timeline does not name the resource
 * of an approval. So no approval of the stage may be refused, and at least one must be newer than the plan.
 */
export function judgeEnvironment(question: EnvironmentQuestion): ApprovalFinding {
  const { timeline, own, planMadeAt } = question;
  const stage = own.stage === undefined ? 'the stage' : `stage "${oneLine(shownName(own.stage), 80)}"`;
  const checks = ownChecks(timeline, own).map((record) => checkOf(record, question));
  if (checks.length === 0) {
    const reason = `Nobody was asked: ${stage} has no approval. Add the check «Approvals» to the environment of this job.`;
    return { finding: 'refused', code: 'NoApproval', reason };
  }
  const refused = checks.find(({ state }) => state === 'rejected') ?? checks.find(({ state }) => state === 'open');
  if (refused !== undefined) return refusalOf(refused, stage);
  const approved = checks.filter(({ state }) => state === 'approved');
  if (approved.length === 0) {
    return {
      finding: 'refused',
      code: 'Skipped',
      reason: `Nobody has approved: the approval of ${stage} was bypassed.`,
    };
  }
  const forThisPlan = approved.filter(({ decidedAt = 0 }) => decidedAt > planMadeAt);
  const decided = forThisPlan.length > 0 ? forThisPlan : approved;
  const at = Math.max(...decided.map(({ decidedAt = 0 }) => decidedAt));
  if (forThisPlan.length === 0) return tooEarly(stage, at, planMadeAt);
  const approvers = forThisPlan.flatMap((check) => approversOf(check, planMadeAt));
  return { finding: 'approved', through: `the approval of ${stage}`, at, approvers, notes: notesOf(question, checks) };
}

function ownChecks(timeline: Timeline, { stage }: OwnRecords): RunRecord[] {
  const checks = timeline.records.filter((record) => isEnvironmentApproval(record));
  const own = checks.filter((record) => stage === undefined || timeline.stageOf(record)?.id === stage.id);
  // A rerun of a stage asks again, so only the newest attempt counts. All checks of one attempt have the same name.
  const newest = Math.max(...own.map(({ attempt }) => attempt));
  return own.filter(({ attempt }) => attempt === newest);
}

function checkOf(record: RunRecord, { approvals, now }: EnvironmentQuestion): Check {
  const approval = approvals?.find(({ id }) => id === record.id);
  const state = approval === undefined ? stateOf(record) : stateByApproval(approval, now);
  const times = approval?.steps.filter(isApproved).flatMap(({ decidedAt }) => decidedAt ?? []) ?? [];
  const decidedAt = times.length > 0 ? Math.max(...times) : (approval?.changedAt ?? record.finishedAt);
  return { record, state, approval, decidedAt };
}

function stateOf({ state, result }: RunRecord): CheckState {
  if (state.toLowerCase() !== 'completed') return 'open';
  const ended = result?.toLowerCase();
  if (ended === 'succeeded') return 'approved';
  return ended === 'skipped' ? 'skipped' : 'rejected';
}

function stateByApproval({ status, steps }: RunApproval, now: number): CheckState {
  switch (status) {
    case 'approved':
      return 'approved';
    case 'deferred':
      // This job runs, so the time to which the approval was deferred may have come.
      return steps.every(({ deferredTo = 0 }) => deferredTo <= now) ? 'approved' : 'open';
    case 'skipped':
      return 'skipped';
    case 'undefined':
    case 'uninitiated':
    case 'pending':
      return 'open';
    case 'rejected':
    case 'canceled':
    case 'timedOut':
    case 'failed':
      return 'rejected';
  }
}

function isApproved({ status }: ApprovalStep): boolean {
  return status === 'approved' || status === 'deferred';
}

function refusalOf({ state, record, approval, decidedAt }: Check, stage: string): ApprovalFinding {
  if (state === 'open') {
    const reason = `Nobody has decided yet: the approval of ${stage} is ${approval?.status ?? record.state}.`;
    return { finding: 'refused', code: 'Undecided', reason };
  }
  const when = decidedAt === undefined ? '' : ` at ${shownTime(decidedAt)}`;
  const comment = approval?.steps.find(({ status }) => status === 'rejected')?.comment;
  const quoted = comment === undefined ? '' : ` The comment was: «${oneLine(comment)}».`;
  const ended = approval?.status ?? record.result ?? 'not approved';
  const reason = `The rollback was not approved: the approval of ${stage} is ${ended}${when}.${quoted}`;
  return { finding: 'refused', code: 'Rejected', reason };
}

function tooEarly(stage: string, at: number, planMadeAt: number): ApprovalFinding {
  const given = at === 0 ? 'at an unknown time' : `at ${shownTime(at)}`;
  const reason =
    `This plan was not approved: ${stage} was approved ${given}, and the plan was made at ${shownTime(planMadeAt)}. ` +
    'Make the plan in a stage before the one whose environment is approved.';
  return { finding: 'refused', code: 'ApprovedBeforePlan', reason };
}

/** Persons who approved before the plan was made do not count. */
function approversOf({ approval, decidedAt }: Check, planMadeAt: number): Approver[] {
  const at = decidedAt === undefined ? {} : { at: decidedAt };
  const steps = approval?.steps.filter((step) => isApproved(step) && (step.decidedAt ?? Infinity) > planMadeAt) ?? [];
  if (steps.length === 0) return [at];
  return steps.map((step) => ({
    ...at,
    ...(step.decidedAt !== undefined && { at: step.decidedAt }),
    ...(step.approver && { identity: step.approver }),
    ...(step.comment !== undefined && { comment: oneLine(step.comment) }),
  }));
}

function notesOf({ approvals }: EnvironmentQuestion, checks: readonly Check[]): string[] {
  const unnamed = checks.filter(({ state, approval }) => state === 'approved' && approval === undefined).length;
  const bypassed = checks.some(({ state }) => state === 'skipped');
  return [
    ...(unnamed > 0 && approvals !== undefined ? ['The approvals API does not know who approved.'] : []),
    ...(bypassed ? ['Another approval of this stage was bypassed.'] : []),
  ];
}
