import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { healthClosing, healthOutputs, type HealthReport } from '../../tasks/common/core/report/healthReport';
import type { HealthRequest } from '../../tasks/common/core/inputs/healthRequest';
import { brokenLabel, rollbackTarget, unhealthyLabel, verifiedLabel } from '../../tasks/common/core/release/history';
import { checkHealth } from '../../tasks/common/flows/rollout/checkHealth';
import type { HealthContext } from '../../tasks/common/flows/rollout/healthTargets';
import { assertReport } from '../support/reportSchema';
import type { Disturbance } from '../support/fakes/disturbance';
import {
  chart,
  configMap,
  deployment,
  inNamespace,
  liveObject,
  namespace,
  release,
  revision,
  scene,
  told,
  type Scene,
  type Setting,
} from '../support/fakes/scene';

const good = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const broken = chart('2.0.0', [configMap('settings'), deployment('web', 'broken')]);
const deployed = { history: [revision(1, 'deployed', good)], live: good.objects, chart: good };

const plain: HealthRequest = {
  connection: { type: 'none' },
  workloads: [],
  timeoutSeconds: 300,
  rollout: { failFast: true, graces: {}, statusRules: [], logLines: 50, followLogs: false },
  onUnhealthy: 'fail',
  markVerified: false,
};

interface Check {
  on: Scene;
  context: HealthContext;
}

async function check(setting: Setting, request: Partial<HealthRequest>): Promise<Check> {
  const on = await scene(setting);
  const { storage, ...shared } = on.context;
  const context: HealthContext = {
    ...shared,
    request: { ...plain, ...request },
    storage: request.releaseName === undefined ? undefined : storage,
  };
  return { on, context };
}

const ofRelease = { releaseName: release };
const web = { workloads: [{ kind: 'deployment', name: 'web' }] };

