import { setTimeout as delay } from 'node:timers/promises';

/** Thrown by a condition that can never become true. */
export class Hopeless extends Error {}

/**
 * Calls `condition` repeatedly until it returns true. An error counts as "not yet" and becomes the cause of the timeout
 * error, except {@link Hopeless}, which ends the wait. Rejects with the signal's reason when aborted.
 */
export async function waitFor(
  what: string,
  condition: () => Promise<boolean> | boolean,
  options: {
    readonly signal?: AbortSignal;
    readonly timeoutSeconds?: number;
    readonly intervalMilliseconds?: number;
  } = {},
): Promise<void> {
  const { signal, timeoutSeconds = 60, intervalMilliseconds = 50 } = options;
  const deadline = Date.now() + timeoutSeconds * 1000;
  let last: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      if (await condition()) return;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`Waited ${timeoutSeconds} seconds in vain: ${what}.`, last === undefined ? {} : { cause: last });
    }
    await delay(intervalMilliseconds, undefined, signal ? { signal } : {});
  }
}
