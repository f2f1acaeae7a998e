import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { planMarkdown } from '../../tasks/common/core/rollbackPlan/document/markdown';
import { planSummary } from '../../tasks/common/core/rollbackPlan/document/summary';
import { planDifferences } from '../../tasks/common/core/rollbackPlan/execution/differences';
import { planJson, readPlan } from '../../tasks/common/core/rollbackPlan/document/document';
import { planWorkloads } from '../../tasks/common/core/rollbackPlan/planWorkloads';
import { undoOf } from '../../tasks/common/core/rollbackPlan/objects/workloadHistory';
import type {
  PlainWorkload,
  ChangePlan,
  RollbackPolicy,
  RollbackRequest,
  ToRevision,
  WorkloadPlanInputs,
} from '../../tasks/common/core/rollbackPlan/model/types';
import { assertPlan } from '../support/planSchema';
import { codes, fatesOf, objectOf, sha256, strict } from '../support/rollbackScene';

const template = (image: string, more: object = {}): object => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image }], ...more },
});

function workload(kind: string, spec: object, metadata: object = {}): KubeObject {
  const name = kind.toLowerCase();
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, ...metadata },
    spec: { ...spec },
  };
}

const ownedBy = (kind: string): object => ({
  ownerReferences: [
    { apiVersion: 'apps/v1', kind, name: kind.toLowerCase(), uid: `uid-${kind.toLowerCase()}`, controller: true },
  ],
});

function replicaSet(revision: number, image: string, more: object = {}, annotations: object = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `deployment-${revision}`,
      namespace: 'shop',
      annotations: { 'deployment.kubernetes.io/revision': String(revision), ...annotations },
      ...ownedBy('Deployment'),
    },
    spec: {
      template: {
        metadata: { labels: { app: 'web', 'pod-template-hash': `h${revision}` } },
        spec: { containers: [{ name: 'web', image }], ...more },
      },
    },
  };
}

function controllerRevision(kind: string, revision: number, image: string): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: `${kind.toLowerCase()}-${revision}`, namespace: 'shop', ...ownedBy(kind) },
    revision,
    data: { spec: { template: { ...template(image), $patch: 'replace' } } },
  };
}

const refOf = (kind: string): PlainWorkload['ref'] => ({
  apiVersion: 'apps/v1',
  kind,
  namespace: 'shop',
  name: kind.toLowerCase(),
});

function deployment(live: KubeObject, revisions: readonly KubeObject[]): PlainWorkload {
  return { ref: refOf('Deployment'), live, revisions };
}

const bad = workload('Deployment', { replicas: 3, template: template('app:2', { nodeSelector: { none: 'z' } }) });
const past = [replicaSet(1, 'app:0'), replicaSet(2, 'app:1'), replicaSet(3, 'app:2', { nodeSelector: { none: 'z' } })];

function asked(toRevision: ToRevision, policy: RollbackPolicy = strict): RollbackRequest {
  return { toRevision, policy };
}

function rehearsed(one: PlainWorkload, policy = strict): PlainWorkload {
  const undo = undoOf(one, asked('verified', policy));
  if ('refusal' in undo || one.live === undefined) return one;
  return {
    ...one,
    rehearsed: { result: { ...one.live, spec: { ...(one.live['spec'] as object), template: undo.past.template } } },
  };
}

function planFor(workloads: readonly PlainWorkload[], more: Partial<WorkloadPlanInputs> = {}): ChangePlan {
  const made = planWorkloads({
    namespace: 'shop',
    toRevision: 'verified',
    policy: strict,
    workloads,
    pods: [],
    now: new Date('2026-08-20T12:00:00Z'),
    sha256,
    ...more,
  });
  assertPlan(made);
  return made;
}

