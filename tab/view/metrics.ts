import type { MetricChart, MetricPoint } from '../model/metricCharts';
import { badge, h, s, unfolding } from './dom';

/** One chart for each metric. The list below it says the same in words. */
export function metricsPart(charts: readonly MetricChart[]): HTMLElement {
  return h('div', { class: 'metrics' }, ...charts.map(metricFigure));
}

function metricFigure(chart: MetricChart): HTMLElement {
  return h(
    'figure',
    { class: 'metric' },
    h('figcaption', {}, h('h4', {}, chart.name), badge(chart.tone, chart.verdict)),
    drawing(chart),
    h('p', {}, chart.message),
    h('dl', {}, ...chart.facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    h('pre', { tabindex: 0 }, h('code', {}, chart.query)),
    unfolding([`Samples of ${chart.name} (${chart.points.length})`], () => [
      h('ul', {}, ...chart.points.map(({ text }) => h('li', {}, text))),
    ]),
  );
}

const width = 640;
const height = 120;
const margin = 12;

function drawing({ name, points, limits, low, high }: MetricChart): SVGSVGElement {
  const at = (share: number, whole: number): number => margin + share * (whole - 2 * margin);
  const across = (x: number): string => at(x, width).toFixed(1);
  const up = (y: number): string => (height - at(y, height)).toFixed(1);
  const line = linesOf(points)
    .map((part) => part.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${across(x)} ${up(y)}`).join(' '))
    .join(' ');
  return s(
    'svg',
    {
      class: 'drawing',
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `Samples of ${name}, from ${low} to ${high}`,
    },
    ...limits.flatMap((limit) => [
      s('line', { class: 'limit', x1: 0, x2: width, y1: up(limit.y), y2: up(limit.y) }),
      s('text', { x: width - 2, y: Number(up(limit.y)) - 4, 'text-anchor': 'end' }, limit.text),
    ]),
    s('path', { class: 'curve', d: line }),
    ...points.map(({ x, y, tone }) =>
      y === undefined
        ? s('text', { class: 'silent', x: across(x), y: up(0), 'text-anchor': 'middle' }, '?')
        : s('circle', { class: `sample ${tone}`, cx: across(x), cy: up(y), r: 4 }),
    ),
  );
}

/** The curve has a gap where a sample has no number. */
function linesOf(points: readonly MetricPoint[]): { x: number; y: number }[][] {
  const lines: { x: number; y: number }[][] = [[]];
  for (const { x, y } of points) {
    if (y === undefined) lines.push([]);
    else lines.at(-1)?.push({ x, y });
  }
  return lines;
}
