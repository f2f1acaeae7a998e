import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { testedHelms } from '../../scripts/cluster/pins';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseHelm, type ReleaseHelmOptions } from '../../tasks/common/adapters/helm/helm';
import { createRollbackHelm } from '../../tasks/common/adapters/helm/rollbackHelm';
import { privateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { Revision } from '../../tasks/common/core/release/release';
import type { Cluster } from '../../tasks/common/core/ports';
import { rulesOf } from '../../tasks/common/core/helm/provenance';
import { canonicalJson, comparable } from '../../tasks/common/core/rollbackPlan/model/comparable';
import { planDifferences } from '../../tasks/common/core/rollbackPlan/execution/differences';
import { kindsToResolve, liveObjects, liveQueries, servedKey } from '../../tasks/common/core/rollbackPlan/model/places';
import { planRollback } from '../../tasks/common/core/rollbackPlan/planRollback';
import { chooseTarget } from '../../tasks/common/core/rollbackPlan/model/target';
import { defaultPolicy, type ChangePlan, type ServedKind } from '../../tasks/common/core/rollbackPlan/model/types';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { otherHelm } from '../support/otherHelm';
import { assertPlan } from '../support/planSchema';

const chart = path.join(import.meta.dirname, 'charts', 'objects');
const request = { toRevision: 'previous', policy: defaultPolicy } as const;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const labels = { app: 'web' };
const metadata = (name: string): object => ({ name, labels });

function workload(kind: 'Deployment' | 'StatefulSet' | 'DaemonSet', image: string, more: object = {}): object {
  const spec = {
    containers: [
      {
        name: 'web',
        image,
        resources: { limits: { cpu: '1000m', memory: '0.5Gi' } },
        env: [{ name: 'A', value: image }],
      },
    ],
    nodeSelector: { type: 'kwok' },
    tolerations: [{ operator: 'Exists' }],
  };
  const selector = { matchLabels: { app: kind.toLowerCase() } };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: metadata(kind.toLowerCase()),
    spec: { selector, template: { metadata: { labels: selector.matchLabels }, spec }, ...more },
  };
}

const configMap = (name: string, text: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: metadata(name),
  data: { text },
});
const secret = (password: string): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: metadata('login'),
  stringData: { password, user: 'web' },
});
const service = (port: number): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: metadata('web'),
  spec: { selector: labels, ports: [{ port }] },
});

