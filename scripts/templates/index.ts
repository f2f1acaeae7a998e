import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { repository, stagesOf } from '../../test/support/pipelines/templates';
import { stagesPicture } from './picture';

/** The pictures of docs/templates by file name, made from the templates themselves. */
export function pictures(): Readonly<Record<string, string>> {
  const release = { environment: 'production', releaseName: 'shop' };
  return {
    'deploy-with-rollback.svg': stagesPicture(
      stagesOf('deploy-with-rollback', { ...release, chart: 'charts/shop' }),
      'Deploy, Health, Plan, Gate, Rollback and HealthAfterRollback, one after the other',
    ),
    'health-check-with-rollback.svg': stagesPicture(
      stagesOf('health-check-with-rollback', { ...release, gate: 'environment' }),
      'Health, Plan, Rollback after the approval of an environment, and HealthAfterRollback',
    ),
    'fleet.svg': stagesPicture(
      stagesOf('fleet', { clusters: fleet, rings: ['canary', 'rest'], releaseName: 'shop', chart: 'charts/shop' }),
      'Ring canary, ring rest, Collect, Gate, and the rollbacks of the rings, the last one first',
    ),
  };
}

const fleet = [
  { name: 'west-1', ring: 'canary' },
  { name: 'west-2', ring: 'rest' },
  { name: 'east-1', ring: 'rest' },
];

export const picturesFolder = path.join(repository, 'docs', 'templates');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, svg] of Object.entries(pictures())) writeFileSync(path.join(picturesFolder, name), svg);
}
