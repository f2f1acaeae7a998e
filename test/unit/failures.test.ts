import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { advice } from '../../tasks/common/core/failure';

describe('docs/failures.md', () => {
  it('has an entry for each reason, with its next step', () => {
    const text = readFileSync(new URL('../../docs/failures.md', import.meta.url), 'utf8');
    const entries = [...text.matchAll(/^- `(\w+)`: (.*)$/gm)].map(([, reason, next]) => [reason, next]);
    assert.deepEqual(entries, Object.entries(advice));
  });
});
