import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { app, assertOutcome, bare, fake, helms, scenes, type Scene, loseMachine, patient } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z'];
const lease = '/apis/coordination.k8s.io/v1/namespaces/$ns/leases/helm-safe-deploy.web';
const deployment = '/apis/apps/v1/namespaces/$ns/deployments/web';

describe('a killed deploy', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: SIGKILL while Helm runs: the guard ends Helm, and post-job rolls back`, async (s) => {
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

  scene('a first install whose machine dies is removed and installed anew', async (s) => {
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

  scene('recreateFailedInstall: false continues from what the dead first install left', async (s) => {
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

describe('a release that another program left pending', () => {
  const { scene } = scenes();

  scene('is refused while it is younger than assumeAbandonedAfter, and taken over afterwards', async (s) => {
    await s.helm(s.cluster.helm3, 'install', 'web', app, '--set', 'web=false');
    await killedUpgrade(s, ['web=false', 'hooks.pre-upgrade=sleep 600', 'text=two']);
    assert.equal(await s.history(), '1 deployed, 2 pending-upgrade');
    const jobs = '/apis/batch/v1/namespaces/$ns/jobs';
    const [job] = await s.list(jobs);

    const young = await s.deploy({ set: [...bare, 'text=three'] });
    assertOutcome(young, 'refused', 'ReleasePending');
    const running = await s.deploy({ set: [...bare, 'text=three'], inputs: { assumeAbandonedAfter: '1s' } });
    assertOutcome(running, 'refused', 'ReleasePending');
    assert.match(running.log, new RegExp(`Job/${job?.metadata.name ?? ''} of its hooks is still running`));
    assert.equal(await s.history(), '1 deployed, 2 pending-upgrade');

    const name = job?.metadata.name ?? '';
    const now = (await s.live(`${jobs}/${name}`)) ?? assert.fail();
    await s.put(`${jobs}/${name}`, { ...now, spec: { ...(now['spec'] as object), suspend: true } });
    await s.until(
      'the Job runs no more',
      async () => (await s.field(`${jobs}/${name}`, 'status.active')) === undefined,
    );
    const end = await s.deploy({ set: [...bare, 'text=three'], inputs: { assumeAbandonedAfter: '1s' } });
    assertOutcome(end, 'recovered');
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'three');
  });
});

/** Kills plain Helm while it waits for a hook that never ends. */
async function killedUpgrade(s: Scene, set: readonly string[]): Promise<void> {
  const flags = ['--namespace', s.namespace, '--kubeconfig', s.cluster.kubeconfig];
  const values = set.flatMap((line) => ['--set', line]);
  const helm = spawn(s.cluster.helm3, ['upgrade', 'web', app, ...values, ...flags], { stdio: 'ignore' });
  const ended = once(helm, 'exit');
  await s.until('the hook runs', async () =>
    (await s.list('/apis/batch/v1/namespaces/$ns/jobs')).some(
      (job) => (job['status'] as { active?: number }).active === 1,
    ),
  );
  helm.kill('SIGKILL');
  await ended;
}

describe('two runs of one release', () => {
  const { scene } = scenes();

  scene('the second run waits, names the run that it waits for, and then deploys', async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const first = s.start({ set: [...stuck, 'text=two'], inputs: { timeout: '15s', rollbackTimeout: '2m' } });
    await first.job.waitForLine(/Follow revision 2/);
    const second = s.start({ set: [...fake, 'text=three'] });
    const line = await second.job.waitForLine(/Another run holds/);
    assert.match(line.text, /web/);
    assertOutcome(await first.end, 'rolledBack');
    assertOutcome(await second.end, 'deployed');
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 superseded, 4 deployed');
  });

  scene("when lockTimeout is over, the second run is refused with a link to the holder's run", async (s) => {
    assertOutcome(await s.deploy({ set: fake }), 'deployed');
    const first = s.start({ set: [...stuck, 'text=two'], inputs: { timeout: '2m', ...patient } });
    await first.job.waitForLine(/Follow revision 2/);
    const second = await s.deploy({ set: [...fake, 'text=three'], inputs: { lockTimeout: '30s' } });
    assertOutcome(second, 'refused', 'ReleaseLocked');
    assert.match(second.job.issues[0]?.message ?? '', /_build\/results\?buildId=/);
    first.job.cancel();
    await first.end;
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
  });
});

describe('a deploy without a change', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: it makes no revision and runs no hook, unless an input forces it`, async (s) => {
      const spec = { helm: helms(s.cluster)[major], set: [...bare, 'hooks.pre-upgrade=echo'] };
      assertOutcome(await s.deploy(spec), 'deployed');
      const again = await s.deploy(spec);
      assertOutcome(again, 'unchanged');
      assert.equal(again.outputs['revision'], '1');
      assert.match(again.log, /there is nothing to do. No revision is created and no hook runs/);
      assert.equal(await s.history(), '1 deployed');
      assertOutcome(await s.deploy({ ...spec, inputs: { forceUpgrade: 'true' } }), 'deployed');
      assert.equal(await s.history(), '1 superseded, 2 deployed');
    });
  }

  scene('an object that somebody changed by hand is deployed again', async (s) => {
    const { helm3: helm } = s.cluster;
    assertOutcome(await s.deploy({ helm, set: bare }), 'deployed');
    const map = (await s.live('/api/v1/namespaces/$ns/configmaps/web')) ?? assert.fail();
    await s.put('/api/v1/namespaces/$ns/configmaps/web', { ...map, data: { text: 'by hand' } });
    // Helm 4 does not overwrite fields that others own, unless it runs with --force-conflicts.
    const end = await s.deploy({ helm, set: bare });
    assertOutcome(end, 'deployed');
    assert.match(end.log, /the cluster is not as they say/);
    assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
  });

  scene('Helm 4: a field that somebody set by hand stops the deploy early, unless it is forced', async (s) => {
    const map = '/api/v1/namespaces/$ns/configmaps/web';
    const { helm4 } = s.cluster;
    assertOutcome(await s.deploy({ helm: helm4, set: bare }), 'deployed');
    const live = (await s.live(map)) ?? assert.fail();
    await s.put(map, { ...live, data: { text: 'by hand' } });
    const end = await s.deploy({ helm: helm4, set: [...bare, 'text=two'] });
    assertOutcome(end, 'refused', 'FieldConflict');
    assert.match(
      end.job.issues[0]?.message ?? '',
      /ConfigMap\/web: .*: data\.text \(set by \S+\)\. .*nothing was changed/,
    );
    assert.equal(await s.field(map, 'data.text'), 'by hand');
    assert.equal(await s.history(), '1 deployed');
    const inputs = { arguments: '--force-conflicts' };
    assertOutcome(await s.deploy({ helm: helm4, set: [...bare, 'text=two'], inputs }), 'deployed');
    assert.equal(await s.field(map, 'data.text'), 'two');
  });
});
