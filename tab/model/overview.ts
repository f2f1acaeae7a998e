import { toneOfOutcome, type NameFacts } from './names';
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
  /** It needs a person now, and says something that no entry before it says. */
  isUrgent: boolean;
}

/**
 * What needs a person comes first: of each release the first failure, and a plan that waits for approval. A report that
 * a later step of the run has mended, or carried out, comes last.
 */
export function ranked(items: readonly Item[]): Ranked[] {
  const laters = new Map(items.map((item) => [item.key, laterWord(item, items)]));
  const broken = new Set<string>();
  return items
    .map((item, index) => {
      const { key, facts, view } = item;
      const later = laters.get(key) ?? '';
      const tone = view?.tone ?? toneOfOutcome(facts);
      const isRepeated = tone === 'bad' && later === '' && broken.has(view?.release || key);
      if (tone === 'bad' && later === '') broken.add(view?.release || key);
      const rank = later === '' ? rankOf(tone, isPlan(item), isRepeated) : mendedRank;
      return { key, tone, later, rank, index, isUrgent: rank <= urgentRank };
    })
    .toSorted((one, other) => one.rank - other.rank || one.index - other.index)
    .map(({ key, tone, later, isUrgent }) => ({ key, tone, later, isUrgent }));
}

const toneRank: Readonly<Record<Tone, number>> = { bad: 0, warning: 2, busy: 4, unknown: 4, neutral: 4, good: 5 };
const planRank = 1;
const urgentRank = 2;
const repeatedRank = 3;
const mendedRank = 6;

function rankOf(tone: Tone, isPlanned: boolean, isRepeated: boolean): number {
  if (isPlanned && tone !== 'bad') return planRank;
  return isRepeated ? repeatedRank : toneRank[tone];
}

function isPlan({ view }: Item): boolean {
  return view?.planned === true;
}

/** The outcome of the last step after this one that left the same release well, or carried out this plan. */
function laterWord({ view }: Item, items: readonly Item[]): string {
  if (view === undefined || view.release === '' || view.tone === 'good') return '';
  const later = items
    .map((item) => item.view)
    .filter((other) => other?.release === view.release && other.tone === 'good' && isLater(other, view))
    .at(-1);
  return later?.word ?? '';
}

function isLater(one: StepView, other: StepView): boolean {
  return one.finishedAt !== undefined && other.finishedAt !== undefined && one.finishedAt > other.finishedAt;
}

/** The keys of the entries that are open from the start: what is urgent, or else the first one. */
export function openedAtFirst(all: readonly Ranked[]): string[] {
  const urgent = all.filter(({ isUrgent }) => isUrgent);
  return (urgent.length > 0 ? urgent : all.slice(0, 1)).map(({ key }) => key);
}

const words: readonly (readonly [Tone | 'mended', string])[] = [
  ['bad', 'failed'],
  ['warning', 'to look at'],
  ['neutral', 'planned'],
  ['unknown', 'not known'],
  ['good', 'well'],
  ['mended', 'followed by a better one'],
];

/** `12 reports: 1 failed, 11 well.` */
export function overviewSentence(all: readonly Ranked[]): string {
  const counts = words.flatMap(([tone, word]) => {
    const number = all.filter((each) => (each.later === '' ? each.tone : 'mended') === tone).length;
    return number === 0 ? [] : [`${number} ${word}`];
  });
  return `${all.length === 1 ? '1 report' : `${all.length} reports`}: ${counts.join(', ')}.`;
}
