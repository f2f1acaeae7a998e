import { at, listAt, numberAt, textAt } from '../kubernetes/read';
import { isTouched } from './reading';
import type { RolloutPolicy, RolloutMemory, Reading } from './model';

/** A program that crashes at its start does so within this time. */
const defaultStableSeconds = 10;
/** Undefined while the object is not current. */
export function steadyTime(reading: Reading, policy: RolloutPolicy, memory: RolloutMemory): number | undefined {
  const current = memory.workloads[reading.key]?.current;
  if (current === undefined) return undefined;
  const baseline = memory.baseline?.[reading.key];
  const isUntouched = baseline?.isHealthy === true && !isTouched(reading.followed, baseline);
  if (isUntouched) return current.since;
  return current.since + stableSeconds(reading, policy) * 1000;
}

function stableSeconds({ followed, family }: Reading, policy: RolloutPolicy): number {
  const { object } = followed;
  if (family === undefined || object === undefined || object.kind === 'Job' || followed.purpose === 'hook') return 0;
  if (numberAt(object, 'spec', 'replicas') === 0 && at(object, 'spec', 'replicas') !== undefined) return 0;
  if (textAt(object, 'status', 'phase') === 'Succeeded') return 0;
  if (policy.stableForSeconds !== undefined) return policy.stableForSeconds;
  const own = object.kind === 'Pod' ? at(object, 'spec') : at(object, 'spec', 'template', 'spec');
  const specs = family.owned === undefined ? [own] : family.pods.map((pod) => at(pod, 'spec'));
  const hasProbe = specs
    .flatMap((spec) => listAt(spec, 'containers'))
    .some((container) => container['readinessProbe'] !== undefined);
  if (hasProbe) return 0;
  return Math.max(0, defaultStableSeconds - numberAt(object, 'spec', 'minReadySeconds'));
}
