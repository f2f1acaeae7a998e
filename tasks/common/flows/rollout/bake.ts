import { TaskError } from '../../core/failure';
import type { BakeRequest } from '../../core/inputs/bakeRequest';
import { formatDuration } from '../../core/inputs/duration';
import { comparesWithBefore, type Before } from '../../core/metrics/condition';
import { judgeAll, judgeMetric, judgeSample, sampleAtMs, type Sample, type Verdict } from '../../core/metrics/judge';
import { filledSource, sourceText, type Metric, type MetricSource } from '../../core/metrics/metric';
import type { Reading } from '../../core/metrics/answer';
import type { MetricsPort } from '../../core/ports';
import type { RolloutContext } from '../../core/releaseContext';
import { reportedMetric, sampleLine, type ReportedMetric, valueText } from '../../core/report/metrics';
import { duration } from '../../core/text/durationText';
import type { DesiredObject } from '../release/desiredObjects';
import { inTurns } from '../steps/inTurns';
import { later } from '../steps/phase';
import { followRollout, rolloutPolicy, type RolloutEnd, type RolloutOptions } from './rollout';

export interface BakeContext extends RolloutContext {
  metrics?: MetricsPort;
}

/** The names that queries may use. `revision` is empty if there is none. */
export interface BakeSubject {
  release: string;
  revision: string;
}

export interface BakeEnd {
  rollout: RolloutEnd;
  /** `pass` without metrics. Undefined if the baking ended before the verdict. */
  verdict: Verdict | undefined;
  metrics: readonly ReportedMetric[];
}

export interface Baking {
  request: BakeRequest;
  objects: readonly DesiredObject[];
  subject: BakeSubject;
  /** By the name of the metric. */
  before: ReadonlyMap<string, Before>;
  /** An object that is not healthy at the end of the baking has this time. */
  timeoutSeconds: number;
  follow: Omit<RolloutOptions, 'policy' | 'stop' | 'until'>;
}

/**
 * Follows objects that are healthy for the time of the baking, and takes the samples of the metrics meanwhile. Ends
 * early when an object or a metric fails.
 */
export async function bake(context: BakeContext, baking: Baking): Promise<BakeEnd> {
  const { agent, clock, signal } = context;
  const { request, objects, follow, timeoutSeconds } = baking;
  agent.log(bakeSentence(request));
  const over = new AbortController();
  const failed = new AbortController();
  const ended = new AbortController();
  const stopSampling = AbortSignal.any([signal, failed.signal, ended.signal]);
  const measured = measureAll(context, baking, stopSampling, () => {
    failed.abort();
  });
  const time = clock.sleep(request.seconds * 1000, stopSampling);
  const settled = Promise.all([measured, time]).then(() => {
    over.abort();
  });
  const deadline = later(clock.now(), request.seconds + timeoutSeconds);
  const policy = rolloutPolicy(context, deadline, true);
  try {
    const rollout = await followRollout(context, objects, {
      ...follow,
      policy,
      until: over.signal,
      stop: failed.signal,
    });
    ended.abort();
    const states = await measured;
    const verdict = judgeAll(states.map(({ metric, samples }) => judgeMetric(metric, samples)));
    return { rollout, verdict, metrics: states.map(reportedMetric) };
  } finally {
    ended.abort();
    await settled;
  }
}

function bakeSentence({ seconds, metrics }: BakeRequest): string {
  const what = metrics === undefined ? '' : `, and ${metrics.metrics.map(({ name }) => name).join(', ')} measured`;
  return `The objects are followed for another ${duration(seconds)}${what}.`;
}

interface Measured {
  metric: Metric;
  query: string;
  before: Before;
  samples: Sample[];
}

/** Resolves when every sample is taken, or on abort. */
async function measureAll(
  context: BakeContext,
  { request, subject, before }: Baking,
  stop: AbortSignal,
  onFailed: () => void,
): Promise<Measured[]> {
  const startedMs = context.clock.monotonicMs();
  const states = (request.metrics?.metrics ?? []).map((metric) => {
    const source = filled(context, metric, subject);
    return { metric, source, query: sourceText(source), before: before.get(metric.name), samples: [] };
  });
  await Promise.all(states.map((state) => measure(context, state, { startedMs, stop, onFailed })));
  return states;
}

