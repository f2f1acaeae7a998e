import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { codeOfPart, repository } from '../../scripts/build';
import { nodesOfTheAgent, type NodeBinary } from '../../scripts/package/bareRun';
import { createGuard } from '../../tasks/common/adapters/helm/guard';
import { isProcessGone, machineMs, processMark, signalProcess } from '../../tasks/common/adapters/system/processes';
import type { GuardLimits } from '../../tasks/common/guard/duty';
import { guardLimits } from '../../tasks/common/guard/limits';
import { guardVariable, messageLine, type HelmKind } from '../../tasks/common/guard/messages';
import { tinyAgents } from '../agent/tinyAgent';
import { eventually } from '../support/stubApiServer';

/** Waits end as soon as their condition holds. This limit only bounds a failing test on a busy machine. */
const patienceSeconds = 30;

/**
 * A stand-in for the task. Its argument names its guard and its Helms. It prints one JSON value per line and executes
 * the words on its standard input.
 */
const owner = `
import { writeSync } from 'node:fs';
import { createGuard } from './tasks/common/adapters/helm/guard';
import { runProcess } from './tasks/common/adapters/system/process';
import { machineMs } from './tasks/common/adapters/system/processes';

const { guardFile, helms, beatMs, leaves } = JSON.parse(process.argv[2]);
const say = (what) => writeSync(1, JSON.stringify(what) + '\\n');
const guard = createGuard({ file: guardFile, environment: process.env, onWarning: (warning) => say({ warning }) });
const beat = () => guard.alive(0);
beat();
say({ renewedAtMs: machineMs() });
if (beatMs !== undefined) setInterval(beat, beatMs);
const nothing = () => undefined;
const start = async ({ file, log, kind, isUntold }) => {
  let pid;
  const { exitCode } = await runProcess(file, [], {
    cwd: '/', onStdout: nothing, onStderr: nothing,
    env: { ...process.env, ...guard.environment(kind), LOG: log },
    onStart: (started) => { pid = started; if (!isUntold) guard.watch(pid, kind); },
  });
  guard.done(pid);
  say({ exitCode });
};
say({ guard: guard.start() });
for (const helm of helms) void start(helm);
if (!leaves) process.stdin.on('data', (word) => {
  const text = String(word).trim();
  if (text === 'close') void guard.close().then(() => say({ closed: true }));
  else if (text === 'exit') process.exit(0);
  else void start(JSON.parse(text));
}).once('end', () => process.exit(0));
`;

/**
 * Programs in place of Helm. Each writes its log to $LOG and ends when $LOG.end exists or the folder of the tests is
 * gone.
 */
const helmPrograms = {
  obedient: `trap 'echo INT >>"$LOG"; exit 1' INT; echo ready >>"$LOG"
    while [ ! -e "$LOG.end" ] && [ -e "$LOG" ]; do sleep 0.02; done; echo ended >>"$LOG"`,
  stubborn: `trap 'echo INT >>"$LOG"' INT; echo "$$" >>"$LOG.pid"; echo ready >>"$LOG"
    while [ ! -e "$LOG.end" ] && [ -e "$LOG" ]; do sleep 0.02; done; echo ended >>"$LOG"`,
};

function refuse(warning: string): never {
  throw new Error(warning);
}

