import { spawn } from 'node:child_process';
import fs from 'node:fs';
import type { Readable } from 'node:stream';
import { createLineSplitter } from './lines';

export type StreamName = 'stdout' | 'stderr';

export interface ProcessTimings {
  /** How long the agent waits after SIGINT before SIGTERM. */
  readonly sigintMs: number;
  /** How long it waits after SIGTERM before SIGKILL. */
  readonly sigtermMs: number;
  /** How long it waits for streams that a grandchild still holds after the process has ended. */
  readonly stdioGraceMs: number;
}

export interface ProcessStart {
  readonly node: string;
  readonly script: string;
  readonly workingFolder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timings: ProcessTimings;
  readonly onLine: (stream: StreamName, line: string) => void;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** A descendant held stdout or stderr longer than the agent waits. */
  readonly stdioHeld: boolean;
}

export interface SentSignal {
  readonly signal: NodeJS.Signals;
  readonly at: Date;
}

/** A task's process as the agent holds it. */
export interface TaskProcess {
  readonly pid: number;
  readonly signalsSent: readonly SentSignal[];
  /** Resolves when the process has ended and its output has been read. */
  readonly finished: Promise<ProcessEnd>;
  /** Sends SIGINT, SIGTERM, SIGKILL to this one process, each only if the previous one did not end it in time. */
  cancel(): Promise<void>;
  /** Sends a signal that the agent did not send. Returns false if the process is gone. */
  kill(signal: NodeJS.Signals): boolean;
  /** The output is still read, but ignored. */
  ignoreOutput(): void;
  /** Closes the agent's ends of the pipes and stops waiting for the process. */
  release(): void;
}

/** Starts `node "<script>"` as the agent does: only the given environment, stdin at its end, both streams read. */
export async function startTaskProcess(start: ProcessStart): Promise<TaskProcess> {
  const child = spawn(start.node, [start.script], {
    cwd: start.workingFolder,
    env: { ...start.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const pid = child.pid ?? -1;
  child.stdin.on('error', ignore);
  child.stdin.end();
  makeLikelyOutOfMemoryVictim(pid);
  const signalsSent: SentSignal[] = [];
  const output = readOutput({ stdout: child.stdout, stderr: child.stderr }, start.onLine);
  const finished = whenFinished(child, output, start.timings.stdioGraceMs);
  let isReleased = false;
  const send = (signal: NodeJS.Signals): void => {
    if (!isReleased && child.kill(signal)) signalsSent.push({ signal, at: new Date() });
  };
  const cancel = async (): Promise<void> => {
    send('SIGINT');
    if (await isSettledWithin(finished, start.timings.sigintMs)) return;
    send('SIGTERM');
    if (await isSettledWithin(finished, start.timings.sigtermMs)) return;
    send('SIGKILL');
  };
  const release = (): void => {
    isReleased = true;
    output.ignore();
    child.stdout.destroy();
    child.stderr.destroy();
    child.unref();
  };
  return {
    pid,
    signalsSent,
    finished,
    cancel,
    kill: (signal) => child.kill(signal),
    ignoreOutput: output.ignore,
    release,
  };
}

interface Output {
  readonly ended: Promise<void>;
  readonly drain: () => void;
  readonly ignore: () => void;
}

// Waiting lines are passed on with those of stderr first, as in the agent's loop.
function readOutput(streams: Record<StreamName, Readable>, onLine: ProcessStart['onLine']): Output {
  const waiting: Record<StreamName, string[]> = { stderr: [], stdout: [] };
  let isIgnored = false;
  let isScheduled = false;
  const drain = (): void => {
    isScheduled = false;
    for (const name of ['stderr', 'stdout'] as const) {
      for (const line of waiting[name].splice(0)) {
        if (!isIgnored) onLine(name, line);
      }
    }
  };
  const queue = (name: StreamName, lines: readonly string[]): void => {
    waiting[name].push(...lines);
    if (isScheduled || lines.length === 0) return;
    isScheduled = true;
    setImmediate(drain);
  };
  const read = (name: StreamName): Promise<void> =>
    new Promise((resolve) => {
      const splitter = createLineSplitter();
      streams[name].on('data', (chunk: Buffer) => {
        queue(name, splitter.push(chunk));
      });
      streams[name].on('error', ignore);
      streams[name].once('close', () => {
        queue(name, splitter.end());
        resolve();
      });
    });
  const ended = Promise.all([read('stderr'), read('stdout')]).then(ignore);
  const stop = (): void => {
    isIgnored = true;
  };
  return { ended, drain, ignore: stop };
}

async function whenFinished(
  child: { once(event: 'exit', listener: (code: number | null, signal: NodeJS.Signals | null) => void): unknown },
  output: Output,
  stdioGraceMs: number,
): Promise<ProcessEnd> {
  const exit = await new Promise<Omit<ProcessEnd, 'stdioHeld'>>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      resolve({ exitCode, signal });
    });
  });
  const stdioHeld = !(await isSettledWithin(output.ended, stdioGraceMs));
  output.drain();
  output.ignore();
  return { ...exit, stdioHeld };
}

/** Returns true if the promise settles in time. The timer is cleared afterwards. */
export async function isSettledWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => {
      resolve(false);
    }, milliseconds);
  });
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

// The agent protects itself, so under memory pressure the kernel kills the task first.
function makeLikelyOutOfMemoryVictim(pid: number): void {
  try {
    fs.writeFileSync(`/proc/${pid}/oom_score_adj`, '500');
  } catch {
    // Not Linux, or the process is already gone.
  }
}

function ignore(): void {
  // Nothing to do.
}