async function refusal(setting: Setting, request: Partial<HealthRequest>): Promise<TaskError> {
  const { context } = await check(setting, request);
  const error = await checkHealth(context).then(
    () => assert.fail('no error'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TaskError, String(error));
  return error;
}

describe('the health check', () => {
  it('a healthy release is reported healthy, and is marked only when an input asks for it', async () => {
    const { on, context } = await check(deployed, ofRelease);
    const report = await checkHealth(context);
    assert.equal(report.health, 'healthy');
    assert.equal(report.revision, 1);
    assert.equal(report.canRollBack, false);
    assert.equal(told(on.storage.records), '1 deployed');
  });

  for (const status of ['pending-upgrade', 'failed'] as const) {
    it(`markVerified does not mark a revision that Helm calls ${status}, however healthy it is`, async () => {
      const history = [revision(1, 'superseded', good), revision(2, status, good)];
      const { on, context } = await check({ ...deployed, history }, { ...ofRelease, markVerified: true });
      const report = await checkHealth(context);
      assert.deepEqual([report.health, report.markedVerified], ['healthy', false]);
      assert.equal(told(on.storage.records), `1 superseded, 2 ${status}`);
      assert.match(
        on.agent.lines.join('\n'),
        new RegExp(`Helm's record calls revision 2 ${status}: the live objects may be those of an earlier revision\\.`),
      );
      assert.match(on.agent.lines.join('\n'), new RegExp(`Revision 2 is not marked .* calls it ${status}\\.`));
    });
  }

  it('markVerified marks the revision that is healthy', async () => {
    const { on, context } = await check(deployed, { ...ofRelease, markVerified: true });
    assert.equal((await checkHealth(context)).markedVerified, true);
    assert.equal(told(on.storage.records), '1 deployed+verified');
  });

  it('markVerified does not mark a broken revision', async () => {
    const setting = { history: [revision(1, 'deployed', broken)], live: broken.objects, chart: broken };
    const { on, context } = await check(setting, { ...ofRelease, markVerified: true });
    const report = await checkHealth(context);
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.reason, 'ImageInvalidName');
    assert.equal(report.reasonGroup, 'image');
    assert.equal(report.failedWorkload, 'Deployment/web');
    assert.equal(report.markedVerified, false);
    assert.equal(told(on.storage.records), '1 deployed+broken');
  });

  describe('a release whose record says that a revision was judged unhealthy', () => {
    const lost = (cause: string): string => `1_${cause}`;
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'migrate' },
      spec: { ttlSecondsAfterFinished: 9 },
    };
    const withJob = chart('1.0.0', [deployment('web', 'good'), job]);

    for (const [incident, cause, health, live] of [
      ['a failed Job that has removed itself', 'JobFailed_Job.migrate', 'unhealthy', [deployment('web', 'good')]],
      ['a failed hook', 'HookFailed_Job.hook', 'unhealthy', withJob.objects],
      ['a container that runs by now', 'CrashLoop_Deployment.web', 'healthy', withJob.objects],
    ] as const) {
      it(`${incident}: ${health}`, async () => {
        const labels = { [unhealthyLabel]: '1', [brokenLabel]: lost(cause) };
        const history = [revision(1, 'failed', withJob, { labels })];
        const { context } = await check({ history, live, chart: withJob }, ofRelease);
        const report = await checkHealth(context);
        assert.deepEqual([report.health, report.reason], [health, health === 'healthy' ? '' : cause.split('_')[0]]);
        if (health === 'unhealthy')
          assert.match(report.message, /Revision 1 was judged unhealthy \(\w+\), and nothing/);
      });
    }

    it('a broken mark that Helm copied from another revision says nothing', async () => {
      const labels = { [brokenLabel]: '1_HookFailed_Job.hook' };
      const history = [revision(2, 'deployed', good, { labels })];
      const { context } = await check({ ...deployed, history }, ofRelease);
      assert.equal((await checkHealth(context)).health, 'healthy');
    });
  });

  it('a revision with a reservation is verified as soon as its pods are seen, without any input', async () => {
    const history = [revision(1, 'deployed', good, { labels: { 'helm-safe-deploy/reserved': '1' } })];
    const { on, context } = await check({ ...deployed, history }, ofRelease);
    assert.equal((await checkHealth(context)).health, 'healthy');
    assert.equal(told(on.storage.records), '1 deployed+verified');
  });

  it('markVerified does not verify a revision of which no pod runs', async () => {
    const web = deployment('web', 'good');
    const none = chart('1.0.0', [{ ...web, spec: { ...(web['spec'] as object), paused: true } }]);
    const history = [revision(1, 'deployed', none)];
    const { on, context } = await check(
      { history, live: none.objects, chart: none },
      { ...ofRelease, markVerified: true },
    );
    const report = await checkHealth(context);
    assert.equal(report.markedVerified, false);
    assert.equal(told(on.storage.records), '1 deployed+reserved');
    assert.match(healthClosing(report), /healthy, with a reservation.*\nNot verified: No pod of Deployment\/web/);
    const outputs = healthOutputs(report);
    assert.match(outputs['reservations'] ?? '', /^No pod of Deployment\/web/);
    assert.match(outputs['gateInstructions'] ?? '', /Not verified: No pod of Deployment\/web/);
    assertReport(report);
  });

  it('a verified revision has no reservation', async () => {
    const web = deployment('web', 'good');
    const none = chart('1.0.0', [{ ...web, spec: { ...(web['spec'] as object), paused: true } }]);
    const history = [revision(1, 'deployed', none, { labels: { [verifiedLabel]: '1' } })];
    const { context } = await check({ history, live: none.objects, chart: none }, ofRelease);
    assert.equal((await checkHealth(context)).reservations, undefined);
  });

  it('an unhealthy release is told with the pods behind its Services, for a gate too', async () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' } },
    };
    const sick = chart('1.0.0', [...broken.objects, service]);
    const { context } = await check(
      { history: [revision(1, 'deployed', sick)], live: sick.objects, chart: sick },
      ofRelease,
    );
    const report = await checkHealth(context);
    assert.deepEqual(
      report.services?.map(({ name, ready }) => [name, ready]),
      [['web', 0]],
    );
    assert.match(healthOutputs(report)['gateInstructions'] ?? '', /No ready pod stands behind Service\/web/);
    assert.match(healthClosing(report), /No ready pod stands behind Service\/web/);
    assertReport(report);
  });

  it('the present revision of a plain workload is noted as ready or as broken, where a later run finds it', async () => {
    const marks = async (objects: typeof good): Promise<Record<string, string> | undefined> => {
      const { on, context } = await check({ live: objects.objects, chart: objects }, web);
      await checkHealth(context);
      const [set] = await on.cluster.list({ apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace });
      const uid = set?.metadata.uid ?? '-';
      return Object.fromEntries(
        Object.entries(set?.metadata.annotations ?? {})
          .filter(([name]) => name.startsWith('helm-safe-deploy/'))
          .map(([name, value]) => [name, value.replace(uid, 'uid')]),
      );
    };
    assert.deepEqual(await marks(good), { 'helm-safe-deploy/verified': 'uid' });
    assert.deepEqual(await marks(broken), { 'helm-safe-deploy/broken': 'uid_ImageInvalidName' });
  });

  it('a verified revision that is seen unhealthy loses its mark, and gets it back', async () => {
    const labels = { [verifiedLabel]: '1' };
    const setting = { history: [revision(1, 'deployed', good, { labels })], live: broken.objects, chart: good };
    const { on, context } = await check(setting, ofRelease);
    assert.equal((await checkHealth(context)).health, 'unhealthy');
    assert.equal(told(on.storage.records), '1 deployed+verified+broken');
    assert.equal(rollbackTarget(on.storage.records), undefined);
    on.cluster.put(inNamespace(deployment('web', 'good')), 'helm');
    assert.equal((await checkHealth(context)).health, 'healthy');
    assert.equal(told(on.storage.records), '1 deployed+verified');
  });

  it('a connection that may not write the record still gets the health', async () => {
    const { on, context } = await check({ ...deployed, live: broken.objects }, ofRelease);
    assert.ok(context.storage !== undefined);
    context.storage = { ...context.storage, update: () => Promise.reject(new TaskError('PermissionDenied', 'No.')) };
    assert.equal((await checkHealth(context)).health, 'unhealthy');
    assert.match(on.agent.lines.join('\n'), /record does not say that revision 1 is unhealthy: No\./);
  });

  it('an object that becomes ready during the rollout is healthy', async () => {
    const { on, context } = await check({ ...deployed, live: [configMap('settings')] }, ofRelease);
    const annotations = { 'meta.helm.sh/release-name': release };
    on.cluster.put({ ...deployment('web', 'good'), metadata: { name: 'web', namespace, annotations } });
    assert.equal((await checkHealth(context)).health, 'healthy');
  });

  it('a missing object of the release is a failure', async () => {
    const { on, context } = await check(deployed, ofRelease);
    on.cluster.take(`/ConfigMap/${namespace}/settings`);
    const report = await checkHealth(context);
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.reason, 'ObjectMissing');
    assert.equal(report.failedWorkload, 'ConfigMap/settings');
  });

  it('a missing object of an unfinished revision may never have been created', async () => {
    const history = [revision(1, 'deployed', good), revision(2, 'failed', good)];
    const { on, context } = await check({ ...deployed, history }, ofRelease);
    on.cluster.take(`/ConfigMap/${namespace}/settings`);
    const report = await checkHealth(context);
    assert.equal(report.reason, 'ObjectMissing');
    assert.match(report.message, /is not there, and its revision is failed in Helm's record/);
    assert.match(report.advice, /may never have made the object/);
  });

  for (const reason of ['PermissionDenied', 'ClusterUnreachable', 'Internal'] as const) {
    it(`an object that cannot be read by its name either is unknown, with the reason: ${reason}`, async () => {
      const { on, context } = await check(deployed, { ...ofRelease, timeoutSeconds: 20 });
      on.cluster.take(`/ConfigMap/${namespace}/settings`);
      const { cluster } = context;
      const get: typeof cluster.get = (ref, options) =>
        ref.name === 'settings'
          ? Promise.reject(new TaskError(reason, 'The API server answered with an error (injected).'))
          : cluster.get(ref, options);
      const report = await checkHealth({ ...context, cluster: { ...cluster, get } });
      assert.deepEqual([report.health, report.reason], ['unknown', reason]);
      assert.match(report.message, /injected/);
    });
  }

  it('a rollout without a cause and without an end fails at the timeout', async () => {
    const slow = chart('1.0.0', [deployment('web', 'slow')]);
    const setting = { history: [revision(1, 'deployed', slow)], live: slow.objects, chart: slow };
    const { on, context } = await check(setting, { ...ofRelease, timeoutSeconds: 40 });
    const before = on.time.elapsed();
    const report = await checkHealth(context);
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.timedOut, true);
    assert.equal(on.time.elapsed() - before, 40_000);
  });

  for (const [name, history, to] of [
    [
      'the newest verified',
      [
        revision(1, 'superseded', good, { labels: { [verifiedLabel]: '1' } }),
        revision(2, 'superseded', good),
        revision(3, 'deployed', broken),
      ],
      1,
    ],
    [
      'the newest superseded where none is verified',
      [revision(1, 'superseded', good), revision(2, 'superseded', good), revision(3, 'deployed', broken)],
      2,
    ],
    ['never one that failed', [revision(1, 'failed', good), revision(2, 'deployed', broken)], null],
    [
      'never one that was found unhealthy, whatever Helm calls it since',
      [revision(1, 'superseded', good, { labels: { [unhealthyLabel]: '1' } }), revision(2, 'deployed', broken)],
      null,
    ],
    [
      'never one from before an uninstall',
      [revision(1, 'superseded', good), revision(2, 'uninstalled', good), revision(3, 'deployed', broken)],
      null,
    ],
  ] as const) {
    it(`rollback target: ${name}`, async () => {
      const { context } = await check({ history, live: broken.objects, chart: broken }, ofRelease);
      const report = await checkHealth(context);
      assert.equal(report.rollbackRevision, to);
      assert.equal(report.canRollBack, to !== null);
    });
  }

  it('a workload is checked by its name, with evidence when it fails', async () => {
    const { context } = await check({ live: broken.objects, chart: broken }, web);
    const report = await checkHealth(context);
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.release, '');
    assert.ok(report.evidence.length > 0);
    assert.equal(report.canRollBack, false);
  });

  it('a Deployment with an earlier ReplicaSet can be rolled back', async () => {
    const { on, context } = await check({ live: good.objects, chart: good }, web);
    const live = liveObject(on.cluster, deployment('web', 'good')) ?? assert.fail();
    on.cluster.put({ ...live, ...deployment('web', 'broken'), metadata: live.metadata });
    const report = await checkHealth(context);
    assert.equal(report.health, 'unhealthy');
    assert.equal(report.canRollBack, true);
  });

  it('a selector finds workloads and skips the objects that they own', async () => {
    const labelled = { ...deployment('web', 'good'), metadata: { name: 'web', labels: { app: 'web' } } };
    const { context } = await check({ live: [labelled], chart: good }, { selector: 'app=web' });
    const report = await checkHealth(context);
    assert.deepEqual(
      report.objects.map(({ kind, name }) => `${kind}/${name}`),
      ['Deployment/web'],
    );
    assert.equal(report.health, 'healthy');
  });

  const forbidden = new TaskError('PermissionDenied', 'You may not (injected).', { facts: { status: 403 } });
  const labelledWeb = { ...deployment('web', 'good'), metadata: { name: 'web', labels: { app: 'web' } } };

  async function select(
    selector: string,
    errors: Readonly<Record<string, TaskError>>,
  ): Promise<[HealthReport, string]> {
    const { on, context } = await check({ live: [labelledWeb], chart: good }, { selector });
    const { cluster } = context;
    const list: typeof cluster.list = async (query) => {
      const error = errors[query.kind];
      if (error !== undefined) throw error;
      return cluster.list(query);
    };
    return [await checkHealth({ ...context, cluster: { ...cluster, list } }), on.agent.lines.join('\n')];
  }

  it('a selector without the right to list pods uses the counters of their owners, and the log says so', async () => {
    const [report, log] = await select('app=web', { Pod: forbidden, ReplicaSet: forbidden });
    assert.equal(report.health, 'healthy');
    assert.match(log, /Pod objects that belong to no other workload are not looked for: You may not/);
  });

  for (const [what, selector, kind] of [
    ['pods, when they are all that it could be', 'app=none', 'Pod'],
    ['a kind that nothing else speaks for', 'app=web', 'CronJob'],
  ] as const) {
    it(`a selector without the right to list ${what}, is unknown`, async () => {
      const [report] = await select(selector, { [kind]: forbidden });
      assert.deepEqual([report.health, report.reason], ['unknown', 'PermissionDenied']);
    });
  }

  it('a selector that the API server rejects is a wrong input', async () => {
    const said = new TaskError('Internal', "Could not list: the API server answered 400: found '='", {
      facts: { status: 400 },
    });
    await assert.rejects(select('a=b=c', { Deployment: said, Pod: said }), (error: TaskError) => {
      assert.equal(error.reason, 'InputInvalid');
      assert.match(error.message, /^Input selector holds "a=b=c", which .*: found '='$/);
      return true;
    });
  });

  it('a workload that is named twice is checked once', async () => {
    const labelled = { ...deployment('web', 'good'), metadata: { name: 'web', labels: { app: 'web' } } };
    const { context } = await check({ live: [labelled], chart: good }, { ...web, selector: 'app=web' });
    assert.equal((await checkHealth(context)).objects.length, 1);
  });

  it('all missing workloads are named, and are not merely «not ready»', async () => {
    const error = await refusal(deployed, {
      workloads: [
        { kind: 'deployment', name: 'api' },
        { kind: 'job', name: 'gone' },
      ],
    });
    assert.equal(error.reason, 'WorkloadMissing');
    assert.match(error.message, /Deployment api/);
    assert.match(error.message, /Job gone/);
  });

  describe('hundreds of workloads of one kind, named one by one', () => {
    const names = Array.from({ length: 300 }, (_, index) => `web-${index}`);
    const live = names.map((name) => deployment(name, 'good'));
    const workloads = names.map((name) => ({ kind: 'deployment', name }));

    async function asked(
      more: Partial<HealthContext['cluster']> = {},
    ): Promise<{ gets: number; report: HealthReport }> {
      const { context } = await check({ live, chart: good }, { workloads });
      let gets = 0;
      const { cluster } = context;
      const counting: HealthContext['cluster'] = {
        ...cluster,
        get: (...args) => {
          gets++;
          return cluster.get(...args);
        },
        ...more,
      };
      return { report: await checkHealth({ ...context, cluster: counting }), gets };
    }

    it('are read with one list', async () => {
      const { report, gets } = await asked();
      assert.equal(report.objects.length, names.length);
      assert.equal(report.health, 'healthy');
      assert.equal(gets, 0);
    });

    it('are read one by one where the kind may not be listed', async () => {
      const refused = new TaskError('PermissionDenied', 'You may not list Deployments.');
      const { report, gets } = await asked({ list: () => Promise.reject(refused) });
      assert.equal(report.health, 'healthy');
      assert.equal(gets, names.length);
    });

    it('include one that does not exist, and it is named', async () => {
      const error = await refusal(
        { live, chart: good },
        { workloads: [...workloads, { kind: 'deployment', name: 'x' }] },
      );
      assert.equal(error.reason, 'WorkloadMissing');
      assert.match(error.message, /^Input workloads holds "deployment\/x"/);
    });
  });

  it('a kind that the API server does not serve is refused', async () => {
    const error = await refusal(deployed, { workloads: [{ kind: 'widget', name: 'a' }] });
    assert.equal(error.reason, 'InputInvalid');
    assert.match(error.message, /widget\/a/);
  });

  it('a selector that matches nothing is refused', async () => {
    assert.equal((await refusal(deployed, { selector: 'app=none' })).reason, 'WorkloadMissing');
  });

  for (const history of [[], [revision(1, 'uninstalled', good)]]) {
    it(`a release that is ${history.length === 0 ? 'not there' : 'uninstalled'} is refused`, async () => {
      assert.equal((await refusal({ history, chart: good }, ofRelease)).reason, 'ReleaseMissing');
    });
  }
});

