import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Value } from '../support/pipelines/expression';
import type { Pipeline } from '../support/pipelines/model';
import { everyRun, runPipeline, type JobEnd, type RunEnd } from '../support/pipelines/run';
import { repository, stagesOf } from '../support/pipelines/templates';

const shop: Readonly<Record<string, Value>> = {
  environment: 'production',
  namespace: 'shop',
  releaseName: 'shop',
  chart: 'charts/shop',
};

const good = new Set([
  'deployed',
  'unchanged',
  'recovered',
  'healthy',
  'planned',
  'rolledBack',
  'alreadyThere',
  'approved',
]);

/** How a job ends in which our task says this. The agent of a lost job was gone before any output was set. */
function end(output: string, said: string): JobEnd {
  if (said === 'lost') return { result: 'Failed' };
  return { result: good.has(said) ? 'Succeeded' : 'Failed', outputs: { [output]: said } };
}

function withIssues(output: string, said: string): JobEnd {
  return { result: 'SucceededWithIssues', outputs: { [output]: said } };
}

/** How the jobs of each stage can end. */
const ends: Readonly<Record<string, readonly JobEnd[]>> = {
  Deploy: [
    ...['deployed', 'unchanged', 'recovered', 'failed', 'rolledBack', 'refused', 'cancelled', 'lost'].map((said) =>
      end('deploy.outcome', said),
    ),
    withIssues('deploy.outcome', 'deployed'),
    // A job that ran out of time is cancelled, with or without outputs.
    { result: 'Canceled', outputs: { 'deploy.outcome': 'cancelled' } },
    { result: 'Canceled' },
    // A step after the deploy failed.
    { result: 'Failed', outputs: { 'deploy.outcome': 'deployed' } },
  ],
  Health: [
    ...['healthy', 'unhealthy', 'unknown', 'lost'].map((said) => end('health.health', said)),
    withIssues('health.health', 'unhealthy'),
    { result: 'Canceled' },
  ],
  Plan: [
    ...['planned', 'refused', 'failed', 'lost'].map((said) => end('plan.outcome', said)),
    withIssues('plan.outcome', 'planned'),
    { result: 'Canceled', outputs: { 'plan.outcome': 'cancelled' } },
  ],
  // Azure Pipelines shows a rejection and a timeout alike.
  Gate: [{ result: 'Succeeded' }, { result: 'Failed' }, { result: 'Canceled' }],
  Rollback: [
    ...['rolledBack', 'alreadyThere', 'refused', 'failed', 'lost'].map((said) => end('rollback.outcome', said)),
    { result: 'Canceled' },
  ],
  HealthAfterRollback: [end('health.health', 'healthy'), end('health.health', 'unhealthy')],
};

function ranIn(run: RunEnd): string[] {
  return Object.entries(run).flatMap(([name, { result }]) => (result === 'Skipped' ? [] : [name]));
}

function said(played: Readonly<Record<string, JobEnd>>, stage: string, output: string): string | undefined {
  return played[stage]?.outputs?.[output];
}

describe('what runs when', () => {
  const page = readFileSync(path.join(repository, 'docs', 'templates', 'deploy-with-rollback.md'), 'utf8');
  const rows = [
    ...page.matchAll(/^\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\| (Deploy[^|]*)\| (succeeds|fails) *\|$/gm),
  ].map((row) => row.slice(1).map((cell) => cell.replaceAll('`', '').trim()));

  it('is in a table with the cases that differ', () => {
    assert.ok(rows.length >= 20, `${rows.length} rows`);
  });

  for (const [deploy = '', health = '', plan = '', gate = '', stages = '', ended = ''] of rows) {
    const title = [deploy, health, plan, gate].filter((word) => word !== '').join(', ');
    it(title, async () => {
      const saidBy: Record<string, JobEnd> = {
        Deploy: end('deploy.outcome', deploy),
        Health: end('health.health', health),
        Plan: end('plan.outcome', plan),
        Gate: { result: gate === 'approved' ? 'Succeeded' : 'Failed' },
        Rollback: end('rollback.outcome', 'rolledBack'),
        HealthAfterRollback: end('health.health', 'healthy'),
      };
      const run = await runPipeline(stagesOf('deploy-with-rollback', shop), {
        play: ({ stage }) => saidBy[stage.name] ?? { result: 'Failed' },
      });
      assert.deepEqual(ranIn(run), stages.split(', '));
      const failed = Object.values(run).some(({ result }) => result === 'Failed' || result === 'Canceled');
      assert.equal(failed ? 'fails' : 'succeeds', ended);
    });
  }
});

const variants: [what: string, template: string, parameters: Readonly<Record<string, Value>>][] = [
  ['deploy, gate', 'deploy-with-rollback', shop],
  ['deploy, gate, a rejection keeps', 'deploy-with-rollback', { ...shop, onReject: 'keep' }],
  ['deploy, environment', 'deploy-with-rollback', { ...shop, gate: 'environment' }],
  ['deploy, automatic', 'deploy-with-rollback', { ...shop, rollbackMode: 'automatic' }],
  ['check, gate', 'health-check-with-rollback', { environment: 'production', releaseName: 'shop' }],
  ['check, environment', 'health-check-with-rollback', { environment: 'production', deploymentName: 'web', gate: 'environment' }], // prettier-ignore
];

