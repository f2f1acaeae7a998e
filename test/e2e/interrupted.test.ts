import assert from 'node:assert/strict';
import { assertOutcome, bare, fake, helms, scenes, type Scene } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z'];
const lease = '/apis/coordination.k8s.io/v1/namespaces/$ns/leases/helm-safe-deploy.web';
const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';

describe('a deploy that is killed', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: SIGKILL in the middle of Helm's run: its guard tells Helm, post-job goes back`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
      const running = s.start({ helm, set: [...stuck, 'text=two', 'hooks.post-upgrade=echo'] });
      await running.job.waitForLine(/Deployment\/web {2}/);
      running.job.kill('SIGKILL');
      const end = await running.end;
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed', end.log);
      assert.deepEqual(end.job.orphans, []);
      assert.deepEqual(await s.field(deployment, 'spec.template.spec.nodeSelector'), { type: 'kwok' });
      assert.equal(await s.field(lease, 'spec.holderIdentity'), '');
    });

    scene(`Helm ${major}: task, guard and Helm die with their machine: the next run recovers`, async (s) => {
      const helm = helms(s.cluster)[major];
      assertOutcome(await s.deploy({ helm, set: fake }), 'deployed');
      const running = s.start({ helm, set: [...stuck, 'text=two', 'hooks.post-upgrade=echo'] });
      await running.job.waitForLine(/Deployment\/web {2}/);
      loseMachine(running);
      await running.end.catch(() => undefined);
      assert.equal(await s.history(), '1 deployed, 2 pending-upgrade');

      const end = await s.deploy({ helm, set: [...fake, 'text=three'] });
      assertOutcome(end, 'recovered');
      assert.match(end.log, /Revision 2 was left pending-upgrade: its run is gone/);
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      assert.deepEqual(await s.field(deployment, 'spec.template.spec.nodeSelector'), { type: 'kwok' });
    });
  }

  scene('a first install dies with its machine: it is removed and made anew', async (s) => {
    const running = s.start({ set: [...stuck, 'hooks.post-install=echo'] });
    await s.until('the Deployment is there', async () => (await s.live(deployment)) !== undefined);
    loseMachine(running);
    await running.end.catch(() => undefined);
    assert.equal(await s.history(), '1 pending-install');
    const uid = await s.field(deployment, 'metadata.uid');
    const end = await s.deploy({ set: fake });
    assertOutcome(end, 'recovered');
    assert.equal(await s.history(), '1 deployed');
    assert.notEqual(await s.field(deployment, 'metadata.uid'), uid);
  });

  scene('recreateFailedInstall: false goes on from what the dead first install left', async (s) => {
    const running = s.start({ set: [...stuck, 'hooks.post-install=echo'] });
    await s.until('the Deployment is there', async () => (await s.live(deployment)) !== undefined);
    loseMachine(running);
    await running.end.catch(() => undefined);
    const uid = await s.field(deployment, 'metadata.uid');
    const end = await s.deploy({ set: fake, inputs: { recreateFailedInstall: 'false' } });
    assertOutcome(end, 'recovered');
    assert.equal(await s.history(), '1 failed, 2 deployed');
    assert.equal(await s.field(deployment, 'metadata.uid'), uid);
    assert.deepEqual(await s.field(deployment, 'spec.template.spec.nodeSelector'), { type: 'kwok' });
  });
});

/** Everything that the job has started, and the agent itself, are gone at one moment. */
function loseMachine({ job }: ReturnType<Scene['start']>): void {
  const started = job.processes();
  job.loseAgent();
  for (const { pid } of [...started].reverse()) kill(pid);
  for (const { pid } of job.processes()) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

describe('two runs of one release', () => {
  const { scene } = scenes();

  scene('the second waits, says for whom, and then deploys', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const first = s.start({ set: [...stuck, 'text=two'], inputs: { timeout: '15s' } });
    await first.job.waitForLine(/Follow revision 2/);
    const second = s.start({ set: [...fake, 'text=three'] });
    const line = await second.job.waitForLine(/is being changed|at work/i);
    assert.match(line.text, /web/);
    assertOutcome(await first.end, 'rolledBack');
    assertOutcome(await second.end, 'deployed');
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 superseded, 4 deployed');
  });

  scene('lockTimeout over: refused, with the page of the run that is at work', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const first = s.start({ set: [...stuck, 'text=two'], inputs: { timeout: '2m' } });
    await first.job.waitForLine(/Follow revision 2/);
    const second = await s.deploy({ set: [...fake, 'text=three'], inputs: { lockTimeout: '30s' } });
    assertOutcome(second, 'refused', 'ReleaseLocked');
    assert.match(second.job.issues[0]?.message ?? '', /_build\/results\?buildId=/);
    first.job.cancel();
    await first.end;
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
  });
});

describe('a deploy that has nothing to do', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: makes no revision and runs no hook, unless it is forced to`, async (s) => {
      const spec = { helm: helms(s.cluster)[major], set: [...bare, 'hooks.pre-upgrade=echo'] };
      assertOutcome(await s.deploy(spec), 'deployed');
      const again = await s.deploy(spec);
      assertOutcome(again, 'unchanged');
      assert.equal(again.outputs['revision'], '1');
      assert.match(again.log, /there is nothing to do. No revision is made and no hook runs/);
      assert.equal(await s.history(), '1 deployed');
      assertOutcome(await s.deploy({ ...spec, inputs: { forceUpgrade: 'true' } }), 'deployed');
      assert.equal(await s.history(), '1 superseded, 2 deployed');
    });
  }

  scene('somebody has changed an object by hand: it is deployed again', async (s) => {
    const { helm3: helm } = s.cluster;
    assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
    const map = (await s.live('/api/v1/namespaces/$ns/configmaps/web')) ?? assert.fail();
    await s.put('/api/v1/namespaces/$ns/configmaps/web', { ...map, data: { text: 'by hand' } });
    // Helm 4 leaves to others what they have taken, unless it is told --force-conflicts.
    const end = await s.deploy({ helm, set: bare });
    assertOutcome(end, 'deployed');
    assert.match(end.log, /the cluster is not as they say/);
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
  });

  scene('Helm 4: what somebody has set by hand stops the deploy, but not the way back', async (s) => {
    const map = '/api/v1/namespaces/$ns/configmaps/web';
    const { helm4 } = s.cluster;
    assertOutcome(await s.deploy({ helm: helm4, set: bare }), 'deployed');
    const live = (await s.live(map)) ?? assert.fail();
    await s.put(map, { ...live, data: { text: 'by hand' } });
    const end = await s.deploy({ helm: helm4, set: [...bare, 'text=two'] });
    assertOutcome(end, 'rolledBack', 'ApplyRejected');
    assert.match(end.job.issues[0]?.message ?? '', /conflict/);
    assert.equal(await s.field(map, 'data.text'), 'one');
  });
});
