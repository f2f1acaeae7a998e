import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { advice } from '../../tasks/common/core/failure';

describe('docs/failures.md', () => {
  it('has a row for each reason, with its next step', () => {
    const text = readFileSync(new URL('../../docs/failures.md', import.meta.url), 'utf8');
    const rows = text
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2)
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .map(([, reason = '', next = '']) => [reason, next]);
    assert.deepEqual(rows, Object.entries(advice));
  });
});
