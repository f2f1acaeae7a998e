import { randomUUID } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { TaskError } from '../../core/failure';

/** A folder that only this user can read, for what must not outlive the step: kubeconfig and secret values. */
export interface PrivateFolder {
  readonly path: string;
  /** Writes a new file, mode 0600, and answers its path. Throws `TempFolderUnusable`, also when the name is taken. */
  write(name: string, content: string): string;
  /** Makes a link to an absolute path, for a program that may not be given the path itself; answers where it is. */
  link(name: string, target: string): string;
  /**
   * Synchronous, repeatable and without an error, so that it can stand on every way out. Answers whether it is gone: on
   * Windows a file that somebody has open cannot be removed.
   */
  remove(): boolean;
}

const prefix = 'helm-safe-deploy-';
const folderName = new RegExp(`^${prefix}[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`);

/**
 * Makes the folder, with a random name, when the first file is written. `announce` is told its path before it exists:
 * whoever is to remove it after a kill must know it by then.
 */
export function privateFolder(tempDirectory: string, announce: (folder: string) => void): PrivateFolder {
  const folder = path.join(path.resolve(tempDirectory), prefix + randomUUID());
  let exists = false;
  const inFolder = (name: string, make: (file: string) => void): string => {
    const file = path.join(folder, name);
    if (!exists) announce(folder);
    try {
      if (!exists) mkdirSync(folder, { mode: 0o700 });
      exists = true;
      make(file);
    } catch (cause) {
      const message = `Writing ${file} failed: ${(cause as Error).message}.`;
      throw new TaskError('TempFolderUnusable', message, { cause });
    }
    return file;
  };
  return {
    path: folder,
    write: (name, content) =>
      inFolder(name, (file) => {
        writeNew(file, content);
      }),
    link: (name, target) =>
      inFolder(name, (link) => {
        // Windows lets every user make a junction, and a link to a file not.
        if (process.platform === 'win32' && !statSync(target).isDirectory()) copyFileSync(target, link);
        else symlinkSync(target, link, 'junction');
      }),
    remove: () => {
      if (!isRemoved(folder)) return false;
      exists = false;
      return true;
    },
  };
}

function isRemoved(file: string): boolean {
  try {
    rmSync(file, { recursive: true, force: true, maxRetries: 2 });
    return true;
  } catch {
    return false;
  }
}

/** Creates a file that only this user can read, whole or not at all; throws when there is one of this name. */
export function writeNew(file: string, content: string): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    try {
      // It goes on where a disk that is nearly full has taken a part, and throws where that takes no more.
      writeFileSync(descriptor, content);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    isRemoved(file);
    throw error;
  }
}

/** Removes all folders of ours in `tempDirectory`: the steps of a job run one after the other, so none is in use. */
export function removePrivateFolders(tempDirectory: string): void {
  for (const name of namesIn(tempDirectory)) {
    if (folderName.test(name)) removePrivateFolder(path.join(tempDirectory, name), tempDirectory);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Removes a folder that an earlier phase announced; answers whether it is one of ours in `tempDirectory`. */
export function removePrivateFolder(announced: string, tempDirectory: string): boolean {
  const folder = path.resolve(announced);
  const isOurs = path.dirname(folder) === path.resolve(tempDirectory) && folderName.test(path.basename(folder));
  if (isOurs) isRemoved(folder);
  return isOurs;
}
