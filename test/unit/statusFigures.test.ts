import assert from 'node:assert/strict';
import path from 'node:path';
import { measureStatus } from '../../scripts/statusFigures';
import { repository } from '../../scripts/build';

const now = new Date('2026-03-01T12:00:00Z');

describe('the figures of the rules for custom resources', () => {
  it('count the objects that are noticed, and name those that are judged otherwise', () => {
    const figures = measureStatus(path.join(repository, 'test', 'fixtures', 'status'), now);
    const { wrong, ...counts } = figures;
    assert.deepEqual(counts, { troubled: 7, noticed: 6, healthy: 5, falselyNoticed: 1 });
    assert.deepEqual(
      wrong.map((line) => line.replace(/:.*/, '')),
      ['unknown.yaml', 'unknown.yaml'],
    );
  });
});
