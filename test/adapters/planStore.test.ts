import assert from 'node:assert/strict';
import { createPlanStore, sha256 } from '../../tasks/common/adapters/helm/planStore';
import type { KeptPlan } from '../../tasks/common/core/rollbackPlan/document/keptPlan';
import { timelessDigest } from '../../tasks/common/core/rollbackPlan/model/digest';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
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
const execution = { state: 'begun', revision: 3 } as const;
const at = (time: string): Date => new Date(`2026-08-20T${time}Z`);
const keptUntil = (time: string): KeptPlan => ({ plan: made, salt: 'a salt', expiresAt: at(time) });

for (const kind of ['Secret', 'ConfigMap'] as const) {
  describe(`plans kept as ${kind}s`, () => {
    const cluster = fakeCluster(simulatedTime());
    cluster.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    const store = (subject = 'web') => createPlanStore(cluster, { namespace: 'shop', subject, kind });
    const refs = async () => cluster.list({ apiVersion: 'v1', kind, namespace: 'shop' });

    it('a plan is found by its digest, with its creation time and its salt', async () => {
      await store().keep(keptUntil('12:00:00'));
      const found = await store().find(made.digest.replace('sha256:', '').toUpperCase());
      assert.ok(found.found === 'plan');
      assert.deepEqual(found.plan, made);
      assert.equal(found.madeAt.toISOString(), made.createdAt);
      assert.equal(found.salt, 'a salt');
    });

    it('the execution of a plan is stored and stays when the plan is kept again', async () => {
      await store().note(made.digest, execution);
      await store().keep(keptUntil('12:00:00'));
      const found = await store().find(made.digest);
      assert.ok(found.found === 'plan');
      assert.deepEqual(found.execution, execution);
    });

    it('a missing plan, another release’s plan and a changed plan are not found', async () => {
      assert.equal((await store().find(`sha256:${'0'.repeat(64)}`)).found, 'nothing');
      assert.equal((await store('other').find(made.digest)).found, 'nothing');
      const changes: Partial<ChangePlan>[] = [
        { digest: `sha256:${'1'.repeat(64)}` },
        { createdAt: '2026-08-20T09:00:00.000Z', digest: `sha256:${'2'.repeat(64)}` },
      ];
      for (const change of changes) {
        const other = { ...made, ...change };
        await store().keep({ plan: other, salt: '', expiresAt: at('12:00:00') });
        const found = await store().find(other.digest);
        assert.ok(found.found === 'unusable');
        assert.match(found.problem, /it was changed/);
      }
    });

    it('a plan of an earlier product version is found, with the time stored beside it', async () => {
      const { targetRecord: _, ...older } = made;
      const plan = { ...older, digest: timelessDigest(made, sha256) } as ChangePlan;
      await store('older').keep({ plan, salt: '', expiresAt: at('12:00:00') });
      const [object] = (await refs()).filter(({ metadata }) => metadata.name.includes('.older.'));
      assert.ok(object !== undefined);
      const { expires: _expires, salt: _salt, ...rest } = object['data'] as Record<string, string>;
      const times = JSON.stringify({ 'run 1': '2026-08-20T10:00:00.000Z', 'run 2': '2026-08-20T11:00:00.000Z' });
      const text = kind === 'Secret' ? Buffer.from(times).toString('base64') : times;
      await cluster.update({ ...object, data: { ...rest, made: text } });
      const found = await store('older').find(plan.digest);
      assert.ok(found.found === 'plan');
      assert.equal(found.madeAt.toISOString(), '2026-08-20T11:00:00.000Z');
      assert.equal(found.plan.targetRecord, '');
      await store('older').prune(new Date('2026-09-19T10:59:59Z'));
      assert.equal((await store('older').find(plan.digest)).found, 'plan', 'A gate waits 30 days.');
      await store('older').prune(new Date('2026-09-19T11:00:01Z'));
      assert.equal((await store('older').find(plan.digest)).found, 'nothing');
    });

    it('a plan is pruned after its own maximum age, whatever another step allows', async () => {
      await store().keep(keptUntil('12:00:00'));
      await store().prune(at('11:59:59'));
      assert.equal((await store().find(made.digest)).found, 'plan');
      await store().prune(at('12:00:01'));
      assert.equal((await store().find(made.digest)).found, 'nothing');
      await assert.rejects(store().note(made.digest, execution), /somebody has removed it/);
    });
  });
}
