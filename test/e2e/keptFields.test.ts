import assert from 'node:assert/strict';
import path from 'node:path';
import { assertEnd, codes, deployment, fakeWorkload, kubectl, plan, releaseOf, rollBack } from './rollbackScenes';
import { assertOutcome, charts, helms, scenes, type Scene } from './scenes';

const chart = path.join(charts, 'objects');
let files = 0;
const claimPath = '/api/v1/namespaces/$ns/persistentvolumeclaims/data';

const autoscaler = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 1,
    maxReplicas: 9,
  },
};

/** A Deployment whose chart declares one replica, with an autoscaler. */
function web(version: string, more: object = {}): object[] {
  return [fakeWorkload('Deployment', 'web', version, { replicas: 1, progressDeadlineSeconds: 2, ...more }), autoscaler];
}

/** Writes through the subresource, as an autoscaler does. */
async function scaleTo(s: Scene, replicas: number): Promise<void> {
  const patch = ['--subresource=scale', '--type=merge', '--patch', JSON.stringify({ spec: { replicas } })];
  await kubectl(s, 'patch', 'deployment/web', ...patch, '--field-manager=kube-controller-manager');
  await s.until(`${replicas} ready`, async () => (await s.field(deployment, 'status.readyReplicas')) === replicas);
}

function deployOf(s: Scene, helm: string, objects: readonly object[], inputs: object = {}) {
  const valueFiles = s.file(`${files++}.yaml`, JSON.stringify({ objects }));
  return s.deploy({ helm, chart, inputs: { valueFiles, timeout: '60s', stableFor: '0', ...inputs } });
}

function sized(s: Scene, storage: string): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: s.namespace, resources: { requests: { storage } } },
  };
}

/** The API server lets only a bound claim of such a class grow. */
async function volume(s: Scene): Promise<void> {
  await s.create('/apis/storage.k8s.io/v1/storageclasses', {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: s.namespace },
    provisioner: 'example.com/none',
    allowVolumeExpansion: true,
  });
  await s.create('/api/v1/persistentvolumes', {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: s.namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      claimRef: { namespace: s.namespace, name: 'data' },
      hostPath: { path: '/tmp' },
      storageClassName: s.namespace,
    },
  });
}

describe('fields that Helm must leave', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: the replicas of an autoscaler stay in a deploy, its rollback and an approved one`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await deployOf(s, helm, web('one')), 'deployed');
        await scaleTo(s, 4);
        const deployed = await deployOf(s, helm, web('two'));
        assertOutcome(deployed, 'deployed');
        assert.match(deployed.log, /Deployment\/web keeps the 4 replicas that its autoscaler has set/);
        assert.equal(await s.field(deployment, 'spec.replicas'), 4);
        const failed = await deployOf(s, helm, web('three', { template: broken() }), { graces: 'Unschedulable: 1s' });
        assertOutcome(failed, 'rolledBack');
        assert.equal(await s.field(deployment, 'spec.replicas'), 4);
        const planned = await plan(s, { helm, inputs: { toRevision: '1' } });
        assertEnd(planned, 'planned');
        assert.ok(codes(planned).includes('ReplicasUnderAutoscaler') && !codes(planned).includes('ScalesDown'));
        const done = await rollBack(s, planned, { helm, inputs: { toRevision: '1' } });
        assertEnd(done, 'rolledBack');
        assert.equal(await s.field(deployment, 'spec.replicas'), 4, done.log);
        assert.match(String(await s.field(deployment, 'spec.template.spec.containers.0.image')), /web:one$/);
        // The managed fields show every writer. The autoscaler is the only one of this field still.
        const live = await s.live(deployment);
        const writers = (live?.metadata as unknown as { managedFields: Entry[] }).managedFields
          .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('"f:replicas":{}'))
          .map(({ subresource }) => subresource);
        assert.deepEqual(
          [...new Set(writers)].filter((one) => one !== 'status'),
          ['scale'],
        );
      },
    );

    scene(`Helm ${major}: a claim that has grown keeps its size, and all else is rolled back and proven`, async (s) => {
      const helm = helms(s.cluster)[major];
      await volume(s);
      const text = (value: string): object => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'web' },
        data: { value },
      });
      await releaseOf(s, helm, sized(s, '1Gi'), text('one'));
      await s.until('bound', async () => (await s.field(claimPath, 'status.phase')) === 'Bound');
      await releaseOf(s, helm, sized(s, '2Gi'), text('two'));
      const planned = await plan(s, { helm });
      assertEnd(planned, 'planned');
      assert.ok(codes(planned).includes('ClaimKeepsSize'), planned.log);
      const done = await rollBack(s, planned, { helm });
      assertEnd(done, 'rolledBack');
      assert.match(done.report?.message ?? '', /keeps its size of 2Gi, because a claim cannot shrink to 1Gi/);
      assert.equal(await s.field(claimPath, 'spec.resources.requests.storage'), '2Gi');
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.value'), 'one');
      assertEnd(await rollBack(s, planned, { helm }), 'alreadyThere');
      const next = await deployOf(s, helm, [sized(s, '1Gi'), text('three')]);
      assertOutcome(next, 'deployed');
      assert.match(next.log, /keeps its size of 2Gi/);
    });
  }
});

interface Entry {
  subresource?: string;
  fieldsV1: object;
}

/** A pod template that no node takes. */
function broken(): object {
  const [workload] = web('three') as { spec: { template: { spec: object } } }[];
  const template = workload?.spec.template;
  return { ...template, spec: { ...template?.spec, nodeSelector: { none: 'z' } } };
}
