import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Line {
  /** A time of `performance.now()`. */
  readonly at: number;
  readonly text: string;
}

export interface WatchedRun {
  /** A time of `performance.now()`. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly exitCode: number | null;
  readonly lines: readonly Line[];
  /** Undefined if the system does not show it (only Linux does). */
  readonly usage: Usage | undefined;
}

export interface Usage {
  readonly peakMiB: number;
  /** The sum of all its threads, in user and kernel mode. */
  readonly cpuSeconds: number;
}

export interface WatchedOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** A process that runs longer is killed. */
  readonly timeoutSeconds?: number;
}

const samplingMilliseconds = 100;

/** Runs a process and records the time of each output line and the resources that the process uses. */
export async function watched(
  program: string,
  args: readonly string[],
  { timeoutSeconds, ...options }: WatchedOptions = {},
): Promise<WatchedRun> {
  const startedAt = performance.now();
  const child = spawn(program, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds * 1000, killSignal: 'SIGKILL' as const }),
  });
  const lines: Line[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => lines.push({ at: performance.now(), text }));
  }
  let usage: Usage | undefined;
  const sampling = setInterval(() => {
    usage = usageOf(child.pid) ?? usage;
  }, samplingMilliseconds);
  let endedAt = startedAt;
  child.once('exit', () => {
    endedAt = performance.now();
  });
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    return { startedAt, endedAt, exitCode, lines, usage };
  } finally {
    clearInterval(sampling);
  }
}

/** Ticks of the kernel's clock per second. The value is the same on every Linux that Node runs on. */
const ticksPerSecond = 100;

function usageOf(pid: number | undefined): Usage | undefined {
  if (pid === undefined) return undefined;
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // The program's name, in parentheses, may contain blanks, so the fields are counted after it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    if (peak === undefined) return undefined;
    const ticks = Number(fields[11]) + Number(fields[12]);
    return { peakMiB: Number(peak) / 1024, cpuSeconds: ticks / ticksPerSecond };
  } catch {
    return undefined;
  }
}

export function outputOf({ lines }: WatchedRun): string {
  return lines.map(({ text }) => text).join('\n');
}
