import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { waitFor } from './wait';

/** The name contains a hash of the state folder, so that no two clusters of this machine share a control group. */
export function cgroupName(folder: string): string {
  return `helm-safe-deploy-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`;
}

/** Creates the group under every controller, because the kubelet requires its root group there. */
export function createCgroup(name: string): void {
  for (const mount of cgroupMounts()) {
    passControllersOn(mount);
    fs.mkdirSync(path.join(mount, name), { recursive: true });
  }
}

/**
 * In cgroup version 2 a group has only the controllers that its parent passes on. The kubelet needs all of these that
 * exist.
 */
function passControllersOn(mount: string): void {
  const file = path.join(mount, 'cgroup.controllers');
  if (!fs.existsSync(file)) return;
  const existing = fs.readFileSync(file, 'utf8').trim().split(' ');
  const wanted = ['cpu', 'cpuset', 'memory', 'hugetlb', 'pids'].filter((controller) => existing.includes(controller));
  for (const controller of wanted) fs.writeFileSync(path.join(mount, 'cgroup.subtree_control'), `+${controller}`);
}

/** The existing folders of a group, one per hierarchy. */
export function cgroupFolders(name: string): string[] {
  return cgroupMounts()
    .map((mount) => path.join(mount, name))
    .filter((folder) => fs.existsSync(folder));
}

/**
 * Removes the group and all groups below it. The kernel refuses while a killed process is not gone yet, so this is
 * retried.
 */
export async function removeCgroup(name: string): Promise<void> {
  for (const group of cgroupFolders(name)) {
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
