import { runLabel } from '../../tasks/common/core/release/history';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { request } from '../../scripts/cluster/api';
import { adminApiServer } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import { realNodeTag } from '../../scripts/test/summary';
import { cluster as testCluster, type TestCluster } from '../support/cluster';
import { fieldAt } from '../../tasks/common/core/status/rules/rules';
import { runDeploy, startDeploy, type DeployEnd, type DeploySpec } from '../support/product';
import type { AgentOptions, Job } from '../support/agent';

const run = promisify(execFile);

export const charts = path.join(import.meta.dirname, 'charts');
/** Each scene needs only a few values of this chart. */
export const app = path.join(charts, 'app');

/** There are few cores, so more scenes at once only make each scene slower. */
const scenesAtOnce = 3;

/** An object of the cluster. The method `field` reads its fields. */
export interface Live extends Record<string, unknown> {
  metadata: {
    name: string;
    resourceVersion: string;
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    deletionTimestamp?: string;
  };
}

export interface SceneDeploy extends Partial<Omit<DeploySpec, 'cluster' | 'namespace'>> {
  /** Lines of the input `set`. */
  set?: readonly string[];
}

/** A namespace of one test, with the methods to act in it. */
export interface Scene {
  readonly cluster: TestCluster;
  readonly namespace: string;
  /** Writes a file into a folder of the scene and returns its path. */
  readonly file: (name: string, content: string) => string;
  /** Runs the packaged task to its end, with a short timeout unless the inputs set another one. */
  readonly deploy: (spec?: SceneDeploy, agent?: Partial<AgentOptions>) => Promise<DeployEnd>;
  readonly start: (spec?: SceneDeploy, agent?: Partial<AgentOptions>) => ReturnType<typeof startDeploy>;
  /** Runs Helm itself, as a person would by hand. Rejects when Helm fails. */
  readonly helm: (binary: string, ...args: readonly string[]) => Promise<string>;
  /** The object at this path of the API, or undefined. `$ns` stands for the scene's namespace. */
  readonly live: (apiPath: string) => Promise<Live | undefined>;
  /** One field of the object, by a dotted path. Undefined where the field or the object does not exist. */
  readonly field: (apiPath: string, path: string) => Promise<unknown>;
  /** The objects of a list by name, without those that are being deleted. */
  readonly list: (apiPath: string) => Promise<Live[]>;
  readonly put: (apiPath: string, object: unknown) => Promise<void>;
  readonly create: (apiPath: string, object: unknown) => Promise<unknown>;
  /** Waits for a condition. Rejects after a minute. */
  readonly until: (what: string, holds: () => Promise<boolean> | boolean) => Promise<void>;
  /** The history as `1 superseded, 2 failed, 3 deployed`, from Helm's storage. */
  readonly history: (release?: string, kind?: 'secrets' | 'configmaps') => Promise<string>;
  /**
   * The marks of the revisions: labels that start with `helm-safe-deploy/`, as `revision label=value`, without the
   * label of the run.
   */
  readonly marks: (release?: string) => Promise<string[]>;
}

export interface Scenes {
  /** Declares one test. Several tests of a file run at once, so each must stay in its own namespace. */
  readonly scene: (title: string, body: (scene: Scene) => Promise<void>) => void;
}

type Body = (scene: Scene) => Promise<void>;

interface Planned {
  title: string;
  body: Body;
  ended: Promise<void> | undefined;
}

/** Call this in a `describe`. It starts the cluster for the scenes and removes their namespaces. */
export function scenes(): Scenes {
  const planned: Planned[] = [];
  let cluster: TestCluster | undefined;

  before(async function () {
    this.timeout(1_800_000);
    cluster = await testCluster();
  });

  after(async () => {
    await Promise.allSettled(planned.flatMap(({ ended }) => ended ?? []));
    await cluster?.cleanUp();
  });

  /** Starts a scene and the following ones, as many as may run at once. */
  const startFrom = (first: number): void => {
    for (const scene of planned.slice(first, first + scenesAtOnce)) {
      if (cluster === undefined || scene.ended !== undefined || mustSkip(scene, cluster)) continue;
      scene.ended = play(cluster, scene.body);
      scene.ended.catch(() => undefined);
    }
  };

  return {
    scene(title, body) {
      const index = planned.push({ title, body, ended: undefined }) - 1;
      it(title, async function () {
        const scene = planned[index];
        if (scene === undefined || cluster === undefined) throw new Error('The cluster is not up.');
        if (mustSkip(scene, cluster)) this.skip();
        startFrom(index);
        await scene.ended;
      });
    },
  };
}

function mustSkip({ title }: Planned, cluster: TestCluster): boolean {
  return title.includes(realNodeTag) && !cluster.hasRealNode;
}

async function play(cluster: TestCluster, body: Body): Promise<void> {
  const namespace = await cluster.namespace('e2e');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'scene-'));
  try {
    await body(sceneIn(cluster, namespace, folder));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
    await cluster.cleanUp(namespace);
  }
}

