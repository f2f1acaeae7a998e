import assert from 'node:assert/strict';
import path from 'node:path';
import { adminApiServer } from '../../scripts/cluster/cluster';
import { openPrometheus, type Prometheus } from '../support/prometheus';
import { runCheck, type CheckEnd } from '../support/product';
import { serviceAccount, serviceAccountConnection } from './identities';
import { assertOutcome, charts, scenes, type Scene } from './scenes';

const chart = path.join(charts, 'metrics');
const share = (kind: string): string => `sum(rate(shop_${kind}_total{revision="{{ revision }}"}[3s]))`;
const errors = `
- name: error rate
  query: ${share('errors')} / ${share('requests')}
  successCondition: result < 0.1
  interval: 2s
  count: 3
  initialDelay: 4s
`;

/** The inputs of a metric that a scene names. */
function metric(name: string, condition: string, more: Readonly<Record<string, string | number>>): string {
  const lines = {
    name,
    query: `shop_${name}{revision="{{ revision }}"}`,
    successCondition: condition,
    interval: '1s',
    ...more,
  };
  return `- ${Object.entries(lines)
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n  ')}`;
}

/** By then the new pods have been scraped, on a slow machine too. */
const settled = { initialDelay: '4s' };

async function withPrometheus(s: Scene, body: (prometheus: Prometheus, metricsServer: string) => Promise<void>) {
  const prometheus = await openPrometheus(adminApiServer(s.cluster.name), { namespace: s.namespace, name: 'web' });
  try {
    await body(prometheus, prometheus.address);
  } finally {
    await prometheus.close();
  }
}

function check(s: Scene, inputs: Record<string, string>, token?: string): Promise<CheckEnd> {
  const connection = token === undefined ? {} : { connection: serviceAccountConnection(s, token) };
  return runCheck({
    cluster: s.cluster,
    namespace: s.namespace,
    inputs: { timeout: '60s', stableFor: '0', ...inputs },
    ...connection,
  });
}

