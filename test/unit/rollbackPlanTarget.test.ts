import assert from 'node:assert/strict';
import type { Revision } from '../../tasks/common/core/release/release';
import { chooseTarget, numberList, whyUnfit } from '../../tasks/common/core/rollbackPlan/model/target';
import type { RollbackPolicy, ToRevision } from '../../tasks/common/core/rollbackPlan/model/types';
import { revision, strict, verified } from '../support/rollbackScene';

function choose(
  history: readonly Revision[],
  toRevision: ToRevision = 'verified',
  policy: Partial<RollbackPolicy> = {},
): { target: number | undefined; codes: string[]; message: string; passed: number[] } {
  const choice = chooseTarget(history, 'web', { toRevision, policy: { ...strict, ...policy } });
  return {
    target: choice.target?.revision,
    codes: choice.findings.map(({ code, severity }) => (severity === 'refusal' ? `${code}!` : code)),
    message: choice.findings.map(({ message }) => message).join(' '),
    passed: choice.passed.map((one) => one.revision),
  };
}

const good = (number: number, more: Partial<Revision> = {}): Revision =>
  revision(number, 'superseded', [], { labels: verified(number), ...more });
const unproven = (number: number, more: Partial<Revision> = {}): Revision => revision(number, 'superseded', [], more);
const serving = (number: number, more: Partial<Revision> = {}): Revision => revision(number, 'deployed', [], more);
const failed = (number: number): Revision => revision(number, 'failed', []);

const upgradeFailed = { description: 'Upgrade "web" failed: context deadline exceeded' };

