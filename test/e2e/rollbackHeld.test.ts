import assert from 'node:assert/strict';
import { assertEnd, codes, fakeWorkload, kubectl, plan, releaseOf, rollBack, startRollBack } from './rollbackScenes';
import { helms, scenes, type Scene } from './scenes';

const rolling = { replicas: 2 };
const partition = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } };
const onDelete = { type: 'OnDelete' };
const allow = { allow: 'PodsHeldBack', stableFor: '0' };

/** The image versions of an application's pods. */
async function versions(s: Scene, app: string): Promise<string[]> {
  const pods = await s.list(`/api/v1/namespaces/$ns/pods?labelSelector=app%3D${app}`);
  return pods.map((pod) => {
    const { containers } = pod['spec'] as { containers: { image: string }[] };
    return containers[0]?.image.split(':')[1] ?? '';
  });
}

async function allRun(s: Scene, app: string, version: string, count: number): Promise<void> {
  await s.until(`${count} pods of ${app} run ${version}`, async () => {
    const found = await versions(s, app);
    return found.length === count && found.every((one) => one === version);
  });
}

describe('a rollback of workloads that do not replace their pods', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: a pause, a partition and OnDelete set by hand are refused; with allow they are undone and the rollback is done`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        for (const version of ['one', 'two']) {
          await releaseOf(
            s,
            helm,
            fakeWorkload('Deployment', 'front', version, rolling),
            fakeWorkload('StatefulSet', 'data', version, rolling),
            fakeWorkload('StatefulSet', 'more', version, rolling),
          );
          for (const app of ['front', 'data', 'more']) await allRun(s, app, version, 2);
        }
        await kubectl(s, 'rollout', 'pause', 'deployment/front');
        const patch = (name: string, updateStrategy: object): Promise<void> => {
          return kubectl(s, 'patch', name, '--type=merge', '--patch', JSON.stringify({ spec: { updateStrategy } }));
        };
        await patch('statefulset/data', partition);
        await patch('statefulset/more', { ...onDelete, rollingUpdate: null });
        const refused = await plan(s, { helm });
        assertEnd(refused, 'refused', 'PlanRefused');
        assert.equal(codes(refused).filter((code) => code === 'PodsHeldBack').length, 3, refused.log);
        assert.match(refused.log, /Deployment\/front: it is paused: its pods keep/);
        const planned = await plan(s, { helm, inputs: allow });
        assertEnd(planned, 'planned');
        const done = await rollBack(s, planned, { helm, inputs: allow });
        assertEnd(done, 'rolledBack');
        for (const app of ['front', 'data', 'more']) assert.deepEqual(await versions(s, app), ['one', 'one'], app);
        assertEnd(await rollBack(s, planned, { helm, inputs: allow }), 'alreadyThere');
      },
    );
  }

  scene('OnDelete by the chart is refused; with allow it is done after somebody deleted the pods', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const version of ['one', 'two']) {
      await releaseOf(s, helm, fakeWorkload('DaemonSet', 'agent', version, { updateStrategy: onDelete }));
    }
    await kubectl(s, 'delete', 'pods', '--all');
    await allRun(s, 'agent', 'two', 2);
    const refused = await plan(s, { helm });
    assertEnd(refused, 'refused', 'PlanRefused');
    assert.deepEqual(codes(refused).slice(0, 1), ['PodsHeldBack']);
    const planned = await plan(s, { helm, inputs: allow });
    assertEnd(planned, 'planned');
    const { job, end } = startRollBack(s, planned, { helm, inputs: allow });
    await job.waitForLine(/pods are still of an earlier template/);
    assert.deepEqual(await versions(s, 'agent'), ['two', 'two']);
    await kubectl(s, 'delete', 'pods', '--all');
    assertEnd(await end, 'rolledBack');
    assert.deepEqual(await versions(s, 'agent'), ['one', 'one']);
  });

  scene(
    'a partition declared by the chart, with allow: never called healthy while pods run the bad revision',
    async (s) => {
      const helm = helms(s.cluster)['4'];
      await releaseOf(s, helm, fakeWorkload('StatefulSet', 'data', 'one', rolling));
      await releaseOf(s, helm, fakeWorkload('StatefulSet', 'data', 'two', { ...rolling, updateStrategy: partition }));
      await releaseOf(s, helm, fakeWorkload('StatefulSet', 'data', 'three', rolling));
      await allRun(s, 'data', 'three', 2);
      const inputs = { ...allow, toRevision: '2', timeout: '15s' };
      const planned = await plan(s, { helm, inputs });
      assertEnd(planned, 'planned');
      const done = await rollBack(s, planned, { helm, inputs });
      assertEnd(done, 'failed', 'TimedOut');
      assert.match(
        done.log,
        /StatefulSet\/data was not healthy in time: 1 pod is still of an earlier template: its partition is 1/,
      );
      assert.equal(done.outputs['health'], 'unhealthy');
      assert.deepEqual((await versions(s, 'data')).sort(), ['three', 'two']);
    },
  );
});
