import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { pictures, picturesFolder } from '../../scripts/templates';
import { outputKey, pipelineProblems } from '../support/pipelines/checks';
import { expandText } from '../support/pipelines/expand';
import type { Value } from '../support/pipelines/expression';
import { pipelineOf } from '../support/pipelines/model';
import { hasPipelineSchema, schemaProblems } from '../support/pipelines/schema';
import {
  documents,
  examples,
  expandBlock,
  expandExample,
  expandStages,
  stagesOf,
  pipelineBlocks,
  problemsOf,
  repository,
} from '../support/pipelines/templates';

type Parameters = Readonly<Record<string, Value>>;

const shop: Parameters = { environment: 'production', namespace: 'shop', releaseName: 'shop', chart: 'charts/shop' };
const checked: Parameters = { environment: 'production', namespace: 'shop', deploymentName: 'web' };

describe('every pipeline that users may copy is right', () => {
  before(function () {
    // Azure Pipelines' schema is large.
    this.timeout(300_000);
    if (hasPipelineSchema) schemaProblems({});
    if (!hasPipelineSchema) console.log("      (Azure Pipelines' own schema is not on this machine)");
  });

  for (const name of examples()) {
    it(`templates/examples/${name}`, () => {
      assert.deepEqual(problemsOf(expandExample(name)), []);
    });
  }

  for (const block of documents().flatMap(pipelineBlocks)) {
    it(`${block.file}, line ${block.line}`, () => {
      assert.deepEqual(problemsOf(expandBlock(block)), []);
    });
  }
});

