import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { fromFileTime } from './platform';

/** A time when the process was seen, in milliseconds since 1970; for this process always the same. */
export function seenOnWindows(pid: number): string {
  return String(Math.round(pid === process.pid ? performance.timeOrigin : Date.now()));
}

/** PowerShell takes about half a second. */
const startKeptMs = 2000;
const startTimeoutMs = 20_000;
const starts = new Map<number, { askedAtMs: number; startedAtMs: number | undefined }>();

/** In milliseconds since 1970; undefined if it cannot be read. `afresh` ignores a kept answer. */
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

/** Ends all descendants too, because helm.exe may be a shim around the real one. */
export function killTreeOnWindows(pid: number): void {
  const alone = (): void => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has already ended.
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

/** The full path, because Windows looks for a bare name in the working directory first. */
function systemProgram(...names: string[]): string {
  return path.win32.join(process.env['SystemRoot'] ?? 'C:\\Windows', 'System32', ...names);
}
