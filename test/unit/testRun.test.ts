import assert from 'node:assert/strict';
import { summary, withRealNodeRequired } from '../../scripts/test/summary';
import type { PartResult } from '../../scripts/test/summary';

const unit: PartResult = { name: 'unit', kind: 'tests', passed: 7, failed: [], skipped: [] };
const lint: PartResult = { name: 'lint', kind: 'check', passed: 0, failed: [], skipped: [] };
const e2e: PartResult = {
  name: 'e2e',
  kind: 'tests',
  passed: 2,
  failed: ['deploys: expected 1 to equal 2'],
  skipped: ['follows probes @real-node', 'needs a proxy'],
};

describe('the last line of npm test', () => {
  const lastLine = (parts: readonly PartResult[]) => summary(parts).at(-1);

  it('sums tests, and does not count successful checks as tests', () => {
    assert.equal(lastLine([lint, unit]), '7 passed, 0 failed');
  });

  it('counts a check that failed', () => {
    assert.equal(lastLine([{ ...lint, failed: ['failed, see its output above'] }, unit]), '7 passed, 1 failed');
  });

  it('names skipped tests only if there are any', () => {
    assert.equal(lastLine([unit, e2e]), '9 passed, 1 failed, 2 skipped');
  });

  it('counts a real-node test that was skipped as failed, on a machine that has to run it', () => {
    const required = withRealNodeRequired([unit, e2e]);
    assert.equal(lastLine(required), '9 passed, 2 failed, 1 skipped');
    assert.match(summary(required).join('\n'), /Failed:[^]*e2e: follows probes @real-node: was skipped/);
  });

  it('comes after the titles of failed and skipped tests', () => {
    const lines = summary([unit, e2e]).join('\n');
    assert.match(lines, /Skipped:\n {2}- e2e: follows probes[^]*Failed:\n {2}- e2e: deploys: expected 1 to equal 2/);
  });
});
