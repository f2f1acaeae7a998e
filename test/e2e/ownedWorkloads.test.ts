import assert from 'node:assert/strict';
import { images } from '../../scripts/cluster/images';
import { shell } from '../support/brokenWorkloads';
import type { DeployEnd } from '../support/product';
import { openRegistry } from '../support/registry';
import { assertOutcome, bare, defineToys, scenes, type Scene } from './scenes';

/** The chart brings only a custom resource. The test plays its operator, which never writes a status. */
describe('a custom resource whose operator makes a Deployment for it', () => {
  const { scene } = scenes();

  scene('the image does not exist: ImageNotFound, long before the timeout @real-node', async (s) => {
    const registry = await openRegistry(s.cluster, s.namespace);
    try {
      const end = await deployed(s, `${registry.host}/gone/app:1`);
      assertOutcome(end, 'failed', 'ImageNotFound');
      assert.equal(end.outputs['failedWorkload'], 'Toy/web', end.log);
      assert.match(end.log, /Deployment\/toy-web, which it owns/);
      assert.doesNotMatch(end.log, /The timeout has passed/);
    } finally {
      await registry.close();
    }
  });

  scene('its pods run: the deploy waits for them and succeeds @real-node', async (s) => {
    const end = await deployed(s, images.busybox);
    assertOutcome(end, 'deployed');
    const toy = end.report?.objects.find(({ kind }) => kind === 'Toy');
    assert.equal(toy?.reason, 'OwnedReady', end.log);
  });

  scene('nothing is made for it: the deploy succeeds and says that the object is not judged', async (s) => {
    const group = await defineToys(s);
    const end = await s.deploy({ set: [...bare, `custom=${group}/v1`] });
    assertOutcome(end, 'deployed');
    assert.match(end.log, /Toy\/web {2}In place, not judged/);
    assert.doesNotMatch(end.log, /Toy\/web.*\bready\b|All \d+ objects/);
    assert.equal(end.report?.objects.find(({ kind }) => kind === 'Toy')?.reason, 'NotJudged');
  });
});

/** Deploys the custom resource and makes a Deployment for it as soon as it is there. */
async function deployed(s: Scene, image: string): Promise<DeployEnd> {
  const group = await defineToys(s);
  const toys = `/apis/${group}/v1/namespaces/$ns/toys/web`;
  const running = s.start({ set: [...bare, `custom=${group}/v1`], inputs: { timeout: '120s', onFailure: 'keep' } });
  await s.until('the custom resource is there', async () => (await s.live(toys)) !== undefined);
  const uid = await s.field(toys, 'metadata.uid');
  const labels = { app: 'toy-web' };
  await s.create('/apis/apps/v1/namespaces/$ns/deployments', {
    metadata: {
      name: 'toy-web',
      ownerReferences: [{ apiVersion: `${group}/v1`, kind: 'Toy', name: 'web', uid, controller: true }],
    },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 0, containers: [shell('exec sleep 3600', { image })] },
      },
    },
  });
  return running.end;
}
