import fs from 'node:fs';
import { command, lastLines } from './command';
import { debianPackages } from './pins';
import type { Log } from './programs';
import { canHaveNamespaces } from './realNode';

/**
 * The reason why a real node is impossible here, or undefined if it is possible. Packages that can be installed are no
 * reason.
 */
export async function realNodeObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (process.getuid?.() !== 0) return 'this user is not root';
  const refusal = await canHaveNamespaces();
  if (refusal !== undefined) return `root may not make namespaces here (${refusal})`;
  if (missingPackages().length > 0 && !fs.existsSync('/usr/bin/apt-get')) {
    return `${missingPackages().join(', ')} must be installed for it, and there is no apt-get to do that with`;
  }
  return undefined;
}

type Packages = Readonly<Record<string, readonly string[]>>;

function missingPackages(packages: Packages = debianPackages): string[] {
  return Object.entries(packages)
    .filter(([, files]) => !files.some((file) => fs.existsSync(file)))
    .map(([name]) => name);
}

/** The file by which an installed package was found. */
export function debianFile(name: string): string {
  const found = debianPackages[name]?.find((file) => fs.existsSync(file));
  if (found === undefined) throw new Error(`The Debian package ${name} is not installed.`);
  return found;
}

/**
 * Installs Debian packages, by default those of the real node. It cannot be interrupted, because a half-installed package is worse
 * than a wait.
 */
export async function installDebianPackages(log: Log, packages: Packages = debianPackages): Promise<void> {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  log(`Installing the Debian packages ${missing.join(', ')}`);
  const install = () =>
    command('apt-get', ['install', '--yes', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  const update = await command('apt-get', ['update', '-o', 'DPkg::Lock::Timeout=300']);
  const result = await install();
  if (result.code === 0 && missingPackages(packages).length === 0) return;
  const output = [update, result].map(({ stdout, stderr }) => lastLines(`${stdout}${stderr}`, 10)).join('\n');
  throw new Error(`apt-get could not install ${missing.join(', ')}:\n${output}`);
}
