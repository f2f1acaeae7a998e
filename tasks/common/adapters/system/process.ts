import { spawn, type ChildProcess } from 'node:child_process';
import { hasEndedByConsole, isConsoleEvent, startOptions } from './platform';
import { startTimer } from './timer';
import { killTreeOnWindows } from './windowsProcesses';

export interface ProcessOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
  onStdout: (chunk: Uint8Array) => void;
  onStderr: (chunk: Uint8Array) => void;
  /** Aborting sends SIGINT at once. Without it the process never gets a signal. */
  interrupt?: AbortSignal;
  /** On Windows the process gets the agent's CTRL_C itself, so that it can clean up. Others are killed there. */
  sharesConsole?: boolean;
  /** After this time the process gets SIGINT, and it is killed `killAfterMs` later. */
  timeoutMs?: number;
  killAfterMs?: number;
  /** The whole standard input. Without it the process has none. */
  stdin?: string;
  /** Called before any output is read. */
  onStart?: (pid: number) => void;
}

export interface ProcessResult {
  exitCode: number | undefined;
  signal: string | undefined;
  /** For example with the code `ENOENT`. */
  startError: NodeJS.ErrnoException | undefined;
  interrupted: boolean;
  timedOut: boolean;
  durationMs: number;
}

/** Needs no shell. A process group of its own keeps a Ctrl-C in a terminal from reaching the program twice. */
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
    giveInput(child, options.stdin);
    child.stdout?.on('data', options.onStdout);
    child.stderr?.on('data', options.onStderr);

    interrupt = (): void => {
      result.interrupted = true;
      const hasCtrlC = options.sharesConsole === true && isConsoleEvent(process.platform, options.interrupt?.reason);
      if (!hasCtrlC) stopChild(child);
    };
    const timeOut = (): void => {
      result.timedOut = true;
      stopChild(child);
      timers.push(
        startTimer(() => {
          killChild(child);
        }, options.killAfterMs ?? 5000),
      );
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

function giveInput({ stdin }: ChildProcess, text: string | undefined): void {
  // A process may end without reading its input.
  stdin?.on('error', () => undefined);
  stdin?.end(text);
}

function killChild({ pid }: ChildProcess): void {
  if (process.platform !== 'win32') signalGroup(pid, 'SIGKILL');
  else if (pid !== undefined) killTreeOnWindows(pid);
}

function stopChild(child: ChildProcess): void {
  if (process.platform === 'win32') killChild(child);
  else signalGroup(child.pid, 'SIGINT');
}

/** Node throws some start errors, which this function returns, and emits others as events. */
function startChild(
  file: string,
  args: readonly string[],
  options: ProcessOptions,
): ChildProcess | NodeJS.ErrnoException {
  try {
    return spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...startOptions(process.platform, {
        sharesConsole: options.sharesConsole ?? false,
        mayBeEnded: options.interrupt !== undefined,
      }),
    });
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/** The last output of a process must arrive within this time after its end. */
const lastWordsMs = 2_000;

/** A daemon that the process left behind may keep the pipes open, so reading stops some time after the end. */
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

/** Signals the group, because helm may be a script, and a shell that waits does not pass the signal on. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The process has already ended.
  }
}
