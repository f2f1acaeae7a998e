import { shuffled, type Random } from './random';

/**
 * Some of the items that together have every pair of levels that any item has: a greedy covering array over a list, so
 * that what cannot be combined need only be absent from it. `levelsOf` names an item's level of each factor, always in
 * the same order. Items that cover most come first, so that the first few of them are a good sample too.
 */
export function coveringPairs<T>(items: readonly T[], levelsOf: (item: T) => readonly string[], random: Random): T[] {
  const candidates = shuffled(items, random).map((item) => ({ item, pairs: pairsOf(levelsOf(item)) }));
  const open = new Set(candidates.flatMap(({ pairs }) => pairs));
  const chosen: T[] = [];
  while (open.size > 0) {
    let best = { item: undefined as T | undefined, pairs: [] as readonly string[], gain: 0 };
    for (const { item, pairs } of candidates) {
      const gain = pairs.filter((pair) => open.has(pair)).length;
      if (gain > best.gain) best = { item, pairs, gain };
    }
    chosen.push(best.item as T);
    for (const pair of best.pairs) open.delete(pair);
  }
  return chosen;
}

/** Every two of the levels, each named with its factor. */
export function pairsOf(levels: readonly string[]): string[] {
  return levels.flatMap((one, first) =>
    levels.slice(first + 1).map((other, offset) => `${first}=${one} ${first + 1 + offset}=${other}`),
  );
}
