import assert from 'node:assert/strict';
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopLeftProcesses } from '../../tasks/common/adapters/helm/leftProcesses';
import { runProcess } from '../../tasks/common/adapters/system/process';
import {
  childMark,
  isProcessGone,
  processesStartedWith,
  processMark,
  signalProcess,
  stopProcess,
  waitUntilGone,
} from '../../tasks/common/adapters/system/processes';
import { eventually } from '../support/stubApiServer';

const forever = ['-c', 'while :; do sleep 1; done'];

describe('processes that are not children', () => {
  const started: ChildProcess[] = [];
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'helm-safe-deploy-test-'));
  });

  afterEach(() => {
    for (const { pid } of started.splice(0)) kill(pid);
    rmSync(folder, { recursive: true, force: true });
  });

  function kill(pid: number | undefined): void {
    if (pid === undefined) return;
    for (const id of [-pid, pid]) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {
        // gone
      }
    }
  }

  function start(
    file: string,
    args: readonly string[],
    options: SpawnOptions = {},
  ): { child: ChildProcess; mark: string } {
    const child = spawn(file, args, { stdio: 'ignore', detached: true, ...options });
    started.push(child);
    const mark = processMark(child.pid ?? 0);
    assert.ok(mark !== undefined);
    return { child, mark };
  }

  it('a running process is alive, and then gone', async () => {
    const { child, mark } = start('sh', forever);
    assert.equal(isProcessGone(mark), false);
    assert.equal(processMark(child.pid ?? 0), mark);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(isProcessGone(mark), true);
    assert.equal(processMark(child.pid ?? 0), undefined);
    assert.equal(signalProcess(mark, 'SIGURG'), false);
  });

  it('a process that has ended but is not reaped by its parent counts as gone (a container without an init)', async () => {
    const file = path.join(folder, 'pid');
    // The shell starts this process, but sleep does not reap it.
    start('sh', [
      '-c',
      `sh -c 'while [ ! -e "${folder}/end" ]; do sleep 0.02; done' & echo $! >"${file}"; exec sleep 1000`,
    ]);
    await eventually('the process is there', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
    const pid = Number(readFileSync(file, 'utf8'));
    const mark = processMark(pid) ?? '';
    assert.equal(isProcessGone(mark), false);
    writeFileSync(path.join(folder, 'end'), '');
    await eventually('it is gone', () => isProcessGone(mark), 30);
    assert.equal(process.kill(pid, 0), true, 'the kernel still knows it');
    assert.equal(processMark(pid), undefined);
  });

  it('a script that ended before anybody checked still has a mark, for the processes left in its group', async () => {
    const log = path.join(folder, 'pid');
    const child = spawn('sh', ['-c', `sleep 1000 & echo $! >"${log}.new"; mv "${log}.new" "${log}"`], {
      stdio: 'ignore',
      detached: true,
    });
    started.push(child);
    // This loop blocks, so Node cannot reap the process meanwhile.
    while (!existsSync(log) || processMark(child.pid ?? 0) !== undefined);
    const mark = childMark(child.pid ?? 0) ?? '';
    assert.equal(isProcessGone(mark), true);
    assert.equal(isProcessGone(mark, 'group'), false);
    await once(child, 'exit');
    assert.equal(isProcessGone(mark, 'group'), false);
    assert.equal(signalProcess(mark, 'SIGKILL', 'group'), true);
    assert.deepEqual(await waitUntilGone([mark], 30_000, 'group'), []);
  });

  it('a process id that now belongs to another process does not match its mark', () => {
    const { mark } = start('sh', forever);
    const [machine = '', pid = '', begin = ''] = mark.split('/');
    const earlier = `${machine}/${pid}/${String(Number(begin) - 1)}`;
    assert.equal(isProcessGone(earlier), true);
    assert.equal(isProcessGone(earlier, 'group'), true);
    for (const reach of ['process', 'group'] as const) assert.equal(signalProcess(earlier, 'SIGKILL', reach), false);
    assert.equal(isProcessGone(mark), false);
  });

  it('a mark of an earlier version without the start time is still read', () => {
    const { mark } = start('sh', forever);
    const withoutStart = mark.slice(0, mark.lastIndexOf('/') + 1);
    assert.equal(isProcessGone(withoutStart), false);
    assert.equal(signalProcess(withoutStart, 'SIGURG'), true);
  });

  it('a process of another machine or container is not known to be gone and is never signalled', async () => {
    const { child, mark } = start('sh', forever);
    const elsewhere = `agent-7:${mark}`;
    assert.equal(isProcessGone(elsewhere), false);
    assert.equal(isProcessGone(elsewhere, 'group'), false);
    assert.equal(signalProcess(elsewhere, 'SIGKILL'), false);
    assert.deepEqual(await waitUntilGone([elsewhere], 1), [elsewhere]);
    assert.equal(child.exitCode ?? child.signalCode, null);
  });

  it('an invalid mark, or one that would mean every process, is never signalled', () => {
    const { mark } = start('sh', forever);
    const [machine = '', pid = '', begin = ''] = mark.split('/');
    const ids = ['0', '1', '-1', `-${pid}`, '', ' ', 'NaN', '1e9', `${pid}.5`, '99999999999'].map(
      (id) => `${machine}/${id}/`,
    );
    for (const text of ['', '/', '//', 'abc', `${machine}/${pid}`, `${mark}/more`, `/${pid}/${begin}`, ...ids]) {
      assert.equal(isProcessGone(text), false, text);
      // SIGURG does nothing, in case it is sent after all.
      for (const reach of ['process', 'group'] as const)
        assert.equal(signalProcess(text, 'SIGURG', reach), false, text);
    }
  });

  it('a program whose name looks like the rest of its line in /proc is read correctly', () => {
    const program = path.join(folder, 'x) Z 1 (y');
    symlinkSync(process.execPath, program);
    const { mark } = start(program, ['-e', 'setInterval(() => {}, 1000)']);
    assert.equal(isProcessGone(mark), false);
    assert.equal(isProcessGone(mark, 'group'), false);
  });

  it('a wrapper is gone while its children live: the group is not gone, and signals reach it', async () => {
    const file = path.join(folder, 'pid');
    const { child, mark } = start('sh', ['-c', `sleep 1000 & echo $! >"${file}"; read line`], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await eventually('both are there', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
    const inner = processMark(Number(readFileSync(file, 'utf8'))) ?? '';
    child.stdin?.end();
    await once(child, 'exit');
    assert.equal(isProcessGone(mark), true);
    assert.equal(isProcessGone(mark, 'group'), false);
    assert.equal(signalProcess(mark, 'SIGKILL'), false);
    assert.equal(isProcessGone(inner), false);
    assert.equal(signalProcess(mark, 'SIGKILL', 'group'), true);
    assert.deepEqual(await waitUntilGone([inner], 30_000), []);
    assert.equal(isProcessGone(mark, 'group'), true);
  });

  it('a main process that ends on a signal gets no further signal', async () => {
    const log = path.join(folder, 'log');
    const { child, mark } = start('sh', [
      '-c',
      `trap 'echo INT >>"${log}"; exit 3' INT; echo ready >>"${log}"; while :; do sleep 0.02; done`,
    ]);
    await eventually('it is ready', () => existsSync(log));
    const steps = [
      { signal: 'SIGINT', waitMs: 30_000 },
      { signal: 'SIGKILL', waitMs: 30_000 },
    ] as const;
    assert.equal(await stopProcess(mark, steps), true);
    assert.equal(readFileSync(log, 'utf8'), 'ready\nINT\n');
    if (child.exitCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 3);
  });

  it('a main process that ignores all signals is killed, and one that cannot be stopped is reported as running', async () => {
    const { child, mark } = start('sh', ['-c', `trap '' INT TERM; : >"${folder}/ready"; while :; do sleep 0.02; done`]);
    await eventually('it is ready', () => existsSync(path.join(folder, 'ready')));
    assert.equal(
      await stopProcess(mark, [
        { signal: 'SIGINT', waitMs: 60 },
        { signal: 'SIGTERM', waitMs: 60 },
      ]),
      false,
    );
    assert.deepEqual(await waitUntilGone([mark], 1), [mark]);
    assert.equal(
      await stopProcess(
        mark,
        [
          { signal: 'SIGINT', waitMs: 60 },
          { signal: 'SIGKILL', waitMs: 30_000 },
        ],
        'group',
      ),
      true,
    );
    if (child.signalCode === null) await once(child, 'exit');
    assert.equal(child.signalCode, 'SIGKILL');
  });

  it('processes started with a variable are found by it, together with their children', async function () {
    if (process.platform !== 'linux') this.skip();
    const name = `HELM_SAFE_DEPLOY_TEST_${String(process.pid)}`;
    const { child, mark } = start('sh', ['-c', `sleep 1000 & : >"${folder}/ready"; wait`], {
      env: { ...process.env, [name]: 'a=b' },
    });
    const other = start('sh', forever, { env: { ...process.env, [`${name}_OTHER`]: 'a=b' } });
    await eventually('it is ready', () => existsSync(path.join(folder, 'ready')));
    // A process that is just becoming another program has no environment for a moment.
    await eventually('both are seen', () => processesStartedWith(name).length === 2);
    const found = processesStartedWith(name);
    assert.deepEqual(
      found.find((each) => each.mark === mark),
      { mark, groupMark: mark, value: 'a=b' },
    );
    assert.deepEqual(
      found.map(({ groupMark }) => groupMark),
      [mark, mark],
    );
    assert.ok(!found.some((each) => each.mark === other.mark));

    child.kill('SIGKILL');
    await once(child, 'exit');
    const [left] = processesStartedWith(name);
    assert.equal(isProcessGone(left?.groupMark ?? '', 'group'), false);
    assert.equal(signalProcess(left?.groupMark ?? '', 'SIGKILL', 'group'), true);
    assert.deepEqual(await waitUntilGone([left?.mark ?? ''], 30_000), []);
  });
});

describe('processes that a main phase left running', () => {
  const elsewhere = 'agent-7/4711/1234';
  const unseen: readonly [string, string | undefined, boolean][] = [
    ['', undefined, true],
    ['', '', true],
    ['no mark', '\n', true],
    [elsewhere, '', true],
    [elsewhere, elsewhere, false],
  ];
  for (const [main, children, isHelmStopped] of unseen) {
    it(`are not waited for where they cannot be seen: "${main}" and ${JSON.stringify(children)}`, async () => {
      const said: string[] = [];
      const startedMs = performance.now();
      const ended = await stopLeftProcesses(main, children, (line) => said.push(line));
      assert.ok(performance.now() - startedMs < 2000);
      assert.deepEqual(said, []);
      assert.equal(ended.isHelmStopped, isHelmStopped);
      // The Lease of its own process is taken at once, that of another process is not.
      assert.equal(ended.isProcessGone(main), true);
      assert.equal(ended.isProcessGone('agent-8/1/1'), false);
    });
  }

  it('are ended while they are still at work', async () => {
    const child = spawn('sh', forever, { stdio: 'ignore', detached: true });
    const mark = processMark(child.pid ?? 0) ?? '';
    const said: string[] = [];
    const ended = await stopLeftProcesses(mark, '', (line) => said.push(line));
    assert.match(said.join(), /still running/);
    assert.ok(ended.isHelmStopped && ended.isProcessGone(mark));
  });
});

describe('starting a program', () => {
  it('reports the process id at once, and reports no process for a missing program', async () => {
    const pids: number[] = [];
    const options = {
      cwd: tmpdir(),
      env: {},
      onStdout: () => undefined,
      onStderr: () => undefined,
      onStart: (pid: number) => pids.push(pid),
    };
    const run = runProcess(process.execPath, ['-e', ''], options);
    assert.equal(pids.length, 1);
    assert.ok(processMark(pids[0] ?? 0) !== undefined);
    assert.equal((await run).exitCode, 0);
    assert.equal((await runProcess(path.join(tmpdir(), 'no', 'helm'), [], options)).startError?.code, 'ENOENT');
    assert.equal(pids.length, 1);
  });

  it('reports a program that the system refuses to start like a missing program', async () => {
    const options = { cwd: tmpdir(), env: {}, onStdout: () => undefined, onStderr: () => undefined };
    // Node throws this error. On Windows it throws EINVAL for a batch file, and UNKNOWN for a file that is not a
    // program.
    const { startError, exitCode } = await runProcess(process.execPath, ['x'.repeat(4 * 1024 * 1024)], options);
    assert.equal(startError?.code, 'E2BIG');
    assert.equal(exitCode, undefined);
  });
});
