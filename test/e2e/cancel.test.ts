import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { DeployEnd } from '../support/product';
import { assertOutcome, bare, fake, helms, scenes, type Scene, type SceneDeploy } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z'];
const mostMs = 5_000;

interface Moment {
  title: string;
  deploy: SceneDeploy;
  /** The pipeline is cancelled after this line of the log. */
  line: RegExp;
  /** The cancel also waits until the hook's pod exists. */
  isInHook?: true;
  /** Helm's history after the job. */
  history: string;
  /** What the post-job step is expected to log. */
  after: RegExp;
}

const moments: readonly Moment[] = [
  {
    title: 'while Helm waits for the objects before a hook',
    deploy: { set: [...stuck, 'text=two', 'hooks.post-upgrade=echo'] },
    line: /Deployment\/web {2}/,
    history: '1 superseded, 2 failed, 3 deployed',
    after: /Revision 3 has the manifest of revision 1/,
  },
  {
    title: 'in a pre-upgrade hook @real-node',
    deploy: { set: [...fake, 'text=two', 'hooks.pre-upgrade=sleep 600'] },
    line: /Run helm upgrade/,
    isInHook: true,
    history: '1 deployed, 2 failed',
    after: /It had changed nothing of the release: revision 1 serves as before/,
  },
  {
    title: 'while the rollout is followed',
    deploy: { set: [...stuck, 'text=two'] },
    line: /Follow revision 2/,
    history: '1 superseded, 2 failed, 3 deployed',
    after: /Revision 3 has the manifest of revision 1/,
  },
];

describe('a cancelled pipeline', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    for (const { title, deploy, line, isInHook, history, after } of moments) {
      scene(`Helm ${major}: cancelled ${title}: post-job repairs the release, and the next run works`, async (s) => {
        const helm = helms(s.cluster)[major];
        assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
        const running = s.start({ helm, ...deploy });
        await running.job.waitForLine(line);
        if (isInHook) await hookRuns(s, 2);
        const { end, tookMs } = await cancelled(running);
        assertCancelled(end, tookMs);
        assert.equal(await s.history(), history, end.log);
        assert.match(end.log, /SIGINT received/);
        assert.match(end.log, /It begins nothing more and stops Helm/);
        assert.match(end.log, after);

        assertOutcome(await s.deploy({ helm, set: [...fake, 'text=three'] }), 'deployed');
        assert.match(await s.history(), /^1 superseded, 2 failed, (3 superseded, 4|3) deployed$/);
        assert.deepEqual(
          await s.field('/apis/apps/v1/namespaces/$ns/deployments/web', 'spec.template.spec.nodeSelector'),
          {
            type: 'kwok',
          },
        );
      });
    }
  }

  scene('cancelled while Helm, behind a wrapper script, renders the chart: nothing is changed', async (s) => {
    const slow = s.file('helm', `#!/bin/sh\ncase "$*" in *dry-run*) sleep 30;; esac\nexec '${s.cluster.helm4}' "$@"\n`);
    const running = s.start({ helm: slow, set: bare });
    await running.job.waitForLine(/Release web .* does not exist yet/);
    const { end, tookMs } = await cancelled(running);
    assertCancelled(end, tookMs);
    assert.equal(await s.history(), '');
  });

  scene('cancelled during the rollback: the rollback is completed', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const slow = s.file(
      'helm',
      `#!/bin/sh\ncase "$1" in rollback) echo under way; sleep 1;; esac\nexec '${s.cluster.helm4}' "$@"\n`,
    );
    const running = s.start({ helm: slow, set: [...stuck, 'progressDeadlineSeconds=1'] });
    await running.job.waitForLine(/^ +under way$/);
    const { end, tookMs } = await cancelled(running);
    assertCancelled(end, tookMs);
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    assertOutcome(await s.deploy({ set: [...fake, 'text=four'] }), 'deployed');
  });

  scene('a cancelled first install is uninstalled after the job, and the next run installs', async (s) => {
    const running = s.start({ set: stuck });
    await running.job.waitForLine(/Follow revision 1/);
    const { end, tookMs } = await cancelled(running);
    assertCancelled(end, tookMs);
    assert.equal(await s.history(), '', end.log);
    assert.match(end.log, /which is uninstalled/);
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
  });

  scene('a SIGTERM alone, as from a machine that shuts down, is handled like a cancel', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const running = s.start({ set: stuck });
    await running.job.waitForLine(/Follow revision 2/);
    running.job.kill('SIGTERM');
    const end = await running.end;
    assert.equal(end.outputs['outcome'], 'cancelled');
    assert.match(end.log, /SIGTERM received/);
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed', end.log);
  });

  scene('onInterrupted: keep leaves the interrupted revision in place and marks it failed', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const running = s.start({ set: stuck, inputs: { onInterrupted: 'keep' } });
    await running.job.waitForLine(/Follow revision 2/);
    const { end, tookMs } = await cancelled(running);
    assertCancelled(end, tookMs);
    assert.match(end.log, /It is marked failed and kept \(onInterrupted: keep\)/);
    assert.equal(await s.history(), '1 superseded, 2 failed');
  });

  scene('cancelled during the rollout, but healthy when the post-job step runs: the revision stays', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const running = s.start({ set: [...fake, 'text=two'], inputs: { stableFor: '5m', timeout: '10m' } });
    await running.job.waitForLine(/Follow revision 2/);
    await s.until('the new pod serves alone', async () => {
      const live = await s.live('/apis/apps/v1/namespaces/$ns/deployments/web');
      const { observedGeneration, replicas, updatedReplicas, availableReplicas } = (live?.['status'] ?? {}) as Record<
        string,
        number
      >;
      const counts = [observedGeneration, replicas, updatedReplicas, availableReplicas];
      return counts.join() === [live?.metadata['generation' as never], 1, 1, 1].join();
    });
    const { end, tookMs } = await cancelled(running);
    assertCancelled(end, tookMs);
    assert.match(end.log, /Revision 2 is healthy, so there is nothing to do/);
    assert.equal(await s.history(), '1 superseded, 2 deployed');
    assert.ok((await s.marks()).includes('2 verified=2'));
  });
});

async function hookRuns(s: Scene, revision: number): Promise<void> {
  const pods = '/api/v1/namespaces/$ns/pods?labelSelector=job-name%3Dweb-pre-upgrade';
  await s.until(`the hook of revision ${revision} runs`, async () => (await s.list(pods)).length > 0);
}

async function cancelled(running: ReturnType<Scene['start']>): Promise<{ end: DeployEnd; tookMs: number }> {
  const since = Date.now();
  running.job.cancel();
  const end = await running.end;
  const run = end.job.step('deploy').processes.at(-1);
  return { end, tookMs: run === undefined ? Infinity : run.startedAt.getTime() + run.durationMs - since };
}

function assertCancelled(end: DeployEnd, tookMs: number): void {
  assert.equal(end.outputs['outcome'], 'cancelled', end.log);
  assert.equal(end.result, 'Canceled');
  const [run] = end.job.step('deploy').processes;
  assert.deepEqual(
    run?.signalsSent.map(({ signal }) => signal),
    ['SIGINT'],
    end.log,
  );
  assert.ok(tookMs < mostMs, `It took ${Math.round(tookMs)} ms:\n${end.log}`);
  const folder = end.job.step('deploy').taskVariablesSet.find(({ name }) => name === 'helmSafeDeployPrivateFolder');
  assert.ok(folder !== undefined && !fs.existsSync(path.join(folder.value, 'kubeconfig')));
}
