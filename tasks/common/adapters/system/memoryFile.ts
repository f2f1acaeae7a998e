import { randomUUID } from 'node:crypto';
import { openSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const memory = '/dev/shm';
/** TMPFS_MAGIC of Linux. */
const tmpfs = 0x01021994;

/**
 * Writes a file with mode 0600 that lies in memory, has no name in any folder and is gone when this process ends,
 * however it ends. Returns a path by which children can read it, or undefined where the system has no such files.
 */
export function memoryFile(content: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const file = path.join(memory, `helm-safe-deploy-${randomUUID()}`);
  try {
    if (statfsSync(memory).type !== tmpfs) return undefined;
    const descriptor = openSync(file, 'wx', 0o600);
    unlinkSync(file);
    writeFileSync(descriptor, content);
    return `/proc/${process.pid}/fd/${descriptor}`;
  } catch {
    return undefined;
  }
}