function autoscaler(version: 'v1' | 'v2'): object {
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'deployment' };
  const metric = {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
  };
  const spec = version === 'v1' ? { targetCPUUtilizationPercentage: 80 } : { metrics: [metric] };
  return {
    apiVersion: `autoscaling/${version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata('web'),
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 3, ...spec },
  };
}

const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: metadata('limits'), spec: { hard: { pods: '50' } } };
const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: metadata('reader'),
  rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
};

const first = [
  configMap('changed', 'one'),
  configMap('same', 'same'),
  configMap('returned', 'one'),
  secret('one'),
  service(80),
  role,
  workload('Deployment', 'app:1', { replicas: 1 }),
  workload('StatefulSet', 'app:1', { replicas: 1, serviceName: 'web' }),
  workload('DaemonSet', 'app:1'),
  autoscaler('v2'),
];
const second = [
  configMap('changed', 'two'),
  configMap('same', 'same'),
  configMap('added', 'two'),
  secret('two'),
  service(81),
  role,
  quota,
  workload('Deployment', 'app:2', { replicas: 1 }),
  workload('StatefulSet', 'app:2', { replicas: 1, serviceName: 'web' }),
  workload('DaemonSet', 'app:1'),
  autoscaler('v2'),
];

describe('the plan of a rollback, against a real API server and a real Helm', () => {
  let cluster: TestCluster;
  let api: Cluster;
  let temporary: string;

  before(async function () {
    this.timeout(1_800_000);
    cluster = await testCluster();
    api = await createCluster(cluster.kubeconfig);
    temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'plan-e2e-'));
  });

  after(async () => {
    fs.rmSync(temporary, { recursive: true, force: true });
    await cluster.cleanUp();
  });

  async function binaryOf(version: string, test: Mocha.Context): Promise<string> {
    test.timeout(1_800_000);
    if (version === '4.1.0') return otherHelm(version);
    return cluster.helms[version] ?? test.skip();
  }

  const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: temporary });

  function helm(binary: string, namespace: string, ...args: readonly string[]): Promise<void> {
    const env = { ...environment(), KUBECONFIG: cluster.kubeconfig };
    return new Promise((resolve, reject) => {
      execFile(binary, [...args, '--namespace', namespace], { env, timeout: 120_000 }, (error, _, stderr) => {
        if (error === null) resolve();
        else reject(new Error(stderr));
      });
    });
  }

  async function historyOf(namespace: string): Promise<Revision[]> {
    return createReleaseStorage(api, { release: 'web', namespace, driver: 'secret' }).history();
  }

  function helmOptions(binary: string, namespace: string): ReleaseHelmOptions {
    return {
      binary,
      kubeconfig: cluster.kubeconfig,
      namespace,
      releaseName: 'web',
      guard: { environment: () => ({}), watch: () => undefined, done: () => undefined },
      workingDirectory: temporary,
      environment: environment(),
      isDebug: false,
      onLine: () => undefined,
      redact: (text) => text,
    };
  }

  async function rollBack(binary: string, namespace: string): Promise<void> {
    const options = { revision: 1, timeoutSeconds: 60, endAfterSeconds: 120, wait: false };
    const result = await createReleaseHelm(helmOptions(binary, namespace)).rollback({
      ...options,
      forceConflicts: (await historyOf(namespace)).some((each) => each.revision === 1 && each.applyMethod === 'ssa'),
    });
    if (!result.ok) throw new Error(result.failure?.message);
  }

  async function release(binary: string, ...sets: readonly (readonly object[])[]): Promise<string> {
    const namespace = await cluster.namespace('plan');
    for (const [index, objects] of sets.entries()) {
      const file = path.join(temporary, `${namespace}-${index}.json`);
      fs.writeFileSync(file, JSON.stringify({ objects }));
      await helm(binary, namespace, index === 0 ? 'install' : 'upgrade', 'web', chart, '--values', file);
    }
    return namespace;
  }

  /** Makes the plan as the task does: history, kinds, one list for each kind and namespace, and the rehearsal. */
  async function planOf(binary: string, version: string, namespace: string, now = new Date()): Promise<ChangePlan> {
    const history = await historyOf(namespace);
    const { target, passed } = chooseTarget(history, 'web', request);
    assert.ok(target);
    const revisions = [target, ...passed];
    const served = new Map<string, ServedKind>();
    for (const kind of kindsToResolve(revisions)) {
      const found = await api.resource(kind.apiVersion, kind.kind);
      served.set(
        servedKey(kind),
        found === undefined
          ? { isServed: false }
          : { isServed: true, namespaced: found.namespaced, plural: found.plural },
      );
    }
    const lists = await Promise.all(liveQueries(revisions, namespace, served).map((query) => api.list(query)));
    const rollbackHelm = createRollbackHelm({
      helm: helmOptions(binary, namespace),
      folder: privateFolder(temporary, () => undefined),
      onSecret: () => undefined,
    });
    const rehearsal = await rollbackHelm.rehearse(target, { records: [], kept: [] }, new AbortController().signal);
    const made = planRollback({
      ...request,
      change: 'rollback',
      release: 'web',
      namespace,
      history,
      helm: { from: 'release', version: `v${version}`, rules: rulesOf(`v${version}`) },
      served,
      live: liveObjects(lists),
      autoscalers: await api.list({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace }),
      pods: await api.list({ apiVersion: 'v1', kind: 'Pod', namespace }),
      claims: [],
      rehearsal,
      now,
      sha256,
    });
    assertPlan(made);
    return made;
  }

  const kinds =
    'configmaps,secrets,services,resourcequotas,roles,deployments,statefulsets,daemonsets,horizontalpodautoscalers';

  async function everything(namespace: string): Promise<Map<string, KubeObject>> {
    const { items } = await cluster.kubectlJson<{ items: KubeObject[] }>('get', kinds, '--namespace', namespace);
    const own = items.filter(({ metadata: { annotations } }) => annotations?.['meta.helm.sh/release-name'] === 'web');
    return new Map(own.map((item) => [objectKey(refOf(item)), item]));
  }

  /** Compares what became of each object with the fate that the plan predicted. */
  function assertDone(
    made: ChangePlan,
    before: ReadonlyMap<string, KubeObject>,
    now: ReadonlyMap<string, KubeObject>,
  ): void {
    for (const one of made.objects) {
      const key = objectKey({ ...one });
      const [was, is] = [before.get(key), now.get(key)];
      const name = `${one.kind}/${one.name}: ${one.fate}`;
      if (one.fate === 'deleted') assert.equal(is, undefined, name);
      else assert.ok(is, name);
      assert.equal(one.fate === 'created', was === undefined && is !== undefined, name);
      if (was === undefined || is === undefined) continue;
      const isChanged =
        canonicalJson(comparable(was, one.name === 'deployment')) !==
        canonicalJson(comparable(is, one.name === 'deployment'));
      assert.equal(one.fate === 'patched', isChanged, name);
    }
    const known = new Set(made.objects.map((one) => objectKey({ ...one })));
    assert.deepEqual(
      [...before.keys(), ...now.keys()].filter((key) => !known.has(key)),
      [],
    );
  }

  for (const version of [...testedHelms, '4.1.4']) {
    it(`Helm ${version}: the plan predicts each object's fate and stays the same while nobody changes the release`, async function () {
      const binary = await binaryOf(version, this);
      const namespace = await release(binary, first, second);
      await cluster.runKubectl(
        '--namespace',
        namespace,
        'rollout',
        'status',
        'statefulset/statefulset',
        '--timeout=120s',
      );
      const made = await planOf(binary, version, namespace);
      assert.deepEqual(Object.fromEntries(made.objects.map((one) => [`${one.kind}/${one.name}`, one.fate])), {
        'ConfigMap/changed': 'patched',
        'ConfigMap/same': 'kept',
        'ConfigMap/returned': 'created',
        'ConfigMap/added': 'deleted',
        'Secret/login': 'patched',
        'Service/web': 'patched',
        'Role/reader': 'kept',
        'ResourceQuota/limits': 'deleted',
        'Deployment/deployment': 'patched',
        'StatefulSet/statefulset': 'patched',
        'DaemonSet/daemonset': 'kept',
        'HorizontalPodAutoscaler/web': 'kept',
      });
      assert.deepEqual(
        made.findings.map(({ code, object }) => `${code} ${object}`),
        ['UnverifiedTarget ', 'ReplicasUnderAutoscaler Deployment/deployment'],
      );
      assert.deepEqual(
        made.objects
          .filter(({ restartsPods }) => restartsPods)
          .map(({ kind }) => kind)
          .sort(),
        ['Deployment', 'StatefulSet'],
      );
      assert.deepEqual(
        made.objects.flatMap(({ drift }) => drift),
        [],
      );

      await cluster.runKubectl('--namespace', namespace, 'scale', 'deployment/deployment', '--replicas=3');
      await cluster.runKubectl('--namespace', namespace, 'delete', 'pods', '--all', '--wait=false');
      const again = await planOf(binary, version, namespace, new Date(made.createdAt));
      assert.deepEqual(planDifferences(made, again, new Date()), []);
      assert.equal(again.digest, made.digest);

      const before = await everything(namespace);
      await rollBack(binary, namespace);
      assertDone(again, before, await everything(namespace));
    });

    it(`Helm ${version}: the plan shows which manual changes the rollback undoes, and the rollback undoes exactly these`, async function () {
      const binary = await binaryOf(version, this);
      const namespace = await release(binary, first, first);
      const made = await planOf(binary, version, namespace);
      assert.deepEqual(new Set(made.objects.map(({ fate }) => fate)), new Set(['kept']));
      await cluster.runKubectl('--namespace', namespace, 'set', 'image', 'daemonset/daemonset', 'web=app:hotfix');
      await cluster.runKubectl(
        '--namespace',
        namespace,
        'patch',
        'configmap',
        'same',
        '--patch={"data":{"text":"edited","more":"x"}}',
      );
      await cluster.runKubectl('--namespace', namespace, 'delete', 'role', 'reader');
      const edited = await planOf(binary, version, namespace);
      assert.deepEqual(
        edited.objects.flatMap(({ name, drift }) =>
          drift.map((field) => [name, field.path, field.live, field.becomes]),
        ),
        [
          ['same', 'data.text', '"edited"', '"same"'],
          ['daemonset', 'spec.template.spec.containers[name=web].image', '"app:hotfix"', '"app:1"'],
        ],
      );
      assert.notEqual(edited.digest, made.digest);
      const told = planDifferences(made, edited, new Date()).join('\n');
      for (const name of ['ConfigMap/same', 'DaemonSet/daemonset', 'Role/reader']) assert.ok(told.includes(name), told);
      const before = await everything(namespace);
      await rollBack(binary, namespace);
      assertDone(edited, before, await everything(namespace));
    });
  }

  const bumped = [
    [configMap('web', 'one'), autoscaler('v1')],
    [configMap('web', 'two'), autoscaler('v2')],
  ];
  const refusals = (made: ChangePlan): string[] =>
    made.findings
      .filter(({ severity }) => severity === 'refusal')
      .map(({ code, object }) => `${code} ${object}`.trim());

  it('Helm 4.1.0: the plan refuses because this Helm would delete objects of the target', async function () {
    const binary = await binaryOf('4.1.0', this);
    const namespace = await release(binary, ...bumped);
    const made = await planOf(binary, '4.1.0', namespace);
    assert.deepEqual(
      made.findings.map(({ code, object }) => `${code} ${object}`.trim()),
      ['DeletesTargetObject HorizontalPodAutoscaler/web', 'UnverifiedTarget'],
    );
    const before = await everything(namespace);
    await rollBack(binary, namespace);
    assertDone(made, before, await everything(namespace));
  });

  it('Helm 4.1.0: the plan refuses because this Helm would stop half-way', async function () {
    const binary = await binaryOf('4.1.0', this);
    const namespace = await release(cluster.helm4, ...bumped);
    const made = await planOf(binary, '4.1.0', namespace);
    assert.deepEqual(refusals(made), ['RehearsalFailed', 'DeletesTargetObject HorizontalPodAutoscaler/web']);
    await assert.rejects(
      rollBack(binary, namespace),
      /original object HorizontalPodAutoscaler with the name "web" not found/,
    );
  });
});
