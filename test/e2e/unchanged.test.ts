import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newestHelm3, newestHelm4, oldestHelm, testedHelms } from '../../scripts/cluster/pins';
import { down } from '../../scripts/cluster/cluster';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { createHelm, type HelmOptions } from '../../tasks/common/adapters/helm/helm';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import type { DeployRequest } from '../../tasks/common/core/inputs/deployRequest';
import type { Helm, HelmResult } from '../../tasks/common/core/ports';
import type { Revision } from '../../tasks/common/core/release/release';
import { secretFinder } from '../../tasks/common/core/text/secrets';
import { whatChanged } from '../../tasks/common/core/release/unchanged';
import { cluster as testCluster, type TestCluster } from '../support/cluster';

const clusterName = 'unchanged';
const { signal } = new AbortController();

/** Values that Go, YAML and JSON may write in several ways. */
const values = `
big: 1000000
float: 1.5
whole: 1.0
huge: 1e21
long: 12345678901234567890
odd: 9007199254740993
octal: 0644
none: null
map: {a: null, c: 3}
empty: {}
nothing: []
list: [1, 1000000, {a: 2000000, n: null}]
sub: {x: 9, z: null}
text: "1e6"
switch: yes
date: 2020-01-01
letters: "<&>ü😀"
`;

const files: Readonly<Record<string, string>> = {
  'Chart.yaml':
    'apiVersion: v2\nname: shop\nversion: 1.0.0\nappVersion: "1.10"\ndependencies: [{name: sub, version: 0.1.0, repository: ""}]\n',
  'values.yaml': 'big: 5\nnone: default\nmap: {a: 1, b: 2}\nimage: one\nlast: ""\n',
  'charts/sub/Chart.yaml': 'apiVersion: v2\nname: sub\nversion: 0.1.0\n',
  'charts/sub/values.yaml': 'x: 1\nz: {z: 2}\n',
  'charts/sub/templates/a.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub}\ndata: {x: "{{ .Values.x }}"}\n',
  'templates/a.yaml':
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  all: |\n{{ toYaml .Values | indent 4 }}\n' +
    '  int: "{{ int .Values.big }}"   \n\n\n\n',
  'templates/b.yaml':
    '{{- range until 12 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: "b{{ . }}"}\n{{- end }}\n---\n---\n' +
    '# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: None, ports: [{port: 1}]}\n',
  'templates/hooks.yaml':
    '{{- range until 4 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: "h{{ . }}", annotations: ' +
    '{helm.sh/hook: "post-upgrade,post-install", helm.sh/hook-delete-policy: before-hook-creation}}\n' +
    'data: {big: "{{ $.Values.big }}", image: "{{ $.Values.image }}"}\n{{- end }}\n',
  'templates/NOTES.txt': 'revision {{ .Release.Revision }}\n',
  'templates/tests/t.yaml':
    'apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n' +
    'spec: {containers: [{name: a, image: b}]}\n',
};

