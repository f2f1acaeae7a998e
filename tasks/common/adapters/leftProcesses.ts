import { isProcessGone, stopProcess, waitUntilGone } from './processes';

/** Helm's rollback is let finish, and the guard ends it at the latest 27 s after the main phase's last sign of life. */
const helmEndsWithinMs = 30_000;

/**
 * Ends what the main phase of a step has left running, before anything else touches the release: the phase itself, which
 * nobody may have told that it is cancelled (the agent signals nothing into a container), then Helm. That is told by its
 * guard, or, if that is gone too, by us.
 */
export async function stopLeftProcesses(
  main: string,
  children: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  if (!isProcessGone(main)) {
    say('Its process is still at work: it is told to stop.');
    await stopProcess(main, [
      { signal: 'SIGTERM', waitMs: 8000 },
      { signal: 'SIGKILL', waitMs: 2000 },
    ]);
  }
  const left = await waitUntilGone(children, helmEndsWithinMs);
  for (const mark of left) {
    await stopProcess(
      mark,
      [
        { signal: 'SIGINT', waitMs: 5000 },
        { signal: 'SIGKILL', waitMs: 2000 },
      ],
      'group',
    );
  }
}
