import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, stillRuns } from './liveness';

/**
 * Runs `action` while this process holds `file`, which names its owner. A lock of a dead owner is taken over, so that a
 * killed command blocks nobody. If another process holds the lock, `onWait` is called once with its process id.
 */
export async function withLock<Result>(
  file: string,
  signal: AbortSignal,
  onWait: (owner: number) => void,
  action: () => Promise<Result>,
): Promise<Result> {
  const release = await acquire(file, signal, onWait);
  try {
    return await action();
  } finally {
    release();
  }
}

async function acquire(file: string, signal: AbortSignal, onWait: (owner: number) => void): Promise<() => void> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const content = `${process.pid} ${identify(process.pid)?.started ?? '-'} ${randomUUID()}`;
  let hasWaited = false;
  for (;;) {
    signal.throwIfAborted();
    if (tryCreate(file, content)) {
      return () => {
        fs.rmSync(file, { force: true });
      };
    }
    const held = read(file);
    if (held === undefined) continue;
    const owner = livingOwner(held);
    if (owner === undefined) {
      removeStale(file, held);
      continue;
    }
    if (!hasWaited) onWait(owner);
    hasWaited = true;
    await delay(100, undefined, { signal });
  }
}

/**
 * Links a complete draft to the name, so that content and name appear together and nobody reads a lock without an
 * owner.
 */
function tryCreate(file: string, content: string): boolean {
  const draft = `${file}.${randomUUID()}`;
  fs.writeFileSync(draft, content);
  try {
    fs.linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function livingOwner(content: string): number | undefined {
  const [pid = '', started = ''] = content.split(' ');
  const owner = { pid: Number(pid), started };
  return stillRuns(owner) ? owner.pid : undefined;
}

/**
 * Moves the lock away and compares it, because another process may have taken over the stale lock in the meantime. A
 * lock that is not stale is put back.
 */
function removeStale(file: string, stale: string): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    fs.renameSync(file, aside);
  } catch {
    return;
  }
  if (read(aside) !== stale) tryLink(aside, file);
  fs.rmSync(aside, { force: true });
}

function tryLink(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch {
    // A third process holds the lock now. The process whose lock was moved away does not notice, and both go on.
  }
}
