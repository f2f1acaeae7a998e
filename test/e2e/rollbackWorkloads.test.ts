import assert from 'node:assert/strict';
import { assertPlan } from '../support/planSchema';
import { assertEnd, codes, fakeWorkload, kubectl, plan, rollBack } from './rollbackScenes';
import { scenes, type Scene } from './scenes';

const inputs = { workloads: 'deployment/web\nstatefulset/data\ndaemonset/node' };

async function apply(s: Scene, version: string): Promise<void> {
  const objects = [
    fakeWorkload('Deployment', 'web', version),
    fakeWorkload('StatefulSet', 'data', version),
    fakeWorkload('DaemonSet', 'node', version),
  ];
  await s.cluster.apply(s.namespace, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
}

const path = (plural: string, name: string): string => `/apis/apps/v1/namespaces/$ns/${plural}/${name}`;

async function images(s: Scene): Promise<unknown[]> {
  const all = [path('deployments', 'web'), path('statefulsets', 'data'), path('daemonsets', 'node')];
  return Promise.all(
    all.map(async (each) => {
      const containers = (await s.field(each, 'spec.template.spec.containers')) as { image: string }[];
      return containers[0]?.image.split(':')[1];
    }),
  );
}

/** Waits until each controller has stored its revisions. */
async function settled(s: Scene, revisions: number): Promise<void> {
  await s.until('the controllers keep every revision', async () => {
    const sets = await s.list('/apis/apps/v1/namespaces/$ns/replicasets');
    const kept = await s.list('/apis/apps/v1/namespaces/$ns/controllerrevisions');
    return sets.length === revisions && kept.length === 2 * revisions;
  });
}

describe('ApproveAndRollback of plain workloads', () => {
  const { scene } = scenes();

  scene('planned, done as kubectl rollout undo does it, healthy; again it is already there', async (s) => {
    await apply(s, 'one');
    await settled(s, 1);
    await apply(s, 'two');
    await settled(s, 2);
    const planned = await plan(s, { release: '', inputs });
    assertEnd(planned, 'planned');
    assertPlan(planned.plan);
    assert.deepEqual(await images(s), ['two', 'two', 'two']);
    const done = await rollBack(s, planned, { release: '', inputs: { ...inputs, stableFor: '0' } });
    assertEnd(done, 'rolledBack');
    assert.deepEqual(await images(s), ['one', 'one', 'one']);
    assert.equal(done.outputs['health'], 'healthy');
    const again = await rollBack(s, planned, { release: '', inputs: { ...inputs, stableFor: '0' } });
    assertEnd(again, 'alreadyThere');
  });

  scene('a paused Deployment and a partition are refused, and resumed where the input allows it', async (s) => {
    const set = { replicas: 2, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } } };
    for (const [index, version] of ['one', 'two'].entries()) {
      const objects = [fakeWorkload('Deployment', 'web', version), fakeWorkload('StatefulSet', 'data', version, set)];
      await s.cluster.apply(s.namespace, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
      await s.until('the controllers keep every revision', async () => {
        const kept = await s.list('/apis/apps/v1/namespaces/$ns/controllerrevisions');
        return kept.length === index + 1 && (await s.field(path('deployments', 'web'), 'status.readyReplicas')) === 1;
      });
    }
    await kubectl(s, 'rollout', 'pause', 'deployment/web');
    const both = await plan(s, { release: '', inputs: { workloads: 'deployment/web\nstatefulset/data' } });
    assertEnd(both, 'refused', 'PlanRefused');
    assert.deepEqual(codes(both).slice(0, 2).sort(), ['PodsHeldBack', 'WorkloadPaused']);
    const only = { workloads: 'deployment/web', allow: 'WorkloadPaused', stableFor: '0' };
    const planned = await plan(s, { release: '', inputs: only });
    assertEnd(planned, 'planned');
    const done = await rollBack(s, planned, { release: '', inputs: only });
    assertEnd(done, 'rolledBack');
    assert.equal(await s.field(path('deployments', 'web'), 'spec.paused'), undefined);
    assert.equal(await s.field(path('deployments', 'web'), 'status.updatedReplicas'), 1);
  });

  scene('a workload that changed between plan and execution, or never existed, is refused', async (s) => {
    const only = { workloads: 'deployment/web' };
    const missing = await plan(s, { release: '', inputs: only });
    assertEnd(missing, 'refused', 'PlanRefused');
    assert.ok(codes(missing).includes('WorkloadMissing'));
    for (const [index, version] of ['one', 'two'].entries()) {
      await apply(s, version);
      await settled(s, index + 1);
    }
    const planned = await plan(s, { release: '', inputs: only });
    assertEnd(planned, 'planned');
    await apply(s, 'three');
    await settled(s, 3);
    const refused = await rollBack(s, planned, { release: '', inputs: only });
    assertEnd(refused, 'refused', 'PlanChanged');
    assert.match(refused.log, /was at revision 2, and is at 3 now/);
    assert.deepEqual(await images(s), ['three', 'three', 'three']);
  });
});
