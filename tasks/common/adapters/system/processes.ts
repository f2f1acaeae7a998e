/**
 * Processes of this machine that are not children of this one. Each is told by a mark, `machine/pid/start`: process ids
 * are used again, on other machines they mean something else, and in other containers too. On Windows, where the start
 * of a process cannot be read cheaply, it holds the time at which the process was seen (`seenOnWindows`).
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { deliverable, isStrangerOnWindows, type StopStep } from './platform';
import { killTreeOnWindows, seenOnWindows, startedAtOnWindows } from './windowsProcesses';

/** `group`: the process was started as the first of a process group of its own, and all of that is meant. */
export type Reach = 'process' | 'group';

/** Milliseconds by a clock that runs alike for all processes of this machine, from some start on, and is never set. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Undefined when no such process runs; one that has ended and only waits to be reaped does not run. */
export function processMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined || seen.hasEnded ? undefined : markOf(pid, seen.start);
}

/**
 * Of a child that was started just now. It gets a mark even if it has ended already: a script may leave the real program
 * behind in its group, and until we have heard of its end nobody else can have its id.
 */
export function childMark(pid: number): string | undefined {
  const seen = see(pid);
  return seen === undefined ? undefined : markOf(pid, seen.start);
}

/** Whether it can be known of the marked process if it has ended: the mark names a process of this machine or container. */
export function canBeSeen(mark: string): boolean {
  return namedHere(mark) !== undefined;
}

/**
 * Whether the marked process, or its whole group, has ended. False where that cannot be known: for a process of another
 * machine or container, and for a text that is no mark.
 */
export function isProcessGone(mark: string, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined) return false;
  return !(reach === 'group' ? groupRuns(named) : runs(named));
}

/**
 * Sends a signal if the process is still the one of the mark; answers whether it was sent. Windows knows no signals:
 * there only SIGKILL does anything, and with `group` it ends the process and all that it has started.
 */
export function signalProcess(mark: string, signal: NodeJS.Signals, reach: Reach = 'process'): boolean {
  const named = namedHere(mark);
  if (named === undefined || isProcessGone(mark, reach)) return false;
  if (process.platform === 'win32') return signal === 'SIGKILL' && killOnWindows(named, reach);
  return sent(reach === 'group' ? -named.pid : named.pid, signal);
}

/** Signals one after the other until the process is gone; answers whether it is. What the platform cannot send is left out. */
export async function stopProcess(mark: string, steps: readonly StopStep[], reach?: Reach): Promise<boolean> {
  for (const { signal, waitMs } of deliverable(process.platform, steps)) {
    signalProcess(mark, signal, reach);
    if ((await waitUntilGone([mark], waitMs, reach)).length === 0) return true;
  }
  return isProcessGone(mark, reach);
}

/** Nothing tells of the end of a process that is no child, so it is asked for. */
const lookEveryMs = 25;

/** Waits for the end of all of them; answers with the marks of those that still run after `timeoutMs`. */
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

export interface FoundProcess {
  mark: string;
  /** The mark of its process group, whose first process may be gone. */
  groupMark: string;
  /** Of the variable that it was found by. */
  value: string;
}

/**
 * The running processes of this user that were started with a variable of that name in their environment. Only Linux
 * shows that to others; elsewhere the answer is empty.
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

/** The start of a process that is gone: none that gets its id later has it. */
const noStart = '-';

interface Named {
  pid: number;
  /** Empty where the system does not tell it. */
  start: string;
}

function markOf(pid: number, start: string): string {
  return `${thisMachine()}/${pid}/${start}`;
}

/** What a mark names, if that is of this machine. Ids below 2 mean groups and everything to `kill`, never one process. */
function namedHere(mark: string): Named | undefined {
  const [machine, id = '', start, ...more] = mark.split('/');
  if (machine !== thisMachine() || start === undefined || more.length > 0) return undefined;
  const pid = /^[1-9]\d{0,9}$/.test(id) ? Number(id) : 0;
  return pid > 1 ? { pid, start } : undefined;
}

let machineName: string | undefined;

/** Host, boot and, since containers count their processes anew, the namespace of process ids. */
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
  /** It only waits to be reaped. */
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

/** An id is not given to a new process as long as a group has it: where the first of a group is gone, the rest is its own. */
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

/** See proc(5). The name, which comes second, may hold anything, also blanks and parentheses. */
function readStat(pid: number): Stat | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const [state = '', , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const threads = Number(rest[14]);
  // As long as a thread of it is still ending, it may hold what it has open.
  const hasEnded = (state === 'Z' || state === 'X') && !(threads > 1);
  return { pid, group: Number(group), start: rest[16] ?? '', hasEnded };
}

function hasProc(): boolean {
  return process.platform === 'linux' && existsSync('/proc/self/stat');
}

/** All processes of Linux; none elsewhere. */
function table(): Stat[] {
  if (!hasProc()) return [];
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? (readStat(Number(entry)) ?? []) : []));
}

function seenBySignal(pid: number): Seen | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Another user's process runs as well.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  return { start: '', hasEnded: false };
}

/** Where there is no /proc and no signal that tells one process from a later one: macOS. */
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

/** Only where the process is surely the one of the mark: a mark without a time, as earlier versions wrote it, is not enough. */
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
