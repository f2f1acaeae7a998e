import assert from 'node:assert/strict';
import type { Pipeline } from '../support/pipelines/model';
import type { Value } from '../support/pipelines/expression';
import { stagesOf } from '../support/pipelines/templates';
import { walkPipeline, type Walk, type Walked } from '../support/pipelines/walk';
import { identityJson, startAzureDevOps } from '../support/azureDevOps';
import { kubeconfigConnection, productAgent } from '../support/product';
import { fakeWorkload, kubectl } from './rollbackScenes';
import { app, fake, scenes, type Scene } from './scenes';

type Decision = NonNullable<Walk['decide']>;

/** No node of the cluster takes the pods, so the deploy fails after two seconds. */
const broken = 'nodeSelector.none=such';
const graces = 'Unschedulable: 2s';

function parameters(s: Scene, text: string, more: Readonly<Record<string, Value>>): Record<string, Value> {
  return {
    environment: 'production',
    kubernetesServiceConnection: 'cluster',
    namespace: s.namespace,
    releaseName: 'web',
    chart: app,
    set: [...fake, `text=${text}`, ...(text === 'two' ? [broken] : [])].join('\n'),
    deployTimeout: '1m',
    deployInputs: { helmPath: s.cluster.helm4, graces },
    healthInputs: { graces },
    rollbackInputs: { helmPath: s.cluster.helm4 },
    ...more,
  };
}

function walk(
  s: Scene,
  text: string,
  { decide, ...more }: { decide?: Decision } & Readonly<Record<string, Value>>,
): Promise<Walked> {
  return walkStages(s, stagesOf('deploy-with-rollback', parameters(s, text, more)), decide);
}

async function walkStages(s: Scene, pipeline: Pipeline, decide?: Decision): Promise<Walked> {
  const azure = await startAzureDevOps();
  const agent = productAgent();
  try {
    const connections = [kubeconfigConnection(s.cluster.kubeconfig)];
    const approver = identityJson('ada@fabrikam.com', { displayName: 'Ada' });
    return await walkPipeline(pipeline, { agent, azure, connections, approver, ...(decide && { decide }) });
  } finally {
    agent.dispose();
    await azure.close();
  }
}

function ran({ run }: Walked): string {
  const words = Object.entries(run).filter(([, { result }]) => result !== 'Skipped');
  return words.map(([name, { result }]) => `${name} ${result}`).join(', ');
}

describe('deploy-with-rollback, walked job by job', () => {
  const { scene } = scenes();

  scene('a good deploy opens no gate; a broken one is rolled back once the gate has approved the plan', async (s) => {
    assert.equal(ran(await walk(s, 'one', {})), 'Deploy Succeeded, Health Succeeded');
    const walked = await walk(s, 'two', {});
    assert.equal(
      ran(walked),
      'Deploy Failed, Health Failed, Plan Succeeded, Gate Succeeded, Rollback Succeeded, HealthAfterRollback Succeeded',
      JSON.stringify(walked.logs),
    );
    assert.match(walked.instructions, /Unschedulable/);
    assert.match(walked.instructions, /Target: revision 1/);
    assert.ok(walked.instructions.length <= 4000);
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    assert.match(walked.logs['Rollback'] ?? '', /through the gate/);
  });

  for (const decide of ['reject', 'time out'] as const) {
    scene(`nothing changes after a gate that ended with «${decide}», whatever the gate is`, async (s) => {
      await s.deploy({ set: [...fake, 'text=one'] });
      const walked = await walk(s, 'two', { decide });
      assert.equal(
        ran(walked),
        'Deploy Failed, Health Failed, Plan Succeeded, Gate Failed',
        JSON.stringify(walked.logs),
      );
      const asked = await walk(s, 'two', { decide, gate: 'environment' });
      assert.match(
        ran(asked),
        /Plan Succeeded, Rollback Failed, HealthAfterRollback Failed$/,
        JSON.stringify(asked.logs),
      );
      assert.match(await s.history(), /^1 superseded, 2 failed, 3 failed$/);
    });
  }

  scene('the environment names the approver; automatic mode rolls back in the deploy and skips the rest', async (s) => {
    await s.deploy({ set: [...fake, 'text=one'] });
    const walked = await walk(s, 'two', { gate: 'environment', fourEyes: true });
    assert.match(ran(walked), /Rollback Succeeded, HealthAfterRollback Succeeded$/, JSON.stringify(walked.logs));
    assert.match(walked.logs['Rollback'] ?? '', /Approved by Ada/);
    const automatic = await walk(s, 'two', { rollbackMode: 'automatic' });
    assert.equal(ran(automatic), 'Deploy Failed');
    assert.equal(automatic.run['Deploy']?.jobs['Deploy']?.outputs?.['deploy.outcome'], 'rolledBack');
    assert.match(await s.history(), /deployed$/);
  });
});

