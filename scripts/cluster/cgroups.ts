import fs from 'node:fs';
import path from 'node:path';
import { waitFor } from './wait';

/** The kubelet wants its root group to exist under every controller. */
export function createCgroup(name: string): void {
  for (const mount of cgroupMounts()) fs.mkdirSync(path.join(mount, name), { recursive: true });
}

/** Removes the group and all below it. The kernel refuses while a killed process is not yet gone, so this is tried again. */
export async function removeCgroup(name: string): Promise<void> {
  for (const mount of cgroupMounts()) {
    const group = path.join(mount, name);
    await waitFor(`the control group ${group} to be empty`, () => removeTree(group), { timeoutSeconds: 10 });
  }
}

function removeTree(folder: string): boolean {
  if (!fs.existsSync(folder)) return true;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(path.join(folder, entry.name));
  }
  fs.rmdirSync(folder);
  return true;
}

function cgroupMounts(): string[] {
  return fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, mount = '']) => mount);
}
