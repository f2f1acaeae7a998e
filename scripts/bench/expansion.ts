import path from 'node:path';
import { expandText } from '../../test/support/pipelines/expand';
import { pipelineOf } from '../../test/support/pipelines/model';
import { repository } from '../../test/support/pipelines/templates';
import { row, shown, verdict } from './markdown';
import { spread, type Spread } from './statistics';

export interface ExpansionTime {
  readonly clusters: number;
  readonly rings: number;
  readonly jobs: number;
  readonly files: number;
  readonly bytesRead: number;
  /** Characters of the expanded pipeline as JSON. */
  readonly size: number;
  readonly seconds: Spread;
}

/** Expands the fleet template for 1,000 clusters in five rings and in one. The files are read anew each time. */
export function measureExpansion(runs: number): ExpansionTime[] {
  return [5, 1].map((rings) => expansionOf(1000, rings, runs));
}

function expansionOf(count: number, rings: number, runs: number): ExpansionTime {
  const clusters = Array.from({ length: count }, (_, index) => ({ name: `c-${index}`, ring: `r${index % rings}` }));
  const parameters = {
    clusters,
    rings: Array.from({ length: rings }, (_, index) => `r${index}`),
    releaseName: 'shop',
    chart: 'charts/shop',
  };
  const text = JSON.stringify({ stages: [{ template: 'templates/stages/fleet.yml', parameters }] });
  const seconds: number[] = [];
  let files = 0;
  let bytesRead = 0;
  let expanded: ReturnType<typeof expandText> = {};
  // The first run warms up.
  for (let run = 0; run <= runs; run += 1) {
    [files, bytesRead] = [0, 0];
    const onRead = (_file: string, bytes: number): void => {
      files += 1;
      bytesRead += bytes;
    };
    const before = performance.now();
    expanded = expandText(text, path.join(repository, 'azure-pipelines.yml'), { onRead });
    if (run > 0) seconds.push((performance.now() - before) / 1000);
  }
  const jobs = pipelineOf(expanded).stages.reduce((sum, stage) => sum + stage.jobs.length, 0);
  const size = JSON.stringify(expanded).length;
  return { clusters: count, rings, jobs, files, bytesRead, size, seconds: spread(seconds) };
}

export function expansionSection(times: readonly ExpansionTime[]): string[] {
  return [
    '## Expanding the fleet template',
    '',
    'The expander of the tests, which is strict, on `templates/stages/fleet.yml`. Azure Pipelines allows 100 files and 20 MB of memory.',
    '',
    '| clusters | rings | jobs | files read | KB read | expanded, MB | seconds |',
    '|---|---|---|---|---|---|---|',
    ...times.map(({ clusters, rings, jobs, files, bytesRead, size, seconds }) =>
      row(
        String(clusters),
        String(rings),
        String(jobs),
        String(files),
        (bytesRead / 1000).toFixed(0),
        (size / 1e6).toFixed(1),
        shown(seconds),
      ),
    ),
    '',
    ...times.map(({ clusters, rings, seconds }) =>
      verdict({
        wanted: `${clusters} clusters, rings: ${rings}: at most 2 s`,
        got: `${seconds.median.toFixed(2)} s`,
        isMet: seconds.median <= 2,
      }),
    ),
    '',
  ];
}
