import assert from 'node:assert/strict';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import type { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { reply, startStubApiServer, status, type StubApiServer } from '../support/stubApiServer';

const timing = { connectMs: 2000, responseMs: 400, totalMs: 4000, retryUnknownMs: 600, retryKnownMs: 3000 };
const web: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { replicas: 2 },
};

describe('the dry run of a server-side apply', () => {
  let stub: StubApiServer;
  let cluster: ClusterConnection;

  beforeEach(async () => {
    stub = await startStubApiServer();
    cluster = await createCluster(await stub.kubeconfig(), { environment: { PATH: process.env['PATH'] }, timing });
  });
  afterEach(async () => {
    cluster.close();
    await stub.close();
  });

  const ask = (object: KubeObject = web): Promise<KubeObject> =>
    cluster.dryRunApply(object, { fieldManager: 'looker' });

  it('sends a forced apply of the object as given that changes nothing', async () => {
    stub.handlers.push((_, response) => reply(response, 200, { ...web, spec: { replicas: 2, paused: false } }));
    assert.deepEqual((await ask())['spec'], { replicas: 2, paused: false });
    const [request] = stub.requests;
    assert.equal(request?.method, 'PATCH');
    assert.equal(request.path, '/apis/apps/v1/namespaces/shop/deployments/web');
    assert.deepEqual(Object.fromEntries(request.query), { dryRun: 'All', force: 'true', fieldManager: 'looker' });
    assert.equal(request.headers['content-type'], 'application/apply-patch+yaml');
    assert.deepEqual(request.body, web);
  });

  it('a 500 for an object that cannot be applied is an answer and is not repeated', async () => {
    const said = 'failed to create typed patch object: .spec.x: field not declared in schema';
    stub.handlers.push((_, response) => reply(response, 500, status(500, 'InternalError', said)));
    await assert.rejects(ask(), (error: TaskError) => {
      assert.equal(error.reason, 'ApplyRejected');
      assert.match(
        error.message,
        /^Could not change Deployment\/web \(by a dry run\) in namespace shop: .*not declared/,
      );
      return true;
    });
    assert.equal(stub.requests.length, 1);
  });

  it('a cut connection is no answer, so the request is repeated', async () => {
    let count = 0;
    stub.handlers.push((_, response) => {
      if (++count > 1) return reply(response, 200, web);
      response.destroy();
      return true;
    });
    assert.deepEqual((await ask()).metadata, web.metadata);
  });

  it('a missing right is named', async () => {
    const said =
      'deployments.apps "web" is forbidden: User "u" cannot patch resource "deployments" in API group "apps"';
    stub.handlers.push((_, response) => reply(response, 403, status(403, 'Forbidden', said)));
    await assert.rejects(ask(), (error: TaskError) => {
      assert.equal(error.reason, 'PermissionDenied');
      assert.match(error.message, /Grant the verb "patch" on resource "deployments"/);
      return true;
    });
  });

  it('a name from a chart never becomes another path', async () => {
    for (const name of ['', '.', '..']) {
      const object = { ...web, metadata: { ...web.metadata, name } };
      await assert.rejects(ask(object), (error: TaskError) => error.reason === 'ChartInvalid');
    }
    const { namespace: _, ...placeless } = web.metadata;
    await assert.rejects(ask({ ...web, metadata: placeless }), (error: TaskError) => error.reason === 'Internal');
    assert.equal(stub.requests.length, 0);
  });

  it('an answer that is not an object is an error', async () => {
    stub.handlers.push((_, response) => reply(response, 200, { kind: 'Nothing' }));
    await assert.rejects(ask(), (error: TaskError) => error.reason === 'ClusterUnreachable');
  });
});
