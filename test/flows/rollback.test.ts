import assert from 'node:assert/strict';
import type { Hook } from '../../tasks/common/core/release/release';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { Cluster, RollbackHelm } from '../../tasks/common/core/ports';
import type { FindingCode } from '../../tasks/common/core/rollbackPlan/model/findings';
import { defaultPolicy, type ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import { plainWorkloadsLock, type RollbackTaskRequest } from '../../tasks/common/core/inputs/rollbackRequest';
import {
  planForRelease,
  planForWorkloads,
  type ReportedRollback,
} from '../../tasks/common/flows/rollback/plan/makePlan';
import { resumeWorkloads, rollBackWorkloads } from '../../tasks/common/flows/rollback/approved/rollBackWorkloads';
import { fakePlanStore, type StoredPlan } from '../support/fakes/fakePlanStore';
import { kills, everyTime } from '../support/fakes/plays';
import { stage, type Mishap } from '../support/fakes/stage';
import {
  assertNotWaited,
  assertRolledBack,
  begin,
  editPlan,
  gated,
  labels,
  one,
  outcome,
  plan,
  resume,
  rollBack,
  startOf,
  two,
  type Scene,
  type Step,
  type StepOptions,
} from '../support/fakes/rollbackStage';
import { chart, configMap, deployment, inNamespace, live, liveObject, revision, told } from '../support/fakes/scene';

describe('a rollback over fakes', function () {
  this.timeout(60_000);

  it('is planned, approved and carried out', async () => {
    const on = await begin();
    const done = await rollBack(on, await plan(on));
    assert.equal(outcome(done), 'rolledBack', done.report?.report.message);
    assertRolledBack(on, 'done');
    assert.match(done.report?.report.approval ?? '', /^Approved by unknown/);
  });

  it('the same step again reports that the target is already there', async () => {
    const on = await begin();
    const digest = await plan(on);
    await rollBack(on, digest);
    assert.equal(outcome(await rollBack(on, digest)), 'alreadyThere');
  });

  it('a target whose values alone differ is not already there', async () => {
    const history = [revision(1, 'superseded', one, { labels, config: { a: 1 } }), revision(2, 'deployed', one)];
    const on = await begin({ history, live: one.objects });
    assert.equal(outcome(await rollBack(on, await plan(on))), 'rolledBack');
  });
});

describe('a rollback over fakes to a revision with the present manifest', function () {
  this.timeout(60_000);

  const hook = (name: string): Hook => ({
    name,
    kind: 'ConfigMap',
    events: ['pre-rollback'],
    lastPhase: '',
    manifest: JSON.stringify(configMap(name)),
  });

  /** This label, which Helm puts on all its objects, means that nothing needs to be applied again. */
  const managed = (object: KubeObject): KubeObject => ({
    ...object,
    metadata: { ...object.metadata, labels: { ...object.metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' } },
  });

  it('with the same hooks, which do not run in a rollback: it is already there', async () => {
    const history = [revision(1, 'superseded', one, { labels }), revision(2, 'deployed', one)];
    const on = await begin({ history, live: one.objects.map(managed) });
    assert.equal(outcome(await rollBack(on, await plan(on))), 'alreadyThere');
  });

  for (const [what, targetHooks, presentHooks] of [
    ['other hooks', [hook('notice')], [hook('other')]],
    ['a hook that the present one has not', [hook('notice')], []],
    ['a hook that the present one has too', [hook('notice')], [hook('notice')]],
    ['no hook, while the present one has one', [], [hook('notice')]],
  ] as const) {
    it(`with ${what}: it is done as planned, and the same step again reports that it is already there`, async () => {
      const history = [
        revision(1, 'superseded', one, { labels, hooks: targetHooks }),
        revision(2, 'deployed', one, { hooks: presentHooks }),
      ];
      const on = await begin({ history, live: one.objects.map(managed) });
      const digest = await plan(on);
      const planned = JSON.parse(on.plans.stored.get(digest)?.text ?? '{}') as ChangePlan;
      assert.equal(
        planned.hooks.some(({ willRun }) => willRun),
        targetHooks.length > 0,
      );
      const done = await rollBack(on, digest);
      assert.equal(outcome(done), 'rolledBack', done.report?.report.message);
      assert.equal(outcome(await rollBack(on, digest)), 'alreadyThere');
    });
  }
});

describe('a rollback over fakes of pods that are held back', function () {
  this.timeout(60_000);
  const allowing = (allow: FindingCode[]): Partial<RollbackTaskRequest> => ({
    rollback: { toRevision: 'verified', policy: { ...defaultPolicy, allow } },
  });
  const allow = allowing(['PodsHeldBack']);
  const pausedWeb = (image: string): KubeObject => {
    const web = deployment('web', image);
    return { ...web, spec: { ...(web['spec'] as object), paused: true } };
  };
  const specOf = (on: Scene): { paused?: unknown } => liveObject(on.cluster, deployment('web', ''))?.['spec'] as object;

  async function pause(on: Scene): Promise<void> {
    const web = liveObject(on.cluster, deployment('web', ''));
    assert.ok(web !== undefined);
    on.cluster.put({ ...web, spec: { ...(web['spec'] as object), paused: true } }, 'kubectl-rollout');
    await on.time.sleep(5000, new AbortController().signal);
  }

  it('pods held by hand before the plan are refused; with allow they are released and the rollback is done', async () => {
    const on = await begin();
    await pause(on);
    const refused = await on.run<ReportedRollback>({ job: 'plan' }, (start) =>
      planForRelease(startOf(start, on.plans, {})),
    );
    assert.equal(refused.report?.report.outcome, 'refused');
    assert.match(refused.report.report.message, /PodsHeldBack: Deployment\/web: it is paused/);
    const done = await rollBack(on, await plan(on, allow), { request: allow });
    assert.equal(outcome(done), 'rolledBack', done.report?.report.message);
    assert.equal(specOf(on).paused, undefined);
    assertRolledBack(on, 'let go');
  });

  it('pods held by hand after the plan are refused, and nothing is changed', async () => {
    const on = await begin();
    const digest = await plan(on);
    await pause(on);
    assert.equal(outcome(await rollBack(on, digest)), 'refused PlanChanged');
    assert.equal(specOf(on).paused, true);
  });

  it("pods held by the target's chart, with allow: the rollback is unfinished until somebody replaces them, with the reason", async () => {
    const held = chart('1', [pausedWeb('1')]);
    const history = [revision(1, 'superseded', held, { labels }), revision(2, 'deployed', two)];
    const on = await begin({ history, live: two.objects });
    const done = await rollBack(on, await plan(on, allow), { request: { ...allow, rollbackTimeoutSeconds: 60 } });
    assert.equal(outcome(done), 'failed TimedOut', done.report?.report.message);
    assert.match(done.report?.report.message ?? '', /1 pod is still of an earlier template: it is paused/);
    assert.equal(done.report?.report.health, 'unhealthy');
    assert.notEqual(outcome(await rollBack(on, await plan(on, allow), { request: allow })), 'alreadyThere');
  });
});

describe('a rollback to an object version that the API server no longer serves', function () {
  this.timeout(60_000);

  const scaler = (version: string): KubeObject => ({
    apiVersion: `autoscaling/${version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web' },
    spec: { maxReplicas: 3 },
    status: { conditions: [{ type: 'AbleToScale', status: 'True' }] },
  });
  const served = { kind: 'HorizontalPodAutoscaler', plural: 'horizontalpodautoscalers', namespaced: true };
  const podSecurity = { apiVersion: 'policy/v1beta1', kind: 'PodSecurityPolicy', metadata: { name: 'web' } };
  const web = [deployment('web', '1'), configMap('settings')];
  const newCluster = async (of: readonly KubeObject[]): Promise<Scene> => {
    const history = [
      revision(1, 'superseded', chart('1', of), { labels }),
      revision(2, 'deployed', chart('2', [...web, scaler('v2beta2')])),
    ];
    const live = [...web, scaler('v2')];
    const on = { ...(await stage({ history, live })), plans: fakePlanStore() };
    on.cluster.served.set('autoscaling/v2/HorizontalPodAutoscaler', { apiVersion: 'autoscaling/v2', ...served });
    return on;
  };
  const manifests = (on: Scene): string => on.storage.records.map(({ manifest }) => manifest).join('\n');

  it('the plan writes nothing, and the records are converted before the rollback', async () => {
    const on = await newCluster([...web, configMap('old'), scaler('v2beta2')]);
    const before = manifests(on);
    const digest = await plan(on);
    assert.equal(manifests(on), before);
    assert.equal(on.plans.stored.get(digest)?.text.match(/"RenewedApi"/g)?.length, 2);
    const done = await rollBack(on, digest);
    assert.equal(outcome(done), 'rolledBack', done.report?.report.message);
    assert.doesNotMatch(manifests(on), /v2beta2/);
    assert.match(done.agent.lines.join('\n'), /revision 1 names HorizontalPodAutoscaler of autoscaling\/v2beta2/);
  });

  it('killed at each moment: the same step, approved as before, resumes the rollback', async () => {
    const old = [...web, configMap('old'), scaler('v2beta2')];
    const whole = await newCluster(old);
    const { moments } = await rollBack(whole, await plan(whole));
    for (const mishap of kills(moments)) {
      const on = await newCluster(old);
      const digest = await plan(on);
      const timeline = gated(on.time.now().getTime() - 60_000);
      const killed = await rollBack(on, digest, { mishap, timeline });
      const where = `${JSON.stringify(mishap)} at ${killed.moments.at(mishap.at - 1) ?? ''}`;
      const again = await rollBack(on, digest, { job: 'again', timeline });
      assert.match(outcome(again), /^(rolledBack|alreadyThere)$/, `${where}: ${again.report?.report.message ?? ''}`);
      assert.doesNotMatch(manifests(on), /v2beta2/, where);
    }
  });

  it('an object of a removed Kubernetes kind is left out, and the approver is informed', async () => {
    const on = await newCluster([...web, podSecurity]);
    const digest = await plan(on);
    assert.match(
      on.plans.stored.get(digest)?.text ?? '',
      /"OmittedApi"[^}]*PodSecurityPolicy of policy\/v1beta1, [^}]*the task removes it/,
    );
    assert.equal(outcome(await rollBack(on, digest)), 'rolledBack');
    assert.doesNotMatch(manifests(on), /PodSecurityPolicy/);
  });
});

describe('a Helm that writes during the rehearsal', function () {
  this.timeout(60_000);

  async function planned(tamper: (on: Scene) => void): Promise<Step> {
    const on = await begin();
    return on.run<ReportedRollback>({ job: 'plan' }, (start) => {
      const rollbackHelm: RollbackHelm = {
        ...start.rollbackHelm,
        async rehearse(...given) {
          tamper(on);
          return start.rollbackHelm.rehearse(...given);
        },
      };
      return planForRelease({ ...startOf(start, on.plans, { request: { action: 'plan' } }), rollbackHelm });
    });
  }

  const web = deployment('web', '2');
  const tampers: readonly [string, (on: Scene) => void, RegExp][] = [
    [
      'deletes an object',
      (on) => on.cluster.objects.delete(objectKey(refOf(inNamespace(web)))),
      /its objects were changed: Deployment\/web was deleted\./,
    ],
    [
      'changes a field that nobody declares',
      (on) => {
        const live = liveObject(on.cluster, configMap('settings'));
        assert.ok(live !== undefined);
        on.cluster.put({ ...live, data: { mode: 'two', own: 'yes' } }, 'kubectl-patch');
      },
      /ConfigMap\/settings was changed: data\.own \(by kubectl-patch\)/,
    ],
    [
      'rolls back for real',
      (on) => {
        on.storage.records = on.storage.records.map((record) =>
          record.revision === 2 ? { ...record, status: 'superseded' } : record,
        );
      },
      /the release was changed: revision 2 \(superseded\)/,
    ],
  ];
  for (const [what, tamper, message] of tampers) {
    it(`${what}: the plan fails, names what was changed and how to undo it`, async () => {
      const step = await planned(tamper);
      assert.equal(outcome(step), 'failed ProofFailed');
      assert.match(step.report?.report.message ?? '', message);
      assert.match(step.report?.report.message ?? '', /To (roll back|restore).*helm rollback shop 2 --namespace prod/);
      assert.doesNotMatch(step.report?.report.message ?? '', /Nothing was changed/);
    });
  }

  it('while a controller goes on with its work, the plan is made', async () => {
    const step = await planned((on) => {
      const live = liveObject(on.cluster, web);
      assert.ok(live !== undefined);
      const annotations = { ...live.metadata.annotations, 'deployment.kubernetes.io/revision': '3' };
      on.cluster.put({ ...live, metadata: { ...live.metadata, annotations }, status: { observedGeneration: 7 } });
    });
    assert.equal(outcome(step), 'planned', step.report?.report.message);
  });
});

describe('data in the cluster proves no approval', function () {
  this.timeout(60_000);

  const forgeries: readonly [string, Partial<StoredPlan>][] = [
    ['an execution that was begun', { execution: { state: 'begun', revision: 3 } }],
    ['an execution that had made the present revision', { execution: { state: 'begun', revision: 2 } }],
    ['an execution that was done', { execution: { state: 'done', revision: 2 } }],
  ];
  for (const [what, edit] of forgeries) {
    it(`${what} is written into the kept plan: a gate from before the plan does not count`, async () => {
      const on = await begin();
      const digest = await plan(on);
      editPlan(on, digest, () => edit);
      const early = gated(on.time.now().getTime() - 600_000);
      const refused = await rollBack(on, digest, { timeline: early });
      assert.equal(outcome(refused), 'refused ApprovalMissing', refused.report?.report.message);
      assert.equal(refused.report?.report.approvedBy, '');
      assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed');
    });
  }

  it('another salt only makes the plan unusable', async () => {
    const on = await begin();
    const digest = await plan(on);
    editPlan(on, digest, () => ({ salt: 'another' }));
    assert.equal(outcome(await rollBack(on, digest)), 'refused PlanChanged');
  });

  it('an earlier time makes the plan unusable', async () => {
    const on = await begin();
    const digest = await plan(on);
    editPlan(on, digest, ({ text }) => ({
      text: text.replace(/"createdAt": "[^"]+"/, '"createdAt": "2020-01-01T00:00:00.000Z"'),
    }));
    assert.equal(outcome(await rollBack(on, digest)), 'refused PlanMissing');
  });

  it('a target whose record was edited since the plan is refused', async () => {
    const on = await begin();
    const digest = await plan(on);
    on.storage.records = on.storage.records.map((record) =>
      record.revision === 1 ? { ...record, config: { edited: true } } : record,
    );
    const refused = await rollBack(on, digest);
    assert.equal(outcome(refused), 'refused PlanChanged');
    assert.match(refused.report?.report.message ?? '', /record of revision 1, the target, was changed/);
  });
});

describe('an interrupted rollback over fakes', function () {
  this.timeout(60_000);

  async function momentsOf(): Promise<readonly string[]> {
    const on = await begin();
    return (await rollBack(on, await plan(on))).moments;
  }

  it('killed at each moment: the same step, approved as before, resumes the rollback', async () => {
    for (const mishap of kills(await momentsOf())) {
      const on = await begin();
      const digest = await plan(on);
      const gate = gated(on.time.now().getTime() - 60_000);
      const killed = await rollBack(on, digest, { mishap, timeline: gate });
      const where = `${JSON.stringify(mishap)} at ${killed.moments.at(mishap.at - 1) ?? ''}`;
      const again = await rollBack(on, digest, { job: 'again', timeline: gate });
      assert.match(outcome(again), /^(rolledBack|alreadyThere)$/, `${where}: ${again.report?.report.message ?? ''}`);
      assertRolledBack(on, where);
    }
  });

  it('killed at each moment: post-job resumes it with the proof that the agent keeps, without Azure DevOps', async () => {
    for (const mishap of kills(await momentsOf()).filter((_, index) => index % 2 === 0)) {
      const on = await begin();
      const digest = await plan(on);
      const killed = await rollBack(on, digest, { mishap });
      const where = `${JSON.stringify(mishap)} at ${killed.moments.at(mishap.at - 1) ?? ''}`;
      if (killed.left === undefined || killed.left.revision === 0) continue;
      const resumed = await resume(on, digest, { variables: killed.variables, timeline: undefined });
      assertNotWaited(resumed, where);
      if (outcome(resumed) === 'cancelled Cancelled') continue;
      assert.match(
        outcome(resumed),
        /^(rolledBack|alreadyThere)$/,
        `${where}: ${resumed.report?.report.message ?? ''}`,
      );
      assertRolledBack(on, where);
    }
  });

  it('cancelled at each moment: post-job, or the same step again, resumes it', async () => {
    for (const mishap of everyTime(await momentsOf(), 'cancelled')) {
      const on = await begin();
      const digest = await plan(on);
      const gate = gated(on.time.now().getTime() - 60_000);
      const cancelled = await rollBack(on, digest, { mishap, timeline: gate });
      const where = `${JSON.stringify(mishap)} at ${cancelled.moments.at(mishap.at - 1) ?? ''}`;
      if (cancelled.left !== undefined && cancelled.left.revision !== 0) {
        const resumed = await resume(on, digest, { variables: cancelled.variables, timeline: undefined });
        assert.match(outcome(resumed), /^(rolledBack|alreadyThere|cancelled Cancelled)$/, where);
        if (outcome(resumed) !== 'cancelled Cancelled') assertRolledBack(on, where);
      }
      const again = await rollBack(on, digest, { job: 'again', timeline: gate });
      assert.match(outcome(again), /^(rolledBack|alreadyThere)$/, `${where}: ${again.report?.report.message ?? ''}`);
      assertRolledBack(on, where);
    }
  });

  for (const what of ['cancelled', 'killed'] as const) {
    it(`${what} at each moment, without post-job: the next deploy leaves nothing of the revision behind`, async () => {
      const moments = await momentsOf();
      const mishaps = what === 'killed' ? kills(moments) : everyTime(moments, 'cancelled');
      for (const next of [chart('3', [deployment('web', '3')]), one]) {
        for (const mishap of mishaps) {
          const on = await begin();
          const ended = await rollBack(on, await plan(on), { mishap });
          const where = `${JSON.stringify(mishap)} at ${ended.moments.at(mishap.at - 1) ?? ''}`;
          const { report } = await on.deploy({ job: 'next', chart: next });
          assert.match(report?.outcome ?? '', /^(deployed|recovered|unchanged)$/, `${where}: ${report?.message ?? ''}`);
          const left = live(on.cluster).filter((name) => name === 'ConfigMap/new');
          assert.deepEqual(left, [], `${where}, then ${next.version}: ${told(on.storage.records)}`);
        }
      }
    });
  }

  it('killed at each moment and no longer approved: nothing is resumed, and nothing is left pending', async () => {
    for (const mishap of kills(await momentsOf())) {
      const on = await begin();
      const digest = await plan(on);
      const killed = await rollBack(on, digest, { mishap });
      const where = `${JSON.stringify(mishap)} at ${killed.moments.at(mishap.at - 1) ?? ''}`;
      const before = told(on.storage.records);
      const refused = await rollBack(on, digest, { job: 'another run', timeline: [] });
      const after = told(on.storage.records);
      assert.ok(!after.includes('pending'), `${where}: ${before}, then ${after}: ${outcome(refused)}`);
      if (outcome(refused) === 'alreadyThere') continue;
      assert.match(outcome(refused), /ApprovalMissing/, `${where}: ${refused.report?.report.message ?? ''}`);
      if (before.includes('pending') && after.includes('3 failed')) {
        assert.doesNotMatch(refused.report?.report.message ?? '', /Nothing was changed/, where);
      }
    }
  });

  it('a port fails at each moment: the same step resumes it', async () => {
    for (const mishap of everyTime(await momentsOf(), 'fails')) {
      const on = await begin();
      const digest = await plan(on);
      const gate = gated(on.time.now().getTime() - 60_000);
      const first = await rollBack(on, digest, { mishap, timeline: gate });
      const where = `${JSON.stringify(mishap)} at ${first.moments.at(mishap.at - 1) ?? ''}`;
      // The fake has no fence, so the objects that Helm deleted and that were restored are new objects.
      if (first.report?.report.restoredObjects.length !== 0) continue;
      const again = await rollBack(on, digest, { job: 'again', timeline: gate });
      assert.match(outcome(again), /^(rolledBack|alreadyThere)$/, `${where}: ${again.report?.report.message ?? ''}`);
      assertRolledBack(on, where);
    }
  });

  it('after Helm failed half-way, the target «previous» is still the approved revision', async () => {
    const at = (await momentsOf()).indexOf('Helm: apply ConfigMap/settings') + 1;
    assert.ok(at > 0);
    const on = await begin();
    const request = { rollback: { toRevision: 'previous', policy: defaultPolicy } } as const;
    const digest = await plan(on, request);
    const failed = await rollBack(on, digest, { request, mishap: { what: 'fails', at } });
    assert.equal(outcome(failed), 'failed ApplyRejected');
    assert.match(failed.report?.report.message ?? '', /this step once more with the same planDigest/);
    const again = await rollBack(on, digest, { request, job: 'again' });
    assert.equal(outcome(again), 'rolledBack', again.report?.report.message);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 superseded, 3 failed, 4 deployed+verified');
    assertRolledBack(on, 'again');
  });

  it('after Helm failed following a rollback that was judged bad, a new plan is needed', async () => {
    const on = await begin();
    const digest = await plan(on);
    await rollBack(on, digest);
    const labels = { 'helm-safe-deploy/unhealthy': '3' };
    on.storage.records = on.storage.records.map((record) =>
      record.revision === 3 ? { ...record, status: 'failed', labels } : record,
    );
    editPlan(on, digest, () => ({ execution: { state: 'begun', revision: 3 } }));
    assert.equal(outcome(await rollBack(on, digest, { job: 'again' })), 'refused PlanChanged');
  });
});

describe('a rollback of plain workloads over fakes', function () {
  this.timeout(60_000);
  const names = ['a', 'b', 'c'];
  const request: Partial<RollbackTaskRequest> = {
    subject: { kind: 'workloads', workloads: names.map((name) => ({ kind: 'deployment', name })) },
    rollback: { toRevision: 'previous', policy: defaultPolicy },
    releaseName: plainWorkloadsLock,
  };
  const never = new AbortController().signal;

  async function beginPlain(): Promise<Scene> {
    const on = await begin({ history: [], live: names.map((name) => deployment(name, '1')) });
    for (const name of names) {
      const live = liveObject(on.cluster, deployment(name, '1'));
      assert.ok(live !== undefined);
      on.cluster.put({ ...live, spec: deployment(name, '2')['spec'] });
    }
    await on.time.sleep(10_000, never);
    return on;
  }

  async function planPlain(on: Scene): Promise<string> {
    const { report } = await on.run<ReportedRollback>({ job: 'plan' }, (start) =>
      planForWorkloads(startOf(start, on.plans, { request: { ...request, action: 'plan' } })),
    );
    assert.equal(report?.report.outcome, 'planned', report?.report.message);
    await on.time.sleep(120_000, never);
    return report.report.planDigest.replace('sha256:', '');
  }

  function undo(on: Scene, planDigest: string, options: StepOptions = {}, flow = rollBackWorkloads): Promise<Step> {
    const { job = 'rollback', mishap } = options;
    const timeline = 'timeline' in options ? options.timeline : gated(on.time.now().getTime() - 60_000);
    return on.run({ job, mishap }, (start) =>
      flow(startOf(start, on.plans, { ...options, timeline, request: { ...request, planDigest } })),
    );
  }

  const images = (on: Scene): string[] =>
    names.map((name) => {
      const spec = liveObject(on.cluster, deployment(name, ''))?.['spec'] as {
        template: { spec: { containers: { image: string }[] } };
      };
      return spec.template.spec.containers[0]?.image.split(':')[1] ?? '';
    });

  async function momentsOf(): Promise<readonly string[]> {
    const on = await beginPlain();
    const done = await undo(on, await planPlain(on));
    assert.equal(outcome(done), 'rolledBack', done.report?.report.message);
    assert.deepEqual(images(on), ['1', '1', '1']);
    return done.moments;
  }

  /** Each workload is rehearsed before the first one is patched. */
  async function momentOfPatch(number: number): Promise<number> {
    const patches = [...(await momentsOf()).entries()].filter(([, moment]) => moment === 'cluster.patch Deployment');
    return (patches[names.length + number - 1]?.[0] ?? assert.fail()) + 1;
  }

  it('killed at each moment: the same step, approved as before, resumes it', async () => {
    for (const mishap of kills(await momentsOf())) {
      const on = await beginPlain();
      const digest = await planPlain(on);
      const gate = gated(on.time.now().getTime() - 60_000);
      const killed = await undo(on, digest, { mishap, timeline: gate });
      const where = `${JSON.stringify(mishap)} at ${killed.moments.at(mishap.at - 1) ?? ''}`;
      const again = await undo(on, digest, { job: 'again', timeline: gate });
      assert.match(outcome(again), /^(rolledBack|alreadyThere)$/, `${where}: ${again.report?.report.message ?? ''}`);
      assert.deepEqual(images(on), ['1', '1', '1'], where);
    }
  });

  it('killed after the first workload: post-job resumes with the proof that the agent keeps, another run does not', async () => {
    const at = await momentOfPatch(1);
    const mishap: Mishap = { what: 'killed', at, isDone: true, helm: 'dies' };
    const on = await beginPlain();
    const digest = await planPlain(on);
    const killed = await undo(on, digest, { mishap });
    assert.deepEqual(images(on), ['1', '2', '2']);
    assert.equal(killed.left?.action, 'rollback');
    const refused = await undo(on, digest, { job: 'other', timeline: [] });
    assert.equal(outcome(refused), 'refused ApprovalMissing');
    const told =
      /has rolled back Deployment\/a\. Not rolled back yet: Deployment\/b, Deployment\/c\. This run changed nothing\.$/;
    assert.match(refused.report?.report.message ?? '', told);
    assert.doesNotMatch(refused.report?.report.message ?? '', /Nothing was changed/);
    assert.deepEqual(images(on), ['1', '2', '2']);
    const resumed = await undo(on, digest, { variables: killed.variables, timeline: undefined }, (start) =>
      resumeWorkloads({ ...start, isHelmStopped: true }),
    );
    assertNotWaited(resumed, 'post-job');
    assert.equal(outcome(resumed), 'rolledBack', resumed.report?.report.message);
    assert.deepEqual(images(on), ['1', '1', '1']);
  });

  it('refused at the second workload: the report names which are rolled back, and the same step resumes it', async () => {
    const at = await momentOfPatch(2);
    const on = await beginPlain();
    const digest = await planPlain(on);
    const failed = await undo(on, digest, { mishap: { what: 'fails', at } });
    const told = /Rolled back by then: Deployment\/a\. Not rolled back: Deployment\/b, Deployment\/c\./;
    assert.match(failed.report?.report.message ?? '', told);
    assert.equal(outcome(await undo(on, digest, { job: 'again' })), 'rolledBack');
    assert.deepEqual(images(on), ['1', '1', '1']);
  });

  it('a remaining workload that was changed meanwhile is refused, and the report names which are rolled back', async () => {
    const at = await momentOfPatch(2);
    const on = await beginPlain();
    const digest = await planPlain(on);
    await undo(on, digest, { mishap: { what: 'fails', at } });
    const live = liveObject(on.cluster, deployment('c', '2'));
    assert.ok(live !== undefined);
    on.cluster.put({ ...live, spec: deployment('c', '3')['spec'] });
    await on.time.sleep(10_000, never);
    const refused = await undo(on, digest, { job: 'again' });
    assert.match(outcome(refused), /PlanChanged/);
    assert.match(
      refused.report?.report.message ?? '',
      /Deployment\/c was at revision 2, and is at 3 now\..*has rolled back Deployment\/a\. Not rolled back yet: .*Deployment\/c/s,
    );
    assert.deepEqual(images(on), ['1', '2', '3']);
  });

  it('the lease is lost while the workloads are followed: the ending says that, and not that somebody cancelled', async () => {
    const on = await begin({ history: [], live: names.map((name) => deployment(name, name === 'c' ? 'slow' : '1')) });
    for (const name of names) {
      const live = liveObject(on.cluster, deployment(name, '1'));
      assert.ok(live !== undefined);
      on.cluster.put({ ...live, spec: deployment(name, '2')['spec'] });
    }
    await on.time.sleep(10_000, never);
    const digest = await planPlain(on);
    const done = await undo(on, digest, {}, (start) => {
      const cluster: Cluster = {
        ...start.cluster,
        async patch(ref, patch, options) {
          const patched = await start.cluster.patch(ref, patch, options);
          if (ref.name === 'c' && options?.dryRun !== true) takeLease(on);
          return patched;
        },
      };
      return rollBackWorkloads({ ...start, cluster });
    });
    assert.equal(outcome(done), 'failed LeaseLost', done.report?.report.message);
    assert.match(done.report?.report.message ?? '', /Another run has taken the lock over/);
  });

  function takeLease(on: Scene): void {
    const lease = [...on.cluster.objects.values()].find(({ kind }) => kind === 'Lease');
    assert.ok(lease !== undefined);
    const { leaseTransitions } = lease['spec'] as { leaseTransitions?: number };
    const spec = {
      ...(lease['spec'] as object),
      holderIdentity: 'other',
      leaseTransitions: (leaseTransitions ?? 0) + 1,
    };
    on.cluster.put({ ...lease, spec });
  }
});
