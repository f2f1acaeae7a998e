/**
 * Everything that depends on the operating system and needs no look at it: pure functions that are told the platform, so
 * that the rules for Windows are tested everywhere.
 */

import path from 'node:path';
import type { SpawnOptions } from 'node:child_process';
import { canBeHelm } from '../../core/inputs/helmPathInput';

/** How a child is started. */
export interface Start {
  /** It is to hear the agent's CTRL_C by itself. */
  sharesConsole: boolean;
  /** We may end it, and it may end with us. False for what must finish. */
  mayBeEnded: boolean;
}

/**
 * On Windows the agent cancels with CTRL_C for all processes of the task's console. `windowsHide` without inherited
 * streams is CREATE_NO_WINDOW there: a console of its own, in which no CTRL_C arrives. `detached` is DETACHED_PROCESS: no
 * console, and not in Node's job object, which ends its children with Node. Elsewhere it is a process group of its own.
 */
export function startOptions(
  platform: NodeJS.Platform,
  { sharesConsole, mayBeEnded }: Start,
): Required<Pick<SpawnOptions, 'detached' | 'windowsHide'>> {
  if (platform !== 'win32') return { detached: true, windowsHide: true };
  return { detached: !mayBeEnded, windowsHide: !sharesConsole };
}

/** Whether an AbortSignal was aborted by what Windows sends to every process of the console: CTRL_C, CTRL_BREAK, its closing. */
export function isConsoleEvent(platform: NodeJS.Platform, reason: unknown): boolean {
  return platform === 'win32' && typeof reason === 'string' && ['SIGINT', 'SIGBREAK', 'SIGHUP'].includes(reason);
}

/** STATUS_CONTROL_C_EXIT: the end of a Windows program that takes no CTRL_C or CTRL_BREAK. */
const controlCExit = 0xc000013a;

/** Whether an exit code says that the console has ended the process. */
export function hasEndedByConsole(platform: NodeJS.Platform, exitCode: number | null): boolean {
  return platform === 'win32' && exitCode !== null && exitCode >>> 0 === controlCExit;
}

export interface StopStep {
  signal: NodeJS.Signals;
  /** How long to wait for the end before the next step. */
  waitMs: number;
}

/** The steps that can be taken at all: Windows has no signals, and what Node sends there in their place ends a process. */
export function deliverable(platform: NodeJS.Platform, steps: readonly StopStep[]): readonly StopStep[] {
  return platform === 'win32' ? steps.filter(({ signal }) => signal === 'SIGKILL') : steps;
}

/** Windows counts time in ticks of up to 16 ms, and its clock may be corrected a little meanwhile. */
const clockSlackMs = 1000;

/**
 * Whether the process that has an id now is another one than that of the mark: it began after the mark's was seen. Times
 * are milliseconds since 1970. Undefined where one of the two is not known.
 */
export function isStrangerOnWindows(startedAtMs: number | undefined, seenAt: string): boolean | undefined {
  if (startedAtMs === undefined || !/^\d+$/.test(seenAt)) return undefined;
  return startedAtMs > Number(seenAt) + clockSlackMs;
}

/** What PowerShell prints of the start of a process (ticks of 100 ns since 1601), as milliseconds since 1970. */
export function fromFileTime(printed: string): number | undefined {
  const text = printed.trim();
  return /^\d{17,19}$/.test(text) ? Number(BigInt(text) / 10_000n) - 11_644_473_600_000 : undefined;
}

/** Names of environment variables have no case on Windows: there they are given in capitals, so that each is found. */
export function uniformEnvironment(platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (platform !== 'win32') return { ...environment };
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name.toUpperCase(), value]));
}

export type HelmOnPath = { kind: 'program'; file: string } | { kind: 'script'; file: string } | { kind: 'missing' };

/**
 * The Helm that a shell would find on PATH. On Windows a .bat or .cmd is not taken for it: Node starts none without a shell,
 * which would read the values on its command line, and a CTRL_C makes a batch file ask whether to terminate.
 */
export function findHelm(
  platform: NodeJS.Platform,
  searchPath: string | undefined,
  isProgram: (file: string) => boolean,
): HelmOnPath {
  // Batch files are looked for too: a Helm further on is not the one that the pipeline's author means.
  const extensions = platform === 'win32' ? ['.exe', '.bat', '.cmd'] : [''];
  const file = searchFolders(platform, searchPath)
    .flatMap((folder) => extensions.map((extension) => pathOf(platform).join(folder, `helm${extension}`)))
    .find(isProgram);
  if (file === undefined) return { kind: 'missing' };
  return { kind: canBeHelm(platform, file) ? 'program' : 'script', file };
}

/**
 * The file that a name without a folder means on Windows, by PATH and PATHEXT, as Go's LookPath finds it: not in the
 * working directory, which may hold anything and where Windows looks first. Undefined where there is none. A name with
 * a folder, and every name elsewhere, is left to the system.
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
  // Windows allows quotes around a folder.
  const bare = platform === 'win32' ? folders.map((folder) => folder.trim().replace(/^"(.*)"$/, '$1')) : folders;
  return bare.filter((folder) => folder !== '');
}
