import type { Chart, Lane } from '../model/chart';
import { badge, h, s } from './dom';

const percent = (share: number): string => `${(share * 100).toFixed(2)}%`;

/** A bar that is shorter could not be seen. */
const shortestBar = 0.005;

/** One lane for each object that was followed. The drawing repeats what the words beside it say. */
export function timelinePart(chart: Chart): HTMLElement {
  if (chart.groups.length === 0) return h('p', {}, 'This step has not followed any object.');
  return h(
    'div',
    { class: 'timeline' },
    axis(chart.ticks),
    ...chart.groups.flatMap(({ title, lanes }) => [
      title === ''
        ? undefined
        : h(
            'h4',
            {},
            title.replace(/^./, (letter) => letter.toUpperCase()),
          ),
      h('ul', {}, ...lanes.map((lane) => laneRow(lane, chart.ticks))),
    ]),
  );
}

function axis(ticks: Chart['ticks']): HTMLElement {
  const labels = ticks.map(({ at, text }, index) => {
    const anchor = index === 0 ? 'start' : at > 0.94 ? 'end' : 'middle';
    return s('text', { x: percent(at), y: 12, 'text-anchor': anchor }, text);
  });
  return h('div', { class: 'axis lane' }, s('svg', { class: 'drawing', height: 18, 'aria-hidden': 'true' }, ...labels));
}

function laneRow(lane: Lane, ticks: Chart['ticks']): HTMLElement {
  const { label, tone, words, from, to, marks } = lane;
  return h(
    'li',
    { class: 'lane' },
    h('span', { class: 'label' }, label),
    s(
      'svg',
      { class: 'drawing', height: 20, 'aria-hidden': 'true' },
      ...ticks.map(({ at }) => s('line', { class: 'grid', x1: percent(at), x2: percent(at), y1: 0, y2: 20 })),
      s('rect', {
        class: `bar ${tone}`,
        x: percent(from),
        width: percent(Math.max(shortestBar, to - from)),
        y: 5,
        height: 10,
        rx: 3,
      }),
      ...marks.map((mark) =>
        s(
          'svg',
          { x: percent(mark.at), y: 10, overflow: 'visible' },
          s('path', { class: `mark ${mark.tone}`, d: 'M0 -8 6 0 0 8 -6 0Z' }),
        ),
      ),
    ),
    h(
      'span',
      { class: 'words' },
      badge(tone, words),
      ...marks.map(({ text }) => h('span', { class: 'marked' }, `◆ ${text}`)),
    ),
  );
}
