import type { Condition, Fields } from '../fields';
import { current, failed, inProgress, type ObjectStatus } from '../result';
import { counted } from '../../text/counted';

/**
 * A Job is Current when its work is done. kstatus calls a running Job Current, so nobody can wait for a migration with
 * that rule. The words for the end of a Job are those of kstatus.
 */
export function jobStatus(fields: Fields): ObjectStatus {
  const isTrue = (type: string): Condition | undefined => {
    const condition = fields.condition(type);
    return condition?.status === 'True' ? condition : undefined;
  };
  const succeeded = fields.integer('status.succeeded') ?? 0;
  const wanted = fields.integer('spec.completions') ?? fields.integer('spec.parallelism') ?? 1;
  if (isTrue('Complete') !== undefined) return current('JobComplete', `${succeeded} of ${wanted} completions.`);
  // FailureTarget means that the controller has decided and only waits for pods to end. The controller never takes this
  // decision back.
  const failure = isTrue('Failed') ?? isTrue('FailureTarget');
  if (failure !== undefined) return failed('JobFailed', failureMessage(failure));
  if (fields.flag('spec.suspend') === true && isTrue('Suspended') !== undefined) {
    return current('JobSuspended', 'The Job is suspended, as its spec wants it.');
  }
  if (isTrue('SuccessCriteriaMet') !== undefined) {
    return inProgress('JobCompleting', 'The work is done; pods are still to end.');
  }
  return startedStatus(fields, succeeded, wanted);
}

function startedStatus(fields: Fields, succeeded: number, wanted: number): ObjectStatus {
  if (fields.text('status.startTime') === undefined) return inProgress('JobNotStarted', 'The Job has not started.');
  const active = fields.integer('status.active') ?? 0;
  const lost = fields.integer('status.failed') ?? 0;
  // A parallelism of 0 is the other way to hold a Job in the API. Nothing runs until somebody raises the parallelism.
  if (fields.integer('spec.parallelism') === 0 && active === 0) {
    return current('JobPaused', 'The Job is held by a parallelism of 0, as its spec wants it.');
  }
  return inProgress(
    'JobRunning',
    `${succeeded} of ${wanted} completions, ${counted(active, 'pod', 'pods')} active, ${lost} failed.`,
  );
}

function failureMessage(condition: Condition): string {
  const parts = [condition.reason, condition.message].filter((part) => part !== '');
  return parts.length === 0 ? 'The Job has failed.' : parts.join(': ');
}
