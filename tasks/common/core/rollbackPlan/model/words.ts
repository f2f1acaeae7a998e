import type { PlannedChange } from './types';

export interface ChangeWords {
  /** `rollback`; a sentence says «the rollback». */
  change: string;
  /** What declares the objects that will be: `the target`. */
  target: string;
}

const words: Readonly<Record<PlannedChange, ChangeWords>> = {
  rollback: { change: 'rollback', target: 'the target' },
  deploy: { change: 'deploy', target: 'the chart' },
};

export function wordsOf(change: PlannedChange): ChangeWords {
  return words[change];
}

/** With a capital letter, for the beginning of a sentence. */
export function atStart(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
