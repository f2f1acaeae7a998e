import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { build } from 'esbuild';
import { command, succeed } from '../../../scripts/cluster/command';
import { cacheFolder } from '../../../scripts/cluster/folders';
import { withLock } from '../../../scripts/cluster/lock';
import { windowsPrograms } from '../../../scripts/cluster/pins';
import { providePrograms } from '../../../scripts/cluster/programs';
import { forwardingDll } from './forwardingDll';
import { toWindowsPath, type WineSettings } from './winePaths';

/** The means to run Windows programs here. */
export interface Wine {
  /** Replaces the agent's Node 20: it runs the task's file with the Node for Windows. */
  readonly node: string;
  /** Helm for Windows, as a Windows path. */
  readonly helm: string;
  /** Ends the processes that keep Wine running. */
  close(): Promise<void>;
}

/** Wine needs `libz-mingw-w64` and `libunwind8` of other packages, which a machine without a desktop may lack. */
const packages = ['wine64', 'libwine', 'libunwind8', 'libz-mingw-w64'];

/** The reason why Wine cannot run here, as far as known without a try. Undefined if it can. */
export function wineObstacle(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `this is ${process.platform}-${process.arch}, not linux-x64`;
  for (const program of ['apt-get', 'dpkg']) {
    if (!fs.existsSync(`/usr/bin/${program}`))
      return `Wine is unpacked from packages of Debian, and there is no ${program}`;
  }
  return undefined;
}

/**
 * Brings Wine, the Node for Windows and a Helm for Windows into the project's cache, if they are missing, and starts
 * Wine. Nothing is installed. Rejects with a sentence for a person if the packages are not available.
 */
export async function openWine(folder: string, log: (line: string) => void): Promise<Wine> {
  const { signal } = new AbortController();
  const { helm, agent, node } = windowsPrograms;
  const [helmFile = '', agentFile = '', nodeFile = ''] = await providePrograms([helm, agent, node], log, signal);
  const root = await provideWine(log, signal);
  const settings = settingsOf(root, { agent: agentFile, node: nodeFile });
  const keeper = await startKeeper(settings);
  return {
    node: await standIn(folder, settings),
    helm: toWindowsPath(helmFile),
    close: async () => {
      keeper.kill('SIGKILL');
      await run(path.join(root, 'usr/lib/wine/wineserver'), ['-k'], settings.environment).catch(() => undefined);
    },
  };
}

function settingsOf(root: string, programs: Pick<WineSettings, 'agent' | 'node'>): WineSettings {
  return {
    ...programs,
    wine: path.join(root, 'usr/lib/wine/wine64'),
    environment: {
      // Wine passes only this variable of Linux on to every process, also to the guard with its reduced environment.
      HOME: path.join(root, 'home'),
      LD_LIBRARY_PATH: path.join(root, 'usr/lib/x86_64-linux-gnu'),
      WINEDEBUG: '-all',
      WINEDLLOVERRIDES: 'mscoree,mshtml,winemenubuilder.exe=',
    },
  };
}

/** The unpacked Wine with its own Windows. It is complete when it exists. */
async function provideWine(log: (line: string) => void, signal: AbortSignal): Promise<string> {
  const target = path.join(cacheFolder(), 'tools', `wine-${digest()}`);
  const onWait = (owner: number): void => {
    log(`Wine: waiting for process ${owner}, which unpacks it`);
  };
  await withLock(`${target}.lock`, signal, onWait, async () => {
    if (fs.existsSync(target)) return;
    log('Wine is unpacked into the cache, once (100 MB to download, 1.4 GB on disk)');
    const partial = `${target}.partial`;
    fs.rmSync(partial, { recursive: true, force: true });
    fs.mkdirSync(partial, { recursive: true });
    await unpackWine(partial, signal);
    await makeWindows(partial);
    fs.renameSync(partial, target);
  });
  return target;
}

/** A hash of everything that decides what is unpacked, except the versions of the system's packages. */
function digest(): string {
  const system = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : '';
  return createHash('sha256').update(`1 ${packages.join()} ${system}`).digest('hex').slice(0, 10);
}

async function unpackWine(root: string, signal: AbortSignal): Promise<void> {
  const archives = path.join(root, 'archives');
  fs.mkdirSync(archives);
  const download = () => command('apt-get', ['download', ...packages], { cwd: archives, signal });
  let result = await download();
  if (result.code !== 0) {
    await command('apt-get', ['update', '-o', 'DPkg::Lock::Timeout=300']);
    result = await download();
  }
  if (result.code !== 0) throw new Error(`The packages of Wine cannot be had: ${result.stderr.trim()}`);
  for (const archive of fs.readdirSync(archives))
    await succeed('dpkg', ['-x', path.join(archives, archive), root], { signal });
  fs.rmSync(archives, { recursive: true });
  fs.rmSync(path.join(root, 'usr/lib/x86_64-linux-gnu/wine/i386-windows'), { recursive: true, force: true });
  // Debian's wine is a script that searches for the real program in a folder that exists only after an installation.
  const server = path.join(root, 'usr/lib/wine/wineserver');
  fs.rmSync(server, { force: true });
  fs.symlinkSync('wineserver64', server);
}

/** Makes the drive C: and a registry with Windows 10, which Node requires. */
async function makeWindows(root: string): Promise<void> {
  const { wine, environment } = settingsOf(root, { agent: '', node: '' });
  const system = path.join(root, 'home/.wine/drive_c/windows/system32');
  fs.mkdirSync(system, { recursive: true });
  fs.copyFileSync(path.join(root, 'usr/x86_64-w64-mingw32/lib/zlib1.dll'), path.join(system, 'zlib1.dll'));
  await run(wine, ['wineboot', '--init'], environment);
  const prng = path.join(system, 'bcryptprimitives.dll');
  if (!fs.existsSync(prng)) {
    fs.writeFileSync(prng, forwardingDll('bcryptprimitives.dll', 'ProcessPrng', 'advapi32.SystemFunction036'));
  }
  await run(wine, ['reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f'], environment);
  await run(path.join(root, 'usr/lib/wine/wineserver'), ['-w'], environment);
}

/** Runs without pipes, because the processes that Wine starts for itself would inherit and hold them. */
function run(file: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: environment, stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${path.basename(file)} ${args.join(' ')} ended with exit code ${String(code)}`));
    });
  });
}

/**
 * A process that lives as long as the tests. Wine's own processes start with the first program and end with the last.
 * Without this process they would count as processes of a job and be ended with it.
 */
async function startKeeper({ wine, node, environment }: WineSettings): Promise<ChildProcess> {
  const keeper = spawn(wine, [node, '-e', 'setInterval(() => {}, 1e6)'], { env: environment, stdio: 'ignore' });
  await run(wine, ['cmd', '/c', 'ver'], environment);
  return keeper;
}

/** The program that the stand-in of the agent starts as its Node. */
async function standIn(folder: string, settings: WineSettings): Promise<string> {
  const outfile = path.join(folder, 'node');
  await build({
    entryPoints: [path.join(import.meta.dirname, 'wineTask.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    banner: { js: `#!${process.execPath}` },
    logLevel: 'silent',
  });
  fs.chmodSync(outfile, 0o755);
  fs.writeFileSync(path.join(folder, 'wine.json'), JSON.stringify(settings));
  return outfile;
}
