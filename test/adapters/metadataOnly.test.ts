import assert from 'node:assert/strict';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { manifestObjects, objectKey } from '../../tasks/common/core/kubernetes/manifest';
import { rolloutQueries } from '../../tasks/common/flows/rollout/rollout';
import { eventually, reply, startStubApiServer, type Collection, type StubApiServer } from '../support/stubApiServer';

const password = 'cGFzc3dvcmQ=';
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const secret = {
  metadata: { name: 'db', labels: { app: 'web' }, annotations: { [lastApplied]: password, kept: 'yes' } },
  data: { password },
};

describe('reading only metadata', () => {
  let stub: StubApiServer;
  let served: Collection;
  let cluster: ClusterConnection;
  const stop = new AbortController();

  before(async () => {
    stub = await startStubApiServer();
    served = stub.collection('secrets', 'Secret');
    served.put(secret);
    stub.handlers.push(({ path, headers }, response) => {
      if (path !== `${served.path}/db`) return false;
      // A real API server answers like this to a request for metadata. A server that cannot do it answers with the
      // whole object.
      const isPartial = headers.accept?.includes('as=PartialObjectMetadata;') === true;
      const form = isPartial ? { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata' } : { data: secret.data };
      return reply(response, 200, { metadata: served.objects.get('db')?.metadata, ...form });
    });
    cluster = await createCluster(await stub.kubeconfig(), { environment: {} });
  });

  after(async () => {
    stop.abort();
    cluster.close();
    await stub.close();
  });

  const ref = { apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'db' };

  it('a Secret is requested as metadata and keeps its own kind', async () => {
    const found = await cluster.get(ref, { metadataOnly: true });
    assert.equal(
      stub.requests.at(-1)?.headers.accept,
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
    );
    assert.deepEqual([found?.apiVersion, found?.kind, found?.metadata.name], ['v1', 'Secret', 'db']);
    assert.equal(JSON.stringify(found).includes(password), false);
    assert.equal(found?.metadata.annotations?.['kept'], 'yes');
  });

  it('a whole Secret is read only where it is requested whole', async () => {
    assert.match(JSON.stringify(await cluster.get(ref)), new RegExp(password));
    assert.equal(stub.requests.at(-1)?.headers.accept, 'application/json');
  });

  it('a rollout lists and watches Secrets without their data, even if the server sends all', async () => {
    const manifest = 'apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\n';
    const objects = manifestObjects(manifest).map((declared) => {
      return { key: objectKey(ref), ref, declared, purpose: 'object' as const };
    });
    const queries = rolloutQueries(objects).filter(({ kind }) => kind === 'Secret');
    const follower = await cluster.follow(queries, stop.signal);
    assert.deepEqual([...follower.snapshot().objects.keys()], [objectKey(ref)]);
    await eventually('the watch is open', () => served.watches() === 1);
    const changed = { ...secret, metadata: { ...secret.metadata, labels: { app: 'changed' } } };
    served.put(changed);
    const live = () => follower.snapshot().objects.get(objectKey(ref));
    await eventually('the change is seen', () => live()?.metadata.labels?.['app'] === 'changed');
    assert.equal(JSON.stringify([...follower.snapshot().objects.values()]).includes(password), false);
    const [list, watch] = stub.requests.filter(({ path }) => path === served.path);
    assert.match(list?.headers.accept ?? '', /^application\/json;as=PartialObjectMetadataList;/);
    assert.match(watch?.headers.accept ?? '', /^application\/json;as=PartialObjectMetadata;/);
    follower.stop();
  });

  it('a reader of whole objects and a reader of metadata do not share a watch', async () => {
    const query = { apiVersion: 'v1', kind: 'Secret', namespace: 'shop', keep: () => true };
    const before = stub.requests.length;
    const follower = await cluster.follow([query, { ...query, metadataOnly: true }], stop.signal);
    const lists = stub.requests.slice(before).filter(({ query: asked }) => !asked.has('watch'));
    assert.equal(lists.length, 2);
    follower.stop();
  });
});
