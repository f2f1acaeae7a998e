import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { DeployReport } from '../../tasks/common/core/report/report';
import { fieldAt } from '../../tasks/common/core/status/rules/rules';
import type { TestCluster } from '../support/cluster';
import type { DeployEnd } from '../support/product';
import { app, assertOutcome, charts, defineToys, fake, helms, scenes, type Scene, type SceneDeploy } from './scenes';

/** No node has this label, so the pods wait for ever. Kubernetes gives up on the rollout after one second. */
const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];

/** Parts that only the failed revision has. They must disappear with it. */
const extras = [
  ...['env.ONLY_TWO=1', 'sidecar=true', 'volume=true', 'autoscaler=v2', 'configMaps={only-two,adopted}'],
  ...['clusterRole=true', 'claim=true', 'extraNamespace=true', 'definition=true', 'kept=true'],
];

const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';

interface Helms {
  title: string;
  /** The Helm that makes the first revision, by hand. */
  maker: (cluster: TestCluster) => string;
  deployer: (cluster: TestCluster) => string;
}

const pairs: readonly Helms[] = [
  { title: 'Helm 3', maker: (cluster) => cluster.helm3, deployer: (cluster) => cluster.helm3 },
  { title: 'Helm 4', maker: (cluster) => cluster.helm4, deployer: (cluster) => cluster.helm4 },
  { title: 'Helm 4 on a release of Helm 3', maker: (cluster) => cluster.helm3, deployer: (cluster) => cluster.helm4 },
];

/** Random text that does not compress. A record holds it twice, in its values and in its manifest. */
const noise = (bytes: number): string => randomBytes(bytes).toString('base64url');

function largeMaps(dataOf: () => Readonly<Record<string, string>>): object[] {
  return [1, 2, 3, 4].map((index) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `large-${index}` },
    data: dataOf(),
  }));
}

function withLongTexts(key: string): object[] {
  return largeMaps(() => ({ [key]: noise(70_500) }));
}

function withLongNames(key: string): object[] {
  return largeMaps(() => Object.fromEntries(Array.from({ length: 470 }, () => [`${key}-${noise(150)}`, ''])));
}

