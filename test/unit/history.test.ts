import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  appliedLast,
  changedNothing,
  isOfRollback,
  isVerified,
  prunable,
  releaseState,
  rollbackTarget,
  sinceUninstall,
  wasFailed,
  unhealthyLabel,
  verifiedLabel,
  withLink,
} from '../../tasks/common/core/release/history';
import {
  revisionStatuses,
  type Hook,
  type Revision,
  type RevisionStatus,
} from '../../tasks/common/core/release/release';

describe('a revision that failed', () => {
  for (const [what, status, more, expected] of [
    ['it is failed', 'failed', {}, true],
    ['a task has judged it', 'superseded', { labels: { [unhealthyLabel]: '2' } }, true],
    ['the label is that of an earlier revision', 'superseded', { labels: { [unhealthyLabel]: '1' } }, false],
    ['Helm has superseded it', 'superseded', { description: 'Upgrade "web" failed: no' }, true],
    ['Helm has superseded an install', 'superseded', { description: 'Release "web" failed: no' }, true],
    ['a description of a chart', 'superseded', { description: 'Upgrade complete' }, false],
    ['it serves', 'deployed', { description: 'Upgrade "web" failed: no' }, false],
  ] as const) {
    it(`is ${expected ? '' : 'not '}recognised: ${what}`, () => {
      assert.equal(wasFailed(revision(2, status, more)), expected);
    });
  }
});

function revision(number: number, status: RevisionStatus, more: Partial<Revision> = {}): Revision {
  return {
    name: 'web',
    namespace: 'shop',
    revision: number,
    status,
    description: '',
    lastDeployed: '',
    chart: { name: 'web', version: '1.0.0', appVersion: '' },
    manifest: '',
    config: {},
    notes: '',
    hooks: [],
    labels: {},
    writtenAt: undefined,
    ...more,
  };
}

/** `3:deployed+v2` is revision 3, deployed, with a label `verified` for revision 2. `+u` is unhealthy. */
function history(text: string): Revision[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const [, number = '', status = '', marks = ''] = /^(\d+):([a-z-]+)(.*)$/.exec(word) ?? [];
      const labels: Record<string, string> = {};
      for (const [, mark, about = ''] of marks.matchAll(/\+([vu])(\d+)/g)) {
        labels[mark === 'v' ? verifiedLabel : unhealthyLabel] = about;
      }
      return revision(Number(number), status as RevisionStatus, { labels });
    });
}

const numbers = (revisions: readonly Revision[]): number[] => revisions.map((one) => one.revision);

describe('the description of a revision', () => {
  const link = 'https://dev.azure.com/fabrikam/Shop/_build/results?buildId=7';
  for (const [description, page, linked] of [
    ['Upgrade complete', link, `Upgrade complete (${link})`],
    ['Install complete', link, `Install complete (${link})`],
    ['Upgrade complete', '', 'Upgrade complete'],
    ['Upgrade complete', `${link}${'0'.repeat(200)}`, 'Upgrade complete'],
    ['Rollback to 3', link, 'Rollback to 3'],
    ['words of a person', link, 'words of a person'],
  ] as const) {
    it(`«${description}» with a link of ${page.length} characters`, () => {
      assert.equal(withLink(description, page), linked);
    });
  }
});

describe('the revision of a rollback', () => {
  const cases: [string, Partial<Revision>, boolean][] = [
    ['is known by the words of Helm before 4.3', { description: 'Rollback to 2' }, true],
    ['is known by those of a rollback that failed', { description: 'Rollback "web" failed: timed out' }, true],
    ['is known while it is pending', { status: 'pending-rollback' }, true],
    [
      'is known by its record where somebody described it otherwise',
      { rollbackRevision: 2, description: 'oops' },
      true,
    ],
    ['is not every revision that speaks of one', { description: 'Rollback to the roots' }, false],
    ['is no upgrade', { description: 'Upgrade complete' }, false],
  ];
  for (const [what, more, expected] of cases) {
    it(what, () => {
      assert.equal(isOfRollback(revision(3, 'deployed', more)), expected);
    });
  }
});

