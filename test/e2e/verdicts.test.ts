import assert from 'node:assert/strict';
import path from 'node:path';
import { shell, workloadOf } from '../support/brokenWorkloads';
import { runCheck, type DeployEnd } from '../support/product';
import { assertReport } from '../support/reportSchema';
import { kubectl } from './rollbackScenes';
import { assertOutcome, charts, scenes, type Scene } from './scenes';

type Json = Readonly<Record<string, unknown>>;

const serve = 'exec httpd -f -p 8080';
const web = (pod: Json): object => workloadOf('Deployment', 'web', pod);
const settings = (value: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings' },
  data: { mode: value },
});
const reading = (source: Json): object =>
  web({ containers: [shell(serve, { env: [{ name: 'MODE', valueFrom: source }] })] });

function deploy(s: Scene, objects: readonly object[]): Promise<DeployEnd> {
  const valueFiles = s.file('values.json', JSON.stringify({ objects }));
  const inputs = { valueFiles, timeout: '2m', stableFor: '0' };
  return s.deploy({ helm: s.cluster.helm4, chart: path.join(charts, 'objects'), inputs });
}

describe('what is called healthy and verified', () => {
  const { scene } = scenes();

  scene('a container between two ends is not healthy @real-node', async (s) => {
    const item = web({ containers: [shell('sleep 14; exit 1')] });
    await s.cluster.apply(s.namespace, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [item] }));
    await s.until('the container runs again', async () => {
      const pods = JSON.stringify(await s.list('/api/v1/namespaces/$ns/pods'));
      return /"restartCount":1,/.test(pods) && pods.includes('"state":{"running"');
    });
    const end = await runCheck({
      cluster: s.cluster,
      namespace: s.namespace,
      inputs: { workloads: 'deployment/web', timeout: '12s' },
    });
    assert.equal(`${end.outputs['health'] ?? ''} ${end.outputs['reason'] ?? ''}`, 'unhealthy CrashLoop', end.log);
    assert.match(
      end.outputs['summary'] ?? '',
      /Container app .*has ended (once|twice), last (after 14 s )?with exit code 1/,
    );
  });

  scene('a ConfigMap that running pods have not read is a reservation until they restart @real-node', async (s) => {
    const pod = reading({ configMapKeyRef: { name: 'settings', key: 'mode' } });
    assertOutcome(await deploy(s, [settings('one'), pod]), 'deployed');
    const changed = await deploy(s, [settings('two'), pod]);
    assertOutcome(changed, 'deployed');
    assertReport(changed.report);
    assert.match(
      changed.outputs['reservations'] ?? '',
      /Deployment\/web has read ConfigMap\/settings before it changed/,
    );
    assert.equal(changed.outputs['verifiedRevision'], '1');
    const again = await deploy(s, [settings('two'), pod]);
    assertOutcome(again, 'unchanged');
    assert.equal(again.outputs['reservations'], changed.outputs['reservations']);
    await kubectl(s, 'rollout', 'restart', 'deployment/web');
    await kubectl(s, 'rollout', 'status', 'deployment/web', '--timeout=60s');
    const verified = await deploy(s, [settings('two'), pod]);
    assertOutcome(verified, 'unchanged');
    assert.deepEqual([verified.outputs['reservations'], verified.outputs['verifiedRevision']], ['', '2']);
  });

  scene('a verified revision that is broken by now is not the target of the next deploy @real-node', async (s) => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login' }, stringData: { mode: 'x' } };
    await s.cluster.apply(s.namespace, JSON.stringify(secret));
    assertOutcome(await deploy(s, [web({ containers: [shell(serve)] })]), 'deployed');
    assertOutcome(await deploy(s, [reading({ secretKeyRef: { name: 'login', key: 'mode' } })]), 'deployed');
    await kubectl(s, 'delete', 'secret', 'login');
    await kubectl(s, 'delete', 'pod', '--selector=app=web', '--grace-period=1');
    await s.until('the new pod misses the Secret', async () => {
      const pods = JSON.stringify(await s.list('/api/v1/namespaces/$ns/pods'));
      return pods.includes('CreateContainerConfigError');
    });
    const end = await deploy(s, [web({ containers: [{ name: 'app', image: 'localhost/Gone:1' }] })]);
    assertOutcome(end, 'rolledBack', 'ImageInvalidName');
    assert.match(end.log, /That lies in revision 2 itself \(ConfigMissing\)/);
    assert.match(end.log, /Revision 4 has the manifest of revision 1/);
    assert.match(await s.history(), /^1 superseded, 2 superseded, 3 failed, 4 deployed$/);
  });
});
