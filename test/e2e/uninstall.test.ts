import assert from 'node:assert/strict';
import { app, assertOutcome, helms, loseMachine, scenes } from './scenes';

const configMap = '/api/v1/namespaces/$ns/configmaps/web';
const place = '/api/v1/namespaces/$ns';
const uninstall = { action: 'uninstall', chart: '', timeout: '30s' };

describe('the uninstall of a release', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: data stays until deleteData, and the namespace until it is empty`, async (s) => {
      const helm = helms(s.cluster)[major];
      // No volume fits these claims, so a deploy would fail.
      const install = () => s.helm(helm, 'install', 'web', app, '--set', 'fake=true,claim=true,statefulSet=true');
      await install();
      const kept = await s.deploy({ helm, inputs: { ...uninstall, deleteNamespace: 'true' } });
      assertOutcome(kept, 'uninstalled');
      assert.match(kept.log, /deletes Deployment\/web\b/);
      assert.match(kept.log, /Namespace \S+ stays: it also holds .*PersistentVolumeClaim\/web/);
      const claims = await s.list('/api/v1/namespaces/$ns/persistentvolumeclaims');
      assert.deepEqual(
        claims.map(({ metadata }) => metadata.name),
        ['data-web-data-0', 'web'],
      );
      assert.deepEqual(await s.list('/api/v1/namespaces/$ns/pods'), []);
      assert.equal(await s.history(), '');

      await install();
      const all = { ...uninstall, deleteNamespace: 'true', deleteData: 'true' };
      const gone = await s.deploy({ helm, inputs: all });
      assertOutcome(gone, 'uninstalled');
      assert.equal(await s.live(place), undefined, gone.log);
      const again = await s.deploy({ helm, inputs: uninstall });
      assertOutcome(again, 'unchanged');
      assert.match(again.log, /There is no release web/);
    });

    scene(`Helm ${major}: a finalizer that hangs is named, and the next run goes on`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: ['web=false', 'kept=false'] }), 'deployed');
      const live = (await s.live(configMap)) ?? assert.fail();
      const finalizers = ['example.org/never'];
      await s.put(configMap, { ...live, metadata: { ...live.metadata, finalizers } });
      const end = await s.deploy({ helm, inputs: { ...uninstall, timeout: '2s' } });
      assertOutcome(end, 'failed', 'TimedOut');
      assert.match(end.log, /ConfigMap\/web \(being deleted since \S+ UTC; finalizer example\.org\/never\)/);
      assert.equal(await s.history(), '1 uninstalled');

      const hanging = (await s.live(configMap)) ?? assert.fail();
      await s.put(configMap, { ...hanging, metadata: { ...hanging.metadata, finalizers: [] } });
      assertOutcome(await s.deploy({ helm, inputs: { ...uninstall, keepHistory: 'true' } }), 'unchanged');
      assertOutcome(await s.deploy({ helm, inputs: uninstall }), 'uninstalled');
      assert.equal(await s.history(), '');
    });

    scene(
      `Helm ${major}: killed while a pre-delete hook runs: post-job ends it, or the next run @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const hook = '/apis/batch/v1/namespaces/$ns/jobs/web-pre-delete';
        const set = ['web=false', 'hooks.pre-delete=echo goodbye; sleep 3'];
        for (const isMachine of [false, true]) {
          assertOutcome(await s.deploy({ helm, set }), 'deployed');
          const running = s.start({ helm, inputs: uninstall });
          await running.job.waitForLine(/goodbye/);
          assert.ok(await s.live(hook));
          if (isMachine) loseMachine(running);
          else running.job.kill('SIGKILL');
          const end = await running.end.catch(() => undefined);
          if (isMachine) {
            assert.equal(await s.history(), '1 uninstalling');
            assertOutcome(await s.deploy({ helm, inputs: uninstall }), 'uninstalled');
          }
          assert.equal(await s.history(), '', end?.log);
          assert.equal(await s.live(configMap), undefined);
        }
      },
    );
  }
});
