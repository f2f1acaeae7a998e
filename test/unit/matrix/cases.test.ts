import assert from 'node:assert/strict';
import {
  allCases,
  allPairs,
  caseId,
  caseOf,
  disturbances,
  disturbsApiServer,
  helms,
  levelsOf,
  places,
  randomDelay,
  rollbackStories,
  sampleOf,
  stories,
} from '../../matrix/cases';
import { pairsOf } from '../../matrix/pairs';
import { plainCases, plainId } from '../../matrix/plain';

describe('the cases of the matrix', () => {
  it('cover every story, place, disturbance and Helm', () => {
    const used = new Set(allCases().flatMap(levelsOf));
    for (const level of [...stories, ...places, ...disturbances, ...helms]) assert.ok(used.has(level), level);
  });

  it('have unique ids, and each id leads back to its case', () => {
    const ids = allCases().map(caseId);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids.slice(0, 50)) assert.equal(caseId(caseOf(id)), id);
    assert.throws(() => caseOf('upgrade/rollback-pending/cancel/4.1.4'), /no case/);
  });

  it('of a seed cover every pair that any case has, and are far fewer', () => {
    const wanted = new Set(allCases().flatMap((one) => pairsOf(levelsOf(one))));
    for (const seed of [1, 2, 3]) {
      const chosen = allPairs(seed);
      const covered = new Set(chosen.flatMap((one) => pairsOf(levelsOf(one))));
      assert.deepEqual(
        [...wanted].filter((pair) => !covered.has(pair)),
        [],
      );
      assert.ok(chosen.length < 300, String(chosen.length));
    }
  });

  it('are the same for the same seed, and different for another', () => {
    assert.deepEqual(allPairs(5).map(caseId), allPairs(5).map(caseId));
    assert.notDeepEqual(allPairs(5).map(caseId), allPairs(6).map(caseId));
    const [one = caseOf('upgrade/random-1/cancel/4.1.4')] = allPairs(5);
    assert.equal(randomDelay(one, 5), randomDelay(one, 5));
    assert.notEqual(randomDelay(one, 5), randomDelay(one, 6));
  });

  it('of a sample have the requested number, and few are without an API server', () => {
    const sample = sampleOf('HelmSafeDeploy', 11, 24, 2);
    assert.equal(new Set(sample.map(caseId)).size, 24);
    assert.equal(sample.filter(disturbsApiServer).length, 2);
    assert.ok(new Set(sample.map(({ story }) => story)).size >= 6);
    assert.ok(new Set(sample.map(({ disturbance }) => disturbance)).size >= 9);
  });

  it('of a sample belong to the requested task', () => {
    for (const seed of [11, 2026]) {
      const sample = sampleOf('ApproveAndRollback', seed, 8, 0);
      assert.equal(new Set(sample.map(caseId)).size, 8);
      assert.deepEqual(new Set(sample.map(({ story }) => story)), new Set(rollbackStories));
      assert.ok(new Set(sample.map(({ disturbance }) => disturbance)).size >= 6);
    }
  });

  it('of plain workloads are few, because no Helm runs there', () => {
    const ofWorkloads = allCases().filter(({ story }) => story === 'rollback-of-workloads');
    assert.deepEqual([...new Set(ofWorkloads.map(({ helm }) => helm))], ['4.3.2']);
    assert.ok(ofWorkloads.every(({ disturbance }) => disturbance !== 'kill-task-and-helm'));
    assert.ok(ofWorkloads.length > 60, String(ofWorkloads.length));
  });

  it('of plain Helm are the same interruptions, each once', () => {
    const plain = plainCases(allPairs(7));
    assert.equal(new Set(plain.map(plainId)).size, plain.length);
    assert.ok(plain.length > 80, String(plain.length));
    for (const disturbance of disturbances) assert.ok(plain.some((one) => one.disturbance === disturbance));
    assert.ok(plain.some(({ story, place }) => story === 'rollback' && place === 'rollback-pending'));
    for (const id of ['rollback-plan/plan-kept/cancel/4.1.4', 'rollback-of-workloads/following/cancel/4.3.2']) {
      assert.deepEqual(plainCases([caseOf(id)]), [], 'Plain Helm has nothing of that kind.');
    }
  });
});
