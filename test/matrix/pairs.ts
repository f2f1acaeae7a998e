import { shuffled, type Random } from './random';

/**
 * Chooses items that together contain every pair of levels that any item has: a greedy covering array over a list, so
 * impossible combinations are simply not in the list. `levelsOf` gives an item's level of each factor, always in the
 * same order. Items that cover most come first, so the first few are a good sample too.
 */
export function coveringPairs<T>(items: readonly T[], levelsOf: (item: T) => readonly string[], random: Random): T[] {
  const candidates = shuffled(items, random).map((item) => {
    const pairs = pairsOf(levelsOf(item));
    return { item, pairs, gain: pairs.length };
  });
  const open = new Set(candidates.flatMap(({ pairs }) => pairs));
  const chosen: T[] = [];
  while (open.size > 0) {
    let best = candidates[0];
    let most = 0;
    for (const candidate of candidates) {
      // The gain of an item only falls, so most items need not be counted again.
      if (candidate.gain <= most) continue;
      candidate.gain = candidate.pairs.filter((pair) => open.has(pair)).length;
      if (candidate.gain > most) [best, most] = [candidate, candidate.gain];
    }
    if (best === undefined) break;
    chosen.push(best.item);
    for (const pair of best.pairs) open.delete(pair);
  }
  return chosen;
}

/** Every pair of levels, each with the name of its factor. */
export function pairsOf(levels: readonly string[]): string[] {
  return levels.flatMap((one, first) =>
    levels.slice(first + 1).map((other, offset) => `${first}=${one} ${first + 1 + offset}=${other}`),
  );
}