describe('metrics of a real Prometheus', () => {
  const { scene } = scenes();

  scene('the error rate of the new version alone rises: rolled back within two intervals @real-node', async (s) => {
    await withPrometheus(s, async (_, metricsServer) => {
      const inputs = { metricsServer, metrics: errors };
      const good = await s.deploy({ chart, inputs });
      assertOutcome(good, 'deployed');
      assert.equal(good.report?.metrics?.[0]?.verdict, 'pass');
      assert.deepEqual(await s.marks(), ['1 verified=1']);

      const bad = await s.deploy({ chart, inputs, set: ['errors=5'] });
      assertOutcome(bad, 'rolledBack', 'MetricsFailed');
      const [measured] = bad.report?.metrics ?? [];
      assert.ok(measured !== undefined && measured.samples.length <= 2, bad.log);
      assert.equal(measured.samples.at(-1)?.value, 0.5);
      assert.match(measured.query, /revision="2"/);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    });
  });

  scene('a metric that flaps is tolerated up to its limit @real-node', async (s) => {
    await withPrometheus(s, async (_, metricsServer) => {
      const flapping = (failureLimit: number): string =>
        metric('flapping', 'result == 0', { ...settled, count: 9, failureLimit });
      const good = await s.deploy({ chart, inputs: { metricsServer, metrics: flapping(8) } });
      assertOutcome(good, 'deployed');
      const verdicts = new Set(good.report?.metrics?.[0]?.samples.map(({ verdict }) => verdict));
      assert.ok(verdicts.has('pass') && verdicts.has('fail'), good.log);

      const bad = await s.deploy({ chart, inputs: { metricsServer, metrics: flapping(1) }, set: ['queueAfter=1'] });
      assertOutcome(bad, 'rolledBack', 'MetricsFailed');
      assert.match(bad.outputs['outcome'] ?? '', /rolledBack/);
    });
  });

  scene(
    'a metric that starts late is inconclusive until then, and Prometheus is stopped in the middle @real-node',
    async (s) => {
      await withPrometheus(s, async (prometheus, metricsServer) => {
        const queue = (inconclusiveLimit: number): string =>
          metric('queue_length', 'result < 5', { ...settled, count: 6, inconclusiveLimit });
        const late = metric('queue_length', 'result < 5', { count: 12, inconclusiveLimit: 11 });
        const begun = await s.deploy({ chart, inputs: { metricsServer, metrics: late }, set: ['queueAfter=8'] });
        assertOutcome(begun, 'deployed');
        assert.match(begun.log, /no value \(inconclusive: there is no data\)/);

        const started = s.start({ chart, inputs: { metricsServer, metrics: queue(1) }, set: ['queueAfter=0'] });
        await started.job.waitForLine(/queue_length +sample 1 of 6: 3 \(pass\)/);
        await prometheus.stop();
        const stopped = await started.end;
        assertOutcome(stopped, 'failed', 'MetricsInconclusive');
        assert.match(stopped.log, /cannot be reached, the connection was refused/);
        assert.equal(await s.history(), '1 superseded, 2 deployed');
        assert.deepEqual(await s.marks(), ['1 verified=1', '2 inconclusive=2', '2 verified=1']);

        const refused = await s.deploy({ chart, inputs: { metricsServer, metrics: queue(1) }, set: ['queueAfter=0'] });
        assertOutcome(refused, 'failed', 'MetricsUnavailable');
        assert.equal(await s.history(), '1 superseded, 2 deployed');

        await prometheus.start();
        const again = await s.deploy({ chart, inputs: { metricsServer, metrics: queue(3) }, set: ['queueAfter=0'] });
        assertOutcome(again, 'deployed');
        assert.ok((await s.marks()).includes('3 verified=3'));
      });
    },
  );

  scene('a health check asks through the API server, with the right services/proxy alone @real-node', async (s) => {
    await s.helm(s.cluster.helm4, 'install', 'web', chart, '--set', 'errors=2', '--wait');
    const inputs = {
      releaseName: 'web',
      metricsServer: `service:${s.namespace}/web:http`,
      metrics: `
        interval: 1s
        count: 1
        metrics:
          - {name: errors, query: up, successCondition: result < 0.5}
          - {name: health, url: 'service:{{ namespace }}/web:http/health', jsonPointer: /status, successCondition: 'result == "UP"'}
          - {name: queue, url: 'service:{{ namespace }}/web:http/health', jsonPointer: /queue/length, successCondition: result < 5}
      `,
    };
    const read = ['get', 'list', 'watch'];
    const token = await serviceAccount(s, [
      { apiGroups: [''], resources: ['secrets', 'services', 'pods', 'events'], verbs: read },
      { apiGroups: ['apps'], resources: ['deployments', 'replicasets'], verbs: read },
    ]);
    const refused = await check(s, inputs, token);
    assert.equal(refused.outputs['reason'], 'MetricsUnavailable', refused.log);
    assert.match(refused.log, /Grant the verb "get" on resource "services\/proxy" of the core API group/);

    const rule = { apiGroups: [''], resources: ['services/proxy'], resourceNames: ['web:http'], verbs: ['get'] };
    const limited = await serviceAccount(
      s,
      [
        rule,
        { apiGroups: [''], resources: ['secrets', 'services', 'pods', 'events'], verbs: read },
        { apiGroups: ['apps'], resources: ['deployments', 'replicasets'], verbs: read },
      ],
      'limited',
    );
    const healthy = await check(s, inputs, limited);
    assert.equal(healthy.outputs['health'], 'healthy', healthy.log);
    assert.deepEqual(
      healthy.report?.metrics?.map(({ name, samples }) => [name, samples[0]?.value]),
      [
        ['errors', 0.2],
        ['health', 'UP'],
        ['queue', 3],
      ],
    );
    const breached = await check(
      s,
      { ...inputs, metrics: inputs.metrics.replace('result < 0.5', 'result < 0.1') },
      limited,
    );
    assert.deepEqual([breached.outputs['health'], breached.outputs['reason']], ['unhealthy', 'MetricsFailed']);
  });
});
