import path from 'node:path';
import type { TestCluster } from '../../test/support/cluster';
import { waitFor } from '../cluster/wait';
import { noRequests, requestsSince, type RequestCounts } from './apiRequests';
import { inPairs, type Pair } from './statistics';
import { hasSucceeded, type TaskStart } from './task';
import { timedSuccess } from './timedProcess';

export interface Scenario {
  readonly workloads: number;
  readonly nodeKind: 'real' | 'kwok';
}

export interface StepTime extends Scenario {
  readonly helmVersion: string;
  /** The times in seconds. */
  readonly pairs: readonly Pair[];
  /** The requests of one run each. */
  readonly requests: { readonly ours: RequestCounts; readonly theirs: RequestCounts };
}

const release = 'bench';

/**
 * Upgrades two releases of the same chart in turn, one with the task and one with `helm upgrade --install --wait`. Each
 * upgrade replaces every pod. The next one starts when no pod of the previous one is left.
 */
export async function measureStepTime(
  cluster: TestCluster,
  task: TaskStart,
  { helmVersion, ...scenario }: Scenario & { readonly helmVersion: string },
  { runs, log, signal }: { readonly runs: number; readonly log: (line: string) => void; readonly signal: AbortSignal },
): Promise<StepTime> {
  const helm = cluster.helms[helmVersion] ?? '';
  const chart = path.join(import.meta.dirname, 'chart');
  const [ours, theirs] = [await cluster.namespace('ours'), await cluster.namespace('theirs')];
  const last: { ours: RequestCounts; theirs: RequestCounts } = { ours: noRequests, theirs: noRequests };
  const measure = (side: 'ours' | 'theirs') => async (run: number) => {
    const upgrade = { helm, chart, set: values(scenario, run) };
    const since = new Date();
    const seconds = await (side === 'ours' ? runTask(task, ours, upgrade) : runHelm(cluster, task, theirs, upgrade));
    last[side] = await requestsSince(cluster, since);
    log(`  ${side === 'ours' ? 'task' : 'helm'}  ${seconds.toFixed(2)} s`);
    await settled(cluster, side === 'ours' ? ours : theirs, scenario.workloads, signal);
    return seconds;
  };
  try {
    // The first install, which also fills caches, is not measured.
    await measure('ours')(0);
    await measure('theirs')(0);
    const pairs = await inPairs(runs, measure('ours'), measure('theirs'));
    return { ...scenario, helmVersion, pairs, requests: last };
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

/** Waits until no pod of an older revision is left and each workload has its one pod. */
async function settled(cluster: TestCluster, namespace: string, workloads: number, signal: AbortSignal): Promise<void> {
  const isSettled = async (): Promise<boolean> => {
    const { items } = await cluster.kubectlJson<{ items: { metadata: { deletionTimestamp?: string } }[] }>(
      'get',
      'pods',
      '--namespace',
      namespace,
    );
    return items.length === workloads && items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  await waitFor(`${workloads} pods in ${namespace}`, isSettled, {
    signal,
    timeoutSeconds: 120,
    intervalMilliseconds: 300,
  });
}
