import assert from 'node:assert/strict';
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Agent, Job } from '../support/agent/index';
import { printed, tinyAgents } from './tinyAgent';

// Short waits for tasks that ignore signals, because the test waits through each of them.
const short = { sigintMs: 400, sigtermMs: 400, stdioGraceMs: 200, doneGraceMs: 200 };
// Long waits for tasks that end on a signal, even on a busy machine.
const long = { sigintMs: 30_000, sigtermMs: 30_000, stdioGraceMs: 30_000, doneGraceMs: 30_000 };

const stubborn = `
  process.on('SIGINT', () => say('got SIGINT'));
  process.on('SIGTERM', () => say('got SIGTERM'));
  forever(); say('ready');`;

/** A grandchild that ignores SIGINT and SIGTERM and, unless requested, shares no stream with the task. */
function child(stdio: 'ignore' | 'inherit', script = 'setInterval(() => {}, 1000)'): string {
  return `const child = spawn(process.execPath, ['-e', "process.on('SIGINT', () => {});" + ${JSON.stringify(script)}], { stdio: ${JSON.stringify(stdio)} });
    child.on('spawn', () => say('child ' + child.pid));`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !fs.readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function childPid(job: Job): Promise<number> {
  return Number((await job.waitForLine(/^child \d+$/)).text.split(' ')[1]);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

describe('cancelling a job', () => {
  const agentWith = tinyAgents();

  it('SIGINT comes first, and a task that ends on it is Canceled whatever its result, which post-job sees', async () => {
    const main = `
      process.on('SIGINT', () => {
        say('##vso[task.setvariable variable=outcome;isoutput=true]cancelled');
        say('##vso[task.complete result=Succeeded;]fine');
        process.exit(0);
      });
      forever(); say('ready');`;
    const post = `say(process.env['agent.jobstatus']);`;
    const agent = agentWith(
      [
        { main, post },
        { name: 'Next', main: `say('never');` },
      ],
      { timings: long },
    );
    const job = agent.startJob({ steps: [{ task: 'Tiny@1' }, { task: 'Next@1' }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    const result = await job.done;
    const [run] = result.step('Tiny').processes;
    assert.deepEqual(
      run?.signalsSent.map(({ signal }) => signal),
      ['SIGINT'],
    );
    assert.deepEqual([run.exitCode, run.signal], [0, null]);
    assert.equal(result.step('Tiny').result, 'Canceled');
    assert.deepEqual(result.outputs, { 'Tiny.outcome': 'cancelled' });
    assert.equal(result.result, 'Canceled');
    assert.equal(result.step('Next').result, 'Skipped');
    assert.deepEqual(printed(result.step('Tiny', 'post-job')), ['Canceled']);
    assert.match(result.issues[0]?.message ?? '', /^The Operation will be canceled/);
  });

  it('a task that ignores SIGINT gets SIGTERM and then SIGKILL, in this order and not before the time', async () => {
    const agent = agentWith([{ main: stubborn }], { timings: short });
    const job = agent.startJob({ steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    const [run] = (await job.done).step('Tiny').processes;
    assert.deepEqual(
      run?.signalsSent.map(({ signal }) => signal),
      ['SIGINT', 'SIGTERM', 'SIGKILL'],
    );
    assert.deepEqual(printed((await job.done).step('Tiny')), ['ready', 'got SIGINT', 'got SIGTERM']);
    const times = run.signalsSent.map(({ at }) => at.getTime());
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= short.sigintMs - 5);
    assert.ok((times[2] ?? 0) - (times[1] ?? 0) >= short.sigtermMs - 5);
    assert.equal(run.signal, 'SIGKILL');
  });

  it('the times are those of the agent unless a variable of the pipeline changes them', async () => {
    const timings = { sigintMs: 60_000, sigtermMs: 60_000 };
    const variables = { PROCESS_SIGINT_TIMEOUT: '20', PROCESS_SIGTERM_TIMEOUT: '10' };
    const job = agentWith([{ main: stubborn }], { timings }).startJob({ variables, steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    assert.equal((await job.done).step('Tiny').processes[0]?.signal, 'SIGKILL');
  });

  it('only the task itself is signalled, and its child lives on into post-job and dies at Finalize Job', async () => {
    const main = `${child('ignore')} process.on('SIGINT', () => process.exit(0)); forever();`;
    const post = `say('post'); setTimeout(() => {}, 50);`;
    const agent = agentWith([{ main, post }], { timings: long });
    const job = agent.startJob({ steps: [{ task: 'Tiny@1' }] });
    const pid = await childPid(job);
    job.cancel();
    await job.waitForLine(/^post$/);
    assert.ok(isAlive(pid));
    const result = await job.done;
    assert.deepEqual(
      result.orphans.map((orphan) => orphan.pid),
      [pid],
    );
    await until(() => !isAlive(pid));
  });

  it('in a container no signal reaches the task, which runs beside post-job until the container is removed', async () => {
    const main = `${stubborn} setInterval(() => fs.writeSync(1, 'still here\\n'), 10);`;
    const post = `const main = Number(process.env.VSTS_TASKVARIABLE_PID); process.kill(main, 0); say('main lives');`;
    const agent = agentWith([{ main: `say('##vso[task.settaskvariable variable=pid]' + process.pid); ${main}`, post }]);
    const job = agent.startJob({ isContainer: true, steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    const pid = job.pid();
    job.cancel();
    const result = await job.done;
    const [run] = result.step('Tiny').processes;
    assert.deepEqual([run?.end, run?.signalsSent, result.step('Tiny').result], ['left running', [], 'Canceled']);
    assert.ok(printed(result.step('Tiny', 'post-job')).includes('main lives'));
    assert.ok(!printed(result.step('Tiny')).includes('got SIGINT'));
    assert.deepEqual(
      result.orphans.map((orphan) => orphan.pid),
      [pid],
    );
  });

  it('a step whose condition still holds is not signalled, and the next steps are skipped', async () => {
    const main = `process.on('SIGINT', () => say('signalled')); const until = process.env.AGENT_TEMPDIRECTORY + '/go';
      const timer = setInterval(() => { if (fs.existsSync(until)) clearInterval(timer); }, 5); say('ready');`;
    const agent = agentWith([{ main }, { name: 'Next', main: `say('never');` }], { timings: long });
    const job = agent.startJob({ steps: [{ task: 'Tiny@1', condition: 'always()' }, { task: 'Next@1' }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    fs.writeFileSync(`${agent.folders.temp}/go`, '');
    const result = await job.done;
    assert.deepEqual(printed(result.step('Tiny')), ['ready']);
    assert.equal(result.step('Tiny').result, 'Succeeded');
    assert.equal(result.step('Next').result, 'Skipped');
    assert.equal(result.result, 'Canceled');
  });

  it('a cancel during the pause before a retry ends the step at once', async () => {
    const agent = agentWith([{ main: `process.exitCode = 1;` }], { timings: { ...long, retryDelayMs: () => 60_000 } });
    const job = agent.startJob({ steps: [{ task: 'Tiny@1', retryCountOnTaskFailure: 1 }] });
    await job.waitForLine(/tried again/);
    job.cancel();
    const result = await job.done;
    assert.equal(result.step('Tiny').result, 'Canceled');
    assert.equal(result.step('Tiny').processes.length, 1);
  });

  it('a cancelled task is not retried, although it failed before the signal', async () => {
    const main = `process.on('SIGINT', () => { say('##vso[task.complete result=Failed;]x'); process.exit(1); }); forever(); say('ready');`;
    const agent = agentWith([{ main }], { timings: { ...long, retryDelayMs: () => 1 } });
    const job = agent.startJob({ steps: [{ task: 'Tiny@1', retryCountOnTaskFailure: 3 }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    assert.equal((await job.done).step('Tiny').result, 'Canceled');
    assert.equal((await job.done).step('Tiny').processes.length, 1);
  });

  it('the timeout of the job acts like a cancel', async () => {
    const agent = agentWith([{ main: `forever();`, post: `say(process.env.AGENT_JOBSTATUS);` }], { timings: long });
    const job = await agent.runJob({ timeoutMs: 100, steps: [{ task: 'Tiny@1' }] });
    assert.equal(job.result, 'Canceled');
    assert.deepEqual(printed(job.step('Tiny', 'post-job')), ['Canceled']);
  });

  it('when the cancel timeout is over before the task has ended, the agent is lost', async () => {
    const agent = agentWith([{ main: stubborn, post: `say('post');` }], { timings: long });
    const job = agent.startJob({ cancelTimeoutMs: 50, steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    job.cancel();
    const result = await job.done;
    assert.equal(result.result, 'Abandoned');
    assert.deepEqual(
      result.steps.map(({ stage }) => stage),
      ['main'],
    );
    assert.equal(job.processes().length, 1);
  });
});

describe('the end of a step without a cancel', () => {
  const agentWith = tinyAgents();

  it('a step timeout signals like a cancel, fails the step, and the job goes on with always() and post-job', async () => {
    const agent = agentWith(
      [
        { main: `process.on('SIGINT', () => process.exit(0)); forever();`, post: `say(process.env.AGENT_JOBSTATUS);` },
        { name: 'Next', main: `say('ran');` },
      ],
      { timings: long },
    );
    const steps = [
      { task: 'Tiny@1', timeoutMs: 3000 },
      { task: 'Next@1', condition: 'succeededOrFailed()' },
    ];
    const job = await agent.runJob({ steps });
    assert.equal(job.step('Tiny').result, 'Failed');
    assert.deepEqual(
      job.issues.map(({ message }) => message),
      ['The task has timed out.'],
    );
    assert.deepEqual(
      job.step('Tiny').processes[0]?.signalsSent.map(({ signal }) => signal),
      ['SIGINT'],
    );
    assert.equal(job.step('Next').result, 'Succeeded');
    assert.deepEqual(printed(job.step('Tiny', 'post-job')), ['Failed']);
  });

  it('a child that holds stdout delays the end only by the grace time, and its later output is lost', async () => {
    const script = `setTimeout(() => console.log('too late'), 400); setInterval(() => {}, 1000)`;
    const main = `${child('inherit', script)} child.on('spawn', () => process.exit(0));`;
    const agent = agentWith([{ main }, { name: 'Next', main: `setTimeout(() => {}, 500);` }], { timings: short });
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }, { task: 'Next@1' }] });
    const [run] = job.step('Tiny').processes;
    assert.equal(run?.stdioHeld, true);
    assert.ok(run.durationMs >= short.stdioGraceMs - 5, `${run.durationMs}`);
    assert.equal(job.step('Tiny').result, 'Succeeded');
    assert.ok(!job.log.some(({ text }) => text.includes('too late')));
    assert.equal(job.orphans.length, 1);
  });

  it('with done=true the agent goes on without the process, ignores its output, and kills it at the end', async () => {
    const main = `say('##vso[task.complete result=Succeeded;done=true]done'); let n = 0; setInterval(() => say('still here ' + ++n), 20);`;
    const agent = agentWith([{ main }, { name: 'Next', main: `setTimeout(() => say('next'), 100);` }], {
      timings: short,
    });
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }, { task: 'Next@1' }] });
    const [run] = job.step('Tiny').processes;
    assert.equal(run?.end, 'left running');
    assert.equal(run.exitCode, undefined);
    const next = job.log.findIndex(({ text }) => text === '##[section]Starting: Next');
    assert.ok(next > 0 && !job.log.slice(next).some(({ text }) => text.startsWith('still here')));
    assert.deepEqual(
      job.orphans.map(({ pid }) => pid),
      [run.pid],
    );
  });

  it('with done=true and an end in time the exit code counts', async () => {
    const main = `say('##vso[task.complete result=Succeeded;done=true]done'); process.exitCode = 4;`;
    const job = await agentWith([{ main }], { timings: long }).runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.equal(job.result, 'Failed');
    assert.equal(job.step('Tiny').processes[0]?.exitCode, 4);
  });

  it('a task killed from outside has the exit code 137, and the step fails', async () => {
    const agent = agentWith([{ main: stubborn }]);
    const job = agent.startJob({ steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    assert.equal(job.pid(), job.processes()[0]?.pid);
    assert.ok(job.kill('SIGKILL'));
    const result = await job.done;
    assert.equal(result.step('Tiny').result, 'Failed');
    assert.ok(result.issues.some(({ message }) => message.startsWith('Exit code 137 returned')));
    assert.equal(job.kill('SIGKILL'), false);
  });

  it('only orphans that this job started and that carry its mark are killed, and none with process.clean=false', async () => {
    const detached = `const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true, env: ENV });
      child.on('spawn', () => { say('child ' + child.pid); child.unref(); });`;
    const agent = agentWith([
      { name: 'Marked', main: detached.replace('ENV', 'process.env') },
      { name: 'Unmarked', main: detached.replace('ENV', '{}') },
    ]);
    const run = async (task: string, variables = {}): Promise<[pid: number, orphans: number[]]> => {
      const job = agent.startJob({ variables, steps: [{ task }] });
      const pid = await childPid(job);
      return [pid, (await job.done).orphans.map((orphan) => orphan.pid)];
    };
    const [marked, killed] = await run('Marked@1');
    assert.deepEqual(killed, [marked]);
    await until(() => !isAlive(marked));
    for (const [task, variables] of [
      ['Unmarked@1', {}],
      ['Marked@1', { 'process.clean': 'false' }],
    ] as const) {
      const [pid, orphans] = await run(task, variables);
      assert.deepEqual(orphans, []);
      assert.ok(isAlive(pid));
      process.kill(pid, 'SIGKILL');
    }
  });
});

describe('a lost agent', () => {
  const agentWith = tinyAgents();
  const post = `say('post');`;

  async function running(agent: Agent): Promise<Job> {
    const job = agent.startJob({ steps: [{ task: 'Tiny@1' }, { task: 'Next@1', condition: 'always()' }] });
    await job.waitForLine(/^ready$/);
    return job;
  }

  it('signals no task, runs nothing else, and leaves the temporary folder for the next job', async () => {
    const main = `const note = process.env.BUILD_SOURCESDIRECTORY + '/signals'; fs.writeFileSync(note, '');
      for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => fs.appendFileSync(note, name));
      fs.writeFileSync(process.env.AGENT_TEMPDIRECTORY + '/left', ''); forever(); say('ready');`;
    const agent = agentWith(
      [
        { main, post },
        { name: 'Next', main: `say('next');`, post },
      ],
      { timings: short },
    );
    const job = await running(agent);
    job.loseAgent();
    const result = await job.done;
    assert.equal(result.result, 'Abandoned');
    assert.deepEqual(
      result.steps.map(({ stage, result: ended }) => `${stage} ${ended}`),
      ['main Abandoned'],
    );
    assert.equal(result.steps[0]?.processes[0]?.end, 'agent lost');
    assert.deepEqual(result.orphans, []);
    assert.equal(job.processes().length, 1);
    assert.ok(fs.existsSync(`${agent.folders.temp}/left`));
    assert.equal(fs.readFileSync(`${agent.folders.sources}/signals`, 'utf8'), '');
    const next = await agent.runJob({ steps: [{ task: 'Next@1' }] });
    assert.equal(next.result, 'Succeeded');
    assert.ok(!fs.existsSync(`${agent.folders.temp}/left`));
    assert.equal(job.processes().length, 1, 'a later job does not kill what carries the mark of an earlier one');
  });

  it('leaves a closed pipe for the later output of the task', async () => {
    const main = `process.stdout.on('error', (error) => { fs.writeFileSync(process.env.BUILD_SOURCESDIRECTORY + '/error', error.code); process.exit(); });
      setInterval(() => process.stdout.write('x\\n'), 5); say('ready');`;
    const agent = agentWith([{ main }, { name: 'Next', main: '' }]);
    const job = await running(agent);
    job.loseAgent();
    await job.done;
    await until(() => job.processes().length === 0);
    assert.equal(fs.readFileSync(`${agent.folders.sources}/error`, 'utf8'), 'EPIPE');
  });

  it('stops the sequence of a cancel where it is', async () => {
    const main = `const note = process.env.BUILD_SOURCESDIRECTORY + '/signals';
      process.on('SIGINT', () => { fs.appendFileSync(note, 'SIGINT '); setTimeout(() => { fs.appendFileSync(note, 'end'); process.exit(); }, 200); });
      process.on('SIGTERM', () => fs.appendFileSync(note, 'SIGTERM ')); forever(); say('ready');`;
    const timings = { ...short, sigintMs: 50, sigtermMs: 50 };
    const agent = agentWith([{ main }, { name: 'Next', main: '' }], { timings });
    const job = await running(agent);
    job.cancel();
    job.loseAgent();
    await job.done;
    await until(() => job.processes().length === 0);
    assert.equal(fs.readFileSync(`${agent.folders.sources}/signals`, 'utf8'), 'SIGINT end');
  });

  it('that is shut down signals the task, and runs no always() step and no post-job', async () => {
    const main = `process.on('SIGINT', () => process.exit(0)); forever(); say('ready');`;
    const agent = agentWith(
      [
        { main, post },
        { name: 'Next', main: `say('next');`, post },
      ],
      { timings: long },
    );
    const job = await running(agent);
    job.shutDownAgent();
    const result = await job.done;
    assert.equal(result.result, 'Canceled');
    assert.deepEqual(
      result.steps.map(({ name, stage, result: ended }) => `${stage} ${name} ${ended}`),
      ['main Tiny Canceled', 'main Next Skipped', 'post-job Next Skipped', 'post-job Tiny Skipped'],
    );
  });

  it('that is shut down during a cancel does not signal the task again, and post-job does not run', async () => {
    const main = `let n = 0; process.on('SIGINT', () => say('signal ' + ++n)); const go = process.env.AGENT_TEMPDIRECTORY + '/go';
      const timer = setInterval(() => { if (fs.existsSync(go)) clearInterval(timer); }, 5); say('ready');`;
    const agent = agentWith(
      [
        { main, post },
        { name: 'Next', main: '' },
      ],
      { timings: long },
    );
    const job = await running(agent);
    job.cancel();
    await job.waitForLine(/^signal 1$/);
    job.shutDownAgent();
    fs.writeFileSync(`${agent.folders.temp}/go`, '');
    const result = await job.done;
    assert.deepEqual(printed(result.step('Tiny')), ['ready', 'signal 1']);
    assert.equal(result.step('Tiny', 'post-job').result, 'Skipped');
    assert.equal(result.step('Next').result, 'Skipped');
  });
});

describe('waiting for a line', () => {
  const agentWith = tinyAgents();

  it('a line that never comes ends the wait with the job, and the error shows the output', async () => {
    const job = agentWith([{ main: `say('something else');` }]).startJob({ steps: [{ task: 'Tiny@1' }] });
    await assert.rejects(
      job.waitForLine(/^never$/),
      /The job has ended without a line like \/\^never\$\/[\s\S]*something else/,
    );
    await job.done;
  });

  it('a wait has its own time limit', async () => {
    const job = agentWith([{ main: stubborn }]).startJob({ steps: [{ task: 'Tiny@1' }] });
    await job.waitForLine(/^ready$/);
    await assert.rejects(job.waitForLine(/^never$/, 20), /20 ms have passed/);
    job.kill('SIGKILL');
    await job.done;
  });
});