describe('the stage templates', () => {
  const shared: [what: string, parameters: Parameters][] = [
    ['nothing more', {}],
    ['a connection', { kubernetesServiceConnection: 'production' }],
    ['an AKS cluster', { azureServiceConnection: 'azure', aksRg: 'shop', aksName: 'shop-west' }],
    [
      'an AKS cluster of another subscription',
      { azureServiceConnection: 'azure', aksSubscription: 'f0e1', aksRg: 'shop', aksName: 'shop-west' },
    ],
    ['a gate of the environment', { gate: 'environment', fourEyes: true }],
    ['a rejection that keeps the revision', { onReject: 'keep' }],
    ['a prefix, a container and a pool', { stagePrefix: 'Prod', container: 'tools', pool: { name: 'own' } }],
    ['the longest gate', { gateTimeoutInMinutes: 43_200, maxPlanAgeInMinutes: 43_300 }],
    ['more inputs', { healthInputs: { stableFor: '20s' }, rollbackInputs: { maxDeletions: '20' } }],
  ];
  const own: [template: string, base: Parameters, parameters: Parameters][] = [
    ...shared.map(([, parameters]) => ['deploy-with-rollback', shop, parameters] as [string, Parameters, Parameters]),
    ...shared.map(([, more]) => ['health-check-with-rollback', checked, more] as [string, Parameters, Parameters]),
    ['deploy-with-rollback', shop, { rollbackMode: 'automatic' }],
    ['deploy-with-rollback', shop, { rollbackMode: 'automatic', gate: 'environment', artifact: 'deploy' }],
    ['deploy-with-rollback', shop, { deployInputs: { stableFor: '20s' }, workloads: 'deployment/web' }],
    ['health-check-with-rollback', { environment: 'production' }, { releaseName: 'shop' }],
  ];
  for (const [template, base, parameters] of own) {
    it(`${template} with ${JSON.stringify(parameters)}`, () => {
      assert.deepEqual(problemsOf(expandStages(template, { ...base, ...parameters })), []);
    });
  }

  it('name an AKS cluster of another subscription by its resource id', () => {
    const aks = { azureServiceConnection: 'azure', aksSubscription: 'f0e1', aksRg: 'shop', aksName: 'shop-west' };
    const fleet = { releaseName: 'shop', chart: 'charts/shop', clusters: [{ name: 'west-1', ...aks }] };
    const pipelines = [
      stagesOf('deploy-with-rollback', { ...shop, ...aks }),
      stagesOf('health-check-with-rollback', { ...checked, ...aks }),
      stagesOf('fleet', fleet),
    ];
    const id = '/subscriptions/f0e1/resourceGroups/shop/providers/Microsoft.ContainerService/managedClusters/shop-west';
    for (const { stages } of pipelines) {
      const steps = stages.flatMap(({ jobs }) => jobs.flatMap((job) => job.steps));
      const clusters = steps.flatMap(({ inputs }) => inputs['kubernetesCluster'] ?? []);
      assert.ok(clusters.length >= 2);
      assert.deepEqual([...new Set(clusters)], [id]);
    }
  });

  const refused: [parameters: Parameters, message: RegExp][] = [
    [{ gateTimeoutInMinutes: 43_201, maxPlanAgeInMinutes: 50_000 }, /gateTimeoutInMinutes is at most 43200/],
    [{ gateTimeoutInMinutes: 2000 }, /maxPlanAgeInMinutes has to be greater than gateTimeoutInMinutes/],
    [{ deploymentName: 'web', workloads: 'deployment/api' }, /either deploymentName or workloads/],
    [{ gate: 'environment', onReject: 'keep' }, /onReject keep needs gate manualValidation/],
    [{ gate: 'nobody' }, /gate is "nobody", but it is one of manualValidation, environment/],
    [{ onFailure: 'keep' }, /there is no parameter onFailure/],
  ];
  for (const [parameters, message] of refused) {
    it(`refuse ${JSON.stringify(parameters)}`, () => {
      assert.throws(() => pipelineOf(expandStages('deploy-with-rollback', { ...shop, ...parameters })), message);
    });
  }

  it('give ManualValidation less time than its job has', () => {
    for (const minutes of [1, 1440, 43_200]) {
      const parameters = { ...shop, gateTimeoutInMinutes: minutes, maxPlanAgeInMinutes: 50_000 };
      const { stages } = pipelineOf(expandStages('deploy-with-rollback', parameters));
      const job = stages.find(({ name }) => name === 'Gate')?.jobs[0];
      assert.equal(job?.steps[0]?.timeoutInMinutes, Math.min(minutes, 43_199));
      assert.equal(job.timeoutInMinutes, 43_200);
    }
  });

  it('write the link to the runs into the instructions, and take no variable of the agent', () => {
    const { stages } = pipelineOf(expandStages('deploy-with-rollback', shop));
    const instructions = stages.find(({ name }) => name === 'Gate')?.jobs[0]?.steps[0]?.inputs['instructions'] ?? '';
    assert.match(instructions, /https:\/\/dev\.azure\.com\/fabrikam\/[\w-]+\/_build\?definitionId=42/);
    assert.match(instructions, /^\$\(gateInstructions\)\n/);
    assert.ok(instructions.length < 380, `${instructions.length} characters around at most 3600`);
    assert.ok(!/\$\(agent\./i.test(instructions));
  });
});

describe('the pages of the templates', () => {
  for (const [name, svg] of Object.entries(pictures())) {
    it(`have the picture that npm run template-pictures makes: ${name}`, () => {
      assert.equal(readFileSync(path.join(picturesFolder, name), 'utf8'), svg);
    });
  }

  for (const template of ['deploy-with-rollback', 'health-check-with-rollback', 'fleet']) {
    const page = readFileSync(path.join(picturesFolder, `${template}.md`), 'utf8');
    const yaml = readFileSync(path.join(repository, 'templates', 'stages', `${template}.yml`), 'utf8');

    it(`list every parameter with its default, and no other: ${template}`, () => {
      const { parameters } = parse(yaml) as { parameters: { name: string; default?: unknown }[] };
      const declared = parameters.filter(({ name }) => !['deployStage', 'rollbackMode', 'ringPositions', 'lastRingFirst'].includes(name) || template.startsWith('deploy')); // prettier-ignore
      const rows = [...page.matchAll(/^\| `(\w+)` *\| *([^|]*?) *\|/gm)].filter(([, name]) => declared.some((one) => one.name === name)); // prettier-ignore
      const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));
      const simple = declared.filter(({ default: value }) => typeof value !== 'object');
      assert.deepEqual([...new Set(rows.map(([, name]) => name))].sort(), declared.map(({ name }) => name).sort());
      for (const { name, default: value } of simple) {
        const told = rows.find(([, row]) => row === name)?.[2]?.replaceAll('`', '');
        assert.equal(told, shown(value ?? '').replace('""', ''), name);
      }
    });

    it(`begin with a pipeline of at most 5 lines for the resource and 8 for the template: ${template}`, () => {
      const [, block = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];
      const [resource = '', stages = ''] = block.trim().split('\n\n');
      assert.ok(resource.split('\n').length <= 5 && resource.startsWith('resources:'), resource);
      assert.ok(stages.split('\n').length <= 8 && stages.startsWith('stages:'), stages);
    });
  }
});

describe('the key of an output variable', () => {
  const job = { name: 'J', kind: 'agent', resource: undefined } as const;
  const deployment = { ...job, kind: 'deployment' } as const;
  const cases = [
    ['a job of the same stage, or stageDependencies', job, 'job', 'step.out'],
    ['a job, in the condition of a stage', job, 'stage', 'J.step.out'],
    ['a deployment job, in a job', deployment, 'job', 'J.step.out'],
    ['a deployment job, in the condition of a stage', deployment, 'stage', 'J.J.step.out'],
    ['a deployment job with a resource, in a job', { ...deployment, resource: 'vm' }, 'job', 'Deploy_vm.step.out'],
    ['the same, in the condition of a stage', { ...deployment, resource: 'vm' }, 'stage', 'J.Deploy_vm.step.out'],
  ] as const;
  for (const [what, of, level, key] of cases) {
    it(`of ${what} is ${key}`, () => {
      assert.equal(outputKey(of, 'step', 'out', level), key);
    });
  }
});

