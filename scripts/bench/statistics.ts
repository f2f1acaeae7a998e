/** A figure of ours and one of the other program, measured directly one after the other. */
export interface Pair {
  readonly ours: number;
  readonly theirs: number;
}

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface PairedSpread {
  readonly ours: Spread;
  readonly theirs: Spread;
  /**
   * The spread of the pairs' ratios and differences, not of the medians: a slow phase of the machine affects both
   * figures of a pair.
   */
  readonly ratio: Spread;
  readonly difference: Spread;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

export function pairedSpread(pairs: readonly Pair[]): PairedSpread {
  return {
    ours: spread(pairs.map(({ ours }) => ours)),
    theirs: spread(pairs.map(({ theirs }) => theirs)),
    ratio: spread(pairs.map(({ ours, theirs }) => ours / theirs)),
    difference: spread(pairs.map(({ ours, theirs }) => ours - theirs)),
  };
}

/** Alternates the order (A B, B A, A B …), so that neither is always second. */
export async function inPairs(
  runs: number,
  measureOurs: (run: number) => Promise<number>,
  measureTheirs: (run: number) => Promise<number>,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let run = 1; run <= runs; run += 1) {
    if (run % 2 === 1) {
      const ours = await measureOurs(run);
      pairs.push({ ours, theirs: await measureTheirs(run) });
    } else {
      const theirs = await measureTheirs(run);
      pairs.push({ ours: await measureOurs(run), theirs });
    }
  }
  return pairs;
}
