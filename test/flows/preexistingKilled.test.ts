import assert from 'node:assert/strict';
import { assertAsBefore, broken, byHand, good, helm, password, served, works } from '../support/fakes/adoption';
import { kills } from '../support/fakes/plays';
import { liveObject } from '../support/fakes/scene';
import { stage, type Mishap } from '../support/fakes/stage';

describe('pre-existing objects after an interrupted deploy', () => {
  for (const [word, setting] of [
    ['a first install', {}],
    ['an upgrade', served],
  ] as const) {
    const deploys = async (mishap?: Mishap) => {
      const on = await stage({ ...setting, foreign: byHand });
      const first = await on.deploy({ job: '1', chart: broken, helm, mishap });
      return { on, first };
    };

    it(`${word} that adopts an object is killed at each moment: the next run restores the object or takes it over for good`, async function () {
      this.timeout(600_000);
      const { first } = await deploys();
      const mishaps = kills(first.moments).filter((_, index) => index % 3 !== 1);
      assert.ok(mishaps.length > 20);
      for (const [index, mishap] of mishaps.entries()) {
        const { on } = await deploys(mishap);
        const isAdopted = index % 2 === 0;
        const next = await on.deploy({ job: '2', chart: isAdopted ? works : good, helm });
        const where = `${JSON.stringify(mishap)} ${first.moments[mishap.at - 1] ?? ''}\n${next.agent.lines.join('\n')}`;
        assert.match(next.report?.outcome ?? '', /deployed|recovered|unchanged/, where);
        if (isAdopted) {
          assert.equal(
            (liveObject(on.cluster, password)?.['data'] as Record<string, string>)['password'],
            'b25jZQ==',
            where,
          );
        } else {
          assert.doesNotThrow(() => {
            assertAsBefore(on.cluster);
          }, where);
        }
        assert.equal(on.storage.kept.size, 0, where);
      }
    });

    it(`${word} that adopts an object is killed at each moment: post-job restores the object`, async function () {
      this.timeout(600_000);
      const { first } = await deploys();
      for (const mishap of kills(first.moments).filter((_, index) => index % 3 === 0)) {
        const { on, first: dead } = await deploys(mishap);
        if (dead.left === undefined) continue;
        await on.repair(dead.left, { job: '1', helm });
        const where = `${JSON.stringify(mishap)} ${first.moments[mishap.at - 1] ?? ''}`;
        const isBegun = dead.left.action !== undefined;
        assert.doesNotThrow(() => {
          assertAsBefore(on.cluster);
        }, where);
        if (isBegun) assert.equal(on.storage.kept.size, 0, where);
      }
    });
  }
});
