import { adviceFor } from './advice';
import { asTaskError, isFailureReason, TaskError, type FailureReason } from '../failure';
import { objectName } from '../kubernetes/manifest';
import type { Outcome, ReportedObject } from './report';
import type { CauseCode, ReasonGroup } from '../rollout/causes';
import type { Cause, RolloutVerdict, WorkloadVerdict } from '../rollout/verdict';

/** How a flow ended, before it is told. */
export interface Ending {
  outcome: Outcome;
  /** PascalCase; empty when all is well. */
  reason: string;
  reasonGroup: ReasonGroup | '';
  message: string;
  /** The next step, in one sentence. */
  advice: string;
  /** `Kind/name`; empty where no object is to blame. */
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

/** An ending for which no object is to blame. */
export function endingFor(outcome: Outcome, reason: FailureReason, message: string, failedWorkload = ''): Ending {
  return {
    ...wellEnded,
    outcome,
    reason,
    reasonGroup: groups[reason] ?? 'other',
    message: sentence(message),
    advice: adviceFor(reason, message),
    failedWorkload,
    timedOut: reason === 'TimedOut',
  };
}

const groups: Partial<Record<FailureReason, ReasonGroup>> = { PermissionDenied: 'permissions' };

/** What an unhealthy rollout came to. */
export function endingOfRollout(verdict: RolloutVerdict): Ending {
  const { decisive } = verdict;
  const cause = decisive?.cause;
  if (decisive === undefined || cause === undefined) {
    const message = decisive === undefined ? 'The rollout was not seen healthy.' : decisive.status.message;
    return { ...endingFor('failed', unknownBecause(decisive), message, blamed(decisive)), timedOut: true };
  }
  const ending = endingOfCause(cause, blamed(decisive), verdict.timedOut);
  return { ...ending, message: [ending.message, ...hidden(cause.code, verdict)].join(' ') };
}

/** `failedWorkload` has failed for a cause of its own. */
export function endingOfCause(cause: Cause, failedWorkload: string, timedOut: boolean): Ending {
  // What timed out without a cause says so itself.
  const isOver = timedOut && cause.code !== 'TimedOut';
  return {
    outcome: 'failed',
    reason: cause.code,
    reasonGroup: cause.group,
    message: [sentence(cause.message), ...(isOver ? ['The time for it is over.'] : [])].join(' '),
    advice: cause.nextStep,
    failedWorkload,
    timedOut,
  };
}

/** What kept us from knowing is the reason, where it is known; else all that is known is that the time is over. */
function unknownBecause(decisive: WorkloadVerdict | undefined): FailureReason {
  const reason = decisive?.health === 'unknown' ? decisive.status.reason : '';
  return isFailureReason(reason) ? reason : 'TimedOut';
}

/** Where no cause was seen it matters what may have hidden it. */
function hidden(code: CauseCode, { unread }: RolloutVerdict): string[] {
  if (code !== 'TimedOut') return [];
  const kinds = [...new Set(unread.map(({ kind }) => kind))];
  return kinds.length === 0 ? [] : [`The cause may be hidden: what could not be read is of kind ${kinds.join(', ')}.`];
}

/** The ending with what went wrong after it: what came first is what a person has to look at. */
export function endingThen(ending: Ending, later: unknown): Ending {
  return { ...ending, message: then(ending.message, later) };
}

/** The error with what went wrong after it. */
export function errorThen(first: unknown, later: unknown): TaskError {
  const { reason, message, facts } = asTaskError(first);
  return new TaskError(reason, then(message, later), { cause: first, facts });
}

function then(first: string, later: unknown): string {
  return `${sentence(first)} After that: ${sentence(asTaskError(later).message)}`;
}

function blamed(decisive: WorkloadVerdict | undefined): string {
  return decisive === undefined ? '' : objectName(decisive.ref);
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /[.!?)]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

export function reportedObjects(verdict: RolloutVerdict): ReportedObject[] {
  return verdict.workloads.map(({ ref, health, status, cause, suspects, brokenBefore, isPreexisting }) => ({
    kind: ref.kind,
    apiVersion: ref.apiVersion,
    name: ref.name,
    namespace: ref.namespace ?? '',
    health,
    status: status.status,
    reason: cause?.code ?? suspects[0]?.code ?? status.reason,
    message: cause?.message ?? suspects[0]?.message ?? status.message,
    since: health === 'healthy' ? '' : sinceOf(cause ?? suspects[0]),
    brokenBefore: brokenBefore === undefined ? '' : brokenBefore.message,
    isPreexisting,
  }));
}

/** That the time is over began nowhere. */
function sinceOf(cause: Cause | undefined): string {
  return cause === undefined || cause.code === 'TimedOut' ? '' : cause.since;
}
