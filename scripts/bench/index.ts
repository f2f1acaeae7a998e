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
import { benchmarksPage, missedTargets, type Results } from './document';
import { benchOptions, parts, usage, UsageError, type BenchOptions } from './options';
import { measureStartUp, type StartUp } from './startUp';
import { measureStepTime, type Scenario, type StepTime } from './stepTime';
import { taskStart } from './task';

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
    const page = await format(await measured(options, folder), { parser: 'markdown', printWidth: 120 });
    console.log(page);
    if (isComplete(options)) await writePage(page);
    for (const line of missedTargets(page)) log(`missed: ${line.slice(2)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Part of the figures must not replace all of them. */
function isComplete({ parts: wanted, helms, workloads }: BenchOptions): boolean {
  return wanted.length === parts.length && helms === undefined && workloads === undefined;
}

async function writePage(page: string): Promise<void> {
  const file = path.join('docs', 'benchmarks.md');
  await mkdir(path.join(repository, 'docs'), { recursive: true });
  await writeFile(path.join(repository, file), page);
  log(`${file} is written.`);
}

async function measured(options: BenchOptions, folder: string): Promise<string> {
  const loadBefore = os.loadavg()[0] ?? 0;
  const content = await packageExtension(repository);
  const vsix = path.join(folder, 'helm-safe-deploy.vsix');
  await writeFile(vsix, content);
  const wants = (part: (typeof parts)[number]): boolean => options.parts.includes(part);
  const needsCluster = wants('a') || wants('b') || wants('c');
  const found = needsCluster ? await withCluster(options, (cluster) => onCluster(cluster, vsix, options)) : undefined;
  const results: Results = {
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
    skipped: found?.skipped ?? [],
  };
  return benchmarksPage(results, wants('c'));
}

interface ClusterResults {
  readonly kubernetesVersion: string;
  readonly stepTimes: readonly StepTime[];
  readonly startUps: readonly StartUp[];
  readonly skipped: readonly string[];
}

async function onCluster(cluster: TestCluster, vsix: string, options: BenchOptions): Promise<ClusterResults> {
  const { kubernetesVersion } = cluster;
  const startUps = options.parts.includes('b') ? await startUpsOf(vsix, cluster.helm4, options.runs) : [];
  if (!options.parts.includes('a') && !options.parts.includes('c')) {
    return { kubernetesVersion, startUps, stepTimes: [], skipped: [] };
  }
  const stepTimes = await stepTimesOf(cluster, vsix, options);
  const skipped = cluster.hasRealNode ? [] : ['There is no real node on this machine: one workload was not measured.'];
  return { kubernetesVersion, startUps, stepTimes, skipped };
}

async function startUpsOf(vsix: string, helm: string, runs: number): Promise<StartUp[]> {
  const results: StartUp[] = [];
  for (const node of [process.execPath, node24]) {
    if (node === undefined) continue;
    log(`start to first API request, ${results.length === 0 ? process.version : 'Node 24'}`);
    // A start is cheap, and its time varies much.
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
  const versions = Object.keys(cluster.helms).filter((version) => options.helms?.includes(version) ?? true);
  const task = await taskStart(vsix, cluster.kubeconfig);
  const results: StepTime[] = [];
  try {
    for (const scenario of scenarios) {
      for (const helmVersion of versions) {
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

/** Fewer where a single run of plain Helm 4 takes a minute. */
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
