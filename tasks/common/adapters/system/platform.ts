import path from 'node:path';
import type { SpawnOptions } from 'node:child_process';
import { canBeHelm } from '../../core/inputs/helmPathInput';

interface Start {
  /** True if the child must receive the agent's CTRL_C directly. */
  sharesConsole: boolean;
  /** False for a child that must finish, even if this process ends. */
  mayBeEnded: boolean;
}

/**
 * Windows sends CTRL_C to all processes of the task's console. There `windowsHide` gives a child its own console, and
 * `detached` keeps it out of Node's job object, which ends its children with Node. Elsewhere `detached` gives a child
 * its own process group.
 */
export function startOptions(
  platform: NodeJS.Platform,
  { sharesConsole, mayBeEnded }: Start,
): Required<Pick<SpawnOptions, 'detached' | 'windowsHide'>> {
  if (platform !== 'win32') return { detached: true, windowsHide: true };
  return { detached: !mayBeEnded, windowsHide: !sharesConsole };
}

/** True for an event that Windows sends to every process of the console: CTRL_C, CTRL_BREAK or its closing. */
export function isConsoleEvent(platform: NodeJS.Platform, reason: unknown): boolean {
  return platform === 'win32' && typeof reason === 'string' && ['SIGINT', 'SIGBREAK', 'SIGHUP'].includes(reason);
}

/** STATUS_CONTROL_C_EXIT */
const controlCExit = 0xc000013a;

export function hasEndedByConsole(platform: NodeJS.Platform, exitCode: number | null): boolean {
  return platform === 'win32' && exitCode !== null && exitCode >>> 0 === controlCExit;
}

export interface StopStep {
  signal: NodeJS.Signals;
  waitMs: number;
}

/** Windows has no signals; there Node ends the process instead. */
export function deliverable(platform: NodeJS.Platform, steps: readonly StopStep[]): readonly StopStep[] {
  return platform === 'win32' ? steps.filter(({ signal }) => signal === 'SIGKILL') : steps;
}

/** Windows counts time in ticks of up to 16 ms, and the clock may be corrected meanwhile. */
const clockSlackMs = 1000;

/**
 * True if the process that now has the id started after the marked one was seen. Times are milliseconds since 1970.
 * Undefined if a time is not known.
 */
export function isStrangerOnWindows(startedAtMs: number | undefined, seenAt: string): boolean | undefined {
  if (startedAtMs === undefined || !/^\d+$/.test(seenAt)) return undefined;
  return startedAtMs > Number(seenAt) + clockSlackMs;
}

/** PowerShell prints ticks of 100 ns since 1601; returns milliseconds since 1970. */
export function fromFileTime(printed: string): number | undefined {
  const text = printed.trim();
  return /^\d{17,19}$/.test(text) ? Number(BigInt(text) / 10_000n) - 11_644_473_600_000 : undefined;
}

/** Names of environment variables have no case on Windows, so they become capitals there. */
export function uniformEnvironment(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (platform !== 'win32') return { ...environment };
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name.toUpperCase(), value]));
}

export type HelmOnPath = { kind: 'program'; file: string } | { kind: 'script'; file: string } | { kind: 'missing' };

/**
 * Finds Helm on PATH as a shell does. On Windows a batch file is no Helm: Node needs a shell to start it, which would
 * interpret the values on the command line, and CTRL_C makes it ask a question.
 */
export function findHelm(
  platform: NodeJS.Platform,
  searchPath: string | undefined,
  isProgram: (file: string) => boolean,
): HelmOnPath {
  // A batch file that comes first on PATH is the Helm that the author of the pipeline means.
  const extensions = platform === 'win32' ? ['.exe', '.bat', '.cmd'] : [''];
  const file = searchFolders(platform, searchPath)
    .flatMap((folder) => extensions.map((extension) => pathOf(platform).join(folder, `helm${extension}`)))
    .find(isProgram);
  if (file === undefined) return { kind: 'missing' };
  return { kind: canBeHelm(platform, file) ? 'program' : 'script', file };
}

/**
 * Finds a bare command on Windows by PATH and PATHEXT, like Go's LookPath, and never in the working directory, where
 * Windows looks first. Undefined if there is none. Other commands are returned unchanged.
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

/** Finds a program on PATH on every system. */
export function findProgram(
  platform: NodeJS.Platform,
  name: string,
  environment: NodeJS.ProcessEnv,
  isProgram: (file: string) => boolean,
): string | undefined {
  if (platform === 'win32') return findCommand(platform, name, environment, isProgram);
  return searchFolders(platform, environment['PATH'])
    .map((folder) => path.posix.join(folder, name))
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
