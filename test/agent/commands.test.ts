import assert from 'node:assert/strict';
import { AgentViolationError } from '../support/agent/index';
import type { JobResult, StepSpec } from '../support/agent/index';
import type { TinyTask } from '../support/agent/tinyExtension';
import { tinyAgents } from './tinyAgent';

function saying(...lines: string[]): string {
  return lines.map((line) => `say(${JSON.stringify(line)});`).join('\n');
}

describe("agent commands in a task's output", () => {
  const agentWith = tinyAgents();

  async function run(task: Omit<TinyTask, 'name'>, step: Partial<StepSpec> = {}, secrets = {}): Promise<JobResult> {
    const agent = agentWith([task]);
    return agent.runJob({ allowViolations: true, secrets, steps: [{ task: 'Tiny@1', name: 'it', ...step }] });
  }

  it('are found anywhere in a line, on stdout and stderr, with keys in any case, and escapes are decoded', async () => {
    const main = `
      say('some text ##vso[TASK.setVariable Variable=one;IsOutput=TRUE;]a%0Ab%3Bc%AZP25d');
      fs.writeSync(2, 'err ##vso[task.setvariable variable=two%3B%5D;isoutput=true]x=y;z\\n');`;
    const job = await run({ main });
    assert.deepEqual(job.violations, []);
    assert.deepEqual(job.outputs, { 'it.one': 'a\nb;c%d', 'it.two;]': 'x=y;z' });
    assert.deepEqual(job.step('it').outputs, { one: 'a\nb;c%d', 'two;]': 'x=y;z' });
    assert.ok(!job.log.some(({ text }) => text.includes('##vso')));
    assert.deepEqual(new Set(job.step('it').raw.map(({ stream }) => stream)), new Set(['stdout', 'stderr']));
  });

  it('a lone carriage return ends a line, so a command after one is executed', async () => {
    const job = await run({ main: `say('progress 10%\\r##vso[task.setvariable variable=x]injected\\rend');` });
    assert.deepEqual(
      job.step('it').variablesSet.map(({ name, value }) => [name, value]),
      [['x', 'injected']],
    );
  });

  const notUnderstood: [name: string, line: string, result: string][] = [
    ['an unknown area', '##vso[helm.deployed]x', 'Succeeded'],
    ['an unknown event', '##vso[task.finish]x', 'Failed'],
    ['an area without an event', '##vso[task]x', 'Succeeded'],
    ['a command that does not end', '##vso[task.complete result=Succeeded', 'Succeeded'],
    ['the result Cancelled', '##vso[task.complete result=Cancelled;]x', 'Failed'],
    ['a result in lower case', '##vso[task.complete result=succeeded;]x', 'Failed'],
    ['a property that does not exist', '##vso[task.setvariable variable=a;isoutputs=true]x', 'Succeeded'],
    ['a flag that is no boolean', '##vso[task.setvariable variable=a;isoutput=yes]x', 'Succeeded'],
    ['a variable without a name', '##vso[task.setvariable isoutput=true]x', 'Failed'],
    ['a variable of the agent', '##vso[task.setvariable variable=Agent.TempDirectory]/tmp', 'Failed'],
    ['a secret of two lines', '##vso[task.setvariable variable=s;issecret=true]a%0Ab', 'Failed'],
    ['a mask of two lines', '##vso[task.setsecret]a%0Ab', 'Succeeded'],
    ['an issue without a type', '##vso[task.logissue code=1]x', 'Succeeded'],
    ['an issue of type info', '##vso[task.logissue type=info]x', 'Failed'],
    ['progress that is no number', '##vso[task.setprogress value=half]x', 'Succeeded'],
    ['an attachment of a missing file', '##vso[task.addattachment type=a;name=b]/nonexistent', 'Failed'],
    ['an attachment of a relative file', '##vso[task.addattachment type=a;name=b]package.json', 'Failed'],
    ['an attachment whose name is a path', '##vso[task.addattachment type=a;name=b/c]/etc/hosts', 'Failed'],
    ['a summary of a missing file', '##vso[task.uploadsummary]/nonexistent.md', 'Failed'],
    ['a row without an id', '##vso[task.logdetail name=n;type=t]x', 'Failed'],
    ['a row in a wrong state', `##vso[task.logdetail id=${guid(1)};name=n;type=t;state=Running]x`, 'Succeeded'],
    [
      'a row whose parent does not exist',
      `##vso[task.logdetail id=${guid(1)};parentid=${guid(2)};name=n;type=t]x`,
      'Failed',
    ],
    ['a connection that the job does not have', `##vso[task.setendpoint id=${guid(1)};field=url]https://x`, 'Failed'],
    ['a formatting tag that the run page does not have', '##[notice]x', 'Succeeded'],
    ['the end of a group that was not begun', '##[endgroup]', 'Succeeded'],
  ];
  for (const [name, line, result] of notUnderstood) {
    it(`${name} is a violation`, async () => {
      const job = await run({ main: saying(line) });
      assert.equal(job.violations.length, 1, JSON.stringify(job.violations));
      assert.equal(job.violations[0]?.line, line);
      assert.equal(job.result, result);
    });
  }

  it('a violation rejects the job unless the test allows it, and the error names the line', async () => {
    const agent = agentWith([{ main: saying('##vso[task.complete result=Cancelled;]x') }]);
    await assert.rejects(agent.runJob({ steps: [{ task: 'Tiny@1' }] }), (error: unknown) => {
      assert.ok(error instanceof AgentViolationError);
      assert.match(error.message, /no valid result: "Cancelled"[\s\S]*##vso\[task\.complete result=Cancelled/);
      assert.equal(error.job.result, 'Failed');
      return true;
    });
  });

  it('a group inside another is a violation, a group after another is not', async () => {
    const nested = await run({ main: saying('##[group]a', '##[group]b', '##[endgroup]') });
    assert.equal(nested.violations.length, 1);
    const flat = await run({ main: saying('##[group]a', '##[endgroup]', '##[group]b', '##[endgroup]') });
    assert.deepEqual(flat.violations, []);
    assert.deepEqual(
      flat.log.filter(({ kind }) => kind.includes('group')).map(({ kind }) => kind),
      ['group', 'endgroup', 'group', 'endgroup'],
    );
  });

  it('a restricted step may set only the allowed variables, outputs included, and not PATH', async () => {
    const json = { restrictions: { settableVariables: { allowed: ['outcome', 'helm*'] } } };
    const set = (name: string): string => `##vso[task.setvariable variable=${name};isoutput=true]v`;
    const job = await run({
      json,
      main: saying(set('Outcome'), set('helmPath'), set('stolen'), '##vso[task.prependpath]/x'),
    });
    assert.deepEqual(job.outputs, { 'it.Outcome': 'v', 'it.helmPath': 'v' });
    assert.equal(job.violations.length, 2);
    assert.deepEqual(job.step('it').prependedPaths, []);
    assert.equal(job.result, 'Succeeded');
  });

  it('a restricted step may set variables but attach no files', async () => {
    const main = saying('##vso[task.setvariable variable=a]v', '##vso[task.addattachment type=t;name=n]/etc/hosts');
    for (const [json, target] of [
      [{ restrictions: { commands: { mode: 'restricted' } } }, {}],
      [{}, { target: { commands: 'restricted' as const } }],
    ] as const) {
      const job = await run({ main, json }, target);
      assert.equal(job.violations.length, 1);
      assert.match(job.violations[0]?.message ?? '', /commands are restricted/);
      assert.deepEqual(job.step('it').attachments, []);
      assert.equal(job.step('it').variablesSet.length, 1);
    }
  });

  it('a set output is read-only, and later steps see it as step.name, not by its bare name', async () => {
    const agent = agentWith([
      {
        main: saying(
          '##vso[task.setvariable variable=out;isoutput=true]first',
          '##vso[task.setvariable variable=out;isoutput=true]second',
        ),
      },
      { name: 'Reader', main: `say(process.env.INPUT_A);`, inputs: [{ name: 'a', type: 'string' }] },
    ]);
    const steps = [
      { task: 'Tiny@1', name: 'it' },
      { task: 'Reader@1', condition: 'always()', inputs: { a: '$(it.out) $(out)' } },
    ];
    const job = await agent.runJob({ allowViolations: true, steps });
    assert.deepEqual(job.outputs, { 'it.out': 'first' });
    assert.match(job.violations[0]?.message ?? '', /'it\.out' is read-only/);
    assert.equal(job.step('Reader').raw[0]?.line, 'first $(out)');
  });

  it('only the first ten errors and warnings become issues, but all are counted and shown', async () => {
    const numbers = Array.from({ length: 12 }, (_, index) => index + 1);
    const lines = numbers.flatMap((n) => [
      `##vso[task.logissue type=error;]e${n}`,
      `##vso[task.issue type=warning;]w${n}`,
    ]);
    const step = (await run({ main: saying(...lines) })).step('it');
    assert.equal(step.issues.length, 20);
    assert.equal(step.errorCount, 12);
    assert.equal(step.warningCount, 12);
    assert.ok(step.log.some(({ text }) => text === '##[error]e12'));
    assert.equal(step.issues.filter(({ type }) => type === 'error').at(-1)?.message, 'e10');
  });

  it('an attachment and a summary are read at the time of their command', async () => {
    const main = `
      const file = process.env.AGENT_TEMPDIRECTORY + '/report.json';
      fs.writeFileSync(file, '{"a":1}');
      say('##vso[task.addattachment type=report;name=first]' + file);
      say('##vso[task.uploadsummary]' + file);
      process.on('exit', () => {});
      setTimeout(() => {}, 1);`;
    const step = (await run({ main })).step('it');
    assert.deepEqual(
      step.attachments.map(({ type, name, content }) => [type, name, content.toString()]),
      [
        ['report', 'first', '{"a":1}'],
        ['Distributedtask.Core.Summary', 'report.json', '{"a":1}'],
      ],
    );
    assert.deepEqual(step.summaries, ['{"a":1}']);
  });

  it('timeline rows are created, updated and completed, and progress never goes down', async () => {
    const id = guid(1);
    const child = guid(2);
    const job = await run({
      main: saying(
        `##vso[task.logdetail id=${id};name=Deployment/web;type=Workload;order=1]starting`,
        `##vso[task.logdetail id=${child};parentid=${id};name=Pod/web-1;type=Pod]`,
        `##vso[task.logdetail id=${id};progress=50]half`,
        `##vso[task.logdetail id=${id};state=Completed;result=Failed]broken`,
        '##vso[task.setprogress value=70]most',
        '##vso[task.setprogress value=30]back',
      ),
    });
    const [row, pod] = job.step('it').timeline;
    assert.equal(row?.name, 'Deployment/web');
    assert.deepEqual(
      [row.state, row.result, row.percentComplete, row.currentOperation],
      ['Completed', 'Failed', 100, 'broken'],
    );
    assert.equal(pod?.parentId, id);
    assert.deepEqual(
      job.step('it').progress.map(({ percent }) => percent),
      [70, 70],
    );
  });

  it('the worst result wins, and Canceled and Skipped by the task stay', async () => {
    const completing = (...results: string[]): string =>
      saying(...results.map((r) => `##vso[task.complete result=${r};]${r}`));
    assert.equal(
      (await run({ main: completing('SucceededWithIssues', 'Succeeded') })).step('it').result,
      'SucceededWithIssues',
    );
    assert.equal((await run({ main: completing('Failed', 'Succeeded') })).step('it').result, 'Failed');
    assert.equal((await run({ main: completing('Canceled', 'Failed') })).step('it').result, 'Canceled');
    assert.equal((await run({ main: completing('Skipped', 'Failed') })).step('it').result, 'Skipped');
    assert.equal((await run({ main: completing('Canceled', 'Skipped') })).step('it').result, 'Canceled');
  });

  it('an exit code other than 0 fails the step, whatever result the task set', async () => {
    const job = await run({ main: saying('##vso[task.complete result=Succeeded;]fine') + 'process.exitCode = 3;' });
    assert.equal(job.step('it').result, 'Failed');
    assert.match(job.issues[0]?.message ?? '', /^Exit code 3 returned from process/);
    assert.equal(job.step('it').processes[0]?.exitCode, 3);
  });

  it('debug messages are shown only with system.debug', async () => {
    const agent = agentWith([{ main: saying('##vso[task.debug]details') }]);
    const quiet = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.ok(!quiet.log.some(({ text }) => text.includes('details')));
    const loud = await agent.runJob({ variables: { 'system.debug': 'true' }, steps: [{ task: 'Tiny@1' }] });
    assert.ok(loud.log.some(({ text }) => text === '##[debug]details'));
  });
});

function guid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}
