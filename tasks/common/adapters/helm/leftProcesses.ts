import type { LeftEnded } from '../../core/releaseContext';
import { canBeSeen, isProcessGone, stopProcess, waitUntilGone } from '../system/processes';

/** Helm's rollback is let finish, and the guard ends it at the latest 27 s after the main phase's last sign of life. */
const helmEndsWithinMs = 30_000;

/**
 * Ends what the main phase of a step has left running, before anything else touches the release: the phase itself, which
 * nobody may have told that it is cancelled (the agent signals nothing into a container), then Helm. That is told by its
 * guard, or, if that is gone too, by us. Nothing is waited for that cannot be seen: the agent starts the post-job phase after
 * the main phase, and a Helm that cannot be seen outlives it for no longer than its Lease. `children`: marks, one per line.
 */
export async function stopLeftProcesses(
  main: string,
  children: string | undefined,
  say: (line: string) => void,
): Promise<LeftEnded> {
  const isMainGone = !canBeSeen(main) || isProcessGone(main) || (await stopMain(main, say));
  const marks = (children ?? '').split('\n').filter((mark) => mark !== '');
  const left = await waitUntilGone(marks.filter(canBeSeen), helmEndsWithinMs);
  const ended = await Promise.all(left.map(stopHelm));
  return {
    isHelmStopped: marks.every(canBeSeen) && ended.every(Boolean),
    isProcessGone: (mark) => (mark === main ? isMainGone : isProcessGone(mark)),
  };
}

function stopMain(mark: string, say: (line: string) => void): Promise<boolean> {
  say('Its process is still at work: it is told to stop.');
  return stopProcess(mark, [
    { signal: 'SIGTERM', waitMs: 8000 },
    { signal: 'SIGKILL', waitMs: 2000 },
  ]);
}

function stopHelm(mark: string): Promise<boolean> {
  const steps = [
    { signal: 'SIGINT', waitMs: 5000 },
    { signal: 'SIGKILL', waitMs: 2000 },
  ] as const;
  return stopProcess(mark, steps, 'group');
}
