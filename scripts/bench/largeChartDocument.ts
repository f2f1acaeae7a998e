import type { LargeChartTime } from './largeChart';
import { row, shown, verdict, type Target } from './markdown';
import { pairedSpread, type Pair } from './statistics';

const steps = [
  { key: 'upgrades', title: 'upgrade', other: 'Helm and one `helm template`', limit: 1 },
  { key: 'rollbacks', title: 'rollback', other: 'Helm and one `helm template`', limit: 1 },
  { key: 'plans', title: 'plan', other: 'the rollback of the task', limit: 1 },
  { key: 'unchanged', title: 'deploy that changes nothing', other: 'the upgrade of the task', limit: 0.3 },
] as const;

export function largeChartSection(times: readonly LargeChartTime[]): string[] {
  return [
    '## A chart with 3 MB of definitions',
    '',
    'One Deployment and 24 CustomResourceDefinitions among the templates, one value changed, `stableFor: 0s`: seconds of the packaged tasks, against `helm upgrade --wait` or `helm rollback --wait` of the same binary and one `helm template` of the chart; the plan against the rollback of the task, a deploy that changes nothing against its upgrade.',
    '',
    '| Helm | step | task, s | compared with | seconds | ratio |',
    '|---|---|---|---|---|---|',
    ...times.flatMap((time) =>
      steps.map(({ key, title, other }) => {
        const { ours, theirs, ratio } = pairedSpread(time[key]);
        return row(time.helmVersion, title, shown(ours), other, shown(theirs), shown(ratio));
      }),
    ),
    '',
    ...largeChartTargets(times).map(verdict),
    '',
  ];
}

export function largeChartTargets(times: readonly LargeChartTime[]): Target[] {
  return times.flatMap((time) =>
    steps.map(({ key, title, limit }) => target(`Helm ${time.helmVersion}, ${title}`, time[key], limit)),
  );
}

function target(subject: string, pairs: readonly Pair[], limit: number): Target {
  const { ratio } = pairedSpread(pairs);
  return {
    wanted: `${subject}: ratio at most ${limit.toFixed(1)}`,
    got: ratio.median.toFixed(2),
    isMet: ratio.median <= limit,
  };
}
