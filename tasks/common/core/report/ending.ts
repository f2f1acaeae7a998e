import { adviceFor } from './advice';
import { asTaskError, isFailureReason, TaskError, type FailureReason } from '../failure';
import { objectName } from '../kubernetes/manifest';
import { sentence, sentences } from '../text/sentence';
import type { Outcome, ReportedObject, ReportedReservation } from './report';
import type { CauseCode, ReasonGroup } from '../rollout/causes';
import type { Reservation } from '../rollout/reservations';
import type { Cause, RolloutVerdict, WorkloadVerdict } from '../rollout/verdict';

export { sentence };

/** How a flow ended, before the report is written. */
export interface Ending {
  outcome: Outcome;
  /** PascalCase; empty on success. */
  reason: string;
  reasonGroup: ReasonGroup | '';
  message: string;
  advice: string;
  /** `Kind/name`, or empty. */
  failedWorkload: string;
  timedOut: boolean;
}

export const wellEnded: Ending = {
  outcome: 'deployed',
  reason: '',
  reasonGroup: '',
  message: '',
  advice: '',
  failedWorkload: '',
  timedOut: false,
};

export function endingFor(outcome: Outcome, reason: FailureReason, message: string, failedWorkload = ''): Ending {
  return {
    ...wellEnded,
    outcome,
    reason,
    reasonGroup: groups[reason] ?? 'other',
    message: sentences(message),
    advice: adviceFor(reason, message),
    failedWorkload,
    timedOut: reason === 'TimedOut',
  };
}

const groups: Partial<Record<FailureReason, ReasonGroup>> = { PermissionDenied: 'permissions' };

export function endingOfRollout(verdict: RolloutVerdict): Ending {
  const { decisive } = verdict;
  const cause = decisive?.cause;
  if (decisive === undefined || cause === undefined) {
    const message = decisive === undefined ? 'The rollout was not seen healthy.' : decisive.status.message;
    return { ...endingFor('failed', unknownBecause(decisive), message, blamed(decisive)), timedOut: true };
  }
  const ending = endingOfCause(cause, blamed(decisive), verdict.timedOut);
  return { ...ending, message: sentences(ending.message, ...hidden(cause.code, verdict)) };
}

export function endingOfCause(cause: Cause, failedWorkload: string, timedOut: boolean): Ending {
  // The message of the cause `TimedOut` already mentions the timeout.
  const isOver = timedOut && cause.code !== 'TimedOut';
  return {
    outcome: 'failed',
    reason: cause.code,
    reasonGroup: cause.group,
    message: sentences(cause.message, isOver ? 'The timeout has passed.' : ''),
    advice: cause.nextStep,
    failedWorkload,
    timedOut,
  };
}

/** The reason that prevented a verdict, if it is known; otherwise `TimedOut`. */
function unknownBecause(decisive: WorkloadVerdict | undefined): FailureReason {
  const reason = decisive?.health === 'unknown' ? decisive.status.reason : '';
  return isFailureReason(reason) ? reason : 'TimedOut';
}

/** Kinds that could not be read may hide the cause. */
function hidden(code: CauseCode, { unread }: RolloutVerdict): string[] {
  if (code !== 'TimedOut') return [];
  const kinds = [...new Set(unread.map(({ kind }) => kind))];
  return kinds.length === 0
    ? []
    : [`The cause may be hidden, because these kinds could not be read: ${kinds.join(', ')}.`];
}

/** The first failure stays the reason, because a person must examine that one. */
export function endingThen(ending: Ending, later: unknown): Ending {
  return { ...ending, message: then(ending.message, later) };
}

export function errorThen(first: unknown, later: unknown): TaskError {
  const { reason, message, facts } = asTaskError(first);
  return new TaskError(reason, then(message, later), { cause: first, facts });
}

function then(first: string, later: unknown): string {
  const told = sentences(first);
  const next = sentences(told, asTaskError(later).message).slice(told.length).trim();
  return next === '' ? told : `${told} After that: ${next}`;
}

function blamed(decisive: WorkloadVerdict | undefined): string {
  return decisive === undefined ? '' : objectName(decisive.ref);
}

export function reportedObjects(verdict: RolloutVerdict): ReportedObject[] {
  return verdict.workloads.map(({ ref, health, status, counts, cause, suspects, brokenBefore, isPreexisting }) => ({
    kind: ref.kind,
    apiVersion: ref.apiVersion,
    name: ref.name,
    namespace: ref.namespace ?? '',
    health,
    status: status.status,
    reason: cause?.code ?? suspects[0]?.code ?? status.reason,
    message: health === 'healthy' ? status.message : toldWith(cause ?? suspects[0], status.message, counts),
    since: health === 'healthy' ? '' : sinceOf(cause ?? suspects[0]),
    brokenBefore: brokenBefore === undefined ? '' : brokenBefore.message,
    isPreexisting,
  }));
}

export function reportedReservations(reservations: readonly Reservation[]): ReportedReservation[] {
  return reservations.map(({ ref: { kind, name }, reason, message }) => ({ kind, name, reason, message }));
}

/** The counts stand beside the cause, because they say how much of the object still serves. */
function toldWith(cause: Cause | undefined, status: string, counts: string | undefined): string {
  if (cause === undefined) return status;
  return counts === undefined ? cause.message : sentences(cause.message, counts);
}

/** A timeout has no start time, so none is reported. */
function sinceOf(cause: Cause | undefined): string {
  return cause === undefined || cause.code === 'TimedOut' ? '' : cause.since;
}
