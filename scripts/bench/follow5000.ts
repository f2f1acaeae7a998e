import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { cluster as openCluster, type AuditEvent, type TestCluster } from '../../test/support/cluster';
import { checkJob, productAgent } from '../../test/support/product';
import { request, type ApiServer } from '../cluster/api';
import { adminApiServer, down } from '../cluster/cluster';

/**
 * Follows 500 Deployments with 5,000 simulated pods to the end with the packaged RolloutHealthCheck while some pods
 * fail, and prints the costs: the peak memory of the task's process beside that of a bare Node, its processor time, and
 * the requests to the API server.
 * Usage: npm run package, then node scripts/run.cjs scripts/bench/follow5000.ts
 */
const workloads = 500;
const replicas = 10;
/** One kwok node takes 500 pods. */
const nodes = 12;
const podsToBreak = 100;
const brokenForMs = 4_000;
const clusterName = 'follow';
const namespace = 'follow';

interface Cost {
  peakMib: number;
  cpuSeconds: number;
}

interface Pod {
  metadata: { name: string };
  status: {
    conditions?: { type: string; status: string }[];
    containerStatuses?: { ready: boolean; restartCount: number; state: object; lastState?: object }[];
  };
}

async function main(): Promise<void> {
  const cluster = await openCluster({ name: clusterName, realNode: false, kwokNodes: nodes });
  try {
    console.log(await measured(cluster));
  } finally {
    await down(clusterName, log, new AbortController().signal);
  }
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function measured(cluster: TestCluster): Promise<string> {
  await cluster.runKubectl('create', 'namespace', namespace);
  const since = new Date();
  await cluster.apply(namespace, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: deployments() }));
  log(`${workloads} Deployments are applied; the check starts while their pods are being made.`);
  const agent = productAgent();
  try {
    const inputs = { selector: 'team=follow', timeout: '20m' };
    const job = agent.startJob(checkJob({ cluster, namespace, inputs }));
    const ended = new AbortController();
    const troubled = trouble(adminApiServer(cluster.name), ended.signal);
    const cost = await costWhile(() => job.pid(), job.done, ended);
    const broken = await troubled;
    const step = (await job.done).step('check');
    const { startedAt, finishedAt } = reportOf(step.attachments);
    const asked = (await cluster.auditEvents({ since, userAgent: /^helm-safe-deploy$/ })).map(requestWord);
    const bare = await bareNodeMib();
    return [
      `${workloads} Deployments, ${workloads * replicas} pods, ${broken} of them failed for ${brokenForMs / 1000} s: ${step.outputs['health'] ?? '(no answer)'}, ${step.outputs['summary'] ?? ''}`,
      `followed for ${((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000).toFixed(1)} s`,
      `peak memory ${cost.peakMib.toFixed(0)} MiB, bare Node ${bare.toFixed(0)} MiB, difference ${(cost.peakMib - bare).toFixed(0)} MiB (target: at most 200)`,
      `processor time ${cost.cpuSeconds.toFixed(1)} s`,
      `${asked.length} requests: ${counted(asked)}`,
    ].join('\n');
  } finally {
    agent.dispose();
  }
}

function reportOf(attachments: readonly { type: string; content: Buffer }[]): {
  startedAt: string;
  finishedAt: string;
} {
  const content = attachments.find(({ type }) => type === 'helm-safe-deploy.report')?.content ?? '{}';
  return JSON.parse(String(content)) as { startedAt: string; finishedAt: string };
}

function deployments(): object[] {
  return Array.from({ length: workloads }, (_, index) => {
    const name = `web-${index}`;
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, labels: { team: 'follow' } },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name, team: 'follow' } },
          spec: {
            nodeSelector: { type: 'kwok' },
            tolerations: [{ operator: 'Exists' }],
            containers: [{ name: 'app', image: 'none' }],
          },
        },
      },
    };
  });
}

