import assert from 'node:assert/strict';
import { waitFor } from '../../scripts/cluster/wait';
import { node24 } from '../support/product';
import { assertOutcome, helms, scenes, type Scene } from './scenes';

/** The deadline leaves the kubelet of a busy machine enough time to start the container and to probe it. */
const broken = ['text=two', 'env.READY=never', 'progressDeadlineSeconds=15'];
const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';

describe('deploy of a chart', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: a first install and an upgrade are healthy, marked and logged once @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      const first = await s.deploy({ helm, set: ['text=one'] });
      assertOutcome(first, 'deployed');
      const { channelMessage, channelMessagePath, reportPath, ...outputs } = first.outputs;
      assert.deepEqual(outputs, {
        outcome: 'deployed',
        reason: '',
        reasonGroup: '',
        failedWorkload: '',
        revisionBefore: '',
        revision: '1',
        verifiedRevision: '1',
        driftCount: '',
        reservations: '',
      });
      assert.match(reportPath ?? '', /json$/);
      assert.match(
        channelMessage ?? '',
        /^Release web in namespace \S+: deployed\nRevision 1 serves now, verified healthy\.\n?/,
      );
      assert.match(channelMessagePath ?? '', /md$/);
      const events = await s.cluster.runKubectl('describe', 'deployment/web', '--namespace', s.namespace);
      assert.match(events, /Normal +Deployed .* Revision 1 of release web/);

      const useNode24 = node24 !== undefined;
      const second = await s.deploy({ helm, set: ['text=two'] }, { useNode24 });
      assertOutcome(second, 'deployed');
      const step = second.job.step('deploy');
      if (useNode24) assert.equal(step.processes[0]?.handler, 'Node24');
      assert.equal(second.outputs['revisionBefore'], '1');
      assert.equal(second.outputs['verifiedRevision'], '2');
      assert.equal(await s.history(), '1 superseded, 2 deployed');
      assert.deepEqual(await s.marks(), ['1 verified=1', '2 verified=2']);
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'two');
      assert.deepEqual(step.issues, []);
      assert.equal(step.summaries.length, 1);
      assert.match(step.summaries[0] ?? '', /^## Release web .*: deployed$/m);
      assert.equal(second.report?.schemaVersion, 1);
      assert.deepEqual(
        second.report.objects.map(({ kind, name, status }) => `${kind}/${name} ${status}`),
        ['ConfigMap/web Current', 'Service/web Current', 'Deployment/web Current'],
      );
    });

    scene(
      `Helm ${major}: an upgrade that never gets ready is rolled back to the verified one @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: ['text=one'] }), 'deployed');
        const running = s.start({ helm, set: broken });
        const [end, fewest] = await Promise.all([running.end, fewestAvailable(s, running.end)]);
        assertOutcome(end, 'rolledBack', 'ReadinessProbeFailed');
        assert.equal(fewest, 1, 'Fewer pods were available than the strategy allows.');
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
        assert.deepEqual(await s.marks(), [
          '1 verified=1',
          '2 broken=2_ReadinessProbeFailed_Deployment.web',
          '2 unhealthy=2',
          '3 verified=3',
        ]);
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');

        assert.equal(end.job.step('deploy').errorCount, 1);
        const said = end.job.issues[0]?.message ?? '';
        assert.match(said, /^Release web in namespace \S+ rolled back \(ReadinessProbeFailed\): Deployment\/web: /);
        assert.match(said, /Revision 3 serves now, verified healthy\.$/);
        assert.match(end.log, /\| sample application v1 listens on :8080/);
        assert.deepEqual(
          [end.outputs['failedWorkload'], end.outputs['revision'], end.outputs['verifiedRevision']],
          ['Deployment/web', '3', '3'],
        );

        assertOutcome(await s.deploy({ helm, set: ['text=four'] }), 'deployed');
        assert.equal(await s.history(), '1 superseded, 2 failed, 3 superseded, 4 deployed');
      },
    );
  }
});

/** Returns the lowest number of available pods seen until the promise is settled. */
async function fewestAvailable(s: Scene, until: Promise<unknown>): Promise<number> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  until.then(end, end);
  let fewest = Infinity;
  const look = async (): Promise<boolean> => {
    fewest = Math.min(fewest, Number((await s.field(deployment, 'status.availableReplicas')) ?? 0));
    return isOver;
  };
  await waitFor('the deploy to end', look, { timeoutSeconds: 300 });
  return fewest;
}
