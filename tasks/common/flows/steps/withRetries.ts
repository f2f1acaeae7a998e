import { TaskError } from '../../core/failure';
import type { RolloutContext } from '../../core/releaseContext';

const tries = 3;
const pauseMs = 1000;

/** Tries three times, because a passing fault must not leave a change half done. */
export async function withRetries<T>({ clock, signal }: RolloutContext, act: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await act();
    } catch (error) {
      if (tried === tries || isFinal(error)) throw error;
    }
    await clock.sleep(pauseMs, signal);
  }
}

function isFinal(error: unknown): boolean {
  return error instanceof TaskError && error.reason === 'LeaseLost';
}
