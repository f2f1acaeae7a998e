import assert from 'node:assert/strict';
import { assertEnd, kubectl, plan, release, rollBack, startRollBack } from './rollbackScenes';
import { helms, scenes, type Scene } from './scenes';

const toys = (s: Scene): string => `/apis/${s.namespace}.chart.example.com/v1/namespaces/$ns/toys`;
const definition = (s: Scene): string =>
  `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toys.${s.namespace}.chart.example.com`;

async function makeToy(s: Scene, name: string): Promise<void> {
  const apiVersion = `${s.namespace}.chart.example.com/v1`;
  await s.create(toys(s), { apiVersion, kind: 'Toy', metadata: { name }, spec: {} });
}

describe('a rollback that removes a CustomResourceDefinition', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: objects of its kind created since the plan are named, and nothing is changed`, async (s) => {
      const helm = helms(s.cluster)[major];
      const inputs = { allow: 'DeletesCustomResourceDefinition' };
      await release(s, helm, 'web=false', 'text=one');
      await release(s, helm, 'web=false', 'text=two', 'definition=true');
      await kubectl(s, 'wait', '--for=condition=Established', `crd/toys.${s.namespace}.chart.example.com`);
      await makeToy(s, 'early');
      const planned = await plan(s, { helm, inputs });
      assertEnd(planned, 'planned');
      assert.match(planned.outputs['planSummary'] ?? '', /There is 1 object now: Toy\/early in namespace/);
      await makeToy(s, 'late');
      const refused = await rollBack(s, planned, { helm, inputs });
      assertEnd(refused, 'refused', 'PlanChanged');
      assert.match(
        refused.log,
        /1 object that would be deleted with CustomResourceDefinition\/toys\.\S+ was created since the plan: Toy\/late/,
      );
      assert.deepEqual(
        (await s.list(toys(s))).map(({ metadata }) => metadata.name),
        ['early', 'late'],
      );

      const again = await plan(s, { helm, inputs });
      assertEnd(again, 'planned');
      assertEnd(await rollBack(s, again, { helm, inputs }), 'rolledBack');
      await s.until('the definition is gone', async () => (await s.live(definition(s))) === undefined);
    });
  }

  scene('the definition stays when an object of its kind appears meanwhile, and this is reported', async (s) => {
    const helm = helms(s.cluster)['4'];
    const inputs = { allow: 'DeletesCustomResourceDefinition', stableFor: '10s' };
    await release(s, helm, 'text=one');
    await release(s, helm, 'text=two', 'definition=true');
    await kubectl(s, 'wait', '--for=condition=Established', `crd/toys.${s.namespace}.chart.example.com`);
    const planned = await plan(s, { helm, inputs });
    assertEnd(planned, 'planned');
    const { job, end } = startRollBack(s, planned, { helm, inputs });
    await job.waitForLine(/Follow revision 3/);
    await makeToy(s, 'late');
    const done = await end;
    assertEnd(done, 'rolledBack');
    assert.match(done.log, /is not deleted: 1 object of its kind would go with it and was not in the plan: Toy\/late/);
    assert.deepEqual(
      (await s.list(toys(s))).map(({ metadata }) => metadata.name),
      ['late'],
    );
    await kubectl(s, 'delete', `crd/toys.${s.namespace}.chart.example.com`);
  });
});
