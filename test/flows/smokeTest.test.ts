import assert from 'node:assert/strict';
import { verifiedLabel } from '../../tasks/common/core/release/history';
import type { Hook } from '../../tasks/common/core/release/release';
import { deploy } from '../../tasks/common/flows/deploy/deploy';
import { manifestOf, type FakeChart } from '../support/fakes/fakeHelm';
import { chart, configMap, deployment, live, revision, scene, told, type Setting } from '../support/fakes/scene';

const testJob = (name: string, image = 'good', policy = 'before-hook-creation'): Hook => ({
  name,
  kind: 'Job',
  events: ['test'],
  lastPhase: '',
  manifest: manifestOf([
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, annotations: { 'helm.sh/hook': 'test', 'helm.sh/hook-delete-policy': policy } },
      spec: { template: { spec: { containers: [{ image: `registry.example/test:${image}` }] } } },
    },
  ]),
});

const asked = { smokeTest: { timeoutSeconds: 60, filter: [] } };
const verified = { labels: { [verifiedLabel]: '1' } };
const v1 = chart('1.0.0', [configMap('settings'), deployment('web', 'good')]);
const tested = (...tests: Hook[]): FakeChart =>
  chart('2.0.0', [configMap('settings', { a: '2' }), deployment('web', 'better')], tests);
const installed = { history: [revision(1, 'deployed', v1, verified)], live: v1.objects };
const play = async (setting: Setting) => {
  const on = await scene({ ...setting, request: { ...asked, ...setting.request } });
  const report = await deploy(on.context);
  return { on, report, log: on.agent.lines.join('\n'), told: told(on.storage.records) };
};

