import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdtemp, rm, symlink, utimes, writeFile, readFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, repository, taskVersion } from '../../scripts/build';
import { packageExtension } from '../../scripts/package';
import { bareRunProblems, nodesOfTheAgent } from '../../scripts/package/bareRun';
import { entryScript } from '../../scripts/package/entryScript';
import { createExtension } from '../../scripts/package/tfx';
import { readVsix } from '../../scripts/package/vsix';

const main = 'HelmSafeDeploy/HelmSafeDeployV1/main.js';

describe('packaging', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-test-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('gives the same bytes for the same source at another path, on Node 24, with another clock, times, rights, umask and time zone', async () => {
    const copy = path.join(folder, 'somewhere', 'else');
    for (const name of [
      'tasks',
      'tab',
      'images',
      'package.json',
      'package-lock.json',
      'vss-extension.json',
      'flavours',
      'docs',
      'overview.md',
      'LICENSE',
      'scripts',
      'tsconfig.json',
    ]) {
      await cp(path.join(repository, name), path.join(copy, name), { recursive: true });
    }
    await symlink(path.join(repository, 'node_modules'), path.join(copy, 'node_modules'));
    await utimes(path.join(copy, 'overview.md'), 1, 1);
    await chmod(path.join(copy, 'LICENSE'), 0o600);
    const script = path.join(folder, 'run.mts');
    await writeFile(
      script,
      `import { packageExtension } from ${JSON.stringify(path.join(copy, 'scripts', 'package', 'index.ts'))};
       const RealDate = Date;
       globalThis.Date = class extends RealDate {
         constructor(...args) { super(...(args.length === 0 ? [RealDate.now() + 1e11] : args)); }
         static now() { return RealDate.now() + 1e11; }
       };
       process.umask(0o077);
       process.stdout.write(Buffer.from(await packageExtension(${JSON.stringify(copy)})).toString('base64'));`,
    );
    const newest = nodesOfTheAgent().nodes.at(-1)?.executable ?? process.execPath;
    const other = spawnSync(newest, ['--import', 'tsx', script], {
      cwd: repository,
      env: { ...process.env, TZ: 'Asia/Kolkata', LC_ALL: 'C' },
      maxBuffer: 16_000_000,
      encoding: 'utf8',
    });
    assert.equal(other.stderr, '');
    assert.ok(Buffer.from(other.stdout, 'base64').equals(await packageExtension(repository)));
  });

  it('contains only tasks that are built', async () => {
    const built = (await readdir(path.join(repository, 'tasks'), { recursive: true }))
      .filter((file) => path.basename(file) === 'task.json')
      .map((file) => path.dirname(file));
    const packaged = [...readVsix(await packageExtension(repository)).keys()]
      .filter((name) => name.endsWith('/task.json'))
      .map((name) => name.split('/')[0]);
    assert.deepEqual(packaged.sort(), built.sort());
  });

  it('fails even if tfx only warns', async () => {
    await build({ source: repository, out: folder });
    const root = path.join(folder, 'extension');
    const taskJson = path.join(root, 'HelmSafeDeploy', 'HelmSafeDeployV1', 'task.json');
    const task = JSON.parse(await readFile(taskJson, 'utf8')) as Record<string, unknown>;
    await writeFile(taskJson, JSON.stringify({ ...task, name: 'has a blank', instanceNameFormat: undefined }));
    await assert.rejects(
      createExtension({ root, vsix: path.join(folder, 'x.vsix') }),
      /warns:[^]*task\.json file is correct/,
    );
  });

  it('gives task versions that only rise, even with a new major version of the extension', () => {
    const versions = ['0.1.0', '0.2.3', '1.0.0', '1.2.9', '1.10.0', '2.0.0'].map((version) => taskVersion(1, version));
    const order = versions.map(({ Major, Minor, Patch }) => Major * 1e8 + Minor * 1e4 + Patch);
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      order,
    );
    assert.ok(versions.every(({ Major }) => Major === 1));
  });
});

describe('a bundle alone in an empty folder', () => {
  let parts: Map<string, Uint8Array>;
  const { nodes } = nodesOfTheAgent();

  before(async () => {
    parts = readVsix(await packageExtension(repository));
  });

  for (const node of nodes) {
    it(`runs on Node ${String(node.major)}`, async () => {
      assert.deepEqual(await bareRunProblems(parts, node), []);
    });

    it(`is refused on Node ${String(node.major)} if it needs a package that it does not contain`, async () => {
      const broken = withMain(parts, 'exports.index = exports.postJob = () => require("azure-pipelines-task-lib");');
      assert.match((await bareRunProblems(broken, node)).join('\n'), /Cannot find module 'azure-pipelines-task-lib'/);
    });

    it(`is refused on Node ${String(node.major)} if it warns on stderr`, async () => {
      const warning = new TextDecoder().decode(parts.get(main)) + ';process.emitWarning("old");';
      assert.match((await bareRunProblems(withMain(parts, warning), node)).join('\n'), /Warning: old/);
    });

    it(`is refused on Node ${String(node.major)} if its guard does not end quietly with its task`, async () => {
      const staying = new TextEncoder().encode('console.error("still here"); process.exitCode = 1;');
      const broken = new Map(parts).set('HelmSafeDeploy/HelmSafeDeployV1/guard.js', staying);
      assert.match((await bareRunProblems(broken, node)).join('\n'), /guard\.js alone in a folder.*\n*still here/);
    });

    it(`is refused on Node ${String(node.major)} if it does not fail for missing inputs`, async () => {
      const silent = withMain(parts, 'exports.index = exports.postJob = () => undefined;');
      assert.match((await bareRunProblems(silent, node)).join('\n'), /did not say ##vso\[task\.complete result=Failed/);
    });
  }
});

describe('the entry script of a task', () => {
  it('on a Node that is too old sets an issue and the result, and does not load the bundle', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    try {
      const script = `Object.defineProperty(process.versions, 'node', { value: '10.24.1' });\n${entryScript('index')}`;
      await writeFile(path.join(folder, 'index.js'), script);
      const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(folder, 'index.js')], {
        encoding: 'utf8',
      });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.match(
        stdout,
        /^##vso\[task\.logissue type=error\]This task needs Node 20 or later.* Node 10\.24\.1 .*\n##vso\[task\.complete result=Failed\].*\n$/,
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

function withMain(parts: ReadonlyMap<string, Uint8Array>, code: string): Map<string, Uint8Array> {
  return new Map(parts).set(main, new TextEncoder().encode(code));
}
