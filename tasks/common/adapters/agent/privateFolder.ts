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

/** A folder that only this user can read, for kubeconfigs and secret values, which must not outlive the step. */
export interface PrivateFolder {
  readonly path: string;
  /** Writes a new file with mode 0600 and returns its path. Throws `TempFolderUnusable`, also if the name is taken. */
  write(name: string, content: string): string;
  /**
   * Makes a link to an absolute path, for a program that must not get the path itself. Returns the path of the link.
   */
  link(name: string, target: string): string;
  /**
   * Synchronous, repeatable and never throws, so that every exit can call it. Returns true if the folder is gone:
   * Windows cannot remove a file that is open elsewhere.
   */
  remove(): boolean;
}

const prefix = 'helm-safe-deploy-';
const folderName = new RegExp(`^${prefix}[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`);

/**
 * Makes the folder, with a random name, when the first file is written. `announce` gets the path before the folder
 * exists, because the post-job phase, which removes the folder after a kill, must know it by then.
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
        // On Windows every user may make a junction to a folder, but not a link to a file.
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

/** Creates a file that only this user can read, either complete or not at all. Throws if the name is taken. */
export function writeNew(file: string, content: string): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    try {
      // A nearly full disk may accept only a part. `writeFileSync` then writes on, and throws when the disk accepts no
      // more.
      writeFileSync(descriptor, content);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    isRemoved(file);
    throw error;
  }
}

/** Removes all private folders in `tempDirectory`. The steps of a job run one after the other, so none is in use. */
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

/** Removes a folder that an earlier phase announced. Returns true if it is one of our folders in `tempDirectory`. */
export function removePrivateFolder(announced: string, tempDirectory: string): boolean {
  const folder = path.resolve(announced);
  const isOurs = path.dirname(folder) === path.resolve(tempDirectory) && folderName.test(path.basename(folder));
  if (isOurs) isRemoved(folder);
  return isOurs;
}
