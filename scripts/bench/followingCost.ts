import { succeed } from '../cluster/command';
import { waitFor } from '../cluster/wait';
import type { AuditEvent, TestCluster } from '../../test/support/cluster';
import path from 'node:path';
import { countingProxy, type CountingProxy } from './countingProxy';
import { hasSucceeded, taskStart, type TaskStart } from './task';
import { outputOf, watched, type Usage, type WatchedRun } from './watchedProcess';

export interface Size {
  readonly workloads: number;
  readonly podsEach: number;
}

export interface FollowingCost {
  readonly size: Size;
  readonly who: string;
  readonly seconds: number;
  /** Does not include further pages of a list, which are counted in `pages`. */
  readonly lists: number;
  readonly pages: number;
  readonly watches: number;
  /** Reads of single objects and of discovery. */
  readonly gets: number;
  readonly bytes: number;
  readonly usage: Usage | undefined;
  /** The number of requests by kind, such as `list pods` or `watch pods`, without further pages. */
  readonly byKind: Readonly<Record<string, number>>;
  /** True if the run was ended before all pods were ready. */
  readonly isCapped: boolean;
}

export const sizes: readonly Size[] = [
  { workloads: 1, podsEach: 1 },
  { workloads: 50, podsEach: 1 },
  { workloads: 50, podsEach: 10 },
  { workloads: 500, podsEach: 10 },
];

/** A run that has not ended after this time is ended. */
export const followingCapSeconds = 420;

