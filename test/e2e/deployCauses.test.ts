import assert from 'node:assert/strict';
import path from 'node:path';
import { shell, widgetDefinition, workloadOf } from '../support/brokenWorkloads';
import type { DeployEnd } from '../support/product';
import { openRegistry } from '../support/registry';
import { assertReport } from '../support/reportSchema';
import { assertOutcome, charts, helms, scenes, type Scene } from './scenes';

const serving = { containers: [shell('exec httpd -f -p 8080')] };
const web = (pod: Readonly<Record<string, unknown>>): object => workloadOf('Deployment', 'web', pod);

/** Deploys objects as a chart. The timeout is so long that causes without a grace end well before it. */
function deploy(
  s: Scene,
  helm: string,
  objects: readonly object[],
  inputs: Readonly<Record<string, string>> = {},
): Promise<DeployEnd> {
  const valueFiles = s.file('values.json', JSON.stringify({ objects }));
  return s.deploy({ helm, chart: path.join(charts, 'objects'), inputs: { valueFiles, timeout: '5m', ...inputs } });
}

function secondsOf({ report }: DeployEnd): number {
  return report === undefined ? Infinity : (Date.parse(report.finishedAt) - Date.parse(report.startedAt)) / 1000;
}

describe('HelmSafeDeploy reacts to the cause of a failure', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: an image that the registry does not have is rolled back in seconds, not at the timeout @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const registry = await openRegistry(s.cluster, s.namespace);
        try {
          assertOutcome(await deploy(s, helm, [web(serving)], { stableFor: '0' }), 'deployed');
          const image = `${registry.host}/gone/web:2`;
          const end = await deploy(s, helm, [web({ containers: [{ name: 'app', image }] })]);
          assertOutcome(end, 'rolledBack', 'ImageNotFound');
          assertReport(end.report);
          assert.equal(end.outputs['reasonGroup'], 'image');
          assert.equal(end.report?.timedOut, false);
          assert.equal(end.outputs['failedWorkload'], 'Deployment/web');
          assert.match(end.report.message, /gone\/web:2.*not found/);
          // These seconds include the stable time that the rollback waits for.
          assert.ok(secondsOf(end) < 60, `${secondsOf(end)} s`);
          assert.match(await s.history(), /^1 superseded, 2 failed, 3 deployed$/);
        } finally {
          await registry.close();
        }
      },
    );
  }

  scene('the output of a crashed container is still reported after the rollback @real-node', async (s) => {
    const { helm4 } = s.cluster;
    const db = workloadOf('StatefulSet', 'db', serving);
    assertOutcome(await deploy(s, helm4, [web(serving), db], { stableFor: '0' }), 'deployed');
    const crashing = web({ containers: [shell('echo "FATAL: no column total"; exit 3')] });
    const end = await deploy(s, helm4, [crashing, db], { stableFor: '0', graces: 'CrashLoop: 3s' });
    assertOutcome(end, 'rolledBack', 'CrashLoop');
    assertReport(end.report);
    assert.equal(end.outputs['reasonGroup'], 'runtimeConfig');
    const said = (end.report?.evidence ?? []).flatMap(({ lines }) => lines).join('\n');
    assert.match(said, /FATAL: no column total/);
    assert.match(said, /exit code 3/);
  });

  const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { host: 'x' } };
  const asking = (env: object): object =>
    web({ containers: [shell('exec httpd -f -p 8080', { env: [{ name: 'A', valueFrom: env }] })] });
  const proven = (end: DeployEnd, seconds: number): void => {
    assertOutcome(end, 'rolledBack', 'ConfigMissing');
    assert.ok(secondsOf(end) < seconds, `${secondsOf(end)} s`);
  };

  scene('a key that the ConfigMap of the chart does not have is proven at once @real-node', async (s) => {
    const { helm4 } = s.cluster;
    assertOutcome(await deploy(s, helm4, [web(serving), settings], { stableFor: '0' }), 'deployed');
    const end = await deploy(s, helm4, [asking({ configMapKeyRef: { name: 'settings', key: 'port' } }), settings]);
    proven(end, 45);
    assert.match(end.report?.message ?? '', /declares ConfigMap\/settings without the key port/);
  });

  scene('a new reference to a Secret that nothing makes is proven in seconds @real-node', async (s) => {
    const { helm4 } = s.cluster;
    assertOutcome(await deploy(s, helm4, [web(serving)], { stableFor: '0' }), 'deployed');
    const end = await deploy(s, helm4, [asking({ secretKeyRef: { name: 'ledger-login', key: 'password' } })]);
    proven(end, 60);
    assert.match(end.report?.message ?? '', /nothing in the release or the namespace makes it/);
  });

  scene('a Secret that a custom resource asks for is waited for @real-node', async (s) => {
    const { helm4, runKubectl } = s.cluster;
    const definition = {
      ...widgetDefinition,
      metadata: { name: 'logins.vault.example.com' },
      spec: {
        ...widgetDefinition.spec,
        group: 'vault.example.com',
        names: { kind: 'Login', plural: 'logins', singular: 'login' },
      },
    };
    await s.cluster.apply(s.namespace, JSON.stringify(definition));
    await runKubectl('wait', '--for=condition=Established', `crd/${definition.metadata.name}`);
    const login = {
      apiVersion: 'vault.example.com/v1',
      kind: 'Login',
      metadata: { name: 'a' },
      spec: { secret: 'late-login' },
    };
    await s.cluster.apply(s.namespace, JSON.stringify(login));
    assertOutcome(await deploy(s, helm4, [web(serving)], { stableFor: '0' }), 'deployed');
    const ending = deploy(s, helm4, [asking({ secretKeyRef: { name: 'late-login', key: 'password' } })], {
      stableFor: '0',
    });
    const isMissed = async (): Promise<boolean> => {
      const pods = JSON.stringify(await s.list('/api/v1/namespaces/$ns/pods'));
      return pods.includes('CreateContainerConfigError');
    };
    await s.until('the Secret to be missed', isMissed);
    const longerThanTheProof = Date.now() + 20_000;
    await s.until('20 s to be over', () => Date.now() > longerThanTheProof);
    await runKubectl(
      'create',
      'secret',
      'generic',
      'late-login',
      '--from-literal=password=p',
      '--namespace',
      s.namespace,
    );
    assertOutcome(await ending, 'deployed');
  });

  scene('a pod that the LimitRange refuses ends a first install at once @real-node', async (s) => {
    await s.create('/api/v1/namespaces/$ns/limitranges', {
      metadata: { name: 'small' },
      spec: { limits: [{ type: 'Container', max: { cpu: '100m' } }] },
    });
    const greedy = web({ containers: [shell('exec httpd -f', { resources: { limits: { cpu: '1' } } })] });
    const end = await deploy(s, s.cluster.helm4, [greedy]);
    assertOutcome(end, 'failed', 'LimitRangeViolated');
    assertReport(end.report);
    assert.equal(end.outputs['reasonGroup'], 'limitRange');
    assert.ok(secondsOf(end) < 30, `${secondsOf(end)} s`);
  });

  scene('an untouched pre-existing failure is reported and does not stop the deploy @real-node', async (s) => {
    const { cluster, namespace } = s;
    await cluster.runKubectl(
      'create',
      'secret',
      'generic',
      'db',
      '--from-literal=password=p',
      '--namespace',
      namespace,
    );
    const env = [{ name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }];
    const dependent = workloadOf('Deployment', 'legacy', { containers: [shell('exec httpd -f', { env })] });
    const stable = { stableFor: '0' };
    assertOutcome(await deploy(s, cluster.helm4, [dependent, web(serving)], stable), 'deployed');
    await cluster.runKubectl('delete', 'secret/db', '--namespace', namespace);
    await cluster.runKubectl('delete', 'pods', '--selector=app=legacy', '--namespace', namespace);
    const apiPath = '/apis/apps/v1/namespaces/$ns/deployments/legacy';
    await s.until('legacy to be down', async () => (await s.field(apiPath, 'status.availableReplicas')) === undefined);
    const end = await deploy(s, cluster.helm4, [dependent, web({ ...serving, hostname: 'two' })], stable);
    assertOutcome(end, 'deployed');
    const legacy = end.report?.objects.find(({ name }) => name === 'legacy');
    assert.equal(legacy?.isPreexisting, true);
    assert.notEqual(legacy.brokenBefore, '');
  });
});