/** The child processes, as the Linux kernel lists them. */
function processesOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${String(pid)}/task`);
  return tasks.flatMap((task) => {
    const children = readFileSync(`/proc/${String(pid)}/task/${task}/children`, 'utf8');
    return children.trim().split(' ').map(Number);
  });
}

interface Said {
  guard?: string;
  renewedAtMs?: number;
  warning?: string;
  exitCode?: number;
  closed?: boolean;
}

interface HelmPlan {
  file: string;
  log: string;
  kind: HelmKind;
  isUntold?: boolean;
}

interface Owner {
  child: ChildProcess;
  said: Said[];
  /** The process mark of its guard. */
  guard: string;
}

describe('the guard', () => {
  let folder: string;
  let ownerFile: string;
  let guardFile: string;
  let logs = 0;
  const started: ChildProcess[] = [];
  const marks: string[] = [];

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    guardFile = path.join(folder, 'guard.js');
    writeFileSync(guardFile, await codeOfPart(repository, 'guard.js'));
    ownerFile = await bundled('owner', owner);
    for (const [name, text] of Object.entries(helmPrograms)) program(name, text);
    for (const name of Object.keys(helmPrograms)) program(`${name}-wrapped`, `"${folder}/${name}"\nexit $?`);
    program('left-behind', `"${folder}/stubborn" & exit 0`);
  });

  afterEach(async () => {
    for (const mark of marks.splice(0)) signalProcess(mark, 'SIGKILL', 'group');
    for (const child of started.splice(0)) {
      child.kill('SIGKILL');
      child.kill('SIGCONT');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function bundled(name: string, contents: string): Promise<string> {
    const outfile = path.join(folder, `${name}.cjs`);
    const stdin = { contents, resolveDir: repository, loader: 'ts' } as const;
    await build({
      stdin,
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      logLevel: 'silent',
    });
    return outfile;
  }

  /** The guard with other time limits than in the product. */
  function guardWith(limits: Partial<GuardLimits>): Promise<string> {
    const all = { ...guardLimits(process.platform), ...limits };
    const name = `guard-${Object.values(limits).join('-')}`;
    return bundled(
      name,
      `import { runGuard } from './tasks/common/guard/runGuard'; runGuard(${JSON.stringify(all)}, process.argv[2] ?? '');`,
    );
  }

  function program(name: string, text: string): void {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(path.join(folder, name), 0o755);
  }

  function helm(name: string, kind: HelmKind, more: Partial<HelmPlan> = {}): HelmPlan {
    return { file: path.join(folder, name), log: path.join(folder, `log-${String(++logs)}`), kind, ...more };
  }

  function noted({ log }: HelmPlan): string[] {
    return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  }

  function end({ log }: HelmPlan): void {
    writeFileSync(`${log}.end`, '');
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    await eventually(what, holds, patienceSeconds);
  }

  /** Returns true if the process catches the signal, as the Linux kernel reports it. */
  function catches(mark: string, signal: number): boolean {
    const status = readFileSync(`/proc/${mark.split('/')[1] ?? ''}/status`, 'utf8');
    const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
    return ((caught >> BigInt(signal - 1)) & 1n) === 1n;
  }

  async function gone(mark: string): Promise<void> {
    await until(`${mark} is gone`, () => isProcessGone(mark, 'group'));
  }

  interface OwnerPlan {
    helms?: readonly HelmPlan[];
    guard?: string;
    node?: string;
    beatMs?: number;
    leaves?: boolean;
  }

  /** Starts a task with its Helms and waits until they run. */
  async function startOwner({
    helms = [],
    guard = guardFile,
    node = process.execPath,
    ...more
  }: OwnerPlan): Promise<Owner> {
    const argument = JSON.stringify({ guardFile: guard, helms, ...more });
    const child = spawn(node, [ownerFile, argument], { stdio: ['pipe', 'pipe', 'inherit'] });
    started.push(child);
    const said: Said[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said));
    await until('the task has a guard', () => said.some((each) => 'guard' in each || 'warning' in each));
    const mark = said.find((each) => each.guard !== undefined)?.guard ?? '';
    marks.push(mark);
    for (const each of helms) await until('Helm is at work', () => noted(each).includes('ready'));
    return { child, said, guard: mark };
  }

  function tell({ child }: Owner, what: string | HelmPlan): void {
    child.stdin?.write(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`);
  }

  const nodes: readonly NodeBinary[] = nodesOfTheAgent().nodes;

  for (const { major, executable: node } of nodes) {
    describe(`on Node ${String(major)}`, () => {
      it('when the task is killed, its upgrade is interrupted at once, its rollback may finish, and then the guard exits', async () => {
        const guard = await guardWith({ silentAfterMs: 600_000, killAfterMs: 900_000 });
        const [upgrade, rollback] = [helm('obedient', 'interruptible'), helm('stubborn', 'final')];
        const task = await startOwner({ helms: [upgrade, rollback], guard, node });
        task.child.kill('SIGKILL');
        await until('the upgrade has ended', () => noted(upgrade).length > 1);
        assert.deepEqual(noted(upgrade), ['ready', 'INT']);
        assert.equal(isProcessGone(task.guard), false);
        end(rollback);
        await gone(task.guard);
        assert.deepEqual(noted(rollback), ['ready', 'ended']);
        assert.deepEqual(noted(upgrade), ['ready', 'INT']);
      });

      it('when the task stops responding, Helm is interrupted at the time limit, and the guard stays for the next Helm', async () => {
        const guard = await guardWith({ silentAfterMs: 1500, killAfterMs: 600_000 });
        const [first, next] = [helm('obedient', 'interruptible'), helm('obedient', 'interruptible')];
        const task = await startOwner({ helms: [first], guard, beatMs: 50, node });
        task.child.kill('SIGSTOP');
        await until('Helm is told', () => noted(first).includes('INT'));
        task.child.kill('SIGCONT');
        await until('the task knows of its end', () => task.said.some(({ exitCode }) => exitCode === 1));
        tell(task, next);
        await until('the next one is at work', () => noted(next).includes('ready'));
        task.child.kill('SIGKILL');
        await until('the next one is told', () => noted(next).includes('INT'));
        await gone(task.guard);
      });
    });
  }

  it('a Helm behind a wrapper script is interrupted too', async () => {
    const upgrade = helm('obedient-wrapped', 'interruptible');
    const task = await startOwner({ helms: [upgrade] });
    task.child.kill('SIGKILL');
    await gone(task.guard);
    assert.deepEqual(noted(upgrade), ['ready', 'INT']);
  });

  it('processes that ignore signals and endless rollbacks are killed with all children, and not before the time limit', async () => {
    const killAfterMs = 1500;
    const guard = await guardWith({ silentAfterMs: 600_000, killAfterMs });
    const upgrade = helm('stubborn-wrapped', 'interruptible');
    const rollback = helm('stubborn-wrapped', 'final');
    const abandoned = helm('left-behind', 'final');
    const helms = [upgrade, rollback, abandoned];
    const task = await startOwner({ helms, guard });
    const inner = helms.map(({ log }) => processMark(Number(readFileSync(`${log}.pid`, 'utf8'))) ?? '');
    task.child.kill('SIGKILL');
    for (const mark of inner) await until('it is killed', () => isProcessGone(mark));
    const renewedAtMs = task.said.find((each) => each.renewedAtMs !== undefined)?.renewedAtMs ?? Infinity;
    assert.ok(machineMs() - renewedAtMs >= killAfterMs - 50, `${String(machineMs() - renewedAtMs)} ms`);
    await gone(task.guard);
    assert.deepEqual(
      helms.map((each) => noted(each).includes('ended')),
      [false, false, false],
    );
    assert.deepEqual([noted(rollback), noted(abandoned)], [['ready'], ['ready']]);
  });

  it("the guard handles Helms that a killed task had not yet reported, and leaves another task's Helm alone", async function () {
    if (process.platform !== 'linux') this.skip();
    const upgrade = helm('obedient', 'interruptible', { isUntold: true });
    const rollback = helm('stubborn', 'final', { isUntold: true });
    const abandoned = helm('left-behind', 'final', { isUntold: true });
    const others = helm('obedient', 'interruptible', { isUntold: true });
    const other = await startOwner({ helms: [others] });
    const task = await startOwner({ helms: [upgrade, rollback, abandoned] });
    task.child.kill('SIGKILL');
    await until('the upgrade has ended', () => noted(upgrade).includes('INT'));
    end(rollback);
    await until('the rollback has ended', () => noted(rollback).includes('ended'));
    assert.equal(isProcessGone(task.guard), false);
    end(abandoned);
    await gone(task.guard);
    for (const each of [rollback, abandoned]) assert.deepEqual(noted(each), ['ready', 'ended']);
    assert.deepEqual(noted(others), ['ready']);
    assert.equal(isProcessGone(other.guard), false);
    end(others);
  });

  it('a process id that now belongs to another process is not signalled', async () => {
    const bystander = helm('obedient', 'interruptible');
    const child = spawn(bystander.file, {
      detached: true,
      stdio: 'ignore',
      env: { ...process.env, LOG: bystander.log },
    });
    started.push(child);
    await until('it is at work', () => noted(bystander).includes('ready'));
    const [machine = '', pid = '', begin = ''] = (processMark(child.pid ?? 0) ?? '').split('/');
    const guard = spawn(process.execPath, [guardFile, 'token'], { stdio: ['pipe', 'ignore', 'ignore'] });
    started.push(guard);
    const mark = `${machine}/${pid}/${String(Number(begin) - 1)}`;
    guard.stdin.end(messageLine({ event: 'watch', mark, kind: 'interruptible' }));
    assert.deepEqual(await once(guard, 'exit'), [0, null]);
    assert.deepEqual(noted(bystander), ['ready']);
    end(bystander);
    await once(child, 'exit');
    assert.deepEqual(noted(bystander), ['ready', 'ended']);
  });

  it('the guard survives what ends the task or a whole process tree', async function () {
    if (process.platform !== 'linux') this.skip();
    const upgrade = helm('obedient', 'interruptible');
    const task = await startOwner({ helms: [upgrade] });
    await until('it has begun', () => catches(task.guard, 1) && catches(task.guard, 2) && catches(task.guard, 15));
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) signalProcess(task.guard, signal);
    task.child.kill('SIGKILL');
    await gone(task.guard);
    assert.deepEqual(noted(upgrade), ['ready', 'INT']);
  });

  it('a task that ends normally leaves no guard, whether it closes the guard or not', async () => {
    const upgrade = helm('obedient', 'interruptible');
    const task = await startOwner({ helms: [upgrade] });
    end(upgrade);
    await until('Helm has ended', () => task.said.some(({ exitCode }) => exitCode === 0));
    tell(task, 'close');
    await until('it is closed', () => task.said.some(({ closed }) => closed === true));
    assert.equal(isProcessGone(task.guard), true);
    assert.equal(task.child.exitCode, null);

    const hasty = await startOwner({});
    tell(hasty, 'exit');
    await gone(hasty.guard);
    assert.deepEqual(
      [...task.said, ...hasty.said].filter(({ warning }) => warning !== undefined),
      [],
    );
  });

  it('the guard does not keep a finished task alive', async () => {
    const task = await startOwner({ leaves: true });
    if (task.child.exitCode === null) await once(task.child, 'exit');
    assert.equal(task.child.exitCode, 0);
    await gone(task.guard);
  });

  it('a guard that cannot start, or is killed, is reported once, and Helm may finish', async () => {
    const [first, second] = [helm('obedient', 'interruptible'), helm('obedient', 'interruptible')];
    const without = await startOwner({ helms: [first], guard: path.join(folder, 'no-guard.js'), beatMs: 20 });
    const killed = await startOwner({ helms: [second], beatMs: 20 });
    signalProcess(killed.guard, 'SIGKILL');
    for (const [task, plan] of [
      [without, first],
      [killed, second],
    ] as const) {
      await until('it is told of', () => task.said.some(({ warning }) => warning !== undefined));
      const third = helm('obedient', 'final');
      tell(task, third);
      await until('a further Helm is at work', () => noted(third).includes('ready'));
      for (const each of [plan, third]) end(each);
      await until('both have ended', () => task.said.filter(({ exitCode }) => exitCode === 0).length === 2);
      tell(task, 'close');
      await until('it is closed', () => task.said.some(({ closed }) => closed === true));
      assert.equal(task.said.filter(({ warning }) => warning !== undefined).length, 1);
    }
    const [warning] = killed.said.flatMap((each) => each.warning ?? []);
    assert.match(
      warning ?? '',
      /stops Helm if this step is killed, has ended \(SIGKILL\)\. The step continues without it/,
    );
  });

  it('the guard gets the start time of a renewal, also for a renewal before its own start', async () => {
    const heard = path.join(folder, 'heard');
    const copy = path.join(folder, 'copy.cjs');
    writeFileSync(copy, `process.stdin.pipe(require('node:fs').createWriteStream(${JSON.stringify(heard)}));`);
    const guard = createGuard({ file: copy, environment: process.env, onWarning: refuse });
    guard.alive(7000);
    const atMs = machineMs() - 7000;
    guard.start();
    guard.alive(5000);
    const laterMs = machineMs() - 5000;
    await guard.close();
    const times = readFileSync(heard, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { atMs: number }).atMs);
    assert.equal(times.length, 2);
    assert.ok(Math.abs((times[0] ?? 0) - atMs) < 50 && Math.abs((times[1] ?? 0) - laterMs) < 50, times.join());
  });

  it('the guard runs before Helm starts, so a killed task never leaves a Helm without one', async function () {
    if (process.platform !== 'linux') this.skip();
    const guard = createGuard({ file: guardFile, environment: process.env, onWarning: refuse });
    const helmsEnvironment = guard.environment('final');
    const children = processesOf(process.pid);
    const mark = guard.start() ?? '';
    assert.deepEqual(Object.keys(helmsEnvironment), [guardVariable]);
    assert.ok(children.includes(Number(mark.split('/')[1])));
    await guard.close();
    assert.equal(isProcessGone(mark), true);
  });

  it('a guard that is never needed is never started', async () => {
    const guard = createGuard({ file: guardFile, environment: process.env, onWarning: refuse });
    guard.alive(0);
    guard.done(1);
    await guard.close();
    assert.equal(guard.start(), undefined);
  });
});

