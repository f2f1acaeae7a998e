import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import { helmFailureReason } from '../../tasks/common/core/helm/helmFailure';
import type { KubeObject, ObjectRef } from '../../tasks/common/core/kubernetes/object';
import type { ReleaseStorage } from '../../tasks/common/core/ports';
import type { Revision } from '../../tasks/common/core/release/release';
import type { ClusterDescription } from '../cluster/cluster';
import { command, succeed, type CommandResult } from '../cluster/command';
import { waitFor } from '../cluster/wait';
import type { HelmFacts, Interrupted, Leftovers } from './facts';

/*
 * Measures the facts that the tasks' rules depend on, with one Helm on a real API server. No container runs: pods that
 * never get ready are enough. Each probe has its own namespace.
 */

export interface ProbeOptions {
  readonly cluster: Pick<ClusterDescription, 'kubeconfig' | 'kubectl'>;
  readonly helm: string;
  readonly log: (line: string) => void;
}

const release = 'web';

interface Bench extends ProbeOptions {
  readonly connection: ClusterConnection;
  readonly folder: string;
  readonly namespaces: Set<string>;
}

/** A release in its own namespace. */
interface Scene {
  readonly namespace: string;
  readonly storage: ReleaseStorage;
  readonly helm: (...args: readonly string[]) => Promise<CommandResult>;
  /** Installs these objects or upgrades to them. */
  readonly deploy: (objects: readonly object[], ...flags: readonly string[]) => Promise<CommandResult>;
  readonly mustDeploy: (objects: readonly object[], ...flags: readonly string[]) => Promise<void>;
  readonly command: (objects: readonly object[], ...flags: readonly string[]) => Promise<string[]>;
  readonly live: (ref: Omit<ObjectRef, 'namespace'>) => Promise<KubeObject | undefined>;
  readonly last: () => Promise<Revision>;
}

export async function measure(options: ProbeOptions): Promise<HelmFacts> {
  const folder = await mkdtemp(path.join(tmpdir(), 'helm-facts-'));
  const connection = await createCluster(options.cluster.kubeconfig);
  const bench: Bench = { ...options, connection, folder, namespaces: new Set() };
  try {
    await writeChart(path.join(folder, 'chart'));
    const probe = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
      options.log(`${what} ...`);
      return run();
    };
    return {
      matching: await probe('which objects it takes for the same', () => matching(bench)),
      adoptsObjectsOutsideLastManifest: await probe('objects outside of the last manifest', () => adopts(bench)),
      afterFailed: await probe('an upgrade after a failed revision', () => afterFailed(bench, true)),
      afterFailedWithoutDeployed: await probe('the same without a deployed one', () => afterFailed(bench, false)),
      copiesLabels: await probe('labels of the record', () => copiesLabels(bench)),
      interruptedUpgrade: await probe('an upgrade that is interrupted', () => interruptedUpgrade(bench)),
      interruptedRollback: await probe('a rollback that is interrupted', () => interruptedRollback(bench)),
      postHook: await probe('hooks, with and without waiting', () => postHook(bench)),
      existingObject: await probe('objects that are there already', () => existingObject(bench)),
      ...(await probe('the fields of the record', () => records(bench))),
      flags: await probe('flags', () => flags(bench)),
      failures: await probe('the words of failures', () => failures(bench)),
    };
  } finally {
    const names = [...bench.namespaces];
    if (names.length > 0) await kubectl(bench, 'delete', 'namespace', ...names, '--wait=false', '--ignore-not-found');
    connection.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a chart whose values are its objects. */
async function writeChart(chart: string): Promise<void> {
  await mkdir(path.join(chart, 'templates'), { recursive: true });
  await writeFile(path.join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 1.0.0\n');
  await writeFile(path.join(chart, 'values.yaml'), 'objects: []\n');
  const template = [
    '{{- if .Values.broken }}{{ fail "broken on purpose" }}{{ end }}',
    '{{- range .Values.objects }}',
    '---',
    '{{ toYaml . }}',
    '{{- end }}',
  ].join('\n');
  await writeFile(path.join(chart, 'templates', 'all.yaml'), `${template}\n`);
}

function kubectl({ cluster }: Bench, ...args: readonly string[]): Promise<string> {
  return succeed(cluster.kubectl, ['--kubeconfig', cluster.kubeconfig, ...args]);
}

async function apply({ cluster }: Bench, namespace: string, object: object): Promise<void> {
  const args = ['--kubeconfig', cluster.kubeconfig, '--namespace', namespace, 'apply', '--filename=-'];
  const { code, stderr } = await command(cluster.kubectl, args, { input: JSON.stringify(object) });
  if (code !== 0) throw new Error(`kubectl apply in ${namespace} fails: ${stderr}`);
}

async function scene(bench: Bench): Promise<Scene> {
  const { connection, folder, cluster } = bench;
  const namespace = `helm-facts-${randomBytes(4).toString('hex')}`;
  await kubectl(bench, 'create', 'namespace', namespace);
  bench.namespaces.add(namespace);
  const storage = createReleaseStorage(connection, { release, namespace, driver: undefined });
  let files = 0;
  const arguments_ = async (objects: readonly object[], ...more: readonly string[]): Promise<string[]> => {
    const values = path.join(folder, `${namespace}-${(files += 1)}.json`);
    await writeFile(values, JSON.stringify({ objects }));
    return ['upgrade', release, path.join(folder, 'chart'), '--install', '--values', values, ...more];
  };
  const where = ['--namespace', namespace, '--kubeconfig', cluster.kubeconfig];
  const helm = (...args: readonly string[]): Promise<CommandResult> =>
    command(bench.helm, [...args, ...where], { env: { ...process.env, HOME: folder } });
  const deploy = async (objects: readonly object[], ...more: readonly string[]): Promise<CommandResult> =>
    helm(...(await arguments_(objects, ...more)));
  return {
    namespace,
    storage,
    helm,
    deploy,
    mustDeploy: async (objects, ...more) => {
      const { code, stderr } = await deploy(objects, ...more);
      if (code !== 0) throw new Error(`${bench.helm} was to deploy: ${stderr}`);
    },
    command: async (objects, ...more) => [...(await arguments_(objects, ...more)), ...where],
    live: (ref) => connection.get({ ...ref, namespace }),
    last: async () => {
      const revision = (await storage.history()).at(-1);
      if (revision === undefined) throw new Error(`There is no revision in ${namespace}.`);
      return revision;
    },
  };
}

function configMap(name: string, data: Record<string, string> = {}, annotations: Record<string, string> = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, annotations }, data };
}

