import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Guard } from '../../core/ports';
import { guardVariable, guardVariableValue, messageLine, type GuardMessage, type HelmKind } from '../../guard/messages';
import { childMark, machineMs } from '../system/processes';

interface GuardOptions {
  /** The default is the file beside the program that the agent has started. */
  file?: string;
  /** The guard gets only what it needs of it. */
  environment: NodeJS.ProcessEnv;
  /** Called at most once, with the reason why there is no guard. */
  onWarning: (message: string) => void;
}

/** A killed process cannot stop Helm, so the guard stops Helm if this process dies or is silent for too long. */
export interface HelmGuard extends Guard {
  /** Returns the mark of the guard; undefined if it cannot be started. The other methods start it too. */
  start(): string | undefined;
  /** By this environment the guard finds Helm even if this process dies before `watch`. Starts the guard first. */
  environment(kind: HelmKind): Record<string, string>;
  /** Helm must be the first process of its own group. */
  watch(pid: number, kind: HelmKind): void;
  done(pid: number): void;
  /** Takes milliseconds if no Helm runs. */
  close(): Promise<void>;
}

const closeWithinMs = 5000;

/** Node needs these to start; by the first, the agent finds the processes of a job at its end. */
const inherited = ['VSTS_PROCESS_LOOKUP_ID', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SYSTEMROOT'];

export function createGuard(options: GuardOptions): HelmGuard {
  const token = randomUUID();
  const marks = new Map<number, string>();
  let renewedAtMs = machineMs();
  let child: ChildProcess | undefined;
  let mark: string | undefined;
  let isOver = false;

  const lose = (why: string): void => {
    if (isOver) return;
    isOver = true;
    options.onWarning(
      `The guard, which stops Helm if this step is killed, ${why}. The step continues without it: if the agent kills the ` +
        'step now, Helm may continue to write for a while.',
    );
  };
  const send = (message: GuardMessage): void => {
    if (!isOver) child?.stdin?.write(messageLine(message));
  };
  const start = (): string | undefined => {
    if (child !== undefined || isOver) return mark;
    try {
      child = startGuard(options, token);
    } catch (error) {
      lose(`could not be started (${(error as Error).message})`);
      return undefined;
    }
    child.on('error', ({ message }) => {
      lose(`could not be started (${message})`);
    });
    child.on('exit', (exitCode, signal) => {
      lose(`has ended (${signal ?? `exit code ${String(exitCode)}`})`);
    });
    // The exit of the guard already reports this error.
    child.stdin?.on('error', () => undefined);
    mark = child.pid === undefined ? undefined : childMark(child.pid);
    send({ event: 'alive', atMs: renewedAtMs });
    return mark;
  };

  return {
    start,
    environment: (kind) => {
      start();
      return { [guardVariable]: guardVariableValue(token, kind) };
    },
    alive: (ageMs) => {
      renewedAtMs = machineMs() - ageMs;
      send({ event: 'alive', atMs: renewedAtMs });
    },
    watch: (pid, kind) => {
      start();
      const watched = childMark(pid);
      if (watched === undefined) return;
      marks.set(pid, watched);
      send({ event: 'watch', mark: watched, kind });
    },
    done: (pid) => {
      const watched = marks.get(pid);
      marks.delete(pid);
      if (watched !== undefined) send({ event: 'done', mark: watched });
    },
    close: () => {
      isOver = true;
      return child === undefined ? Promise.resolve() : ended(child);
    },
  };
}

/** The guard shares only a pipe with this process: no console that signals both, and no stream of the agent. */
function startGuard({ file, environment }: GuardOptions, token: string): ChildProcess {
  const program = file ?? path.join(path.dirname(process.argv[1] ?? ''), 'guard.js');
  const child = spawn(process.execPath, [program, token], {
    // Windows could not remove the folder of the job if it were the working directory.
    cwd: path.dirname(process.execPath),
    env: Object.fromEntries(inherited.map((name) => [name, environment[name]])),
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    windowsHide: true,
  });
  child.unref();
  return child;
}

function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, closeWithinMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.ref();
    child.stdin?.end();
  });
}