describe('the guard of a killed task on an agent', () => {
  const agentWith = tinyAgents();
  // These long limits keep the agent's own waits from ending here, so a guard that held the agent's streams would be
  // seen.
  const timings = { sigintMs: 60_000, sigtermMs: 60_000, stdioGraceMs: 60_000, doneGraceMs: 60_000 };

  it('shares no stream with the agent, and is found and killed at the end of the job while its Helm runs on', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    try {
      const guardFile = path.join(folder, 'guard.js');
      writeFileSync(guardFile, await codeOfPart(repository, 'guard.js'));
      const outfile = path.join(folder, 'owner.cjs');
      const stdin = { contents: owner, resolveDir: repository, loader: 'ts' } as const;
      await build({ stdin, outfile, bundle: true, platform: 'node', format: 'cjs', logLevel: 'silent' });
      const file = path.join(folder, 'stubborn');
      writeFileSync(file, `#!/bin/sh\n${helmPrograms.stubborn}\n`);
      chmodSync(file, 0o755);
      const log = path.join(folder, 'log');
      const argument = JSON.stringify({ guardFile, helms: [{ file, log, kind: 'final' }], beatMs: 50, leaves: true });
      const main = `process.argv[2] = ${JSON.stringify(argument)}; require(${JSON.stringify(outfile)});`;
      const job = agentWith([{ main }], { timings }).startJob({ steps: [{ task: 'Tiny@1' }] });
      const { text } = await job.waitForLine(/^\{"guard"/);
      const mark = (JSON.parse(text) as { guard: string }).guard;
      await eventually('Helm is at work', () => existsSync(`${log}.pid`) && existsSync(log), patienceSeconds);
      const helm = Number(readFileSync(`${log}.pid`, 'utf8'));
      job.kill('SIGKILL');
      const { orphans, steps } = await job.done;
      assert.equal(steps[0]?.processes[0]?.stdioHeld, false);
      const guard = Number(mark.split('/')[1]);
      assert.deepEqual(
        [guard, helm].filter((pid) => !orphans.some((orphan) => orphan.pid === pid)),
        [],
      );
      await eventually('both are gone', () => isProcessGone(mark) && processMark(helm) === undefined, patienceSeconds);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
