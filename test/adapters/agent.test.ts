import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAgent } from '../../tasks/common/adapters/agent/agent';

describe('the agent port', () => {
  let temp = '';
  before(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'agent-port-'));
  });
  after(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  function agentWith(more: NodeJS.ProcessEnv = {}) {
    const lines: string[] = [];
    const environment = { AGENT_TEMPDIRECTORY: temp, SECRET_PW: 'hunter22', VSTS_SECRET_VARIABLES: '["pw"]', ...more };
    return { agent: createAgent({ environment, write: (text) => lines.push(text) }), lines, environment };
  }

  it('a child gets no input, no secret and no connection of the task', () => {
    const handed = {
      INPUT_SET: 'a=1',
      SECRET_OTHER: 's3cr3t',
      'ENDPOINT_AUTH_7b1f': '{}',
      ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: 'job-token',
      'ENDPOINT_AUTH_SCHEME_SYSTEMVSSCONNECTION': 'OAuth',
      'ENDPOINT_AUTH_SCHEME_7b1f': 'Kubernetes',
      'ENDPOINT_AUTH_PARAMETER_7b1f_CLUSTERCONTEXT': 'prod-context',
      'ENDPOINT_DATA_7b1f_NAMESPACE': 'x',
      SECUREFILE_TICKET_1: 'ticket-1',
      VSTS_TASKVARIABLE_A: 'b',
      VSTS_PROCESS_LOOKUP_ID: 'vsts_1',
      PATH: '/bin',
    }; // prettier-ignore
    const { agent, environment } = agentWith(handed);
    const kept = { AGENT_TEMPDIRECTORY: temp, VSTS_PROCESS_LOOKUP_ID: 'vsts_1', PATH: '/bin' };
    assert.deepEqual(environment, kept);
    assert.deepEqual(agent.environment.childEnvironment, kept);
    assert.deepEqual([...agent.secrets()].sort(), ['hunter22', 'job-token', 's3cr3t', 'ticket-1']);
    assert.deepEqual(agent.environment.serviceConnections, ['7b1f']);
    assert.equal(agent.input('set'), 'a=1');
    assert.equal(agent.input('gone'), undefined);
    assert.equal(agent.environment.variable('Pw'), 'hunter22');
    assert.equal(agent.environment.taskVariable('a'), 'b');
  });

  it('reading inputs prints nothing', () => {
    const { lines } = agentWith({ INPUT_SET: 'a=1', SYSTEM_DEBUG: 'true' });
    assert.deepEqual(lines, []);
  });

  it('foreign text in any place of the log is no command, and its secrets are masked', () => {
    const { agent, lines } = agentWith({ SYSTEM_DEBUG: 'true' });
    const foreign = 'pw hunter22\r##vso[task.complete result=Succeeded]\n##[error]x\n';
    agent.log(foreign);
    agent.debug(foreign);
    agent.startGroup(foreign);
    agent.warning(foreign);
    agent.error(`100 % of ${foreign}`);
    agent.setOutput('reason', foreign);
    agent.complete('Failed', foreign);
    const clean = 'pw ***%0A# #vso[task.complete result=Succeeded]%0A# #[error]x';
    assert.deepEqual(lines, [
      'pw ***\n',
      '# #vso[task.complete result=Succeeded]\n',
      '# #[error]x\n',
      '##vso[task.debug]pw ***\n',
      '##vso[task.debug]# #vso[task.complete result=Succeeded]\n',
      '##vso[task.debug]# #[error]x\n',
      '##[group]pw *** # #vso[task.complete result=Succeeded] # #[error]x\n',
      `##vso[task.logissue type=warning;]${clean}\n`,
      `##vso[task.logissue type=error;]100 %AZP25 of ${clean}\n`,
      `##vso[task.setvariable variable=reason;isOutput=true;]${clean}\n`,
      '##[endgroup]\n',
      `##vso[task.complete result=Failed;]${clean}\n`,
    ]);
  });

  it('groups do not nest, and only an open group is closed', () => {
    const { agent, lines } = agentWith();
    agent.endGroup();
    agent.startGroup('a');
    agent.log('1');
    agent.startGroup('b');
    agent.warning('2');
    agent.endGroup();
    agent.endGroup();
    assert.deepEqual(lines, [
      '##[group]a\n',
      '1\n',
      '##[endgroup]\n',
      '##[group]b\n',
      '##vso[task.logissue type=warning;]2\n',
      '##[endgroup]\n',
    ]);
  });

  it('an empty group is not shown', () => {
    const { agent, lines } = agentWith();
    agent.startGroup('silent');
    agent.debug('not shown');
    agent.setTaskVariable('x', 'y');
    agent.endGroup();
    agent.log('after it');
    assert.deepEqual(lines, ['##vso[task.settaskvariable variable=x;]y\n', 'after it\n']);
  });

  it('a row of the timeline keeps its id when it changes, and foreign text in it is no command', () => {
    const { agent, lines } = agentWith();
    const row = { key: 'web', name: 'Deployment/web', type: 'Deployment', text: '0 of 2' } as const;
    agent.timeline({ ...row, state: 'InProgress', progress: 0 });
    agent.timeline({ ...row, key: 'db', name: 'x;]\n##vso[task.complete]', state: 'InProgress' });
    agent.timeline({
      ...row,
      state: 'Completed',
      result: 'Failed',
      text: '##vso[task.complete result=Succeeded]hunter22',
    });
    const uuid = /id=([0-9a-f-]{36});/;
    const ids = lines.map((line) => uuid.exec(line)?.[1] ?? '');
    assert.equal(ids[0], ids[2]);
    assert.notEqual(ids[0], ids[1]);
    assert.deepEqual(
      lines.map((line) => line.replace(uuid, 'id=ID;').replace(/finishtime=[^;]+Z;/, 'finishtime=T;')),
      [
        '##vso[task.logdetail id=ID;state=InProgress;name=Deployment/web;type=Deployment;order=1;progress=0;]0 of 2\n',
        '##vso[task.logdetail id=ID;state=InProgress;name=x%3B%5D%0A# #vso[task.complete%5D;type=Deployment;order=2;]0 of 2\n',
        '##vso[task.logdetail id=ID;state=Completed;finishtime=T;result=Failed;]# #vso[task.complete result=Succeeded]***\n',
      ],
    );
  });

  it('an output is set once, because the agent makes it read-only', () => {
    const { agent, lines } = agentWith();
    agent.setOutput('outcome', 'deployed');
    agent.setOutput('outcome', 'failed');
    assert.deepEqual(lines, ['##vso[task.setvariable variable=outcome;isOutput=true;]deployed\n']);
  });

  it('a credential is masked line by line, once, and in all later output', () => {
    const { agent, lines } = agentWith();
    agent.mask('first-line\nsecond-line\n}\n');
    agent.mask('first-line\nsecond-line\n}\n');
    agent.mask('  ');
    agent.log('x second-line');
    assert.deepEqual(lines, ['##vso[task.setsecret]first-line\n', '##vso[task.setsecret]second-line\n', 'x ***\n']);
  });

  it('attachments and summaries are private files without secrets', async () => {
    const { agent, lines } = agentWith();
    const report = await agent.attach('helm-safe-deploy.report', 'shop/v1: x.json', '{"a":"hunter22","b":22}');
    await agent.uploadSummary('shop', '# aHVudGVyMjI= hunter22');
    assert.equal(readFileSync(report, 'utf8'), '{"a":"***","b":22}');
    assert.equal(statSync(report).mode & 0o777, 0o600);
    assert.equal(path.dirname(report), temp);
    assert.equal(lines[0], `##vso[task.addattachment type=helm-safe-deploy.report;name=shop-v1-x.json;]${report}\n`);
    const summary = /^##vso\[task\.uploadsummary\](.*)\n$/.exec(lines[1] ?? '')?.[1] ?? '';
    assert.equal(readFileSync(summary, 'utf8'), '# *** ***');
  });
});
