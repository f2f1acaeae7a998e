import assert from 'node:assert/strict';
import { shell, workloadOf } from '../support/brokenWorkloads';
import { runCheck, type CheckEnd } from '../support/product';
import { assertReport } from '../support/reportSchema';
import { serviceAccount, serviceAccountConnection, type Rule } from './identities';
import { app, fake, scenes, type Scene } from './scenes';

type Json = Readonly<Record<string, unknown>>;

/** kwok plays these pods: they are ready at once, Jobs complete, and nothing runs. */
const played = { nodeSelector: { type: 'kwok' }, tolerations: [{ operator: 'Exists' }], containers: [shell('')] };
/** No node matches this selector. */
const waiting = { nodeSelector: { none: 'such' }, containers: [shell('')] };
const gone = { containers: [{ name: 'app', image: 'localhost/Gone:1' }] };

const quick = { stableFor: '0' };

function check(s: Scene, inputs: Record<string, string>, token?: string): Promise<CheckEnd> {
  const connection = token === undefined ? {} : { connection: serviceAccountConnection(s, token) };
  return runCheck({ cluster: s.cluster, namespace: s.namespace, inputs: { timeout: '60s', ...inputs }, ...connection });
}

function apply(s: Scene, ...items: readonly object[]): Promise<void> {
  return s.cluster.apply(s.namespace, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

function assertHealth(end: CheckEnd, health: string, reason = ''): void {
  const text = `${end.outputs['health'] ?? '(none)'} ${end.outputs['reason'] ?? ''}`;
  assert.equal(text, `${health} ${reason}`, end.log);
  assert.equal(end.result, health === 'healthy' ? 'Succeeded' : 'Failed');
}

function objectsOf({ report }: CheckEnd): string[] {
  return (report?.objects ?? []).map(({ kind, name, health }) => `${kind}/${name} ${health}`);
}

function meta(name: string, labels: Json = {}): Json {
  return { name, labels };
}

const job = (name: string): Json => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: meta(name),
  spec: { template: { metadata: { labels: { app: name } }, spec: { restartPolicy: 'Never', ...played } } },
});

const cronJob = (name: string): Json => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: meta(name),
  spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: job(name)['spec'] } },
});

const pod = (name: string, labels: Json = {}): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: meta(name, labels),
  spec: played,
});

const service = (name: string): Json => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta(name),
  spec: { selector: { app: name }, ports: [{ port: 80 }] },
});

