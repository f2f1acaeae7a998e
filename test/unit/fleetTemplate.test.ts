import assert from 'node:assert/strict';
import path from 'node:path';
import { expandText } from '../support/pipelines/expand';
import type { Value } from '../support/pipelines/expression';
import { pipelineProblems } from '../support/pipelines/checks';
import { pipelineOf } from '../support/pipelines/model';
import { everyRun, runPipeline, type JobEnd, type JobStart, type RunEnd } from '../support/pipelines/run';
import { expandStages, problemsOf, repository, stagesOf } from '../support/pipelines/templates';

function fleet(clusters: Readonly<Record<string, string>>, more: Readonly<Record<string, Value>> = {}) {
  const rings = [...new Set(Object.values(clusters))];
  const list = Object.entries(clusters).map(([name, ring]) => ({ name, ring, kubernetesServiceConnection: name }));
  return { clusters: list, rings, releaseName: 'shop', chart: 'charts/shop', namespace: 'shop', ...more };
}

function ringOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, 'only']));
}

const small = { 'west-1': 'early', 'west-2': 'late', 'east-1': 'late' };

describe('the fleet template', function () {
  // Azure Pipelines' schema is large.
  this.timeout(300_000);

  for (const more of [{}, { toleratedFailures: 1, stagePrefix: 'All', soak: '10m' }, { parallel: 1 }]) {
    it(`is right with ${JSON.stringify(more)}`, () => {
      assert.deepEqual(problemsOf(expandStages('fleet', fleet(small, more))), []);
    });
  }

  it('lets each job wait for the one that is `parallel` places before it', () => {
    for (const parallel of [1, 2, 5, 10, 25, 50, 100]) {
      const { stages } = stagesOf('fleet', fleet(ringOf(250), { parallel }));
      for (const [stage, work] of [
        ['Ring_only', 'Cluster'],
        ['Rollback_only', 'Rollback'],
      ]) {
        const jobs = stages.find(({ name }) => name === stage)?.jobs.slice(0, 250) ?? [];
        assert.equal(jobs.length, 250);
        for (const [index, { dependsOn }] of jobs.entries()) {
          assert.deepEqual(dependsOn, index < parallel ? [] : [`${work}_c${index - parallel}`]);
        }
      }
    }
  });

  it('refuses a ring of more than 1,000 clusters, and more than 10 rings', () => {
    assert.throws(() => stagesOf('fleet', fleet(ringOf(1001))), /at most 1000 clusters/);
    const rings = Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`c${index}`, `r${index}`]));
    assert.throws(() => stagesOf('fleet', fleet(rings)), /at most 10 rings/);
  });

  const good: JobEnd = { result: 'Succeeded', outputs: { 'deploy.outcome': 'deployed' } };
  const bad: JobEnd = { result: 'Failed', outputs: { 'deploy.outcome': 'failed', 'plan.outcome': 'planned' } };

  /** Plays the tasks of a fleet in which the deploy to these clusters fails. */
  function player(failing: readonly string[], gate: JobEnd = { result: 'Succeeded' }, tolerated = 0) {
    const ended = new Map<string, string>();
    const jobs: string[] = [];
    const play = ({ stage, job, variables }: JobStart): JobEnd => {
      jobs.push(job.name);
      if (job.name === 'Verdict') {
        const own = job.dependsOn.filter((name) => ended.get(name) !== 'Succeeded').length;
        const failed = own + Number(variables['failedBefore']);
        const health = failed <= tolerated ? 'healthy' : 'unhealthy';
        const outputs = { 'verdict.health': health, 'verdict.failedClusters': String(failed) };
        return { result: health === 'healthy' ? 'Succeeded' : 'Failed', outputs };
      }
      if (job.name === 'Collect') {
        const clusters = `,${failing.join(',')},`;
        return { result: 'Succeeded', outputs: { 'collect.outcome': 'planned', 'collect.clusters': clusters } };
      }
      if (job.name === 'Gate') return gate;
      if (stage.name.startsWith('Rollback')) return { result: 'Succeeded' };
      const end = failing.some((name) => job.name === `Cluster_${name.replaceAll('-', '_')}`) ? bad : good;
      ended.set(job.name, end.result);
      return end;
    };
    return { play, jobs };
  }

  function ran(run: RunEnd): string {
    return Object.entries(run)
      .flatMap(([name, { result }]) => (result === 'Skipped' ? [] : [name]))
      .join(' ');
  }

  it('ends after the rings when all are good', async () => {
    const run = await runPipeline(stagesOf('fleet', fleet(small)), player([]));
    assert.equal(ran(run), 'Ring_early Ring_late');
  });

  it('stops before the next ring when one is bad, and rolls back what has a plan after the gate', async () => {
    const { play, jobs } = player(['west-1']);
    const run = await runPipeline(stagesOf('fleet', fleet(small)), { play });
    assert.equal(ran(run), 'Ring_early Collect Gate Rollback_early');
    assert.deepEqual(jobs, ['Cluster_west_1', 'Verdict', 'Collect', 'Gate', 'Rollback_west_1']);
  });

  it('rolls the last ring back first, and only clusters with a plan', async () => {
    const { play, jobs } = player(['west-1', 'east-1'], { result: 'Succeeded' }, 1);
    const run = await runPipeline(stagesOf('fleet', fleet(small, { toleratedFailures: 1 })), { play });
    assert.equal(ran(run), 'Ring_early Ring_late Collect Gate Rollback_late Rollback_early');
    assert.deepEqual(jobs.slice(-2), ['Rollback_east_1', 'Rollback_west_1']);
  });

  it('changes nothing after a rejected gate or a cancelled run', async () => {
    const pipeline = stagesOf('fleet', fleet(small));
    const rejected = await runPipeline(pipeline, player(['west-1'], { result: 'Failed' }));
    assert.equal(ran(rejected), 'Ring_early Collect Gate');
    for (const cancelledIn of ['Ring_early', 'Collect', 'Gate']) {
      const run = await runPipeline(pipeline, { ...player(['west-1']), cancelledIn });
      assert.ok(ran(run).endsWith(cancelledIn), ran(run));
    }
  });

  describe('splits a ring that is larger than a stage', () => {
    const sizes: [clusters: number, jobs: readonly number[]][] = [
      [250, [250]],
      [251, [250, 1]],
      [1000, [250, 250, 250, 250]],
    ];
    for (const [count, jobs] of sizes) {
      it(`of ${count} clusters`, () => {
        const clusters = { ...ringOf(count), last: 'next' };
        const pipeline = stagesOf('fleet', fleet(clusters, { toleratedFailures: 1 }));
        assert.deepEqual(pipelineProblems(pipeline), []);
        const ringJobs = (kind: string) =>
          pipeline.stages.filter(({ name }) => name.startsWith(`${kind}_only`)).map((stage) => stage.jobs);
        const names = Object.keys(ringOf(count));
        assert.deepEqual(
          ringJobs('Ring').map((each) => each.length - 1),
          jobs,
        );
        assert.deepEqual(
          ringJobs('Rollback').map((each) => each.length),
          jobs,
        );
        assert.deepEqual(
          ringJobs('Ring').flatMap((each) => each.slice(0, -1).map(({ name }) => name)),
          names.map((name) => `Cluster_${name}`),
        );
        const next = pipeline.stages.find(({ name }) => name === 'Ring_next');
        assert.deepEqual(next?.dependsOn, ['Ring_only']);
      });
    }

    it('deploys stage after stage, and skips the clusters after a bad stage', async () => {
      const pipeline = stagesOf('fleet', fleet({ ...ringOf(501), last: 'next' }));
      const { play, jobs } = player(['c0']);
      const run = await runPipeline(pipeline, { play });
      assert.equal(ran(run), 'Ring_only_1 Ring_only_2 Ring_only Collect Gate Rollback_only_1');
      assert.equal(jobs.filter((name) => name.startsWith('Cluster_')).length, 250 - 9);
      const good = player([]);
      assert.equal(ran(await runPipeline(pipeline, good)), 'Ring_only_1 Ring_only_2 Ring_only Ring_next');
      assert.equal(good.jobs.filter((name) => name.startsWith('Cluster_')).length, 502);
    });

    it('counts the failures of all its stages together', async () => {
      const pipeline = stagesOf('fleet', fleet({ ...ringOf(251), last: 'next' }, { toleratedFailures: 1 }));
      const [first, second] = [
        await runPipeline(pipeline, player(['c0'], undefined, 1)),
        await runPipeline(pipeline, player(['c0', 'c250'], undefined, 1)),
      ];
      assert.equal(first['Ring_next']?.result, 'Succeeded');
      assert.equal(second['Ring_next']?.result, 'Skipped');
    });
  });

  it('goes on where it was when the failed ring runs again', async () => {
    const pipeline = stagesOf('fleet', fleet(small));
    const first = await runPipeline(pipeline, player(['west-1'], { result: 'Failed' }));
    const { play, jobs } = player([]);
    const second = await runPipeline(pipeline, { play, again: { run: first, stage: 'Ring_early' } });
    assert.equal(ran(second), 'Ring_early Ring_late');
    assert.equal(second['Ring_early']?.attempt, 2);
    assert.equal(jobs.length, 5);
  });

  it('in no combination of ends is anything rolled back that nobody approved', async () => {
    const one = { a: 'early' };
    const ends: Readonly<Record<string, readonly JobEnd[]>> = {
      Ring_early: ([good, bad, { result: 'Canceled' }, { result: 'Failed' }] as JobEnd[]).map((end) => ({
        ...end,
        outputs: { ...end.outputs, 'verdict.health': end === good ? 'healthy' : 'unhealthy' },
      })),
      Collect: [
        { result: 'Succeeded', outputs: { 'collect.outcome': 'planned', 'collect.clusters': ',a,' } },
        { result: 'Succeeded', outputs: { 'collect.outcome': 'planned', 'collect.clusters': ',b,' } },
        { result: 'Failed', outputs: { 'collect.outcome': 'failed' } },
        { result: 'Canceled' },
      ],
      Gate: [{ result: 'Succeeded' }, { result: 'Failed' }, { result: 'Canceled' }],
      Rollback_early: [{ result: 'Succeeded' }, { result: 'Failed' }],
    };
    const runs = await everyRun(stagesOf('fleet', fleet(one)), ({ name }) => ends[name] ?? []);
    assert.ok(runs.length > 20);
    for (const { run, played } of runs) {
      const rolled = Object.values(run['Rollback_early']?.jobs ?? {}).filter(({ result }) => result !== 'Skipped');
      if (rolled.length === 0) continue;
      assert.equal(played['Gate']?.result, 'Succeeded');
      assert.equal(played['Collect']?.outputs?.['collect.clusters'], ',a,');
    }
  });
});

