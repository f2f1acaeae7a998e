/** Processes of Windows, as far as Node and the programs that come with every Windows can tell of them. */

import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { fromFileTime } from './platform';

/**
 * What a mark holds in place of the start of a process that runs: a time at which it was there, in milliseconds since
 * 1970. For this process always the same.
 */
export function seenOnWindows(pid: number): string {
  return String(Math.round(pid === process.pid ? performance.timeOrigin : Date.now()));
}

/** PowerShell takes about half a second, so that its answer is kept for a while. */
const startKeptMs = 2000;
const startTimeoutMs = 20_000;
const starts = new Map<number, { askedAtMs: number; startedAtMs: number | undefined }>();

/**
 * When the process that has this id now was started, in milliseconds since 1970; undefined when that cannot be read.
 * `afresh`: not from an answer of the last seconds.
 */
export function startedAtOnWindows(pid: number, afresh = false): number | undefined {
  const known = starts.get(pid);
  const isKept = known !== undefined && performance.now() - known.askedAtMs < startKeptMs;
  if (isKept && !(afresh && known.startedAtMs !== undefined)) return known.startedAtMs;
  const startedAtMs = askPowerShell(pid);
  starts.set(pid, { askedAtMs: performance.now(), startedAtMs });
  return startedAtMs;
}

function askPowerShell(pid: number): number | undefined {
  const powerShell = systemProgram('WindowsPowerShell', 'v1.0', 'powershell.exe');
  const command = `(Get-Process -Id ${String(pid)}).StartTime.ToFileTimeUtc()`;
  try {
    const printed = execFileSync(powerShell, ['-NoProfile', '-NonInteractive', '-Command', command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: startTimeoutMs,
      windowsHide: true,
    });
    return fromFileTime(printed);
  } catch {
    return undefined;
  }
}

/** Ends a process and all that it has started: many a helm.exe is a shim around the real one. */
export function killTreeOnWindows(pid: number): void {
  const alone = (): void => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  };
  const taskkill = systemProgram('taskkill.exe');
  const child = spawn(taskkill, ['/T', '/F', '/PID', String(pid)], { stdio: 'ignore', windowsHide: true });
  child.on('error', alone);
  child.on('exit', (code) => {
    if (code !== 0) alone();
  });
  child.unref();
}

/** By its full path: on Windows a name alone is looked for in the working directory first. */
function systemProgram(...names: string[]): string {
  return path.win32.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', ...names);
}
