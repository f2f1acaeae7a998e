import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { JobResult } from '../support/agent/index';
import { printed, tinyAgents } from './tinyAgent';

const failing = `say('##vso[task.complete result=Failed;]no');`;

function results(job: JobResult): string[] {
  return job.steps.map(({ name, stage, result }) => `${stage} ${name} ${result}`);
}

describe('the stages of a job', () => {
  const agentWith = tinyAgents();
  const spoken = { pre: `say('pre');`, main: `say('main');`, post: `say('post');` };

  it('pre-job of all steps runs first, then main of all, then post-job in reverse order', async () => {
    const agent = agentWith([
      { name: 'One', ...spoken },
      { name: 'Two', ...spoken },
    ]);
    const job = await agent.runJob({ steps: [{ task: 'One@1' }, { task: 'Two@1' }] });
    assert.deepEqual(results(job), [
      'pre-job One Succeeded',
      'pre-job Two Succeeded',
      'main One Succeeded',
      'main Two Succeeded',
      'post-job Two Succeeded',
      'post-job One Succeeded',
    ]);
  });

  it('task variables, also secret ones, reach the later stages of the same step and no other step', async () => {
    const read = `say(process.env.VSTS_TASKVARIABLE_NOTE + ' ' + process.env.VSTS_TASKVARIABLE_KEY);`;
    const main = `say('##vso[task.settaskvariable variable=note]from main'); say('##vso[task.settaskvariable variable=key;issecret=true]hidden-key');`;
    const agent = agentWith([
      { name: 'One', main, post: read },
      { name: 'Two', main: read, post: read },
    ]);
    const job = await agent.runJob({ steps: [{ task: 'One@1' }, { task: 'Two@1' }] });
    assert.deepEqual(printed(job.step('One', 'post-job')), ['from main hidden-key']);
    assert.ok(job.log.some(({ text }) => text === 'from main ***'));
    assert.deepEqual(printed(job.step('Two')), ['undefined undefined']);
    assert.deepEqual(printed(job.step('Two', 'post-job')), ['undefined undefined']);
  });

  it('after a failure the next step is skipped, but its post-job runs and sees the status', async () => {
    const post = `say(process.env.AGENT_JOBSTATUS);`;
    const agent = agentWith([
      { name: 'One', main: failing, post },
      { name: 'Two', main: `say('never');`, post },
    ]);
    const job = await agent.runJob({ steps: [{ task: 'One@1' }, { task: 'Two@1' }] });
    assert.equal(job.result, 'Failed');
    assert.deepEqual(results(job), [
      'main One Failed',
      'main Two Skipped',
      'post-job Two Succeeded',
      'post-job One Succeeded',
    ]);
    assert.deepEqual(printed(job.step('Two', 'post-job')), ['Failed']);
    assert.equal(job.step('Two').processes.length, 0);
  });

  it('conditions may be always, failed, a variable, and one that cannot be parsed', async () => {
    const agent = agentWith([
      { name: 'One', main: failing },
      { name: 'Two', main: `say('ran');` },
    ]);
    const two = (name: string, condition: string): { task: string; name: string; condition: string } => ({
      task: 'Two@1',
      name,
      condition,
    });
    const job = await agent.runJob({
      variables: { target: 'Prod' },
      steps: [
        { task: 'One@1' },
        two('always', 'always()'),
        two('failed', "and(failed(), eq(variables['target'], 'prod'))"),
        two('no', "and(failed(), in(variables.target, 'dev', 'test'))"),
        two('or', "or(succeeded(), not(startsWith(variables['target'], 'x')))"),
        two('broken', 'whenever()'),
      ],
    });
    assert.deepEqual(results(job).slice(1), [
      'main always Succeeded',
      'main failed Succeeded',
      'main no Skipped',
      'main or Succeeded',
      'main broken Failed',
    ]);
  });

  it('continueOnError turns a failure into issues, and the job goes on', async () => {
    const agent = agentWith([
      { name: 'One', main: failing },
      { name: 'Two', main: `say('ran');` },
    ]);
    const job = await agent.runJob({ steps: [{ task: 'One@1', continueOnError: true }, { task: 'Two@1' }] });
    assert.deepEqual(results(job), ['main One SucceededWithIssues', 'main Two Succeeded']);
    assert.equal(job.result, 'SucceededWithIssues');
  });

  it('a failing task is started again in a new process, with the files that it left', async () => {
    const main = `
      const marker = process.env.AGENT_TEMPDIRECTORY + '/tried';
      if (fs.existsSync(marker)) { say('second attempt'); } else { fs.writeFileSync(marker, ''); ${failing} }`;
    const agent = agentWith([{ main }], { timings: { retryDelayMs: () => 1 } });
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1', retryCountOnTaskFailure: 3 }] });
    assert.equal(job.result, 'Succeeded');
    assert.equal(new Set(job.step('Tiny').processes.map(({ pid }) => pid)).size, 2);
  });

  it('after the last retry the step is Failed', async () => {
    const agent = agentWith([{ main: `process.exitCode = 1;` }], { timings: { retryDelayMs: () => 1 } });
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1', retryCountOnTaskFailure: 2 }] });
    assert.equal(job.result, 'Failed');
    assert.equal(job.step('Tiny').processes.length, 3);
  });

  it('the temporary folder is empty at the start of a job and after its end', async () => {
    const main = `say(fs.readdirSync(process.env.AGENT_TEMPDIRECTORY).join()); fs.writeFileSync(process.env.AGENT_TEMPDIRECTORY + '/left', '');`;
    const agent = agentWith([{ main }]);
    fs.writeFileSync(path.join(agent.folders.temp, 'from an earlier life'), '');
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.deepEqual(printed(job.step('Tiny')), ['']);
    assert.deepEqual(fs.readdirSync(agent.folders.temp), []);
  });

  it('a run from a fork skips a step with a connection', async () => {
    const agent = agentWith([{ main: `say('ran');`, inputs: [{ name: 'c', type: 'connectedService:kubernetes' }] }]);
    const job = await agent.runJob({
      variables: { 'system.restrictSecrets': 'true' },
      identity: { isFork: true },
      endpoints: [{ name: 'k', url: 'https://x', scheme: 'None', auth: {} }],
      steps: [{ task: 'Tiny@1', inputs: { c: 'k' } }],
    });
    assert.deepEqual(results(job), ['main Tiny Skipped']);
  });

  it('one agent runs one job at a time', async () => {
    const agent = agentWith([{ main: `setTimeout(() => {}, 100);` }]);
    const first = agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    await assert.rejects(agent.runJob({ steps: [{ task: 'Tiny@1' }] }), /one at a time/);
    await first;
    assert.equal((await agent.runJob({ steps: [{ task: 'Tiny@1' }] })).result, 'Succeeded');
  });

  it('two steps of one task get different names, and a repeated name or an unknown task is refused', async () => {
    const agent = agentWith([{ main: `say('##vso[task.setvariable variable=o;isoutput=true]1');` }]);
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }, { task: 'tiny@1' }] });
    assert.deepEqual(Object.keys(job.outputs), ['Tiny.o', 'Tiny1.o']);
    const twice = { task: 'Tiny@1', name: 'same' };
    await assert.rejects(agent.runJob({ steps: [twice, twice] }), /the name same/);
    await assert.rejects(
      agent.runJob({ steps: [{ task: 'Tiny@2' }] }),
      /Tiny@2 is not in the extension; it has Tiny@1/,
    );
  });
});
