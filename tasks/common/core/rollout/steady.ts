import { at, listAt, numberAt, textAt } from '../kubernetes/read';
import { badRuns, goodSince } from './badRuns';
import type { Finding } from './finding';
import { isTouched } from './reading';
import type { RolloutPolicy, RolloutMemory, Reading } from './model';

/** A program that crashes at its start does so within this time, also if it waits 10 or 20 s for a connection. */
const defaultStableSeconds = 25;

/** Clocks of agents and nodes may differ by so much. */
const clocksDiffer = 30_000;

export interface Steady {
  /** Until then, health is not certain. */
  at: number;
  /** The bad run that makes the wait longest, unless the stable time is longer. */
  badRun?: Finding;
}

/** Undefined while the object is not current. */
export function steadyTime(
  reading: Reading,
  policy: RolloutPolicy,
  memory: RolloutMemory,
  now: Date,
): Steady | undefined {
  const known = memory.workloads[reading.key];
  const since = known?.current?.since;
  if (known === undefined || since === undefined) return undefined;
  if (needsNoTime(reading)) return { at: since };
  const baseline = memory.baseline?.[reading.key];
  const isUntouched = baseline?.isHealthy === true && !isTouched(reading.followed, baseline);
  const stable = isUntouched ? since : stableAt(reading, policy, since);
  const seen = Math.max(stable, since + (known.neededSeconds ?? 0) * 1000);
  const runs = reading.family === undefined ? [] : badRuns(reading.family, now);
  return runs.reduce<Steady>(
    (steady, { neededSeconds, goodSince, finding }) => {
      const at = Math.min(since, goodSince + clocksDiffer) + neededSeconds * 1000;
      return at > stable && at >= steady.at ? { at, badRun: finding } : steady;
    },
    { at: seen },
  );
}

function needsNoTime({ followed, family }: Reading): boolean {
  const { object } = followed;
  if (family === undefined || object === undefined || object.kind === 'Job' || followed.purpose === 'hook') return true;
  if (numberAt(object, 'spec', 'replicas') === 0 && at(object, 'spec', 'replicas') !== undefined) return true;
  return textAt(object, 'status', 'phase') === 'Succeeded';
}

/** Without an input, what ran before it was seen counts too. */
function stableAt(reading: Reading, policy: RolloutPolicy, since: number): number {
  const needed = stableSeconds(reading, policy) * 1000;
  const { pods = [] } = reading.family ?? {};
  if (policy.stableForSeconds !== undefined || pods.length === 0) return since + needed;
  return Math.max(since, Math.min(since, Math.max(...pods.map(goodSince)) + clocksDiffer) + needed);
}

function stableSeconds({ followed: { object }, family }: Reading, policy: RolloutPolicy): number {
  if (policy.stableForSeconds !== undefined) return policy.stableForSeconds;
  if (object === undefined || family === undefined) return 0;
  const own = object.kind === 'Pod' ? at(object, 'spec') : at(object, 'spec', 'template', 'spec');
  const specs = family.owned === undefined ? [own] : family.pods.map((pod) => at(pod, 'spec'));
  const hasProbe = specs
    .flatMap((spec) => listAt(spec, 'containers'))
    .some((container) => container['readinessProbe'] !== undefined);
  if (hasProbe) return 0;
  return Math.max(0, defaultStableSeconds - numberAt(object, 'spec', 'minReadySeconds'));
}
