import type { Reading } from './answer';
import { holds, type Before, type Value } from './condition';
import type { Metric } from './metric';

export type Verdict = 'pass' | 'fail' | 'inconclusive';

export interface Sample {
  /** ISO time, by the agent's clock. */
  at: string;
  /** Null if there was none. */
  value: Value | null;
  verdict: Verdict;
  /** Why the sample is inconclusive, as a clause, or empty. */
  note: string;
}

/** A sample passes only if there is a value, and all of the condition holds for it. */
export function judgeSample({ condition }: Metric, reading: Reading, before: Before, at: string): Sample {
  if ('problem' in reading) return { at, value: null, verdict: 'inconclusive', note: reading.problem };
  const { value, mayPass } = reading;
  const isMet = holds(condition, value, before);
  if (isMet === false) return { at, value, verdict: 'fail', note: '' };
  if (isMet === undefined) {
    const note =
      typeof value === 'string'
        ? 'the value is a text'
        : 'the value before the deploy is not known, so nothing can be compared';
    return { at, value, verdict: 'inconclusive', note };
  }
  return mayPass
    ? { at, value, verdict: 'pass', note: '' }
    : { at, value, verdict: 'inconclusive', note: 'the value came with an error' };
}

export interface SampleCounts {
  pass: number;
  fail: number;
  inconclusive: number;
}

export function countsOf(samples: readonly Sample[]): SampleCounts {
  const counts = { pass: 0, fail: 0, inconclusive: 0 };
  for (const { verdict } of samples) counts[verdict] += 1;
  return counts;
}

/** Undefined while the verdict is open. A metric without a single sample that passes never passes. */
export function judgeMetric(metric: Metric, samples: readonly Sample[]): Verdict | undefined {
  const { pass, fail, inconclusive } = countsOf(samples);
  if (fail > metric.failureLimit) return 'fail';
  if (samples.length < metric.count) return undefined;
  return pass === 0 || inconclusive > metric.inconclusiveLimit ? 'inconclusive' : 'pass';
}

/** A failure decides at once. Everything else is decided when all metrics are. */
export function judgeAll(verdicts: readonly (Verdict | undefined)[]): Verdict | undefined {
  if (verdicts.includes('fail')) return 'fail';
  if (verdicts.includes(undefined)) return undefined;
  return verdicts.includes('inconclusive') ? 'inconclusive' : 'pass';
}

/** Milliseconds from the start of the baking to a sample, which counts from 1. */
export function sampleAtMs({ initialDelaySeconds, intervalSeconds }: Metric, number: number): number {
  return (initialDelaySeconds + intervalSeconds * number) * 1000;
}