function sceneIn(cluster: TestCluster, namespace: string, folder: string): Scene {
  const server = adminApiServer(cluster.name);
  const call = async (method: string, apiPath: string, body?: unknown): Promise<unknown> => {
    const answer = await request(server, method, apiPath.replaceAll('$ns', namespace), body);
    if (answer.status === 404) return undefined;
    if (answer.status >= 300) throw new Error(`${method} ${apiPath}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as unknown;
  };
  const live = async (apiPath: string): Promise<Live | undefined> => (await call('GET', apiPath)) as Live | undefined;
  const list = async (apiPath: string): Promise<Live[]> => {
    const { items } = ((await call('GET', apiPath)) ?? { items: [] }) as { items: Live[] };
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .sort((one, other) => one.metadata.name.localeCompare(other.metadata.name));
  };
  const records = async (release: string, kind: string): Promise<Record<string, string>[]> => {
    const found = await list(`/api/v1/namespaces/$ns/${kind}?labelSelector=owner%3Dhelm%2Cname%3D${release}`);
    return found
      .map(({ metadata }) => metadata.labels ?? {})
      .sort((one, other) => Number(one['version']) - Number(other['version']));
  };
  const specOf = ({ set, inputs, ...spec }: SceneDeploy): DeploySpec => ({
    cluster,
    namespace,
    chart: app,
    ...spec,
    inputs: { timeout: '60s', ...(set === undefined ? {} : { set: set.join('\n') }), ...inputs },
  });
  return {
    cluster,
    namespace,
    file: (name, content) => {
      const file = path.join(folder, name);
      fs.writeFileSync(file, content, { mode: 0o755 });
      return file;
    },
    deploy: (spec = {}, agent = {}) => runDeploy(specOf(spec), agent),
    start: (spec = {}, agent = {}) => startDeploy(specOf(spec), agent),
    helm: async (binary, ...args) => {
      const { stdout } = await run(binary, [...args, '--namespace', namespace, '--kubeconfig', cluster.kubeconfig]);
      return stdout;
    },
    live,
    list,
    field: async (apiPath, path) => fieldAt((await live(apiPath)) ?? {}, path),
    put: async (apiPath, object) => {
      await call('PUT', apiPath, object);
    },
    create: (apiPath, object) => call('POST', apiPath, object),
    until: (what, holds) => waitFor(what, async () => holds(), { timeoutSeconds: 60, intervalMilliseconds: 50 }),
    history: async (release = 'web', kind = 'secrets') => {
      const labels = await records(release, kind);
      return labels.map(({ version, status }) => `${version ?? ''} ${status ?? ''}`).join(', ');
    },
    marks: async (release = 'web') => {
      const found = await records(release, 'secrets');
      return found.flatMap((labels) =>
        Object.entries(labels)
          .filter(([name]) => name.startsWith(ownPrefix) && name !== runLabel)
          .map(([name, value]) => `${labels['version'] ?? ''} ${name.slice(ownPrefix.length)}=${value}`),
      );
    },
  };
}

const ownPrefix = 'helm-safe-deploy/';

/** Compares the outcome of a deploy and shows the whole log when it differs. */
export function assertOutcome(end: DeployEnd, outcome: string, reason?: string): void {
  const text = `${end.outputs['outcome'] ?? '(none)'} ${end.outputs['reason'] ?? ''}`;
  const fits = end.outputs['outcome'] === outcome && (reason === undefined || end.outputs['reason'] === reason);
  assert.ok(fits, `Expected ${outcome} ${reason ?? ''}, but it was ${text}:\n${end.log}`);
  assert.equal(end.result, results[outcome] ?? 'Failed');
}

const results: Readonly<Record<string, string>> = {
  planned: 'Succeeded',
  deployed: 'Succeeded',
  recovered: 'Succeeded',
  unchanged: 'Succeeded',
  uninstalled: 'Succeeded',
  cancelled: 'Canceled',
};

/** The definition of the kind Toy, with any fields. Each scene has its own group, because definitions are cluster-wide. */
export function toyDefinition(group: string) {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `toys.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'toys', singular: 'toy', kind: 'Toy' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}

/** Creates the definition of Toy before Helm reads the chart. Returns its group. */
export async function defineToys(s: Scene): Promise<string> {
  const group = `${s.namespace}.example.com`;
  await s.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', toyDefinition(group));
  await s.until('toys are served', async () => (await s.live(`/apis/${group}/v1/namespaces/$ns/toys`)) !== undefined);
  return group;
}

/** All objects with pods use the fake nodes: nothing runs, and nothing takes time. */
export const fake = ['fake=true'];
/** The release has only a ConfigMap. */
export const bare = ['web=false'];

/** Inputs with which a pod that no node can take keeps the deploy waiting. */
export const patient = { graces: 'Unschedulable: 10m' };

export const helms = (cluster: TestCluster): Readonly<Record<'3' | '4', string>> => ({
  '3': cluster.helm3,
  '4': cluster.helm4,
});

/** Ends every process of the job and the agent itself at one moment. */
export function loseMachine({ job }: { job: Job }): void {
  const started = job.processes();
  job.loseAgent();
  for (const { pid } of [...started].reverse()) kill(pid);
  for (const { pid } of job.processes()) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
