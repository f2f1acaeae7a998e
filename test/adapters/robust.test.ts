import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { privateFolder, removePrivateFolders } from '../../tasks/common/adapters/agent/privateFolder';
import { runProcess } from '../../tasks/common/adapters/system/process';

const files = path.resolve(import.meta.dirname, '../../tasks/common/adapters/agent/privateFolder.ts');

describe('an agent with a failing disk or process', () => {
  let temp = '';
  before(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'robust-'));
  });
  after(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  it('a file that the disk takes only in part is an error and is deleted', () => {
    const file = path.join(temp, 'values.yaml');
    const program = `import { writeNew } from ${JSON.stringify(files)}; writeNew(${JSON.stringify(file)}, 'x'.repeat(100_000));`;
    // A limit on the file size acts like a full disk: a write is done in part, and the next one is refused.
    const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --import tsx --input-type=module -e "$1"`;
    const run = spawnSync('bash', ['-c', limited, process.execPath, program], { encoding: 'utf8' });
    assert.notEqual(run.status, 0, run.stdout);
    assert.match(run.stderr, /EFBIG/);
    assert.ok(!existsSync(file));
  });

  it('an unwritable private folder is reported with the file and the reason', () => {
    const folder = privateFolder(path.join(temp, 'gone'), () => undefined);
    const write = (): unknown => folder.write('kubeconfig', 'x');
    assert.throws(write, { reason: 'TempFolderUnusable', message: /Writing .*kubeconfig failed: ENOENT/ });
  });

  it('a file that cannot be removed is reported, and nothing is thrown', () => {
    const file = path.join(temp, 'in-the-way');
    writeFileSync(file, '');
    assert.equal(privateFolder(file, () => undefined).remove(), false);
    assert.equal(privateFolder(temp, () => undefined).remove(), true);
  });

  it('removing a folder that does not exist throws nothing', () => {
    removePrivateFolders(path.join(temp, 'gone'));
    const file = path.join(temp, 'file');
    writeFileSync(file, '');
    removePrivateFolders(file);
    mkdirSync(path.join(temp, 'other'));
    removePrivateFolders(temp);
    assert.ok(existsSync(path.join(temp, 'other')));
  });

  it('a program that a child left behind with its pipes is not waited for', async () => {
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
