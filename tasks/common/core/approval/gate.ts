import type { ApprovalFinding, Approver } from './finding';
import { shownName, type OwnRecords, type Timeline } from './place';
import type { RunApproval, RunRecord } from './runRecords';
import { oneLine, shownTime } from './words';

/** The id of the task ManualValidation in every major version. Any task may have its name. */
const manualValidationId = '2003ad3a-104a-451a-9238-60474ab294e6';

/** Azure DevOps rounds times differently in different places. */
const roundingMs = 1_000;

/** Such a record is a gate only if the server runs it, see `isOfServerJob`. */
export function isGate({ type, task }: RunRecord): boolean {
  return type === 'Task' && task?.id.toLowerCase() === manualValidationId;
}

/** A task with this id that runs on an agent asks nobody. */
function isOfServerJob(record: RunRecord, timeline: Timeline): boolean {
  const job = timeline.jobOf(record);
  return job !== undefined && job.agentName === undefined && record.agentName === undefined;
}

interface GateQuestion {
  timeline: Timeline;
  own: OwnRecords;
  planMadeAt: number;
  /** The approvals API may list none for gates. */
  approvals: readonly RunApproval[];
}

type GateState = 'approved' | 'rejected' | 'skipped' | 'open' | 'expired';

interface Gate {
  record: RunRecord;
  state: GateState;
  approval: RunApproval | undefined;
  shown: string;
}

/**
 * Judges whether a ManualValidation before this step has succeeded after the plan was made. The timeline shows no
 * dependencies, so a gate counts if it, or its whole stage, was over before this job, or this stage, began.
 */
export function judgeGate(question: GateQuestion): ApprovalFinding {
  const { timeline, planMadeAt } = question;
  const isOfServer = (record: RunRecord): boolean => isGate(record) && isOfServerJob(record, timeline);
  const all = timeline.newest(isOfServer).map((record) => gateOf(record, question));
  const before = all.filter(({ record }) => isBefore(record, question));
  const forThisPlan = before.filter(({ record }) => (record.finishedAt ?? Infinity) > planMadeAt);
  const approved = forThisPlan.filter(({ state, record }) => state === 'approved' && record.finishedAt !== undefined);
  // A rejection in this stage counts also if it came after this job began.
  const rejections = all.filter((gate) => forThisPlan.includes(gate) || isOwnAndAfter(gate, question));
  const rejection = rejections.find((gate) => gate.state === 'rejected' && !isAskedAgain(gate, approved));
  if (rejection !== undefined) return { finding: 'refused', code: 'Rejected', reason: rejectionOf(rejection) };
  const last = latest(approved);
  if (last === undefined) return { finding: 'refused', ...whyNot(question, { all, before, forThisPlan }) };
  return {
    finding: 'approved',
    through: approved.map(({ shown }) => shown).join(' and '),
    at: last.record.finishedAt ?? planMadeAt,
    approvers: approved.flatMap(approversOf),
    notes: approved.flatMap((gate) => notesOf(gate, planMadeAt)),
  };
}

function gateOf(record: RunRecord, { timeline, approvals }: GateQuestion): Gate {
  const approval = approvals.find(({ id }) => id === record.id);
  const place = timeline.placeOf(record);
  const shown = `the gate "${oneLine(shownName(record), 80)}"${place === '' ? '' : ` (${oneLine(place, 160)})`}`;
  return { record, state: stateOf(record, approval), approval, shown };
}

function stateOf({ state, result }: RunRecord, approval: RunApproval | undefined): GateState {
  if (state.toLowerCase() !== 'completed') return 'open';
  switch (result?.toLowerCase()) {
    case 'succeeded':
      return approval === undefined ? 'approved' : stateByApproval(approval);
    case 'skipped':
      return 'skipped';
    // `continueOnError` turns a rejection into `succeededWithIssues`.
    default:
      return 'rejected';
  }
}

/** A gate with `onTimeout: resume` succeeds although nobody approved. The approvals API may show the timeout. */
function stateByApproval({ status }: RunApproval): GateState {
  if (status === 'rejected' || status === 'failed' || status === 'canceled') return 'rejected';
  return status === 'timedOut' || status === 'skipped' ? 'expired' : 'approved';
}

function isBefore(record: RunRecord, { timeline, own }: GateQuestion): boolean {
  if (own.stage === undefined) return isOverBy(record, [own.phase, own.job]);
  const stage = timeline.stageOf(record);
  if (stage === undefined) return false;
  if (stage.id === own.stage.id) return isOverBy(record, [own.phase, own.job]);
  return stage.state.toLowerCase() === 'completed' && isOverBy(stage, [own.stage]);
}

function isOwnAndAfter({ record }: Gate, { timeline, own, planMadeAt }: GateQuestion): boolean {
  const isOwn = own.stage === undefined || timeline.stageOf(record)?.id === own.stage.id;
  return isOwn && (record.finishedAt ?? Infinity) > planMadeAt;
}

