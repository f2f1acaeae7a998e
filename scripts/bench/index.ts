import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { format } from 'prettier';
import { cluster as openCluster, type TestCluster } from '../../test/support/cluster';
import { node24 } from '../../test/support/product';
import { repository } from '../build';
import { down, status } from '../cluster/cluster';
import { packageExtension } from '../package/index';
import { readVsix } from '../package/vsix';
import { benchmarksPage, missedTargets, sectionNote, type Results } from './document';
import { measureExpansion } from './expansion';
import { measureFollowingCosts, type FollowingCosts } from './followingCost';
import { measureLargeChart, type LargeChartTime } from './largeChart';
import { measureHealthyTimes, type HealthyTime } from './healthyTime';
import { withSections } from './markdown';
import { measurePlanTimes, type PlanTime } from './planTime';
import { benchOptions, parts, usage, UsageError, type BenchOptions, type Part } from './options';
import { measureStartUp, type StartUp } from './startUp';
import { measureStepTime, type Scenario, type StepTime } from './stepTime';
import { taskStart } from './task';
import { measureVerdictTimes, type VerdictTime } from './verdictTime';

const interruption = new AbortController();

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const options = benchOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(usage);
    return;
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'helm-safe-deploy-bench-'));
  try {
    const results = await measured(options, folder);
    const page = await formatted(benchmarksPage(results, options.parts.includes('c')));
    console.log(page);
    if (isComplete(options)) await writePage(page);
    else if (options.update) {
      const before = await readFile(pageFile, 'utf8');
      await writePage(await formatted(withSections(before, page, sectionNote(results))));
    }
    for (const line of missedTargets(page)) log(`missed: ${line.slice(2)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Returns true for a complete run, because partial figures must not replace the whole page. */
function isComplete({ parts: wanted, helms, workloads }: BenchOptions): boolean {
  return wanted.length === parts.length && helms === undefined && workloads === undefined;
}

const pageFile = path.join(repository, 'docs', 'benchmarks.md');

function formatted(page: string): Promise<string> {
  return format(page, { parser: 'markdown', printWidth: 120 });
}

async function writePage(page: string): Promise<void> {
  await mkdir(path.dirname(pageFile), { recursive: true });
  await writeFile(pageFile, page);
  log(`${path.relative(repository, pageFile)} is written.`);
}

async function measured(options: BenchOptions, folder: string): Promise<Results> {
  const loadBefore = os.loadavg()[0] ?? 0;
  const content = await packageExtension(repository);
  const vsix = path.join(folder, 'helm-safe-deploy.vsix');
  await writeFile(vsix, content);
  const wants = (part: Part): boolean => options.parts.includes(part);
  const needsCluster = options.parts.some((part) => part !== 'd' && part !== 'j');
  const found = needsCluster
    ? await withCluster(options, (cluster) => onCluster(cluster, { vsix, folder }, options))
    : undefined;
  return {
    date: new Date().toISOString().slice(0, 10),
    commandLine: options.commandLine,
    runs: options.runs,
    versions: {
      extension: await extensionVersion(),
      node: process.version,
      kubernetes: found?.kubernetesVersion,
    },
    machine: machine(loadBefore),
    stepTimes: found?.stepTimes ?? [],
    startUps: found?.startUps ?? [],
    size: wants('d') ? { package: content.length, bundle: bundleSize(content) } : undefined,
    verdictTimes: found?.verdictTimes ?? [],
    healthyTimes: found?.healthyTimes ?? [],
    followingCosts: found?.followingCosts,
    planTimes: found?.planTimes ?? [],
    largeChartTimes: found?.largeChartTimes ?? [],
    expansionTimes: wants('j') ? measureExpansion(options.runs) : [],
    skipped: found?.skipped ?? [],
  };
}

interface ClusterResults {
  readonly kubernetesVersion: string;
  readonly stepTimes: readonly StepTime[];
  readonly startUps: readonly StartUp[];
  readonly verdictTimes: readonly VerdictTime[];
  readonly healthyTimes: readonly HealthyTime[];
  readonly followingCosts: FollowingCosts | undefined;
  readonly planTimes: readonly PlanTime[];
  readonly largeChartTimes: readonly LargeChartTime[];
  readonly skipped: readonly string[];
}

interface Material {
  readonly vsix: string;
  /** A folder for temporary files. */
  readonly folder: string;
}

async function onCluster(opened: TestCluster, material: Material, options: BenchOptions): Promise<ClusterResults> {
  const cluster = { ...opened, helms: chosenHelms(opened.helms, options) };
  const { kubernetesVersion, hasRealNode } = cluster;
  const { vsix } = material;
  const wants = (...some: readonly Part[]): boolean => some.some((part) => options.parts.includes(part));
  const bench = { cluster, ...material, log, signal: interruption.signal };
  return {
    kubernetesVersion,
    startUps: wants('b') ? await startUpsOf(vsix, cluster.helm4, options.runs) : [],
    stepTimes: wants('a', 'c') ? await stepTimesOf(cluster, vsix, options) : [],
    ...(await rolloutTimesOf(cluster, material, options)),
    followingCosts: wants('g') ? await measureFollowingCosts(bench) : undefined,
    planTimes: wants('h') ? await planTimesOf(bench, options.runs) : [],
    largeChartTimes: cluster.hasRealNode && wants('i') ? await largeChartTimesOf(bench, options.runs) : [],
    skipped: !hasRealNode && wants('a', 'c', 'e', 'f', 'i') ? [noRealNode] : [],
  };
}

function chosenHelms(helms: TestCluster['helms'], { helms: chosen }: BenchOptions): TestCluster['helms'] {
  return Object.fromEntries(Object.entries(helms).filter(([version]) => chosen?.includes(version) ?? true));
}

const noRealNode =
  'There is no real node on this machine: one workload, the time to the verdict, the time to healthy and the large chart were not measured.';

async function rolloutTimesOf(
  cluster: TestCluster,
  { vsix, folder }: Material,
  { parts: wanted, runs }: BenchOptions,
): Promise<Pick<ClusterResults, 'verdictTimes' | 'healthyTimes'>> {
  if (!cluster.hasRealNode || !(wanted.includes('e') || wanted.includes('f'))) {
    return { verdictTimes: [], healthyTimes: [] };
  }
  const check = await taskStart(vsix, cluster.kubeconfig, 'RolloutHealthCheck');
  const deploy = await taskStart(vsix, cluster.kubeconfig);
  const bench = { cluster, check, deploy, folder, log, signal: interruption.signal };
  try {
    return {
      // Runs with a grace take a minute each.
      verdictTimes: wanted.includes('e') ? await measureVerdictTimes(bench, Math.ceil(runs / 3)) : [],
      healthyTimes: wanted.includes('f') ? await measureHealthyTimes(bench, runs) : [],
    };
  } finally {
    check.dispose();
    deploy.dispose();
  }
}

type OnCluster = Material & { cluster: TestCluster; log: typeof log; signal: AbortSignal };

async function planTimesOf(bench: OnCluster, runs: number): Promise<PlanTime[]> {
  const rollback = await taskStart(bench.vsix, bench.cluster.kubeconfig, 'ApproveAndRollback');
  try {
    return await measurePlanTimes({ ...bench, rollback }, Math.ceil(runs / 3));
  } finally {
    rollback.dispose();
  }
}

async function largeChartTimesOf(bench: OnCluster, runs: number): Promise<LargeChartTime[]> {
  const deploy = await taskStart(bench.vsix, bench.cluster.kubeconfig);
  const rollback = await taskStart(bench.vsix, bench.cluster.kubeconfig, 'ApproveAndRollback');
  try {
    return await measureLargeChart({ ...bench, deploy, rollback }, Math.ceil(runs / 3));
  } finally {
    deploy.dispose();
    rollback.dispose();
  }
}

async function startUpsOf(vsix: string, helm: string, runs: number): Promise<StartUp[]> {
  const results: StartUp[] = [];
  for (const node of [process.execPath, node24]) {
    if (node === undefined) continue;
    log(`start to first API request, ${results.length === 0 ? process.version : 'Node 24'}`);
    // A start takes little time, and its time varies much.
    results.push(await measureStartUp(vsix, helm, node, runs * 2 + 1));
  }
  return results;
}

async function stepTimesOf(cluster: TestCluster, vsix: string, options: BenchOptions): Promise<StepTime[]> {
  const all: Scenario[] = [
    ...(cluster.hasRealNode ? [{ workloads: 1, nodeKind: 'real' } as const] : []),
    { workloads: 50, nodeKind: 'kwok' },
  ];
  const scenarios = all.filter(({ workloads }) => workloads === (options.workloads ?? workloads));
  const task = await taskStart(vsix, cluster.kubeconfig);
  const results: StepTime[] = [];
  try {
    for (const scenario of scenarios) {
      for (const helmVersion of Object.keys(cluster.helms)) {
        interruption.signal.throwIfAborted();
        log(`step time, Helm ${helmVersion}, ${scenario.workloads} on ${scenario.nodeKind}`);
        results.push(
          await measureStepTime(
            cluster,
            task,
            { ...scenario, helmVersion },
            { runs: pairsOf(scenario, options.runs), log, signal: interruption.signal },
          ),
        );
      }
    }
    return results;
  } finally {
    task.dispose();
  }
}

/** Returns fewer pairs for 50 workloads, where a single run of plain Helm 4 takes a minute. */
function pairsOf({ workloads }: Scenario, runs: number): number {
  return workloads === 1 ? runs : Math.ceil(runs / 3);
}

async function withCluster<T>(options: BenchOptions, act: (cluster: TestCluster) => Promise<T>): Promise<T> {
  const name = options.cluster;
  const isOurs = status(name).kind === 'absent';
  try {
    const cluster = await openCluster({ name, signal: interruption.signal });
    return await act(cluster);
  } finally {
    if (isOurs) await down(name, log, new AbortController().signal);
  }
}

function machine(loadBefore: number): Results['machine'] {
  const [first] = os.cpus();
  return {
    cores: os.cpus().length,
    processor: first?.model.trim() || process.arch,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${process.arch}`,
    load: [loadBefore, os.loadavg()[0] ?? 0],
  };
}

async function extensionVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function bundleSize(vsix: Uint8Array): number {
  const bundles = [...readVsix(vsix)].filter(([name]) => name.startsWith('HelmSafeDeploy/') && name.endsWith('.js'));
  return bundles.reduce((sum, [, content]) => sum + content.length, 0);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) return;
    log(`${signal}: stopping after the run that is under way, and tidying up`);
    process.exitCode = 128 + os.constants.signals[signal];
    interruption.abort();
  });
}

try {
  await main();
} catch (error) {
  if (!interruption.signal.aborted) {
    process.exitCode = error instanceof UsageError ? 2 : 1;
    log((error as Error).message);
    if (error instanceof UsageError) log(usage);
  }
}
