/**
 * Processes of this machine that are not children of this one. A mark `machine/pid/start` identifies each: a process id
 * is reused after a time, and it means something else on other machines and in other containers. On Windows the start
 * of a process cannot be read cheaply. There the mark holds the time when the process was seen (`seenOnWindows`).
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { deliverable, isStrangerOnWindows, type StopStep } from './platform';
import { killTreeOnWindows, seenOnWindows, startedAtOnWindows } from './windowsProcesses';

/** `group` means the whole process group of a process that was started as the first of its own group. */
type Reach = 'process' | 'group';

/**
 * Milliseconds of a clock that is the same for all processes of this machine, starts at an arbitrary moment and is
 * never set.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Returns undefined if no such process runs. A process that has ended and only waits to be reaped does not run. */
export function processMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined || seen.hasEnded ? undefined : markOf(pid, seen.start);
}

/**
 * The mark of a child that was started just now. Even a child that has already ended gets a mark: a script may leave
 * the real program behind in its group, and nobody else can get its id until we have read its exit.
 */
export function childMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined ? undefined : markOf(pid, seen.start);
}

/**
 * Returns true if the end of the marked process is visible here, because the mark names a process of this machine or
 * container.
 */
export function canBeSeen(mark: string): boolean {
  return namedHere(mark) !== undefined;
}

/**
 * Returns true if the marked process, or its whole group, has ended. Returns false if that cannot be known: for a
 * process of another machine or container, and for an invalid mark.
 */
export function isProcessGone(mark: string, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined) return false;
  return !(reach === 'group' ? groupRuns(named) : runs(named));
}

/**
 * Sends a signal if the process is still the marked one, and returns true if the signal was sent. Windows has no
 * signals: there only SIGKILL works, and with `group` it ends the process and all its descendants.
 */
export function signalProcess(mark: string, signal: NodeJS.Signals, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined || isProcessGone(mark, reach)) return false;
  if (process.platform === 'win32') return signal === 'SIGKILL' && killOnWindows(named, reach);
  return sent(reach === 'group' ? -named.pid : named.pid, signal);
}

/**
 * Sends signals in turn until the process is gone, and returns true if it is gone. Signals that the platform cannot
 * send are left out.
 */
export async function stopProcess(mark: string, steps: readonly StopStep[], reach?: Reach): Promise<boolean> {
  for (const { signal, waitMs } of deliverable(process.platform, steps)) {
    signalProcess(mark, signal, reach);
    if ((await waitUntilGone([mark], waitMs, reach)).length === 0) return true;
  }
  return isProcessGone(mark, reach);
}

/** The end of a process that is not a child causes no event, so it is polled. */
const lookEveryMs = 25;

/** Waits until all of them have ended. Returns the marks of those that still run after `timeoutMs`. */
export async function waitUntilGone(
  marks: readonly string[],
  timeoutMs: number,
  reach?: Reach,
): Promise<readonly string[]> {
  const end = machineMs() + timeoutMs;
  for (;;) {
    const left = marks.filter((mark) => !isProcessGone(mark, reach));
    if (left.length === 0 || machineMs() >= end) return left;
    await delay(lookEveryMs);
  }
}

interface FoundProcess {
  mark: string;
  /** The mark of its process group. The first process of the group may be gone. */
  groupMark: string;
  /** The value of the variable in the environment of the process. */
  value: string;
}

/**
 * The running processes of this user that were started with a variable of this name in their environment. Only Linux
 * shows the environment of other processes. On other systems the list is empty.
 */
export function processesStartedWith(variable: string): FoundProcess[] {
  const prefix = `${variable}=`;
  const all = table();
  const starts = new Map(all.map(({ pid, start }) => [pid, start]));
  return all.flatMap(({ pid, group, start, hasEnded }) => {
    if (hasEnded) return [];
    const entry = (readText(`/proc/${pid}/environ`) ?? '').split('\0').find((each) => each.startsWith(prefix));
    if (entry === undefined) return [];
    const groupMark = markOf(group, starts.get(group) ?? noStart);
    return [{ mark: markOf(pid, start), groupMark, value: entry.slice(prefix.length) }];
  });
}

/** The start of a process that is gone. No later process with the same id can have this value. */
const noStart = '-';

interface Named {
  pid: number;
  /** Empty if the system does not show it. */
  start: string;
}

