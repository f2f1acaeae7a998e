import type { RequestCounts } from './apiRequests';
import { expansionSection, type ExpansionTime } from './expansion';
import type { FollowingCosts } from './followingCost';
import type { HealthyTime } from './healthyTime';
import type { LargeChartTime } from './largeChart';
import { largeChartSection } from './largeChartDocument';
import { row, shown, verdict, type Target } from './markdown';
import { planSection } from './planDocument';
import type { PlanTime } from './planTime';
import { followingSection, healthySection, verdictSection } from './rolloutDocument';
import { pairedSpread, type Spread } from './statistics';
import type { StartUp } from './startUp';
import type { StepTime } from './stepTime';
import type { VerdictTime } from './verdictTime';

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly system: string;
  /**
   * The load average of the last minute at the beginning and at the end. It shows the work of other programs on the
   * machine.
   */
  readonly load: readonly [number, number];
}

export interface Results {
  readonly date: string;
  readonly commandLine: string;
  readonly runs: number;
  readonly versions: { readonly extension: string; readonly node: string; readonly kubernetes: string | undefined };
  readonly machine: Machine;
  readonly stepTimes: readonly StepTime[];
  readonly startUps: readonly StartUp[];
  readonly size: { readonly package: number; readonly bundle: number } | undefined;
  readonly verdictTimes?: readonly VerdictTime[];
  readonly healthyTimes?: readonly HealthyTime[];
  readonly followingCosts?: FollowingCosts | undefined;
  readonly planTimes?: readonly PlanTime[];
  readonly largeChartTimes?: readonly LargeChartTime[];
  readonly expansionTimes?: readonly ExpansionTime[];
  /** A sentence for each measurement that was not possible, with the reason. */
  readonly skipped: readonly string[];
}

/** The text of docs/benchmarks.md. It contains no path of the machine. */
export function benchmarksPage(results: Results, showsRequests: boolean): string {
  return [
    '# Benchmarks',
    '',
    `Measured on ${results.date} by \`${results.commandLine}\`, which writes this page.`,
    '',
    conditions(results),
    '',
    ...results.skipped.flatMap((sentence) => [sentence, '']),
    ...section(results.stepTimes, stepTimeSection),
    ...section(results.startUps, startUpSection),
    ...(showsRequests ? section(results.stepTimes, requestSection) : []),
    ...(results.size === undefined ? [] : sizeSection(results.size)),
    ...section(results.verdictTimes ?? [], verdictSection),
    ...section(results.healthyTimes ?? [], healthySection),
    ...(results.followingCosts === undefined ? [] : followingSection(results.followingCosts)),
    ...section(results.planTimes ?? [], planSection),
    ...section(results.largeChartTimes ?? [], largeChartSection),
    ...section(results.expansionTimes ?? [], expansionSection),
  ].join('\n');
}

function section<T>(rows: readonly T[], render: (rows: readonly T[]) => string[]): string[] {
  return rows.length === 0 ? [] : render(rows);
}

function conditions({ machine, versions, runs }: Results): string {
  const { cores, processor, memoryGiB, system, load } = machine;
  const { extension, node, kubernetes } = versions;
  const busy = load.some((value) => value > cores)
    ? ' Other programs used the machine too, so all times are too high and vary too much. Measure again on a quiet machine.'
    : '';
  return [
    `- Machine: ${cores} cores (${processor}), ${memoryGiB} GiB, ${system}. Load average ${load.map((value) => value.toFixed(1)).join(' at the beginning, ')} at the end; the embedded cluster runs on the same cores.${busy}`,
    `- Helm Safe Deploy ${extension}, Node ${node}${kubernetes === undefined ? '' : `, Kubernetes ${kubernetes}`}.`,
    `- Our run and the other one form a pair, one directly after the other, in alternating order: ${runs} pairs of each, ${Math.ceil(runs / 3)} with 50 workloads. The figures are medians, with the lowest and the highest value in brackets. Ratios and differences are medians over the pairs, because a slow phase of the machine affects both runs of a pair.`,
  ].join('\n');
}

function stepTimeSection(times: readonly StepTime[]): string[] {
  return [
    '## Step time',
    '',
    'An upgrade in which every pod is replaced, seconds from the start of the process to its end: the packaged task, started by Node as the agent starts it, against `helm upgrade --install --wait` of the same binary. The task also looks at what serves before, and sees every object of the release alive and ready afterwards.',
    '',
    '| Helm | workloads | task, s | Helm, s | ratio | difference, s |',
    '|---|---|---|---|---|---|',
    ...times.map((time) => {
      const { ours, theirs, ratio, difference } = pairedSpread(time.pairs);
      return row(time.helmVersion, workloads(time), seconds(ours), seconds(theirs), shown(ratio), shown(difference));
    }),
    '',
    ...times.map((time) => verdict(stepTimeTarget(time))),
    '',
  ];
}

