import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newestHelm3, newestHelm4, oldestHelm, testedHelms } from '../../scripts/cluster/pins';
import { down } from '../../scripts/cluster/cluster';
import { command } from '../../scripts/cluster/command';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import { releaseState, unhealthyLabel } from '../../tasks/common/core/release/history';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { ReleaseStorage } from '../../tasks/common/core/ports';
import type { ReleaseContext } from '../../tasks/common/core/releaseContext';
import { giveBase, restoreRecord, type GivenBase } from '../../tasks/common/flows/release/mergeBase';
import { cluster as testCluster, type TestCluster } from '../support/cluster';

const clusterName = 'merge-base';

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

/**
 * `bad` holds the letters `a` and `b` of the broken workloads. Another release may own the objects `shared` and
 * `fresh`.
 */
const template = `
{{- $a := contains "a" .Values.bad }}{{- $b := contains "b" .Values.bad }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {tier: front{{ if $a }}, broken: "yes"{{ end }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
{{- if $a }}
      nodeSelector: {none: z}
      tolerations: [{operator: Exists}]
      volumes: [{name: scratch, emptyDir: {}}]
{{- end }}
      containers:
        - name: web
          image: {{ if $a }}example.com/broken{{ else }}example.com/web{{ end }}
          ports: [{containerPort: 8080}]
          env:
            - {name: A, value: "{{ if $b }}2{{ else }}1{{ end }}"}
{{- if $a }}
          volumeMounts: [{name: scratch, mountPath: /scratch}]
          readinessProbe: {tcpSocket: {port: 1}}
{{- end }}
{{- if $b }}
            - {name: B, value: "1"}
        - name: side
          image: example.com/side
{{- end }}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
    - {name: http, port: 80}
{{- if $b }}
    - {name: debug, port: 81}
{{- end }}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: web}
spec: {size: {{ if $a }}2{{ else }}1{{ end }}, parts: [one{{ if $b }}, two{{ end }}]{{ if $a }}, extra: {deep: true}{{ end }}}
{{- if not $a }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: good}
{{- end }}
{{- if $a }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "only-{{ .Release.Namespace }}"}
rules: []
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: only-broken}
spec: {size: 1}
{{- end }}
{{- if $b }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: only-b}
{{- end }}
{{- range .Values.more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ . }}}
data: {from: "{{ $.Release.Name }}"}
{{- end }}
`;

