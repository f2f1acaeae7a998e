import { TaskError } from '../../core/failure';
import type { Clock } from '../../core/ports';

/** Throws `ClusterUnreachable` with `what` in its message after `milliseconds`. A later result is ignored. */
export async function within<T>(
  clock: Clock,
  milliseconds: number,
  promise: Promise<T>,
  what = 'The API server did not answer',
): Promise<T> {
  const timer = new AbortController();
  const late = clock.sleep(milliseconds, timer.signal).then((): never => {
    throw new TaskError('ClusterUnreachable', `${what} within ${milliseconds / 1000} s.`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** Throws `Cancelled` when `signal` aborts. */
export function orCancelled<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(new TaskError('Cancelled', 'The step was cancelled.'));
    };
    promise
      .finally(() => {
        signal.removeEventListener('abort', stop);
      })
      .then(resolve, reject);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
