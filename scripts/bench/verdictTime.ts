import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from '../../test/support/cluster';
import { openRegistry } from '../../test/support/registry';
import { request } from '../cluster/api';
import { adminApiServer } from '../cluster/cluster';
import { rawWatch, type RawWatch } from './rawWatch';
import type { TaskStart } from './task';
import { verdictCases, workloadName, type VerdictCase, type WorkloadKind } from './verdictCases';
import { outputOf, watched, type WatchedRun } from './watchedProcess';

/** Times in seconds since the object was sent to the API server. */
export interface VerdictRun {
  /** Time until the cluster first showed the cause. */
  readonly shown: number;
  /**
   * Time until the task had its verdict, before it collects evidence and reports. Absent if its log does not show this
   * moment.
   */
  readonly judged?: number;
  /** Time until the step had ended with the right cause. */
  readonly ended: number;
}

export interface PeerEnd {
  readonly seconds: number;
  /** `silent` means no result before the limit. `content` means that the program reported a successful rollout. */
  readonly end: 'silent' | 'failed' | 'content';
}

export interface VerdictTime {
  readonly scenario: Omit<VerdictCase, 'manifest'>;
  readonly runs: readonly VerdictRun[];
  readonly helm3: PeerEnd;
  readonly helm4: PeerEnd;
  /** Absent if kubectl has no command for this case. */
  readonly kubectl?: PeerEnd;
}

export const capSeconds = 45;
/** This number of rollouts, which mostly wait, run at the same time. */
const waitingAtOnce = 8;
const peersAtOnce = 3;

interface Bench {
  readonly cluster: TestCluster;
  readonly check: TaskStart;
  readonly deploy: TaskStart;
  /** A folder for charts. */
  readonly folder: string;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

export async function measureVerdictTimes(bench: Bench, runs: number): Promise<VerdictTime[]> {
  const { cluster, log } = bench;
  const registryNamespace = await cluster.namespace('registry');
  const registry = await openRegistry(cluster, registryNamespace);
  try {
    const cases = verdictCases(registry.host);
    const found = new Map<VerdictCase, VerdictRun[]>(cases.map((each) => [each, []]));
    const measure = async (each: VerdictCase): Promise<void> => {
      const run = await ourVerdict(bench, each);
      found.get(each)?.push(run);
      log(`  ${nameOf(each)}  shown ${run.shown.toFixed(2)} s, ended ${run.ended.toFixed(2)} s`);
    };
    for (let run = 0; run < runs; run++) {
      log(`time to the verdict, run ${run + 1} of ${runs}`);
      await sideBySide(1, cases.filter(isAtOnce), measure);
      await sideBySide(
        waitingAtOnce,
        cases.filter((each) => !isAtOnce(each)),
        measure,
      );
    }
    log(`time to the verdict, Helm and kubectl, at most ${capSeconds} s each`);
    const peers = await sideBySide(peersAtOnce, cases, (each) => peersOf(bench, each));
    return cases.map(({ manifest: _, ...scenario }, index) => ({
      scenario,
      runs: found.get(cases[index] as VerdictCase) ?? [],
      ...(peers[index] as Pick<VerdictTime, 'helm3' | 'helm4' | 'kubectl'>),
    }));
  } finally {
    await registry.close();
    await cluster.cleanUp(registryNamespace);
  }
}

function isAtOnce({ graceSeconds }: VerdictCase): boolean {
  return graceSeconds === 0;
}

export function nameOf({ incident, kind }: Pick<VerdictCase, 'incident' | 'kind'>): string {
  return `${incident}, ${kind}`;
}

/** Runs at most `limit` actions at a time, started in order. */
async function sideBySide<T, Result>(
  limit: number,
  items: readonly T[],
  act: (item: T) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = [...items.entries()];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, item] = next;
      results[index] = await act(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  return results;
}

async function ourVerdict(bench: Bench, scenario: VerdictCase): Promise<VerdictRun> {
  return inNamespace(bench, scenario, async (namespace, watch) => {
    const { check, deploy, cluster } = bench;
    let run: WatchedRun;
    let appliedAt: number;
    if (scenario.isHook === true) {
      const chart = await chartOf(bench.folder, namespace, scenario.manifest);
      const inputs = { namespace, releaseName: workloadName, chart, helmPath: cluster.helm4 };
      run = await watched(deploy.node, [deploy.script], { cwd: deploy.workingFolder, env: deploy.environment(inputs) });
      appliedAt = appearance(watch, scenario.kind);
    } else {
      appliedAt = performance.now();
      await send(cluster, namespace, scenario);
      const inputs = { namespace, workloads: `${scenario.kind.toLowerCase()}/${workloadName}` };
      run = await watched(check.node, [check.script], { cwd: check.workingFolder, env: check.environment(inputs) });
    }
    const reason = /variable=reason;[^\]]*\](\w*)/.exec(outputOf(run))?.[1];
    if (reason !== scenario.code) {
      throw new Error(`${nameOf(scenario)}: ${reason ?? 'no cause'} instead of ${scenario.code}\n${outputOf(run)}`);
    }
    const shownAt = watch.first(scenario.shownBy);
    if (shownAt === undefined) throw new Error(`${nameOf(scenario)}: the cluster did not show the cause.`);
    const judgedAt = run.lines.find(({ text }) => text.includes('Why it is not healthy'))?.at;
    const since = (at: number): number => (at - appliedAt) / 1000;
    return {
      shown: since(shownAt),
      ended: since(run.endedAt),
      ...(judgedAt === undefined ? {} : { judged: since(judgedAt) }),
    };
  });
}

