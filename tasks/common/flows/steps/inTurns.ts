import { stopIfCancelled } from '../../core/releaseContext';

/** Few enough that the API server's fairness does not hold requests back. */
const atATime = 8;

/** Returns the results in the order of the items. Rejects with the first error. */
export async function inTurns<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (const [index, item] of rest) {
      if (hasFailed) return;
      try {
        stopIfCancelled(signal);
        results[index] = await work(item, index);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, items.length) }, worker));
  return results;
}