/** Returns true if the record was over when the last of `later` began. Later checks judge a missing time. */
function isOverBy({ finishedAt }: RunRecord, later: readonly (RunRecord | undefined)[]): boolean {
  const starts = later.flatMap((record) => record?.startedAt ?? []);
  if (finishedAt === undefined || starts.length === 0) return true;
  return finishedAt <= Math.max(...starts) + roundingMs;
}

/** A gate that was opened after the rejected one ended is an appeal, and it decides. */
function isAskedAgain({ record }: Gate, approved: readonly Gate[]): boolean {
  const { finishedAt } = record;
  if (finishedAt === undefined) return false;
  return approved.some((gate) => gate.record.startedAt !== undefined && gate.record.startedAt >= finishedAt);
}

function rejectionOf({ shown, record }: Gate): string {
  const when = record.finishedAt === undefined ? '' : ` at ${shownTime(record.finishedAt)}`;
  const issues = record.issues.map((issue) => oneLine(issue, 200)).join(' ');
  const result = record.result ?? 'no result';
  const quoted = issues === '' ? '' : ` Azure DevOps reports: ${issues}`;
  return `The rollback was not approved: ${shown} ended ${result}${when} (rejected, cancelled or out of time).${quoted}`;
}

interface Gates {
  all: readonly Gate[];
  before: readonly Gate[];
  forThisPlan: readonly Gate[];
}

type Refusal = Omit<Extract<ApprovalFinding, { finding: 'refused' }>, 'finding'>;

const everyGate = 'a ManualValidation between the plan and this job';

function whyNot({ planMadeAt, timeline }: GateQuestion, { all, before, forThisPlan }: Gates): Refusal {
  const inState = (gates: readonly Gate[], state: GateState) => gates.find((gate) => gate.state === state);
  const expired = inState(forThisPlan, 'expired');
  if (expired !== undefined) {
    const reason = `Nobody has approved: ${expired.shown} timed out, and it is set to resume the run then.`;
    return { code: 'NobodyApproved', reason };
  }
  const timeless = inState(forThisPlan, 'approved');
  if (timeless !== undefined) {
    const reason = `Azure DevOps does not report when ${timeless.shown} was approved, so the approval may be older than the plan.`;
    return { code: 'NoApproval', reason };
  }
  const open = inState(before, 'open');
  if (open !== undefined) {
    const reason = `Nobody has decided yet: ${open.shown} is still open, and this job did not wait for it (dependsOn).`;
    return { code: 'Undecided', reason };
  }
  const skipped = inState(forThisPlan, 'skipped');
  if (skipped !== undefined) {
    const reason = `Nobody was asked: ${skipped.shown} was skipped.`;
    return { code: 'Skipped', reason };
  }
  const early = latest(before);
  if (early?.record.finishedAt !== undefined) {
    const decided = `${early.shown} was decided at ${shownTime(early.record.finishedAt)}`;
    const reason = `This plan was not approved: ${decided}, before the plan was made at ${shownTime(planMadeAt)}. It needs ${everyGate}.`;
    return { code: 'ApprovedBeforePlan', reason };
  }
  const beside = all.find((gate) => !before.includes(gate));
  if (beside !== undefined) {
    const reason = `This job waited for no approval: ${beside.shown} had not ended when this job began. It needs ${everyGate} on which this job depends.`;
    return { code: 'NoApproval', reason };
  }
  const onAgent = timeline.records.find(isGate);
  if (onAgent !== undefined) {
    const reason = `Nobody was asked: the ManualValidation of ${oneLine(timeline.placeOf(onAgent), 160) || 'this run'} is not in a server job (pool: server). It needs ${everyGate}.`;
    return { code: 'NoApproval', reason };
  }
  return { code: 'NoApproval', reason: `The run has no ManualValidation; approval: gate needs ${everyGate}.` };
}

function latest(gates: readonly Gate[]): Gate | undefined {
  return [...gates].sort((one, other) => (one.record.finishedAt ?? 0) - (other.record.finishedAt ?? 0)).at(-1);
}

function approversOf({ approval, record }: Gate): Approver[] {
  const at = record.finishedAt === undefined ? {} : { at: record.finishedAt };
  const steps = approval?.steps.filter(({ status }) => status === 'approved') ?? [];
  if (steps.length === 0) return [at];
  return steps.map(({ approver, decidedAt, comment }) => ({
    ...at,
    ...(decidedAt !== undefined && { at: decidedAt }),
    ...(approver && { identity: approver }),
    ...(comment !== undefined && { comment: oneLine(comment) }),
  }));
}

function notesOf({ approval, record, shown }: Gate, planMadeAt: number): string[] {
  const notes: string[] = [];
  if (approval === undefined) {
    notes.push(
      `Azure DevOps reports neither who approved ${shown} nor whether a person did: a gate with onTimeout: resume that timed out looks the same.`,
    );
  }
  if (record.startedAt !== undefined && record.startedAt <= planMadeAt) {
    notes.push(`${shown} was opened before the plan was made: its instructions cannot have shown the plan.`);
  }
  return notes;
}