/** A Deployment whose pods fit no node, so it never gets ready. */
const stuck = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'stuck' },
  spec: {
    selector: { matchLabels: { app: 'stuck' } },
    template: {
      metadata: { labels: { app: 'stuck' } },
      spec: { nodeSelector: { none: 'such' }, containers: [{ name: 'main', image: 'example.com/none' }] },
    },
  },
};

/** A Service that the API server refuses. Helm writes it after the ConfigMaps. */
const invalid = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'invalid' },
  spec: { selector: { app: 'web' }, ports: [{ port: 70_000 }] },
};

async function matching(bench: Bench): Promise<HelmFacts['matching']> {
  const run = randomBytes(4).toString('hex');
  const groups = ['a', 'b'].map((letter) => `${letter}-${run}.helm-facts.test`);
  const crds = groups.map((group) => `facts.${group}`);
  try {
    for (const group of groups) await apply(bench, 'default', definition(group));
    await kubectl(bench, 'wait', '--for=condition=Established', '--timeout=60s', ...crds.map((name) => `crd/${name}`));
    const on = await scene(bench);
    const objects = (group: string, version: string): object[] => [
      { apiVersion: `${group}/v1`, kind: 'Fact', metadata: { name: 'one' } },
      {
        apiVersion: `autoscaling/${version}`,
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'one' },
        spec: { maxReplicas: 2, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'none' } },
      },
    ];
    const [first = '', second = ''] = groups;
    await on.mustDeploy(objects(first, 'v2'));
    await on.mustDeploy(objects(second, 'v1'));
    const scaler = await on.live({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', name: 'one' });
    if (scaler === undefined) return 'groupVersionKind';
    const old = await on.live({ apiVersion: `${first}/v1`, kind: 'Fact', name: 'one' });
    return old === undefined ? 'groupKind' : 'kind';
  } finally {
    await kubectl(bench, 'delete', 'crd', ...crds, '--wait=false', '--ignore-not-found');
  }
}

