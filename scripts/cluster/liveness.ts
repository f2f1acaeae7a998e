import fs from 'node:fs';

/**
 * A running process. Its start time distinguishes it from a later process with the same id (`-` if there is no /proc).
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

/**
 * Returns undefined if no such process runs. A process that has ended and only waits to be reaped does not run and
 * holds nothing. But while one of its threads is still ending, it may hold its ports.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!Number.isInteger(pid) || pid <= 0 || !answers(pid)) return undefined;
  if (process.platform !== 'linux') return { pid, started: '-' };
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it may contain anything, even blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = ''] = fields;
    const threads = Number(fields[17]);
    const hasEnded = (state === 'Z' || state === 'X') && threads <= 1;
    return hasEnded ? undefined : { pid, started: fields[19] ?? '-' };
  } catch {
    return undefined;
  }
}

export function stillRuns({ pid, started }: ProcessIdentity): boolean {
  return identify(pid)?.started === started;
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
