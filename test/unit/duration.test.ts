import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../tasks/common/core/inputs/duration';

describe('durations', () => {
  for (const [text, seconds] of [
    ['5m', 300],
    ['1h30m', 5400],
    ['90s', 90],
    ['1.5h', 5400],
    ['250ms', 0.25],
    ['.5s', 0.5],
    ['1.s', 1],
    ['+3s', 3],
    ['1m1m', 120],
    ['100µs', 0.0001],
  ] as const) {
    it(`${text} is ${seconds} seconds`, () => {
      assert.ok(Math.abs((parseDuration(text) ?? NaN) - seconds) < 1e-9);
    });
  }

  for (const text of [
    '5',
    '-1s',
    '0',
    '0s',
    '',
    ' 5m',
    '5 m',
    '5min',
    '5d',
    'm',
    '.s',
    '1h-5m',
    '5M',
    '1e3s',
    '∞',
    '9999999h',
    '0.1ns',
  ]) {
    it(`'${text}' is refused`, () => {
      assert.equal(parseDuration(text), undefined);
    });
  }

  it('a written duration is read as the same time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400_000_000 }), (milliseconds) => {
        const seconds = parseDuration(formatDuration(milliseconds / 1000)) ?? NaN;
        assert.ok(Math.abs(seconds * 1000 - milliseconds) < 1e-3);
      }),
    );
    assert.equal(formatDuration(5400), '1h30m');
  });
});
