import { duration } from '../../tasks/common/core/text/durationText';
import type { RunRecord } from '../model/run';
import type { Tone } from '../model/tree';
import { badge, h } from './dom';

export interface LiveStep {
  step: RunRecord;
  place: string;
  rows: readonly RunRecord[];
}

export interface LivePart {
  element: HTMLElement;
  update(steps: readonly LiveStep[], now: number): void;
}

/** The steps that wait or run. Elements stay the same from poll to poll, so that focus and scroll stay too. */
export function livePart(): LivePart {
  const list = h('ul', { class: 'live' });
  const parts = new Map<string, StepPart>();
  return {
    element: list,
    update: (steps, now) => {
      const keys = new Set(steps.map(({ step }) => step.id));
      for (const [key, part] of parts) {
        if (keys.has(key)) continue;
        part.element.remove();
        parts.delete(key);
      }
      for (const live of steps) {
        const known = parts.get(live.step.id);
        const part = known ?? stepPart();
        parts.set(live.step.id, part);
        if (known === undefined) list.append(part.element);
        part.update(live, now);
      }
    },
  };
}

interface StepPart {
  element: HTMLElement;
  update(live: LiveStep, now: number): void;
}

function stepPart(): StepPart {
  const head = h('div', { class: 'head' });
  const rows = h('ul', { class: 'rows' });
  const element = h('li', { class: 'step' }, head, rows);
  const known = new Map<string, HTMLElement>();
  return {
    element,
    update: ({ step, place, rows: now }, time) => {
      const isRunning = step.state === 'running';
      const since = isRunning && step.startedAt !== undefined ? ` for ${duration((time - step.startedAt) / 1000)}` : '';
      replaceIfNew(head, [
        badge(isRunning ? 'busy' : 'neutral', `${isRunning ? 'running' : 'waiting'}${since}`),
        h('h2', {}, place || step.name),
      ]);
      for (const row of now) {
        const part = known.get(row.id) ?? h('li', {});
        if (!known.has(row.id)) rows.append(part);
        known.set(row.id, part);
        const { tone, word } = rowState(row);
        replaceIfNew(part, [
          badge(tone, word),
          h('span', { class: 'name' }, row.name),
          h('span', { class: 'text' }, row.operation),
        ]);
      }
    },
  };
}

/** Keeps the old nodes if nothing that is shown has changed. */
function replaceIfNew(element: HTMLElement, children: readonly Node[]): void {
  const next = h('div', {}, ...children);
  if (element.textContent !== next.textContent) element.replaceChildren(...next.childNodes);
}

const results: Readonly<Record<string, { tone: Tone; word: string }>> = {
  succeeded: { tone: 'good', word: 'ready' },
  succeededwithissues: { tone: 'warning', word: 'as before' },
  failed: { tone: 'bad', word: 'failed' },
};

function rowState({ state, result, percent }: RunRecord): { tone: Tone; word: string } {
  if (state === 'done') return results[result.toLowerCase()] ?? { tone: 'unknown', word: 'ended' };
  return { tone: 'busy', word: percent === undefined || percent === 0 ? 'in progress' : `${percent} %` };
}
