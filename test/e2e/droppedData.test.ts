import assert from 'node:assert/strict';
import path from 'node:path';
import { assertEnd, plan, rollBack } from './rollbackScenes';
import { assertOutcome, charts, helms, scenes, toyDefinition, type Scene } from './scenes';

const chart = path.join(charts, 'objects');
const claims = '/api/v1/namespaces/$ns/persistentvolumeclaims/data';
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

function groupOf(s: Scene): string {
  return `${s.namespace}.data.example.com`;
}

function objectsOf(s: Scene): Record<'settings' | 'claim' | 'definition' | 'toy' | 'refused', object> {
  const group = groupOf(s);
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' } };
  return {
    settings: { ...config, data: { text: 'a' } },
    refused: { ...config, metadata: { name: 'NOT_VALID' } },
    claim: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', annotations: { 'helm-safe-deploy/wait': 'ignore' } },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'none', resources: { requests: { storage: '1Gi' } } },
    },
    definition: toyDefinition(group),
    // A revision of which nothing is judged would not be verified.
    toy: {
      apiVersion: `${group}/v1`,
      kind: 'Toy',
      metadata: { name: 'bear' },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    },
  };
}

describe('data that a chart no longer declares', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a failed deploy deletes none of it, a good one keeps it until deleteData`, async (s) => {
      const helm = helms(s.cluster)[major];
      const { settings, refused, claim, definition, toy } = objectsOf(s);
      const values = (...objects: object[]): string => s.file('values.yaml', JSON.stringify({ objects }));
      const deploy = (objects: object[], inputs: Record<string, string> = {}) =>
        s.deploy({ chart, helm, inputs: { valueFiles: values(...objects), ...inputs } });
      const toys = `/apis/${groupOf(s)}/v1/namespaces/$ns/toys/bear`;
      const uids = async () => [await s.field(claims, 'metadata.uid'), await s.field(toys, 'metadata.uid')];
      try {
        assertOutcome(await deploy([settings, definition]), 'deployed');
        assertOutcome(await deploy([settings, definition, claim, toy]), 'deployed');
        const before = await uids();

        const failed = await deploy([settings, refused]);
        assertOutcome(failed, 'rolledBack');
        assert.deepEqual(await uids(), before, failed.log);

        const good = await deploy([settings]);
        assertOutcome(good, 'deployed');
        assert.equal(await s.live(toys), undefined, good.log);
        assert.equal(await s.field(claims, 'metadata.uid'), before[0], good.log);
        assert.match(good.log, /PersistentVolumeClaim\/data was kept: it may hold data; deleteData: true deletes it\./);
        assert.ok((await s.live(`${definitions}/toys.${groupOf(s)}`)) !== undefined);

        const planned = await plan(s, {
          helm,
          inputs: { releaseName: 'web', toRevision: '2', allow: 'PlanRecreates' },
        });
        assert.doesNotMatch(planned.log, /RehearsalFailed/, planned.log);

        const last = await deploy([settings], { deleteData: 'true' });
        assertOutcome(last, 'unchanged');
        await s.until('the claim is gone', async () => (await s.live(claims)) === undefined);
        await s.until('the definition is gone', async () => {
          return (await s.live(`${definitions}/toys.${groupOf(s)}`)) === undefined;
        });
      } finally {
        await s.cluster.runKubectl('delete', 'crd', `toys.${groupOf(s)}`, '--ignore-not-found', '--wait=false');
      }
    });

    scene(`Helm ${major}: an approved rollback goes back over a claim that was kept`, async (s) => {
      const helm = helms(s.cluster)[major];
      const { settings, claim } = objectsOf(s);
      const values = (...objects: object[]): string => s.file('values.yaml', JSON.stringify({ objects }));
      for (const objects of [[settings, claim], [settings]]) {
        assertOutcome(await s.deploy({ chart, helm, inputs: { valueFiles: values(...objects) } }), 'deployed');
      }
      const uid = await s.field(claims, 'metadata.uid');
      const planned = await plan(s, { helm, inputs: { releaseName: 'web', toRevision: '1' } });
      const end = await rollBack(s, planned, { helm, inputs: { releaseName: 'web' } });
      assertEnd(end, 'rolledBack');
      assert.equal(await s.field(claims, 'metadata.uid'), uid, end.log);
    });

    scene(
      `Helm ${major}: a claim that grew keeps its size in an automatic rollback, and the rest goes back`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        // Helm applies Services after claims.
        const refused = {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'NOT_VALID' },
          spec: { ports: [{ port: 80 }] },
        };
        const [storageClassName, volumeName] = [`grow-${s.namespace}`, `volume-${s.namespace}`];
        const claimOf = (storage: string) => ({
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], storageClassName, volumeName, resources: { requests: { storage } } },
        });
        const settings = (text: string) => ({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'settings' },
          data: { text },
        });
        const deploy = (...objects: object[]) =>
          s.deploy({ chart, helm, inputs: { valueFiles: s.file('values.yaml', JSON.stringify({ objects })) } });
        await s.create('/apis/storage.k8s.io/v1/storageclasses', {
          metadata: { name: storageClassName },
          provisioner: 'none.example.com',
          allowVolumeExpansion: true,
        });
        await s.create('/api/v1/persistentvolumes', {
          metadata: { name: volumeName },
          spec: {
            capacity: { storage: '1Gi' },
            accessModes: ['ReadWriteOnce'],
            storageClassName,
            csi: { driver: 'none.example.com', volumeHandle: 'none' },
          },
        });
        try {
          assertOutcome(await deploy(claimOf('1Gi'), settings('one')), 'deployed');
          const failed = await deploy(claimOf('2Gi'), settings('two'), refused);
          assertOutcome(failed, 'rolledBack');
          assert.match(
            failed.log,
            /PersistentVolumeClaim\/data keeps its size of 2Gi, because a claim cannot shrink to 1Gi\./,
          );
          assert.equal(await s.field(claims, 'spec.resources.requests.storage'), '2Gi', failed.log);
          assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/settings', 'data.text'), 'one', failed.log);
        } finally {
          await s.cluster.runKubectl('delete', 'storageclass', storageClassName, '--ignore-not-found', '--wait=false');
          await s.cluster.runKubectl('delete', 'persistentvolume', volumeName, '--ignore-not-found', '--wait=false');
        }
      },
    );
  }
});