describe('in every combination of results and outcomes', () => {
  for (const [what, template, parameters] of variants) {
    it(`nothing is rolled back that nobody approved: ${what}`, async () => {
      const pipeline = stagesOf(template, parameters);
      const hasDeploy = pipeline.stages.some(({ name }) => name === 'Deploy');
      const cancels = [undefined, ...pipeline.stages.map(({ name }) => name)];
      let count = 0;
      for (const cancelledIn of cancels) {
        for (const { run, played } of await everyRun(pipeline, ({ name }) => ends[name] ?? [], cancelledIn)) {
          count += 1;
          const ran = ranIn(run);
          const isCancelled = cancelledIn !== undefined && ran.includes(cancelledIn);
          const show = `${JSON.stringify(played)} cancelled in ${String(cancelledIn)}: ${ran.join(', ')}`;
          if (isCancelled) assert.equal(ran.at(-1), cancelledIn, show);
          assert.equal(
            ran.includes('Plan'),
            mayPlan({ hasDeploy, parameters, played, isCancelled: isCancelled && !played['Plan'] }),
            show,
          );
          if (ran.includes('Gate')) assert.equal(said(played, 'Plan', 'plan.outcome'), 'planned', show);
          if (!ran.includes('Rollback')) continue;
          assert.equal(said(played, 'Plan', 'plan.outcome'), 'planned', show);
          if (parameters['gate'] !== 'environment') assert.equal(played['Gate']?.result, 'Succeeded', show);
        }
      }
      assert.ok(count > 20, String(count));
    });
  }

  it('the stage of a rollback that an environment approves holds one deployment job on an environment of its own', () => {
    const pipeline = stagesOf('deploy-with-rollback', { ...shop, gate: 'environment' });
    const stage = pipeline.stages.find(({ name }) => name === 'Rollback');
    assert.deepEqual(
      stage?.jobs.map(({ kind, environment }) => [kind, environment]),
      [['deployment', 'production-rollback']],
    );
  });
});

interface Case {
  hasDeploy: boolean;
  parameters: Readonly<Record<string, Value>>;
  played: Readonly<Record<string, JobEnd>>;
  /** Before Plan could start. */
  isCancelled: boolean;
}

function mayPlan({ hasDeploy, parameters, played, isCancelled }: Case): boolean {
  if (isCancelled || parameters['rollbackMode'] === 'automatic') return false;
  const health = said(played, 'Health', 'health.health');
  if (!hasDeploy) return health === 'unhealthy';
  const outcome = said(played, 'Deploy', 'deploy.outcome') ?? '';
  if (outcome === 'failed') return health !== 'unknown';
  return ['deployed', 'recovered'].includes(outcome) && health === 'unhealthy';
}

describe('a rerun', () => {
  const pipeline = stagesOf('deploy-with-rollback', shop);
  const failing: Readonly<Record<string, JobEnd>> = {
    Deploy: end('deploy.outcome', 'failed'),
    Health: end('health.health', 'unhealthy'),
    Plan: { result: 'Succeeded', outputs: { 'plan.outcome': 'planned', 'plan.planDigest': 'sha256:one' } },
    Gate: { result: 'Succeeded' },
    Rollback: end('rollback.outcome', 'refused'),
    HealthAfterRollback: end('health.health', 'unhealthy'),
  };

  function run(of: Pipeline, jobs: Readonly<Record<string, JobEnd>>, again?: { run: RunEnd; stage: string }) {
    const digests: string[] = [];
    const done = runPipeline(of, {
      ...(again === undefined ? {} : { again }),
      play: ({ stage, variables }) => {
        if (stage.name === 'Rollback') digests.push(variables['planDigest'] ?? '');
        return jobs[stage.name] ?? { result: 'Failed' };
      },
    });
    return done.then((ended) => ({ ended, digests }));
  }

  it('of Rollback asks nobody again and carries the same plan out', async () => {
    const first = await run(pipeline, failing);
    const jobs = { ...failing, Rollback: end('rollback.outcome', 'rolledBack') };
    const second = await run(pipeline, jobs, { run: first.ended, stage: 'Rollback' });
    assert.deepEqual([first.digests, second.digests], [['sha256:one'], ['sha256:one']]);
    assert.equal(second.ended['Gate']?.attempt, 1);
    assert.equal(second.ended['Rollback']?.attempt, 2);
  });

  it('of Plan asks again, and a rejection then rolls nothing back although attempt 1 was approved', async () => {
    const first = await run(pipeline, failing);
    const jobs: Record<string, JobEnd> = {
      ...failing,
      Plan: { result: 'Succeeded', outputs: { 'plan.outcome': 'planned', 'plan.planDigest': 'sha256:two' } },
      Gate: { result: 'Failed' },
    };
    const second = await run(pipeline, jobs, { run: first.ended, stage: 'Plan' });
    assert.deepEqual(second.digests, []);
    assert.equal(second.ended['Gate']?.attempt, 2);
    assert.equal(second.ended['Rollback']?.result, 'Skipped');
  });

  it('of the deploy that is then good opens no gate', async () => {
    const first = await run(pipeline, failing);
    const jobs = { ...failing, Deploy: end('deploy.outcome', 'deployed'), Health: end('health.health', 'healthy') };
    const second = await run(pipeline, jobs, { run: first.ended, stage: 'Deploy' });
    assert.deepEqual(ranIn(second.ended), ['Deploy', 'Health']);
  });
});