function definition(group: string): object {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `facts.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'Fact', plural: 'facts', singular: 'fact' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}

async function adopts(bench: Bench): Promise<boolean> {
  const on = await scene(bench);
  const kept = configMap('kept', {}, { 'helm.sh/resource-policy': 'keep' });
  await on.mustDeploy([configMap('one'), kept]);
  await on.mustDeploy([configMap('one')]);
  const { code, stderr } = await on.helm('rollback', release, '1');
  if (code !== 0 && !/ConfigMap with the name "kept" (?:not )?found/.test(stderr)) {
    throw new Error(`A rollback was to stop at what is outside of the last manifest, but: ${stderr}`);
  }
  return code === 0;
}

async function afterFailed(bench: Bench, hasDeployed: boolean): Promise<Leftovers> {
  const on = await scene(bench);
  const good = [configMap('one', { a: '1' })];
  await on.mustDeploy(good);
  const bad = [configMap('one', { a: '1', b: '2' }), configMap('only-failed')];
  if (hasDeployed) {
    const { code } = await on.deploy([...bad, invalid]);
    if (code === 0) throw new Error('The API server should have refused a Service with a port of 70000.');
  } else {
    await on.mustDeploy(bad);
    await on.storage.update(2, { status: 'failed' });
  }
  await on.mustDeploy(good);
  const one = await on.live({ apiVersion: 'v1', kind: 'ConfigMap', name: 'one' });
  const only = await on.live({ apiVersion: 'v1', kind: 'ConfigMap', name: 'only-failed' });
  const data = one?.['data'] as Record<string, string> | undefined;
  return { fields: data?.['b'] === undefined ? 'go' : 'stay', objects: only === undefined ? 'go' : 'stay' };
}

async function copiesLabels(bench: Bench): Promise<boolean> {
  const on = await scene(bench);
  await on.mustDeploy([configMap('one')]);
  await on.storage.update(1, { labels: { 'helm-facts/mark': '1' } });
  await on.mustDeploy([configMap('one', { a: '2' })]);
  return (await on.last()).labels['helm-facts/mark'] === '1';
}

async function interruptedUpgrade(bench: Bench): Promise<Interrupted> {
  const on = await scene(bench);
  await on.mustDeploy([configMap('one')]);
  return interrupt(bench, on, await on.command([configMap('one'), stuck], '--wait', '--timeout', '120s'));
}

async function interruptedRollback(bench: Bench): Promise<Interrupted> {
  const on = await scene(bench);
  await on.mustDeploy([configMap('one'), stuck]);
  await on.mustDeploy([configMap('one')]);
  const where = ['--namespace', on.namespace, '--kubeconfig', bench.cluster.kubeconfig];
  return interrupt(bench, on, ['rollback', release, '1', '--wait', '--timeout', '120s', ...where]);
}

/** Sends SIGINT when the release is pending and the stuck Deployment exists. */
async function interrupt(bench: Bench, on: Scene, args: readonly string[]): Promise<Interrupted> {
  const child = spawn(bench.helm, args, { stdio: 'ignore', env: { ...process.env, HOME: bench.folder } });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  try {
    await waitFor(
      'Helm to wait for its pods',
      async () =>
        (await on.last()).status.startsWith('pending-') &&
        (await on.live({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'stuck' })) !== undefined,
      { timeoutSeconds: 60, intervalMilliseconds: 100 },
    );
    child.kill('SIGINT');
    const [exitCode] = await ended;
    return { exitCode, status: (await on.last()).status };
  } finally {
    child.kill('SIGKILL');
  }
}

async function postHook(bench: Bench): Promise<HelmFacts['postHook']> {
  const hook = configMap('hook', {}, { 'helm.sh/hook': 'post-install' });
  const when = async (...waiting: readonly string[]): Promise<'at once' | 'never'> => {
    const on = await scene(bench);
    const { code, stderr } = await on.deploy([stuck, hook], ...waiting);
    if ((code === 0) !== (waiting.length === 0)) throw new Error(`An install of a stuck Deployment: ${stderr}`);
    const made = await on.live({ apiVersion: 'v1', kind: 'ConfigMap', name: 'hook' });
    return made === undefined ? 'never' : 'at once';
  };
  return { withoutWait: await when(), withWait: await when('--wait', '--timeout', '5s') };
}

async function existingObject(bench: Bench): Promise<HelmFacts['existingObject']> {
  const outcome = async (existing: object, ...more: readonly string[]): Promise<'refused' | 'adopted'> => {
    const on = await scene(bench);
    const marked = JSON.parse(JSON.stringify(existing).replaceAll('NAMESPACE', on.namespace)) as object;
    await apply(bench, on.namespace, marked);
    const { code } = await on.deploy([configMap('one', { from: 'chart' })], ...more);
    const found = await on.live({ apiVersion: 'v1', kind: 'ConfigMap', name: 'one' });
    const isChanged = (found?.['data'] as Record<string, string> | undefined)?.['from'] === 'chart';
    if (isChanged !== (code === 0)) throw new Error('An object was changed by an install that failed, or the reverse.');
    return isChanged ? 'adopted' : 'refused';
  };
  // The existing object has only fields that the chart does not set. Fields of other field managers are a different
  // case.
  const foreign = configMap('one', { by: 'hand' });
  const annotated = {
    ...configMap('one', { by: 'hand' }),
    metadata: {
      name: 'one',
      labels: { 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { 'meta.helm.sh/release-name': release, 'meta.helm.sh/release-namespace': 'NAMESPACE' },
    },
  };
  return {
    foreign: await outcome(foreign),
    annotated: await outcome(annotated),
    takeOwnership: await outcome(foreign, '--take-ownership'),
  };
}

async function records(bench: Bench): Promise<Pick<HelmFacts, 'record' | 'rollbackRecord' | 'applyMethod'>> {
  const on = await scene(bench);
  const hook = configMap('hook', {}, { 'helm.sh/hook': 'pre-install,pre-rollback' });
  await on.mustDeploy([configMap('one'), hook]);
  await on.mustDeploy([configMap('one', { a: '2' }), hook]);
  await on.helm('rollback', release, '1');
  const [made, back] = [await rawRecord(bench, on, 1), await rawRecord(bench, on, 3)];
  const { applyMethod = '' } = (await on.storage.history())[0] ?? {};
  return { record: fieldsOf(made), rollbackRecord: fieldsOf(back), applyMethod };
}

async function rawRecord(bench: Bench, { namespace }: Scene, revision: number): Promise<unknown> {
  const secret = `secret/sh.helm.release.v1.${release}.v${revision}`;
  const data = await kubectl(bench, 'get', secret, '--namespace', namespace, '--output=jsonpath={.data.release}');
  const packed = Buffer.from(Buffer.from(data, 'base64').toString(), 'base64');
  return JSON.parse(gunzipSync(packed).toString()) as unknown;
}

/**
 * Names of the record's fields, such as `info.status` or `hooks[].last_run.phase`. Content of the chart itself is left
 * out.
 */
function fieldsOf(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((one) => fieldsOf(one, `${at}[]`)))].sort();
  if (typeof value !== 'object' || value === null) return [at];
  const isForeign = /^(chart\.(templates|values|files|schema|metadata)|config)/.test(at);
  if (isForeign) return [at];
  return Object.entries(value)
    .flatMap(([name, one]) => fieldsOf(one, at === '' ? name : `${at}.${name}`))
    .sort();
}

async function flags(bench: Bench): Promise<HelmFacts['flags']> {
  const of = async (verb: string): Promise<string[]> => {
    const help = await succeed(bench.helm, [verb, '--help'], { env: { ...process.env, HOME: bench.folder } });
    const found = [...help.matchAll(/^\s+(?:-\w, )?--([a-z][a-z0-9-]*(?: [a-zA-Z0-9]+)?)(?= {2}|\s*$|\[)/gm)];
    return [...new Set(found.map(([, flag = '']) => flag))].sort();
  };
  return { upgrade: await of('upgrade'), rollback: await of('rollback'), uninstall: await of('uninstall') };
}

async function failures(bench: Bench): Promise<HelmFacts['failures']> {
  const of = async (run: (on: Scene) => Promise<CommandResult>): Promise<ReturnType<typeof helmFailureReason>> => {
    const { code, stderr } = await run(await scene(bench));
    if (code === 0) throw new Error('Helm succeeded, but should have failed.');
    return helmFailureReason(stderr);
  };
  const somebodyElses = async (on: Scene): Promise<CommandResult> => {
    await apply(bench, on.namespace, configMap('one', { from: 'hand' }));
    return on.deploy([configMap('one')]);
  };
  const pending = async (on: Scene): Promise<CommandResult> => {
    await on.mustDeploy([configMap('one')]);
    await on.storage.update(1, { status: 'pending-upgrade' });
    return on.deploy([configMap('one')]);
  };
  const unknownKind = { apiVersion: 'nowhere.example/v1', kind: 'Nothing', metadata: { name: 'one' } };
  const badHook = {
    ...invalid,
    metadata: { name: 'invalid', annotations: { 'helm.sh/hook': 'pre-install' } },
  };
  return {
    'object of somebody else': await of(somebodyElses),
    'object that is refused': await of((on) => on.deploy([invalid])),
    'pending release': await of(pending),
    'unknown kind': await of((on) => on.deploy([unknownKind])),
    'hook that is refused': await of((on) => on.deploy([badHook])),
    'template that fails': await of((on) => on.deploy([], '--set', 'broken=true')),
    'rollout that does not end': await of((on) => on.deploy([stuck], '--wait', '--timeout', '2s')),
    'cluster that is not there': await of((on) => on.deploy([], '--kube-apiserver', 'https://127.0.0.1:1')),
    'revision that is not there': await of(async (on) => {
      await on.mustDeploy([]);
      return on.helm('rollback', release, '7');
    }),
  };
}
