import assert from 'node:assert/strict';
import { oldestHelm } from '../../scripts/cluster/pins';
import { assertOutcome, bare, helms, scenes } from './scenes';

const shared = '/api/v1/namespaces/$ns/configmaps/shared';
const owner = 'metadata.annotations';
const set = [...bare, 'configMaps={shared}'];

describe('taking objects over', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: objects of nobody and of a dead release are taken, of a living one only by its name`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const inputs = { takeOwnership: 'true' };
        const ownedBy = async (): Promise<unknown> =>
          ((await s.field(shared, owner)) as Record<string, string> | undefined)?.['meta.helm.sh/release-name'];
        // The chart sets another value, which is a conflict for Helm 4.
        const byHand = {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'web' },
          data: { text: 'by hand', mine: '1' },
        };
        await s.create('/api/v1/namespaces/$ns/configmaps', byHand);
        assertOutcome(await s.deploy({ helm, set: bare }), 'failed', 'ApplyRejected');
        assertOutcome(await s.deploy({ helm, set: bare, inputs }), 'deployed');
        assert.deepEqual(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data'), { text: 'one', mine: '1' });

        assertOutcome(await s.deploy({ helm, release: 'other', set }), 'deployed');
        const refused = await s.deploy({ helm, set, inputs });
        assertOutcome(refused, 'refused', 'ObjectOwned');
        assert.equal(refused.outputs['failedWorkload'], 'ConfigMap/shared');
        assert.equal(await ownedBy(), 'other');
        assert.equal(await s.history(), '1 deployed');

        const taken = await s.deploy({ helm, set, inputs: { ...inputs, takeOwnershipFrom: 'other' } });
        assertOutcome(taken, 'deployed');
        assert.equal(await ownedBy(), 'web');

        // Whoever deletes the records of a release leaves its objects.
        await s.cluster.runKubectl(
          '--namespace',
          s.namespace,
          'delete',
          'secrets',
          '--selector',
          'owner=helm,name=web',
        );
        const inherited = await s.deploy({ helm, release: 'heir', set, inputs });
        assertOutcome(inherited, 'deployed');
        assert.equal(await ownedBy(), 'heir');
        assert.match(
          inherited.log,
          /takes ConfigMap\/shared from release web in namespace \S+, of which Helm has no record/,
        );
      },
    );
  }

  scene('the oldest Helm cannot take objects over, and the message names the solution', async (s) => {
    const helm = s.cluster.helms[oldestHelm] ?? assert.fail();
    const end = await s.deploy({ helm, set, inputs: { takeOwnership: 'true' } });
    assertOutcome(end, 'failed', 'InputInvalid');
    assert.match(end.log, /takeOwnership holds "true"; this Helm cannot take objects over; Helm 3\.17 and later can/);
    assert.equal(await s.history(), '');
  });
});