describe('the target of a rollback', () => {
  it('is the newest revision that was seen healthy, before newer ones that nobody checked', () => {
    const { target, codes, passed } = choose([good(1), good(2), unproven(3), failed(4)]);
    assert.deepEqual([target, codes, passed], [2, [], [4, 3]]);
  });

  it('is older than the present revision, even if that one is healthy', () => {
    assert.equal(choose([good(1), serving(2, { labels: verified(2) })]).target, 1);
  });

  it('without marks is the newest revision that was deployed, and the plan says so', () => {
    const { target, codes } = choose([unproven(1), unproven(2), failed(3)]);
    assert.deepEqual([target, codes], [2, ['UnverifiedTarget']]);
  });

  it('does not use a mark that Helm copied from another revision', () => {
    const { target, codes } = choose([
      good(1),
      unproven(2, { labels: verified(1) }),
      serving(3, { labels: verified(1) }),
    ]);
    assert.deepEqual([target, codes], [1, []]);
  });

  for (const [incident, unfit] of [
    ['failed', failed(2)],
    ['failed and was superseded by the next good upgrade', unproven(2, upgradeFailed)],
    ['failed at its first install', unproven(2, { description: 'Release "web" failed: timed out' })],
    ['was a rollback that failed', unproven(2, { description: 'Rollback "web" failed: timed out' })],
    ['was judged unhealthy', unproven(2, { labels: { 'helm-safe-deploy/unhealthy': '2' } })],
    [
      'was judged unhealthy by a run that could only describe it',
      unproven(2, { description: 'Not healthy: Deployment/web CrashLoop' }),
    ],
    ['was killed, and rolled back over', unproven(2, { description: 'Preparing upgrade' })],
    ['failed and was marked healthy afterwards', unproven(2, { ...upgradeFailed, labels: verified(2) })],
    ['hangs in pending-upgrade', revision(2, 'pending-upgrade', [])],
    ['has a status that is not known', revision(2, 'unknown', [])],
  ] as const) {
    it(`is no revision that ${incident}`, () => {
      assert.equal(choose([good(1), unfit, serving(3)]).target, 1);
      assert.deepEqual(choose([good(1), unfit, serving(3)], 'previous').codes, ['RevisionUnhealthy!']);
      const byNumber = choose([good(1), unfit, serving(3)], 2);
      assert.deepEqual(byNumber.codes, ['RevisionUnhealthy!']);
      assert.match(byNumber.message, /Revision 2 is not a safe target: its? .* set allowUnverifiedTarget/);
      const allowed = choose([good(1), unfit, serving(3)], 2, { allowUnverifiedTarget: true });
      assert.deepEqual([allowed.target, allowed.codes], [2, ['RevisionUnhealthy']]);
    });
  }

  const broken = (number: number, more: Partial<Revision> = {}): Revision => {
    const lost = { 'helm-safe-deploy/broken': `${number}_CrashLoop_Deployment.web` };
    return good(number, { labels: { ...verified(number), ...lost }, ...more });
  };
  const other = { manifest: 'kind: Other' };

  it('is no revision that lost its mark, and the plan says why', () => {
    const { target, codes, message } = choose([good(1, other), broken(2), failed(3)]);
    assert.deepEqual([target, codes], [1, ['VerifiedNoLonger']]);
    assert.match(message, /Revision 2 is not the target, because it was judged unhealthy .* \(CrashLoop\)\./);
    assert.match(choose([broken(1), failed(2)]).message, /1: it was judged unhealthy by a cause of its own/);
    assert.deepEqual(choose([good(1, other), broken(2), failed(3)], 2).codes, ['RevisionUnhealthy!']);
  });

  it('is no revision whose manifest was judged unhealthy later, under another number', () => {
    const again = revision(4, 'failed', [], { labels: broken(4).labels });
    const { target, message } = choose([good(1, other), good(2), good(3, other), again, failed(5)]);
    assert.equal(target, 3);
    assert.match(choose([good(2), again]).message, /2: revision 4, which has the same manifest, was judged unhealthy/);
    assert.doesNotMatch(message, /Revision 2/);
  });

  it('may be a revision whose manifest was judged unhealthy before it was seen healthy', () => {
    assert.equal(choose([broken(1), good(2), failed(3)]).target, 2);
    assert.equal(choose([good(1), broken(2), good(3), failed(4)], 1).codes[0], undefined);
  });

  it('is a revision with a reservation only if none is verified, and the plan says so', () => {
    const reserved = unproven(2, { labels: { 'helm-safe-deploy/reserved': '2' } });
    assert.equal(choose([good(1), reserved, failed(3)]).target, 1);
    const { target, codes, message } = choose([unproven(1), reserved, unproven(3), failed(4)]);
    assert.deepEqual([target, codes], [2, ['UnverifiedTarget']]);
    assert.match(message, /Revision 2 was deployed with a reservation/);
  });

  it('is not accepted through allowUnverifiedTarget unless somebody named it by number', () => {
    assert.deepEqual(choose([failed(1), serving(2)], 'previous', { allowUnverifiedTarget: true }).codes, [
      'RevisionUnhealthy!',
    ]);
  });

  it('may be an unverified revision that is named by number, with a warning', () => {
    assert.deepEqual(choose([good(1), unproven(2), serving(3)], 2).codes, ['UnverifiedTarget']);
  });

  it('has a shortened quote of its failure', () => {
    const long = unproven(1, { description: `Upgrade "web" failed: ${'x'.repeat(5000)}` });
    assert.ok(choose([long, serving(2)], 1).message.length < 600);
  });

  for (const [incident, history, toRevision, code, words] of [
    ['there is no release', [], 'verified', 'ReleaseMissing!', /no release web/],
    ['there is only one revision', [serving(1)], 'verified', 'TargetMissing!', /oldest/],
    ['there is only one revision', [serving(1)], 'previous', 'TargetMissing!', /oldest/],
    [
      'every older one failed',
      [failed(1), failed(2), serving(3)],
      'verified',
      'TargetMissing!',
      /2: it failed; 1: it failed/,
    ],
    [
      'the number was never given',
      [good(1), serving(2)],
      9,
      'RevisionMissing!',
      /no revision 9; Helm's history has 1-2/,
    ],
    ['the number is zero', [good(1), serving(2)], 0, 'RevisionMissing!', /no revision 0/],
    ['it was pruned from the history', [good(5), good(6), serving(7)], 2, 'RevisionPruned!', /no longer .* has 5-7/],
    ['its record was deleted', [good(1), good(3), serving(4)], 2, 'RevisionPruned!', /has 1, 3-4/],
    [
      'the release is already at it',
      [good(1), serving(2)],
      2,
      'RevisionIsPresent!',
      /already at revision 2 \(deployed\)/,
    ],
    [
      'it was before an uninstall',
      [good(1), revision(2, 'uninstalled', []), good(3), serving(4)],
      1,
      'RevisionUninstalled!',
      /uninstalled after revision 1/,
    ],
    [
      'the release is uninstalled',
      [good(1), revision(2, 'uninstalled', [])],
      'verified',
      'TargetMissing!',
      /deploy it again/,
    ],
  ] as const) {
    it(`is refused (${String(toRevision)}): ${incident}`, () => {
      const { target, codes, message } = choose(history, toRevision);
      assert.deepEqual([target, codes], [undefined, [code]]);
      assert.match(message, words);
    });
  }

  it('is never a healthy revision from before an uninstall', () => {
    assert.equal(choose([good(1), revision(2, 'uninstalled', []), unproven(3), serving(4)]).target, 3);
  });

  it('is reported to lie beyond revisions whose record is gone', () => {
    const { codes, message } = choose([good(1), serving(4)]);
    assert.deepEqual(codes, ['HistoryIncomplete']);
    assert.match(message, /revisions 2-3/);
  });

  it('is reported to lie beyond a revision whose record cannot be read', () => {
    const unread = revision(2, 'unknown', [], { manifest: '', chart: { name: '', version: '', appVersion: '' } });
    const { codes, message } = choose([good(1), unread, serving(3)]);
    assert.deepEqual(codes, ['HistoryIncomplete']);
    assert.match(message, /The record of revision 2 cannot be read, so the plan cannot show/);
  });

  it('is reported to be unavailable while a Helm is at work, or after it died', () => {
    assert.deepEqual(choose([good(1), revision(2, 'pending-upgrade', [])]).codes, ['ReleasePending']);
  });

  it('is not chosen by a description that a person wrote', () => {
    const described = unproven(1, { description: 'Release of the failed: payment fix' });
    assert.equal(whyUnfit(described, [described]), undefined);
  });

  it('has its skipped revisions named by ranges', () => {
    assert.equal(numberList([1, 2, 3, 5, 7, 8]), '1-3, 5, 7-8');
  });
});
