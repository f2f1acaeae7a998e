import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import {
  attachmentName,
  attachmentNameLimit,
  readAttachmentName,
  type AttachmentName,
} from '../../tasks/common/core/report/attachmentName';
import {
  fleetDigest,
  fleetInstructions,
  fleetList,
  fleetSummary,
  judgeFleet,
  parseFleetList,
  type FleetPlan,
} from '../../tasks/common/core/report/fleet';

const deployed: AttachmentName = {
  kind: 'deploy',
  outcome: 'deployed',
  ring: 'early',
  cluster: 'west-1',
  namespace: 'shop',
  release: 'web',
  attempt: 1,
};

describe('the name of an attachment', () => {
  const cases: [parts: Partial<AttachmentName>, name: string][] = [
    [{}, 'deploy,deployed,early,west-1,shop,web,1.json'],
    [{ ring: '', cluster: '' }, 'deploy,deployed,,,shop,web,1.json'],
    [{ ring: 'a b/ü', attempt: 12 }, 'deploy,deployed,a_20b_2f_c3_bc,west-1,shop,web,12.json'],
    [{ kind: 'rollback', outcome: 'alreadyThere' }, 'rollback,alreadyThere,early,west-1,shop,web,1.json'],
    [{ cluster: '##vso[x]~_' }, 'deploy,deployed,early,_23_23vso_5bx_5d_7e_5f,shop,web,1.json'],
  ];
  for (const [parts, name] of cases) {
    it(`is ${name}, and is read back`, () => {
      const given = { ...deployed, ...parts };
      assert.equal(attachmentName(given), name);
      assert.deepEqual(readAttachmentName(name), given);
    });
  }

  it('is a file name on every system and has at most 200 characters, whatever is in it', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(text, text, text, text, (ring, cluster, namespace, release) => {
        const longest = { kind: 'rollback', outcome: 'alreadyThere', attempt: 999_999 } as const;
        const name = attachmentName({ ...longest, ring, cluster, namespace, release });
        assert.match(name, /^[\w.,-]+$/);
        assert.ok(name.length <= attachmentNameLimit, `${name.length}`);
        assert.equal(readAttachmentName(name)?.kind, 'rollback');
      }),
      { numRuns: 300 },
    );
  });

  const earlier: [name: string, kind: string, release: string][] = [
    ['HelmSafeDeploy-web.json', 'deploy', 'web'],
    ['HelmSafeDeploy-web-after-the-job.json', 'repair', 'web'],
    ['RolloutHealthCheck-my-shop.json', 'health', 'my-shop'],
    ['ApproveAndRollback-plan-web.json', 'plan', 'web'],
    ['ApproveAndRollback-plan-web-plan.json', 'plan', 'web'],
    ['ApproveAndRollback-rollback-web.json', 'rollback', 'web'],
  ];
  for (const [name, kind, release] of earlier) {
    it(`of an earlier version is read: ${name}`, () => {
      const read = readAttachmentName(name);
      assert.deepEqual([read?.kind, read?.release, read?.attempt], [kind, release, 1]);
    });
  }

  for (const name of ['coverage.xml', 'deploy,deployed.json', 'deploy,a,b,c,d,e,x.json', 'deploy,a,b,c,d,e,1,2.json']) {
    it(`of somebody else is not ours: ${name}`, () => {
      assert.equal(readAttachmentName(name), undefined);
    });
  }
});

