import { spawn } from 'node:child_process';
import { startTimer } from './timer';

export interface ProcessOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
  onStdout: (chunk: Uint8Array) => void;
  onStderr: (chunk: Uint8Array) => void;
  /** Aborting sends SIGINT at once. Leave it out for what must never be signalled. */
  interrupt?: AbortSignal;
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
 * terminal, or the agent on Windows, does not reach it beside what we decide to tell it.
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
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // On Windows a console is shared so that the agent's CTRL_C reaches the child itself, unless it is to be shielded.
      detached: process.platform !== 'win32' || options.interrupt === undefined,
      windowsHide: true,
    });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    child.stdout.on('data', options.onStdout);
    child.stderr.on('data', options.onStderr);

    const send = (signal: NodeJS.Signals): void => {
      if (process.platform === 'win32') child.kill(signal);
      else signalGroup(child.pid, signal);
    };
    const tell = (): void => {
      // Windows has no signal to send; `kill` would end the child where it stands.
      if (process.platform !== 'win32') send('SIGINT');
    };
    const interrupt = (): void => {
      result.interrupted = true;
      tell();
    };
    const timers: (() => void)[] = [];
    const timeOut = (): void => {
      result.timedOut = true;
      tell();
      const kill = (): void => {
        send('SIGKILL');
      };
      timers.push(startTimer(kill, options.killAfterMs ?? 5000));
    };
    if (options.timeoutMs !== undefined) timers.push(startTimer(timeOut, options.timeoutMs));
    const finish = (): void => {
      for (const stop of timers) stop();
      options.interrupt?.removeEventListener('abort', interrupt);
      result.durationMs = performance.now() - started;
      resolve(result);
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      result.startError = error;
      finish();
    });
    child.on('close', (code, signal) => {
      result.exitCode = code ?? undefined;
      result.signal = signal ?? undefined;
      finish();
    });
    if (options.interrupt?.aborted) interrupt();
    else options.interrupt?.addEventListener('abort', interrupt, { once: true });
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
