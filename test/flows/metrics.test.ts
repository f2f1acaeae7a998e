import assert from 'node:assert/strict';
import type { BakeRequest } from '../../tasks/common/core/inputs/bakeRequest';
import type { HealthRequest } from '../../tasks/common/core/inputs/healthRequest';
import { inconclusiveLabel, verifiedLabel } from '../../tasks/common/core/release/history';
import type { Reading } from '../../tasks/common/core/metrics/answer';
import { parseCondition } from '../../tasks/common/core/metrics/condition';
import { sourceText, type Metric } from '../../tasks/common/core/metrics/metric';
import { healthResult } from '../../tasks/common/core/report/healthReport';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { checkHealth } from '../../tasks/common/flows/rollout/checkHealth';
import {
  chart,
  configMap,
  deployment,
  liveObject,
  release,
  revision,
  scene,
  told,
  type Scene,
  type Setting,
} from '../support/fakes/scene';
import { assertReport } from '../support/reportSchema';

const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const v2 = chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')]);
const verified = { labels: { [verifiedLabel]: '1' } };
const installed: Setting = { history: [revision(1, 'deployed', v1, verified)], live: v1.objects, chart: v2 };

const metric = (more: Partial<Metric> & { condition?: never; when?: string } = {}): Metric => {
  const { when = 'result < 0.1', ...rest } = more;
  return {
    name: 'errors',
    source: { kind: 'prometheus', query: 'errors{release="{{release}}",revision="{{revision}}"}' },
    initialDelaySeconds: 10,
    intervalSeconds: 10,
    count: 3,
    failureLimit: 0,
    inconclusiveLimit: 0,
    ...rest,
    condition: parseCondition(when) ?? assert.fail(when),
  };
};
const baking = (metrics: Metric[] = [metric()], more: Partial<BakeRequest> = {}): BakeRequest => ({
  seconds: 40,
  metrics: { metrics },
  onInconclusive: 'fail',
  ...more,
});

const is = (value: number): Reading => ({ value, mayPass: true });
const noData: Reading = { kind: 'noValue', problem: 'there is no data' };
const gone: Reading = { kind: 'unusable', problem: 'the metrics server cannot be reached' };

/** Readings by the time in seconds since Helm's upgrade; the first one is before it. */
type Readings = (query: string, number: number, on: Scene) => Reading;

async function staged(setting: Setting, readings: Readings): Promise<{ on: Scene; queries: string[] }> {
  const on = await scene(setting);
  const queries: string[] = [];
  const counts = new Map<string, number>();
  on.context.metrics = {
    read: (source) => {
      const query = sourceText(source);
      const number = counts.get(source.kind === 'json' ? query : query.replace(/\d+/, '')) ?? 0;
      counts.set(source.kind === 'json' ? query : query.replace(/\d+/, ''), number + 1);
      queries.push(query);
      return Promise.resolve(readings(query, number, on));
    },
  };
  return { on, queries };
}

async function play(request: Setting['request'], readings: Readings, setting: Setting = installed) {
  const bakes = { bakes: true as const };
  const { on, queries } = await staged({ ...setting, request: { ...bakes, ...request, ...setting.request } }, readings);
  const report = await deploy(on.context);
  assertReport(report);
  return { on, queries, report, log: on.agent.lines.join('\n'), told: told(on.storage.records) };
}

