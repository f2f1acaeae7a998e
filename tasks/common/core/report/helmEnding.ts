import type { Hook } from '../release/release';
import { briefly, type HelmFailure } from '../helm/helmFailure';
import { objectName } from '../kubernetes/manifest';
import type { ObjectRef } from '../kubernetes/object';
import type { RolloutVerdict, Cause } from '../rollout/model';
import { type Ending, endingFor, sentence, endingOfCause } from './ending';
import type { ReportedEvidence } from './report';

/** Helm creates the objects in the order of the manifest, and stops at the first refusal. */
export function firstMissing(declared: readonly ObjectRef[], verdict: RolloutVerdict | undefined): string {
  const isMissing = ({ kind, name }: ObjectRef): boolean =>
    verdict?.workloads.some(
      ({ ref, status }) => status.reason === 'ObjectMissing' && ref.kind === kind && ref.name === name,
    ) === true;
  const missing = declared.find(isMissing);
  return missing === undefined ? '' : objectName(missing);
}

/** An object that does not exist was refused, or Helm had not come to it. */
export function halfApplied(verdict: RolloutVerdict, { failedWorkload, reason, message }: Ending): RolloutVerdict {
  const workloads = verdict.workloads.map((workload) => {
    const { ref, status } = workload;
    if (objectName(ref) === failedWorkload) {
      return { ...workload, health: 'failed' as const, status: { ...status, reason, message }, suspects: [] };
    }
    if (status.reason !== 'ObjectMissing') return { ...workload, isPreexisting: workload.brokenBefore !== undefined };
    return {
      ...workload,
      status: { ...status, reason: 'NotApplied', message: 'Helm ended before it created this object.' },
    };
  });
  const { decisive: _, ...rest } = verdict;
  return { ...rest, workloads };
}

/** The log and the evidence have Helm's whole message. */
export function endingOfHelm({ reason, message }: HelmFailure, failedWorkload: string): Ending {
  const ending = endingFor('failed', reason, message, failedWorkload);
  return { ...ending, message: sentence(briefly(message)) };
}

export function helmEvidence({ reason, message }: HelmFailure, blamed: string): ReportedEvidence {
  return { object: blamed || 'Helm', kind: 'object', title: reason, lines: message.split('\n') };
}

export interface FailedHook {
  failure: HelmFailure | undefined;
  /** A hook that could no longer succeed, so that Helm was stopped. */
  hopeless: { ref: ObjectRef; cause: Cause } | undefined;
  /** The hook that Helm blames, or was waiting for. */
  hook: Hook | undefined;
  cause: Cause | undefined;
}

/** The ending has the hook's cause if this cause is certain or the time is over. */
export function hookEnding({ failure, hopeless, hook, cause }: FailedHook): Ending | undefined {
  if (hopeless !== undefined) return endingOfCause(hopeless.cause, objectName(hopeless.ref), false);
  if (hook === undefined || failure === undefined) return undefined;
  const isTimedOut = failure.reason === 'TimedOut';
  const isTelling = isTimedOut
    ? cause?.code !== 'TimedOut'
    : failure.reason === 'HookFailed' && cause?.isCertain === true;
  const isCause = cause !== undefined && isTelling && cause.code !== 'HookFailed';
  return isCause ? endingOfCause(cause, objectName(hook), isTimedOut) : endingOfHelm(failure, objectName(hook));
}

/** The hook that failed, or else the one that Helm was waiting for. */
export function blamedHook(hooks: readonly Hook[]): Hook | undefined {
  const waitedFor = (hook: Hook): boolean => hook.lastPhase === 'Running' || hook.lastPhase === 'Unknown';
  return hooks.find(({ lastPhase }) => lastPhase === 'Failed') ?? hooks.find(waitedFor);
}
