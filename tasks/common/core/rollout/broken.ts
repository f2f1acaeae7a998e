import { objectName } from '../kubernetes/manifest';
import { isOwnCause, type CauseCode } from './causes';
import type { RolloutPolicy } from './model';
import type { RolloutSnapshot } from './snapshot';
import { judge } from './verdict';

/** Every grace is over by then. */
const laterMilliseconds = 600_000;

/**
 * The cause of its own by which one of the objects can no longer become healthy, if nothing of this snapshot changes
 * any more. Undefined if none is certain: the objects may be on their way, or something outside of them is to blame.
 */
export function brokenCause(
  snapshot: RolloutSnapshot,
  policy: RolloutPolicy,
  now: Date,
): { reason: CauseCode; failedWorkload: string } | undefined {
  const later = new Date(now.getTime() + laterMilliseconds);
  const patient = { ...policy, failFast: true, deadline: new Date(later.getTime() + laterMilliseconds) };
  const present = judge(snapshot, patient, undefined, now);
  const { workloads } = judge(snapshot, patient, present.memory, later);
  const failed = workloads.flatMap(({ ref, cause }) => (cause === undefined ? [] : [{ ref, cause }]));
  const looping = present.workloads.flatMap(({ ref, suspects }) =>
    suspects.filter(({ detail }) => detail === 'loop').map((cause) => ({ ref, cause })),
  );
  const own = [...failed, ...looping].find(({ cause }) => isOwnCause(cause.code));
  return own && { reason: own.cause.code, failedWorkload: objectName(own.ref) };
}
