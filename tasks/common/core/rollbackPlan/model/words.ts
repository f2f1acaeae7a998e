import type { PlannedChange } from './types';

export interface ChangeWords {
  /** `rollback`; a sentence says «the rollback». */
  change: string;
  /** The source of the desired objects: `the target`. */
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