describe('a plain workload is rolled back like with kubectl rollout undo', () => {
  it('a Deployment goes to the previous ReplicaSet, without the fields of the bad one', () => {
    const undo = undoOf(deployment(bad, past), asked('verified'));
    assert.ok('patch' in undo);
    assert.deepEqual([undo.past.revision, undo.present.revision], [2, 3]);
    assert.deepEqual(undo.patch, {
      metadata: { uid: 'uid-deployment' },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'app:1' }], nodeSelector: null } } },
    });
  });

  it('it gets the annotations of that revision, except those about its present state', () => {
    const live = {
      ...bad,
      metadata: {
        ...bad.metadata,
        annotations: { 'kubernetes.io/change-cause': 'v3', extra: 'x', 'deployment.kubernetes.io/revision': '3' },
      },
    };
    const revisions = [replicaSet(2, 'app:1', {}, { 'kubernetes.io/change-cause': 'v2' }), past[2]].flatMap(
      (one) => one ?? [],
    );
    const undo = undoOf(deployment(live, revisions), asked('verified'));
    assert.ok('patch' in undo);
    assert.deepEqual(undo.patch['metadata'], {
      uid: 'uid-deployment',
      annotations: { 'kubernetes.io/change-cause': 'v2', extra: null },
    });
  });

  for (const kind of ['StatefulSet', 'DaemonSet']) {
    it(`a ${kind} goes to the previous ControllerRevision`, () => {
      const live = workload(kind, { template: template('app:2') });
      const undo = undoOf(
        {
          ref: refOf(kind),
          live,
          revisions: [controllerRevision(kind, 7, 'app:2'), controllerRevision(kind, 4, 'app:1')],
        },
        asked('previous'),
      );
      assert.ok('patch' in undo);
      assert.deepEqual(undo.patch, {
        metadata: { uid: `uid-${kind.toLowerCase()}` },
        spec: { template: { spec: { containers: [{ name: 'web', image: 'app:1' }] } } },
      });
    });
  }

  it('it goes to a revision named by number', () => {
    const undo = undoOf(deployment(bad, past), asked(1));
    assert.ok('past' in undo && undo.past.name === 'deployment-1');
  });

  it('the ReplicaSet of another Deployment is not its history', () => {
    const stranger = {
      ...replicaSet(2, 'evil:1'),
      metadata: { ...replicaSet(2, 'x').metadata, ...ownedBy('Another') },
    };
    const undo = undoOf(deployment(bad, [stranger, ...past.slice(2)]), asked('verified'));
    assert.ok('refusal' in undo && undo.refusal.code === 'TargetMissing');
  });

  const cases: readonly [string, PlainWorkload, ToRevision, string, RegExp][] = [
    [
      'it does not exist',
      { ref: refOf('Deployment'), revisions: [] },
      'verified',
      'WorkloadMissing',
      /Deployment\/deployment does not exist in namespace shop/,
    ],
    [
      'it is paused',
      deployment({ ...bad, spec: { ...(bad['spec'] as object), paused: true } }, past),
      'verified',
      'WorkloadPaused',
      /Resume it first/,
    ],
    ['there is no earlier revision', deployment(bad, past.slice(2)), 'verified', 'TargetMissing', /keeps 3/],
    [
      'the cluster keeps no revision',
      deployment(bad, []),
      'verified',
      'TargetMissing',
      /The cluster keeps no revision/,
    ],
    [
      'the workload is already at that revision',
      deployment(bad, past),
      3,
      'RevisionIsPresent',
      /is already at revision 3/,
    ],
    [
      'the number was pruned',
      deployment(bad, past.slice(1)),
      1,
      'RevisionPruned',
      /no revision 1 any more; its controller keeps 2-3/,
    ],
    [
      'the number was never given',
      deployment(bad, past),
      9,
      'RevisionMissing',
      /no revision 9; its controller keeps 1-3/,
    ],
    [
      'it is no such kind',
      { ref: { ...refOf('Job'), apiVersion: 'batch/v1' }, revisions: [] },
      'verified',
      'KindUnsupported',
      /only Deployments/,
    ],
  ];
  for (const [incident, one, toRevision, code, words] of cases) {
    it(`it is refused if ${incident}`, () => {
      const made = planFor([one], { toRevision });
      assert.deepEqual([codes(made), made.risk, made.objects], [[code], 'refused', []]);
      assert.match(made.findings[0]?.message ?? '', words);
    });
  }
});

