import fs from 'node:fs';
import type { HelmSeen } from './invariants';

/** The command line of a process as words. Empty if the process is gone. */
export function argumentsOf(pid: number): string[] {
  return text(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
}

export function isAlive(pid: number): boolean {
  const state = /^State:\s+(\S)/m.exec(text(`/proc/${pid}/status`))?.[1];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Processes that this process started itself. */
export function childrenOf(pid: number): number[] {
  return text(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((entry) => entry !== '')
    .map(Number);
}

const verbs = ['upgrade', 'install', 'rollback', 'uninstall'];

/** Returns true if the command line is that of a Helm that only rehearses a rollback. */
export function isRehearsal(words: readonly string[]): boolean {
  return words.includes('rollback') && words.includes('--no-hooks');
}

/**
 * The change of a release that a command line means. Undefined for a command that changes nothing, also for a
 * rehearsal.
 */
export function helmVerb(words: readonly string[]): string | undefined {
  const verb = words.find((word, index) => index > 0 && verbs.includes(word));
  return isRehearsal(words) || words.some((word) => word.startsWith('--dry-run') || word === '--help')
    ? undefined
    : verb;
}

/** The first changing Helm among the children of a process. */
export function changingHelm(parent: number, verb?: string): number | undefined {
  return childrenOf(parent).find((child) => {
    const found = helmVerb(argumentsOf(child));
    return found !== undefined && (verb === undefined || found === verb);
  });
}

export function rehearsingHelm(parent: number): number | undefined {
  return childrenOf(parent).find((child) => isRehearsal(argumentsOf(child)));
}

interface Tracked extends HelmSeen {
  readonly namespace: string;
}

/** Follows every Helm on this machine that changes a release, by reading the process table again and again. */
export interface HelmWatch {
  /** The Helms that worked in a namespace. */
  seenIn(namespace: string): HelmSeen[];
  stop(): void;
}

const readEveryMs = 50;
/** A process may become another program in its first moments. */
const undecidedForMs = 1_000;

export function watchHelms(): HelmWatch {
  const known = new Map<number, { since: number; tracked: Tracked | undefined }>();
  const seen: Tracked[] = [];
  const look = (): void => {
    const now = performance.now();
    const present = new Set<number>();
    for (const entry of fs.readdirSync('/proc')) {
      const pid = Number(entry);
      if (!Number.isInteger(pid)) continue;
      present.add(pid);
      const before = known.get(pid) ?? { since: now, tracked: undefined };
      known.set(pid, before);
      if (before.tracked === undefined && now - before.since <= undecidedForMs) before.tracked = track(pid, now);
      if (before.tracked !== undefined && isAlive(pid))
        seen[indexOf(seen, before.tracked)] = before.tracked = { ...before.tracked, lastSeen: now };
    }
    for (const pid of known.keys()) if (!present.has(pid)) known.delete(pid);
  };
  look();
  const timer = setInterval(look, readEveryMs);
  return {
    seenIn: (namespace) => seen.filter((one) => one.namespace === namespace),
    stop: () => {
      clearInterval(timer);
    },
  };
}

function indexOf(seen: readonly Tracked[], tracked: Tracked): number {
  const at = seen.indexOf(tracked);
  return at < 0 ? seen.length : at;
}

function track(pid: number, now: number): Tracked | undefined {
  if (text(`/proc/${pid}/comm`).trim() !== 'helm') return undefined;
  const words = argumentsOf(pid);
  const verb = helmVerb(words);
  if (verb === undefined) return undefined;
  const namespace = words[words.indexOf('--namespace') + 1] ?? '';
  const parent = Number(/^PPid:\s+(\d+)/m.exec(text(`/proc/${pid}/status`))?.[1] ?? 0);
  return { pid, verb, parent, namespace, firstSeen: now, lastSeen: now };
}

function text(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // The process has ended by itself.
    return false;
  }
}