describe('RolloutHealthCheck', () => {
  const { scene } = scenes();

  scene('healthy workloads are found in every spelling that kubectl accepts', async (s) => {
    await apply(
      s,
      workloadOf('Deployment', 'web', played),
      workloadOf('StatefulSet', 'db', played),
      workloadOf('DaemonSet', 'agent', played),
      job('once'),
      cronJob('nightly'),
      pod('bare'),
      service('web'),
    );
    const workloads = [
      'Deployment/web',
      'deployments.apps/web',
      '  sts/db ',
      'ds/agent',
      'jobs.batch/once',
      'cj/nightly',
      'po/bare',
      '# a comment',
      '',
      'svc/web',
    ].filter((line) => !line.startsWith('#'));
    const end = await check(s, { workloads: workloads.join('\n'), ...quick });
    assertHealth(end, 'healthy');
    assertReport(end.report);
    assert.deepEqual(objectsOf(end), [
      'Deployment/web healthy',
      'StatefulSet/db healthy',
      'DaemonSet/agent healthy',
      'Job/once healthy',
      'CronJob/nightly healthy',
      'Pod/bare healthy',
      'Service/web healthy',
    ]);
    const { summary, gateInstructions, reportPath, channelMessage, channelMessagePath, ...outputs } = end.outputs;
    assert.deepEqual(outputs, {
      health: 'healthy',
      reason: '',
      reasonGroup: '',
      failedWorkload: '',
      canRollBack: 'false',
      failedClusters: '',
      reservations: '',
      driftCount: '',
    });
    assert.match(
      summary ?? '',
      /^Deployment\/web, StatefulSet\/db, DaemonSet\/agent and 4 more in namespace \S+: healthy\.$/,
    );
    assert.match(gateInstructions ?? '', /healthy/);
    assert.match(reportPath ?? '', /json$/);
    assert.match(channelMessage ?? '', /: healthy\n/);
    assert.match(channelMessagePath ?? '', /md$/);
  });

  scene('a custom resource is named with its group, in singular, plural or short form', async (s) => {
    const group = `${s.namespace}.example.com`;
    await apply(s, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: meta(`toys.${group}`),
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'toys', singular: 'plaything', shortNames: ['ty'], kind: 'Toy' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    });
    try {
      await s.cluster.runKubectl('wait', '--for=condition=Established', `crd/toys.${group}`);
      const ready = { conditions: [{ type: 'Ready', status: 'True', reason: 'Wound', message: 'it runs' }] };
      const broken = {
        conditions: [{ type: 'Failed', status: 'True', reason: 'Spring', message: 'the spring is broken' }],
      };
      const toy = (name: string, status: Json): Json => ({
        apiVersion: `${group}/v1`,
        kind: 'Toy',
        metadata: meta(name),
        status,
      });
      await apply(s, toy('duck', ready), toy('bear', broken));
      const names = ['toy', 'toys', 'plaything', 'ty'].map((word) => `${word}.${group}/duck`);
      assertHealth(await check(s, { workloads: names.join('\n') }), 'healthy');
      const end = await check(s, { workloads: `toy.${group}/bear`, graces: 'CustomResourceFailed: 0' });
      assertHealth(end, 'unhealthy', 'CustomResourceFailed');
      assert.match(end.outputs['summary'] ?? '', /the spring is broken/);
    } finally {
      await s.cluster.runKubectl('delete', 'crd', `toys.${group}`, '--wait=false');
    }
  });

  scene('a selector judges workloads that nothing owns, and owned objects by their owner', async (s) => {
    const labelled = (workload: Json): Json => ({
      ...workload,
      metadata: { ...(workload['metadata'] as Json), labels: { team: 'a', app: 'web' } },
    });
    await apply(
      s,
      labelled(workloadOf('Deployment', 'web', played)),
      workloadOf('Deployment', 'other', waiting),
      pod('bare', { team: 'a' }),
    );
    await s.cluster.runKubectl('label', 'pods,replicasets', '--all', 'team=a', '--namespace', s.namespace);
    await s.cluster.runKubectl('label', 'pods,replicasets', '-l', 'app=other', 'team-', '--namespace', s.namespace);
    const end = await check(s, { selector: 'team in (a, b),!legacy', ...quick });
    assertHealth(end, 'healthy');
    assert.deepEqual(objectsOf(end), ['Deployment/web healthy', 'Pod/bare healthy']);
    assertHealth(await check(s, { selector: 'team=z' }), 'unknown', 'WorkloadMissing');
  });

  scene(
    'a release: a missing object fails, the gate instructions name the rollback target, and onUnhealthy: succeed lets the step succeed',
    async (s) => {
      await s.helm(s.cluster.helm4, 'install', 'web', app, '--set', fake.join(','));
      const first = await check(s, { releaseName: 'web', markVerified: 'true' });
      assertHealth(first, 'healthy');
      assertReport(first.report);
      assert.equal(first.report?.markedVerified, true);
      assert.equal(first.outputs['canRollBack'], 'false');
      assert.deepEqual(await s.marks(), ['1 verified=1']);

      await s.helm(s.cluster.helm4, 'upgrade', 'web', app, '--set', [...fake, 'text=two'].join(','));
      await s.cluster.runKubectl('delete', 'configmap', 'web', '--namespace', s.namespace);
      const end = await check(s, { releaseName: 'web', markVerified: 'true', onUnhealthy: 'succeed' });
      assert.equal(end.result, 'Succeeded', end.log);
      assertReport(end.report);
      // Helm copies labels to the next record. The mark names the revision that it belongs to.
      assert.deepEqual(await s.marks(), ['1 verified=1', '2 verified=1']);
      const { health, reason, reasonGroup, failedWorkload, canRollBack, gateInstructions } = end.outputs;
      assert.deepEqual(
        { health, reason, reasonGroup, failedWorkload, canRollBack },
        {
          health: 'unhealthy',
          reason: 'ObjectMissing',
          reasonGroup: 'other',
          failedWorkload: 'ConfigMap/web',
          canRollBack: 'true',
        },
      );
      assert.match(
        gateInstructions ?? '',
        /ConfigMap\/web[^]*Revision now: 2, app 1\.0\.0, [^]* A rollback would go to revision 1, app 1\.0\.0, /,
      );
    },
  );

  scene('a release that does not exist or is uninstalled is not reported as unhealthy', async (s) => {
    const end = await check(s, { releaseName: 'nothing' });
    assertHealth(end, 'unknown', 'ReleaseMissing');
    assert.match(end.log, /Input releaseName holds "nothing": there is no such release in namespace/);
  });

  scene('a plain workload can be rolled back when it has an earlier revision', async (s) => {
    await apply(s, workloadOf('Deployment', 'web', played), workloadOf('Deployment', 'fresh', played));
    await s.cluster.runKubectl('rollout', 'status', 'deployment/web', '--namespace', s.namespace, '--timeout=60s');
    await apply(s, workloadOf('Deployment', 'web', waiting));
    const graces = 'Unschedulable: 0';
    const end = await check(s, { workloads: 'deployment/web\ndeployment/fresh', graces });
    assertHealth(end, 'unhealthy', 'Unschedulable');
    assert.equal(end.outputs['canRollBack'], 'true', end.log);
    assert.equal(end.outputs['failedWorkload'], 'Deployment/web');
    assert.match(end.outputs['gateInstructions'] ?? '', /Every workload can be rolled back/);
  });

  scene('gate instructions have at most 4000 characters, and no log text acts in them @real-node', async (s) => {
    const hostile = [
      'echo "##vso[task.setvariable variable=stolen]yes"',
      'i=0; while [ $i -lt 200 ]; do echo "line $i \\$(System.AccessToken) \\${{ variables.x }} | \\`\\`\\` <img src=x> $(head -c 150 /dev/zero | tr "\\0" x)"; i=$((i+1)); done',
      'echo "FATAL: out of \\$(luck)"; exit 1',
    ];
    await apply(s, workloadOf('Deployment', 'web', { containers: [shell(hostile.join('\n'))] }));
    const end = await check(s, { workloads: 'deployment/web', graces: 'CrashLoop: 0', logLines: '300' });
    assertHealth(end, 'unhealthy', 'CrashLoop');
    const gate = end.outputs['gateInstructions'] ?? '';
    assert.ok(gate.length <= 4000, `${gate.length} characters`);
    assert.doesNotMatch(gate, /\$\(|\$\{\{/);
    assert.match(gate, /FATAL: out of/);
    assert.match(gate, /Deployment\/web/);
    assert.deepEqual(end.job.violations, []);
    assert.match(end.log, /FATAL: out of \$\(luck\)/);
  });

  scene('logLines 0 shows no log, and failFast false waits until the timeout @real-node', async (s) => {
    await apply(s, workloadOf('Deployment', 'web', gone));
    await s.until('the kubelet to say so', async () =>
      JSON.stringify(await s.list('/api/v1/namespaces/$ns/pods')).includes('InvalidImageName'),
    );
    const end = await check(s, { workloads: 'deployment/web', failFast: 'false', logLines: '0', timeout: '10s' });
    assertHealth(end, 'unhealthy', 'ImageInvalidName');
    assert.equal(end.report?.timedOut, true);
    assert.equal(end.outputs['reasonGroup'], 'image');
    assert.deepEqual(
      end.report.evidence.filter(({ kind }) => kind === 'log'),
      [],
    );
  });

  scene('all mistakes in the inputs are reported at once', async (s) => {
    const nothing = await check(s, {});
    assertHealth(nothing, 'unknown', 'InputInvalid');
    assert.match(nothing.log, /give at least one of workloads, releaseName and selector/);

    const many = await check(s, {
      workloads: 'web\ndeployment/WEB\n-/x',
      graces: 'Hunger: 5m\nQuotaExceeded: soon',
      logLines: 'many',
      stableFor: 'ever',
      markVerified: 'true',
      onUnhealthy: 'ignore',
    });
    assertHealth(many, 'unknown', 'InputInvalid');
    const mistakes = [
      '"web"',
      'deployment/WEB',
      '"-/x"',
      'Hunger',
      'QuotaExceeded: soon',
      'logLines',
      'stableFor',
      'releaseName is needed',
      'onUnhealthy',
    ];
    for (const word of mistakes) assert.ok(many.log.includes(word), `${word} is not logged:\n${many.log}`);
    assert.equal(many.job.step('check').errorCount, 1);
  });

  scene('an unknown kind, a missing workload and an unready workload get three different messages', async (s) => {
    await apply(s, workloadOf('Deployment', 'web', waiting));
    const kind = await check(s, { workloads: 'gizmo/web' });
    assertHealth(kind, 'unknown', 'InputInvalid');
    assert.match(
      kind.log,
      /"gizmo\/web": the API server serves no such kind; a custom resource is named with its group/,
    );

    const missing = await check(s, { workloads: 'deployment/web\ndeployment/api\nsts/db' });
    assertHealth(missing, 'unknown', 'WorkloadMissing');
    assert.match(missing.log, /there is no Deployment api in namespace[^]*there is no StatefulSet db in namespace/);

    const waits = await check(s, { workloads: 'deployment/web', timeout: '3s' });
    assertHealth(waits, 'unhealthy', 'Unschedulable');
    assert.equal(waits.report?.timedOut, true);
  });

  const deployments: Rule = {
    apiGroups: ['apps'],
    resources: ['deployments', 'replicasets'],
    verbs: ['get', 'list', 'watch'],
  };
  const podsRule: Rule = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] };

  scene('without the right to list pods the check uses counters and names the missing right', async (s) => {
    const token = await serviceAccount(s, [deployments]);
    await apply(s, workloadOf('Deployment', 'web', played), workloadOf('Deployment', 'api', waiting));
    const healthy = await check(s, { workloads: 'deployment/web', ...quick }, token);
    assertHealth(healthy, 'healthy');
    const end = await check(s, { workloads: 'deployment/api', timeout: '4s' }, token);
    assertHealth(end, 'unhealthy', 'TimedOut');
    assert.match(end.log, /Grant the verb "list" on resource "pods" of the core API group, with a Role in namespace/);
    assert.match(end.outputs['summary'] ?? '', /0 of 1 replica /);
    assertReport(end.report);
  });

  scene(
    'without the right to read events and logs the check works and names the missing rights @real-node',
    async (s) => {
      const token = await serviceAccount(s, [deployments, podsRule]);
      await apply(s, workloadOf('Deployment', 'web', { containers: [shell('echo "no luck"; exit 1')] }));
      const end = await check(s, { workloads: 'deployment/web', graces: 'CrashLoop: 0' }, token);
      assertHealth(end, 'unhealthy', 'CrashLoop');
      assert.match(end.log, /Grant the verb "list" on resource "events"/);
      assert.match(end.log, /Grant the verb "get" on resource "pods\/log"/);
    },
  );

  scene('an unreadable object is unknown, never healthy, and fails unless onUnhealthy is succeed', async (s) => {
    const token = await serviceAccount(s, []);
    await apply(s, workloadOf('Deployment', 'web', played));
    const end = await check(s, { workloads: 'deployment/web' }, token);
    assertHealth(end, 'unknown', 'PermissionDenied');
    assert.equal(end.outputs['reasonGroup'], 'permissions');
    assert.match(end.log, /Grant the verb "get" on resource "deployments" of API group "apps"/);
    const left = await check(s, { workloads: 'deployment/web', onUnhealthy: 'succeed' }, token);
    assert.equal(left.result, 'Succeeded');
    assert.equal(left.outputs['health'], 'unknown');
    assertReport(left.report);
  });
});
