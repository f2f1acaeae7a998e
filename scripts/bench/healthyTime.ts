import path from 'node:path';
import type { TestCluster } from '../../test/support/cluster';
import { succeed } from '../cluster/command';
import { rawWatch, type RawWatch } from './rawWatch';
import type { TaskStart } from './task';
import { hasSucceeded } from './task';
import { outputOf, watched, type WatchedRun } from './watchedProcess';

/** Times in milliseconds. */
export interface HealthyRun {
  /** Time from the moment when the API server reported the last pod as ready to the end of the step. */
  readonly afterPod: number;
  /**
   * Time from the moment when the API server reported the workload's own status, which a controller of the cluster
   * writes.
   */
  readonly afterStatus: number;
}

export interface HealthyTime {
  readonly who: string;
  readonly runs: readonly HealthyRun[];
}

interface Bench {
  readonly cluster: TestCluster;
  readonly check: TaskStart;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

const release = 'bench';
/**
 * The pods answer their readiness probe with 503 for this time, so that every program is already waiting when they get
 * ready.
 */
const readyAfterSeconds = 3;
const workloads = 3;

/** Measures how soon the end of a rollout is known: by the task, by kubectl and by each Helm, in turn in every run. */
export async function measureHealthyTimes(bench: Bench, runs: number): Promise<HealthyTime[]> {
  const { cluster, log, signal } = bench;
  const helms = [cluster.helm3, cluster.helm4];
  const contestants = [
    { who: 'RolloutHealthCheck', run: checked },
    ...Object.entries(cluster.helms)
      .filter(([, file]) => helms.includes(file))
      .map(([version, file]) => ({
        who: `helm ${version} --wait`,
        run: (each: Bench, namespace: string) => installed(each, namespace, file),
      })),
    { who: 'kubectl rollout status', run: followedByKubectl },
  ];
  const times = contestants.map(({ who }) => ({ who, runs: [] as HealthyRun[] }));
  for (let run = 0; run < runs; run++) {
    log(`time to healthy, run ${run + 1} of ${runs}`);
    for (const [index, { who, run: act }] of contestants.entries()) {
      signal.throwIfAborted();
      const result = await oneRun(bench, act);
      times[index]?.runs.push(result);
      log(
        `  ${who}  ${Math.round(result.afterPod)} ms after the pod, ${Math.round(result.afterStatus)} ms after the status`,
      );
    }
  }
  return times;
}

type Act = (bench: Bench, namespace: string) => Promise<WatchedRun>;

async function oneRun(bench: Bench, act: Act): Promise<HealthyRun> {
  const { cluster } = bench;
  const namespace = await cluster.namespace('healthy');
  try {
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const watch = await rawWatch(cluster.name, [pods, `/apis/apps/v1/namespaces/${namespace}/deployments`]);
    try {
      const run = await act(bench, namespace);
      if (run.exitCode !== 0) throw new Error(`A measured run failed:\n${outputOf(run)}`);
      return { afterPod: run.endedAt - lastReadyPod(watch), afterStatus: run.endedAt - lastAvailable(watch) };
    } finally {
      watch.stop();
    }
  } finally {
    await cluster.cleanUp(namespace);
  }
}

/** The time when the last pod first became ready. */
function lastReadyPod(watch: RawWatch): number {
  return latest(Array.from({ length: workloads }, (_, index) => watch.first(readyPod(index))));
}

function lastAvailable(watch: RawWatch): number {
  return latest(Array.from({ length: workloads }, (_, index) => watch.first(availableDeployment(index))));
}

function latest(times: readonly (number | undefined)[]): number {
  return Math.max(...times.map((time) => time ?? Number.NaN));
}

function readyPod(index: number): RegExp {
  return new RegExp(
    `"kind":"Pod".*"name":"${release}-${index}-.*"type":"Ready",("observedGeneration":\\d+,)?"status":"True"`,
  );
}

function availableDeployment(index: number): RegExp {
  return new RegExp(`"kind":"Deployment".*"name":"${release}-${index}".*"availableReplicas":1`);
}

const chart = path.join(import.meta.dirname, 'chart');
const values = [`workloads=${workloads}`, `readyAfter=${readyAfterSeconds}`].flatMap((line) => ['--set', line]);

function installed(bench: Bench, namespace: string, helm: string): Promise<WatchedRun> {
  const args = [
    'upgrade',
    release,
    chart,
    '--install',
    '--wait',
    '--timeout',
    '2m',
    '--namespace',
    namespace,
    ...values,
  ];
  return watched(helm, args, { env: helmEnvironment(bench) });
}

async function applied(bench: Bench, namespace: string): Promise<void> {
  const { helm4 } = bench.cluster;
  const args = ['upgrade', release, chart, '--install', '--namespace', namespace, ...values];
  await succeed(helm4, args, { env: helmEnvironment(bench) });
}

function helmEnvironment({ check, cluster }: Bench): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: check.home, KUBECONFIG: cluster.kubeconfig };
}

async function checked(bench: Bench, namespace: string): Promise<WatchedRun> {
  await applied(bench, namespace);
  const { check } = bench;
  const env = check.environment({ namespace, releaseName: release });
  const run = await watched(check.node, [check.script], { cwd: check.workingFolder, env });
  return { ...run, exitCode: hasSucceeded(outputOf(run)) ? 0 : 1 };
}

async function followedByKubectl(bench: Bench, namespace: string): Promise<WatchedRun> {
  await applied(bench, namespace);
  const { kubectl, kubeconfig } = bench.cluster;
  const selector = ['--selector', `app.kubernetes.io/instance=${release}`, '--namespace', namespace];
  return watched(kubectl, ['--kubeconfig', kubeconfig, 'rollout', 'status', 'deployment', ...selector]);
}