describe('the target of a plain workload', () => {
  const marked = (number: number, annotations: object, uid = `uid-${number}`): KubeObject => {
    const kept = replicaSet(number, `web:${number}`, {}, annotations);
    return { ...kept, metadata: { ...kept.metadata, uid } };
  };
  const ready = (number: number): KubeObject => marked(number, { 'helm-safe-deploy/verified': `uid-${number}` });
  const sick = (number: number): KubeObject =>
    marked(number, {
      'helm-safe-deploy/verified': `uid-${number}`,
      'helm-safe-deploy/broken': `uid-${number}_CrashLoop`,
    });
  const copied = (number: number): KubeObject => marked(number, { 'helm-safe-deploy/verified': 'uid-1' });

  for (const [incident, kept, toRevision, target, found] of [
    ['seen ready, not the one before', [ready(1), marked(2, {}), marked(3, {})], 'verified', 1, []],
    ['before, where it was seen ready', [ready(1), ready(2), marked(3, {})], 'verified', 2, []],
    [
      'before, if none was seen ready',
      [marked(1, {}), marked(2, {}), marked(3, {})],
      'verified',
      2,
      ['UnverifiedTarget'],
    ],
    ['not known to be bad', [marked(1, {}), sick(2), marked(3, {})], 'verified', 1, ['UnverifiedTarget']],
    [
      'before, as kubectl has it, and known to be bad',
      [ready(1), sick(2), marked(3, {})],
      'previous',
      2,
      ['TargetKnownBad'],
    ],
    ['without a mark of its own', [ready(1), copied(2), marked(3, {})], 'verified', 1, []],
  ] as const) {
    it(`${toRevision} is the revision ${incident}`, () => {
      const live = workload('Deployment', { template: template('web:3') }, { annotations: {} });
      const made = planFor([rehearsed(deployment(live, kept))], { toRevision });
      assert.deepEqual([made.objects[0]?.revisions?.target, codes(made)], [target, found]);
    });
  }
});

