import { spawn, type ChildProcess } from 'node:child_process';
import { hasEndedByConsole, isConsoleEvent, startOptions } from './platform';
import { startTimer } from './timer';
import { killTreeOnWindows } from './windowsProcesses';

export interface ProcessOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
  onStdout: (chunk: Uint8Array) => void;
  onStderr: (chunk: Uint8Array) => void;
  /** Aborting sends SIGINT at once. Leave it out for what must never be signalled. */
  interrupt?: AbortSignal;
  /**
   * On Windows the process hears the agent's CTRL_C by itself, and an abort for that reason leaves it alone. For what
   * puts things in order when it is cancelled. Any other process has a console of its own there and is killed instead.
   */
  sharesConsole?: boolean;
  /** After this long the process is told with SIGINT, and killed `killAfterMs` later if it does not end. */
  timeoutMs?: number;
  killAfterMs?: number;
  /** Called as soon as the process is there, before anything of it is heard. */
  onStart?: (pid: number) => void;
}

export interface ProcessResult {
  exitCode: number | undefined;
  signal: string | undefined;
  /** Set when the process could not be started, for example `ENOENT`. */
  startError: NodeJS.ErrnoException | undefined;
  interrupted: boolean;
  timedOut: boolean;
  durationMs: number;
}

/**
 * Runs a program without a shell and waits for its end. It gets a process group of its own, so that a Ctrl-C in a
 * terminal does not reach it beside what we decide to tell it. Windows has no groups and no signals; there `sharesConsole`
 * decides, and who is told by us is killed.
 */
export function runProcess(file: string, args: readonly string[], options: ProcessOptions): Promise<ProcessResult> {
  const started = performance.now();
  const result: ProcessResult = {
    exitCode: undefined,
    signal: undefined,
    startError: undefined,
    interrupted: false,
    timedOut: false,
    durationMs: 0,
  };
  return new Promise((resolve) => {
    const timers: (() => void)[] = [];
    let interrupt = (): void => undefined;
    const finish = (): void => {
      for (const stop of timers) stop();
      options.interrupt?.removeEventListener('abort', interrupt);
      result.durationMs = performance.now() - started;
      resolve(result);
    };
    const child = startChild(file, args, options);
    if (child instanceof Error) {
      result.startError = child;
      finish();
      return;
    }
    if (child.pid !== undefined) options.onStart?.(child.pid);
    child.stdout?.on('data', options.onStdout);
    child.stderr?.on('data', options.onStderr);

    const kill = (): void => {
      if (process.platform !== 'win32') signalGroup(child.pid, 'SIGKILL');
      else if (child.pid !== undefined) killTreeOnWindows(child.pid);
    };
    const tell = (): void => {
      if (process.platform === 'win32') kill();
      else signalGroup(child.pid, 'SIGINT');
    };
    interrupt = (): void => {
      result.interrupted = true;
      const isTold = options.sharesConsole === true && isConsoleEvent(process.platform, options.interrupt?.reason);
      if (!isTold) tell();
    };
    const timeOut = (): void => {
      result.timedOut = true;
      tell();
      timers.push(startTimer(kill, options.killAfterMs ?? 5000));
    };
    if (options.timeoutMs !== undefined) timers.push(startTimer(timeOut, options.timeoutMs));
    closeAfterExit(child);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      result.startError = error;
      finish();
    });
    child.on('close', (code, signal) => {
      result.exitCode = code ?? undefined;
      result.signal = signal ?? undefined;
      if (hasEndedByConsole(process.platform, code)) result.interrupted = true;
      finish();
    });
    if (options.interrupt?.aborted) interrupt();
    else options.interrupt?.addEventListener('abort', interrupt, { once: true });
  });
}

/** Node throws some of the errors of a start and tells others as an event; which is which depends on the platform. */
function startChild(
  file: string,
  args: readonly string[],
  options: ProcessOptions,
): ChildProcess | NodeJS.ErrnoException {
  try {
    return spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...startOptions(process.platform, {
        sharesConsole: options.sharesConsole ?? false,
        mayBeEnded: options.interrupt !== undefined,
      }),
    });
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/** So long what a process has written before its end may take to arrive. */
const lastWordsMs = 2_000;

/**
 * Ends the reading some time after the process has ended. A daemon that it has left behind may keep its pipes open for as
 * long as it lives, and nobody waits for that one.
 */
export function closeAfterExit(child: ChildProcess): void {
  child.once('exit', () => {
    const close = (): void => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    // Not before what has arrived meanwhile was read: this process may have been busy.
    const timer = setTimeout(() => setImmediate(close), lastWordsMs);
    child.once('close', () => {
      clearTimeout(timer);
    });
  });
}

/**
 * The whole group, as a terminal does: many a Helm is a script around the real one, and a shell that waits for its
 * child keeps the signal to itself.
 */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
