import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { repository } from '../../scripts/build';

/**
 * A stand-in for npm. It notes each call and installs the packages of the lockfile, except those for other machines.
 * `tsx` is installed as an empty package, which --import can load.
 */
const npm = `#!${process.execPath}
const fs = require('node:fs');
fs.appendFileSync('npm.log', process.argv.slice(2).join(' ') + '\\n');
if (fs.existsSync('npm-fails')) { console.error('the registry is gone'); process.exit(1); }
const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
delete packages[''];
for (const name of Object.keys(packages)) {
  if (packages[name].optional) { delete packages[name]; continue; }
  fs.mkdirSync(name, { recursive: true });
  fs.writeFileSync(name + '/package.json', JSON.stringify({ main: 'index.js' }));
  fs.writeFileSync(name + '/index.js', '');
}
fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
`;

describe('the bootstrap of a clone', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    await mkdir(path.join(root, 'scripts'));
    await mkdir(path.join(root, 'bin'));
    await cp(path.join(repository, 'scripts', 'run.cjs'), path.join(root, 'scripts', 'run.cjs'));
    await writeFile(path.join(root, 'bin', 'npm'), npm);
    await chmod(path.join(root, 'bin', 'npm'), 0o755);
    await writeFile(path.join(root, 'say.cjs'), 'console.log("said", ...process.argv.slice(2)); process.exitCode = 7;');
    await lock({ 'node_modules/tsx': { version: '1.0.0' } });
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  async function lock(packages: Record<string, { version: string; optional?: boolean; os?: string[] }>): Promise<void> {
    await writeFile(path.join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...packages } }));
  }

  async function run(...args: string[]): Promise<{ stdout: string; stderr: string; exitCode: number | null }> {
    const child = spawn(process.execPath, [path.join(root, 'scripts', 'run.cjs'), ...args], {
      env: { ...process.env, PATH: `${path.join(root, 'bin')}${path.delimiter}${process.env['PATH'] ?? ''}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close') as Promise<[number | null]>;
    const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { stdout, stderr, exitCode };
  }

  async function installs(): Promise<number> {
    const log = await readFile(path.join(root, 'npm.log'), 'utf8').catch(() => '');
    return log.split('\n').length - 1;
  }

  it('installs once, passes on arguments and exit code, and leaves stdout to the program', async () => {
    const { stdout, stderr, exitCode } = await run('say.cjs', 'a', '--b');
    assert.equal(stdout, 'said a --b\n');
    assert.match(stderr, /^Installing the dependencies \(npm ci\), once \.\.\.\nInstalled in \d+ s\.\n$/);
    assert.equal(exitCode, 7);
    assert.equal((await run('say.cjs')).stderr, '');
    assert.equal(await installs(), 1);
  });

  it('installs again when the lockfile names another version', async () => {
    await run('say.cjs');
    await lock({ 'node_modules/tsx': { version: '2.0.0' } });
    await run('say.cjs');
    assert.equal(await installs(), 2);
  });

  it('does not install again over a manual installation', async () => {
    await run('say.cjs');
    await rm(path.join(root, 'node_modules', '.helm-safe-deploy-lock'));
    await run('say.cjs');
    assert.equal(await installs(), 1);
  });

  it('installs again when a package was deleted', async () => {
    await lock({ 'node_modules/tsx': { version: '1.0.0' }, 'node_modules/other': { version: '1.0.0' } });
    await run('say.cjs');
    await rm(path.join(root, 'node_modules', 'other'), { recursive: true });
    await run('say.cjs');
    assert.equal(await installs(), 2);
  });

  it('tries only once to get an optional package that is not available', async () => {
    await lock({ 'node_modules/tsx': { version: '1.0.0' }, 'node_modules/rare': { version: '1.0.0', optional: true } });
    await run('say.cjs');
    assert.equal((await run('say.cjs')).stdout, 'said\n');
    assert.equal(await installs(), 1);
  });

  it('does not need an optional package for another operating system', async () => {
    await run('say.cjs');
    await lock({
      'node_modules/tsx': { version: '1.0.0' },
      'node_modules/foreign': { version: '1.0.0', optional: true, os: ['aix'] },
    });
    await run('say.cjs');
    assert.equal(await installs(), 1);
  });

  it('installs once when it is started twice at once', async () => {
    const runs = await Promise.all([run('say.cjs', '1'), run('say.cjs', '2'), run('say.cjs', '3')]);
    assert.deepEqual(
      runs.map(({ stdout }) => stdout),
      ['said 1\n', 'said 2\n', 'said 3\n'],
    );
    assert.equal(await installs(), 1);
  });

  it('reports a failed installation and runs nothing', async () => {
    await writeFile(path.join(root, 'npm-fails'), '');
    const { stdout, stderr, exitCode } = await run('say.cjs');
    assert.equal(stdout, '');
    assert.match(stderr, /the registry is gone\n[^]*npm ci failed; its output above says why\./);
    assert.equal(exitCode, 1);
  });
});