describe('the plan for plain workloads', () => {
  const one = rehearsed(deployment(bad, past));
  const made = planFor([one]);

  it('shows the difference, the restart of the pods, and that nobody saw the target healthy', () => {
    assert.deepEqual(fatesOf(made), { 'Deployment/deployment': 'patched' });
    const changed = objectOf(made, 'Deployment/deployment');
    assert.deepEqual(
      [changed.restartsPods, changed.isRehearsed, changed.revisions],
      [true, true, { present: 3, target: 2 }],
    );
    assert.ok(changed.diff.includes('-        none: z'), changed.diff.join('\n'));
    assert.deepEqual([codes(made), made.risk, made.deletions], [['UnverifiedTarget'], 'low', 0]);
    assert.match(planMarkdown(made), /^## Rollback of deployment\/deployment in namespace shop: risk low/);
    assert.match(planSummary(made), /From revision 3 to 2|Pods restart: Deployment\/deployment/);
    assert.deepEqual(readPlan(planJson(made), made.digest, sha256), { plan: made, isTimeProven: true });
  });

  it('has the same digest while the workload is scaled and its status changes', () => {
    const scaled = {
      ...bad,
      metadata: { ...bad.metadata, resourceVersion: '9' },
      spec: { ...(bad['spec'] as object), replicas: 9 },
      status: { replicas: 9 },
    };
    assert.equal(planFor([rehearsed(deployment(scaled, past))]).digest, made.digest);
  });

  it('has the same digest when an autoscaler writes before the dry run', () => {
    const spec = { ...(bad['spec'] as object), template: template('app:1'), replicas: 8 };
    assert.equal(planFor([{ ...one, rehearsed: { result: { ...bad, spec } } }]).digest, made.digest);
  });

  it('has another digest after a rollout that nobody planned, and says so', () => {
    const newer = workload('Deployment', { template: template('app:3') });
    const after = planFor([rehearsed(deployment(newer, [...past, replicaSet(4, 'app:3')]))]);
    assert.deepEqual(planDifferences(made, after, new Date()), [
      'Deployment/deployment was at revision 3, and is at 4 now.',
    ]);
  });

  it('has another digest when its target was edited', () => {
    const altered = planFor([rehearsed(deployment(bad, [replicaSet(2, 'evil:1'), ...past.slice(2)]))]);
    assert.notEqual(altered.digest, made.digest);
  });

  it("warns that a release's record will not match, and that an operator may undo the rollback", () => {
    const metadata = { ...bad.metadata, annotations: { 'meta.helm.sh/release-name': 'web' } };
    assert.ok(codes(planFor([rehearsed(deployment({ ...bad, metadata }, past))])).includes('OwnedByHelm'));
    const owner = { apiVersion: 'example.com/v1', kind: 'App', name: 'x', uid: 'u', controller: true };
    const owned = { ...bad, metadata: { ...bad.metadata, ownerReferences: [owner] } };
    assert.ok(codes(planFor([rehearsed(deployment(owned, past))])).includes('Controlled'));
  });

  it('is refused if the API server refuses it or was not asked', () => {
    assert.deepEqual(codes(planFor([{ ...one, rehearsed: { rejected: 'denied by policy' } }]), 'refusal'), [
      'RehearsalFailed',
    ]);
    assert.deepEqual(codes(planFor([deployment(bad, past)]), 'refusal'), ['RehearsalMissing']);
  });

  it('resumes a paused Deployment if that is allowed', () => {
    const policy: RollbackPolicy = { ...strict, allow: ['WorkloadPaused'] };
    const live = { ...bad, spec: { ...(bad['spec'] as object), paused: true } };
    const undo = undoOf(deployment(live, past), asked('verified', policy));
    assert.ok('patch' in undo);
    assert.deepEqual((undo.patch['spec'] as { paused?: unknown }).paused, null);
    const { paused: _, ...spec } = { ...live.spec, template: template('app:1') };
    const resumed = planFor([{ ...deployment(live, past), rehearsed: { result: { ...bad, spec } } }], { policy });
    assert.deepEqual([codes(resumed), resumed.risk], [['WorkloadPaused', 'UnverifiedTarget'], 'high']);
    assert.match(resumed.findings[0]?.message ?? '', /is paused, and the rollback resumes it/);
    assert.equal(objectOf(resumed, 'Deployment/deployment').restartsPods, true);
  });

  for (const [what, kind, updateStrategy, words] of [
    ['updates on delete', 'DaemonSet', { type: 'OnDelete' }, /only when somebody deletes them/],
    ['updates on delete', 'StatefulSet', { type: 'OnDelete' }, /only when somebody deletes them/],
    ['has a partition', 'StatefulSet', { type: 'RollingUpdate', rollingUpdate: { partition: 1 } }, /partition is 1/],
  ] as const) {
    it(`is refused for a ${kind} that ${what}, unless that is allowed`, () => {
      const live = workload(kind, { template: template('app:2'), updateStrategy });
      const revisions = [controllerRevision(kind, 1, 'app:1'), controllerRevision(kind, 2, 'app:2')];
      const held = rehearsed({ ref: refOf(kind), live, revisions });
      const refused = planFor([held]);
      assert.deepEqual(codes(refused, 'refusal'), ['PodsHeldBack']);
      assert.match(refused.findings[0]?.message ?? '', words);
      const allowed = planFor([held], { policy: { ...strict, allow: ['PodsHeldBack'] } });
      assert.deepEqual([codes(allowed, 'refusal'), allowed.risk], [[], 'high']);
      assert.match(allowed.findings[0]?.message ?? '', /fails if nobody does so within timeout/);
    });
  }

  it('names the pods that a StatefulSet does not replace', () => {
    const set = {
      ...workload('StatefulSet', { template: template('app:2') }),
      status: { currentRevision: 'a', updateRevision: 'b' },
    };
    const pod: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'statefulset-0',
        labels: { 'controller-revision-hash': 'b' },
        ...ownedBy('StatefulSet'),
      },
    };
    const revisions = [controllerRevision('StatefulSet', 1, 'app:1'), controllerRevision('StatefulSet', 2, 'app:2')];
    const stuck = planFor([rehearsed({ ref: refOf('StatefulSet'), live: set, revisions })], { pods: [pod] });
    assert.deepEqual([stuck.trappedPods, codes(stuck)], [['statefulset-0'], ['StatefulSetTrap', 'UnverifiedTarget']]);
  });
});
