import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compareVersions, factDifferences, knownFacts, newestBefore } from '../../scripts/helm/facts';
import { addRelease, listChange } from '../../scripts/helm/module';
import { newestHelm3, newestHelm4, testedHelms } from '../../scripts/cluster/pins';
import { readArguments } from '../../tasks/common/core/inputs/argumentsInput';
import { isOfRollback } from '../../tasks/common/core/release/history';
import { rulesOf } from '../../tasks/common/core/helm/provenance';
import { revisionOf } from '../../tasks/common/core/release/releaseRecord';
import { secretFinder } from '../../tasks/common/core/text/secrets';

describe('the known facts of each Helm', () => {
  const rows = Object.entries(knownFacts);

  it('cover all tested Helms', () => {
    for (const version of testedHelms) assert.ok(knownFacts[version], version);
    assert.deepEqual(Object.keys(knownFacts), Object.keys(knownFacts).sort(compareVersions));
  });

  for (const [version, facts] of rows) {
    it(`${version}: the rules of the tasks match the measured facts`, () => {
      const { matching, adoptsObjectsOutsideLastManifest } = facts;
      assert.deepEqual(rulesOf(`v${version}`), { matching, adoptsObjectsOutsideLastManifest });
    });

    it(`${version}: the assumptions of the flows hold`, () => {
      // giveBase relies on this: without a deployed revision the whole failed one is removed, with one its objects
      // stay.
      assert.deepEqual(facts.afterFailedWithoutDeployed, { fields: 'go', objects: 'go' });
      assert.equal(facts.afterFailed.objects, 'stay');
      // Helm copies marks, so a mark names the revision that it belongs to.
      assert.equal(facts.copiesLabels, true);
      // Install and upgrade get a signal, a rollback gets none.
      assert.deepEqual(facts.interruptedUpgrade, { exitCode: 1, status: 'failed' });
      assert.equal(facts.interruptedRollback.status, 'pending-rollback');
      // Only post-hooks need --wait.
      assert.deepEqual(facts.postHook, { withoutWait: 'at once', withWait: 'never' });
      assert.deepEqual([facts.existingObject.foreign, facts.existingObject.annotated], ['refused', 'adopted']);
    });

    it(`${version}: its record has all fields that are read, and shows that a rollback is one`, () => {
      for (const field of [
        'name',
        'namespace',
        'version',
        'manifest',
        'info.status',
        'info.description',
        'info.last_deployed',
      ]) {
        assert.ok(facts.record.includes(field), field);
      }
      for (const field of [
        'hooks[].name',
        'hooks[].kind',
        'hooks[].events[]',
        'hooks[].manifest',
        'hooks[].last_run.phase',
      ]) {
        assert.ok(facts.record.includes(field), field);
      }
      assert.equal(facts.applyMethod, version.startsWith('4.') ? 'ssa' : '');
      const rollback_revision = facts.rollbackRecord.includes('info.rollback_revision') ? 1 : undefined;
      const isDescribed = facts.flags.rollback.some((flag) => flag.startsWith('description'));
      // Where a user can describe a rollback, the record must mark it as a rollback.
      const record = {
        name: 'web',
        version: 2,
        info: { description: isDescribed ? 'mine' : 'Rollback to 1', rollback_revision },
      };
      assert.ok(isOfRollback(revisionOf(record, { namespace: 'shop', labels: {}, writtenAt: undefined })));
    });

    it(`${version}: every flag of helm upgrade is read correctly, with or without a value`, () => {
      for (const flag of facts.flags.upgrade) {
        const [name = '', type] = flag.split(' ');
        const { mistakes } = readArguments(`--${name} stray`, secretFinder([]));
        if (mistakes.some(({ problem }) => problem.startsWith('the task owns this flag'))) continue;
        const stray = mistakes.map(({ holds }) => holds);
        assert.deepEqual(stray, type === undefined ? ['stray'] : [], `--${flag}`);
      }
    });

    it(`${version}: its messages are understood like those of the others`, () => {
      assert.deepEqual(facts.failures, knownFacts[version.startsWith('4.') ? newestHelm4 : newestHelm3]?.failures);
    });
  }
});

describe('the comparison of two Helms', () => {
  it('names changed values, and added or removed items of a list', () => {
    const known = { matching: 'kind', flags: { rollback: ['wait', 'force'] }, same: [1] };
    const found = { matching: 'groupKind', flags: { rollback: ['wait', 'description string'] }, same: [1] };
    assert.deepEqual(factDifferences(known, found), [
      'flags.rollback: no force any more',
      'flags.rollback: description string is new',
      'matching: "groupKind", was "kind"',
    ]);
    assert.deepEqual(factDifferences(known, known), []);
    assert.deepEqual(factDifferences({}, { more: true }), ['more: true, was nothing']);
  });

  it('uses the newest earlier release of the same line', () => {
    const known = ['3.17.3', '4.9.0', '4.10.1', '3.22.0'];
    assert.equal(newestBefore('4.11.0', known), '4.10.1');
    assert.equal(newestBefore('3.30.0', known), '3.22.0');
    assert.equal(newestBefore('5.0.0', known), '4.10.1');
    assert.equal(newestBefore('3.0.0', known), undefined);
  });
});

describe('the commit of a new release', () => {
  const commit = 'a'.repeat(40);
  const known = { 'v4.3.0': commit, 'v4.3.0-rc.1': commit };

  it('is added after all commits that lead to it, and never before', () => {
    assert.deepEqual(listChange('4.3.0', commit, known), { change: 'none' });
    assert.deepEqual(listChange('4.3.0', undefined, known), { change: 'none' });
    assert.deepEqual(listChange('4.3.1', commit, known), { change: 'add' });
    assert.deepEqual(listChange('4.4.0', commit, known), { change: 'add' });
    assert.match(JSON.stringify(listChange('4.3.2', commit, known)), /4\.3\.1 must be in the list/);
  });

  it('is not added if the proxy does not name it or names another one', () => {
    assert.match(JSON.stringify(listChange('4.3.1', undefined, known)), /does not name the commit/);
    assert.match(JSON.stringify(listChange('4.3.0', 'b'.repeat(40), known)), /the list of releases says a+/);
  });

  it('is written in its place', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'releases-'));
    const file = path.join(folder, 'helmReleases.ts');
    fs.writeFileSync(file, "const all = {\n  'v3.21.0': '1',\n  'v3.21.0-rc.1': '2',\n  'v4.0.0': '3',\n};\n");
    addRelease('3.21.1', commit, file);
    addRelease('4.0.1', commit, file);
    assert.deepEqual(
      fs
        .readFileSync(file, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(':')[0]),
      ['const all = {', "'v3.21.0'", "'v3.21.0-rc.1'", "'v3.21.1'", "'v4.0.0'", "'v4.0.1'", '};', ''],
    );
    fs.rmSync(folder, { recursive: true });
  });
});
