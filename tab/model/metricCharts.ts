import { limitsOf, parseCondition } from '../../tasks/common/core/metrics/condition';
import { valueText, type ReportedMetric } from '../../tasks/common/core/report/metrics';
import { timeOf } from './reading';
import type { Tone } from './tree';

/** Positions are shares of the drawing, from 0 to 1; `y` counts from the bottom. */
export interface MetricPoint {
  x: number;
  /** Undefined for a sample without a number. */
  y: number | undefined;
  tone: Tone;
  /** The words of the sample for people. */
  text: string;
}

export interface MetricChart {
  name: string;
  tone: Tone;
  verdict: string;
  message: string;
  query: string;
  facts: readonly (readonly [string, string])[];
  points: readonly MetricPoint[];
  /** The limits of the condition. */
  limits: readonly { y: number; text: string }[];
  low: string;
  high: string;
}

const tones: Readonly<Record<ReportedMetric['verdict'], Tone>> = {
  pass: 'good',
  fail: 'bad',
  inconclusive: 'unknown',
  open: 'neutral',
};

export function metricCharts(metrics: readonly ReportedMetric[]): MetricChart[] {
  return metrics.map(chartOf);
}

function chartOf(metric: ReportedMetric): MetricChart {
  const { name, verdict, message, query, condition, before, samples } = metric;
  const numbers = samples.flatMap(({ value }) => (typeof value === 'number' ? [value] : []));
  const parsed = parseCondition(condition);
  const limits = parsed === undefined ? [] : limitsOf(parsed, before ?? undefined);
  const all = [...numbers, ...limits];
  const low = all.reduce((least, each) => Math.min(least, each), 0);
  const high = all.reduce((most, each) => Math.max(most, each), low);
  const height = (value: number): number => (high === low ? 0.5 : (value / 2 - low / 2) / (high / 2 - low / 2)); // their difference may be infinite
  return {
    name,
    tone: tones[verdict],
    verdict,
    message,
    query,
    facts: [['Condition', condition], ...(before === null ? [] : [['Before the deploy', valueText(before)] as const])],
    points: samples.map(({ at, value, verdict: one, note }, index) => ({
      x: samples.length === 1 ? 0.5 : index / (samples.length - 1),
      y: typeof value === 'number' ? height(value) : undefined,
      tone: tones[one],
      text: [`${timeText(at)}: ${valueText(value)} (${one}`, note === '' ? '' : `: ${note}`, ')'].join(''),
    })),
    limits: [...new Set(limits)].map((limit) => ({ y: height(limit), text: valueText(limit) })),
    low: valueText(low),
    high: valueText(high),
  };
}

function timeText(at: string): string {
  const time = timeOf(at);
  return time === undefined ? 'at an unknown time' : `${new Date(time).toISOString().slice(11, 19)} UTC`;
}
