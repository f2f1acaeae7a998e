import { isEnvironmentApproval, judgeEnvironment } from './environment';
import type { ApprovalFinding, ApprovalRefusal, Approver } from './finding';
import { isGate, judgeGate } from './gate';
import { compareIdentities, isServiceAccount, shownIdentity, type Identity } from './identity';
import { findOwnRecords, timelineOf, type OwnPlace, type Timeline } from './place';
import type { RunApproval, RunAttachment, RunBuild, RunRecord } from './runRecords';
import { shownTime } from './words';

export type { ApprovalRefusal, Approver } from './finding';

export interface ApprovalPolicy {
  approval: 'gate' | 'environment' | 'none';
  requireGateProof: boolean;
  fourEyes: boolean;
}

/** `problem` is a sentence. */
export type Answered<Value> = { isKnown: true; value: Value } | { isKnown: false; problem: string };

/** Reads this run in Azure DevOps. Throws only `Cancelled`. */
export interface AzureRun {
  timeline(): Promise<Answered<readonly RunRecord[]>>;
  build(): Promise<Answered<RunBuild>>;
  /** Returns only the approvals whose ids the API knows. */
  approvals(ids: readonly string[]): Promise<Answered<readonly RunApproval[]>>;
}

/** Reads what the steps of this run have attached. Throws only `Cancelled`. */
export interface RunAttachments {
  /** Returns the attachments of this type. None are an empty list. */
  attachments(type: string): Promise<Answered<readonly RunAttachment[]>>;
  /** Returns the content, which has to be JSON. */
  attachment(type: string, attachment: RunAttachment): Promise<Answered<unknown>>;
}

export interface RunEvidence {
  timeline: Answered<readonly RunRecord[]>;
  build: Answered<RunBuild>;
  approvals: Answered<readonly RunApproval[]>;
}

export interface ApprovalQuestion {
  policy: ApprovalPolicy;
  place: OwnPlace;
  planMadeAt: Date;
  now: Date;
}

export type ApprovalDecision =
  | { decision: 'notAsked' }
  | {
      decision: 'approved';
      through: string;
      at: Date;
      /** Never empty. An approver without an identity is unknown. */
      approvers: readonly Approver[];
      notes: readonly string[];
    }
  | { decision: 'refused'; code: ApprovalRefusal; reason: string }
  /** The approval has no proof, and the pipeline demands none (`requireGateProof: false`). */
  | { decision: 'unknown'; reason: string };

export function approvalIds({ policy, place }: ApprovalQuestion, records: readonly RunRecord[]): string[] {
  const timeline = timelineOf(records);
  switch (policy.approval) {
    case 'none':
      return [];
    case 'gate':
      // It is not documented that a ManualValidation is an approval, but the API may list it and name the person.
      return timeline.newest((record) => isGate(record) && record.result === 'succeeded').map(({ id }) => id);
    case 'environment': {
      const own = findOwnRecords(timeline, place);
      const isOwn = (record: RunRecord) => own?.stage === undefined || timeline.stageOf(record) === own.stage;
      return records.filter((record) => isEnvironmentApproval(record) && isOwn(record)).map(({ id }) => id);
    }
  }
}

export function decideApproval(question: ApprovalQuestion, evidence: RunEvidence): ApprovalDecision {
  const { policy } = question;
  if (policy.approval === 'none') {
    if (!policy.fourEyes) return { decision: 'notAsked' };
    return refused('FourEyes', 'fourEyes requires a second person, but approval: none asks nobody.');
  }
  const finding = findApproval(question, evidence);
  switch (finding.finding) {
    case 'refused':
      return refused(finding.code, finding.reason);
    case 'unknown':
      return withoutProof(finding.reason, policy);
    case 'approved': {
      const { through, approvers, notes } = finding;
      const problem = policy.fourEyes ? fourEyesProblem(approvers, evidence) : undefined;
      if (problem !== undefined) return refused('FourEyes', problem);
      return { decision: 'approved', through, at: new Date(finding.at), approvers, notes };
    }
  }
}

function refused(code: ApprovalRefusal, reason: string): ApprovalDecision {
  return { decision: 'refused', code, reason };
}

function withoutProof(reason: string, { requireGateProof, fourEyes }: ApprovalPolicy): ApprovalDecision {
  if (requireGateProof) {
    return refused('Unproven', `${reason} Without proof of an approval nothing is rolled back (requireGateProof).`);
  }
  if (fourEyes) return refused('FourEyes', `${reason} So it is not known who approved, as fourEyes requires.`);
  return { decision: 'unknown', reason };
}