describe('the merge base after failed revisions, on a real API server', function () {
  this.timeout(120_000);
  let server: TestCluster;
  let connection: ClusterConnection;
  let chart: string;

  before(async () => {
    // Nothing here needs a node, because only what the API server stores matters.
    server = await testCluster({ name: clusterName, realNode: false, kwokNodes: 0 });
    connection = await createCluster(server.kubeconfig);
    await server.apply('default', definition);
    await server.runKubectl('wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=30s');
    chart = await mkdtemp(path.join(tmpdir(), 'chart-'));
    await mkdir(path.join(chart, 'templates'));
    await writeFile(path.join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 1.0.0\n');
    await writeFile(path.join(chart, 'values.yaml'), 'bad: ""\nmore: []\n');
    await writeFile(path.join(chart, 'templates', 'all.yaml'), template);
  });

  after(async () => {
    connection.close();
    await rm(chart, { recursive: true, force: true });
    await down(clusterName, () => undefined, new AbortController().signal);
  });

  async function helm(binary: string, namespace: string, ...args: string[]): Promise<{ code: number; stderr: string }> {
    const env = { ...process.env, KUBECONFIG: server.kubeconfig };
    const { code, stderr } = await command(binary, [...args, '--namespace', namespace], { env });
    return { code: code ?? -1, stderr };
  }

  async function deployed(binary: string, namespace: string, ...args: string[]): Promise<void> {
    const { code, stderr } = await helm(
      binary,
      namespace,
      'upgrade',
      'web',
      chart,
      '--install',
      '--reset-values',
      ...args,
    );
    assert.equal(code, 0, stderr);
  }

  function contextOf(namespace: string, storage: ReleaseStorage): ReleaseContext {
    const context = {
      agent: { log: () => undefined },
      cluster: connection,
      storage,
      namespace,
      request: { releaseName: 'web' },
    };
    // giveBase and restoreRecord use only these fields.
    return context as unknown as ReleaseContext;
  }

  /** The state that matters to a person: everything except the counters of the API server and its controllers. */
  async function stateOf(namespace: string): Promise<unknown> {
    const ask = async (apiVersion: string, kind: string, name: string): Promise<KubeObject> =>
      (await connection.get({ apiVersion, kind, namespace, name })) ?? assert.fail(`${kind}/${name} is gone`);
    const found = await Promise.all([
      ask('apps/v1', 'Deployment', 'web'),
      ask('v1', 'Service', 'web'),
      ask('example.com/v1', 'Widget', 'web'),
      ask('v1', 'ConfigMap', 'settings'),
    ]);
    return found.map(({ kind, metadata, ['spec']: spec, ['data']: data }) => {
      const { 'deployment.kubernetes.io/revision': _, ...annotations } = metadata.annotations ?? {};
      return { kind, labels: metadata.labels, annotations, spec, data };
    });
  }

  async function names(namespace: string): Promise<string[]> {
    const lists = await Promise.all([
      connection.list({ apiVersion: 'apps/v1', kind: 'Deployment', namespace }),
      connection.list({ apiVersion: 'v1', kind: 'Service', namespace }),
      connection.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace }),
      connection.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace }),
      connection.list({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace }),
      connection.list({ apiVersion: 'example.com/v1', kind: 'Widget', namespace }),
      connection.list({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' }),
    ]);
    const isOurs = ({ kind, metadata }: KubeObject): boolean =>
      metadata.name !== 'kube-root-ca.crt' && (kind !== 'ClusterRole' || metadata.name === `only-${namespace}`);
    return lists
      .flat()
      .filter(isOurs)
      .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
      .sort();
  }

  interface Scene {
    namespace: string;
    storage: ReleaseStorage;
    context: ReleaseContext;
  }

  async function scene(): Promise<Scene> {
    const namespace = await server.namespace('merge');
    const storage = createReleaseStorage(connection, { release: 'web', namespace, driver: undefined });
    return { namespace, storage, context: contextOf(namespace, storage) };
  }

  /** Gives the base as the flows do, from all revisions since revision 1, which was good. */
  async function given({ storage, context }: Scene, wanted?: string): Promise<GivenBase | undefined> {
    const history = await storage.history();
    const good = history[0];
    assert.ok(good !== undefined);
    return giveBase(context, history, { chain: history, good, desiredManifest: wanted ?? good.manifest });
  }

  async function rendered(binary: string, namespace: string, ...args: string[]): Promise<string> {
    const { code, stderr, stdout } = await command(binary, [
      ...['template', 'web', chart, '--namespace', namespace, '--kubeconfig', server.kubeconfig],
      ...args,
    ]);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** Makes a revision that Helm itself calls failed, so the previous one stays `deployed` in its record. */
  async function failedByHelm(binary: string, namespace: string, bad: string): Promise<void> {
    const set = ['--set', `bad=${bad}`, '--wait', '--timeout', '1s'];
    const { code } = await helm(binary, namespace, 'upgrade', 'web', chart, ...set);
    assert.notEqual(code, 0, 'its pods cannot be scheduled, so it cannot get ready');
  }

  /** Makes a revision that Helm calls deployed and that is judged unhealthy afterwards. */
  async function failedByUs(binary: string, { namespace, storage }: Scene, bad: string): Promise<void> {
    await deployed(binary, namespace, '--set', `bad=${bad}`);
    const revision = (await storage.history()).at(-1)?.revision ?? 0;
    await storage.update(revision, { status: 'failed', labels: { [unhealthyLabel]: String(revision) } });
  }

  const clean = ['ConfigMap/settings', 'Deployment/web', 'Service/web', 'Widget/web'];
  const kept = ['PersistentVolumeClaim/data', 'Widget/only-broken'];

  for (const [name, first, second] of [
    ...testedHelms.map((version) => [`Helm ${version}`, version, version] as const),
    [`a release of Helm ${oldestHelm} that goes on with Helm 4.1.4`, oldestHelm, '4.1.4'],
    [`a release of Helm ${newestHelm3} that goes on with Helm ${newestHelm4}`, newestHelm3, newestHelm4],
  ] as const) {
    for (const [failure, way] of [
      ['judged unhealthy', 'rollback'],
      ['timed out in Helm', 'upgrade'],
    ] as const) {
      it(`${name}: after two different broken revisions (${failure}), ${way} gives the state of the good revision and keeps the data`, async () => {
        const stage = await scene();
        const { namespace, storage, context } = stage;
        const maker = server.helms[first] ?? assert.fail(`no Helm ${first}`);
        const binary = server.helms[second] ?? assert.fail(`no Helm ${second}`);
        await deployed(maker, namespace);
        const good = await stateOf(namespace);
        assert.deepEqual(await names(namespace), clean);
        for (const bad of ['b', 'a']) {
          if (failure === 'judged unhealthy') await failedByUs(binary, stage, bad);
          else await failedByHelm(binary, namespace, bad);
        }
        assert.notDeepEqual(await stateOf(namespace).catch(() => undefined), good);

        const before = await storage.history();
        const base = await given(stage);
        if (way === 'upgrade') await deployed(binary, namespace);
        else assert.deepEqual(await helm(binary, namespace, 'rollback', 'web', '1').then(({ code }) => code), 0);
        await restoreRecord(context, base, before);

        assert.deepEqual(await stateOf(namespace), good);
        assert.deepEqual(await names(namespace), [...clean, ...kept].sort());
        const told = (base?.leftovers ?? []).map(
          (left) => `${left.kind} ${left.keptBecause === '' ? 'goes' : 'stays'}`,
        );
        assert.ok(told.includes('PersistentVolumeClaim stays') && told.includes('Widget stays'), told.join());
        const history = await storage.history();
        assert.equal(releaseState(history).state, 'deployed');
        assert.deepEqual(
          history.slice(1, 3).map(({ status, manifest }) => ({ status, manifest })),
          before.slice(1, 3).map(({ manifest }) => ({ status: 'failed', manifest })),
        );
        await server.cleanUp(namespace);
      });
    }
  }

  for (const version of testedHelms) {
    const configMap = (name: string): string =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}}, data: {from: hand}}`;
    const from = async (namespace: string, name: string): Promise<unknown> =>
      (await connection.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name }))?.['data'];

    it(`Helm ${version}: the deploy after a failed one does not take over an object of another release`, async () => {
      const stage = await scene();
      const { namespace } = stage;
      const binary = server.helms[version] ?? assert.fail(`no Helm ${version}`);
      await deployed(binary, namespace);
      await failedByUs(binary, stage, 'b');
      await server.apply(namespace, configMap('fresh'));
      const more = ['--set', 'more={fresh}'];
      await given(stage, await rendered(binary, namespace, ...more));
      const { code, stderr } = await helm(binary, namespace, 'upgrade', 'web', chart, ...more);
      assert.notEqual(code, 0);
      assert.match(stderr, /ConfigMap "fresh".* cannot be imported into the current release/);
      assert.deepEqual(await from(namespace, 'fresh'), { from: 'hand' });
      await server.cleanUp(namespace);
    });

    it(`Helm ${version}: an object of the failed revision that somebody recreated is neither taken over nor removed`, async () => {
      const stage = await scene();
      const { namespace, storage } = stage;
      const binary = server.helms[version] ?? assert.fail(`no Helm ${version}`);
      await deployed(binary, namespace);
      await deployed(binary, namespace, '--set', 'more={shared,wanted}');
      await storage.update(2, { status: 'failed' });
      await server.runKubectl('delete', 'configmap', 'shared', 'wanted', '--namespace', namespace);
      for (const name of ['shared', 'wanted']) await server.apply(namespace, configMap(name));
      const more = ['--set', 'more={wanted}'];

      const before = await storage.history();
      const base = await given(stage, await rendered(binary, namespace, ...more));
      const { code, stderr } = await helm(binary, namespace, 'upgrade', 'web', chart, ...more);
      assert.notEqual(code, 0);
      assert.match(stderr, /ConfigMap "wanted".* cannot be imported into the current release/);
      await restoreRecord(stage.context, base, before);

      const again = await given(stage);
      assert.deepEqual(
        again?.leftovers.map(({ name, keptBecause }) => [name, keptBecause]).sort(),
        ['shared', 'wanted'].map((name) => [name, 'it belongs to no Helm release now']),
      );
      await deployed(binary, namespace, '--set', 'more=null');
      for (const name of ['shared', 'wanted']) assert.deepEqual(await from(namespace, name), { from: 'hand' });
      await server.cleanUp(namespace);
    });
  }
});