/** Samples the costs of the process until it ends. The kernel keeps the peak. */
async function costWhile(pid: () => number | undefined, done: Promise<unknown>, ended: AbortController): Promise<Cost> {
  let cost: Cost = { peakMib: 0, cpuSeconds: 0 };
  void done.finally(() => {
    ended.abort();
  });
  while (!ended.signal.aborted) {
    const seen = pid();
    // The process of the post-job phase follows that of the main phase and does almost nothing, so the larger value is
    // kept.
    const now = seen === undefined ? undefined : costOf(seen);
    if (now !== undefined && now.cpuSeconds >= cost.cpuSeconds) cost = now;
    await delay(200);
  }
  return cost;
}

function costOf(pid: number): Cost | undefined {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    if (peak === undefined) return undefined;
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    // utime and stime are in hundredths of a second.
    return { peakMib: Number(peak) / 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100 };
  } catch {
    return undefined;
  }
}

async function bareNodeMib(): Promise<number> {
  const script = "console.log(/VmHWM:\\s+(\\d+)/.exec(require('fs').readFileSync('/proc/self/status','utf8'))[1])";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [peak] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return Number(peak) / 1024;
}

/** Makes ready pods crash and repairs each of them a moment later. Returns the number of these pods. */
async function trouble(server: ApiServer, signal: AbortSignal): Promise<number> {
  const names = new Set<string>();
  while (!signal.aborted && names.size < podsToBreak) {
    const index = Math.floor(Math.random() * workloads);
    const pods = await podsOf(server, `web-${index}`);
    const pod = pods.find((item) => isReady(item) && !names.has(item.metadata.name));
    if (pod !== undefined) {
      names.add(pod.metadata.name);
      void setStatus(server, pod.metadata.name, crashed)
        .then(() => delay(brokenForMs))
        .then(() => setStatus(server, pod.metadata.name, mended))
        .catch((error: unknown) => {
          log(`A pod could not be broken or mended: ${String(error)}`);
        });
    }
    await delay(300);
  }
  return names.size;
}

async function podsOf(server: ApiServer, app: string): Promise<Pod[]> {
  const { body } = await request(server, 'GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${app}`);
  return (JSON.parse(body) as { items: Pod[] }).items;
}

function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: word }) => type === 'Ready' && word === 'True') ?? false;
}

type Change = (pod: Pod) => Pod['status'];

const crashed: Change = ({ status }) =>
  changed(status, 'False', (container) => ({
    ...container,
    ready: false,
    restartCount: container.restartCount + 1,
    state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container' } },
    lastState: { terminated: { exitCode: 1, reason: 'Error' } },
  }));

const mended: Change = ({ status }) =>
  changed(status, 'True', (container) => ({
    ...container,
    ready: true,
    state: { running: { startedAt: new Date().toISOString().replace(/\.\d+/, '') } },
  }));

function changed(
  status: Pod['status'],
  ready: string,
  change: (
    container: NonNullable<Pod['status']['containerStatuses']>[number],
  ) => NonNullable<Pod['status']['containerStatuses']>[number],
): Pod['status'] {
  const conditions = (status.conditions ?? []).map((condition) =>
    condition.type === 'Ready' || condition.type === 'ContainersReady' ? { ...condition, status: ready } : condition,
  );
  return { ...status, conditions, containerStatuses: (status.containerStatuses ?? []).map(change) };
}

async function setStatus(server: ApiServer, name: string, change: Change): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const pod = JSON.parse((await request(server, 'GET', path)).body) as Pod;
  const { status, body } = await request(server, 'PUT', `${path}/status`, { ...pod, status: change(pod) });
  if (status >= 300) throw new Error(`${name}: ${status} ${body.slice(0, 200)}`);
}

function requestWord({ verb, objectRef }: AuditEvent): string {
  return `${verb} ${objectRef?.resource ?? 'discovery'}`;
}

function counted(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
}

await main();