describe('the baking of a deploy', () => {
  it('metrics that pass verify the revision, and only at the end of the baking', async () => {
    const marks: string[] = [];
    const {
      on,
      queries,
      report,
      told: records,
    } = await play({ bake: baking() }, (_, number, scene) => {
      marks.push(told(scene.storage.records));
      return is(number / 100);
    });
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(marks.slice(1), Array(3).fill('1 superseded+verified, 2 deployed'));
    assert.equal(records, '1 superseded+verified, 2 deployed+verified');
    assert.deepEqual(queries, [
      'errors{release="shop",revision="1"}',
      ...Array<string>(3).fill('errors{release="shop",revision="2"}'),
    ]);
    assert.deepEqual(
      report.metrics?.map(({ verdict, samples, before }) => [verdict, before, samples.map(({ value }) => value)]),
      [['pass', null, [0.01, 0.02, 0.03]]],
    );
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  it('a breach is rolled back at once, with the query and its samples', async () => {
    const { on, report, log, told } = await play({ bake: baking() }, (_, number) => is(number < 2 ? 0.01 : 0.5));
    assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'MetricsFailed']);
    assert.match(report.message, /^Metric errors failed 1 of 2 samples \(0 allowed\): the last was 0\.5/);
    assert.equal(told, '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1']);
    assert.equal(report.metrics?.[0]?.samples.length, 2);
    assert.match(log, /errors {2}sample 2 of 3: 0\.5 \(fail\)/);
  });

  it('with onFailure: keep a breach rolls nothing back', async () => {
    const { on, report, told } = await play({ bake: baking(), onFailure: 'keep' }, () => is(1));
    assert.deepEqual([report.outcome, report.reason], ['failed', 'MetricsFailed']);
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.equal(told, '1 superseded+verified, 2 failed+unhealthy');
  });

  it('failures within the limit are tolerated', async () => {
    const { report } = await play({ bake: baking([metric({ failureLimit: 1 })]) }, (_, number) =>
      is(number === 2 ? 1 : 0),
    );
    assert.equal(report.outcome, 'deployed');
  });

  it('a comparison uses the value before the deploy', async () => {
    const bake = baking([metric({ when: 'result <= before * 1.5' })]);
    const { report } = await play({ bake }, (_, number) => is(number === 0 ? 4 : number === 1 ? 6 : 7));
    assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'MetricsFailed']);
    assert.equal(report.metrics?.[0]?.before, 4);
  });

  it('a comparison without a value before is inconclusive', async () => {
    const bake = baking([metric({ when: 'result <= before' })]);
    const { on, report } = await play({ bake }, (_, number) => (number === 0 ? noData : is(1)));
    assert.deepEqual([report.outcome, report.reason], ['failed', 'MetricsInconclusive']);
    assert.match(report.message, /nothing can be compared/);
    assert.match(on.agent.warnings.join('\n'), /compares with its value before the deploy, and has none now/);
  });

  it('the comparison counts for nothing in a first install', async () => {
    const bake = baking([metric({ when: 'result <= before && result < 5' })]);
    const { report } = await play({ bake }, (_, number) => (number === 0 ? noData : is(1)), { chart: v2 });
    assert.deepEqual([report.outcome, report.reason], ['deployed', '']);
  });

  it('a first install whose metric fails is uninstalled', async () => {
    const { on, report } = await play({ bake: baking() }, () => is(1), { chart: v2 });
    assert.deepEqual([report.outcome, report.reason], ['failed', 'MetricsFailed']);
    assert.deepEqual(on.helm.runs, ['upgrade', 'uninstall']);
  });

  describe('an inconclusive metric', () => {
    const silent: Readings = (_, number) => (number < 2 ? is(0) : gone);

    it('fails the step, and nothing is rolled back', async () => {
      const { on, report, told } = await play({ bake: baking() }, silent);
      assert.deepEqual([report.outcome, report.reason], ['failed', 'MetricsInconclusive']);
      assert.match(report.message, /2 of 3 samples say nothing \(0 allowed\).*cannot be reached.*stays as it is/);
      assert.deepEqual(on.helm.runs, ['upgrade']);
      assert.equal(told, '1 superseded+verified, 2 deployed');
      assert.equal(on.storage.records[1]?.labels[inconclusiveLabel], '2');
      assert.deepEqual([report.servingRevision, report.servingHealth], [2, 'healthy']);
    });

    it('leaves a revision that the next run does not take for good, and bakes again', async () => {
      const { on } = await play({ bake: baking() }, silent);
      const again = await staged(
        {
          history: on.storage.records,
          live: v2.objects,
          chart: v2,
          request: { bake: baking(), bakes: true },
        },
        () => is(0),
      );
      const report = await deploy(again.on.context);
      assert.equal(report.outcome, 'deployed');
      assert.deepEqual(again.on.helm.runs, ['upgrade']);
      assert.equal(told(again.on.storage.records), '1 superseded+verified, 2 superseded, 3 deployed+verified');
    });

    it('is rolled back with onInconclusive: rollback', async () => {
      const { on, report } = await play({ bake: baking([metric()], { onInconclusive: 'rollback' }) }, silent);
      assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'MetricsInconclusive']);
      assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1']);
    });

    it('is a warning with onInconclusive: pass', async () => {
      const { on, report } = await play({ bake: baking([metric()], { onInconclusive: 'pass' }) }, silent);
      assert.equal(report.outcome, 'deployed');
      assert.equal(report.metrics?.[0]?.verdict, 'inconclusive');
      assert.match(on.agent.warnings.join('\n'), /The deploy goes on \(onInconclusive: pass\)/);
    });

    it('does not end the baking: a later breach is rolled back', async () => {
      const { report } = await play({ bake: baking() }, (_, number) => (number < 3 ? noData : is(1)));
      assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'MetricsFailed']);
    });

    it('may begin late, within its limit', async () => {
      const bake = baking([metric({ inconclusiveLimit: 2 })]);
      const { report } = await play({ bake }, (_, number) => (number < 3 ? noData : is(0)));
      assert.equal(report.outcome, 'deployed');
    });
  });

  describe('before anything is changed', () => {
    for (const [title, reading, reason, message] of [
      ['a server that does not answer', gone, 'MetricsUnavailable', /cannot be reached\. The query is errors/],
      ['a wrong query', { kind: 'wrong', problem: 'the query gives 2 series' } as Reading, 'InputInvalid', /2 series/],
    ] as const) {
      it(`${title} stops the deploy`, async () => {
        const { on, report } = await play({ bake: baking() }, () => reading);
        assert.deepEqual([report.outcome, report.reason], ['failed', reason]);
        assert.match(report.message, message);
        assert.match(report.message, /Nothing was changed\.$/);
        assert.deepEqual(on.helm.runs, []);
        assert.equal(told(on.storage.records), '1 deployed+verified');
      });
    }

    it('an address of JSON may belong to what is deployed, so it need not answer yet', async () => {
      const source = { kind: 'json', address: 'https://shop.example/health', pointer: '/up' } as const;
      const { report } = await play({ bake: baking([metric({ source })]) }, (_, number) =>
        number === 0 ? gone : is(0),
      );
      assert.equal(report.outcome, 'deployed');
    });

    it('nothing is asked where nothing is to be deployed', async () => {
      const { queries, report } = await play({ bake: baking() }, () => gone, { ...installed, chart: v1 });
      assert.equal(report.outcome, 'unchanged');
      assert.deepEqual(queries, []);
    });
  });

  it('bakeFor without metrics waits before the revision is verified', async () => {
    const bake: BakeRequest = { seconds: 600, onInconclusive: 'fail' };
    const { on, report } = await play({ bake }, () => gone);
    assert.equal(report.outcome, 'deployed');
    assert.ok(on.time.elapsed() > 600_000);
    assert.match(on.agent.lines.join('\n'), /Everything is still healthy/);
  });

  it('a server that hangs makes the baking a little longer, and is inconclusive', async () => {
    const bake = baking([metric({ initialDelaySeconds: 0, intervalSeconds: 1, count: 40 })]);
    const { on } = await staged({ ...installed, request: { bake, bakes: true } }, () => is(0));
    const { time } = on;
    let asked = 0;
    on.context.metrics = {
      read: async (_, signal) => {
        asked += 1;
        if (asked === 1) return is(0);
        await time.sleep(20_000, signal);
        return gone;
      },
    };
    const report = await deploy(on.context);
    assert.deepEqual([report.outcome, report.reason], ['failed', 'MetricsInconclusive']);
    assert.ok(asked < 7, String(asked));
    assert.ok(time.elapsed() < 120_000, String(time.elapsed()));
    assert.equal(report.metrics?.[0]?.samples.length, 40);
  });

  it('a workload that fails while baking fails the deploy, whatever the metrics say', async () => {
    const { on, report } = await play({ bake: baking() }, (_, number, { cluster }) => {
      const web = liveObject(cluster, deployment('web', 'better'));
      if (number === 1 && web !== undefined) {
        const spec = deployment('web', 'broken')['spec'];
        cluster.put({ ...web, spec }, 'somebody');
      }
      return is(0);
    });
    assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'ImageInvalidName']);
    assert.equal(report.failedWorkload, 'Deployment/web');
    assert.equal(report.metrics?.[0]?.verdict, 'open');
    assert.deepEqual(on.helm.runs, ['upgrade', 'rollback 1']);
  });

  it('a step that is cancelled while baking leaves a revision that is not verified', async () => {
    const { report, told } = await play({ bake: baking() }, (_, number, on) => {
      if (number === 2) on.cancel.abort('SIGINT');
      return is(0);
    });
    assert.equal(report.outcome, 'cancelled');
    assert.equal(told, '1 superseded+verified, 2 failed');
  });
});

