import { comparesWithBefore, type Before, type Value } from '../metrics/condition';
import { countsOf, judgeMetric, type Sample, type Verdict } from '../metrics/judge';
import type { Metric } from '../metrics/metric';
import { counted } from '../text/counted';
import { cell, codeBlock, markdownTable } from '../text/markdown';

/** A metric of the baking, with what was measured. */
export interface ReportedMetric {
  name: string;
  /** The query as it was sent, or the address and the JSON pointer. */
  query: string;
  condition: string;
  /** `open`: the baking ended before the verdict. */
  verdict: Verdict | 'open';
  /** A sentence. */
  message: string;
  /** The value before the deploy; null if it is not known, or if nothing is compared with it. */
  before: Value | null;
  samples: readonly Sample[];
}

interface MetricState {
  metric: Metric;
  query: string;
  before: Before;
  samples: readonly Sample[];
}

export function reportedMetric({ metric, query, before, samples }: MetricState): ReportedMetric {
  const verdict = judgeMetric(metric, samples) ?? 'open';
  return {
    name: metric.name,
    query,
    condition: metric.condition.text,
    verdict,
    message: messageOf(metric, samples, verdict),
    before: comparesWithBefore(metric.condition) ? (before ?? null) : null,
    samples,
  };
}

/** Four digits that count. */
export function valueText(value: Value | null): string {
  if (value === null) return 'no value';
  if (typeof value === 'string') return `"${value}"`;
  return String(Number(value.toPrecision(4)));
}

function messageOf(metric: Metric, samples: readonly Sample[], verdict: ReportedMetric['verdict']): string {
  const { name, condition, count } = metric;
  const { pass, fail, inconclusive } = countsOf(samples);
  const taken = counted(samples.length, 'sample', 'samples');
  switch (verdict) {
    case 'fail': {
      const last = samples.findLast((sample) => sample.verdict === 'fail');
      return `Metric ${name} failed ${fail} of ${taken} (${metric.failureLimit} allowed): the last was ${valueText(last?.value ?? null)}, and the condition is ${condition.text}.`;
    }
    case 'inconclusive': {
      const last = samples.findLast((sample) => sample.verdict === 'inconclusive');
      const why = last === undefined ? '' : `, the last because ${last.note}`;
      return `Metric ${name} is inconclusive: ${inconclusive} of ${taken} say nothing (${metric.inconclusiveLimit} allowed)${why}.`;
    }
    case 'pass':
      return `Metric ${name} passed ${pass} of ${taken}.`;
    case 'open':
      return `Metric ${name} was not decided: ${samples.length} of ${counted(count, 'sample', 'samples')} had been taken.`;
  }
}

/** Why the metrics as a whole did not pass: the failed ones, or else the inconclusive ones. */
export function verdictMessage(metrics: readonly ReportedMetric[]): string {
  const failed = metrics.filter(({ verdict }) => verdict === 'fail');
  const telling = failed.length > 0 ? failed : metrics.filter(({ verdict }) => verdict === 'inconclusive');
  return telling.map(({ message }) => message).join(' ');
}

/** For a line of the log. */
export function sampleLine({ name, count }: Metric, number: number, sample: Sample): string {
  const why = sample.note === '' ? '' : `: ${sample.note}`;
  return `  ${name}  sample ${number} of ${count}: ${valueText(sample.value)} (${sample.verdict}${why})`;
}

const bars = '▁▂▃▄▅▆▇█';
/** More samples are shown by the last ones. */
const sparkLimit = 60;

/** A chart in one line of text, because the summary page draws no SVG. A sample without a number is a `?`. */
export function sparkline(samples: readonly Sample[]): string {
  const shown = samples.slice(-sparkLimit);
  const numbers = shown.flatMap(({ value }) => (typeof value === 'number' ? [value] : []));
  if (numbers.length === 0) return '';
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low;
  return shown
    .map(({ value }) => {
      if (typeof value !== 'number') return '?';
      return bars[span === 0 ? 0 : Math.round(((value - low) / span) * (bars.length - 1))];
    })
    .join('');
}

/** Undefined if no metric was measured. */
export function metricsMarkdown(metrics: readonly ReportedMetric[]): string {
  if (metrics.length === 0) return '';
  const rows = metrics.map((metric) => {
    const last = metric.samples.at(-1);
    return [
      metric.name,
      metric.verdict,
      metric.condition,
      metric.before === null ? '' : valueText(metric.before),
      last === undefined ? '' : valueText(last.value),
      sparkline(metric.samples),
    ];
  });
  const table = markdownTable(['Metric', 'Verdict', 'Condition', 'Before', 'Last', 'Samples'], rows);
  const failed = metrics.filter(({ verdict }) => verdict === 'fail' || verdict === 'inconclusive');
  const told = failed.map(({ message, query }) => `${cell(message)}\n\n${codeBlock([query])}`);
  return [table, ...told].join('\n\n');
}
