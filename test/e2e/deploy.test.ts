import assert from 'node:assert/strict';
import { node24 } from '../support/product';
import { assertOutcome, helms, scenes } from './scenes';

const broken = ['text=two', 'env.READY=never', 'progressDeadlineSeconds=2'];

describe('deploy of a chart', function () {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(
      `Helm ${major}: first install, then an upgrade: each seen healthy, marked, told once @real-node`,
      async (s) => {
        const helm = helms(s.cluster)[major];
        const first = await s.deploy({ helm, set: ['text=one'] });
        assertOutcome(first, 'deployed');
        const { reportPath, ...outputs } = first.outputs;
        assert.deepEqual(outputs, {
          outcome: 'deployed',
          reason: '',
          failedWorkload: '',
          revisionBefore: '',
          revision: '1',
          verifiedRevision: '1',
        });
        assert.match(reportPath ?? '', /json$/);

        const useNode24 = node24 !== undefined;
        const second = await s.deploy({ helm, set: ['text=two'] }, { useNode24 });
        assertOutcome(second, 'deployed');
        if (useNode24) assert.equal(second.job.step('deploy').processes[0]?.handler, 'Node24');
        assert.equal(second.outputs['revisionBefore'], '1');
        assert.equal(await s.history(), '1 superseded, 2 deployed');
        assert.deepEqual(await s.marks(), ['1 verified=1', '2 verified=2']);
        assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'two');
        const step = second.job.step('deploy');
        assert.deepEqual(step.issues, []);
        assert.equal(step.summaries.length, 1);
      },
    );

    scene(`Helm ${major}: pods never ready are rolled back to the verified revision @real-node`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: ['text=one'] }), 'deployed');
      const end = await s.deploy({ helm, set: broken });
      assertOutcome(end, 'rolledBack', 'ProgressDeadlineExceeded');
    });
  }
});