function findApproval({ policy, place, planMadeAt, now }: ApprovalQuestion, evidence: RunEvidence): ApprovalFinding {
  if (!evidence.timeline.isKnown) return { finding: 'unknown', reason: evidence.timeline.problem };
  const timeline = timelineOf(evidence.timeline.value);
  const own = findOwnRecords(timeline, place);
  if (own === undefined) return { finding: 'unknown', reason: noOwnStage(timeline, place) };
  const approvals = evidence.approvals.isKnown ? evidence.approvals.value : undefined;
  const asked = { timeline, own, planMadeAt: planMadeAt.getTime(), now: now.getTime() };
  const finding =
    policy.approval === 'environment'
      ? judgeEnvironment({ ...asked, approvals })
      : judgeGate({ ...asked, approvals: approvals ?? [] });
  // Gates never report who approved; that note has already been added.
  if (finding.finding !== 'approved' || evidence.approvals.isKnown || policy.approval === 'gate') return finding;
  return {
    ...finding,
    notes: [...finding.notes, `The approvers could not be looked up: ${evidence.approvals.problem}`],
  };
}

function noOwnStage({ records }: Timeline, { stage }: OwnPlace): string {
  const stages = records.filter(({ type }) => type === 'Stage').map(({ identifier, name }) => identifier ?? name);
  return `The run's timeline does not show this job: it has no stage "${stage ?? ''}" (it has: ${stages.join(', ')}).`;
}

/** Returns why the four eyes are not proven, or undefined. */
function fourEyesProblem(approvers: readonly Approver[], { build }: RunEvidence): string | undefined {
  const persons = approvers.flatMap(({ identity }) => (identity === undefined ? [] : [identity]));
  const known = persons.filter((identity) => !identity.isGroup);
  if (known.length === 0) {
    const group = persons[0] === undefined ? '' : ` (only the group ${shownIdentity(persons[0])})`;
    return `fourEyes: the approver is not known${group}, and may be the person who queued the run. Approvals of an environment (approval: environment) name the approver.`;
  }
  if (!build.isKnown) return `fourEyes: it is not known who queued the run. ${build.problem}`;
  const queuers = [build.value.requestedFor, build.value.requestedBy].filter((identity) => identity !== undefined);
  if (queuers.length === 0) return 'fourEyes: it is not known who queued the run, because Azure DevOps names nobody.';
  const problems = known.map((identity) => noSecondPerson(identity, queuers));
  return problems.includes(undefined) ? undefined : `fourEyes: ${problems.join('; ')}.`;
}

/** Returns why the approver does not count as a person other than those who queued the run, or undefined. */
function noSecondPerson(approver: Identity, queuers: readonly Identity[]): string | undefined {
  const shown = shownIdentity(approver);
  if (isServiceAccount(approver)) return `${shown}, who approved, is a service and not a person`;
  const comparisons = queuers.map((queuer) => compareIdentities(approver, queuer));
  if (comparisons.includes('same')) return `${shown} approved and also queued this run`;
  // A run that was queued by a push or a schedule was queued by a service, whose names cannot be compared.
  const isComparable = queuers.some((queuer, index) => comparisons[index] === 'other' || isServiceAccount(queuer));
  return isComparable ? undefined : `it is not known whether ${shown}, who approved, also queued this run`;
}

/** The text for the output `approvedBy`: names, `unknown` or ''. */
export function shownApprovers(decision: ApprovalDecision): string {
  switch (decision.decision) {
    case 'notAsked':
    case 'refused':
      return '';
    case 'unknown':
      return 'unknown';
    case 'approved': {
      const names = decision.approvers.map(({ identity }) =>
        identity === undefined ? 'unknown' : shownIdentity(identity),
      );
      return [...new Set(names)].join(', ');
    }
  }
}

/** One sentence for the report, Helm's record and the Event. */
export function describeApproval(decision: ApprovalDecision): string {
  switch (decision.decision) {
    case 'notAsked':
      return 'No approval was required (approval: none).';
    case 'refused':
      return decision.reason;
    case 'unknown':
      return `The approval could not be proven. ${decision.reason}`;
    case 'approved': {
      const comments = decision.approvers.flatMap(({ comment }) => (comment === undefined ? [] : [`«${comment}»`]));
      const quoted = comments.length === 0 ? '' : `: ${comments.join(', ')}`;
      const by = `Approved by ${shownApprovers(decision)} at ${shownTime(decision.at.getTime())}`;
      return `${by} through ${decision.through}${quoted}.`;
    }
  }
}