/** Helm 3 polls, so the task must be faster. Helm 4 watches as the task does, so the task may cost a little more. */
export function stepTimeTarget(time: StepTime): Target {
  const { ratio, difference } = pairedSpread(time.pairs);
  const what = `Helm ${time.helmVersion}, ${workloads(time)}`;
  if (time.helmVersion.startsWith('3.')) return ratioTarget(what, ratio, 'below 1.0', ratio.median < 1);
  if (time.workloads > 1) return ratioTarget(what, ratio, 'at most 1.15', ratio.median <= 1.15);
  return {
    wanted: `${what}: difference at most 0.5 s`,
    got: `${difference.median.toFixed(2)} s`,
    isMet: difference.median <= 0.5,
  };
}

function ratioTarget(what: string, ratio: Spread, limit: string, isMet: boolean): Target {
  return { wanted: `${what}: ratio ${limit}`, got: ratio.median.toFixed(2), isMet };
}

function startUpSection(startUps: readonly StartUp[]): string[] {
  return [
    '## Start',
    '',
    'Milliseconds from the start of Node to the arrival of the first request that the task itself makes, at a stub API server on loopback that speaks HTTPS; beside it, start to end of `node -e 0` on the same machine. The connection is a Kubernetes service connection, which loads nothing for Azure; paired with it, the same start of a package without `azure.js`.',
    '',
    '| Node | first API request, ms | without `azure.js`, ms | ratio | `node -e 0`, ms |',
    '|---|---|---|---|---|',
    ...startUps.map(({ nodeVersion, firstRequest, bareNode, azure }) => {
      const { theirs, ratio } = pairedSpread(azure);
      return row(nodeVersion, milliseconds(firstRequest), milliseconds(theirs), shown(ratio), milliseconds(bareNode));
    }),
    '',
    ...startUps.map(({ nodeVersion, firstRequest }) =>
      verdict({
        wanted: `Node ${nodeVersion}: at most 200 ms`,
        got: `${Math.round(firstRequest.median)} ms`,
        isMet: firstRequest.median <= 200,
      }),
    ),
    ...startUps.map(({ nodeVersion, azure }) => {
      const { ratio } = pairedSpread(azure);
      return verdict(
        ratioTarget(`Node ${nodeVersion}, with and without azure.js`, ratio, 'at most 1.05', ratio.median <= 1.05),
      );
    }),
    '',
  ];
}

function requestSection(times: readonly StepTime[]): string[] {
  return [
    '## API requests',
    '',
    "Requests of one such upgrade by the API server's audit log, distinguished by their user agent: by the Helm that the task runs, by the task itself, and by plain Helm. Helm's cache of what the API server serves is warm for both.",
    '',
    "| Helm | workloads | the task's Helm | the task itself | task, all | of these lists, watches, changes | plain Helm | of these lists, watches, changes |",
    '|---|---|---|---|---|---|---|---|',
    ...times.map((time) => {
      const { ours, theirs } = time.requests;
      return row(
        time.helmVersion,
        workloads(time),
        String(ours.helm),
        String(ours.task),
        String(ours.total),
        kinds(ours),
        String(theirs.total),
        kinds(theirs),
      );
    }),
    '',
  ];
}

function kinds({ lists, watches, changes }: RequestCounts): string {
  return `${lists}, ${watches}, ${changes}`;
}

function sizeSection(size: { package: number; bundle: number }): string[] {
  const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;
  return [
    '## Size',
    '',
    `The package for the Marketplace has ${kib(size.package)}, the bundle of HelmSafeDeploy in it ${kib(size.bundle)} when unpacked.`,
    '',
    verdict({ wanted: 'package below 1 MB', got: kib(size.package), isMet: size.package < 1_000_000 }),
    '',
  ];
}

function workloads({ workloads: count, nodeKind }: StepTime): string {
  return nodeKind === 'real' ? `${count}, real node` : `${count}, kwok`;
}

function seconds(spread: Spread): string {
  return shown(spread);
}

function milliseconds({ median, lowest, highest }: Spread): string {
  return `${Math.round(median)} (${Math.round(lowest)} to ${Math.round(highest)})`;
}

/** A note on how the sections were measured that replace those of an earlier page. */
export function sectionNote({ date, commandLine, machine }: Results): string {
  const load = machine.load.map((value) => value.toFixed(1)).join(' at the beginning, ');
  const busy = machine.load.some((value) => value > machine.cores) ? ', which others shared meanwhile' : '';
  return `Measured on ${date} by \`${commandLine}\`, medians, on the machine above${busy}: load average ${load} at the end.`;
}

/** Returns the lines of a page that report a missed target. */
export function missedTargets(page: string): string[] {
  return page.split('\n').filter((line) => line.includes('**not met**'));
}
