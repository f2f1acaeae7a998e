import type { NameFacts } from './names';
import { toneOfOutcome } from './names';
import type { StepView } from './step';
import type { Tone } from './tree';

/** A report of the run, as far as it is known: by its name, or by its content. */
export interface Item {
  key: string;
  facts: NameFacts;
  view?: StepView;
}

export interface Ranked {
  key: string;
  tone: Tone;
  /** What a later step of the run has made of it, or empty. */
  later: string;
}

/** The worst comes first. A failure that a later step of the run has mended is no problem any more. */
export function ranked(items: readonly Item[]): Ranked[] {
  const mended = mendings(items);
  return items
    .map((item, index) => {
      const later = mended.get(item.key) ?? '';
      const tone = item.view?.tone ?? toneOfOutcome(item.facts);
      return { key: item.key, tone, later, index };
    })
    .toSorted((one, other) => rankOf(one) - rankOf(other) || one.index - other.index)
    .map(({ key, tone, later }) => ({ key, tone, later }));
}

const toneRank: Readonly<Record<Tone, number>> = { bad: 0, warning: 1, busy: 2, unknown: 3, neutral: 4, good: 6 };
const mendedRank = 5;

function rankOf({ tone, later }: Pick<Ranked, 'tone' | 'later'>): number {
  return later === '' ? toneRank[tone] : mendedRank;
}

/** By the key of a report: the last step after it that left the same release well. */
function mendings(items: readonly Item[]): Map<string, string> {
  const mended = new Map<string, string>();
  for (const { key, view } of items) {
    if (view === undefined || view.release === '' || view.tone === 'good') continue;
    const later = items
      .map((item) => item.view)
      .filter((other) => other?.release === view.release && other.tone === 'good' && isLater(other, view))
      .at(-1);
    if (later !== undefined) mended.set(key, later.word);
  }
  return mended;
}

function isLater(one: StepView, other: StepView): boolean {
  return one.finishedAt !== undefined && other.finishedAt !== undefined && one.finishedAt > other.finishedAt;
}

const words: readonly (readonly [Tone | 'mended', string])[] = [
  ['bad', 'failed'],
  ['warning', 'to look at'],
  ['neutral', 'planned'],
  ['unknown', 'not known'],
  ['mended', 'followed by a better one'],
  ['good', 'well'],
];

/** `12 reports: 1 failed, 11 well.` */
export function overviewSentence(all: readonly Ranked[]): string {
  const counts = words.flatMap(([tone, word]) => {
    const number = all.filter((each) => (each.later === '' ? each.tone : 'mended') === tone).length;
    return number === 0 ? [] : [`${number} ${word}`];
  });
  return `${all.length === 1 ? '1 report' : `${all.length} reports`}: ${counts.join(', ')}.`;
}