describe('the verdict about a ring', () => {
  const question = { ring: 'early', clusters: ['a', 'b-1'], tolerated: 0, failedBefore: 0 };
  const report = (cluster: string, outcome: string, more: Partial<AttachmentName> = {}): AttachmentName => ({
    ...deployed,
    cluster,
    outcome,
    ...more,
  });
  const cases: [
    what: string,
    reports: AttachmentName[],
    jobs: string[],
    tolerated: number,
    states: string,
    good: boolean,
  ][] = [
    // prettier-ignore
    ['all are good', [report('a', 'deployed'), report('b-1', 'unchanged')], [], 0, 'good good', true],
    ['one failed', [report('a', 'deployed'), report('b-1', 'failed')], [], 0, 'good failed', false],
    ['one failed and one is tolerated', [report('a', 'deployed'), report('b-1', 'failed')], [], 1, 'good failed', true],
    ['a report is missing', [report('a', 'recovered')], [], 0, 'good missing', false],
    ['a job succeeded without a report', [report('a', 'deployed')], ['Cluster_b_1'], 0, 'good unreported', true],
    ['there is no report at all', [], [], 1, 'missing missing', false],
    ['a rerun made it good', [report('a', 'failed'), report('a', 'deployed', { attempt: 2 }), report('b-1', 'deployed')], [], 0, 'good good', true], // prettier-ignore
    ['a rerun failed', [report('a', 'deployed'), report('a', 'refused', { attempt: 2 }), report('b-1', 'deployed')], [], 0, 'failed good', false], // prettier-ignore
    ['deployed, but not healthy', [report('a', 'deployed'), report('a', 'unhealthy', { kind: 'health' }), report('b-1', 'deployed')], [], 0, 'failed good', false], // prettier-ignore
    ['a plan does not count', [report('a', 'deployed'), report('a', 'planned', { kind: 'plan' }), report('b-1', 'deployed')], [], 0, 'good good', true], // prettier-ignore
    ['another ring has the report', [report('a', 'deployed', { ring: 'late' }), report('b-1', 'deployed')], [], 0, 'missing good', false], // prettier-ignore
    ['an outcome of a later version', [report('a', 'novel'), report('b-1', 'deployed')], [], 0, 'failed good', false],
  ];
  for (const [what, reports, jobs, tolerated, states, good] of cases) {
    it(what, () => {
      const asked = { ...question, tolerated };
      const verdict = judgeFleet(asked, reports, new Set(jobs));
      assert.equal(verdict.members.map(({ state }) => state).join(' '), states);
      assert.equal(verdict.isHealthy, good);
      assert.match(fleetSummary(asked, verdict), good ? /^Ring early is healthy/ : /^Ring early is unhealthy/);
    });
  }
});

describe('the verdict about a later stage of the same ring', () => {
  const cases: [failedBefore: number, outcome: string, tolerated: number, failed: number, isHealthy: boolean][] = [
    [0, 'deployed', 0, 0, true],
    [1, 'deployed', 1, 1, true],
    [1, 'failed', 1, 2, false],
    [1, 'failed', 2, 2, true],
    [2, 'deployed', 1, 2, false],
  ];
  for (const [failedBefore, outcome, tolerated, failed, isHealthy] of cases) {
    it(`${failedBefore} failed before, now ${outcome}, ${tolerated} tolerated: ${isHealthy ? 'healthy' : 'unhealthy'}`, () => {
      const asked = { ring: 'early', clusters: ['a'], tolerated, failedBefore };
      const verdict = judgeFleet(asked, [{ ...deployed, cluster: 'a', outcome }], new Set());
      assert.deepEqual([verdict.failed, verdict.isHealthy], [failed, isHealthy]);
      assert.equal(fleetSummary(asked, verdict).includes(`${failedBefore} failed before`), failedBefore > 0);
    });
  }
});

describe('the list of plans that one gate approves', () => {
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const plan = (cluster: string, of = cluster): FleetPlan => ({
    ring: 'early',
    cluster,
    namespace: 'shop',
    release: 'web',
    planDigest: `sha256:${sha256(of)}`,
    targetRevision: 3,
    risk: 'low',
  });
  const at = new Date('2026-11-30T12:00:00Z');
  const list = fleetList([plan('b'), plan('a')], at);

  it('has the same digest in every order, and another one for another plan, cluster or time', () => {
    const digest = fleetDigest(list, sha256);
    assert.equal(fleetDigest(fleetList([plan('a'), plan('b')], at), sha256), digest);
    const others = [
      fleetList([plan('a'), plan('b', 'x')], at),
      fleetList([plan('a'), plan('c', 'b')], at),
      fleetList([plan('a')], at),
      fleetList([plan('a'), plan('b')], new Date('2026-11-30T12:00:01Z')),
    ];
    for (const other of others) assert.notEqual(fleetDigest(other, sha256), digest);
  });

  it('is read back from its attachment, and nothing else is taken for a list', () => {
    assert.deepEqual(parseFleetList(JSON.parse(JSON.stringify(list))), list);
    const broken = { ...list, plans: [{ ...plan('a'), planDigest: 'sha256:1' }] };
    for (const value of [null, 'text', [], {}, { createdAt: 'x' }, broken]) {
      assert.equal(parseFleetList(value), undefined);
    }
  });

  it('fits into the instructions of a gate, with the digest of all', () => {
    const many = fleetList(
      Array.from({ length: 1000 }, (_, index) => plan(`cluster-${index}-$(x)`)),
      at,
    );
    for (const each of [list, many]) {
      const digest = fleetDigest(each, sha256);
      const text = fleetInstructions(each, digest);
      assert.ok(text.length <= 3600);
      assert.ok(text.endsWith(digest) && !text.includes('$('));
      assert.match(text, /^\*\*Rollback of \d+ clusters\*\*/);
    }
    assert.match(fleetInstructions(many, ''), /- and \d+ more in the attachment/);
  });
});
