import assert from 'node:assert/strict';
import { assertEnd, configMap, deployment, plan, release, rollBack, startRollBack } from './rollbackScenes';
import { fake, helms, loseMachine, scenes, type Scene, patient } from './scenes';

const hooked = ['text=one', 'hooks.pre-rollback=sleep 5'];
const lease = '/apis/coordination.k8s.io/v1/namespaces/$ns/leases/helm-safe-deploy.web';

/** A Helm that ends well but keeps running, so its caller waits for it. */
function lingering(s: Scene, helm: string): string {
  const script = `#!/bin/sh\n"${helm}" "$@" || exit $?\ncase "$*" in *rollback*--no-hooks*) ;; *rollback*) echo lingering; sleep 600;; esac\n`;
  return s.file('lingering-helm', script);
}

/** A Helm that never begins its rollback. */
function waiting(s: Scene, helm: string): string {
  const script = `#!/bin/sh\ncase "$*" in *rollback*--no-hooks*) ;; *rollback*) echo waiting; sleep 600;; esac\nexec "${helm}" "$@"\n`;
  return s.file('waiting-helm', script);
}

describe('an interrupted rollback', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: the machine dies while Helm runs a hook: the same step resumes the rollback @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        await release(s, helm, ...hooked, 'configMaps={old}');
        await release(s, helm, 'text=two', 'configMaps={new}');
        const planned = await plan(s, { helm });
        assertEnd(planned, 'planned');
        const running = startRollBack(s, planned, { helm });
        await s.until('the hook runs', async () =>
          (await s.list('/apis/batch/v1/namespaces/$ns/jobs')).some(
            (job) => (job['status'] as { active?: number }).active === 1,
          ),
        );
        loseMachine(running);
        await running.end.catch(() => undefined);
        assert.equal(await s.history(), '1 superseded, 2 deployed, 3 pending-rollback');

        const done = await rollBack(s, planned, { helm });
        assertEnd(done, 'rolledBack');
        assert.match(done.log, /Helm runs again/);
        assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
        assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
        assert.deepEqual(done.report?.deletedObjects, ['ConfigMap/new']);
        assert.equal(await s.live(configMap('new')), undefined);
      },
    );
  }

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: the machine dies when the target is applied and its record is pending: the same step resumes the rollback @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        await release(s, helm, 'text=one', 'hooks.post-rollback=sleep 5', 'configMaps={old}');
        await release(s, helm, 'text=two', 'configMaps={new}');
        const planned = await plan(s, { helm });
        assertEnd(planned, 'planned');
        const running = startRollBack(s, planned, { helm });
        await s.until('the hook runs', async () =>
          (await s.list('/apis/batch/v1/namespaces/$ns/jobs')).some(
            (job) => (job['status'] as { active?: number }).active === 1,
          ),
        );
        loseMachine(running);
        await running.end.catch(() => undefined);
        assert.equal(await s.history(), '1 superseded, 2 deployed, 3 pending-rollback');
        assert.ok(await s.live(configMap('old')), 'It is there, and the present revision does not declare it.');

        const done = await rollBack(s, planned, { helm });
        assertEnd(done, 'rolledBack');
        assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
        assert.equal(await s.live(configMap('new')), undefined);
        assert.ok(await s.live(configMap('old')));
      },
    );
  }

  scene(
    'a run without an approval marks a begun rollback as failed, and a deploy continues from there @real-node',
    async (s) => {
      const helm = helms(s.cluster)['4'];
      await release(s, helm, ...hooked, 'configMaps={old}');
      await release(s, helm, 'text=two', 'configMaps={new}');
      const planned = await plan(s, { helm });
      const running = startRollBack(s, planned, { helm });
      await s.until('the hook runs', async () =>
        (await s.list('/apis/batch/v1/namespaces/$ns/jobs')).some(
          (job) => (job['status'] as { active?: number }).active === 1,
        ),
      );
      loseMachine(running);
      await running.end.catch(() => undefined);

      const refused = await rollBack(s, planned, { helm, inputs: { approval: 'gate' } });
      assertEnd(refused, 'failed', 'ApprovalMissing');
      assert.match(refused.log, /Revision 3 of the rollback that was begun is marked failed/);
      assert.doesNotMatch(refused.log, /Nothing was changed/);
      assert.equal(await s.history(), '1 superseded, 2 deployed, 3 failed');
      const next = await s.deploy({ helm, set: [...fake, 'text=three'] });
      assert.equal(next.outputs['outcome'], 'deployed', next.log);
    },
  );

  for (const [when, wrapped] of [
    ['before Helm begins', waiting],
    ['after Helm', lingering],
  ] as const) {
    scene(
      `the machine dies ${when} while a failed revision's record holds the base: the base is restored, the rollback resumed`,
      async (s) => {
        const helm = helms(s.cluster)['3'];
        await release(s, helm, 'nodeSelector.none=z', 'progressDeadlineSeconds=10', 'configMaps={old}');
        await release(s, helm, 'text=two', 'configMaps={new}');
        assertEnd(await rollBack(s, await plan(s, { helm }), { helm }), 'failed', 'Unschedulable');
        const manifest = await s.helm(helm, 'get', 'manifest', 'web', '--revision', '3');
        const inputs = { toRevision: '2' };
        const planned = await plan(s, { helm, inputs });
        const running = startRollBack(s, planned, { helm: wrapped(s, helm), inputs });
        await running.job.waitForLine(/lingering|waiting/);
        loseMachine(running);
        await running.end.catch(() => undefined);
        assert.notEqual(await s.helm(helm, 'get', 'manifest', 'web', '--revision', '3'), manifest);

        assertEnd(await rollBack(s, planned, { helm, inputs }), 'rolledBack');
        assert.equal(await s.history(), '1 superseded, 2 superseded, 3 failed, 4 deployed');
        assert.equal(await s.helm(helm, 'get', 'manifest', 'web', '--revision', '3'), manifest);
        assert.ok(await s.live(configMap('new')));
        assert.equal(await s.live(configMap('old')), undefined);
      },
    );
  }

  scene('the machine dies after Helm and before the proof: the same step resumes the rollback', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one', 'configMaps={old}');
    await release(s, helm, 'text=two', 'configMaps={new}');
    const planned = await plan(s, { helm });
    const running = startRollBack(s, planned, { helm: lingering(s, helm) });
    await running.job.waitForLine(/lingering/);
    loseMachine(running);
    await running.end.catch(() => undefined);
    assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
    assert.ok(await s.live(configMap('new')), 'What goes last is still there.');

    const done = await rollBack(s, planned, { helm });
    assertEnd(done, 'rolledBack');
    assert.match(done.log, /It is resumed/);
    assert.equal(await s.live(configMap('new')), undefined);
    assert.ok((await s.marks()).includes('3 verified=3'));
    assertEnd(await rollBack(s, planned, { helm }), 'alreadyThere');
  });

  scene('the task is killed: its post-job phase resumes the rollback', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one', 'configMaps={old}');
    await release(s, helm, 'text=two', 'configMaps={new}');
    const planned = await plan(s, { helm });
    const running = startRollBack(s, planned, { helm: lingering(s, helm) });
    await running.job.waitForLine(/lingering/);
    running.job.kill('SIGKILL');
    const end = await running.end;
    assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed', end.log);
    assert.equal(await s.live(configMap('new')), undefined, end.log);
    assert.ok((await s.marks()).includes('3 verified=3'));
    assert.equal(await s.field(lease, 'spec.holderIdentity'), '');
    assert.deepEqual(end.job.orphans, []);
  });

  scene('cancelled while the target gets healthy: logged, and resumed by the post-job phase', async (s) => {
    const helm = helms(s.cluster)['4'];
    await release(s, helm, 'text=one', 'configMaps={old}');
    await release(s, helm, 'text=two', 'configMaps={new}');
    const planned = await plan(s, { helm });
    const running = startRollBack(s, planned, { helm, inputs: { stableFor: '20s' } });
    await running.job.waitForLine(/Follow revision 3/);
    running.job.cancel();
    const end = await running.end;
    assert.equal(end.outputs['outcome'], 'cancelled', end.log);
    assert.equal(await s.live(configMap('new')), undefined, end.log);
    assert.ok((await s.marks()).includes('3 verified=3'), end.log);
  });

  scene('a release that another run holds is refused, with a link to that run', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
    const planned = await plan(s, { helm });
    const stuck = [...fake, 'nodeSelector.none=z', 'text=three'];
    const other = s.start({ helm, set: stuck, inputs: { timeout: '50s', ...patient } });
    await s.until('the lock is held', async () => (await s.field(lease, 'spec.holderIdentity')) !== undefined);
    const refused = await rollBack(s, planned, { helm, inputs: { lockTimeout: '30s' } });
    other.job.cancel();
    await other.end;
    assertEnd(refused, 'refused', 'ReleaseLocked');
    assert.ok(await s.live(deployment));
  });
});