async function peersOf(bench: Bench, scenario: VerdictCase): Promise<Pick<VerdictTime, 'helm3' | 'helm4' | 'kubectl'>> {
  const { cluster } = bench;
  const [helm3, helm4, kubectl] = await Promise.all([
    helmEnd(bench, cluster.helm3, scenario),
    helmEnd(bench, cluster.helm4, scenario),
    scenario.isHook === true ? undefined : kubectlEnd(bench, scenario),
  ]);
  return { helm3, helm4, ...(kubectl === undefined ? {} : { kubectl }) };
}

function helmEnd(bench: Bench, helm: string, scenario: VerdictCase): Promise<PeerEnd> {
  return inNamespace(bench, scenario, async (namespace, watch) => {
    const chart = await chartOf(bench.folder, namespace, scenario.manifest);
    const flags = ['--install', '--wait', '--wait-for-jobs', '--timeout', `${capSeconds}s`, '--namespace', namespace];
    const run = await watched(helm, ['upgrade', workloadName, chart, ...flags], {
      env: { PATH: process.env['PATH'], HOME: bench.check.home, KUBECONFIG: bench.cluster.kubeconfig },
    });
    return peerEnd(run, appearance(watch, scenario.kind));
  });
}

function kubectlEnd(bench: Bench, scenario: VerdictCase): Promise<PeerEnd> {
  const { cluster } = bench;
  return inNamespace(bench, scenario, async (namespace) => {
    const appliedAt = performance.now();
    await send(cluster, namespace, scenario);
    const words = scenario.kind === 'Job' ? ['wait', '--for=condition=Complete'] : ['rollout', 'status'];
    const object = `${scenario.kind.toLowerCase()}/${workloadName}`;
    const args = [...words, object, `--timeout=${capSeconds}s`, '--namespace', namespace];
    const run = await watched(cluster.kubectl, ['--kubeconfig', cluster.kubeconfig, ...args]);
    return peerEnd(run, appliedAt);
  });
}

function peerEnd({ endedAt, exitCode }: WatchedRun, appliedAt: number): PeerEnd {
  const seconds = (endedAt - appliedAt) / 1000;
  if (exitCode === 0) return { seconds, end: 'content' };
  return { seconds, end: seconds > capSeconds - 1 ? 'silent' : 'failed' };
}

const collections: Readonly<Record<WorkloadKind, readonly [api: string, plural: string]>> = {
  Deployment: ['/apis/apps/v1', 'deployments'],
  StatefulSet: ['/apis/apps/v1', 'statefulsets'],
  Job: ['/apis/batch/v1', 'jobs'],
};

function collectionPath(kind: WorkloadKind, namespace: string): string {
  const [api, plural] = collections[kind];
  return `${api}/namespaces/${namespace}/${plural}`;
}

/** The time when the API server first reported the object. */
function appearance(watch: RawWatch, kind: WorkloadKind): number {
  const at = watch.first(new RegExp(`^{"type":"ADDED","object":{"kind":"${kind}"`));
  if (at === undefined) throw new Error(`No ${kind} was made.`);
  return at;
}

async function send(cluster: TestCluster, namespace: string, { kind, manifest }: VerdictCase): Promise<void> {
  const path = collectionPath(kind, namespace);
  const { status, body } = await request(adminApiServer(cluster.name), 'POST', path, manifest);
  if (status !== 201) throw new Error(`The API server refused POST ${path} with ${status}: ${body}`);
}

async function inNamespace<T>(
  { cluster, signal }: Bench,
  scenario: VerdictCase,
  act: (namespace: string, watch: RawWatch) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const namespace = await cluster.namespace('verdict');
  try {
    if (scenario.surroundings !== '') await surround(cluster, namespace, scenario.surroundings);
    const root = `/api/v1/namespaces/${namespace}`;
    const sets = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
    const own = collectionPath(scenario.kind, namespace);
    const watch = await rawWatch(cluster.name, [`${root}/pods`, `${root}/events`, sets, own]);
    try {
      return await act(namespace, watch);
    } finally {
      watch.stop();
    }
  } finally {
    await cluster.cleanUp(namespace);
  }
}

/** A quota counts only after its controller has processed it, and a limit range after admission has seen it. */
const admissionLagMilliseconds = 500;

async function surround(cluster: TestCluster, namespace: string, manifest: string): Promise<void> {
  await cluster.apply(namespace, manifest);
  if (manifest.includes('ResourceQuota')) {
    const object = ['resourcequota', '--all', '--namespace', namespace];
    await cluster.runKubectl('wait', '--for=jsonpath={.status.hard}', ...object, '--timeout=30s');
  }
  await delay(admissionLagMilliseconds);
}

async function chartOf(folder: string, name: string, manifest: object): Promise<string> {
  const chart = path.join(folder, name);
  await mkdir(path.join(chart, 'templates'), { recursive: true });
  await writeFile(path.join(chart, 'Chart.yaml'), `apiVersion: v2\nname: ${workloadName}\nversion: 1.0.0\n`);
  await writeFile(path.join(chart, 'templates', 'app.yaml'), JSON.stringify(manifest));
  return chart;
}
