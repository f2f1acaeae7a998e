import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestCluster } from '../../test/support/cluster';
import { inPairs, type Pair } from './statistics';
import { hasSucceeded, type TaskStart } from './task';
import { timedSuccess } from './timedProcess';

/** Seconds of the steps of a release whose chart has 3 MB of CustomResourceDefinitions among its templates. */
export interface LargeChartTime {
  readonly helmVersion: string;
  /** The other program is `helm upgrade --wait` and one `helm template` of the chart. */
  readonly upgrades: readonly Pair[];
  /** The other program is `helm rollback --wait` and one `helm template` of the chart. */
  readonly rollbacks: readonly Pair[];
  /** Each plan, beside the rollback of the task that follows it. */
  readonly plans: readonly Pair[];
  /** Each deploy that changes nothing, beside the upgrade of the task before it. */
  readonly unchanged: readonly Pair[];
}

interface Bench {
  readonly cluster: TestCluster;
  readonly deploy: TaskStart;
  readonly rollback: TaskStart;
  readonly folder: string;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

interface Side {
  readonly bench: Bench;
  readonly helm: string;
  readonly chart: string;
  readonly namespace: string;
}

interface Cycle {
  readonly upgrade: number;
  readonly rollback: number;
  readonly plan: number;
  readonly unchanged: number;
}

const release = 'bench';

export async function measureLargeChart(bench: Bench, runs: number): Promise<LargeChartTime[]> {
  const chart = await largeChart(path.join(bench.folder, 'large'));
  const results: LargeChartTime[] = [];
  for (const [helmVersion, helm] of Object.entries(bench.cluster.helms)) {
    bench.signal.throwIfAborted();
    bench.log(`a chart with 3 MB of definitions, Helm ${helmVersion}`);
    results.push({ helmVersion, ...(await measured({ bench, helm, chart }, runs)) });
  }
  return results;
}

async function measured(of: Omit<Side, 'namespace'>, runs: number): Promise<Omit<LargeChartTime, 'helmVersion'>> {
  const { cluster, log } = of.bench;
  const [ours, theirs] = [await cluster.namespace('ours'), await cluster.namespace('theirs')];
  const cycles: Record<'ours' | 'theirs', Cycle[]> = { ours: [], theirs: [] };
  const measure = (side: 'ours' | 'theirs', namespace: string) => async (run: number) => {
    const cycle = await (side === 'ours' ? taskCycle : helmCycle)({ ...of, namespace }, run);
    cycles[side].push(cycle);
    log(`  ${side}  ${Object.entries(cycle).map(inSeconds).join(', ')}`);
    return cycle.upgrade;
  };
  try {
    await deploy({ ...of, namespace: ours }, 0);
    await plainUpgrade({ ...of, namespace: theirs }, 0);
    const upgrades = await inPairs(runs, measure('ours', ours), measure('theirs', theirs));
    const beside = (step: keyof Cycle, others: readonly Cycle[], other: keyof Cycle): Pair[] =>
      cycles.ours.flatMap((cycle, run) => {
        const theirCycle = others[run];
        return theirCycle === undefined ? [] : [{ ours: cycle[step], theirs: theirCycle[other] }];
      });
    return {
      upgrades,
      rollbacks: beside('rollback', cycles.theirs, 'rollback'),
      plans: beside('plan', cycles.ours, 'rollback'),
      unchanged: beside('unchanged', cycles.ours, 'upgrade'),
    };
  } finally {
    await cluster.cleanUp(ours);
    await cluster.cleanUp(theirs);
    for (const namespace of [ours, theirs]) {
      await cluster.runKubectl('delete', 'customresourcedefinitions', '--wait=false', '-l', `bench=${namespace}`);
    }
  }
}

function inSeconds([step, seconds]: [string, number]): string {
  return `${step} ${seconds.toFixed(2)} s`;
}

/** The cycle upgrades the release, repeats the same deploy, plans the rollback and carries it out. */
async function taskCycle(side: Side, run: number): Promise<Cycle> {
  const upgrade = await deploy(side, run);
  const unchanged = await deploy(side, run);
  const toRevision = String(2 * run - 1);
  const plan = await rollBack(side, { action: 'plan', toRevision });
  const rollback = await rollBack(side, { action: 'rollback', toRevision, requirePlan: 'false', approval: 'none' });
  return { upgrade, unchanged, plan, rollback };
}

async function helmCycle(side: Side, run: number): Promise<Cycle> {
  const template = await plain(side, ['template', release, side.chart, ...values(run)]);
  const upgrade = (await plainUpgrade(side, run)) + template;
  const rollback = (await plain(side, ['rollback', release, String(2 * run - 1), ...waiting])) + template;
  return { upgrade, unchanged: 0, plan: 0, rollback };
}

function deploy({ bench, helm, chart, namespace }: Side, run: number): Promise<number> {
  const set = values(run).filter((word) => word !== '--set');
  const inputs = { namespace, releaseName: release, chart, helmPath: helm, set: set.join('\n'), stableFor: '0s' };
  return runTask(bench.deploy, inputs);
}

function rollBack({ bench, helm, namespace }: Side, inputs: Record<string, string>): Promise<number> {
  return runTask(bench.rollback, { namespace, releaseName: release, helmPath: helm, stableFor: '0s', ...inputs });
}

function runTask(task: TaskStart, inputs: Record<string, string>): Promise<number> {
  const options = { cwd: task.workingFolder, env: task.environment(inputs), isSuccess: hasSucceeded };
  return timedSuccess(task.node, [task.script], options);
}

const waiting = ['--wait', '--timeout', '5m'];

function plainUpgrade(side: Side, run: number): Promise<number> {
  return plain(side, ['upgrade', release, side.chart, '--install', ...waiting, ...values(run)]);
}

function plain({ bench, helm, namespace }: Side, args: readonly string[]): Promise<number> {
  const env = { PATH: process.env['PATH'], HOME: bench.deploy.home, KUBECONFIG: bench.cluster.kubeconfig };
  return timedSuccess(helm, [...args, '--namespace', namespace], { env });
}

function values(run: number): string[] {
  return ['--set', `rollout=run-${run}`];
}

const definitions = 24;
const fieldsOfEach = 640;

/** Makes the chart of one Deployment, and with it definitions as large as those of Argo CD. */
async function largeChart(folder: string): Promise<string> {
  await cp(path.join(import.meta.dirname, 'chart'), folder, { recursive: true });
  await mkdir(path.join(folder, 'templates'), { recursive: true });
  for (let number = 0; number < definitions; number += 1) {
    await writeFile(path.join(folder, 'templates', `definition-${number}.yaml`), definition(number));
  }
  return folder;
}

/** Each release has definitions of its own, because they belong to no namespace. */
function definition(number: number): string {
  const group = '{{ .Release.Namespace }}.example.com';
  const field = (index: number): string => `                field${index}:
                  type: object
                  description: Field ${index} of kind ${number} holds what its controller has to know about part ${(index * 7) % 31}.
                  properties:
                    name: {type: string, maxLength: ${index + 1}}
`;
  return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: kind${number}s.${group}
  labels: {bench: {{ .Release.Namespace }}}
spec:
  group: ${group}
  scope: Namespaced
  names: {kind: Kind${number}, listKind: Kind${number}List, plural: kind${number}s, singular: kind${number}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
${Array.from({ length: fieldsOfEach }, (_, index) => field(index)).join('')}`;
}
