import assert from 'node:assert/strict';
import { assertOutcome, bare, helms, loseMachine, scenes } from './scenes';

const inputs = { smokeTest: 'true' };
const first = 'testPod=echo the shop answers';
const test = (script: string): string => `hooks.test=${script}`;

describe('the tests of a chart', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a test Pod and a test Job decide about two deploys @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      const good = await s.deploy({ helm, inputs, set: [...bare, first, test('echo all prices are right')] });
      assertOutcome(good, 'deployed');
      // Helm deletes the Pod as soon as it has passed.
      assert.match(good.log, /web-first\/first \| the shop answers[^]*\/hook \| all prices are right/);
      assert.match(good.log, /The chart passed 2 tests/);
      assert.deepEqual(await s.marks(), ['1 verified=1']);

      const set = [...bare, 'text=two', first, test('echo a price is wrong; exit 3')];
      const bad = await s.deploy({ helm, inputs, set });
      assertOutcome(bad, 'rolledBack', 'SmokeTestFailed');
      assert.equal(bad.outputs['failedWorkload'], 'Job/web-test');
      const told = bad.log.indexOf('| a price is wrong');
      assert.ok(told >= 0 && told < bad.log.indexOf('Roll back to revision 1'), bad.log);
      assert.deepEqual(bad.report?.tests, [
        { kind: 'Pod', name: 'web-first', result: 'Succeeded' },
        { kind: 'Job', name: 'web-test', result: 'Failed' },
      ]);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');

      const again = await s.deploy({ helm, inputs, set: [...bare, first, test('echo all prices are right')] });
      assertOutcome(again, 'unchanged');
      assert.match(again.log, /\| all prices are right/);
    });

    scene(
      `Helm ${major}: an agent that is lost during a filtered test loses no hook of the record @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const filtered = { ...inputs, smokeTestFilter: '!web-first', onInterrupted: 'keep' };
        const set = [...bare, first, test('echo waiting; sleep 600')];
        const started = s.start({ helm, inputs: filtered, set });
        const isRunning = async (): Promise<boolean> =>
          (await s.field('/apis/batch/v1/namespaces/$ns/jobs/web-test', 'status.active')) === 1;
        await s.until('the test runs', isRunning);
        loseMachine(started);
        await started.end.catch(() => undefined);
        assert.match(await s.helm(helm, 'get', 'hooks', 'web'), /kind: Pod[^]*kind: Job|kind: Job[^]*kind: Pod/);
        assert.deepEqual(await s.marks(), []);

        const next = await s.deploy({ helm, inputs: filtered, set: [...bare, first, test('echo done')] });
        assertOutcome(next, 'recovered');
        assert.match(next.log, /gone before its tests had passed[^]*\| done/);
        assert.doesNotMatch(next.log, /the shop answers/);
        const verified = (await s.marks()).filter((mark) => mark.includes('verified'));
        assert.deepEqual(verified, ['2 verified=2']);
      },
    );
  }
});