describe('health-check-with-rollback, walked job by job', () => {
  const { scene } = scenes();

  scene(
    'a broken Deployment that something else has deployed goes back after the gate, and after a rejection it stays',
    async (s) => {
      const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';
      const revisions = (count: number): Promise<unknown> =>
        s.until('the controller keeps every revision', async () => {
          return (await s.list('/apis/apps/v1/namespaces/$ns/replicasets')).length === count;
        });
      const isBroken = async () => (await s.field(deployment, 'spec.template.spec.nodeSelector.none')) === 'such';
      const check = (decide?: Decision, more: Readonly<Record<string, Value>> = {}): Promise<Walked> =>
        walkStages(
          s,
          stagesOf('health-check-with-rollback', {
            environment: 'production',
            kubernetesServiceConnection: 'cluster',
            namespace: s.namespace,
            deploymentName: 'web',
            toRevision: 'previous',
            timeout: '1m',
            healthInputs: { graces },
            rollbackInputs: { stableFor: '0' },
            ...more,
          }),
          decide,
        );
      await s.cluster.apply(s.namespace, JSON.stringify(fakeWorkload('Deployment', 'web', 'one')));
      await revisions(1);
      assert.equal(ran(await check()), 'Health Succeeded');
      const patch = { spec: { template: { spec: { nodeSelector: { none: 'such' } } } } };
      await kubectl(s, 'patch', 'deployment/web', '--patch', JSON.stringify(patch));
      await revisions(2);
      const kept = await check('reject', { onReject: 'keep' });
      assert.match(ran(kept), /Plan Succeeded, Gate SucceededWithIssues$/, JSON.stringify(kept.logs));
      assert.equal(await isBroken(), true);
      const back = await check();
      assert.equal(
        ran(back),
        'Health Failed, Plan Succeeded, Gate Succeeded, Rollback Succeeded, HealthAfterRollback Succeeded',
        JSON.stringify(back.logs),
      );
      assert.equal(await isBroken(), false);
    },
  );
});

describe('a fleet of three clusters in two rings, walked job by job', () => {
  const { scene } = scenes();

  scene('a bad ring stops, one gate approves the list, and only what failed is rolled back', async (s) => {
    const namespaces = [s.namespace, await s.cluster.namespace('fleet'), await s.cluster.namespace('fleet')];
    const set = (text: string): string => [...fake, `text=${text}`].join('\n');
    const fleet = (text: string, brokenCluster = ''): Pipeline =>
      stagesOf('fleet', {
        clusters: ['west-1', 'west-2', 'east-1'].map((name, index) => ({
          name,
          ring: index === 0 ? 'canary' : 'rest',
          kubernetesServiceConnection: 'cluster',
          namespace: namespaces[index] ?? '',
          ...(name === brokenCluster ? { set: `${set(text)}\n${broken}` } : {}),
        })),
        rings: ['canary', 'rest'],
        releaseName: 'web',
        chart: app,
        set: set(text),
        deployTimeout: '1m',
        deployInputs: { helmPath: s.cluster.helm4, graces },
        rollbackInputs: { helmPath: s.cluster.helm4 },
      });
    try {
      assert.equal(ran(await walkStages(s, fleet('one'))), 'Ring_canary Succeeded, Ring_rest Succeeded');
      const walked = await walkStages(s, fleet('two', 'west-2'));
      assert.equal(
        ran(walked),
        'Ring_canary Succeeded, Ring_rest Failed, Collect Succeeded, Gate Succeeded, Rollback_rest Succeeded',
        JSON.stringify(walked.logs),
      );
      assert.match(walked.instructions, /- west-2: web to revision 1, risk/);
      assert.match(walked.logs['Ring_rest'] ?? '', /west-2: not healthy \(failed\)/);
      const jobs = walked.run['Rollback_rest']?.jobs ?? {};
      assert.equal(jobs['Rollback_west_2']?.outputs?.['rollback.outcome'], 'rolledBack');
      assert.equal(jobs['Rollback_east_1']?.result, 'Skipped');
      const texts = namespaces.map(async (namespace) => {
        const map = await s.cluster.kubectlJson<{ data: { text: string } }>('get', 'configmap', 'web', '--namespace', namespace); // prettier-ignore
        return map.data.text;
      });
      assert.deepEqual(await Promise.all(texts), ['two', 'one', 'two']);
    } finally {
      for (const namespace of namespaces.slice(1)) await s.cluster.cleanUp(namespace);
    }
  });
});
