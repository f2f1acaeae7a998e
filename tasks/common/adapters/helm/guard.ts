import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Guard } from '../../core/ports';
import { guardVariable, guardVariableValue, messageLine, type GuardMessage, type HelmKind } from '../../guard/messages';
import { childMark, machineMs } from '../system/processes';

interface GuardOptions {
  /** The bundle of the guard. The default is the file beside the program that the agent has started. */
  file?: string;
  /** The environment of child processes. The guard gets only what it needs of it. */
  environment: NodeJS.ProcessEnv;
  /** Called at most once, with the reason why there is no guard (any more). Nothing else changes. */
  onWarning: (message: string) => void;
}

/**
 * A process that stops Helm if this one dies or is silent for too long, because a killed process cannot do that itself.
 * No method throws.
 */
export interface HelmGuard extends Guard {
  /**
   * Starts the guard if it does not run yet, and returns its mark. Returns undefined if it cannot be started.
   * `environment` and `watch` start it too; call this method if the mark must be written down first.
   */
  start(): string | undefined;
  /**
   * The environment for Helm, by which the guard finds Helm even if this process dies before `watch`. Starts the guard:
   * if this process died between the start of Helm and the start of the guard, Helm would have no guard.
   */
  environment(kind: HelmKind): Record<string, string>;
  /** Reports that Helm has just been started as the first process of its own group. */
  watch(pid: number, kind: HelmKind): void;
  /** Reports that Helm has ended. */
  done(pid: number): void;
  /** Resolves when the guard has ended. This takes milliseconds if no Helm runs. */
  close(): Promise<void>;
}

const closeWithinMs = 5000;

/** The variables that Node needs to start, and the one by which the agent finds the processes of a job at its end. */
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
      `The process that would tell Helm to stop if this step were killed ${why}. The step goes on without it: should the ` +
        'agent kill it now, Helm may write on for a while.',
    );
  };
  const say = (message: GuardMessage): void => {
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
    say({ event: 'alive', atMs: renewedAtMs });
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
      say({ event: 'alive', atMs: renewedAtMs });
    },
    watch: (pid, kind) => {
      start();
      const watched = childMark(pid);
      if (watched === undefined) return;
      marks.set(pid, watched);
      say({ event: 'watch', mark: watched, kind });
    },
    done: (pid) => {
      const watched = marks.get(pid);
      marks.delete(pid);
      if (watched !== undefined) say({ event: 'done', mark: watched });
    },
    close: () => {
      isOver = true;
      return child === undefined ? Promise.resolve() : ended(child);
    },
  };
}

/**
 * The guard shares only the pipe with this process: no console or terminal that signals both, and no stream that the
 * agent would wait for. It does not keep this process alive.
 */
function startGuard({ file = besideThisProgram(), environment }: GuardOptions, token: string): ChildProcess {
  const child = spawn(process.execPath, [file, token], {
    // The working directory is not the folder of the job, because Windows could not remove that folder then.
    cwd: path.dirname(process.execPath),
    env: Object.fromEntries(inherited.map((name) => [name, environment[name]])),
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    windowsHide: true,
  });
  child.unref();
  return child;
}

function besideThisProgram(): string {
  return path.join(path.dirname(process.argv[1] ?? ''), 'guard.js');
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
