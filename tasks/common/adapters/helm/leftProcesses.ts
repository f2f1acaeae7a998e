import type { LeftEnded } from '../../core/releaseContext';
import { canBeSeen, isProcessGone, stopProcess, waitUntilGone } from '../system/processes';

/** The guard ends a rollback of Helm at the latest 27 s after the main phase's last sign of life. */
const helmEndsWithinMs = 30_000;

/**
 * Ends the main phase first, because it may not know that it is cancelled: the agent sends no signal into a container.
 * Then the guard stops Helm, or this code does if the guard is gone too. A Helm that cannot be seen from here runs no
 * longer than its Lease lasts. `children` holds marks, one per line.
 */
export async function stopLeftProcesses(
  main: string,
  children: string | undefined,
  log: (line: string) => void,
): Promise<LeftEnded> {
  const isMainGone = !canBeSeen(main) || isProcessGone(main) || (await stopMain(main, log));
  const marks = (children ?? '').split('\n').filter((mark) => mark !== '');
  const left = await waitUntilGone(marks.filter(canBeSeen), helmEndsWithinMs);
  const ended = await Promise.all(left.map(stopHelm));
  return {
    isHelmStopped: marks.every(canBeSeen) && ended.every(Boolean),
    isProcessGone: (mark) => (mark === main ? isMainGone : isProcessGone(mark)),
  };
}

function stopMain(mark: string, log: (line: string) => void): Promise<boolean> {
  log('The process of the step is still running. The task stops it.');
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
