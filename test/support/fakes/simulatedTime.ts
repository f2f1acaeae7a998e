import type { Clock } from '../../../tasks/common/core/ports';

/** Simulated time. It advances only when all code waits, and then jumps to the earliest awaited moment. */
export interface SimulatedTime extends Clock {
  /** Milliseconds since the simulation began. */
  elapsed(): number;
  /** Schedules an event after this delay. */
  after(milliseconds: number, happen: () => void): void;
  /** Ends every wait with `wake` true, because something has changed. */
  wakeAll(): void;
  wait(milliseconds: number, signal: AbortSignal, wake: boolean): Promise<void>;
}

interface Wait {
  due: number;
  wake: boolean;
  done(): void;
}

const start = Date.parse('2026-01-01T00:00:00Z');

export function simulatedTime(): SimulatedTime {
  const waits = new Set<Wait>();
  let time = 0;
  let isTicking = false;

  const tick = (): void => {
    isTicking = false;
    const [next] = [...waits].sort((one, other) => one.due - other.due);
    if (next === undefined) return;
    time = Math.max(time, next.due);
    waits.delete(next);
    next.done();
    keepTicking();
  };
  const keepTicking = (): void => {
    if (isTicking || waits.size === 0) return;
    isTicking = true;
    setImmediate(tick);
  };
  const add = (wait: Wait): void => {
    waits.add(wait);
    keepTicking();
  };
  const wait: SimulatedTime['wait'] = (milliseconds, signal, wake) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const entry: Wait = {
        due: time + milliseconds,
        wake,
        done: () => {
          signal.removeEventListener('abort', stop);
          resolve();
        },
      };
      const stop = (): void => {
        waits.delete(entry);
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
      add(entry);
    });

  return {
    now: () => new Date(start + time),
    monotonicMs: () => time,
    elapsed: () => time,
    sleep: (milliseconds, signal) => wait(milliseconds, signal, false),
    wait,
    after(milliseconds, happen) {
      add({ due: time + milliseconds, wake: false, done: happen });
    },
    wakeAll() {
      for (const entry of [...waits].filter(({ wake }) => wake)) {
        waits.delete(entry);
        entry.done();
      }
    },
  };
}
