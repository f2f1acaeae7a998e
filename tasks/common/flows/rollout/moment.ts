import { asTaskError } from '../../core/failure';
import type { ServingHealth } from '../../core/report/report';
import type { RolloutContext } from '../../core/releaseContext';
import { baselineOf, judge } from '../../core/rollout/verdict';
import { indexOf } from '../../core/rollout/family';
import { reservationsOf, type ReleaseHistory, type Reservation } from '../../core/rollout/reservations';
import { brokenCause } from '../../core/rollout/broken';
import type { RolloutMemory, RolloutPolicy, RolloutVerdict } from '../../core/rollout/verdict';
import { desiredObjects, type DesiredObject } from '../release/desiredObjects';
import { readRollout, rolloutPolicy } from './rollout';

/** The objects of a manifest, or objects that were found already. */
type Objects = string | readonly DesiredObject[];

interface Moment {
  verdict: RolloutVerdict;
  /** The state of the objects, for the judgement of a change that is made now. */
  baseline: RolloutMemory;
  /** See `brokenCause`. */
  broken(): ReturnType<typeof brokenCause>;
  /** For a verdict that is healthy. */
  reservations: (release?: ReleaseHistory) => readonly Reservation[];
}

/**
 * Judges the objects at this moment. The default policy suits objects that had time enough: whatever is not healthy now
 * is unhealthy.
 */
export async function judgeNow(
  context: RolloutContext,
  of: Objects,
  policyAt: (now: Date) => RolloutPolicy = (now) => presentPolicy(context, now),
  memory?: RolloutMemory,
): Promise<Moment> {
  const { clock, cluster, namespace, request } = context;
  const objects = typeof of === 'string' ? await desiredObjects(cluster, of, namespace) : of;
  const snapshot = await readRollout(context, objects);
  const now = clock.now();
  const policy = policyAt(now);
  const verdict = judge(snapshot, policy, memory, now);
  const baseline = baselineOf(snapshot, now, request.rollout.statusRules);
  return {
    verdict,
    baseline,
    broken: () => brokenCause(snapshot, policy, now),
    reservations: (release) => reservationsOf(snapshot.followed, indexOf(snapshot), verdict.workloads, release),
  };
}

function presentPolicy(context: RolloutContext, now: Date): RolloutPolicy {
  const policy = rolloutPolicy(context, new Date(now.getTime() + 1), true);
  return { ...policy, stableForSeconds: 0, failFast: false };
}

/** The health at this moment. `everyPod`: pods of an earlier template are not healthy. */
export async function healthNow(context: RolloutContext, of: Objects, everyPod = false): Promise<ServingHealth> {
  const { verdict } = await judgeNow(context, of, (now) => ({ ...presentPolicy(context, now), everyPod }));
  return servingHealth(verdict);
}

/** A serving revision that is still progressing does not serve as it should. */
export function servingHealth({ health }: Pick<RolloutVerdict, 'health'>): ServingHealth {
  return health === 'healthy' || health === 'unknown' ? health : 'unhealthy';
}

/** Returns undefined, with a line in the log, where the objects cannot be read. Throws when the step is cancelled. */
export async function ifReadable<T>(context: RolloutContext, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    context.agent.log(`The objects of the release could not be read: ${asTaskError(thrown).message}`);
    return undefined;
  }
}
