import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Guard } from '../../core/ports';
import { guardVariable, guardVariableValue, messageLine, type GuardMessage, type HelmKind } from '../../guard/messages';
import { childMark, machineMs } from '../system/processes';

export interface GuardOptions {
  /** The guard's bundle; by default the one beside the file that the agent has started. */
  file?: string;
  /** What a child may inherit; the guard gets only what it needs of it. */
  environment: NodeJS.ProcessEnv;
  /** Called at most once: there is no guard (any more), and why. Nothing else changes. */
  onWarning: (message: string) => void;
}

/**
 * A process that tells Helm to stop when this one dies or falls silent: nothing that happens to a process lets it do that
 * itself. No method throws.
 */
export interface HelmGuard extends Guard {
  /**
   * Starts it unless that was done before, and answers with its mark; undefined when it cannot be started. The other methods
   * about Helm do so too; call this where the mark has to be written down first.
   */
  start(): string | undefined;
  /**
   * What Helm is to be started with, so that the guard finds it even if this process dies before `watch`. Starts the guard:
   * a process that dies between the start of Helm and that of its guard would have none.
   */
  environment(kind: HelmKind): Record<string, string>;
  /** Helm has just been started, as the first process of a group of its own. */
  watch(pid: number, kind: HelmKind): void;
  /** That Helm has ended. */
  done(pid: number): void;
  /** Resolves when the guard has ended, which takes milliseconds while no Helm runs. */
  close(): Promise<void>;
}

const closeWithinMs = 5000;

/** What Node needs to start at all, and what the agent finds the job's processes by at the end of the job. */
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
    // Told by its exit.
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
 * Shares nothing with this process but the pipe: no console or terminal that signals both, no stream that the agent would
 * wait for. It does not keep this process alive either.
 */
function startGuard({ file = besideThisProgram(), environment }: GuardOptions, token: string): ChildProcess {
  const child = spawn(process.execPath, [file, token], {
    // Not the folder of the job, which could then not be removed on Windows.
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
