import assert from 'node:assert/strict';
import { assertOutcome, bare, helms, scenes } from './scenes';

const deployment = ['text=two'];
const never = ['env.READY=never', 'progressDeadlineSeconds=2'];

/** A hook whose script has no commas and no quotes, as `--set` requires. */
const hook = (event: string, script: string): string => `hooks.${event}=${script}`;

describe('hooks of a chart', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: when a pre-upgrade hook fails, nothing is rolled back, and the log of the hook is shown @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const before = await s.live('/api/v1/namespaces/$ns/configmaps/web');
        const end = await s.deploy({
          helm,
          set: [...bare, 'text=two', hook('pre-upgrade', 'echo the schema is from the future; exit 3')],
        });
        assertOutcome(end, 'failed', 'HookFailed');
        assert.match(end.log, /the schema is from the future/);
        assert.match(end.job.issues[0]?.message ?? '', /Revision 1 serves now/);
        assert.equal(end.outputs['failedWorkload'], 'Job/web-pre-upgrade');
        assert.equal(end.report?.servingRevision, 1);
        assert.equal(await s.history(), '1 deployed, 2 failed');
        const after = await s.live('/api/v1/namespaces/$ns/configmaps/web');
        assert.equal(after?.metadata.resourceVersion, before?.metadata.resourceVersion);

        assertOutcome(await s.deploy({ helm, set: [...bare, 'text=three'] }), 'deployed');
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      },
    );

    scene(`Helm ${major}: a failed post-upgrade hook is rolled back, and its log is shown @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
      const end = await s.deploy({
        helm,
        set: [...bare, 'text=two', hook('post-upgrade', 'echo smoke test failed; exit 1')],
      });
      assertOutcome(end, 'rolledBack', 'HookFailed');
      assert.match(end.log, /\| smoke test failed/);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
    });

    scene(`Helm ${major}: a post-install hook that calls the Service runs when all is ready @real-node`, async (s) => {
      const script = '/app get http://web/ && echo the shop is open';
      const end = await s.deploy({
        helm: helms(s.cluster)[major],
        set: ['env.READY_AFTER=2', hook('post-install', script)],
      });
      assertOutcome(end, 'deployed');
      assert.equal(await s.field('/apis/batch/v1/namespaces/$ns/jobs/web-post-install', 'status.succeeded'), 1);
    });

    scene(
      `Helm ${major}: a rollout that fails before a post-upgrade hook is rolled back long before the timeout @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm }), 'deployed');
        const set = [...deployment, ...never, hook('post-upgrade', 'echo not to be run')];
        const end = await s.deploy({ helm, set, inputs: { timeout: '5m' } });
        assertOutcome(end, 'rolledBack');
        assert.equal(end.outputs['failedWorkload'], 'Deployment/web');
        assert.equal(await s.live('/apis/batch/v1/namespaces/$ns/jobs/web-post-upgrade'), undefined);
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
        assert.ok(end.job.durationMs < 60_000, `It took ${String(end.job.durationMs)} ms.`);
      },
    );

    scene(
      `Helm ${major}: an invalid image name in a hook is reported at once, nothing is changed, and no hook keeps running @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const set = [...bare, 'text=two', 'hookImage=Not/Valid', hook('pre-upgrade', 'echo no')];
        const end = await s.deploy({ helm, set, inputs: { timeout: '5m' } });
        assertOutcome(end, 'failed', 'ImageInvalidName');
        assert.equal(end.outputs['failedWorkload'], 'Job/web-pre-upgrade');
        assert.match(end.job.issues[0]?.message ?? '', /Not\/Valid.*Revision 1 serves now/);
        assert.equal(end.report?.timedOut, false);
        assert.ok(end.job.durationMs < 60_000, `It took ${String(end.job.durationMs)} ms.`);
        assert.equal(await s.history(), '1 deployed, 2 failed');
        assert.equal(await s.live('/apis/batch/v1/namespaces/$ns/jobs/web-pre-upgrade'), undefined);
      },
    );

    scene(
      `Helm ${major}: an image of a post-upgrade hook that cannot be pulled is rolled back long before the timeout @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const set = [...bare, 'text=two', 'hookImage=Not/Valid', hook('post-upgrade', 'echo no')];
        const end = await s.deploy({ helm, set, inputs: { timeout: '5m' } });
        assertOutcome(end, 'rolledBack', 'ImageInvalidName');
        assert.ok(end.job.durationMs < 60_000, `It took ${String(end.job.durationMs)} ms.`);
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
        assert.equal(await s.live('/apis/batch/v1/namespaces/$ns/jobs/web-post-upgrade'), undefined);
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      },
    );

    scene(
      `Helm ${major}: a hook that hangs is ended at the timeout, and the message names the serving revision @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
        const set = [...bare, 'text=two', hook('pre-upgrade', 'echo waiting for a lock; sleep 600')];
        const end = await s.deploy({ helm, set, inputs: { timeout: '25s' } });
        assertOutcome(end, 'failed', 'TimedOut');
        assert.match(end.log, /\| waiting for a lock/);
        assert.match(end.job.issues[0]?.message ?? '', /Job\/web-pre-upgrade.*Revision 1 serves now/);
        assert.equal(await s.history(), '1 deployed, 2 failed');
      },
    );

    scene(
      `Helm ${major}: a failed post-rollback hook: serving revision and command are named @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: [...bare, hook('post-rollback', 'echo no; exit 1')] }), 'deployed');
        const end = await s.deploy({ helm, set: [...bare, 'text=two', 'invalid=true'] });
        assertOutcome(end, 'failed', 'ApplyRejected');
        const said = end.job.issues[0]?.message ?? '';
        assert.match(
          said,
          /rollback to revision 1 failed too: .*helm rollback web 1 --namespace \S+ Revision 3 serves now/,
        );
        assert.equal(await s.history(), '1 deployed, 2 failed, 3 failed');
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      },
    );

    scene(`Helm ${major}: a post-rollback hook runs during the rollback @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: [hook('post-rollback', '/app get http://web/')] }), 'deployed');
      const end = await s.deploy({ helm, set: [...deployment, ...never] });
      assertOutcome(end, 'rolledBack');
      assert.equal(await s.field('/apis/batch/v1/namespaces/$ns/jobs/web-post-rollback', 'status.succeeded'), 1);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    });
  }
});