const errors = {
  ClusterUnreachable: () => new TaskError('ClusterUnreachable', 'No answer (injected).'),
  PermissionDenied: () => new TaskError('PermissionDenied', 'You may not (injected).'),
  Conflict: () => new TaskError('Conflict', 'Somebody was faster (injected).'),
};

describe('a disturbed health check', () => {
  const stories: readonly (readonly [string, Setting, Partial<HealthRequest>])[] = [
    ['a healthy release that is marked', deployed, { ...ofRelease, markVerified: true }],
    [
      'a broken release',
      {
        history: [revision(1, 'superseded', good), revision(2, 'deployed', broken)],
        live: broken.objects,
        chart: broken,
      },
      ofRelease,
    ],
    ['a broken workload', { live: broken.objects, chart: broken }, web],
  ];

  async function run(setting: Setting, request: Partial<HealthRequest>, disturbance?: Disturbance) {
    const { on, context } = await check({ ...setting, disturbance }, request);
    return { on, report: await checkHealth(context) };
  }

  async function atEveryCall(
    [, setting, request]: (typeof stories)[number],
    how: Omit<Disturbance, 'at'>,
    verify: (one: { on: Scene; report: HealthReport }, whole: HealthReport, where: string) => void,
  ): Promise<void> {
    const whole = await run(setting, request);
    for (let at = 1; at <= whole.on.calls.length; at++) {
      const one = await run(setting, request, { ...how, at });
      const where = `call ${at}, ${whole.on.calls[at - 1] ?? ''}: ${one.report.health}, ${one.report.reason}, ${one.report.message}`;
      verify(one, whole.report, where);
    }
  }

  for (const story of stories) {
    for (const [word, error] of Object.entries(errors)) {
      for (const forEver of [false, true]) {
        it(`${story[0]}: ${word} at every call${forEver ? ' and from then on' : ''} never gives healthy and hides no earlier finding`, async () => {
          await atEveryCall(story, { how: 'fails', forEver, error }, ({ on, report }, whole, where) => {
            assert.equal(on.agent.depth(), 0, where);
            if (report.health === whole.health) return;
            assert.equal(report.health, 'unknown', where);
            assert.match(`${report.message} ${on.agent.lines.join('\n')}`, /injected/, where);
          });
        });
      }
    }

    it(`${story[0]}: cancelled at every call`, async () => {
      await atEveryCall(story, { how: 'cancel' }, ({ on, report }, whole, where) => {
        const after = on.cancelledAt ?? assert.fail(where);
        assert.ok(on.time.elapsed() - after.elapsed <= 1000, where);
        assert.ok(on.calls.length - after.calls <= 15, `${on.calls.length - after.calls} calls after ${where}`);
        if (report.health === whole.health) return;
        assert.equal(report.health, 'unknown', where);
        assert.equal(report.reason, 'Cancelled', where);
      });
    });
  }
});