describe('the smoke test of a deploy', () => {
  it('several tests that pass are reported, and only then is the revision verified', async () => {
    const marks: string[] = [];
    const on = await scene({ ...installed, chart: tested(testJob('api'), testJob('shop')), request: asked });
    const { helm } = on.context;
    on.context.helm = {
      ...helm,
      test: async (...given) => {
        const result = await helm.test(...given);
        marks.push(told(on.storage.records));
        return result;
      },
    };
    const report = await deploy(on.context);
    assert.equal(report.outcome, 'deployed');
    assert.deepEqual(marks, ['1 superseded+verified, 2 deployed']);
    assert.equal(told(on.storage.records), '1 superseded+verified, 2 deployed+verified');
    assert.deepEqual(report.tests, [
      { kind: 'Job', name: 'api', result: 'Succeeded' },
      { kind: 'Job', name: 'shop', result: 'Succeeded' },
    ]);
    assert.match(on.agent.lines.join('\n'), /Helm runs 2 tests: Job\/api, Job\/shop\.[^]*passed 2 tests/);
  });

  it('without the input no test runs', async () => {
    const on = await scene({ ...installed, chart: tested(testJob('api', 'broken')) });
    assert.equal((await deploy(on.context)).outcome, 'deployed');
    assert.deepEqual(on.helm.runs, ['upgrade']);
  });

  it('a chart without tests is no failure, and the log says it once', async () => {
    const { on, report, log } = await play({ ...installed, chart: tested() });
    assert.equal(report.outcome, 'deployed');
    assert.equal(report.tests, undefined);
    assert.deepEqual(on.helm.runs, ['upgrade']);
    assert.equal(log.match(/has no tests/g)?.length, 1);
  });

  it('a test that fails is rolled back, and the tests after it do not run', async () => {
    const tests = [testJob('first'), testJob('api', 'broken'), testJob('shop')];
    const { on, report, log, told } = await play({ ...installed, chart: tested(...tests) });
    assert.deepEqual(
      [report.outcome, report.reason, report.failedWorkload],
      ['rolledBack', 'SmokeTestFailed', 'Job/api'],
    );
    assert.match(report.message, /^A test of the chart failed: Job\/api has failed: BackoffLimitExceeded\./);
    assert.equal(told, '1 superseded+verified, 2 failed+unhealthy, 3 deployed+verified');
    assert.deepEqual(on.helm.runs, ['upgrade', 'test', 'rollback 1']);
    assert.deepEqual(
      report.tests?.map(({ result }) => result),
      ['Succeeded', 'Failed', ''],
    );
    assert.doesNotMatch(log, /Helm is stopped/);
  });

  it('a revision with the same objects is still the target, because only the test is broken', async () => {
    const of = { ...v1, version: '2.0.0', hooks: [testJob('api', 'unnamed')] };
    const { report } = await play({ ...installed, chart: of });
    assert.deepEqual([report.outcome, report.reason], ['rolledBack', 'ImageInvalidName']);
  });

  it('with onFailure: keep a failed test rolls nothing back', async () => {
    const { on, report, told } = await play({
      ...installed,
      chart: tested(testJob('api', 'broken')),
      request: { onFailure: 'keep' },
    });
    assert.deepEqual([report.outcome, report.reason], ['failed', 'SmokeTestFailed']);
    assert.deepEqual(on.helm.runs, ['upgrade', 'test']);
    assert.equal(told, '1 superseded+verified, 2 failed+unhealthy');
  });

  it('a first install whose test fails is uninstalled', async () => {
    const { on, report } = await play({ chart: tested(testJob('api', 'broken')) });
    assert.deepEqual([report.outcome, report.reason], ['failed', 'SmokeTestFailed']);
    assert.deepEqual(on.helm.runs, ['upgrade', 'test', 'uninstall']);
  });

  it('a test that can no longer succeed stops Helm, and does not run later', async () => {
    const { on, report, log } = await play({ ...installed, chart: tested(testJob('api', 'unnamed')) });
    assert.deepEqual(
      [report.outcome, report.reason, report.failedWorkload],
      ['rolledBack', 'ImageInvalidName', 'Job/api'],
    );
    assert.match(log, /This test can no longer succeed/);
    assert.ok(!live(on.cluster).includes('Job/api'));
    assert.ok(on.time.elapsed() < 60_000);
  });

  it('a test that hangs is ended at smokeTestTimeout, rolled back and removed', async () => {
    const { on, report } = await play({ ...installed, chart: tested(testJob('api', 'slow')) });
    assert.deepEqual([report.outcome, report.reason, report.failedWorkload], ['rolledBack', 'TimedOut', 'Job/api']);
    assert.match(report.message, /^The tests of the chart had not ended in time/);
    assert.match(report.advice, /smokeTestTimeout/);
    assert.ok(!live(on.cluster).includes('Job/api'));
  });

  describe('where nothing is to be deployed', () => {
    const same = (image: string): Setting => {
      const of = tested(testJob('api', image));
      return { history: [revision(1, 'deployed', of, verified)], live: of.objects, chart: of };
    };

    it('the tests run all the same', async () => {
      const { on, report, told } = await play(same('good'));
      assert.equal(report.outcome, 'unchanged');
      assert.deepEqual(on.helm.runs, ['test']);
      assert.equal(report.tests?.[0]?.result, 'Succeeded');
      assert.equal(told, '1 deployed+verified');
    });

    for (const image of ['broken', 'slow']) {
      it(`a test that is ${image} fails the step, and nothing is rolled back`, async () => {
        const { on, report, told } = await play(same(image));
        assert.equal(report.outcome, 'failed');
        assert.equal(report.failedWorkload, 'Job/api');
        assert.match(report.message, /changed nothing, so nothing is rolled back\.$/);
        assert.deepEqual(on.helm.runs, ['test']);
        assert.equal(told, '1 deployed+verified');
        assert.equal(live(on.cluster).includes('Job/api'), image === 'broken');
        assert.deepEqual([report.servingRevision, report.servingHealth], [1, 'healthy']);
      });
    }
  });

  describe('with a filter', () => {
    const filter = ['!shop'];
    const request = { smokeTest: { timeoutSeconds: 60, filter } };

    it('only the chosen tests run, and the record keeps its hooks', async () => {
      const of = tested(testJob('api'), testJob('shop', 'broken'));
      const { on, report } = await play({ ...installed, chart: of, request });
      assert.equal(report.outcome, 'deployed');
      assert.deepEqual(on.helm.runs, ['upgrade', 'test !shop']);
      assert.deepEqual(
        report.tests?.map(({ name }) => name),
        ['api'],
      );
      assert.deepEqual(
        on.storage.records.at(-1)?.hooks.map(({ name }) => name),
        ['api', 'shop'],
      );
    });

    it('a name that no test has is refused before anything is changed', async () => {
      const { on, report } = await play({ ...installed, chart: tested(testJob('api')), request });
      assert.deepEqual([report.outcome, report.reason], ['failed', 'InputInvalid']);
      assert.match(report.message, /smokeTestFilter names shop, and the chart has the tests api\./);
      assert.deepEqual(on.helm.runs, []);
    });

    it('a filter that leaves out every test runs nothing', async () => {
      const { on, report } = await play({ ...installed, chart: tested(testJob('shop', 'broken')), request });
      assert.equal(report.outcome, 'deployed');
      assert.deepEqual(on.helm.runs, ['upgrade']);
    });
  });
});
