import assert from 'node:assert/strict';
import { readRollbackRequest } from '../../tasks/ApproveAndRollback/inputs';
import { TaskError } from '../../tasks/common/core/failure';
import type { InputContext } from '../../tasks/common/core/inputs/inputs';

const context: InputContext = {
  files: { absolute: (name) => `/${name}`, kind: () => 'file', names: () => [], readText: () => '' },
  secrets: { ranges: () => [], isIn: () => false, occurrences: () => [] },
  redact: (text) => text,
  serviceConnections: ['cluster'],
};

function read(inputs: Readonly<Record<string, string>>) {
  return readRollbackRequest((name) => inputs[name], context);
}

function mistakes(inputs: Readonly<Record<string, string>>): string {
  try {
    read(inputs);
  } catch (error) {
    assert.ok(error instanceof TaskError);
    assert.equal(error.reason, 'InputInvalid');
    return error.message;
  }
  return '';
}

describe('the inputs of ApproveAndRollback', () => {
  it('a release alone gets the strictest defaults', () => {
    const { rollback, approval, requirePlan, maxPlanAgeSeconds, rollbackTimeoutSeconds, action } = read({
      releaseName: 'web',
    });
    assert.deepEqual(rollback, {
      toRevision: 'verified',
      policy: {
        allow: [],
        allowUnverifiedTarget: false,
        allowIrreversible: [],
        allowUnknownHelm: false,
        allowPodDelete: false,
        maxDeletions: 10,
      },
    });
    assert.deepEqual(approval, { approval: 'gate', requireGateProof: true, fourEyes: false });
    assert.deepEqual([action, requirePlan, maxPlanAgeSeconds, rollbackTimeoutSeconds], ['plan', true, 25 * 3600, 600]);
  });

  it('digests may have sha256: or not, in any case', () => {
    const digits = 'ab'.repeat(32);
    for (const planDigest of [digits, `sha256:${digits}`, `SHA256:${digits.toUpperCase()}`]) {
      assert.equal(read({ releaseName: 'web', planDigest }).planDigest, digits);
    }
    assert.match(mistakes({ releaseName: 'web', planDigest: 'abc' }), /planDigest holds "abc"; expected/);
    assert.match(mistakes({ releaseName: 'web', planDigest: '$(plan.planDigest)' }), /planDigest holds/);
  });

  it('revisions are given by word or number', () => {
    assert.equal(read({ releaseName: 'web', toRevision: 'Previous' }).rollback.toRevision, 'previous');
    assert.equal(read({ releaseName: 'web', toRevision: '7' }).rollback.toRevision, 7);
    for (const toRevision of ['0', '-1', 'last', '1.5'])
      assert.match(mistakes({ releaseName: 'web', toRevision }), /toRevision/);
  });

  it('workloads are given by kind and name, only kinds that keep old revisions', () => {
    const { subject, releaseName } = read({ workloads: 'deploy/web\nstatefulsets.apps/db\n ds/node ' });
    assert.deepEqual(subject, {
      kind: 'workloads',
      workloads: [
        { kind: 'deployment', name: 'web' },
        { kind: 'statefulset', name: 'db' },
        { kind: 'daemonset', name: 'node' },
      ],
    });
    assert.equal(releaseName, 'plain-workloads');
    assert.match(mistakes({ workloads: 'job/x' }), /line 1: expected deployment\/name/);
    const commented = read({ workloads: '# the shop\ndeployment/web # its front' });
    assert.deepEqual(commented.subject, { kind: 'workloads', workloads: [{ kind: 'deployment', name: 'web' }] });
    assert.match(mistakes({ workloads: '# deployment/web' }), /releaseName: give the release/);
  });

  it('a release or workloads are given, not both', () => {
    assert.match(mistakes({}), /releaseName: give the release/);
    assert.match(mistakes({ releaseName: 'web', workloads: 'deployment/web' }), /either releaseName or workloads/);
  });

  it('codes that cannot be allowed are reported, with those that can', () => {
    const { policy } = read({ releaseName: 'web', allow: 'toomanydeletions\nDeletesNamespace' }).rollback;
    assert.deepEqual(policy.allow, ['TooManyDeletions', 'DeletesNamespace']);
    const said = mistakes({ releaseName: 'web', allow: 'TooManyDeletions\nDeletesTargetObject' });
    assert.match(said, /line 2: the findings that can be allowed are .*DeletesPersistentVolumeClaim/);
  });

  it('irreversible revisions are given on lines or with commas', () => {
    const { policy } = read({ releaseName: 'web', allowIrreversible: '7, 9\n11' }).rollback;
    assert.deepEqual(policy.allowIrreversible, [7, 9, 11]);
    assert.match(mistakes({ releaseName: 'web', allowIrreversible: '7, all' }), /allowIrreversible holds "all"/);
  });
});