const anyHistory = fc
  .array(
    fc.record({
      status: fc.constantFrom(...revisionStatuses),
      verified: fc.option(fc.integer({ min: 1, max: 12 })),
      unhealthy: fc.option(fc.integer({ min: 1, max: 12 })),
      gap: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 12 },
  )
  .map((rows) => {
    let number = 0;
    return rows.map(({ status, verified, unhealthy, gap }) => {
      number += gap;
      const labels: Record<string, string> = {};
      if (verified !== null) labels[verifiedLabel] = String(verified);
      if (unhealthy !== null) labels[unhealthyLabel] = String(unhealthy);
      return revision(number, status, { labels });
    });
  });

describe('revisions before an uninstall', () => {
  it('no longer count, whatever Helm calls them after the next install', () => {
    const past = history('1:superseded+v1 2:uninstalled+v2 3:deployed');
    assert.deepEqual(numbers(sinceUninstall(past)), [3]);
    const replaced = past.map((one) =>
      one.revision === 2 ? { ...one, status: 'superseded' as const, description: 'superseded by new release' } : one,
    );
    assert.deepEqual(numbers(sinceUninstall(replaced)), [3]);
    assert.equal(rollbackTarget(replaced, 3), undefined);
  });
});

describe('the state of a release', () => {
  for (const [text, state] of [
    ['', 'absent'],
    ['1:deployed', 'deployed'],
    ['1:superseded 2:deployed', 'deployed'],
    ['1:deployed 2:failed', 'failed'],
    ['1:failed', 'failed'],
    ['1:superseded', 'failed'],
    ['1:deployed 2:pending-upgrade', 'pending'],
    ['1:pending-install', 'pending'],
    ['1:superseded 2:failed 3:pending-rollback', 'pending'],
    ['1:uninstalling', 'pending'],
    ['1:superseded 2:uninstalled', 'uninstalled'],
    ['1:deployed 2:unknown', 'unknown'],
  ] as const) {
    it(`${text || 'no revision'} is ${state}`, () => {
      assert.equal(releaseState(history(text)).state, state);
    });
  }

  it('is defined for every history and is about the last revision', () => {
    fc.assert(
      fc.property(anyHistory, (revisions) => {
        const state = releaseState(revisions);
        assert.equal(state.state === 'absent' ? undefined : state.last, revisions.at(-1));
      }),
    );
  });
});

describe('the rollback target', () => {
  for (const [incident, text, target] of [
    ['a first install that failed has none', '1:failed', undefined],
    ['nothing was ever deployed', '1:failed 2:failed 3:pending-upgrade', undefined],
    ['the deployed one, when none was verified', '1:superseded 2:deployed 3:failed', '2 deployed'],
    ['superseded alone is no proof', '1:superseded 2:failed', undefined],
    ['the verified one behind a run of failures', '1:superseded+v1 2:failed+v1 3:failed+v1 4:failed+v1', '1 verified'],
    ["a label that Helm copied vouches for nobody's later revision", '1:failed 2:superseded+v1', undefined],
    ['the newest of several verified ones', '1:superseded+v1 2:superseded+v2 3:failed+v2', '2 verified'],
    ['verified before deployed, be that newer', '1:superseded+v1 2:deployed+v1 3:failed+v1', '1 verified'],
    ['verified once, found unhealthy since', '1:superseded+v1+u1 2:deployed+v1+u1', '2 deployed'],
    ['verified once, set to failed since', '1:deployed 2:failed+v2', '1 deployed'],
    ['deployed in the record, unhealthy to us', '1:deployed+u1 2:failed', undefined],
    ['unhealthy is about another revision (a copied label)', '1:failed+u1 2:deployed+u1', '2 deployed'],
    ['of two that are deployed (a crash between two writes) the newer', '1:deployed 2:deployed 3:failed', '2 deployed'],
    ['what came before an uninstall is over', '1:superseded+v1 2:uninstalled 3:failed', undefined],
    ['an install after an uninstall', '1:superseded+v1 2:uninstalled 3:deployed 4:failed', '3 deployed'],
    ['uninstalled with its history kept', '1:superseded+v1 2:uninstalled', undefined],
    ['a rollback that is verified itself', '1:superseded+v1 2:failed 3:superseded+v3 4:failed+v3', '3 verified'],
  ] as const) {
    it(incident, () => {
      const found = rollbackTarget(history(text));
      assert.equal(found === undefined ? undefined : `${found.revision.revision} ${found.proof}`, target);
    });
  }

  it('is older than the given revision', () => {
    assert.equal(rollbackTarget(history('1:superseded+v1 2:superseded+v2 3:deployed+v3'), 3)?.revision.revision, 2);
    assert.equal(rollbackTarget(history('3:deployed+v3'), 3), undefined);
  });

  it('is never failed, unhealthy, pending, removed or merely superseded', () => {
    fc.assert(
      fc.property(anyHistory, (revisions) => {
        const target = rollbackTarget(revisions);
        if (target === undefined) return;
        const { revision: found, proof } = target;
        assert.ok(sinceUninstall(revisions).includes(found));
        assert.notEqual(found.status, 'failed');
        assert.notEqual(found.labels[unhealthyLabel], String(found.revision));
        if (proof === 'verified') assert.equal(found.labels[verifiedLabel], String(found.revision));
        else assert.equal(found.status, 'deployed');
      }),
    );
  });
});

describe('records that may be pruned', () => {
  for (const [incident, text, maximum, gone] of [
    ['none while there are few', '1:superseded 2:deployed', 2, []],
    ['0 keeps all', '1:superseded 2:superseded 3:deployed', 0, []],
    ['the oldest first', '1:superseded 2:superseded 3:superseded 4:deployed', 2, [1, 2]],
    ['not the healthy one behind a run of failures', '1:superseded+v1 2:failed+v1 3:failed+v1 4:failed+v1', 3, [2]],
    ['not the one that Helm calls deployed', '1:deployed 2:failed 3:failed 4:failed', 2, [2, 3]],
    ['older verified ones go', '1:superseded+v1 2:superseded+v2 3:failed+v2 4:failed+v2', 2, [1, 3]],
    ['one from before an uninstall goes before that', '1:superseded+v1 2:uninstalled 3:failed 4:failed', 2, [1, 2]],
    ['what must stay stays, even when that is more than the maximum', '1:superseded+v1 2:deployed 3:failed', 1, []],
  ] as const) {
    it(incident, () => {
      assert.deepEqual(numbers(prunable(history(text), maximum)), gone);
    });
  }

  it('do not include revisions that may have left objects that Helm has not removed', () => {
    const text = '1:superseded+v1 2:failed 3:superseded 4:superseded+v4 5:failed 6:failed 7:failed';
    assert.deepEqual(numbers(prunable(history(text), 2)), [1, 2, 3, 5, 6]);
    assert.deepEqual(numbers(prunable(history(text), 2, true)), [1, 2, 3]);
  });

  it('never include the last, the newest verified, the deployed or the target revision, and are never too many', () => {
    fc.assert(
      fc.property(anyHistory, fc.integer({ min: 0, max: 14 }), (revisions, maximum) => {
        const gone = prunable(revisions, maximum);
        assert.ok(maximum === 0 ? gone.length === 0 : gone.length <= Math.max(0, revisions.length - maximum));
        for (const one of gone) {
          assert.notEqual(one, revisions.at(-1));
          assert.notEqual(one, sinceUninstall(revisions).findLast(isVerified));
          assert.notEqual(one.status, 'deployed');
          assert.notEqual(one, rollbackTarget(revisions)?.revision);
        }
      }),
    );
  });
});

describe('a failed revision that changed nothing', () => {
  const hook = (events: string, lastPhase: string): Hook => ({
    name: 'migrate',
    kind: 'Job',
    events: events.split(','),
    lastPhase,
  });
  const helm = (event: string): string =>
    `Upgrade "web" failed: ${event} hooks failed: warning: Hook ${event} x failed`;

  for (const [incident, changes, event, expected] of [
    ['its pre-upgrade hook failed', { hooks: [hook('pre-upgrade', 'Failed')] }, 'pre-upgrade', true],
    ['it was interrupted in its pre-upgrade hook', { hooks: [hook('pre-upgrade', 'Running')] }, 'pre-upgrade', true],
    [
      'the first of two hooks failed, the second never ran',
      { hooks: [hook('pre-install,pre-upgrade', 'Failed'), hook('pre-upgrade', '')] },
      'pre-upgrade',
      true,
    ],
    ['its hooks succeeded, an object failed', { hooks: [hook('pre-upgrade', 'Succeeded')] }, 'pre-upgrade', false],
    ['it has no hooks', { hooks: [] }, 'pre-upgrade', false],
    ['its post-upgrade hook failed', { hooks: [hook('post-upgrade', 'Failed')] }, 'pre-upgrade', false],
    ['the hook of another event never ran', { hooks: [hook('pre-install', '')] }, 'pre-upgrade', false],
    [
      'one hook for before and after, which failed after',
      { hooks: [hook('pre-upgrade,post-upgrade', 'Failed')], description: helm('post-upgrade') },
      'pre-upgrade',
      false,
    ],
    [
      'one hook for before and after, which failed before',
      { hooks: [hook('pre-upgrade,post-upgrade', 'Failed')], description: helm('pre-upgrade') },
      'pre-upgrade',
      true,
    ],
    [
      'one hook for before and after, interrupted in one of the two',
      { hooks: [hook('pre-upgrade,post-upgrade', 'Running')], description: 'Upgrade "web" failed: context canceled' },
      'pre-upgrade',
      false,
    ],
    [
      'one hook for before and after an install, which failed before',
      {
        hooks: [hook('pre-install,post-install', 'Failed')],
        description: 'Release "web" failed: failed pre-install: 1 error occurred',
      },
      'pre-install',
      true,
    ],
    [
      'Helm was killed after its last hook, which its record still calls running',
      { hooks: [hook('pre-upgrade', 'Running')], status: 'pending-upgrade' },
      'pre-upgrade',
      false,
    ],
  ] as const) {
    it(`${expected ? 'yes' : 'no'}: ${incident}`, () => {
      assert.equal(changedNothing(revision(2, 'failed', changes), event), expected);
    });
  }
});

describe('the serving revision', () => {
  const hook = (event: string, lastPhase: string): Hook => ({ name: 'h', kind: 'Job', events: [event], lastPhase });
  const failed = (number: number, ...hooks: Hook[]): Revision => revision(number, 'failed', { hooks });

  for (const [what, revisions, expected] of [
    ['is the deployed one', history('1:superseded 2:deployed'), 2],
    ['is a failed one, whatever was verified before', history('1:superseded+v1 2:failed+u2'), 2],
    ['is a failed one that Helm left half way', history('1:deployed+v1 2:failed'), 2],
    ['does not exist without a release', [], undefined],
    ['does not exist after an uninstall', history('1:uninstalled'), undefined],
    ['is not known while somebody is at work', history('1:deployed 2:pending-upgrade'), undefined],
    [
      'is the one before a failed pre-upgrade hook',
      [revision(1, 'deployed'), failed(2, hook('pre-upgrade', 'Failed'))],
      1,
    ],
    [
      'is a failed one before a failed pre-upgrade hook',
      [revision(1, 'superseded'), failed(2), failed(3, hook('pre-upgrade', 'Running'))],
      2,
    ],
    ['does not exist if the first install failed in its hook', [failed(1, hook('pre-install', 'Failed'))], undefined],
    [
      'is one whose pre-hooks have all succeeded',
      [revision(1, 'deployed'), failed(2, hook('pre-upgrade', 'Succeeded'))],
      2,
    ],
    [
      'is a failed rollback, which has the hooks of its target as they were then',
      [revision(1, 'superseded'), failed(2), failed(3, hook('pre-upgrade', ''))],
      3,
    ],
  ] as const) {
    it(what, () => {
      assert.equal(appliedLast(revisions)?.revision, expected);
    });
  }
});
