/*
 * A mark `machine/pid/start` identifies a process that is no child of this one, because a process id is reused and
 * means something else in another container. On Windows the start is replaced by the time when the process was seen.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { deliverable, isStrangerOnWindows, type StopStep } from './platform';
import { killTreeOnWindows, seenOnWindows, startedAtOnWindows } from './windowsProcesses';

/** `group` is the process group of a process that was started as its first. */
type Reach = 'process' | 'group';

/** Milliseconds of a clock that is never set and is the same for all processes of this machine. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Undefined if the process does not run. A process that only waits to be reaped does not run. */
export function processMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined || seen.hasEnded ? undefined : markOf(pid, seen.start);
}

/** Works also for a child that has already ended: a script may leave the real program behind in its group. */
export function childMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined ? undefined : markOf(pid, seen.start);
}

/** True if the mark names a process of this machine or container. */
export function canBeSeen(mark: string): boolean {
  return namedHere(mark) !== undefined;
}

/** False if it cannot be known: for an invalid mark, or a process of another machine or container. */
export function isProcessGone(mark: string, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined) return false;
  return !(reach === 'group' ? groupRuns(named) : runs(named));
}

/** Returns true if the signal was sent. On Windows only SIGKILL works, and `group` means all descendants. */
export function signalProcess(mark: string, signal: NodeJS.Signals, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined || isProcessGone(mark, reach)) return false;
  if (process.platform === 'win32') return signal === 'SIGKILL' && killOnWindows(named, reach);
  return sent(reach === 'group' ? -named.pid : named.pid, signal);
}

/** Sends the signals of the steps in turn. Returns true if the process is gone. */
export async function stopProcess(mark: string, steps: readonly StopStep[], reach?: Reach): Promise<boolean> {
  for (const { signal, waitMs } of deliverable(process.platform, steps)) {
    signalProcess(mark, signal, reach);
    if ((await waitUntilGone([mark], waitMs, reach)).length === 0) return true;
  }
  return isProcessGone(mark, reach);
}

/** The end of a process that is no child causes no event. */
const pollEveryMs = 25;

/** Returns the marks of those that still run after `timeoutMs`. */
export async function waitUntilGone(
  marks: readonly string[],
  timeoutMs: number,
  reach?: Reach,
): Promise<readonly string[]> {
  const end = machineMs() + timeoutMs;
  for (;;) {
    const left = marks.filter((mark) => !isProcessGone(mark, reach));
    if (left.length === 0 || machineMs() >= end) return left;
    await delay(pollEveryMs);
  }
}

interface FoundProcess {
  mark: string;
  /** The first process of the group may be gone. */
  groupMark: string;
  /** The value of the variable. */
  value: string;
}

/** Running processes with this variable in their environment. Empty on systems other than Linux. */
export function processesStartedWith(variable: string): FoundProcess[] {
  const prefix = `${variable}=`;
  const all = processTable();
  const starts = new Map(all.map(({ pid, start }) => [pid, start]));
  return all.flatMap(({ pid, group, start, hasEnded }) => {
    if (hasEnded) return [];
    const entry = (readText(`/proc/${pid}/environ`) ?? '').split('\0').find((each) => each.startsWith(prefix));
    if (entry === undefined) return [];
    const groupMark = markOf(group, starts.get(group) ?? noStart);
    return [{ mark: markOf(pid, start), groupMark, value: entry.slice(prefix.length) }];
  });
}

/** No later process with the same id can have this start. */
const noStart = '-';

interface Named {
  pid: number;
  start: string;
}

function markOf(pid: number, start: string): string {
  return `${thisMachine()}/${pid}/${start}`;
}

/** Undefined for another machine, and for ids below 2, which `kill` treats as groups or as all processes. */
function namedHere(mark: string): Named | undefined {
  const [machine, id = '', start, ...more] = mark.split('/');
  if (machine !== thisMachine() || start === undefined || more.length > 0) return undefined;
  const pid = /^[1-9]\d{0,9}$/.test(id) ? Number(id) : 0;
  return pid > 1 ? { pid, start } : undefined;
}

let machineName: string | undefined;

/** Host, boot and namespace of process ids, because each container has its own. */
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

/** The system does not reuse an id while a group has it, so a group without its first process is still the same. */
function groupRuns(named: Named): boolean {
  const { pid } = named;
  const first = see(pid);
  if (first !== undefined && !isSame(first, named)) return false;
  if (first !== undefined && !first.hasEnded) return true;
  if (process.platform === 'win32') return false;
  if (!hasProc()) return sent(-pid, 0);
  return processTable().some(({ group, hasEnded }) => group === pid && !hasEnded);
}

interface Stat extends Seen {
  pid: number;
  group: number;
}

/** See proc(5). The second field, the name, may contain blanks and parentheses. */
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

/** The table is empty on systems other than Linux. */
function processTable(): Stat[] {
  if (!hasProc()) return [];
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? (readStat(Number(entry)) ?? []) : []));
}

function seenBySignal(pid: number): Seen | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process runs and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  return { start: '', hasEnded: false };
}

/** macOS has no /proc. */
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

/** Kills only if the process is surely the marked one. Marks of earlier versions have no time. */
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
