import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { openHelmMirror, type HelmMirror } from '../support/helmMirror';
import { runRollback } from '../support/product';
import { assertOutcome, bare, fake, helms, patient, scenes, type Scene } from './scenes';

interface Closed {
  mirror: HelmMirror;
  inputs: Record<string, string>;
  agent: { environment: Record<string, string>; root: string };
}

/** An agent without a Helm, and the only site that it can reach. There the newest Helm 4 is 4.1.4. */
async function closedNetwork(s: Scene, act: (closed: Closed) => Promise<void>): Promise<void> {
  const mirror = await openHelmMirror();
  try {
    mirror.publish('4.1.4', fs.readFileSync(helms(s.cluster)['4']));
    mirror.files.set('helm4-latest-version', 'v4.1.4\n');
    await act({
      mirror,
      inputs: { helmPath: '', helmVersion: 'latest', helmDownloadUrl: mirror.address },
      agent: { environment: { SSL_CERT_FILE: mirror.authority }, root: path.dirname(s.file('agent', '')) },
    });
  } finally {
    mirror.close();
  }
}

describe('helmVersion', () => {
  const { scene } = scenes();

  scene('a Helm from a mirror deploys, and repairs and plans are made by the same file of the tool cache', (s) =>
    closedNetwork(s, async ({ mirror, inputs, agent }) => {
      const first = await s.deploy({ set: bare, inputs }, agent);
      assertOutcome(first, 'deployed');
      assert.match(
        first.log,
        /Helm 4\.1\.4 \(helmVersion: latest\) comes from https:\/\/127\.0\.0\.1:\d+\/helm-v4\.1\.4-/,
      );
      assert.equal(mirror.asked.length, 3);

      const set = [...fake, 'nodeSelector.none=z', 'text=two'];
      const running = s.start({ set, inputs: { ...inputs, ...patient } }, agent);
      await s.until('the upgrade has begun', async () => (await s.history()).includes('2 deployed'));
      running.job.kill('SIGKILL');
      const killed = await running.end;
      assert.match(killed.log, /was checked earlier and is in the tool cache/);
      assert.equal(killed.job.step('deploy', 'post-job').result, 'Succeeded');
      assert.equal(await s.field('/api/v1/namespaces/$ns/configmaps/web', 'data.text'), 'one');
      // The main phase asks which Helm is the newest. The post-job phase takes the same file without a question.
      assert.deepEqual(mirror.asked.slice(3), ['GET /helm4-latest-version']);

      const rollback = { action: 'plan', toRevision: '1', ...inputs, helmVersion: '4.1.x' };
      const plan = await runRollback({ cluster: s.cluster, namespace: s.namespace, inputs: rollback }, agent);
      assert.match(plan.log, /Helm 4\.1\.4 \(helmVersion: 4\.1\.x\) was checked earlier/);
      assert.equal(mirror.asked.length, 4);
    }),
  );

  scene('a version that the mirror does not have stops the step before anything is touched', (s) =>
    closedNetwork(s, async ({ inputs, agent }) => {
      const end = await s.deploy({ set: bare, inputs: { ...inputs, helmVersion: '4.99.7' } }, agent);
      assertOutcome(end, 'failed', 'HelmDownloadFailed');
      assert.match(end.job.issues[0]?.message ?? '', /helmVersion holds "4\.99\.7": .*helm-v4\.99\.7-.* 404/);
      assert.equal(await s.history(), '');
    }),
  );
});