describe('detecting an unchanged deploy with the dry run of real Helms', function () {
  this.timeout(120_000);
  let server: TestCluster;
  let connection: ClusterConnection;
  let folder: string;

  before(async () => {
    server = await testCluster({ name: clusterName, realNode: false, kwokNodes: 0 });
    connection = await createCluster(server.kubeconfig);
    folder = await mkdtemp(path.join(tmpdir(), 'unchanged-'));
    await writeFile(path.join(folder, 'given.yaml'), values);
    await writeFile(path.join(folder, 'no-null.yaml'), 'sub: {z: {z: 2}}\n');
    await writeChart('chart', files);
  });

  after(async () => {
    connection.close();
    await rm(folder, { recursive: true, force: true });
    await down(clusterName, () => undefined, new AbortController().signal);
  });

  async function writeChart(name: string, content: Readonly<Record<string, string>>): Promise<void> {
    for (const [file, text] of Object.entries(content)) {
      const place = path.join(folder, name, file);
      await mkdir(path.dirname(place), { recursive: true });
      await writeFile(place, text);
    }
  }

  interface Way {
    /** Flags given by the user. */
    args?: readonly string[];
    /** Flags made from the inputs for values. */
    set?: readonly string[];
    valueFiles?: readonly string[];
    chart?: string;
  }

  /** Runs Helm as the task does. */
  function helmFor(
    version: string,
    namespace: string,
    { args = [], set = [], valueFiles = [], chart = 'chart' }: Way,
  ): Helm {
    const request: Partial<DeployRequest> = {
      releaseName: 'shop',
      createNamespace: false,
      chart: { kind: 'path', reference: path.join(folder, chart) },
      dependencyUpdate: false,
      valueFiles: valueFiles.map((file) => path.join(folder, file)),
      values: { argv: set, privateTexts: [] },
      extraArguments: args,
    };
    const options: Partial<HelmOptions> = {
      binary: server.helms[version] ?? assert.fail(`no Helm ${version}`),
      kubeconfig: server.kubeconfig,
      namespace,
      releaseName: 'shop',
      guard: { environment: () => ({}), watch: () => undefined, done: () => undefined },
      workingDirectory: folder,
      environment: process.env,
      isDebug: false,
      onLine: () => undefined,
      redact: (text: string) => text,
      secrets: secretFinder([]),
      request: request as DeployRequest,
    };
    return createHelm(options as HelmOptions);
  }

  async function succeed(run: Promise<HelmResult>): Promise<void> {
    const { ok, failure } = await run;
    assert.ok(ok, failure?.message);
  }

  const deploy = (version: string, namespace: string, way: Way): Promise<void> =>
    succeed(
      helmFor(version, namespace, way).upgrade(
        { timeoutSeconds: 60, wait: false, createNamespace: false, kept: [], lost: signal },
        signal,
      ),
    );

  async function changes(version: string, namespace: string, way: Way): Promise<string[]> {
    const { rendering, failure } = await helmFor(version, namespace, way).render(signal);
    assert.ok(rendering, failure?.message);
    return whatChanged({ rendering, deployed: await deployed(namespace) });
  }

  async function deployed(namespace: string): Promise<Revision> {
    const storage = createReleaseStorage(connection, { release: 'shop', namespace, driver: undefined });
    return (await storage.history()).at(-1) ?? assert.fail('nothing is deployed');
  }

  const given: Way = { valueFiles: ['given.yaml'] };
  // Helm 3.14 keeps a subchart's default where the parent gives null, and Helm 3.22 removes the default.
  const withoutSubchartNull: Way = { valueFiles: ['given.yaml', 'no-null.yaml'] };
  const set = [
    '--set',
    'big=1000000,a.b=1.5,c=null,list={1,2},f=true,none=null,map.a=null',
    '--set-string',
    's=1000000',
  ];
  const ways: readonly (readonly [string, Way])[] = [
    ['no values', {}],
    ['a values file', given],
    ['--set, --set-string, --set-json', { set: [...set, '--set-json', 'j={"n":1000000,"f":1.0,"x":null}'] }],
    ['a file and --set over it', { ...given, set: ['--set', 'big=2000000,map.b=null,list[0]=7'] }],
  ];

  for (const version of testedHelms) {
    for (const [name, way] of ways) {
      it(`Helm ${version}, ${name}: the same deploy again is unchanged, to the byte`, async () => {
        const namespace = await server.namespace('unchanged');
        await deploy(version, namespace, way);
        assert.deepEqual(await changes(version, namespace, way), []);
        const { rendering } = await helmFor(version, namespace, way).render(signal);
        const { manifest, hooks, config, chart } = await deployed(namespace);
        assert.equal(rendering?.manifest, manifest);
        assert.deepEqual(
          rendering.hooks.map((hook) => hook.manifest),
          hooks.map((hook) => hook.manifest),
        );
        assert.ok(manifest.length > 1000 && hooks.length === 5, 'the chart is there');
        assert.deepEqual(rendering.config, config);
        assert.deepEqual(rendering.chart, chart);
        await server.cleanUp(namespace);
      });
    }

    it(`Helm ${version}: a deploy after an upgrade and its rollback is unchanged, with --reuse-values too`, async () => {
      const namespace = await server.namespace('unchanged');
      // All these Helms may render a null among reused values in different ways at different times.
      const way: Way = { set: ['--set', 'big=1000000,a.b=1.5'] };
      await deploy(version, namespace, way);
      await deploy(version, namespace, { set: ['--set', 'image=two'] });
      await succeed(
        helmFor(version, namespace, way).rollback({
          revision: 1,
          timeoutSeconds: 60,
          wait: false,
          endAfterSeconds: 120,
        }),
      );
      assert.deepEqual(await changes(version, namespace, way), []);
      for (const flag of ['--reuse-values', '--reset-then-reuse-values']) {
        const reused: Way = { args: [flag], set: ['--set', `last=${flag}`] };
        await deploy(version, namespace, reused);
        assert.deepEqual(await changes(version, namespace, reused), []);
        assert.deepEqual(await changes(version, namespace, { args: [flag] }), []);
      }
      await server.cleanUp(namespace);
    });

    it(`Helm ${version}: the differing objects are named, and no others`, async () => {
      const namespace = await server.namespace('unchanged');
      await deploy(version, namespace, given);
      const name = `chart-${version}`;
      await writeChart(name, {
        ...files,
        'Chart.yaml': (files['Chart.yaml'] ?? '').replace('version: 1.0.0', 'version: 1.0.1'),
      });
      assert.deepEqual(await changes(version, namespace, { ...given, chart: name }), [
        'the chart (shop 1.0.1 of app version 1.10, deployed is shop 1.0.0 of app version 1.10)',
      ]);
      assert.deepEqual(await changes(version, namespace, { ...given, set: ['--set', 'image=two'] }), [
        'the values (image)',
        'the manifest (ConfigMap/a differs)',
        'the hooks (ConfigMap/h0 differs, ConfigMap/h1 differs, ConfigMap/h2 differs, ConfigMap/h3 differs)',
      ]);
      await writeChart(name, { ...files, 'templates/c.yaml': 'apiVersion: v1\nkind: Secret\nmetadata: {name: c}\n' });
      assert.deepEqual(await changes(version, namespace, { ...given, chart: name }), [
        'the manifest (Secret/c is new)',
      ]);
      await server.cleanUp(namespace);
    });
  }

  for (const [first, second, way] of [
    [oldestHelm, newestHelm3, withoutSubchartNull],
    [newestHelm3, newestHelm4, given],
    [newestHelm4, newestHelm3, given],
  ] as const) {
    it(`a release of Helm ${first} that Helm ${second} would deploy in the same way is unchanged`, async () => {
      const namespace = await server.namespace('unchanged');
      await deploy(first, namespace, way);
      assert.deepEqual(await changes(second, namespace, way), []);
      await server.cleanUp(namespace);
    });
  }

  it('a chart that renders something else each time is never unchanged', async () => {
    const namespace = await server.namespace('unchanged');
    const text = '{apiVersion: v1, kind: Secret, metadata: {name: random}, stringData: {a: "{{ randAlphaNum 12 }}"}}';
    await writeChart('random', {
      'Chart.yaml': 'apiVersion: v2\nname: random\nversion: 1.0.0\n',
      'templates/a.yaml': text,
    });
    await deploy(newestHelm3, namespace, { chart: 'random' });
    assert.deepEqual(await changes(newestHelm3, namespace, { chart: 'random' }), [
      'the manifest (Secret/random differs)',
    ]);
    await server.cleanUp(namespace);
  });
});
