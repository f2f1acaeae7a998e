import assert from 'node:assert/strict';
import path from 'node:path';
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
});