function filled({ namespace }: RolloutContext, metric: Metric, { release, revision }: BakeSubject): MetricSource {
  const interval = formatDuration(metric.intervalSeconds);
  return filledSource(metric.source, { release, namespace, revision, interval });
}

/** A sample that is later than this is not taken: a server that hangs must not make the baking much longer. */
const latestMs = 30_000;
const missedReading: Reading = { kind: 'noValue', problem: 'the samples before it took too long' };

/** A metric whose samples stay alike is logged once in this time. */
const quietMs = 30_000;

async function measure(
  context: BakeContext,
  { metric, source, before, samples }: Measured & { source: MetricSource },
  { startedMs, stop, onFailed }: { startedMs: number; stop: AbortSignal; onFailed: () => void },
): Promise<void> {
  const { agent, clock } = context;
  let loggedMs = -Infinity;
  while (samples.length < metric.count) {
    const dueMs = startedMs + sampleAtMs(metric, samples.length + 1);
    await clock.sleep(Math.max(0, dueMs - clock.monotonicMs()), stop);
    if (stop.aborted) return;
    const isLate = clock.monotonicMs() - dueMs > latestMs;
    const reading = isLate ? missedReading : await readOnce(context, source, stop);
    if (reading === undefined) return;
    const sample = judgeSample(metric, reading, before, clock.now().toISOString());
    const isNews = sample.verdict !== samples.at(-1)?.verdict || sample.note !== samples.at(-1)?.note;
    samples.push(sample);
    if (isNews || clock.monotonicMs() - loggedMs >= quietMs || samples.length === metric.count) {
      agent.log(sampleLine(metric, samples.length, sample));
      loggedMs = clock.monotonicMs();
    }
    if (judgeMetric(metric, samples) === 'fail') {
      onFailed();
      return;
    }
  }
}

/** Undefined if it was stopped. */
async function readOnce(
  { metrics }: BakeContext,
  source: MetricSource,
  stop: AbortSignal,
): Promise<Reading | undefined> {
  if (metrics === undefined) throw new TaskError('Internal', 'There is nothing that reads metrics.');
  const reading = await metrics.read(source, stop);
  return stop.aborted ? undefined : reading;
}

/**
 * Asks every query once before anything is changed, and returns the values. Throws `InputInvalid` for a query that can
 * never give one number, and `MetricsUnavailable` if Prometheus does not answer. An address of JSON may belong to what
 * is deployed, so it need not answer yet. `subject` is undefined if nothing serves.
 */
export async function tryMetrics(
  context: BakeContext,
  { metrics }: BakeRequest,
  release: string,
  revision: string | undefined,
): Promise<Map<string, Before>> {
  const { agent, signal } = context;
  const all = metrics?.metrics ?? [];
  const subject = { release, revision: revision ?? '1' };
  const values = await inTurns(all, signal, async (metric): Promise<[string, Before]> => {
    const reading = (await readOnce(context, filled(context, metric, subject), signal)) ?? cancelledReading;
    refuse(metric, reading);
    const value = 'value' in reading ? reading.value : undefined;
    const isCompared = comparesWithBefore(metric.condition);
    agent.log(`  ${metric.name}  ${'problem' in reading ? reading.problem : `is ${valueText(reading.value)} now`}`);
    if (isCompared && revision === undefined) {
      agent.log(`  ${metric.name}  No revision serves, so the comparison with the value before counts for nothing.`);
    } else if (isCompared && value === undefined) {
      agent.warning(`Metric ${metric.name} compares with its value before the deploy, and has none now.`);
    }
    return [metric.name, revision === undefined ? null : value];
  });
  return new Map(values);
}

const cancelledReading: Reading = { kind: 'noValue', problem: 'the step was cancelled' };

function refuse({ name, source }: Metric, reading: Reading): void {
  if (!('problem' in reading) || source.kind === 'json' || reading.kind === 'noValue') return;
  const message = `Metric ${name}: ${reading.problem}. The query is ${source.query.trim()}. Nothing was changed.`;
  if (reading.kind === 'wrong') {
    throw new TaskError('InputInvalid', `Input metrics: ${message}`, { facts: { inputs: 'metrics' } });
  }
  throw new TaskError('MetricsUnavailable', message);
}
