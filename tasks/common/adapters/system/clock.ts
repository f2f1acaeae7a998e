import type { Clock } from '../../core/ports';
import { startTimer } from './timer';

export const systemClock: Clock = {
  // Time limits need a clock that does not jump when somebody sets the clock of the agent.
  now: () => new Date(performance.timeOrigin + performance.now()),
  monotonicMs: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const finish = (): void => {
        stop();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const stop = startTimer(finish, milliseconds);
      signal.addEventListener('abort', finish, { once: true });
    }),
};
