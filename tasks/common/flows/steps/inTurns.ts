import { stopIfCancelled } from '../../core/releaseContext';

/** Requests at a time: enough to hide the way to the server, few enough not to be held back by its fairness. */
const atATime = 8;

/** All of them, a few at a time, answers in their order. The first error ends it. */
export async function inTurns<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of rest) {
      stopIfCancelled(signal);
      results[index] = await work(item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, items.length) }, worker));
  return results;
}