const plain: HealthRequest = {
  connection: { type: 'none' },
  workloads: [],
  releaseName: release,
  timeoutSeconds: 300,
  rollout: { failFast: true, graces: {}, statusRules: [], logLines: 50, followLogs: false },
  onUnhealthy: 'fail',
  markVerified: true,
};

describe('the baking of a health check', () => {
  for (const [title, readings, onInconclusive, health, reason, marks] of [
    ['metrics that pass', () => is(0), 'fail', 'healthy', '', '1 deployed+verified'],
    ['a breach', (_, number) => is(number), 'fail', 'unhealthy', 'MetricsFailed', '1 deployed'],
    ['no data', () => noData, 'fail', 'unknown', 'MetricsInconclusive', '1 deployed'],
    ['no data, which is accepted', () => noData, 'pass', 'healthy', '', '1 deployed+verified'],
    ['a server that does not answer', () => gone, 'fail', 'unknown', 'MetricsUnavailable', '1 deployed'],
  ] as readonly (readonly [string, Readings, 'fail' | 'pass', string, string, string])[]) {
    it(`${title}: ${health}`, async () => {
      const setting = { history: [revision(1, 'deployed', v1)], live: v1.objects, chart: v1 };
      const { on } = await staged(setting, readings);
      const bake = baking([metric()], { onInconclusive });
      const report = await checkHealth({ ...on.context, request: { ...plain, bake }, storage: on.context.storage });
      assertReport(report);
      assert.deepEqual([report.health, report.reason], [health, reason]);
      assert.equal(told(on.storage.records), marks);
      assert.equal(healthResult(report, 'fail'), health === 'healthy' ? 'Succeeded' : 'Failed');
      assert.equal(report.metrics === undefined, reason === 'MetricsUnavailable');
    });
  }
});