interface Bench {
  readonly cluster: TestCluster;
  readonly vsix: string;
  /** A folder for the kubeconfig of the proxy. */
  readonly folder: string;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface FollowingCosts {
  readonly costs: readonly FollowingCost[];
  /** The memory of an idle Node in MiB. */
  readonly bareNodeMiB: number | undefined;
}

const release = 'bench';
const nodeName = 'bench-large';

/** Measures a rollout of new pods on simulated nodes, from the moment when their workloads exist. */
export async function measureFollowingCosts(
  bench: Bench,
  wanted: readonly Size[] = sizes,
  who = contestants,
): Promise<FollowingCosts> {
  const { cluster, vsix, folder, log, signal } = bench;
  await cluster.apply('default', JSON.stringify(largeNode));
  const proxy = await countingProxy(cluster.kubeconfig, folder);
  const check = await taskStart(vsix, proxy.kubeconfig, 'RolloutHealthCheck');
  const costs: FollowingCost[] = [];
  try {
    const { usage: bare } = await watched(check.node, ['-e', 'setTimeout(() => {}, 1000)']);
    for (const size of wanted) {
      for (const contestant of who) {
        signal.throwIfAborted();
        const cost = await costOf({ ...bench, proxy, check }, size, contestant);
        costs.push(cost);
        log(`  ${size.workloads} x ${size.podsEach}  ${JSON.stringify(cost)}`);
      }
    }
    return { costs, bareNodeMiB: bare?.peakMiB };
  } finally {
    check.dispose();
    await proxy.close();
    await cluster.runKubectl('delete', `node/${nodeName}`, '--wait=false', '--ignore-not-found');
  }
}

interface Contest extends Bench {
  readonly proxy: CountingProxy;
  readonly check: TaskStart;
}

interface Contestant {
  readonly who: string;
  readonly userAgent: RegExp;
  /** True for Helm, which applies and waits in one command. */
  readonly appliesItself: boolean;
  readonly follow: (contest: Contest, namespace: string, size: Size) => Promise<WatchedRun>;
}

export const contestants: readonly Contestant[] = [
  {
    who: 'RolloutHealthCheck',
    userAgent: /^helm-safe-deploy$/,
    appliesItself: false,
    follow: async ({ check }, namespace) => {
      const env = check.environment({ namespace, releaseName: release, timeout: `${followingCapSeconds}s` });
      const run = await watched(check.node, [check.script], { cwd: check.workingFolder, env });
      return { ...run, exitCode: hasSucceeded(outputOf(run)) ? 0 : 1 };
    },
  },
  {
    who: 'kubectl rollout status',
    userAgent: /^kubectl\//,
    appliesItself: false,
    follow: ({ cluster, proxy }, namespace) => {
      const what = ['deployment', '--selector', `app.kubernetes.io/instance=${release}`, '--namespace', namespace];
      const args = ['--kubeconfig', proxy.kubeconfig, 'rollout', 'status', ...what];
      return watched(cluster.kubectl, args, { timeoutSeconds: followingCapSeconds });
    },
  },
  {
    who: 'helm upgrade',
    userAgent: /^Helm\//,
    appliesItself: true,
    follow: (contest, namespace, size) => helmUpgrade(contest, namespace, size, []),
  },
  {
    who: 'helm upgrade --wait',
    userAgent: /^Helm\//,
    appliesItself: true,
    follow: (contest, namespace, size) =>
      helmUpgrade(contest, namespace, size, ['--wait', '--timeout', `${followingCapSeconds}s`]),
  },
];

async function costOf(contest: Contest, size: Size, contestant: Contestant): Promise<FollowingCost> {
  const { cluster, proxy } = contest;
  const namespace = await cluster.namespace('cost');
  try {
    if (!contestant.appliesItself) await apply(contest, namespace, size);
    const since = new Date();
    proxy.take();
    const run = await contestant.follow(contest, namespace, size);
    const bytes = proxy.take();
    const isCapped = run.endedAt - run.startedAt > (followingCapSeconds - 1) * 1000;
    if (run.exitCode !== 0 && !isCapped) throw new Error(`A measured run failed:\n${outputOf(run).slice(-4000)}`);
    const events = await cluster.auditEvents({ since, userAgent: contestant.userAgent });
    return {
      size,
      who: contestant.who,
      seconds: (run.endedAt - run.startedAt) / 1000,
      bytes,
      usage: run.usage,
      isCapped,
      ...counted(events),
    };
  } finally {
    await emptied(contest, namespace);
  }
}

function counted(
  events: readonly AuditEvent[],
): Pick<FollowingCost, 'lists' | 'pages' | 'watches' | 'gets' | 'byKind'> {
  const isPage = ({ requestURI }: AuditEvent): boolean => /[?&]continue=/.test(requestURI);
  const of = (verb: string): number => events.filter((event) => event.verb === verb && !isPage(event)).length;
  const byKind: Record<string, number> = {};
  for (const event of events) {
    if (isPage(event)) continue;
    const key = `${event.verb} ${event.objectRef?.resource ?? 'discovery'}`;
    byKind[key] = (byKind[key] ?? 0) + 1;
  }
  return { lists: of('list'), pages: events.filter(isPage).length, watches: of('watch'), gets: of('get'), byKind };
}

function values({ workloads, podsEach }: Size): string[] {
  const place = [`nodeSelector.pool=${nodeName}`, 'tolerations[0].operator=Exists'];
  return [`workloads=${workloads}`, `replicas=${podsEach}`, 'gracePeriod=0', ...place].flatMap((line) => [
    '--set',
    line,
  ]);
}

const chart = path.join(import.meta.dirname, 'chart');

function helmUpgrade(contest: Contest, namespace: string, size: Size, flags: readonly string[]): Promise<WatchedRun> {
  const { cluster, proxy, check } = contest;
  const args = ['upgrade', release, chart, '--install', '--namespace', namespace, ...values(size), ...flags];
  const env = { PATH: process.env['PATH'], HOME: check.home, KUBECONFIG: proxy.kubeconfig };
  return watched(cluster.helm4, args, { env, timeoutSeconds: followingCapSeconds });
}

/** Applies as fast as Helm can, so that most pods do not exist yet when the measurement starts. */
async function apply({ cluster, check }: Contest, namespace: string, size: Size): Promise<void> {
  const fast = ['--qps', '1000', '--burst-limit', '1000'];
  const args = ['upgrade', release, chart, '--install', '--namespace', namespace, ...values(size), ...fast];
  await succeed(cluster.helm4, args, { env: { HOME: check.home, KUBECONFIG: cluster.kubeconfig } });
}

/** Waits until the namespace is gone, so that its deletion does not slow down the next run. */
async function emptied({ cluster, signal }: Contest, namespace: string): Promise<void> {
  await cluster.cleanUp(namespace);
  const isGone = async (): Promise<boolean> =>
    (await cluster.runKubectl('get', 'namespace', namespace, '--ignore-not-found')) === '';
  await waitFor(`the end of namespace ${namespace}`, isGone, {
    signal,
    timeoutSeconds: 600,
    intervalMilliseconds: 1000,
  });
}

const room = { cpu: '1000', memory: '4000Gi', pods: '6000' };
const largeNode = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: nodeName,
    labels: { type: 'kwok', pool: nodeName },
    annotations: { 'kwok.x-k8s.io/node': 'fake' },
  },
  spec: { taints: [{ key: 'kwok.x-k8s.io/node', value: 'fake', effect: 'NoSchedule' }] },
  status: { allocatable: room, capacity: room },
};
