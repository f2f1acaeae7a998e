import path from 'node:path';
import type { TestCluster } from '../../test/support/cluster';
import { waitFor } from '../cluster/wait';
import { requestsBetween, type RequestCounts } from './apiRequests';
import { inPairs, type Pair } from './statistics';
import { hasSucceeded, type TaskStart } from './task';
import { timedSuccess } from './timedProcess';

export interface Scenario {
  readonly workloads: number;
  readonly nodeKind: 'real' | 'kwok';
}

export interface StepTime extends Scenario {
  readonly helmVersion: string;
  /** Seconds. */
  readonly pairs: readonly Pair[];
  /** Of one run each. */
  readonly requests: { readonly ours: RequestCounts; readonly theirs: RequestCounts };
}

const release = 'bench';

/**
 * Upgrades two releases of the same chart in turn, one with the task and one with `helm upgrade --install --wait`. Each
 * upgrade replaces every pod; the next one starts when nothing of the one before is left running.
 */
export async function measureStepTime(
  cluster: TestCluster,
  task: TaskStart,
  helmVersion: string,
  scenario: Scenario,
  runs: number,
): Promise<StepTime> {
  const helm = cluster.helms[helmVersion] ?? '';
  const chart = path.join(import.meta.dirname, 'chart');
  const [ours, theirs] = [await cluster.namespace('ours'), await cluster.namespace('theirs')];
  const measureOurs = async (run: number): Promise<number> => {
    const seconds = await runTask(task, ours, { helm, chart, set: values(scenario, run) });
    await settled(cluster, ours, scenario.workloads);
    return seconds;
  };
  const measureTheirs = async (run: number): Promise<number> => {
    const seconds = await runHelm(cluster, task, theirs, { helm, chart, set: values(scenario, run) });
    await settled(cluster, theirs, scenario.workloads);
    return seconds;
  };
  try {
    // The first install, and what fills caches, is not measured.
    await measureOurs(0);
    await measureTheirs(0);
    const pairs = await inPairs(runs, measureOurs, measureTheirs);
    const requests = {
      ours: await requestsBetween(cluster, () => runTask(task, ours, { helm, chart, set: values(scenario, runs + 1) })),
      theirs: await requestsBetween(cluster, () =>
        runHelm(cluster, task, theirs, { helm, chart, set: values(scenario, runs + 1) }),
      ),
    };
    return { ...scenario, helmVersion, pairs, requests };
  } finally {
    await cluster.cleanUp(ours);
    await cluster.cleanUp(theirs);
  }
}

interface Upgrade {
  readonly helm: string;
  readonly chart: string;
  readonly set: readonly string[];
}

function runTask(task: TaskStart, namespace: string, { helm, chart, set }: Upgrade): Promise<number> {
  const env = task.environment({ namespace, releaseName: release, chart, helmPath: helm, set: set.join('\n') });
  return timedSuccess(task.node, [task.script], { cwd: task.workingFolder, env, isSuccess: hasSucceeded });
}

function runHelm(
  cluster: TestCluster,
  task: TaskStart,
  namespace: string,
  { helm, chart, set }: Upgrade,
): Promise<number> {
  const flags = ['--install', '--wait', '--timeout', '5m', '--namespace', namespace];
  const args = ['upgrade', release, chart, ...flags, ...set.flatMap((line) => ['--set', line])];
  return timedSuccess(helm, args, {
    env: { PATH: process.env['PATH'], HOME: task.home, KUBECONFIG: cluster.kubeconfig },
  });
}

function values({ workloads, nodeKind }: Scenario, run: number): string[] {
  const place = nodeKind === 'kwok' ? ['nodeSelector.type=kwok', 'tolerations[0].operator=Exists'] : [];
  return [`workloads=${workloads}`, `rollout=run-${run}`, ...place];
}

/** No pod of an older revision is left, and each workload has its one. */
async function settled(cluster: TestCluster, namespace: string, workloads: number): Promise<void> {
  const isSettled = async (): Promise<boolean> => {
    const { items } = await cluster.kubectlJson<{ items: { metadata: { deletionTimestamp?: string } }[] }>(
      'get',
      'pods',
      '--namespace',
      namespace,
    );
    return items.length === workloads && items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  await waitFor(`${workloads} pods in ${namespace}`, isSettled, { timeoutSeconds: 120, intervalMilliseconds: 300 });
}
