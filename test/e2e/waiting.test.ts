import assert from 'node:assert/strict';
import path from 'node:path';
import { fakeWorkload, kubectl } from './rollbackScenes';
import { assertOutcome, charts, scenes, type Scene, type SceneDeploy } from './scenes';

function deployOf(s: Scene, objects: readonly object[], inputs: Readonly<Record<string, string>> = {}): SceneDeploy {
  const valueFiles = s.file('values.json', JSON.stringify({ objects }));
  return { chart: path.join(charts, 'objects'), inputs: { valueFiles, stableFor: '0', ...inputs } };
}

describe('a rollout that waits for the cluster', () => {
  const { scene } = scenes();

  scene('a load balancer that its controller cannot make is the reason at the end', async (s) => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }], selector: { app: 'web' } },
    };
    const { end } = s.start(deployOf(s, [service], { timeout: '15s' }));
    const place = '/api/v1/namespaces/$ns/services/web';
    await s.until('the Service', async () => (await s.live(place)) !== undefined);
    await s.create('/api/v1/namespaces/$ns/events', {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'web.1' },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Service',
        name: 'web',
        namespace: s.namespace,
        uid: await s.field(place, 'metadata.uid'),
      },
      reason: 'SyncLoadBalancerFailed',
      message: 'Error syncing load balancer: no subnet has the tag elb',
      type: 'Warning',
      source: { component: 'service-controller' },
      firstTimestamp: new Date().toISOString(),
      lastTimestamp: new Date().toISOString(),
      count: 1,
    });
    const ended = await end;
    assertOutcome(ended, 'failed', 'LoadBalancerPending');
    assert.match(ended.report?.message ?? '', /no subnet has the tag elb/);
  });

  scene('a dead node does not keep a DaemonSet from being done', async (s) => {
    const labels = { [`scene-${s.namespace}`]: 'yes' };
    const capacity = { cpu: '4', memory: '8Gi', pods: '10' };
    const status = { capacity, allocatable: capacity, conditions: [{ type: 'Ready', status: 'Unknown' }] };
    const node = `dead-${s.namespace}`;
    const nodes = await s.list('/api/v1/nodes?labelSelector=type%3Dkwok');
    const alive = nodes[0]?.metadata.name ?? '';
    await kubectl(s, 'label', 'node', alive, `scene-${s.namespace}=yes`);
    await s.create('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels }, status });
    try {
      const [agent] = [fakeWorkload('DaemonSet', 'agent', 'one')].map((object) => object as DaemonSet);
      assert.ok(agent);
      agent.spec.template.spec.nodeSelector = labels;
      const end = await s.deploy(deployOf(s, [agent]));
      assertOutcome(end, 'deployed');
      assert.match(JSON.stringify(end.report?.objects), new RegExp(`lost nodes are not waited for: ${node}`), end.log);
    } finally {
      await kubectl(s, 'delete', 'node', node, '--wait=false');
      await kubectl(s, 'label', 'node', alive, `scene-${s.namespace}-`);
    }
  });
});

interface DaemonSet {
  spec: { template: { spec: { nodeSelector: object } } };
}
