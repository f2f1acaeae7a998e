/**
 * Rules that depend on the operating system but need no access to it. They are pure functions with the platform as a
 * parameter, so that the rules for Windows are tested everywhere.
 */

import path from 'node:path';
import type { SpawnOptions } from 'node:child_process';
import { canBeHelm } from '../../core/inputs/helmPathInput';

/** How a child process is started. */
interface Start {
  /** True if the child must receive the agent's CTRL_C directly. */
  sharesConsole: boolean;
  /** True if we may end the child and it may end with us. False for a child that must finish. */
  mayBeEnded: boolean;
}

/**
 * On Windows the agent cancels with CTRL_C for all processes of the task's console. `windowsHide` without inherited
 * streams means CREATE_NO_WINDOW there: the child gets its own console, which no CTRL_C reaches. `detached` means
 * DETACHED_PROCESS: the child has no console and is not in Node's job object, which ends its children with Node. On
 * other systems `detached` gives the child its own process group.
 */
export function startOptions(
  platform: NodeJS.Platform,
  { sharesConsole, mayBeEnded }: Start,
): Required<Pick<SpawnOptions, 'detached' | 'windowsHide'>> {
  if (platform !== 'win32') return { detached: true, windowsHide: true };
  return { detached: !mayBeEnded, windowsHide: !sharesConsole };
}

/**
 * Returns true if the abort came from an event that Windows sends to every process of the console: CTRL_C, CTRL_BREAK
 * or the closing of the console.
 */
export function isConsoleEvent(platform: NodeJS.Platform, reason: unknown): boolean {
  return platform === 'win32' && typeof reason === 'string' && ['SIGINT', 'SIGBREAK', 'SIGHUP'].includes(reason);
}

/** STATUS_CONTROL_C_EXIT: the exit code of a Windows program that does not handle CTRL_C or CTRL_BREAK. */
const controlCExit = 0xc000013a;

/** Returns true if the exit code shows that the console ended the process. */
export function hasEndedByConsole(platform: NodeJS.Platform, exitCode: number | null): boolean {
  return platform === 'win32' && exitCode !== null && exitCode >>> 0 === controlCExit;
}

export interface StopStep {
  signal: NodeJS.Signals;
  /** How long to wait for the end of the process before the next step. */
  waitMs: number;
}

/**
 * Keeps the steps that work on the platform. Windows has no signals: there Node ends the process instead of sending
 * one.
 */
export function deliverable(platform: NodeJS.Platform, steps: readonly StopStep[]): readonly StopStep[] {
  return platform === 'win32' ? steps.filter(({ signal }) => signal === 'SIGKILL') : steps;
}

/** Windows counts time in ticks of up to 16 ms, and the clock may be corrected a little in the meantime. */
const clockSlackMs = 1000;

/**
 * Returns true if the process that now has the id is not the marked one, because it started after the marked one was
 * seen. Times are milliseconds since 1970. Returns undefined if one of the times is not known.
 */
export function isStrangerOnWindows(startedAtMs: number | undefined, seenAt: string): boolean | undefined {
  if (startedAtMs === undefined || !/^\d+$/.test(seenAt)) return undefined;
  return startedAtMs > Number(seenAt) + clockSlackMs;
}

/** Converts the start time that PowerShell prints (ticks of 100 ns since 1601) to milliseconds since 1970. */
export function fromFileTime(printed: string): number | undefined {
  const text = printed.trim();
  return /^\d{17,19}$/.test(text) ? Number(BigInt(text) / 10_000n) - 11_644_473_600_000 : undefined;
}

/**
 * Names of environment variables have no case on Windows. There they are converted to capitals, so that each is found.
 */
export function uniformEnvironment(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (platform !== 'win32') return { ...environment };
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name.toUpperCase(), value]));
}

export type HelmOnPath = { kind: 'program'; file: string } | { kind: 'script'; file: string } | { kind: 'missing' };

/**
 * Finds the Helm that a shell would find on PATH. On Windows a .bat or .cmd is not accepted: Node cannot start it
 * without a shell, the shell would interpret the values on the command line, and CTRL_C makes a batch file ask if it
 * should terminate.
 */
export function findHelm(
  platform: NodeJS.Platform,
  searchPath: string | undefined,
  isProgram: (file: string) => boolean,
): HelmOnPath {
  // The search includes batch files: if one comes first on PATH, a later Helm is not the one that the author of the
  // pipeline means.
  const extensions = platform === 'win32' ? ['.exe', '.bat', '.cmd'] : [''];
  const file = searchFolders(platform, searchPath)
    .flatMap((folder) => extensions.map((extension) => pathOf(platform).join(folder, `helm${extension}`)))
    .find(isProgram);
  if (file === undefined) return { kind: 'missing' };
  return { kind: canBeHelm(platform, file) ? 'program' : 'script', file };
}

/**
 * Finds the file of a command without a folder on Windows, by PATH and PATHEXT, like Go's LookPath. It does not search
 * the working directory, which may contain anything and where Windows looks first. Returns undefined if there is no
 * such file. A command with a folder, and every command on other systems, is returned unchanged for the system to find.
 */
export function findCommand(
  platform: NodeJS.Platform,
  command: string,
  environment: NodeJS.ProcessEnv,
  isProgram: (file: string) => boolean,
): string | undefined {
  if (platform !== 'win32' || /[\\/:]/.test(command)) return command;
  const extensions = (environment['PATHEXT'] || '.com;.exe;.bat;.cmd').split(';').filter((each) => each !== '');
  const names = [...(path.win32.extname(command) === '' ? [] : ['']), ...extensions].map((each) => command + each);
  return searchFolders(platform, environment['PATH'])
    .flatMap((folder) => names.map((name) => path.win32.join(folder, name)))
    .find(isProgram);
}

function pathOf(platform: NodeJS.Platform): typeof path.posix {
  return platform === 'win32' ? path.win32 : path.posix;
}

function searchFolders(platform: NodeJS.Platform, searchPath = ''): string[] {
  const folders = searchPath.split(pathOf(platform).delimiter);
  // Windows allows quotation marks around a folder.
  const bare = platform === 'win32' ? folders.map((folder) => folder.trim().replace(/^"(.*)"$/, '$1')) : folders;
  return bare.filter((folder) => folder !== '');
}
