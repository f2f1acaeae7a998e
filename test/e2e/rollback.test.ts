import assert from 'node:assert/strict';
import { assertPlan } from '../support/planSchema';
import { assertEnd, configMap, plan, release, rollBack } from './rollbackScenes';
import { assertOutcome, fake, helms, scenes } from './scenes';

describe('ApproveAndRollback of a release', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a rollback is done as planned, proven and logged; again it is already there`, async (s) => {
      const helm = helms(s.cluster)[major];
      await s.deploy({ helm, set: [...fake, 'text=one', 'configMaps={old}'] });
      await s.deploy({ helm, set: [...fake, 'text=two', 'configMaps={new}'] });
      const before = await s.live(configMap('web'));

      const planned = await plan(s, { helm });
      assertEnd(planned, 'planned');
      assertPlan(planned.plan);
      // A Helm that is newer than the list of releases is a warning and does not raise the risk.
      const codes = (planned.plan?.findings ?? []).flatMap(({ code, severity }) => (severity === 'note' ? [] : [code]));
      assert.deepEqual(
        codes.filter((code) => code !== 'HelmNewer'),
        [],
      );
      assert.equal(planned.outputs['risk'], 'low');
      assert.equal(planned.outputs['targetRevision'], '1');
      assert.equal(planned.outputs['deletions'], '1');
      assert.match(planned.outputs['planDigest'] ?? '', /^sha256:[0-9a-f]{64}$/);
      assert.match(planned.outputs['planSummary'] ?? '', /ConfigMap\/new/);
      assert.match(planned.job.step('rollback').summaries[0] ?? '', /^## Rollback of release web/);
      assert.equal(await s.history(), '1 superseded, 2 deployed');
      assert.equal((await s.live(configMap('web')))?.metadata.resourceVersion, before?.metadata.resourceVersion);

      const done = await rollBack(s, planned, { helm });
      assertEnd(done, 'rolledBack');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
      assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
      assert.ok(await s.live(configMap('old')));
      assert.equal(await s.live(configMap('new')), undefined);
      assert.ok((await s.marks()).includes('3 verified=3'));
      assert.deepEqual(done.report?.deletedObjects, ['ConfigMap/new']);
      assert.deepEqual(done.report.restoredObjects, []);
      assert.deepEqual(done.report.heldBackDeletions, []);
      assert.equal(done.outputs['health'], 'healthy');
      assert.equal(done.outputs['revision'], '3');
      assert.match(await s.helm(helm, 'history', 'web'), /Rollback to 1\. No approval was required/);
      const events = await s.list('/api/v1/namespaces/$ns/events?fieldSelector=reason%3DRolledBack');
      assert.equal(events.length, 1);

      const again = await rollBack(s, planned, { helm });
      assertEnd(again, 'alreadyThere');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
    });
  }

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a second rollback after one that ended unhealthy and left objects`, async (s) => {
      const helm = helms(s.cluster)[major];
      await release(s, helm, 'nodeSelector.none=z', 'progressDeadlineSeconds=10', 'configMaps={old}');
      await release(s, helm, 'text=two', 'configMaps={new}');
      const sick = await rollBack(s, await plan(s, { helm }), { helm });
      assertEnd(sick, 'failed', 'Unschedulable');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 failed');
      assert.ok(await s.live(configMap('new')), 'Nothing is deleted before all is healthy.');

      const back = await plan(s, { helm, inputs: { toRevision: '2' } });
      assertEnd(back, 'planned');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 failed');
      const fates = back.plan?.objects.map(({ kind, name, fate }) => `${kind}/${name} ${fate}`) ?? [];
      assert.ok(fates.includes('ConfigMap/old deleted'), fates.join());
      assert.ok(fates.includes('ConfigMap/new kept'), fates.join());
      assertEnd(await rollBack(s, back, { helm, inputs: { toRevision: '2' } }), 'rolledBack');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 failed, 4 deployed');
      assert.equal(await s.field(configMap('web'), 'data.text'), 'two');
      assert.ok(await s.live(configMap('new')));
      assert.equal(await s.live(configMap('old')), undefined);
      const records = await s.list(
        '/api/v1/namespaces/$ns/secrets?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhelm-safe-deploy',
      );
      assert.deepEqual(
        records.filter(({ metadata }) => metadata.name.includes('sh.helm')),
        [],
      );
    });
  }

  scene('a revision deployed between plan and execution is refused, with who changed the release', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
    const planned = await plan(s);
    assertEnd(planned, 'planned');
    assert.equal(planned.outputs['risk'], 'low', 'That nobody saw the target healthy is no loss.');
    assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
    const refused = await rollBack(s, planned);
    assertEnd(refused, 'refused', 'PlanChanged');
    assert.match(refused.log, /Revision 3 was deployed \d+ s ago by run \S+ \(\d+\)/);
    assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
  });

  scene('no plan, the plan of nobody and a plan that is too old are refused, and nothing is changed', async (s) => {
    const helm = helms(s.cluster)['4'];
    for (const text of ['one', 'two']) await release(s, helm, `text=${text}`);
    assertEnd(await rollBack(s, undefined), 'refused', 'PlanMissing');
    const planDigest = `sha256:${'0'.repeat(64)}`;
    assertEnd(await rollBack(s, undefined, { inputs: { planDigest } }), 'refused', 'PlanMissing');
    const planned = await plan(s);
    assertEnd(await rollBack(s, planned, { inputs: { maxPlanAge: '1ms' } }), 'refused', 'PlanExpired');
    assert.equal(await s.history(), '1 superseded, 2 deployed');
    assertEnd(await rollBack(s, undefined, { inputs: { requirePlan: 'false' } }), 'rolledBack');
    assertOutcome(await s.deploy({ set: [...fake, 'text=three'] }), 'deployed');
  });
});
