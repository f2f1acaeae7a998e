import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { installDebianPackages } from '../../../scripts/cluster/debian';
import { browserPackages } from '../../../scripts/cluster/pins';

const [program] = browserPackages.chromium;

/** The reason why there can be no browser here, or undefined if it is there or can be installed. */
function browserObstacle(): string | undefined {
  if (fs.existsSync(program)) return undefined;
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`;
  if (!fs.existsSync('/usr/bin/apt-get')) return `there is no ${program}, and no apt-get to install it with`;
  return process.getuid?.() === 0 ? undefined : `there is no ${program}, and only root could install it`;
}

/** Without these flags, the browser looks for updates and other hosts on the internet. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts Debian's Chromium without a window. Installs it first where that is needed. */
export async function openBrowser(log: (line: string) => void): Promise<Browser> {
  await installDebianPackages(log, browserPackages);
  return chromium.launch({ executablePath: program, args: flags });
}

/** Skips the tests of the hook where there can be no browser. `otherObstacle` is one more reason for that. */
export async function openBrowserOrSkip(hook: Mocha.Context, otherObstacle?: string): Promise<Browser> {
  const obstacle = otherObstacle ?? browserObstacle();
  if (obstacle !== undefined) {
    console.log(`    skipped: ${obstacle}`);
    hook.skip();
  }
  return openBrowser(console.log);
}

/** The folder for the pictures that a test run leaves. It is not committed. */
export function pictureFolder(): string {
  const folder = path.join(import.meta.dirname, '..', '..', '..', 'dist', 'pictures');
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

export function temporaryFolder(name: string): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), `helm-safe-deploy-${name}-`));
}
