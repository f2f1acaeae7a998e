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

/** Only this user can read it. It holds kubeconfigs and secret values, which must not outlive the step. */
export interface PrivateFolder {
  readonly path: string;
  /** Returns the path of a new file with mode 0600. Throws `TempFolderUnusable`, also if the name is taken. */
  write(name: string, content: string): string;
  /** Returns the path of a link, for a program that must not get the absolute path `target` itself. */
  link(name: string, target: string): string;
  /** Synchronous; never throws. Returns false if a file is open elsewhere on Windows. */
  remove(): boolean;
}

const prefix = 'helm-safe-deploy-';
const folderName = new RegExp(`^${prefix}[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`);

/** `announce` gets the path before the folder exists, because the post-job phase removes the folder after a kill. */
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

/** Mode 0600. The file is complete, or it does not exist. Throws if the name is taken. */
export function writeNew(file: string, content: string): void {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    try {
      // On a nearly full disk, `writeFileSync` writes a part after the other, and throws when no more fits.
      writeFileSync(descriptor, content);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    isRemoved(file);
    throw error;
  }
}

/** The steps of a job run one after the other, so none of these folders is in use. */
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

/** Returns true if the announced folder is one of ours in `tempDirectory`. */
export function removePrivateFolder(announced: string, tempDirectory: string): boolean {
  const folder = path.resolve(announced);
  const isOurs = path.dirname(folder) === path.resolve(tempDirectory) && folderName.test(path.basename(folder));
  if (isOurs) isRemoved(folder);
  return isOurs;
}
