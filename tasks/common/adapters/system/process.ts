import { spawn, type ChildProcess } from 'node:child_process';
import { hasEndedByConsole, isConsoleEvent, startOptions } from './platform';
import { startTimer } from './timer';
import { killTreeOnWindows } from './windowsProcesses';

interface ProcessOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
  onStdout: (chunk: Uint8Array) => void;
  onStderr: (chunk: Uint8Array) => void;
  /** Aborting sends SIGINT at once. Leave it out for a process that must never get a signal. */
  interrupt?: AbortSignal;
  /**
   * If true, the process receives the agent's CTRL_C directly on Windows, and an abort for that reason sends nothing
   * more. Use it for a process that cleans up when it is cancelled. Any other process has its own console there and is
   * killed.
   */
  sharesConsole?: boolean;
  /** After this time the process gets SIGINT. If it does not end, it is killed `killAfterMs` later. */
  timeoutMs?: number;
  killAfterMs?: number;
  /** Called as soon as the process exists, before any of its output is read. */
  onStart?: (pid: number) => void;
}

export interface ProcessResult {
  exitCode: number | undefined;
  signal: string | undefined;
  /** Set if the process could not be started, for example to `ENOENT`. */
  startError: NodeJS.ErrnoException | undefined;
  interrupted: boolean;
  timedOut: boolean;
  durationMs: number;
}

/**
 * Runs a program without a shell and waits for its end. The program gets its own process group, so that a Ctrl-C in a
 * terminal does not reach it in addition to our signals. Windows has no groups and no signals: there `sharesConsole`
 * decides, and a process that we stop is killed.
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

/**
 * Node throws some start errors and emits others as events, depending on the platform. This function returns the thrown
 * ones.
 */
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

/** The output that a process wrote before its end must arrive within this time. */
const lastWordsMs = 2_000;

/**
 * Stops reading some time after the process has ended. A daemon that the process left behind may keep the pipes open
 * for its whole life, and nobody waits for that daemon.
 */
export function closeAfterExit(child: ChildProcess): void {
  child.once('exit', () => {
    const close = (): void => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    // `setImmediate` lets Node first read what arrived while this process was busy.
    const timer = setTimeout(() => setImmediate(close), lastWordsMs);
    child.once('close', () => {
      clearTimeout(timer);
    });
  });
}

/**
 * Signals the whole group, as a terminal does. Often helm is a script around the real one, and a shell that waits for
 * its child does not pass the signal on.
 */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The process has already ended.
  }
}