describe('leftovers of a failed revision', () => {
  const { scene } = scenes();

  for (const { title, maker, deployer } of pairs) {
    scene(`${title}: after a kept failed revision, the next good deploy leaves nothing of it`, async (s) => {
      const helm = deployer(s.cluster);
      await install(s, maker(s.cluster));
      await defineToys(s);
      const failed = await s.deploy({ helm, set: [...stuck, ...extras, toy(s)], inputs: { onFailure: 'keep' } });
      assertOutcome(failed, 'failed');
      assert.equal(await s.history(), '1 superseded, 2 failed');
      assert.ok(await s.live('/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web'));
      await adopt(s);

      const good = await s.deploy({ helm, set: [...fake, 'text=three'] });
      assertOutcome(good, 'deployed');
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      await assertClean(s, good.log);
      assert.deepEqual(keptNames(good.report), keptObjects(s));
    });

    scene(`${title}: after an automatic rollback nothing of the failed revision is left`, async (s) => {
      const helm = deployer(s.cluster);
      await install(s, maker(s.cluster));
      await defineToys(s);
      const end = await s.deploy({ helm, set: [...stuck, ...extras, toy(s)] });
      assertOutcome(end, 'rolledBack');
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/adopted'), undefined);
      await assertClean(s, end.log);
      assert.deepEqual(
        keptNames(end.report),
        keptObjects(s).filter((name) => name !== 'ConfigMap/adopted'),
      );
    });

    scene(`${title}: three failures in a row, one of them stopped half-way, leave nothing behind`, async (s) => {
      const helm = deployer(s.cluster);
      await install(s, maker(s.cluster));
      const keep = { helm, inputs: { onFailure: 'keep' } };
      const failures: SceneDeploy[] = [
        { set: [...stuck, 'env.TWO=2', 'configMaps={from-two}'] },
        { set: [...fake, 'env.THREE=3', 'sidecar=true', 'configMaps={from-three}', 'invalid=true'] },
        { set: [...stuck, 'volume=true', 'autoscaler=v2'] },
      ];
      for (const failure of failures) assertOutcome(await s.deploy({ ...keep, ...failure }), 'failed');
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 failed, 4 failed');

      assertOutcome(await s.deploy({ helm, set: [...fake, 'text=five'] }), 'deployed');
      await assertPodsClean(s);
      assert.deepEqual(await configMaps(s), ['web']);
      assert.equal(await s.live('/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web'), undefined);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 failed, 4 failed, 5 deployed');
    });

    scene(`${title}: a rollback removes what a revision that stopped half-way had not yet removed`, async (s) => {
      const helm = deployer(s.cluster);
      await install(s, maker(s.cluster), 'configMaps={only-one}');
      const end = await s.deploy({ helm, set: [...fake, 'env.TWO=2', 'invalid=true'] });
      assertOutcome(end, 'rolledBack', 'ApplyRejected');
      assert.deepEqual(await configMaps(s), ['only-one', 'web']);
      await assertPodsClean(s);
      assert.match(end.log, /not a host|Invalid value/);
    });
  }

  scene('Helm 4: after a kept failed revision of a Helm 3 release, the next good deploy is clean', async (s) => {
    const { helm4: helm } = s.cluster;
    await install(s, s.cluster.helm3);
    const inputs = { onFailure: 'keep' };
    // This upgrade stops half-way, so the first revision is still the deployed one, and Helm merges from it.
    const set = [...fake, 'env.TWO=2', 'sidecar=true', 'configMaps={only-two}', 'invalid=true'];
    assertOutcome(await s.deploy({ helm, set, inputs }), 'failed');
    assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
    await assertPodsClean(s);
    assert.deepEqual(await configMaps(s), ['web']);
  });

  scene('an object that the failed revision removed for good is brought back by the rollback', async (s) => {
    const helm = s.cluster.helm3;
    await install(s, helm, 'configMaps={only-one}');
    const end = await s.deploy({ helm, set: stuck });
    assertOutcome(end, 'rolledBack');
    assert.deepEqual(await configMaps(s), ['only-one', 'web']);
  });

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: after a manual helm upgrade --wait that timed out, our deploy is clean`, async (s) => {
      const helm = major === '3' ? s.cluster.helm3 : s.cluster.helm4;
      await install(s, s.cluster.helm3);
      const args = ['upgrade', 'web', app, '--wait', '--timeout', '1s', ...flags([...stuck, 'configMaps={only-two}'])];
      await assert.rejects(s.helm(helm, ...args));
      assert.equal(await s.history(), '1 deployed, 2 failed');
      assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
      await assertPodsClean(s);
      assert.deepEqual(await configMaps(s), ['web']);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    });
  }

  for (const major of ['3', '4'] as const) {
    for (const [what, large, leaves] of [
      ['long texts, of which the base needs only the names', withLongTexts, 'nothing'],
      ['names without room in the base: what may stay is said', withLongNames, 'what has no room'],
    ] as const) {
      scene(`Helm ${major}: a record of 750 kB, a kept failed revision, then two deploys: ${what}`, async (s) => {
        const deploy = (objects: readonly object[], inputs = {}): Promise<DeployEnd> => {
          const valueFiles = s.file('values.json', JSON.stringify({ objects }));
          const chart = path.join(charts, 'objects');
          return s.deploy({ helm: helms(s.cluster)[major], chart, inputs: { valueFiles, ...inputs } });
        };
        assertOutcome(await deploy(large('one')), 'deployed');
        const [record] = await s.list('/api/v1/namespaces/$ns/secrets?labelSelector=owner%3Dhelm');
        const bytes = Buffer.from(String(fieldAt(record ?? {}, 'data.release')), 'base64').length;
        assert.ok(bytes > 740_000 && bytes < 800_000, String(bytes));
        const invalid = {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'invalid' },
          spec: { ports: [{ port: -1 }] },
        };
        assertOutcome(await deploy([...large('two'), invalid], { onFailure: 'keep' }), 'failed', 'ApplyRejected');

        const good = await deploy(large('three'));
        assertOutcome(good, 'deployed');
        const told = /Helm's record of revision 2 has no room for it \(1 MiB\): their fields and objects may stay/;
        assert.equal(told.test(good.log), leaves !== 'nothing', good.log);
        const keys = Object.keys((await s.live('/api/v1/namespaces/$ns/configmaps/large-1'))?.['data'] ?? {});
        assert.ok(keys.some((key) => key.startsWith('three')));
        if (leaves === 'nothing')
          assert.ok(
            keys.every((key) => key.startsWith('three')),
            keys.join(),
          );
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
        assertOutcome(await deploy(large('four')), 'deployed');
      });
    }
  }
});

async function install(s: Scene, helm: string, ...set: readonly string[]): Promise<void> {
  await s.helm(helm, 'install', 'web', app, ...flags([...fake, ...set]));
}

function flags(set: readonly string[]): string[] {
  return set.flatMap((line) => ['--set', line]);
}

function toy(s: Scene): string {
  return `custom=${s.namespace}.example.com/v1`;
}

async function adopt(s: Scene): Promise<void> {
  const path = '/api/v1/namespaces/$ns/configmaps/adopted';
  const object = await s.live(path);
  const annotations = { ...object?.metadata.annotations, 'meta.helm.sh/release-name': 'other' };
  await s.put(path, { ...object, metadata: { ...object?.metadata, annotations } });
}

async function assertClean(s: Scene, log: string): Promise<void> {
  await assertPodsClean(s);
  const gone = [
    '/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers/web',
    '/api/v1/namespaces/$ns/configmaps/only-two',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/$ns-web',
  ];
  for (const path of gone) assert.equal(await s.live(path), undefined, `${path} is still there:\n${log}`);
  const kept = [
    '/api/v1/namespaces/$ns/persistentvolumeclaims/web',
    '/api/v1/namespaces/$ns-extra',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toys.$ns.chart.example.com',
    '/apis/$ns.example.com/v1/namespaces/$ns/toys/web',
    '/api/v1/namespaces/$ns/configmaps/web-kept',
  ];
  for (const path of kept) {
    const live = await s.live(path);
    assert.ok(live !== undefined && !live.metadata.deletionTimestamp, `${path} is gone:\n${log}`);
  }
}

function keptObjects(s: Scene): string[] {
  return [
    'ConfigMap/adopted',
    'ConfigMap/web-kept',
    `CustomResourceDefinition/toys.${s.namespace}.chart.example.com`,
    `Namespace/${s.namespace}-extra`,
    'PersistentVolumeClaim/web',
    'Toy/web',
  ];
}

function keptNames(report: DeployReport | undefined): string[] {
  return (report?.leftovers ?? [])
    .filter(({ keptBecause }) => keptBecause !== '')
    .map(({ kind, name }) => `${kind}/${name}`)
    .sort();
}

/** Checks that the pods are as the chart of the first revision declares them. */
async function assertPodsClean(s: Scene): Promise<void> {
  const spec = (await s.field(deployment, 'spec.template.spec')) as {
    nodeSelector?: unknown;
    volumes?: unknown;
    containers: { name: string; env: unknown; volumeMounts?: unknown }[];
  };
  assert.deepEqual(spec.nodeSelector, { type: 'kwok' });
  assert.deepEqual(spec.volumes, undefined);
  assert.deepEqual(
    spec.containers.map(({ name, env, volumeMounts }) => ({ name, env, volumeMounts })),
    [{ name: 'web', env: [{ name: 'PORT', value: '8080' }], volumeMounts: undefined }],
  );
}

async function configMaps(s: Scene): Promise<string[]> {
  const found = await s.list('/api/v1/namespaces/$ns/configmaps');
  return found.map(({ metadata }) => metadata.name).filter((name) => name !== 'kube-root-ca.crt');
}
