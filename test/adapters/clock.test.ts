import assert from 'node:assert/strict';
import sinon from 'sinon';
import { systemClock } from '../../tasks/common/adapters/system/clock';
import { startTimer } from '../../tasks/common/adapters/system/timer';

describe('the clock', () => {
  afterEach(() => {
    sinon.restore();
  });

  it('does not jump when somebody sets the clock of the agent', () => {
    const before = systemClock.now().getTime();
    sinon.useFakeTimers({ now: Date.now() + 3_600_000, toFake: ['Date'] });
    const later = systemClock.now().getTime() - before;
    assert.ok(later < 60_000, String(later));
  });

  for (const days of [1, 24, 25, 60, 200]) {
    it(`a timer of ${days} days fires at its end and not before`, () => {
      const fake = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const milliseconds = days * 24 * 3_600_000;
      let hasFired = false;
      startTimer(() => {
        hasFired = true;
      }, milliseconds);
      fake.tick(milliseconds - 1);
      assert.equal(hasFired, false);
      fake.tick(1);
      assert.equal(hasFired, true);
    });

    it(`a timer of ${days} days that is stopped in its last part does not fire`, () => {
      const fake = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const milliseconds = days * 24 * 3_600_000;
      const stop = startTimer(() => {
        assert.fail('It was stopped.');
      }, milliseconds);
      fake.tick(milliseconds - 1);
      stop();
      fake.tick(milliseconds);
    });
  }
});
