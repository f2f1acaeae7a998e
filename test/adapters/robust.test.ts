import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { privateFolder, removePrivateFolders } from '../../tasks/common/adapters/agent/privateFolder';
import { runProcess } from '../../tasks/common/adapters/system/process';

const files = path.resolve(import.meta.dirname, '../../tasks/common/adapters/agent/privateFolder.ts');

describe('an agent in trouble', () => {
  let temp = '';
  before(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'robust-'));
  });
  after(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  it('a file that the disk takes only in part is an error, and is not left behind', () => {
    const file = path.join(temp, 'values.yaml');
    const program = `import { writeNew } from ${JSON.stringify(files)}; writeNew(${JSON.stringify(file)}, 'x'.repeat(100_000));`;
    // A limit on the size of files is what a full disk is: a write is taken in part, and the next one is refused.
    const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --import tsx --input-type=module -e "$1"`;
    const run = spawnSync('bash', ['-c', limited, process.execPath, program], { encoding: 'utf8' });
    assert.notEqual(run.status, 0, run.stdout);
    assert.match(run.stderr, /EFBIG/);
    assert.ok(!existsSync(file));
  });

  it('a private folder that cannot be written is told as such, with the file and the reason', () => {
    const folder = privateFolder(path.join(temp, 'gone'), () => undefined);
    const write = (): unknown => folder.write('kubeconfig', 'x');
    assert.throws(write, { reason: 'TempFolderUnusable', message: /Writing .*kubeconfig failed: ENOENT/ });
  });

  it('what cannot be removed is told and throws nothing', () => {
    const file = path.join(temp, 'in-the-way');
    writeFileSync(file, '');
    assert.equal(privateFolder(file, () => undefined).remove(), false);
    assert.equal(privateFolder(temp, () => undefined).remove(), true);
  });

  it('clean-up of a folder that is none throws nothing', () => {
    removePrivateFolders(path.join(temp, 'gone'));
    const file = path.join(temp, 'file');
    writeFileSync(file, '');
    removePrivateFolders(file);
    mkdirSync(path.join(temp, 'other'));
    removePrivateFolders(temp);
    assert.ok(existsSync(path.join(temp, 'other')));
  });

  it('a program that a child has left behind with its pipes is not waited for', async () => {
    const said: string[] = [];
    const pidFile = path.join(temp, 'pid');
    const script = 'sleep 600 & echo $! > "$0"; echo done';
    const result = await runProcess('/bin/sh', ['-c', script, pidFile], {
      env: process.env,
      cwd: temp,
      onStdout: (chunk) => said.push(Buffer.from(chunk).toString()),
      onStderr: () => undefined,
    });
    assert.equal(result.exitCode, 0);
    assert.equal(said.join(''), 'done\n');
    spawnSync('/bin/sh', ['-c', 'kill "$(cat "$0")"', pidFile]);
  });
});