function markOf(pid: number, start: string): string {
  return `${thisMachine()}/${pid}/${start}`;
}

/**
 * The process that a mark names, if it is one of this machine. Ids below 2 are rejected, because `kill` treats them as
 * groups or as all processes.
 */
function namedHere(mark: string): Named | undefined {
  const [machine, id = '', start, ...more] = mark.split('/');
  if (machine !== thisMachine() || start === undefined || more.length > 0) return undefined;
  const pid = /^[1-9]\d{0,9}$/.test(id) ? Number(id) : 0;
  return pid > 1 ? { pid, start } : undefined;
}

let machineName: string | undefined;

/** The host, the boot and the namespace of process ids, because each container has its own process ids. */
function thisMachine(): string {
  machineName ??= [hostname().slice(0, 64), readText('/proc/sys/kernel/random/boot_id')?.trim(), processNamespace()]
    .filter((part) => part !== undefined)
    .join(':')
    .replace(/[\s/]/g, '-');
  return machineName;
}

function processNamespace(): string | undefined {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  } catch {
    return undefined;
  }
}

interface Seen {
  start: string;
  /** True if the process only waits to be reaped. */
  hasEnded: boolean;
}

function see(pid: number): Seen | undefined {
  switch (process.platform) {
    case 'linux':
      return readStat(pid) ?? seenBySignal(pid);
    case 'win32': {
      const seen = seenBySignal(pid);
      return seen && { ...seen, start: seenOnWindows(pid) };
    }
    default:
      return seenByPs(pid);
  }
}

function runs(named: Named): boolean {
  const seen = see(named.pid);
  return seen !== undefined && !seen.hasEnded && isSame(seen, named);
}

function isSame(seen: Seen, { pid, start }: Named): boolean {
  if (process.platform === 'win32') return !isStrangerOnWindows(startedAtOnWindows(pid), start);
  return seen.start === start || seen.start === '' || start === '';
}

/**
 * Returns true if any process of the group runs. The system does not reuse an id while a group has it, so if the first
 * process is gone, the rest of the group is still its own.
 */
function groupRuns(named: Named): boolean {
  const { pid } = named;
  const first = see(pid);
  if (first !== undefined && !isSame(first, named)) return false;
  if (first !== undefined && !first.hasEnded) return true;
  if (process.platform === 'win32') return false;
  if (!hasProc()) return sent(-pid, 0);
  return table().some(({ group, hasEnded }) => group === pid && !hasEnded);
}

interface Stat extends Seen {
  pid: number;
  group: number;
}

/** See proc(5). The name, which is the second field, may contain anything, even blanks and parentheses. */
function readStat(pid: number): Stat | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const [state = '', , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const threads = Number(rest[14]);
  // While one of its threads is still ending, the process may keep its files open.
  const hasEnded = (state === 'Z' || state === 'X') && !(threads > 1);
  return { pid, group: Number(group), start: rest[16] ?? '', hasEnded };
}

function hasProc(): boolean {
  return process.platform === 'linux' && existsSync('/proc/self/stat');
}

/** All processes on Linux. Empty on other systems. */
function table(): Stat[] {
  if (!hasProc()) return [];
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? (readStat(Number(entry)) ?? []) : []));
}

function seenBySignal(pid: number): Seen | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // The error EPERM means that the process runs and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  return { start: '', hasEnded: false };
}

/** For macOS, which has no /proc and no signal that distinguishes a process from a later one with the same id. */
function seenByPs(pid: number): Seen | undefined {
  try {
    const line = execFileSync('/bin/ps', ['-p', String(pid), '-o', 'stat=', '-o', 'lstart='], {
      encoding: 'utf8',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
    const [state = '', ...started] = line.trim().split(/\s+/);
    return { start: started.join('-'), hasEnded: state.startsWith('Z') };
  } catch {
    return seenBySignal(pid);
  }
}

function sent(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * Kills only if the process is surely the marked one. A mark without a time, as earlier versions wrote it, is not
 * enough.
 */
function killOnWindows({ pid, start }: Named, reach: Reach): boolean {
  if (isStrangerOnWindows(startedAtOnWindows(pid, true), start) !== false) return false;
  if (reach === 'process') return sent(pid, 'SIGKILL');
  killTreeOnWindows(pid);
  return true;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
