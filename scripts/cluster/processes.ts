import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { searchPath, succeed } from './command';
import { identify, type ProcessIdentity, stillRuns } from './liveness';

/**
 * Each process of a cluster has the cluster's state folder and the name of its part in its environment, and its
 * children inherit both. On Linux the processes are found by reading /proc, so there is no record that a crash could
 * omit or that a reused process id could make wrong. On other systems each part has a file with its process id.
 */
const clusterVariable = 'HELM_SAFE_DEPLOY_CLUSTER';
const partVariable = 'HELM_SAFE_DEPLOY_PART';

export interface PartProcess extends ProcessIdentity {
  readonly part: string;
}

export function partProcesses(folder: string): PartProcess[] {
  return process.platform === 'linux' ? scanProc(folder) : readRecords(folder);
}

export function isRunning(folder: string, part: string): boolean {
  return partProcesses(folder).some((candidate) => candidate.part === part);
}

/**
 * The parts that do not run. While a process executes a new program, the kernel does not show its environment, so
 * missing parts are looked up a second time.
 */
export async function endedParts(folder: string, parts: readonly string[]): Promise<string[]> {
  const missed = (of: readonly string[]): string[] => {
    const running = new Set(partProcesses(folder).map(({ part }) => part));
    return of.filter((part) => !running.has(part));
  };
  const first = missed(parts);
  if (first.length === 0) return [];
  await delay(exchangeMilliseconds);
  return missed(first);
}

const exchangeMilliseconds = 300;

export function logFile(folder: string, part: string): string {
  return path.join(folder, 'logs', `${part}.log`);
}

export interface PartCommand {
  readonly part: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a part as a process that outlives this one and shares no descriptors with it. */
export function startPart(folder: string, { part, file, args, env }: PartCommand): void {
  const log = openLog(folder, part);
  const child = spawn(file, args, {
    cwd: folder,
    env: partEnvironment(folder, part, env),
    stdio: ['ignore', log, log],
    detached: true,
  });
  fs.closeSync(log);
  child.on('error', (error) => {
    fs.appendFileSync(logFile(folder, part), `${error.message}\n`);
  });
  child.unref();
  if (process.platform !== 'linux' && child.pid !== undefined) writeRecord(folder, part, child.pid);
}

/** Like {@link startPart}, but inside the namespaces of the process `target`, as a child of their init process. */
export async function startPartIn(
  folder: string,
  target: number,
  { part, file, args, env }: PartCommand,
): Promise<void> {
  const log = logFile(folder, part);
  fs.mkdirSync(path.dirname(log), { recursive: true });
  // setsid --fork makes the init process of the namespaces the parent of the program, so that no process of ours waits
  // for it.
  const inner = [
    'setsid',
    '--fork',
    'sh',
    '-c',
    'log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null',
    'sh',
    log,
    file,
    ...args,
  ];
  await succeed('nsenter', [...enterFlags(target), '--', ...inner], {
    cwd: folder,
    env: partEnvironment(folder, part, env),
  });
}

/**
 * The nsenter flags for the namespaces of a process. The flag --root makes them work even if the root folder of this
 * machine is a chroot.
 */
export function enterFlags(target: number): string[] {
  return ['--target', String(target), '--mount', '--net', '--pid', '--root'];
}

/** Kills all processes of a part. Resolves when they are gone and their ports are free. */
export async function killPart(folder: string, part: string): Promise<void> {
  await killUntilNoneIsLeft(() => partProcesses(folder).filter((candidate) => candidate.part === part));
  fs.rmSync(recordFile(folder, part), { force: true });
}

/** Kills every process of the cluster. Resolves when they are gone. */
export async function killAll(folder: string): Promise<void> {
  await killUntilNoneIsLeft(() => partProcesses(folder).filter(({ pid }) => pid !== process.pid));
}

async function killUntilNoneIsLeft(find: () => PartProcess[]): Promise<void> {
  const deadline = Date.now() + 20_000;
  // A killed process loses its environment before its ports, so processes that were found once are tracked by their id.
  let left = find();
  while (left.length > 0) {
    if (Date.now() > deadline) {
      const names = left.map(({ pid, part }) => `${part} (${pid})`).join(', ');
      throw new Error(`These processes of the cluster do not end, even when killed: ${names}.`);
    }
    kill(left);
    await delay(10);
    left = [...left.filter(stillRuns), ...find()];
  }
}

function kill(processes: readonly PartProcess[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  }
}

function partEnvironment(
  folder: string,
  part: string,
  extra: Readonly<Record<string, string>> = {},
): NodeJS.ProcessEnv {
  // kwok and other programs read configuration from the home folder. HOME keeps them away from the user's own.
  return { PATH: searchPath(), HOME: folder, [clusterVariable]: folder, [partVariable]: part, ...extra };
}

function openLog(folder: string, part: string): number {
  fs.mkdirSync(path.join(folder, 'logs'), { recursive: true });
  return fs.openSync(logFile(folder, part), 'a');
}

function scanProc(folder: string): PartProcess[] {
  const found: PartProcess[] = [];
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = readEnvironment(entry);
    if (!environment.includes(`${clusterVariable}=${folder}`)) continue;
    const part = environment.find((line) => line.startsWith(`${partVariable}=`))?.slice(partVariable.length + 1);
    const identity = identify(Number(entry));
    if (identity) found.push({ ...identity, part: part ?? '' });
  }
  return found;
}

function readEnvironment(pid: string): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    // The process has ended, or belongs to another user.
    return [];
  }
}

function recordFile(folder: string, part: string): string {
  return path.join(folder, 'pids', part);
}

function writeRecord(folder: string, part: string, pid: number): void {
  fs.mkdirSync(path.join(folder, 'pids'), { recursive: true });
  fs.writeFileSync(recordFile(folder, part), String(pid));
}

function readRecords(folder: string): PartProcess[] {
  const records = path.join(folder, 'pids');
  if (!fs.existsSync(records)) return [];
  return fs.readdirSync(records).flatMap((part) => {
    const identity = identify(Number(fs.readFileSync(path.join(records, part), 'utf8')));
    return identity ? [{ ...identity, part }] : [];
  });
}