describe('a health check that looks for drift', () => {
  const by = async (mode: 'report' | 'fail', more: Partial<HealthRequest> = {}, setting: Setting = deployed) => {
    const { on, context } = await check(setting, {
      ...ofRelease,
      markVerified: true,
      drift: { mode, rules: [] },
      ...more,
    });
    const settings = liveObject(on.cluster, configMap('settings')) ?? assert.fail();
    on.cluster.put({ ...settings, data: { a: 'by hand' } }, 'kubectl');
    const report = await checkHealth(context);
    assertReport(report);
    return { on, report };
  };
  const changed = chart('1.0.0', [configMap('settings', { a: '1' }), deployment('web', 'good')]);
  const drifting: Setting = { ...deployed, history: [revision(1, 'deployed', changed)], live: changed.objects };

  it('report: the check is healthy and marks the revision, and the report has the difference', async () => {
    const { on, report } = await by('report', {}, drifting);
    assert.deepEqual([report.health, report.reason, report.markedVerified], ['healthy', '', true]);
    assert.deepEqual(report.drift?.[0]?.diff, ['-data.a: "1"', '+data.a: by hand']);
    assert.equal(healthOutputs(report)['driftCount'], '1');
    assert.match(on.agent.lines.join('\n'), /\[Look for drift\]\nConfigMap\/settings/);
  });

  it('fail: drift is unhealthy, and says nothing about the revision', async () => {
    const { on, report } = await by('fail', {}, drifting);
    assert.deepEqual(
      [report.health, report.reason, report.failedWorkload],
      ['unhealthy', 'DriftFound', 'ConfigMap/settings'],
    );
    assert.match(report.message, /not as revision 1 declares them/);
    assert.equal(told(on.storage.records), '1 deployed');
  });

  it('fail: what the rules leave out is healthy', async () => {
    const rules = [{ kind: 'configmap', pointer: ['data', 'a'] }];
    const { report } = await by('fail', { drift: { mode: 'fail', rules } }, drifting);
    assert.deepEqual([report.health, report.drift], ['healthy', []]);
  });

  it('fail: a broken workload is the reason, and drift is reported beside it', async () => {
    const bad = chart('2.0.0', [configMap('settings', { a: '1' }), deployment('web', 'broken')]);
    const setting: Setting = { history: [revision(1, 'deployed', bad)], live: bad.objects, chart: bad };
    const { report } = await by('fail', {}, setting);
    assert.equal(report.health, 'unhealthy');
    assert.notEqual(report.reason, 'DriftFound');
    assert.equal(report.drift?.length, 1);
  });

  it('a revision that Helm did not complete is not compared', async () => {
    const { report } = await by('fail', {}, { ...drifting, history: [revision(1, 'failed', changed)] });
    assert.equal(report.drift, undefined);
    assert.notEqual(report.reason, 'DriftFound');
  });
});
