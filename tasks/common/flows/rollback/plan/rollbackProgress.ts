import { endingFor, endingOfRollout, type Ending } from '../../../core/report/ending';
import { causesOf } from '../../../core/rollout/verdict';
import { phasesOf } from '../../release/reportedPhases';
import { collectEvidence, logEvidence } from '../../rollout/evidence';
import type { RolloutEnd } from '../../rollout/rollout';
import { withRetries } from '../../steps/withRetries';
import { asTaskError, type FailureReason } from '../../../core/failure';
import type { ReportedEvidence } from '../../../core/report/report';
import type {
  RollbackEnding,
  RollbackOutcome,
  RollbackReport,
} from '../../../core/rollbackPlan/document/rollbackReport';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import type { Work } from '../../../core/lock/work';
import type { PlainStart, RolloutContext } from '../../../core/releaseContext';

/** All that a rollback has learned so far. The report is made from it, however the rollback ends. */
export interface RollbackProgress extends Pick<RollbackReport, ReportedAsIs> {
  startedAt: Date;
  /** The plan that was made now, or the approved one where no plan was made. */
  plan: ChangePlan | undefined;
  /** Something may have been changed. */
  hasBegun: boolean;
  /** Sentences about what an earlier run of this rollback has done; empty where it has done nothing. */
  doneBefore: string;
  /** The change of Helm that was begun last. */
  lastWork: Work | undefined;
  restored: Set<string>;
  deleted: string[];
  heldBack: Set<string>;
  evidence: ReportedEvidence[];
}

type ReportedAsIs =
  'revision' | 'healthBefore' | 'health' | 'differences' | 'approvedBy' | 'approvedAt' | 'approval' | 'objects';

export function newRollbackProgress(now: Date): RollbackProgress {
  return {
    startedAt: now,
    plan: undefined,
    hasBegun: false,
    doneBefore: '',
    lastWork: undefined,
    revision: null,
    healthBefore: '',
    health: '',
    restored: new Set(),
    deleted: [],
    heldBack: new Set(),
    differences: [],
    approvedBy: '',
    approvedAt: '',
    approval: '',
    objects: [],
    evidence: [],
  };
}

export const wellRolledBack: RollbackEnding = {
  outcome: 'rolledBack',
  reason: '',
  message: '',
  advice: '',
  failedWorkload: '',
  timedOut: false,
};

/** An ending that blames no object. */
export function rollbackEnding(outcome: RollbackOutcome, reason: FailureReason, message: string): RollbackEnding {
  return asRollbackEnding(endingFor('failed', reason, message), outcome);
}

export function asRollbackEnding(ending: Ending, outcome: RollbackOutcome): RollbackEnding {
  const { reason, message, advice, failedWorkload, timedOut } = ending;
  return { outcome, reason, message, advice, failedWorkload, timedOut };
}

/**
 * Before the first change these reasons are refusals: nothing has happened, and the message says what a person should
 * do.
 */
const refusals = new Set<FailureReason>([
  'PlanMissing',
  'PlanExpired',
  'PlanChanged',
  'PlanRefused',
  'ApprovalMissing',
  'ReleasePending',
  'ReleaseLocked',
  'StorageUnsupported',
]);

/** The ending of a flow that an error has stopped. */
export function endingOfThrown(thrown: unknown, progress: RollbackProgress, signal: AbortSignal): RollbackEnding {
  const error = asTaskError(thrown);
  // Before the first change, a proof fails only if Helm has changed something that it was to rehearse.
  const isChanged = progress.hasBegun || error.reason === 'ProofFailed';
  const said = isChanged
    ? error.message
    : `${error.message.trimEnd()} ${unchangedWords(progress, error.message)}`.trimEnd();
  if (signal.aborted || error.reason === 'Cancelled') {
    const state = progress.hasBegun
      ? ' The rollback is not finished. The post-job step, or the same step run again, resumes it.'
      : '';
    return asRollbackEnding(endingFor('cancelled', 'Cancelled', `${said}${state}`), 'cancelled');
  }
  const outcome = !progress.hasBegun && refusals.has(error.reason) ? 'refused' : 'failed';
  return rollbackEnding(outcome, error.reason, said);
}

function unchangedWords({ doneBefore }: RollbackProgress, said: string): string {
  if (doneBefore !== '') return `${doneBefore} This run changed nothing.`;
  return said.trimEnd().endsWith('Nothing was changed.') ? '' : 'Nothing was changed.';
}

/** The ending of a run that has lost its lease, whatever else it has found. */
export function lostEnding({ message }: RollbackEnding): RollbackEnding {
  const lost = 'Another run has taken the lock over, because this one was silent for too long.';
  return rollbackEnding('failed', 'LeaseLost', `${lost} ${message}`);
}

export function rollbackReport(
  { request, namespace, clock, phases }: Pick<PlainStart, 'request' | 'namespace' | 'clock' | 'phases'>,
  progress: RollbackProgress,
  ending: RollbackEnding,
): RollbackReport {
  const { plan } = progress;
  const { subject } = request;
  return {
    schemaVersion: 1,
    task: 'ApproveAndRollback',
    action: request.action,
    namespace,
    release: subject.kind === 'release' ? request.releaseName : '',
    workloads: subject.kind === 'release' ? [] : subject.workloads.map(({ kind, name }) => `${kind}/${name}`),
    ...ending,
    planDigest: plan?.digest ?? '',
    risk: plan?.risk ?? '',
    targetRevision: plan?.target?.revision ?? null,
    deletions: plan?.deletions ?? 0,
    revision: progress.revision,
    healthBefore: progress.healthBefore,
    health: progress.health,
    restoredObjects: [...progress.restored],
    deletedObjects: progress.deleted,
    heldBackDeletions: [...progress.heldBack],
    differences: progress.differences,
    approvedBy: progress.approvedBy,
    approvedAt: progress.approvedAt,
    approval: progress.approval,
    helmVersion: plan?.helm?.version ?? '',
    startedAt: progress.startedAt.toISOString(),
    finishedAt: clock.now().toISOString(),
    objects: progress.objects,
    evidence: progress.evidence,
    ...phasesOf(phases),
  };
}

/** The ending of a rollout that is not healthy. Its evidence is logged and reported. */
export async function unhealthyEnding(
  context: RolloutContext,
  progress: RollbackProgress,
  { end, verdict, lastLines }: RolloutEnd,
): Promise<Ending> {
  progress.health = end === 'unknown' ? 'unknown' : 'unhealthy';
  const evidence = await collectEvidence(context, causesOf(verdict), lastLines);
  logEvidence(context, evidence);
  progress.evidence.push(...evidence);
  return endingOfRollout(verdict);
}

/** Notes in the kept plan that it was carried out. */
export async function noteDone(
  context: RolloutContext & Pick<PlainStart, 'plans'>,
  digest: string,
  revision: number,
): Promise<void> {
  await withRetries(context, () => context.plans.note(digest, { state: 'done', revision })).catch((thrown: unknown) => {
    context.agent.log(`That the plan was carried out could not be noted in it: ${asTaskError(thrown).message}`);
  });
}
