import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  changedLabels,
  changedRecord,
  isReleaseRecord,
  revisionOf,
  storageName,
  storedRevision,
} from '../../tasks/common/core/release/releaseRecord';

const nowhere = { namespace: 'team', labels: {}, writtenAt: undefined };

describe("a revision of Helm's record", () => {
  it('is read in the words of Helm 4', () => {
    const record = {
      name: 'shop',
      version: 3,
      namespace: 'team',
      apply_method: 'ssa',
      info: {
        first_deployed: '2026-01-01T00:00:00Z',
        last_deployed: '2026-01-02T00:00:00.5Z',
        description: 'Upgrade complete',
        status: 'pending-upgrade',
        notes: 'Thanks\n',
      },
      chart: { metadata: { name: 'web', version: '1.2.3', appVersion: '4' } },
      config: { replicas: 2 },
      manifest: '---\nkind: A\n',
      hooks: [
        {
          name: 'h',
          kind: 'Job',
          events: ['pre-upgrade', 7],
          last_run: { phase: 'Failed', started_at: '2026-01-02T01:00:00+01:00', completed_at: '0001-01-01T00:00:00Z' },
        },
        'rubbish',
      ],
    };
    assert.deepEqual(revisionOf(record, { namespace: 'x', labels: { a: 'b' }, writtenAt: undefined }), {
      name: 'shop',
      namespace: 'team',
      revision: 3,
      status: 'pending-upgrade',
      description: 'Upgrade complete',
      lastDeployed: '2026-01-02T00:00:00.5Z',
      chart: { name: 'web', version: '1.2.3', appVersion: '4' },
      manifest: '---\nkind: A\n',
      config: { replicas: 2 },
      notes: 'Thanks\n',
      hooks: [
        {
          name: 'h',
          kind: 'Job',
          events: ['pre-upgrade'],
          lastPhase: 'Failed',
          startedAt: '2026-01-02T01:00:00+01:00',
        },
      ],
      labels: { a: 'b' },
      writtenAt: undefined,
      applyMethod: 'ssa',
    });
  });

  it('stores the revision that a rollback went to, as Helm 4.3 does', () => {
    const noted = (rollbackRevision: unknown): number | undefined =>
      revisionOf({ name: 'a', version: 2, info: { rollback_revision: rollbackRevision } }, nowhere).rollbackRevision;
    assert.equal(noted(1), 1);
    for (const nothing of [undefined, 0, -1, '1', null]) assert.equal(noted(nothing), undefined);
  });

  it('with only name and version has the status unknown', () => {
    const revision = revisionOf({ name: 'shop', version: 1 }, nowhere);
    assert.equal(revision.status, 'unknown');
    assert.equal(revision.namespace, 'team');
    assert.deepEqual([revision.manifest, revision.config, revision.hooks], ['', {}, []]);
  });

  it('with an unknown status is unknown, not deployed', () => {
    assert.equal(revisionOf({ name: 'a', version: 1, info: { status: 'Deployed' } }, nowhere).status, 'unknown');
    assert.equal(revisionOf({ name: 'a', version: 1, info: { status: 'constructor' } }, nowhere).status, 'unknown');
  });

  it('is read from any value that has the form of a record', () => {
    const anything = fc.dictionary(
      fc.constantFrom('info', 'chart', 'config', 'manifest', 'hooks', 'namespace'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(anything, (fields) => {
        const revision = revisionOf({ ...fields, name: 'shop', version: 1 }, nowhere);
        assert.equal(typeof revision.manifest, 'string');
        assert.ok(Array.isArray(revision.hooks));
        assert.equal(revision.revision, 1);
      }),
    );
  });

  for (const value of [null, [], 'x', {}, { name: 'a' }, { name: 'a', version: '1' }, { name: 'a', version: 0 }]) {
    it(`${JSON.stringify(value)} is no record`, () => {
      assert.equal(isReleaseRecord(value), false);
    });
  }

  it('is changed only in the given fields', () => {
    const record = { name: 'a', version: 1, info: { status: 'deployed', notes: 'n' }, manifest: 'm', later: true };
    assert.deepEqual(changedRecord(record, { status: 'failed', manifest: 'new' }), {
      ...record,
      info: { status: 'failed', notes: 'n' },
      manifest: 'new',
    });
    assert.deepEqual(changedRecord(record, { labels: { a: 'b' } }), record);
  });

  it("a new status is stored where Helm looks for it, with the time in Helm's unit", () => {
    const labels = changedLabels(
      { status: 'deployed', old: 'x', modifiedAt: '1' },
      { status: 'failed', labels: { old: undefined } },
      new Date(1_700_000_000_900),
    );
    assert.deepEqual(labels, { status: 'failed', modifiedAt: '1700000000' });
  });

  it('the number of a revision is read from the name of its object', () => {
    assert.equal(storedRevision('shop', storageName('shop', 12)), 12);
    for (const name of [
      'sh.helm.release.v1.shop.v0',
      'sh.helm.release.v1.shop.v1x',
      'sh.helm.release.v1.shop.v1.v2',
      'x',
    ]) {
      assert.equal(storedRevision('shop', name), undefined, name);
    }
  });
});
