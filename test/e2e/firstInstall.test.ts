import assert from 'node:assert/strict';
import { assertOutcome, fake, helms, scenes, type Scene } from './scenes';

const never = ['env.READY=never', 'env.EXIT_MESSAGE=cannot find the database', 'env.EXIT_AFTER=0', 'env.EXIT_CODE=3'];
/** The first crash fails the deploy, however long the container takes to start. */
const inputs = { graces: 'CrashLoop: 0' };

describe('a failed first install', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: uninstalled with its evidence collected; the second run installs @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      const end = await s.deploy({ helm, set: never, inputs });
      assertOutcome(end, 'failed');
      assert.match(end.log, /\| .*cannot find the database/);
      const evidence = end.report?.evidence.flatMap(({ lines }) => lines) ?? [];
      assert.ok(evidence.some((line) => line.includes('cannot find the database')));
      assert.equal(end.outputs['revision'], '');
      assert.equal(end.report?.servingRevision, null);
      assert.equal(await s.history(), '');
      assert.equal(await s.live('/apis/apps/v1/namespaces/$ns/deployments/web'), undefined);

      assertOutcome(await s.deploy({ helm }), 'deployed');
      assert.equal(await s.history(), '1 deployed');
    });

    scene(`Helm ${major}: its claims, those of the chart and of the StatefulSet, are kept and named`, async (s) => {
      const set = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=2', 'claim=true', 'statefulSet=true'];
      const end = await s.deploy({ helm: helms(s.cluster)[major], set });
      assertOutcome(end, 'failed');
      assert.deepEqual(await claims(s), ['data-web-data-0', 'web']);
      for (const name of ['data-web-data-0', 'web'])
        assert.match(end.log, new RegExp(`PersistentVolumeClaim/${name}\\b.*kept`));
      assert.equal(await s.live('/apis/apps/v1/namespaces/$ns/statefulsets/web-data'), undefined);
    });

    scene(`Helm ${major}: onFailure keep marks it failed, and the next good deploy is clean`, async (s) => {
      const helm = helms(s.cluster)[major];
      const set = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1', 'configMaps={only-one}'];
      const end = await s.deploy({ helm, set, inputs: { onFailure: 'keep' } });
      assertOutcome(end, 'failed');
      assert.equal(await s.history(), '1 failed');
      assert.ok(await s.live('/apis/apps/v1/namespaces/$ns/deployments/web'));

      assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
      assert.equal(await s.history(), '1 failed, 2 deployed');
      assert.equal(await s.live('/api/v1/namespaces/$ns/configmaps/only-one'), undefined);
      const nodeSelector = await s.field(
        '/apis/apps/v1/namespaces/$ns/deployments/web',
        'spec.template.spec.nodeSelector',
      );
      assert.deepEqual(nodeSelector, { type: 'kwok' });
    });

    scene(`Helm ${major}: an install that stops half-way at a refused object is uninstalled`, async (s) => {
      const end = await s.deploy({ helm: helms(s.cluster)[major], set: [...fake, 'invalid=true'] });
      assertOutcome(end, 'failed', 'ApplyRejected');
      assert.equal(await s.history(), '');
      assert.equal(await s.live('/apis/apps/v1/namespaces/$ns/deployments/web'), undefined);
    });

    scene(
      `Helm ${major}: when a kept failed install fails again, it is uninstalled, because nothing was ever deployed`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const set = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
        assertOutcome(await s.deploy({ helm, set, inputs: { onFailure: 'keep' } }), 'failed');
        assertOutcome(await s.deploy({ helm, set: [...set, 'text=two'] }), 'failed');
        assert.equal(await s.history(), '');
        assert.equal(await s.live('/apis/apps/v1/namespaces/$ns/deployments/web'), undefined);
      },
    );
  }
});

async function claims(s: Scene): Promise<string[]> {
  const found = await s.list('/api/v1/namespaces/$ns/persistentvolumeclaims');
  return found.map(({ metadata }) => metadata.name);
}