describe('the checks of a pipeline find', () => {
  const right = `stages:
  - stage: Check
    jobs:
      - job: Check
        cancelTimeoutInMinutes: 10
        steps:
          - task: RolloutHealthCheck@1
            name: health
            inputs: { releaseName: web, timeout: 1m }
          - script: echo $(health.summary)
            condition: eq(variables['health.health'], 'healthy')
  - stage: Gate
    dependsOn: Check
    condition: eq(dependencies.Check.outputs['Check.health.health'], 'unhealthy')
    jobs:
      - job: Gate
        pool: server
        timeoutInMinutes: 120
        variables:
          text: $[ stageDependencies.Check.Check.outputs['health.gateInstructions'] ]
        steps:
          - task: ManualValidation@1
            timeoutInMinutes: 60
            inputs: { notifyUsers: '', instructions: $(text) }
`;

  function problems(from: string, to: string): string[] {
    assert.ok(right.includes(from), from);
    const expanded = expandText(right.replace(from, to), '/nowhere/azure-pipelines.yml');
    return pipelineProblems(pipelineOf(expanded));
  }

  it('nothing in a right pipeline', () => {
    assert.deepEqual(problems('', ''), []);
  });

  const cases: [what: string, from: string, to: string, problem: RegExp][] = [
    ['an input that does not exist', 'timeout: 1m', 'time: 1m', /no input time/],
    ['a stage that does not exist', 'dependencies.Check.outputs', 'dependencies.Deploy.outputs', /no stage Deploy/],
    ['an output without its job', "'Check.health.health'", "'health.health'", /no such output/],
    ['an output that the task does not declare', "'Check.health.health'", "'Check.health.verdict'", /no such output/],
    ['an output with its job where a job reads it', "'health.gateInstructions'", "'Check.health.gateInstructions'", /no such output/], // prettier-ignore
    ['a step that does not exist', 'name: health', 'name: check', /no such output/],
    ['a dependency that is not written', '    dependsOn: Check\n', '', /dependsOn does not name Check/],
    ['a stage that comes later', 'dependsOn: Check', 'dependsOn: Later', /no stage before it/],
    ['a script in a job of the server', '- task: ManualValidation@1', '- script: echo', /cannot run on the server/],
    ['a gate on an agent', '        pool: server\n', '', /runs only on the server/],
    ['a gate that waits longer than its job', 'timeoutInMinutes: 60', 'timeoutInMinutes: 120', /the job only 120/],
    ['a job above the limit', 'timeoutInMinutes: 120', 'timeoutInMinutes: 43201', /43200 are the limit/],
    ['a task that needs more time than its job', 'timeout: 1m', 'timeout: 60m', /may need 60 minutes/],
    ['a job that is killed before the repair', 'cancelTimeoutInMinutes: 10', 'cancelTimeoutInMinutes: 4', /repairs up to/], // prettier-ignore
    ['a macro that is set nowhere', 'instructions: $(text)', 'instructions: $(texts)', /\$\(texts\) is set nowhere/],
    ['a variable of the agent in a server job', 'instructions: $(text)', 'instructions: $(Agent.Name)', /set nowhere/],
    ['a variable that no step sets', "variables['health.health']", "variables['health.healthy']", /set nowhere/],
    ['a name that is there twice', '- stage: Gate', '- stage: check', /there twice/],
    ['an expression that is not closed', "'unhealthy')", "'unhealthy'", /is missing in/],
  ];
  for (const [what, from, to, problem] of cases) {
    it(what, () => {
      assert.match(problems(from, to).join('\n'), problem);
    });
  }

  it('more than 256 jobs in a stage', () => {
    const jobs = Array.from({ length: 257 }, (_, index) => ({ job: `J${index}`, steps: [] }));
    const expanded = expandText(JSON.stringify({ stages: [{ stage: 'S', jobs }] }), '/nowhere/azure-pipelines.yml');
    assert.match(pipelineProblems(pipelineOf(expanded)).join('\n'), /257 jobs/);
  });

  it('an output of another hook of a deployment job', () => {
    const text = `jobs:
  - deployment: D
    environment: e
    cancelTimeoutInMinutes: 10
    strategy:
      runOnce:
        deploy:
          steps:
            - { task: RolloutHealthCheck@1, name: health, inputs: { releaseName: web } }
        on: { failure: { steps: [{ script: echo $(health.summary) }] } }
`;
    const problemsFound = pipelineProblems(pipelineOf(expandText(text, '/nowhere/azure-pipelines.yml')));
    assert.match(problemsFound.join('\n'), /\$\(health\.summary\) is set nowhere/);
  });

  it('what the schema of Azure Pipelines does not allow', function () {
    if (!hasPipelineSchema) this.skip();
    const wrong = right.replace('onUnhealthy', '').replace('pool: server', 'pools: server');
    assert.notDeepEqual(schemaProblems(expandText(wrong, '/nowhere/azure-pipelines.yml')), []);
    assert.deepEqual(schemaProblems(expandText(right, '/nowhere/azure-pipelines.yml')), []);
    const input = right.replace('timeout: 1m', 'onUnhealthy: perhaps');
    assert.notDeepEqual(schemaProblems(expandText(input, '/nowhere/azure-pipelines.yml')), []);
  });
});
