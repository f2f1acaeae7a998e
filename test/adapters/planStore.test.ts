import assert from 'node:assert/strict';
import { createPlanStore } from '../../tasks/common/adapters/planStore';
import { revision, plan, verified, web, live, write } from '../support/rollbackScene';
import { fakeCluster } from '../support/fakes/fakeCluster';
import { simulatedTime } from '../support/fakes/simulatedTime';

const made = plan({
  history: [
    revision(1, 'superseded', [web('shop:1')], { labels: verified(1) }),
    revision(2, 'deployed', [web('shop:2')]),
  ],
  live: [live(web('shop:2'))],
  writes: [write('changed', live(web('shop:1')))],
});
const execution = { state: 'begun', revision: 3, templates: {}, approval: 'yes', approvedBy: 'Ada' } as const;
const at = (time: string): Date => new Date(`2026-08-20T${time}Z`);

for (const kind of ['Secret', 'ConfigMap'] as const) {
  describe(`plans kept as ${kind}s`, () => {
    const cluster = fakeCluster(simulatedTime());
    const store = (run: string, subject = 'web') => createPlanStore(cluster, { namespace: 'shop', subject, kind, run });

    it('a plan is found under its digest, with the time at which this run made it', async () => {
      await store('run 1').keep(made, at('10:00:00'));
      await store('run 2').keep(made, at('11:00:00'));
      const own = await store('run 1').find(made.digest);
      assert.ok(own.found === 'plan');
      assert.deepEqual(own.plan, made);
      assert.equal(own.madeAt.toISOString(), '2026-08-20T10:00:00.000Z');
      const other = await store('run 3').find(made.digest.replace('sha256:', '').toUpperCase());
      assert.ok(other.found === 'plan');
      assert.equal(other.madeAt.toISOString(), '2026-08-20T11:00:00.000Z', 'What another run made last.');
    });

    it('how far it was carried out is noted, and stays when it is made again', async () => {
      await store('run 1').note(made.digest, execution);
      await store('run 1').keep(made, at('12:00:00'));
      const found = await store('run 1').find(made.digest);
      assert.ok(found.found === 'plan');
      assert.deepEqual(found.execution, execution);
    });

    it('nobody’s plan, another release’s plan and a changed plan are not found', async () => {
      assert.equal((await store('run 1').find(`sha256:${'0'.repeat(64)}`)).found, 'nothing');
      assert.equal((await store('run 1', 'other').find(made.digest)).found, 'nothing');
      const other = { ...made, digest: `sha256:${'1'.repeat(64)}` };
      await store('run 1').keep(other, at('10:00:00'));
      const found = await store('run 1').find(other.digest);
      assert.ok(found.found === 'unusable');
      assert.match(found.problem, /it was changed/);
    });

    it('old ones are pruned, by the last time at which anybody made them', async () => {
      await store('run 1').prune(at('11:59:59'));
      assert.equal((await store('run 1').find(made.digest)).found, 'plan');
      await store('run 1').prune(at('12:00:01'));
      assert.equal((await store('run 1').find(made.digest)).found, 'nothing');
      await assert.rejects(store('run 1').note(made.digest, execution), /somebody has removed it/);
    });
  });
}
