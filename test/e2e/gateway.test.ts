import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { newestHelm3, newestHelm4, oldestHelm, testedHelms } from '../../scripts/cluster/pins';
import { openFence, type Fence } from '../../tasks/common/adapters/gateway/openFence';
import { rehearseRollback } from '../../tasks/common/adapters/helm/rehearseRollback';
import { privateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { onlyDeletionsOf, type FencePolicy } from '../../tasks/common/core/helm/fence';
import { isRecord } from '../../tasks/common/core/kubernetes/json';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import { lastWrites, type Rehearsal } from '../../tasks/common/core/helm/rehearsal';
import { rehearsedDeletions } from '../support/rehearsedDeletions';
import { waitFor } from '../../scripts/cluster/wait';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { otherHelm } from '../support/otherHelm';

const chart = path.join(import.meta.dirname, 'charts', 'objects');
const kinds =
  'configmaps,secrets,services,serviceaccounts,deployments,horizontalpodautoscalers,poddisruptionbudgets,roles';

interface ExecResult {
  code: number;
  stdout: string;
  stderr: string;
}

function exec(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<ExecResult> {
  return new Promise((resolve) => {
    execFile(file, args, { env, timeout: 300_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

const labels = { app: 'web' };

function configMap(name: string, text: string): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data: { text } };
}

/** Without replicas no pod runs, so only Helm writes to this Deployment. */
function deployment(image: string, env: readonly object[], replicas = 0): object {
  const container = { name: 'web', image, env };
  const spec = { containers: [container], nodeSelector: { type: 'kwok' }, tolerations: [{ operator: 'Exists' }] };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}

function autoscaler(version: 'v1' | 'v2'): object {
  const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'elsewhere' };
  const metric = {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
  };
  const spec = { scaleTargetRef: target, maxReplicas: 3 };
  return {
    apiVersion: `autoscaling/${version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', labels },
    spec: version === 'v1' ? { ...spec, targetCPUUtilizationPercentage: 80 } : { ...spec, metrics: [metric] },
  };
}

/** The objects of the earlier revision. The rollback brings them back. */
const first = [
  configMap('changed', 'one'),
  configMap('kept', 'same'),
  configMap('returned', 'one'),
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secret', labels }, stringData: { password: 'one' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', labels },
    spec: { selector: labels, ports: [{ port: 80 }] },
  },
  deployment('app:1', [{ name: 'A', value: '1' }]),
];
/** The objects of the present revision. */
const second = [
  configMap('changed', 'two'),
  configMap('kept', 'same'),
  configMap('added', 'two'),
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secret', labels }, stringData: { password: 'two' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', labels },
    spec: { selector: labels, ports: [{ port: 81, name: 'http' }] },
  },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'added', labels } },
  deployment('app:2', [{ name: 'B', value: '2' }]),
];

const volatile = new Set([
  'uid',
  'creationTimestamp',
  'resourceVersion',
  'generation',
  'managedFields',
  'deletionTimestamp',
]);
const madeUp = new Set(['clusterIP', 'clusterIPs']);

/** An object without the fields that the API server or a controller sets anew each time. */
function essence({ status: _status, ...object }: KubeObject): unknown {
  const { annotations = {}, ...metadata } = object.metadata;
  const ownAnnotations = Object.entries(annotations).filter(([name]) => !name.startsWith('deployment.kubernetes.io/'));
  const spec = isRecord(object['spec']) ? object['spec'] : {};
  return {
    ...object,
    metadata: {
      ...Object.fromEntries(Object.entries(metadata).filter(([name]) => !volatile.has(name))),
      annotations: Object.fromEntries(ownAnnotations),
    },
    spec: Object.fromEntries(Object.entries(spec).filter(([name]) => !madeUp.has(name))),
  };
}

describe('a Helm behind the gateway', () => {
  let cluster: TestCluster;
  let temporary: string;

  before(async function () {
    this.timeout(1_800_000);
    cluster = await testCluster();
    temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'gateway-e2e-'));
  });

  after(async () => {
    fs.rmSync(temporary, { recursive: true, force: true });
    await cluster.cleanUp();
  });

  /**
   * Returns the Helm binary. Skips the test where this platform has no such Helm, and builds a Helm that is not there
   * yet.
   */
  async function binaryOf(version: string, test: Mocha.Context): Promise<string> {
    test.timeout(1_800_000);
    if (version === '4.1.0') return otherHelm(version);
    return cluster.helms[version] ?? test.skip();
  }

  const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    HOME: temporary,
    ...more,
  });

  async function helm(
    binary: string,
    namespace: string,
    args: readonly string[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<ExecResult> {
    const env = environment({ KUBECONFIG: cluster.kubeconfig, ...more });
    return exec(binary, [...args, '--namespace', namespace], env);
  }

  async function mustHelm(
    binary: string,
    namespace: string,
    args: readonly string[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<void> {
    const { code, stderr } = await helm(binary, namespace, args, more);
    assert.equal(code, 0, stderr);
  }

  let valuesFiles = 0;
  function values(objects: readonly object[]): string[] {
    const file = path.join(temporary, `values-${++valuesFiles}.json`);
    fs.writeFileSync(file, JSON.stringify({ objects }));
    return ['--values', file];
  }

  /** Makes a release with one revision for each set of objects. */
  async function release(
    binary: string,
    sets: readonly (readonly object[])[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    const namespace = await cluster.namespace('gateway');
    for (const [index, objects] of sets.entries()) {
      await mustHelm(
        binary,
        namespace,
        [index === 0 ? 'install' : 'upgrade', 'web', chart, '--disable-openapi-validation', ...values(objects)],
        more,
      );
    }
    return namespace;
  }

  /** Everything in a namespace by key, including Helm's own records. */
  async function everything(namespace: string): Promise<Map<string, KubeObject>> {
    const { items } = await cluster.kubectlJson<{ items: KubeObject[] }>('get', kinds, '--namespace', namespace);
    return new Map(items.map((item) => [objectKey(refOf(item)), item]));
  }

  /**
   * Values that change with any write. Controllers write to objects with a generation, so these get values that change
   * only with other writes.
   */
  function versions(objects: ReadonlyMap<string, KubeObject>): Record<string, unknown> {
    return Object.fromEntries(
      [...objects].map(([key, object]) => {
        const { uid, resourceVersion, generation } = object.metadata;
        return [key, generation === undefined ? [uid, resourceVersion] : [uid, generation, essence(object)]];
      }),
    );
  }

  function gatewayOptions(namespace: string) {
    return {
      kubeconfig: cluster.kubeconfig,
      namespace,
      release: 'web',
      folder: privateFolder(temporary, () => undefined),
      environment: environment(),
      onSecret: () => undefined,
    };
  }

  function rehearse(binary: string, namespace: string, more: NodeJS.ProcessEnv = {}): Promise<Rehearsal> {
    return rehearseRollback({
      ...gatewayOptions(namespace),
      environment: environment(more),
      binary,
      revision: 1,
      workingDirectory: temporary,
      timeoutSeconds: 300,
      signal: new AbortController().signal,
    });
  }

  async function fence(namespace: string, policy: FencePolicy, lost?: AbortSignal): Promise<Fence> {
    return openFence({ ...gatewayOptions(namespace), policy, ...(lost && { lost }) });
  }

  const isRecordKey = (key: string): boolean => key.includes('sh.helm.release.v1.');

  /** Compares the rehearsed changes with the objects before and after the rollback, object by object. */
  function assertForetold(
    rehearsal: Rehearsal,
    before: ReadonlyMap<string, KubeObject>,
    now: ReadonlyMap<string, KubeObject>,
  ): void {
    const last = lastWrites(rehearsal);
    const keys = new Set([...before.keys(), ...now.keys(), ...last.keys()].filter((key) => !isRecordKey(key)));
    for (const key of keys) {
      const write = last.get(key);
      const was = before.get(key);
      const is = now.get(key);
      if (write === undefined) {
        assert.deepEqual(is && essence(is), was && essence(was), `${key} was not written in the rehearsal`);
        continue;
      }
      assert.equal(write.effect === 'deleted', is === undefined, `${key} is ${write.effect} in the rehearsal`);
      if (is === undefined) {
        assert.equal(write.uid, was?.metadata.uid);
        continue;
      }
      assert.equal(write.effect, was === undefined ? 'created' : 'changed', key);
      assert.ok(write.object, key);
      assert.deepEqual(essence(write.object), essence(is), key);
    }
  }

  const cases = [
    [oldestHelm, 'secret'],
    [newestHelm3, 'secret'],
    [newestHelm3, 'configmap'],
    ['4.1.0', 'secret'],
    ['4.1.4', 'secret'],
    [newestHelm4, 'secret'],
    [newestHelm4, 'configmap'],
  ] as const;
  for (const [version, driver] of cases) {
    it(`Helm ${version}, records in ${driver}s: the rollback does exactly what was rehearsed, and the rehearsal changes nothing`, async function () {
      const binary = await binaryOf(version, this);
      const more = { HELM_DRIVER: driver };
      const namespace = await release(binary, [first, second], more);
      const before = await everything(namespace);

      const rehearsal = await rehearse(binary, namespace, more);

      assert.deepEqual([rehearsal.outcome, rehearsal.message], ['completed', '']);
      assert.deepEqual(versions(await everything(namespace)), versions(before));
      assert.equal(rehearsal.revision, 3);
      assert.deepEqual(
        rehearsedDeletions(rehearsal)
          .map(({ ref }) => `${ref.kind}/${ref.name}`)
          .sort(),
        ['ConfigMap/added', 'ServiceAccount/added'],
      );
      assert.ok(rehearsal.writes.every(({ client, effect }) => client.startsWith('Helm/') && effect !== 'refused'));
      assert.ok(rehearsal.storage.length >= 3, JSON.stringify(rehearsal.storage));
      await mustHelm(binary, namespace, ['rollback', 'web', '1', '--no-hooks'], more);
      assertForetold(rehearsal, before, await everything(namespace));
    });
  }

  it('a release made by Helm 3 and rolled back by Helm 4 changes what was rehearsed', async () => {
    const namespace = await release(cluster.helm3, [first, second]);
    const before = await everything(namespace);
    const rehearsal = await rehearse(cluster.helm4, namespace);
    assert.deepEqual([rehearsal.outcome, rehearsal.message], ['completed', '']);
    await mustHelm(cluster.helm4, namespace, ['rollback', 'web', '1', '--no-hooks']);
    assertForetold(rehearsal, before, await everything(namespace));
  });

  describe('Helm 4.1.0, which deletes an object whose apiVersion has changed', () => {
    const bumped = [
      [configMap('web', 'one'), autoscaler('v1')],
      [configMap('web', 'two'), autoscaler('v2'), configMap('added', 'two')],
    ];
    const hpa = 'autoscaling/HorizontalPodAutoscaler';

    it('deletes an object right after it applied it, and the rehearsal shows that before it happens', async function () {
      const binary = await binaryOf('4.1.0', this);
      // The upgrade by this Helm has already deleted the object.
      const namespace = await release(binary, bumped);
      const before = await everything(namespace);
      const rehearsal = await rehearse(binary, namespace);
      assert.deepEqual([rehearsal.outcome, rehearsal.message], ['completed', '']);
      const ofAutoscaler = rehearsal.writes.filter(({ resource }) => resource === 'horizontalpodautoscalers');
      assert.deepEqual(
        ofAutoscaler.map(({ ref, effect }) => [ref.apiVersion, effect]),
        [
          ['autoscaling/v1', 'created'],
          ['autoscaling/v2', 'deleted'],
        ],
      );
      assert.deepEqual(
        rehearsedDeletions(rehearsal)
          .map(({ ref }) => ref.kind)
          .sort(),
        ['ConfigMap', 'HorizontalPodAutoscaler'],
      );
      assert.deepEqual(versions(await everything(namespace)), versions(before));
      await mustHelm(binary, namespace, ['rollback', 'web', '1']);
      assert.equal((await everything(namespace)).has(`${hpa}/${namespace}/web`), false);
    });

    it('fails the rehearsal in the same way as the rollback when the object still exists', async function () {
      const binary = await binaryOf('4.1.0', this);
      const namespace = await release(cluster.helm4, bumped);
      const rehearsal = await rehearse(binary, namespace);
      assert.equal(rehearsal.outcome, 'failed');
      const end = await helm(binary, namespace, ['rollback', 'web', '1', '--no-hooks']);
      assert.equal(end.code, 1);
      assert.ok(end.stderr.includes(`Error: ${rehearsal.message}`), `${rehearsal.message}\n${end.stderr}`);
      assert.ok((await everything(namespace)).has(`${hpa}/${namespace}/web`));
    });

    it('cannot delete the object through the fence, which passes planned deletions only', async function () {
      const binary = await binaryOf('4.1.0', this);
      const namespace = await release(binary, bumped);
      const planned = { ref: { apiVersion: 'v1', namespace, name: 'added' }, resource: 'configmaps' };
      const opened = await fence(namespace, onlyDeletionsOf([planned]));
      try {
        const end = await helm(binary, namespace, ['rollback', 'web', '1', '--wait', '--timeout', '60s'], {
          KUBECONFIG: opened.kubeconfig,
          ...opened.environment,
        });
        assert.equal(end.code, 0, end.stderr);
        const { heldBack, forwarded, refused } = opened.record();
        const now = await everything(namespace);
        const uid = now.get(`${hpa}/${namespace}/web`)?.metadata.uid ?? '(it is gone)';
        assert.deepEqual(
          heldBack.map((write) => [write.ref.kind, write.ref.name, write.uid]),
          [['HorizontalPodAutoscaler', 'web', uid]],
        );
        assert.deepEqual(
          forwarded.filter(({ verb }) => verb === 'delete').map(({ ref }) => ref.name),
          ['added'],
        );
        assert.deepEqual(refused, []);
        assert.equal(now.has(`/ConfigMap/${namespace}/added`), false);
        assert.deepEqual(now.get(`/ConfigMap/${namespace}/web`)?.['data'], { text: 'one' });
      } finally {
        await opened.close();
      }
    });
  });

  for (const version of testedHelms) {
    it(`Helm ${version} through the fence waits for pods with its watches and completes its rollback`, async function () {
      const binary = await binaryOf(version, this);
      const pods = (image: string): object[] => [configMap('web', image), deployment(image, [], 2)];
      const namespace = await release(binary, [pods('app:1'), pods('app:2')]);
      const opened = await fence(namespace, onlyDeletionsOf([]));
      try {
        const wait = version.startsWith('3') ? '--wait' : '--wait=watcher';
        const end = await helm(binary, namespace, ['rollback', 'web', '1', wait, '--timeout', '60s'], {
          KUBECONFIG: opened.kubeconfig,
          ...opened.environment,
        });
        assert.equal(end.code, 0, end.stderr);
        const now = await everything(namespace);
        const status = now.get(`apps/Deployment/${namespace}/web`)?.['status'] as Record<string, unknown> | undefined;
        assert.equal(status?.['availableReplicas'], 2);
        const history = await cluster.kubectlJson<{ items: KubeObject[] }>(
          'get',
          'secrets',
          '--namespace',
          namespace,
          '--selector=owner=helm',
        );
        assert.deepEqual(history.items.map(({ metadata }) => metadata.labels?.['status']).sort(), [
          'deployed',
          'superseded',
          'superseded',
        ]);
      } finally {
        await opened.close();
      }
    });

    it(`Helm ${version} through the fence keeps its own timeout when pods never get ready`, async function () {
      const binary = await binaryOf(version, this);
      const stuck = { ...(deployment('app:1', [], 1) as { spec: { template: { spec: object } } }) };
      stuck.spec.template.spec = { ...stuck.spec.template.spec, nodeSelector: { none: 'z' } };
      const namespace = await release(binary, [[stuck], [deployment('app:2', [], 1)]]);
      const opened = await fence(namespace, onlyDeletionsOf([]));
      try {
        const wait = version.startsWith('3') ? '--wait' : '--wait=watcher';
        const end = await helm(binary, namespace, ['rollback', 'web', '1', wait, '--timeout', '2s'], {
          KUBECONFIG: opened.kubeconfig,
          ...opened.environment,
        });
        assert.equal(end.code, 1, 'it must end by itself, not by the test');
        assert.match(end.stderr, /deadline|not ready/i);
      } finally {
        await opened.close();
      }
    });
  }

  describe('a tampered Helm', () => {
    /** Runs the real Helm and then does something else with the same kubeconfig. */
    function wrapper(binary: string, ...after: string[]): string {
      const file = path.join(temporary, `wrapper-${++valuesFiles}`);
      const lines = ['#!/bin/sh', `"${binary}" "$@" || exit 1`, '[ "$1" = rollback ] || exit 0', ...after];
      fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o755 });
      return file;
    }
    const deletions = (namespace: string): string[] => [
      `'${cluster.kubectl}' delete configmaps,deployments,services --selector=app=web --namespace ${namespace}`,
      `'${cluster.kubectl}' delete --raw /api/v1/namespaces/${namespace}/secrets`,
    ];

    for (const version of testedHelms) {
      it(`around Helm ${version}: the rehearsal shows the tampering and what only the rollback would have brought back`, async function () {
        const binary = await binaryOf(version, this);
        const namespace = await release(binary, [first, second]);
        const before = await everything(namespace);
        const rehearsal = await rehearse(wrapper(binary, ...deletions(namespace)), namespace);
        assert.equal(rehearsal.outcome, 'completed', rehearsal.message);
        assert.deepEqual(versions(await everything(namespace)), versions(before));
        const gone = rehearsedDeletions(rehearsal);
        const names = gone.map(({ ref }) => `${ref.kind}/${ref.name}`);
        for (const name of [
          'ConfigMap/changed',
          'ConfigMap/returned',
          'Deployment/web',
          'Service/web',
          'Secret/secret',
        ]) {
          assert.ok(names.includes(name), `${name} is not among ${names.join(', ')}`);
        }
        assert.ok(gone.some(({ client }) => client.startsWith('kubectl/')));
        assert.ok(rehearsal.storage.some(({ verb }) => verb === 'delete'));
      });

      it(`around Helm ${version}: the fence stops its writes, and its kubectl does not hang`, async function () {
        const binary = await binaryOf(version, this);
        const namespace = await release(binary, [first, second]);
        const allowed = ['configmaps', 'serviceaccounts'].map((resource) => ({
          ref: { apiVersion: 'v1', namespace, name: 'added' },
          resource,
        }));
        const opened = await fence(namespace, onlyDeletionsOf(allowed));
        try {
          const tampered = wrapper(binary, ...deletions(namespace));
          const end = await helm(tampered, namespace, ['rollback', 'web', '1'], {
            KUBECONFIG: opened.kubeconfig,
            ...opened.environment,
          });
          assert.equal(end.code, 0, end.stderr);
          const now = await everything(namespace);
          for (const { metadata, kind, apiVersion } of first as KubeObject[]) {
            assert.ok(
              now.has(objectKey({ apiVersion, kind, name: metadata.name, namespace })),
              `${kind}/${metadata.name} is gone`,
            );
          }
          assert.equal([...now.keys()].filter(isRecordKey).length, 3);
          assert.equal(
            [...now.keys()].some((key) => key.endsWith('/added')),
            false,
          );
          const { heldBack } = opened.record();
          assert.ok(heldBack.some(({ ref }) => ref.kind === 'Deployment' && ref.name === 'web'));
          assert.ok(heldBack.some(({ ref, isOfCollection }) => ref.name === 'secret' && isOfCollection === true));
        } finally {
          await opened.close();
        }
      });
    }
  });

  it('a Helm changes nothing more once its lock is lost', async () => {
    const namespace = await release(cluster.helm3, [first, second]);
    const before = await everything(namespace);
    const lock = new AbortController();
    const opened = await fence(namespace, onlyDeletionsOf([]), lock.signal);
    try {
      lock.abort();
      const end = await helm(cluster.helm3, namespace, ['rollback', 'web', '1'], {
        KUBECONFIG: opened.kubeconfig,
        ...opened.environment,
      });
      assert.equal(end.code, 1);
      assert.match(end.stderr, /the lock of release web is no longer held by this run/);
      assert.deepEqual(versions(await everything(namespace)), versions(before));
      assert.ok(opened.record().refused.length > 0);
    } finally {
      await opened.close();
    }
  });

  for (const version of [newestHelm3, newestHelm4]) {
    it(`Helm ${version}: the rehearsal of a release with 500 objects is complete`, async function () {
      const binary = await binaryOf(version, this);
      const many = (text: string): object[] =>
        Array.from({ length: 500 }, (_, index) => configMap(`many-${index}`, text));
      const namespace = await release(binary, [many('one'), many('two')], {
        HELM_QPS: '1000',
        HELM_BURST_LIMIT: '2000',
      });
      const before = await everything(namespace);
      const rehearsal = await rehearse(binary, namespace);
      assert.deepEqual([rehearsal.outcome, rehearsal.message], ['completed', '']);
      assert.equal(rehearsal.writes.filter(({ effect }) => effect === 'changed').length, 500);
      assert.deepEqual(versions(await everything(namespace)), versions(before));
      assert.ok(rehearsal.requests.reads < 30, `${rehearsal.requests.reads} reads`);
    });
  }

  it("an object that the API server refuses fails the rehearsal with the refusal's text and changes nothing", async () => {
    const namespace = await release(cluster.helm3, [first, second]);
    await cluster.apply(
      namespace,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'none' },
        spec: { hard: { 'count/configmaps': '1' } },
      }),
    );
    const used = ['get', 'resourcequota', 'none', '--namespace', namespace, '--output=jsonpath={.status.used}'];
    await waitFor('the quota to be counted', async () => (await cluster.runKubectl(...used)) !== '');
    const before = await everything(namespace);
    const rehearsal = await rehearse(cluster.helm3, namespace);
    assert.equal(rehearsal.outcome, 'failed');
    assert.match(rehearsal.message, /exceeded quota: none/);
    const [refused] = rehearsal.writes.filter(({ effect }) => effect === 'refused');
    assert.deepEqual([refused?.ref.kind, refused?.ref.name, refused?.refusal?.status], ['ConfigMap', 'returned', 403]);
    assert.deepEqual(versions(await everything(namespace)), versions(before));
  });
});
