import path from 'node:path';
import type { AuditEvent, TestCluster } from '../../test/support/cluster';
import { succeed } from '../cluster/command';
import type { TaskStart } from './task';
import { hasSucceeded } from './task';
import { outputOf, watched } from './watchedProcess';

/** The requests to the API server for planning one rollback. */
export interface PlanRequests {
  /**
   * Requests of the task itself. The number of lists depends on the number of kinds and namespaces. Gets are reads of
   * single objects and of discovery.
   */
  readonly lists: number;
  readonly gets: number;
  /** Changes of the kept plan and of the lock. */
  readonly changes: number;
  /** Reads by the rehearsed Helm. */
  readonly helmReads: number;
  readonly dryRuns: number;
  /** Changes by Helm that are not dry runs. */
  readonly helmChanges: number;
}

export interface PlanTime {
  readonly helmVersion: string;
  readonly objects: number;
  /** Seconds from the start of the process to its end. */
  readonly seconds: readonly number[];
  /** The requests of one run. */
  readonly requests: PlanRequests;
}

interface Bench {
  readonly cluster: TestCluster;
  readonly rollback: TaskStart;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

const release = 'bench';
const sizes = [50, 500] as const;
const chart = path.join(import.meta.dirname, 'chart');

/** Measures `action: plan` for a release whose two revisions differ in every object. Its Deployments have no pods. */
export async function measurePlanTimes(bench: Bench, runs: number): Promise<PlanTime[]> {
  const results: PlanTime[] = [];
  for (const [helmVersion, helm] of Object.entries(bench.cluster.helms)) {
    for (const objects of sizes) {
      bench.signal.throwIfAborted();
      bench.log(`planning a rollback of ${objects} objects, Helm ${helmVersion}`);
      results.push({ helmVersion, objects, ...(await planned(bench, helm, objects, runs)) });
    }
  }
  return results;
}

async function planned(
  bench: Bench,
  helm: string,
  objects: number,
  runs: number,
): Promise<Pick<PlanTime, 'seconds' | 'requests'>> {
  const { cluster, rollback, log } = bench;
  const namespace = await cluster.namespace('plan');
  try {
    for (const rollout of ['one', 'two']) await upgraded(bench, helm, namespace, objects, rollout);
    const inputs = { action: 'plan', namespace, releaseName: release, helmPath: helm, maxDeletions: '0' };
    const env = rollback.environment(inputs);
    const seconds: number[] = [];
    let since = new Date();
    for (let run = 0; run < runs; run++) {
      since = new Date();
      const ended = await watched(rollback.node, [rollback.script], { cwd: rollback.workingFolder, env });
      if (!hasSucceeded(outputOf(ended))) throw new Error(`A measured run failed:\n${outputOf(ended).slice(-4000)}`);
      seconds.push((ended.endedAt - ended.startedAt) / 1000);
      log(`  ${(seconds.at(-1) ?? 0).toFixed(2)} s`);
    }
    const events = await cluster.auditEvents({ since, userAgent: /^(Helm\/|helm-safe-deploy$)/ });
    return { seconds, requests: countPlanRequests(events) };
  } finally {
    await cluster.cleanUp(namespace);
  }
}

/** Upgrades as fast as Helm can, because this step is not measured. */
async function upgraded(bench: Bench, helm: string, namespace: string, objects: number, rollout: string) {
  const { cluster, rollback } = bench;
  const workloads = objects / 5;
  const values = [`workloads=${workloads}`, 'replicas=0', `configMaps=${objects - workloads}`, `rollout=${rollout}`];
  const fast = ['--qps', '1000', '--burst-limit', '1000'];
  const sets = values.flatMap((line) => ['--set', line]);
  const args = ['upgrade', release, chart, '--install', '--namespace', namespace, ...sets, ...fast];
  await succeed(helm, args, { env: { HOME: rollback.home, KUBECONFIG: cluster.kubeconfig } });
}

const changing: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

export function countPlanRequests(events: readonly AuditEvent[]): PlanRequests {
  const isPage = ({ requestURI }: AuditEvent): boolean => /[?&]continue=/.test(requestURI);
  const isDryRun = ({ requestURI }: AuditEvent): boolean => /[?&]dryRun=/.test(requestURI);
  const isHelms = ({ userAgent }: AuditEvent): boolean => userAgent?.startsWith('Helm/') === true;
  const ours = events.filter((event) => !isHelms(event) && !isPage(event));
  const helms = events.filter(isHelms);
  const isChange = (event: AuditEvent): boolean => changing.has(event.verb) && !isDryRun(event);
  return {
    lists: ours.filter(({ verb }) => verb === 'list').length,
    gets: ours.filter(({ verb }) => verb === 'get').length,
    changes: ours.filter(isChange).length,
    helmReads: helms.filter(({ verb }) => !changing.has(verb)).length,
    dryRuns: events.filter(isDryRun).length,
    helmChanges: helms.filter(isChange).length,
  };
}
