import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { refuseOld } from '../../tasks/common/flows/rollback/approved/planAge';

const madeAt = new Date('2026-08-20T12:00:00Z');

describe('the age of a kept plan', () => {
  const cases: readonly [string, maxPlanAgeSeconds: number, laterSeconds: number, refused: string][] = [
    ['a plan of the current second', 0.001, 0, 'up to 1s ago, and maxPlanAge is 1ms'],
    ['a plan that may be older than allowed', 60, 60, 'up to 1m1s ago, and maxPlanAge is 1m'],
    ['a plan that is young enough', 60, 59, ''],
    ['a plan that is an hour too old', 25 * 3600, 26 * 3600, 'up to 26h1s ago, and maxPlanAge is 25h'],
    ['a plan by the clock of another API server that is ahead', 60, -2, ''],
    ['a plan from the future', 3600, -61, 'is 1m1s ahead of the API server'],
  ];
  for (const [title, maxPlanAgeSeconds, later, refused] of cases) {
    it(`${title}: ${refused === '' ? 'accepted' : 'refused'}`, async () => {
      const now = new Date(madeAt.getTime() + later * 1000);
      const context = { cluster: { serverTime: () => Promise.resolve(now) }, request: { maxPlanAgeSeconds } };
      const said = await refuseOld(context, { madeAt }).then(
        () => '',
        (error: unknown) => (error instanceof TaskError ? `${error.reason}: ${error.message}` : String(error)),
      );
      assert.ok(refused === '' ? said === '' : said.startsWith('PlanExpired: ') && said.includes(refused), said);
    });
  }
});
