import { abortableDelay } from './transport';

/** Changes within this time are reported together. */
const coalesceMs = 20;

/** The longest pause between snapshots, so that the end of a rollout is seen at once even with many objects. */
const longestRestMs = 250;

/** After a snapshot of thousands of pods, the caller rests so much longer that it takes little of a processor. */
export function restAfter(lookedMs: number): number {
  return Math.max(coalesceMs, Math.min(60 * lookedMs, longestRestMs));
}

interface NewsBoard {
  post(): void;
  version(): number;
  wait(milliseconds: number, signals: readonly AbortSignal[]): Promise<void>;
}

export function newsBoard(): NewsBoard {
  let version = 0;
  let seen = 0;
  let lookingSince: number | undefined;
  const waiting = new Set<AbortController>();
  return {
    post() {
      version++;
      for (const wake of waiting) wake.abort();
    },
    version: () => version,
    async wait(milliseconds, signals) {
      const lookedMs = lookingSince === undefined ? 0 : performance.now() - lookingSince;
      const wake = new AbortController();
      waiting.add(wake);
      if (version === seen) await abortableDelay(milliseconds, [...signals, wake.signal]);
      waiting.delete(wake);
      if (version !== seen) await abortableDelay(restAfter(lookedMs), signals);
      seen = version;
      lookingSince = performance.now();
    },
  };
}
