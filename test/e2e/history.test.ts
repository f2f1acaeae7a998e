import assert from 'node:assert/strict';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import { app, assertOutcome, bare, fake, helms, scenes, type Scene } from './scenes';
import type { RecordChange } from '../../tasks/common/core/release/releaseRecord';

const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
const refused = [...bare, 'invalid=true'];
const flags = (set: readonly string[]): string[] => set.flatMap((line) => ['--set', line]);

describe("Helm's history of a release", () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: repeated failures with historyMax 3 do not remove the verified revision`, async (s) => {
      const helm = helms(s.cluster)[major];
      const keep = { helm, inputs: { historyMax: '3', onFailure: 'keep' } };
      assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
      for (const text of ['two', 'three', 'four']) {
        assertOutcome(await s.deploy({ ...keep, set: [...refused, `text=${text}`] }), 'failed');
      }
      // Helm stopped before it removed the leftovers of these revisions. Their records are kept until the leftovers are
      // gone.
      assert.equal(await s.history(), '1 deployed, 2 failed, 3 failed, 4 failed');
      const end = await s.deploy({ helm, set: refused, inputs: { historyMax: '3' } });
      assertOutcome(end, 'rolledBack');
      assert.match(end.log, /is rolled back to revision 1 \(verified healthy\)/);
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      assert.equal((await s.history()).split(', ').length, 3);
    });

    scene(`Helm ${major}: a failed deploy says which pods stand behind its Services`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
      const end = await s.deploy({ helm, set: [...stuck, 'text=two'], inputs: { onFailure: 'keep' } });
      assertOutcome(end, 'failed');
      assert.match(
        end.log,
        /\d+ ready pods? stands? behind Service\/web from before this deploy: the old version still serves\./,
      );
    });

    scene(`Helm ${major}: a copied mark does not make an unhealthy revision the rollback target`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
      // Without --wait Helm calls this revision deployed and copies the mark of revision 1 to it.
      await s.helm(helm, 'upgrade', 'web', app, ...flags(stuck));
      assert.deepEqual(await s.marks(), ['1 verified=1', '2 verified=1']);
      const end = await s.deploy({ helm, set: [...stuck, 'text=three'] });
      assertOutcome(end, 'rolledBack');
      assert.match(end.log, /is rolled back to revision 1 \(verified healthy\)/);
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';
      assert.deepEqual(await s.field(deployment, 'spec.template.spec.nodeSelector'), { type: 'kwok' });
    });
  }

  scene('with nothing verified or deployed there is no rollback, because superseded proves nothing', async (s) => {
    const { helm3 } = s.cluster;
    await s.helm(helm3, 'install', 'web', app, ...flags(fake));
    await s.helm(helm3, 'upgrade', 'web', app, ...flags(stuck));
    await edit(s, 2, { status: 'failed' });
    const end = await s.deploy({ helm: helm3, set: [...stuck, 'text=three'] });
    assertOutcome(end, 'failed');
    assert.match(end.job.issues[0]?.message ?? '', /there is no earlier revision to roll back to/);
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 failed');
  });

  for (const status of ['pending-upgrade', 'pending-install', 'pending-rollback'] as const) {
    scene(`a release that is ${status} is refused with a description of its state, and is not changed`, async (s) => {
      await s.helm(s.cluster.helm4, 'install', 'web', app, ...flags(bare));
      await edit(s, 1, { status, description: 'Preparing upgrade' });
      const before = await s.live('/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v1');
      const end = await s.deploy({ set: [...bare, 'text=two'] });
      assertOutcome(end, 'refused', 'ReleasePending');
      assert.match(end.job.issues[0]?.message ?? '', new RegExp(`${status} since .*revision 1.*Preparing upgrade`));
      const after = await s.live('/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v1');
      assert.equal(after?.metadata.resourceVersion, before?.metadata.resourceVersion);
    });
  }

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a release uninstalled with its history kept is installed anew, and its old revisions are no rollback target`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        await s.helm(helm, 'uninstall', 'web', '--keep-history');
        const inputs = { onFailure: 'keep' };
        assertOutcome(await s.deploy({ helm, set: refused, inputs }), 'failed');
        assert.equal(await s.history(), '1 uninstalled, 2 failed');
        assertOutcome(await s.deploy({ helm, set: [...bare, 'text=three'] }), 'deployed');
        assert.equal(await s.history(), '1 uninstalled, 2 failed, 3 deployed');
        const end = await s.deploy({ helm, set: refused });
        assertOutcome(end, 'rolledBack');
        assert.match(end.log, /is rolled back to revision 3 /);
      },
    );

    scene(`Helm ${major}: HELM_DRIVER=configmap keeps the record in ConfigMaps`, async (s) => {
      const helm = helms(s.cluster)[major];
      const variables = { HELM_DRIVER: 'configmap' };
      assertOutcome(await s.deploy({ helm, variables, set: fake }), 'deployed');
      const end = await s.deploy({ helm, variables, set: stuck });
      assertOutcome(end, 'rolledBack');
      assert.equal(await s.history(), '');
      assert.equal(await s.history('web', 'configmaps'), '1 superseded, 2 failed, 3 deployed');
    });
  }

  scene('HELM_DRIVER=sql is refused before anything is changed', async (s) => {
    const end = await s.deploy({ variables: { HELM_DRIVER: 'sql' }, set: bare });
    assert.equal(end.result, 'Failed');
    assert.match(end.job.issues[0]?.message ?? '', /HELM_DRIVER is "sql"/);
    assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/web'), undefined);
  });
});

/** Edits a record, as a person with a script or a killed Helm would leave it. */
async function edit(s: Scene, revision: number, change: RecordChange): Promise<void> {
  const connection = await createCluster(s.cluster.kubeconfig);
  try {
    const options = { release: 'web', namespace: s.namespace, driver: undefined };
    await createReleaseStorage(connection, options).update(revision, change);
  } finally {
    connection.close();
  }
}
