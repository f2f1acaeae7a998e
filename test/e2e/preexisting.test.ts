import assert from 'node:assert/strict';
import { serviceAccount, serviceAccountConnection } from './identities';
import { assertOutcome, bare, helms, loseMachine, scenes, type Live, type Scene } from './scenes';

/** The chart declares a ConfigMap of this name with `text`. The other keys belong to somebody else. */
const theirs = '/api/v1/namespaces/$ns/configmaps/web';
const only = '/api/v1/namespaces/$ns/configmaps/only-new';
const kept = '/api/v1/namespaces/$ns/secrets/helm-safe-deploy.preexisting.web';
const takeOwnership = { arguments: '--take-ownership' };
/** Helm 4 uses server-side apply, where the fields of an object made by hand are conflicts. */
const takingOver = { '3': takeOwnership, '4': { arguments: '--take-ownership --force-conflicts' } };
/** The API server refuses this object after all other objects exist. */
const failing = [...bare, 'configMaps={only-new}', 'invalid=true'];

function content(live: Live | undefined) {
  assert.ok(live, 'it is gone');
  const { labels, annotations, uid } = live.metadata as Live['metadata'] & { uid: string };
  return { data: live['data'], labels, annotations, uid };
}

async function makeByHand(s: Scene, more: { labels?: object; annotations?: object } = {}) {
  const metadata = {
    name: 'web',
    annotations: { note: 'x', ...more.annotations },
    labels: { team: 'a', ...more.labels },
  };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { text: 'by hand', mine: '1' } };
  await s.create('/api/v1/namespaces/$ns/configmaps', object);
  return content(await s.live(theirs));
}

describe('pre-existing objects', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: one adopted by a first install that fails stays and is restored`, async (s) => {
      const before = await makeByHand(s);
      const end = await s.deploy({ helm: helms(s.cluster)[major], set: failing, inputs: takingOver[major] });
      assertOutcome(end, 'failed');
      assert.deepEqual(content(await s.live(theirs)), before, end.log);
      assert.equal(await s.live(only), undefined);
      assert.equal(await s.history(), '');
      assert.equal(await s.live(kept), undefined);
      assert.match(end.log, /ConfigMap\/web in namespace \S+: it belongs to no Helm release/);
    });

    scene(`Helm ${major}: one labelled by hand, adopted by an upgrade and rolled back is restored`, async (s) => {
      const helm = helms(s.cluster)[major];
      const other = { helm, release: 'shop' };
      assertOutcome(await s.deploy({ ...other, set: bare }), 'deployed');
      const marks = { 'meta.helm.sh/release-name': 'shop', 'meta.helm.sh/release-namespace': s.namespace };
      const before = await makeByHand(s, { annotations: marks, labels: { 'app.kubernetes.io/managed-by': 'Helm' } });
      const end = await s.deploy({ ...other, set: [...bare, 'configMaps={web,only-new}', 'invalid=true'] });
      assertOutcome(end, 'rolledBack');
      assert.deepEqual(content(await s.live(theirs)), before, end.log);
      assert.equal(await s.live(only), undefined);
      assert.equal(await s.live(kept.replace('web', 'shop')), undefined);
    });
  }

  scene('Helm 4: a field conflict in an object to adopt is refused, and nothing is changed', async (s) => {
    const before = await makeByHand(s);
    const end = await s.deploy({ helm: s.cluster.helm4, set: bare, inputs: takeOwnership });
    assertOutcome(end, 'refused', 'FieldConflict');
    assert.deepEqual(content(await s.live(theirs)), before, end.log);
    assert.equal(await s.history(), '');
    assert.equal(await s.live(kept), undefined);
  });

  scene('Helm 3: killed while it adopts an object: the post-job phase restores the object', async (s) => {
    const before = await makeByHand(s);
    const set = [...bare, 'text=two', 'hooks.post-install=sleep 600'];
    const running = s.start({ helm: s.cluster.helm3, set, inputs: takeOwnership });
    await s.until('Helm has taken it over', async () => (await s.field(theirs, 'data.text')) === 'two');
    assert.ok(await s.live(kept));
    running.job.kill('SIGKILL');
    const end = await running.end;
    assert.deepEqual(content(await s.live(theirs)), before, end.log);
    assert.equal(await s.live(kept), undefined);
    assert.equal(await s.history(), '');
  });

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: the machine dies while Helm adopts one: the next run restores it`, async (s) => {
      const other = { helm: helms(s.cluster)[major], release: 'shop' };
      const before = await makeByHand(s);
      const set = [...bare, 'configMaps={web,only-new}', 'hooks.post-install=sleep 600'];
      const running = s.start({ ...other, set, inputs: takingOver[major] });
      await s.until('Helm has taken it over', async () => {
        const { annotations = {} } = (await s.live(theirs))?.metadata ?? {};
        return annotations['meta.helm.sh/release-name'] === 'shop' && (await s.live(only)) !== undefined;
      });
      loseMachine(running);
      await running.end.catch(() => undefined);
      assert.notDeepEqual(content(await s.live(theirs)), before);

      const next = await s.deploy({ ...other, set: bare, inputs: { lockTimeout: '2m' } });
      assertOutcome(next, 'recovered');
      assert.deepEqual(content(await s.live(theirs)), before, next.log);
      assert.match(next.log, /ConfigMap\/web in namespace \S+ was restored to its state before the deploy/);
      assert.equal(await s.live(only), undefined);
      assert.equal(await s.live(kept.replace('web', 'shop')), undefined);
    });

    scene(
      `Helm ${major}: without the right to read Secrets the deploy goes on and logs what cannot be restored`,
      async (s) => {
        const before = await makeByHand(s);
        const rules = [
          { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'create', 'update', 'patch', 'delete'] },
          { apiGroups: ['networking.k8s.io'], resources: ['ingresses'], verbs: ['get', 'create', 'patch', 'delete'] },
        ];
        const connection = serviceAccountConnection(s, await serviceAccount(s, rules));
        const spec = { helm: helms(s.cluster)[major], connection, variables: { HELM_DRIVER: 'configmap' } };
        const failed = await s.deploy({ ...spec, set: failing, inputs: takingOver[major] });
        assertOutcome(failed, 'failed', 'ApplyRejected');
        assert.match(failed.log, /Not kept in the cluster: ConfigMap\/web in namespace \S+ \(.*secrets.*\)/);
        assert.deepEqual(content(await s.live(theirs)), before, failed.log);
        assertOutcome(await s.deploy({ ...spec, set: bare, inputs: takingOver[major] }), 'deployed');
      },
    );
  }
});