describe('a fleet of 1,000 clusters in 5 rings', () => {
  it('is within the limits of Azure Pipelines', async function () {
    this.timeout(300_000);
    const clusters = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`c-${index}`, `r${index % 5}`]));
    const read: { file: string; bytes: number }[] = [];
    const pipeline = { stages: [{ template: 'templates/stages/fleet.yml', parameters: fleet(clusters) }] };
    const text = JSON.stringify(pipeline);
    const onRead = (file: string, bytes: number): void => {
      read.push({ file, bytes });
    };
    const before = performance.now();
    const expanded = expandText(text, path.join(repository, 'azure-pipelines.yml'), { onRead });
    const milliseconds = performance.now() - before;
    const size = JSON.stringify(expanded).length;
    const bytes = read.reduce((sum, each) => sum + each.bytes, 0);
    console.log(`      expanded in ${milliseconds.toFixed(0)} ms to ${(size / 1e6).toFixed(1)} MB from ${read.length} files, ${(bytes / 1e3).toFixed(0)} KB`); // prettier-ignore
    assert.ok(read.length <= 100 && bytes <= 1_000_000, `${read.length} files, ${bytes} bytes`);
    // Half of the 20 MB that Azure Pipelines allows while it expands.
    assert.ok(size <= 10_000_000, `${size} characters`);
    const made = pipelineOf(expanded);
    assert.deepEqual(pipelineProblems(made), []);
    assert.ok(made.stages.every(({ jobs }) => jobs.length <= 251));
    let jobs = 0;
    const run = await runPipeline(made, {
      play: ({ job }) => {
        jobs += 1;
        const isBad = job.name === 'Verdict';
        return isBad ? { result: 'Failed', outputs: { 'verdict.health': 'unhealthy' } } : { result: 'Failed' };
      },
    });
    // The first job of each of the 25 lanes fails, and nothing else starts but the verdict and what collects the plans.
    assert.equal(jobs, 25 + 1 + 1);
    assert.equal(run['Ring_r1']?.result, 'Skipped');
  });
});
