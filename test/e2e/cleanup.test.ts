import assert from 'node:assert/strict';
import { app, assertOutcome, bare, helms, scenes } from './scenes';

const extra = '/api/v1/namespaces/$ns/configmaps/extra';
/** The API server refuses an object of the chart after all others exist. */
const failing = [...bare, 'configMaps={extra}', 'invalid=true'];
const kept = { onFailure: 'keep' };
const cleaning = { cleanupOnFail: 'true' };

describe('what failed upgrades have made', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: it is removed though the failed revision is kept, and so is what plain Helm has left`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const failed = await s.deploy({ helm, set: failing, inputs: { ...kept, ...cleaning } });
        assertOutcome(failed, 'failed', 'ApplyRejected');
        assert.equal(await s.live(extra), undefined);
        assert.deepEqual(failed.report?.leftovers, [{ kind: 'ConfigMap', name: 'extra', keptBecause: '' }]);
        assert.equal(await s.history(), '1 deployed, 2 failed');

        const flags = (set: readonly string[]): string[] => set.flatMap((value) => ['--set', value]);
        await assert.rejects(s.helm(helm, 'upgrade', 'web', app, ...flags(failing)));
        await s.helm(helm, 'upgrade', 'web', app, ...flags([...bare, 'text=two']));
        assert.ok(await s.live(extra));

        const set = [...bare, 'text=two'];
        const listed = await s.deploy({ helm, set, inputs: { drift: 'report' } });
        assert.match(
          listed.log,
          /ConfigMap\/extra stays: revision 2, which failed, made it; cleanupOnFail: true removes it/,
        );
        assert.ok(await s.live(extra));
        assertOutcome(await s.deploy({ helm, set, inputs: cleaning }), 'unchanged');
        assert.equal(await s.live(extra), undefined);
      },
    );
  }
});
