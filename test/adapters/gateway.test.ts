import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { once } from 'node:events';
import { listenOnLoopback } from '../../tasks/common/adapters/gateway/loopbackServer';
import { jsonReply } from '../../tasks/common/adapters/gateway/reply';
import { labelSelector } from '../../tasks/common/adapters/gateway/labelSelector';
import { openFence, type Fence } from '../../tasks/common/adapters/gateway/openFence';
import { openGateway, type Gateway } from '../../tasks/common/adapters/gateway/openGateway';
import { rehearsalStage, type Stage } from '../../tasks/common/adapters/gateway/rehearsalStage';
import { rehearseRollback, type RehearsalOptions } from '../../tasks/common/adapters/helm/rehearseRollback';
import { privateFolder, type PrivateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { onlyDeletionsOf, type FencePolicy } from '../../tasks/common/core/helm/fence';
import type { TaskError } from '../../tasks/common/core/failure';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { lastWrites, passingDeletions, type Rehearsal } from '../../tasks/common/core/helm/rehearsal';
import { rehearsedDeletions } from '../support/rehearsedDeletions';
import { gatewayClient, type GatewayClient } from '../support/gatewayClient';
import {
  eventually,
  reply,
  startStubApiServer,
  status,
  type StubApiServer,
  type StubRequest,
} from '../support/stubApiServer';

const shop = '/api/v1/namespaces/shop';
const record = 'sh.helm.release.v1.web.v2';
const labels = { owner: 'helm', name: 'web' };

/** A Helm record as protobuf. The stub's API server reads the name from it. */
function protobufSecret(name: string, text: string): Buffer {
  return Buffer.from(`k8s\0\n\u0006v1 Secret ${name} ${text}\u0012\ufffd`);
}

function configMap(name: string, data: Record<string, string> = {}, metadata: object = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'shop', ...metadata }, data };
}

interface StubCluster {
  objects: Map<string, KubeObject>;
  /** The requests that would have changed something. */
  changes: StubRequest[];
}

/** An API server as far as the gateway needs it. It answers dry runs like a real one and changes nothing. */
function playCluster(api: StubApiServer): StubCluster {
  const objects = new Map<string, KubeObject>();
  const changes: StubRequest[] = [];
  api.handlers.push((request, response) => {
    const { method, path: where, query, body } = request;
    const [, collection = '', name = ''] =
      /^(\/api\/v1\/namespaces\/[^/]+\/(?:secrets|configmaps))(?:\/([^/]+))?$/.exec(where) ?? [];
    if (collection === '') return false;
    const kind = collection.endsWith('secrets') ? 'Secret' : 'ConfigMap';
    const known = objects.get(where);
    const isDryRun =
      query.get('dryRun') === 'All' &&
      (method !== 'DELETE' || (body as { dryRun?: string[] } | undefined)?.dryRun?.[0] === 'All');
    if (method !== 'GET' && !isDryRun) changes.push(request);
    if (method === 'GET' && name === '') {
      const items = [...objects.entries()]
        .filter(([key]) => key.startsWith(`${collection}/`))
        .map(([, object]) => object);
      return reply(response, 200, { apiVersion: 'v1', kind: `${kind}List`, metadata: {}, items });
    }
    if (method === 'DELETE' && name === '') {
      const items = [...objects.entries()]
        .filter(([key]) => key.startsWith(`${collection}/`))
        .map(([, object]) => object);
      return reply(response, 200, { apiVersion: 'v1', kind: `${kind}List`, metadata: {}, items });
    }
    if (method !== 'POST' && known === undefined) {
      return reply(response, 404, status(404, 'NotFound', `${name} not found`, { name, kind }));
    }
    if (method === 'GET') return reply(response, 200, known);
    if (method === 'DELETE') {
      if (!isDryRun) objects.delete(where);
      const details = { name, kind: collection.split('/').at(-1), uid: known?.metadata.uid };
      return reply(response, 200, { kind: 'Status', apiVersion: 'v1', status: 'Success', details });
    }
    const sent = typeof body === 'string' ? fromProtobuf(body) : (body as KubeObject);
    if (method === 'POST' && objects.has(`${collection}/${sent.metadata.name}`)) {
      return reply(response, 409, status(409, 'AlreadyExists', `${sent.metadata.name} already exists`));
    }
    const merged = { ...known, ...sent, kind, apiVersion: 'v1' } as KubeObject;
    const uid = known?.metadata.uid ?? 'made-up';
    const object = {
      ...merged,
      metadata: { ...known?.metadata, ...sent.metadata, namespace: 'shop', uid, managedFields: [{}] },
    };
    if (!isDryRun) objects.set(`${collection}/${object.metadata.name}`, object);
    return reply(response, method === 'POST' ? 201 : 200, object, { Warning: '299 - "v1 is old"' });
  });
  return { objects, changes };
}

function fromProtobuf(body: string): KubeObject {
  const [, name = '', text = ''] = /Secret (\S+) ([\w=]+)/.exec(body) ?? [];
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels }, data: { release: text } };
}

function isSecretFree(text: string, client: GatewayClient): void {
  assert.ok(!text.includes(client.token), 'the one-time token is shown');
  assert.ok(!text.includes('first-token'), 'the real token is shown');
}

describe('a label selector', () => {
  const rows: [selector: string, labels: Record<string, string>, matches: boolean][] = [
    ['', {}, true],
    ['a=1,b==2', { a: '1', b: '2' }, true],
    ['a=1,b==2', { a: '1' }, false],
    ['a=', {}, false],
    ['a!=1', {}, true],
    ['a!=1', { a: '1' }, false],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['acme.io/a in (1, 2),b', { 'acme.io/a': '2', b: '' }, true],
    ['a in (1,2)', { a: '3' }, false],
    ['a notin (1,2)', {}, true],
    ['a notin (1,2)', { a: '1' }, false],
    ['constructor', {}, false],
  ];
  for (const [selector, labelled, matches] of rows) {
    it(`"${selector}" ${matches ? 'has' : 'has not'} ${JSON.stringify(labelled)}`, () => {
      assert.equal(labelSelector(selector)?.(labelled), matches);
    });
  }

  it('an invalid selector is refused', () => {
    for (const selector of ['a>1', 'a in 1', '=', 'a b']) assert.equal(labelSelector(selector), undefined, selector);
  });
});

describe('the gateway', () => {
  let api: StubApiServer;
  let cluster: StubCluster;
  let temporary: string;
  let folder: PrivateFolder;
  const closers: (() => unknown)[] = [];
  const privateFolders = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('helm-safe-deploy-'));

  beforeEach(async () => {
    api = await startStubApiServer();
    cluster = playCluster(api);
    temporary = mkdtempSync(path.join(tmpdir(), 'gateway-'));
    folder = privateFolder(temporary, () => undefined);
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await api.close();
    rmSync(temporary, { recursive: true, force: true });
  });

  const options = async (user?: object) => ({
    kubeconfig: await api.kubeconfig(user),
    namespace: 'shop',
    folder,
    environment: {},
    onSecret: () => undefined,
  });

  function clientOf(gateway: Gateway): GatewayClient {
    const client = gatewayClient(gateway.kubeconfig);
    closers.push(() => gateway.close());
    closers.push(() => {
      client.close();
    });
    return client;
  }

  async function rehearsing(user?: object): Promise<{ client: GatewayClient; stage: Stage; gateway: Gateway }> {
    const stages: Stage[] = [];
    const gateway = await openGateway(await options(user), (upstream) => {
      const stage = rehearsalStage(upstream, { release: 'web', namespace: 'shop' });
      stages.push(stage);
      return (request) => stage.handle(request);
    });
    const [stage] = stages;
    assert.ok(stage);
    return { client: clientOf(gateway), stage, gateway };
  }

  async function fenced(policy: FencePolicy, lost?: AbortSignal): Promise<{ client: GatewayClient; fence: Fence }> {
    const fence = await openFence({ ...(await options()), release: 'web', policy, ...(lost && { lost }) });
    return { client: clientOf(fence), fence };
  }

  function rehearsalOf(stage: Stage): Rehearsal {
    return { outcome: 'completed', message: '', exitCode: 0, durationMs: 1, ...stage.recording() };
  }

  describe('access to the gateway', () => {
    it('a client without the token, or with an old one, gets no data and changes nothing', async () => {
      const { client } = await rehearsing();
      for (const token of ['', 'a'.repeat(64), client.token.slice(1)]) {
        const answer = await client.ask(`${shop}/configmaps/a`, { token });
        assert.equal(answer.status, 401);
        isSecretFree(answer.text, client);
      }
      assert.deepEqual(api.requests, []);
    });

    it('connections without the token are few and cut soon, and a connection with the token stays', async () => {
      const server = await listenOnLoopback(() => Promise.resolve(jsonReply(200, {})), 300);
      const file = path.join(temporary, 'loopback');
      writeFileSync(file, server.kubeconfig('shop'));
      const client = gatewayClient(file);
      const port = Number(client.server.port);
      const first = await client.open('/version');
      const proven = first.socket;
      first.resume();
      const silent = Array.from({ length: 200 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined));
      const left = (): number => silent.filter(({ closed }) => !closed).length;
      await eventually('most have made room', () => left() <= 64);
      assert.equal((await client.ask('/version')).status, 200);
      await eventually('all are cut', () => left() === 0);
      assert.equal((await client.ask('/version', { token: '' })).headers.connection, 'close');
      assert.equal(proven.destroyed, false);
      client.close();
      net.connect(port, '127.0.0.1').on('error', () => undefined);
      await server.close();
    });

    it('other machines cannot reach it', async function () {
      const { client } = await rehearsing();
      const others = Object.values(networkInterfaces()).flat();
      const address = others.find((each) => each?.family === 'IPv4' && !each.internal)?.address;
      if (address === undefined) this.skip();
      const socket = net.connect(Number(client.server.port), address);
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNREFUSED');
    });

    const strangePaths = [
      ['GET', '/'],
      ['GET', '/metrics'],
      ['GET', '/logs/x'],
      ['POST', '/api/v1'],
      ['PUT', '/healthz'],
      ['GET', `${shop}/pods/a/exec?command=sh`],
      ['POST', `${shop}/pods/a/attach`],
      ['GET', `${shop}/pods/a/portforward`],
      ['POST', `${shop}/services/a/proxy/shutdown`],
      ['GET', '/api/v1/nodes/a/proxy/run'],
      ['PUT', '/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/a/restart'],
      ['DELETE', `${shop}/configmaps/a%2fb`],
      ['DELETE', `${shop}/configmaps/..`],
      ['DELETE', `${shop}/configmaps//a`],
      ['DELETE', `${shop}/configmaps/%zz`],
      ['PATCH', `${shop}/configmaps`],
      ['OPTIONS', `${shop}/configmaps`],
      ['HEAD', `${shop}/configmaps/a`],
    ] as const;
    for (const [method, where] of strangePaths) {
      it(`${method} ${where} is not passed on`, async () => {
        const { client } = await rehearsing();
        const answer = await client.ask(where, { method });
        assert.equal(answer.status, 403);
        assert.deepEqual(api.requests, []);
      });
    }

    it('a request to upgrade the connection is refused', async () => {
      const { client } = await rehearsing();
      const answer = await client.ask(`${shop}/pods/a/log`, {
        headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
      });
      assert.equal(answer.status, 403);
      assert.deepEqual(api.requests, []);
    });

    it('an endless body is refused before it fills the memory', async () => {
      const { client } = await rehearsing();
      const answer = await client.ask(`${shop}/configmaps`, {
        method: 'POST',
        body: Buffer.alloc(9 * 1024 * 1024, 32),
      });
      assert.equal(answer.status, 413);
      assert.deepEqual(api.requests, []);
    });

    it('when the gateway is closed, its kubeconfig, its discovery cache and the port are gone', async () => {
      const { client, gateway } = await rehearsing();
      assert.deepEqual(
        privateFolders().map((name) => readdirSync(path.join(temporary, name))),
        [['kubeconfig']],
      );
      await gateway.close();
      await gateway.close();
      assert.deepEqual(privateFolders(), []);
      await assert.rejects(client.ask('/version'), { code: 'ECONNREFUSED' });
    });
  });

  describe('requests from the gateway to the API server', () => {
    it('have the real credentials, whatever user the client claims', async () => {
      const { client } = await rehearsing();
      await client.ask(`${shop}/configmaps/a`, {
        headers: { 'impersonate-user': 'root', cookie: 'a=b', 'x-remote-user': 'root' },
      });
      const [seen] = api.requests;
      assert.equal(seen?.headers.authorization, 'Bearer first-token');
      assert.equal(seen.headers['user-agent'], 'Helm/3.17.3');
      for (const name of ['impersonate-user', 'cookie', 'x-remote-user']) assert.equal(seen.headers[name], undefined);
    });

    it('use a token that was renewed meanwhile, for a write too', async () => {
      const tokenFile = path.join(temporary, 'token');
      writeFileSync(tokenFile, 'old');
      const { client, stage } = await rehearsing({ tokenFile });
      await client.ask(`${shop}/configmaps/a`);
      writeFileSync(tokenFile, 'new');
      api.handlers.push((request, response) =>
        request.headers.authorization === 'Bearer new'
          ? false
          : reply(response, 401, status(401, 'Unauthorized', 'Unauthorized')),
      );
      const answer = await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('b') });
      assert.equal(answer.status, 201);
      assert.equal(stage.recording().writes.length, 1);
    });

    it('report credentials that stay rejected as rejected', async () => {
      const { client } = await rehearsing();
      api.handlers.push((_request, response) => reply(response, 401, status(401, 'Unauthorized', 'Unauthorized')));
      assert.equal((await client.ask(`${shop}/configmaps/a`)).status, 401);
    });

    it('a watch is open at once, delivers each event at once, and ends when the client goes', async () => {
      const pods = api.collection('pods', 'Pod');
      const { client } = await rehearsing();
      const watch = await client.open(`${shop}/pods?watch=true`);
      assert.equal(watch.statusCode, 200);
      pods.put({ metadata: { name: 'a' } });
      const [chunk] = (await once(watch, 'data')) as [Buffer];
      assert.match(chunk.toString(), /"ADDED".*"name":"a"/);
      watch.destroy();
      await eventually('the watch at the API server ends', () => pods.watches() === 0);
    });

    it('a client that goes before the API server answers leaves no open request', async () => {
      const { client } = await rehearsing();
      let ended = false;
      api.handlers.push((_request, response) => {
        response.once('close', () => {
          ended = true;
        });
        return true;
      });
      const waiting = client.ask(`${shop}/pods`);
      await eventually('the request arrives', () => api.requests.length === 1);
      client.close();
      await assert.rejects(waiting);
      await eventually('the request ends at the API server', () => ended);
    });

    it('a watch that the API server cuts is cut for the client too, and not ended as complete', async () => {
      const { client } = await rehearsing();
      api.collection('pods', 'Pod');
      const watch = await client.open(`${shop}/pods?watch=true`);
      watch.resume();
      const cut = once(watch, 'error') as Promise<[NodeJS.ErrnoException]>;
      await api.stop();
      assert.equal((await cut)[0].code, 'ECONNRESET');
    });

    it('compressed answers stay compressed', async () => {
      const { client } = await rehearsing();
      const body = gzipSync('{"kind":"APIGroupList"}');
      api.handlers.push((request, response) => {
        if (request.path !== '/apis') return false;
        assert.equal(request.headers['accept-encoding'], 'gzip');
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
        response.end(body);
        return true;
      });
      const response = await client.open('/apis', { headers: { 'accept-encoding': 'gzip' } });
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      assert.equal(response.headers['content-encoding'], 'gzip');
      assert.equal(gunzipSync(Buffer.concat(chunks)).toString(), '{"kind":"APIGroupList"}');
    });

    it('an unreachable API server is reported as such, without any token', async () => {
      const { client, gateway } = await rehearsing();
      await api.stop();
      const answer = await client.ask(`${shop}/configmaps/a`);
      assert.equal(answer.status, 503);
      assert.match(String(answer.json['message']), /cannot be reached, the connection was refused/);
      isSecretFree(answer.text, client);
      assert.equal(gateway.failures()[0]?.reason, 'ClusterUnreachable');
    });
  });

  describe('a rehearsal', () => {
    it("Helm's record, sent as protobuf, is read back as written, and the API server never gets it", async () => {
      const first = 'sh.helm.release.v1.web.v1';
      cluster.objects.set(`${shop}/secrets/${first}`, {
        ...fromProtobuf(protobufSecret(first, 'b25l').toString()),
        metadata: { name: first, namespace: 'shop', uid: 'u1', labels },
      });
      const { client, stage } = await rehearsing();
      const protobuf = {
        'content-type': 'application/vnd.kubernetes.protobuf',
        accept: 'application/vnd.kubernetes.protobuf,application/json',
      };

      const made = await client.ask(`${shop}/secrets`, {
        method: 'POST',
        headers: protobuf,
        body: protobufSecret(record, 'cGVuZGluZw=='),
      });
      assert.equal(made.status, 201);
      assert.equal(
        (
          await client.ask(`${shop}/secrets`, {
            method: 'POST',
            headers: protobuf,
            body: protobufSecret(record, 'eA=='),
          })
        ).status,
        409,
      );
      const changed = await client.ask(`${shop}/secrets/${record}`, {
        method: 'PUT',
        headers: protobuf,
        body: protobufSecret(record, 'ZG9uZQ=='),
      });
      assert.equal(changed.status, 200);
      await client.ask(`${shop}/secrets/${first}`, {
        method: 'PUT',
        headers: protobuf,
        body: protobufSecret(first, 'b2xk'),
      });

      const read = await client.ask(`${shop}/secrets/${record}`, { headers: protobuf });
      assert.equal(read.headers['content-type'], 'application/json');
      assert.deepEqual(read.json['data'], { release: 'ZG9uZQ==' });
      const listed = await client.ask(`${shop}/secrets?labelSelector=name%3Dweb%2Cowner%3Dhelm`, { headers: protobuf });
      const items = listed.json['items'] as KubeObject[];
      assert.deepEqual(
        items.map(({ metadata, data }) => [metadata.name, (data as Record<string, string>)['release']]),
        [
          [record, 'ZG9uZQ=='],
          [first, 'b2xk'],
        ],
      );
      const others = await client.ask(`${shop}/secrets?labelSelector=name%3Dother`, { headers: protobuf });
      assert.equal(
        (others.json['items'] as KubeObject[]).some(({ metadata }) => metadata.name === record),
        false,
      );

      const recording = stage.recording();
      assert.deepEqual(recording.writes, []);
      assert.equal(recording.revision, 2);
      assert.deepEqual(
        recording.storage.map(({ verb, name, refusal }) => [verb, name, refusal?.status]),
        [
          ['create', record, undefined],
          ['create', record, 409],
          ['update', record, undefined],
          ['update', first, undefined],
        ],
      );
      assert.deepEqual(cluster.changes, []);
    });

    it('records of other releases and other namespaces are ordinary objects', async () => {
      const { client, stage } = await rehearsing();
      const collections = [
        ['/api/v1/namespaces/other/secrets', record],
        [`${shop}/secrets`, 'sh.helm.release.v1.web-2.v2'],
        [`${shop}/secrets`, record],
      ] as const;
      for (const [where, name] of collections) {
        const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name } };
        assert.equal((await client.ask(where, { method: 'POST', body })).status, 201);
      }
      assert.deepEqual(
        stage.recording().writes.map(({ ref }) => [ref.namespace, ref.name]),
        [
          ['other', record],
          ['shop', 'sh.helm.release.v1.web-2.v2'],
        ],
      );
      assert.deepEqual(
        stage.recording().storage.map(({ name }) => name),
        [record],
      );
    });

    it('each write is a dry run, recorded with its answer in the order of the requests', async () => {
      cluster.objects.set(`${shop}/configmaps/a`, configMap('a', { x: '1' }, { uid: 'ua' }));
      cluster.objects.set(`${shop}/configmaps/b`, configMap('b', {}, { uid: 'ub' }));
      const { client, stage } = await rehearsing();
      const patch = {
        method: 'PATCH',
        body: { metadata: {}, data: { x: '2' } },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      };
      assert.equal((await client.ask(`${shop}/configmaps/a?fieldManager=helm&dryRun=`, patch)).status, 200);
      assert.equal((await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('c') })).status, 201);
      const gone = await client.ask(`${shop}/configmaps/b`, {
        method: 'DELETE',
        body: { propagationPolicy: 'Background' },
      });
      assert.equal(gone.status, 200);
      assert.notEqual((gone.json['details'] as Record<string, unknown>)['uid'], 'ub');

      assert.deepEqual((await client.ask(`${shop}/configmaps/a`)).json['data'], { x: '2' });
      assert.equal((await client.ask(`${shop}/configmaps/b`)).status, 404);
      assert.equal((await client.ask(`${shop}/configmaps/b`, { method: 'DELETE' })).status, 404);
      assert.equal((await client.ask(`${shop}/configmaps/c`)).status, 200);
      const listed = (await client.ask(`${shop}/configmaps`)).json['items'] as KubeObject[];
      assert.deepEqual(listed.map(({ metadata }) => metadata.name).sort(), ['a', 'c']);

      const { writes, warnings } = stage.recording();
      assert.deepEqual(
        writes.map(({ verb, effect, ref, resource, uid, client: program }) => [
          verb,
          effect,
          ref.kind,
          ref.name,
          ref.namespace,
          resource,
          uid,
          program,
        ]),
        [
          ['patch', 'changed', 'ConfigMap', 'a', 'shop', 'configmaps', 'ua', 'Helm/3.17.3'],
          ['create', 'created', 'ConfigMap', 'c', 'shop', 'configmaps', 'made-up', 'Helm/3.17.3'],
          ['delete', 'deleted', 'ConfigMap', 'b', 'shop', 'configmaps', 'ub', 'Helm/3.17.3'],
          ['delete', 'refused', 'ConfigMap', 'b', 'shop', 'configmaps', undefined, 'Helm/3.17.3'],
        ],
      );
      assert.deepEqual(writes[0]?.object?.['data'], { x: '2' });
      assert.equal(writes[0].object.metadata['managedFields'], undefined);
      assert.deepEqual(warnings, ['v1 is old']);
      assert.deepEqual(cluster.changes, []);
      const dryRuns = api.requests.filter(({ method }) => method !== 'GET');
      assert.equal(dryRuns.length, 3);
      assert.equal(dryRuns[0]?.query.get('fieldManager'), 'helm');
      assert.deepEqual((dryRuns[2]?.body as Record<string, unknown>)['propagationPolicy'], 'Background');
      assert.deepEqual(stage.recording().requests, { reads: 1, dryRuns: 3 });
    });

    it('a delete-collection is recorded object by object, including objects that only the rehearsal has', async () => {
      cluster.objects.set(`${shop}/configmaps/a`, configMap('a', {}, { uid: 'ua' }));
      const { client, stage } = await rehearsing();
      await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('c') });
      assert.equal((await client.ask(`${shop}/configmaps`, { method: 'DELETE' })).status, 200);
      const rehearsal = rehearsalOf(stage);
      assert.deepEqual(
        rehearsedDeletions(rehearsal).map(({ ref, isOfCollection }) => [ref.name, isOfCollection]),
        [
          ['c', true],
          ['a', true],
        ],
      );
      assert.deepEqual(cluster.changes, []);
    });

    it('an object that is deleted and created again exists at the end, and the deletion is recorded', async () => {
      cluster.objects.set(`${shop}/configmaps/a`, configMap('a', {}, { uid: 'ua' }));
      const { client, stage } = await rehearsing();
      await client.ask(`${shop}/configmaps/a`, { method: 'DELETE' });
      const again = await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('a', { x: '3' }) });
      assert.equal(again.status, 201);
      assert.deepEqual((await client.ask(`${shop}/configmaps/a`)).json['data'], { x: '3' });
      const rehearsal = rehearsalOf(stage);
      assert.deepEqual(rehearsedDeletions(rehearsal), []);
      assert.deepEqual(
        passingDeletions(rehearsal).map(({ ref }) => ref.name),
        ['a'],
      );
      const last = [...lastWrites(rehearsal).values()];
      assert.deepEqual(
        last.map(({ effect, isAssumed }) => [effect, isAssumed]),
        [['created', true]],
      );
    });

    it('an object that is created in one version is found and deleted in another', async () => {
      const { client, stage } = await rehearsing();
      const ask = (version: string, name: string) => `/apis/autoscaling/${version}/namespaces/shop/hpas${name}`;
      api.handlers.push((request, response) => {
        if (request.path === ask('v2', '')) return reply(response, 200, { kind: 'List', items: [] });
        return request.path === ask('v1', '') ? reply(response, 201, request.body) : false;
      });
      const body = { apiVersion: 'autoscaling/v1', kind: 'Hpa', metadata: { name: 'web' } };
      assert.equal((await client.ask(ask('v1', ''), { method: 'POST', body })).status, 201);
      const found = await client.ask(ask('v2', '/web'));
      assert.deepEqual([found.status, found.json['apiVersion']], [200, 'autoscaling/v2']);
      const listed = (await client.ask(ask('v2', ''))).json['items'] as KubeObject[];
      assert.deepEqual(
        listed.map(({ apiVersion, metadata }) => [apiVersion, metadata.name]),
        [['autoscaling/v2', 'web']],
      );
      assert.equal((await client.ask(ask('v2', '/web'), { method: 'DELETE' })).status, 200);
      assert.deepEqual(
        stage.recording().writes.map(({ ref, effect }) => [ref.apiVersion, effect]),
        [
          ['autoscaling/v1', 'created'],
          ['autoscaling/v2', 'deleted'],
        ],
      );
    });

    it('a second patch of an object is recorded as a guess, because the dry run does not know the first', async () => {
      cluster.objects.set(`${shop}/configmaps/a`, configMap('a', {}, { uid: 'ua' }));
      const { client, stage } = await rehearsing();
      for (const text of ['1', '2']) {
        await client.ask(`${shop}/configmaps/a`, { method: 'PATCH', body: { metadata: {}, data: { text } } });
      }
      assert.deepEqual(
        stage.recording().writes.map(({ isAssumed }) => isAssumed),
        [undefined, true],
      );
    });

    it('an object that Helm creates and a wrapper deletes is a deletion, although the API server never saw the object', async () => {
      const { client, stage } = await rehearsing();
      await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('c') });
      const gone = await client.ask(`${shop}/configmaps/c`, {
        method: 'DELETE',
        headers: { 'user-agent': 'kubectl/v1.35.2 (linux)' },
      });
      assert.equal(gone.status, 200);
      const [deletion] = rehearsedDeletions(rehearsalOf(stage));
      assert.deepEqual([deletion?.ref.name, deletion?.client], ['c', 'kubectl/v1.35.2']);
      assert.equal(
        api.requests.some(({ method }) => method === 'DELETE'),
        false,
      );
    });

    it('objects in a namespace that the rollback itself would create are recorded as sent', async () => {
      const { client, stage } = await rehearsing();
      api.handlers.push((request, response) => {
        if (request.method !== 'POST') return false;
        if (request.path === '/api/v1/namespaces') return reply(response, 201, request.body);
        if (!request.path.startsWith('/api/v1/namespaces/fresh/')) return false;
        return reply(
          response,
          404,
          status(404, 'NotFound', 'namespaces "fresh" not found', { name: 'fresh', kind: 'namespaces' }),
        );
      });
      const before = await client.ask('/api/v1/namespaces/fresh/configmaps', { method: 'POST', body: configMap('a') });
      assert.equal(before.status, 404);
      await client.ask('/api/v1/namespaces', {
        method: 'POST',
        body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fresh' } },
      });
      const after = await client.ask('/api/v1/namespaces/fresh/configmaps', { method: 'POST', body: configMap('a') });
      assert.equal(after.status, 201);
      assert.deepEqual(
        stage.recording().writes.map(({ ref, effect, isAssumed }) => [ref.kind, ref.namespace, effect, isAssumed]),
        [
          ['ConfigMap', 'fresh', 'refused', undefined],
          ['Namespace', undefined, 'created', undefined],
          ['ConfigMap', 'fresh', 'created', true],
        ],
      );
    });

    it('a refusal of the API server is recorded with its text, and Helm gets it', async () => {
      const { client, stage } = await rehearsing();
      api.handlers.push((request, response) =>
        request.method === 'POST' ? reply(response, 403, status(403, 'Forbidden', 'exceeded quota: small')) : false,
      );
      const answer = await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('c') });
      assert.equal(answer.status, 403);
      assert.equal(answer.json['message'], 'exceeded quota: small');
      const [write] = stage.recording().writes;
      assert.equal(write?.ref.name, 'c');
      assert.deepEqual(write.refusal, { status: 403, reason: 'Forbidden', message: 'exceeded quota: small' });
    });

    it('an access review is passed on unchanged, because it stores nothing', async () => {
      const { client, stage } = await rehearsing();
      const where = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
      api.handlers.push((request, response) => (request.path === where ? reply(response, 201, request.body) : false));
      assert.equal(
        (await client.ask(where, { method: 'POST', body: { kind: 'SelfSubjectAccessReview' } })).status,
        201,
      );
      assert.equal(api.requests[0]?.query.has('dryRun'), false);
      assert.deepEqual(stage.recording().writes, []);
    });

    it('writes to the scale of a workload and evictions are dry runs too', async () => {
      const { client, stage } = await rehearsing();
      api.handlers.push((request, response) =>
        request.query.get('dryRun') === 'All'
          ? reply(response, 200, { kind: 'Scale', apiVersion: 'v1', metadata: { name: 'w' } })
          : false,
      );
      await client.ask('/apis/apps/v1/namespaces/shop/deployments/w/scale', {
        method: 'PATCH',
        body: { spec: { replicas: 0 } },
      });
      await client.ask(`${shop}/pods/p/eviction`, {
        method: 'POST',
        body: { kind: 'Eviction', metadata: { name: 'p' } },
      });
      assert.deepEqual(
        stage.recording().writes.map(({ verb, subresource, effect, ref }) => [verb, subresource, effect, ref.kind]),
        [
          ['patch', 'scale', 'changed', 'Deployment'],
          ['delete', 'eviction', 'deleted', 'Pod'],
        ],
      );
      assert.deepEqual(
        rehearsedDeletions(rehearsalOf(stage)).map(({ ref }) => ref.name),
        ['p'],
      );
    });

    it('an apply that changes nothing of a definition needs no dry run, and one that changes it needs one', async () => {
      const where = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com';
      const definition = (spec: object) => ({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'things.example.com' },
        spec: { names: { kind: 'Thing', singular: 'thing', listKind: 'ThingList' }, ...spec },
      });
      const live = definition({ conversion: { strategy: 'None' } });
      api.handlers.push((request, response) => request.path === where && reply(response, 200, live));
      const { client, stage } = await rehearsing();
      const apply = (spec: object) =>
        client.ask(where, {
          method: 'PATCH',
          headers: { 'content-type': 'application/apply-patch+yaml' },
          body: definition(spec),
        });
      assert.deepEqual((await apply({})).json['spec'], live.spec);
      const asked = (): string[] => api.requests.filter(({ path: to }) => to === where).map(({ method }) => method);
      assert.deepEqual(asked(), ['GET']);
      assert.equal((await apply({ scope: 'Namespaced' })).status, 200);
      assert.equal(asked().filter((method) => method === 'PATCH').length, 1);
      assert.deepEqual(
        stage.recording().writes.map(({ verb, ref, effect }) => [verb, ref.name, effect]),
        [
          ['apply', 'things.example.com', 'changed'],
          ['apply', 'things.example.com', 'changed'],
        ],
      );
    });

    describe('a rehearsal with many objects of one kind', () => {
      const names = Array.from({ length: 9 }, (_, index) => `m${index}`);
      const reads = (where: string): string[] =>
        api.requests.filter(({ method }) => method === 'GET').map((each) => each.path.replace(where, ''));

      it('reads a few one by one and the rest in one list, and requests by name the objects that the list lacks', async () => {
        for (const name of names) cluster.objects.set(`${shop}/configmaps/${name}`, configMap(name, { is: name }));
        const { client } = await rehearsing();
        for (const name of [...names, ...names]) {
          const { json } = await client.ask(`${shop}/configmaps/${name}`, { headers: { accept: 'application/json' } });
          assert.deepEqual([json['kind'], json['apiVersion'], json['data']], ['ConfigMap', 'v1', { is: name }]);
        }
        const missing = await client.ask(`${shop}/configmaps/none`, { headers: { accept: 'application/json' } });
        assert.equal(missing.status, 404);
        assert.deepEqual(reads(`${shop}/configmaps`), ['/m0', '/m1', '/m2', '/m3', '', '/none']);
        assert.equal(api.requests[4]?.query.get('labelSelector'), 'app.kubernetes.io/managed-by=Helm');
      });

      it('reads again the objects that the API server reports as changed', async () => {
        for (const name of names) cluster.objects.set(`${shop}/configmaps/${name}`, configMap(name));
        const { client } = await rehearsing();
        const headers = { accept: 'application/json' };
        for (const name of names) await client.ask(`${shop}/configmaps/${name}`, { headers });
        api.handlers.push((request, response) =>
          request.method === 'PATCH' ? reply(response, 409, status(409, 'Conflict', 'changed')) : false,
        );
        assert.equal((await client.ask(`${shop}/configmaps/m8`, { method: 'PATCH', body: {} })).status, 409);
        cluster.objects.set(`${shop}/configmaps/m8`, configMap('m8', { is: 'new' }));
        const { json } = await client.ask(`${shop}/configmaps/m8`, { headers });
        assert.deepEqual(json['data'], { is: 'new' });
      });

      it('reads only Secrets that were requested', async () => {
        for (const name of names) {
          const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' } };
          cluster.objects.set(`${shop}/secrets/${name}`, object);
        }
        const { client } = await rehearsing();
        for (const name of names)
          await client.ask(`${shop}/secrets/${name}`, { headers: { accept: 'application/json' } });
        assert.deepEqual(reads(`${shop}/secrets/`), names);
      });

      it('continues one by one where it may not list', async () => {
        for (const name of names) cluster.objects.set(`${shop}/configmaps/${name}`, configMap(name));
        const { client } = await rehearsing();
        api.handlers.push((request, response) =>
          request.path === `${shop}/configmaps` ? reply(response, 403, status(403, 'Forbidden', 'no')) : false,
        );
        for (const name of names) {
          const answer = await client.ask(`${shop}/configmaps/${name}`, { headers: { accept: 'application/json' } });
          assert.equal(answer.status, 200);
        }
      });
    });

    it('the kind of a deleted custom resource is discovered once', async () => {
      const { client, stage } = await rehearsing();
      api.handlers.push((request, response) => {
        if (request.path === '/apis/acme.io/v1') {
          return reply(response, 200, { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true }] });
        }
        if (!request.path.startsWith('/apis/acme.io/v1/')) return false;
        return reply(response, 200, { kind: 'Status', status: 'Success', details: { uid: 'w' } });
      });
      for (const name of ['a', 'b'])
        await client.ask(`/apis/acme.io/v1/namespaces/shop/widgets/${name}`, { method: 'DELETE' });
      assert.deepEqual(
        stage.recording().writes.map(({ ref }) => ref.kind),
        ['Widget', 'Widget'],
      );
      assert.equal(api.requests.filter(({ path: where }) => where === '/apis/acme.io/v1').length, 1);
    });
  });

  describe('a Helm in a rehearsal', () => {
    /** Sends a request to the API server of the given kubeconfig. */
    const ask = [
      'const { clusters: [{ cluster }], users: [{ user }] } = JSON.parse(fs.readFileSync(process.env.KUBECONFIG));',
      'fetch(cluster.server + "/version", { headers: { authorization: "Bearer " + user.token } })',
      '.then((answer) => { console.error("Error: Kubernetes cluster unreachable"); process.exit(answer.ok ? 0 : 1); });',
    ].join('\n');
    const asks = `NODE_TLS_REJECT_UNAUTHORIZED=0 exec '${process.execPath}' -e '${ask}'`;

    /** A Helm that prints the history when asked for it, and runs the script for any other command. */
    async function helm(script: string, more: Partial<RehearsalOptions> = {}): Promise<RehearsalOptions> {
      const binary = path.join(temporary, 'helm');
      writeFileSync(binary, `#!/bin/sh\nif [ "$1" = history ]; then ${asks}; fi\n${script}\n`);
      chmodSync(binary, 0o755);
      return {
        ...(await options()),
        environment: { PATH: process.env['PATH'], HELM_KUBETOKEN: 'x' },
        binary,
        release: 'web',
        revision: 1,
        workingDirectory: temporary,
        timeoutSeconds: 30,
        signal: new AbortController().signal,
        ...more,
      };
    }

    it('gets the arguments of a rollback without hooks, its own kubeconfig and no client-side limit', async () => {
      const lines: string[] = [];
      const printed =
        'echo "$@"; echo "$HELM_QPS $HELM_KUBETOKEN"; cat "$KUBECONFIG"; mkdir -p "$KUBECACHEDIR/discovery"';
      const rehearsal = await rehearseRollback(
        await helm(printed, { extraArguments: ['--force-conflicts'], onLine: (line) => lines.push(line) }),
      );
      assert.equal(
        lines[0],
        'rollback web 1 --no-hooks --history-max 0 --timeout 30s --namespace shop --force-conflicts',
      );
      assert.equal(lines[1], '1000 ');
      assert.match(lines[2] ?? '', /https:\/\/127\.0\.0\.1:/);
      assert.doesNotMatch(lines[2] ?? '', /first-token/);
      assert.equal(rehearsal.outcome, 'failed', 'It has made no revision.');
      assert.match(rehearsal.message, /created no revision/);
      assert.deepEqual(privateFolders(), []);
    });

    it('with a kubeconfig of its own never reaches the rollback, because that would be no rehearsal', async () => {
      const wanted = await helm('');
      const ran = path.join(temporary, 'ran');
      writeFileSync(wanted.binary, `#!/bin/sh\necho "$1" >> '${ran}'\n`);
      await assert.rejects(rehearseRollback(wanted), {
        reason: 'InputInvalid',
        message: /does not use the kubeconfig/,
      });
      assert.equal(readFileSync(ran, 'utf8'), 'history\n');
      assert.deepEqual(privateFolders(), []);
    });

    it('that fails is an outcome, with its last message', async () => {
      const rehearsal = await rehearseRollback(await helm('echo "Error: release: not found" >&2; exit 1'));
      assert.deepEqual([rehearsal.outcome, rehearsal.message, rehearsal.exitCode], ['failed', 'release: not found', 1]);
    });

    it('that never ends is ended at the time limit and leaves no file', async () => {
      const rehearsal = await rehearseRollback(
        await helm('trap "" INT; while :; do read -r line; done < /dev/zero', { timeoutSeconds: 5 }),
      );
      assert.equal(rehearsal.outcome, 'timedOut');
      assert.deepEqual(privateFolders(), []);
    });

    it('is ended when the run is cancelled', async () => {
      const cancel = new AbortController();
      const started = helm('echo started; read -r line < /dev/zero; exec sleep 60', {
        signal: cancel.signal,
        onLine: () => {
          cancel.abort();
        },
      });
      assert.equal((await rehearseRollback(await started)).outcome, 'cancelled');
    });

    it('that does not exist is reported as missing', async () => {
      const wanted = await helm('', { binary: path.join(temporary, 'nothing') });
      await assert.rejects(rehearseRollback(wanted), { reason: 'HelmMissing' });
      assert.deepEqual(privateFolders(), []);
    });

    it('that cannot reach the API server gets the connection error reported, not its own message', async () => {
      const wanted = await helm(asks);
      await api.stop();
      await assert.rejects(rehearseRollback(wanted), (error: TaskError) => error.reason === 'ClusterUnreachable');
    });
  });

  describe('the fence', () => {
    const none = onlyDeletionsOf([]);

    beforeEach(() => {
      for (const name of ['a', 'b'])
        cluster.objects.set(`${shop}/configmaps/${name}`, configMap(name, {}, { uid: `u${name}` }));
    });

    it('an unplanned deletion is answered as done, the object stays, and it is named with its uid', async () => {
      const { client, fence } = await fenced(none);
      const answer = await client.ask(`${shop}/configmaps/a`, {
        method: 'DELETE',
        body: { propagationPolicy: 'Background' },
      });
      assert.equal(answer.status, 200);
      assert.equal(answer.json['status'], 'Success');
      assert.notEqual((answer.json['details'] as Record<string, unknown>)['uid'], 'ua');
      assert.ok(cluster.objects.has(`${shop}/configmaps/a`));
      assert.deepEqual(cluster.changes, []);
      assert.ok(api.requests.every(({ method }) => method === 'GET'));
      const { heldBack, forwarded } = fence.record();
      assert.deepEqual(
        heldBack.map(({ ref, uid }) => [ref, uid]),
        [[{ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a' }, 'ua']],
      );
      assert.deepEqual(forwarded, []);
    });

    it('the deletion of an absent object is not answered as done', async () => {
      const { client, fence } = await fenced(none);
      assert.equal((await client.ask(`${shop}/configmaps/z`, { method: 'DELETE' })).status, 404);
      assert.deepEqual(fence.record().heldBack, []);
    });

    it('a planned deletion is done, with its options', async () => {
      const planned = { ref: { apiVersion: 'v1', namespace: 'shop', name: 'a' }, resource: 'configmaps' };
      const { client, fence } = await fenced(onlyDeletionsOf([planned]));
      await client.ask(`${shop}/configmaps/a`, { method: 'DELETE', body: { propagationPolicy: 'Orphan' } });
      await client.ask(`${shop}/configmaps/b`, { method: 'DELETE' });
      assert.deepEqual([...cluster.objects.keys()], [`${shop}/configmaps/b`]);
      assert.deepEqual(
        cluster.changes.map(({ body }) => body),
        [{ propagationPolicy: 'Orphan' }],
      );
      assert.deepEqual(
        fence.record().forwarded.map(({ verb, ref }) => [verb, ref.name]),
        [['delete', 'a']],
      );
    });

    it('a delete-collection is held back object by object, and so is an eviction', async () => {
      const { client, fence } = await fenced(none);
      assert.equal((await client.ask(`${shop}/configmaps?labelSelector=a%3Db`, { method: 'DELETE' })).status, 200);
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', uid: 'up' } };
      api.handlers.push((request, response) => (request.path === `${shop}/pods/p` ? reply(response, 200, pod) : false));
      await client.ask(`${shop}/pods/p/eviction`, {
        method: 'POST',
        body: { kind: 'Eviction', metadata: { name: 'p' } },
      });
      assert.deepEqual(
        fence.record().heldBack.map(({ ref, uid, isOfCollection }) => [ref.kind, ref.name, uid, isOfCollection]),
        [
          ['ConfigMap', 'a', 'ua', true],
          ['ConfigMap', 'b', 'ub', true],
          ['Pod', 'p', 'up', undefined],
        ],
      );
      assert.equal(api.requests[0]?.query.get('labelSelector'), 'a=b');
      assert.ok(api.requests.every(({ method }) => method === 'GET'));
    });

    it('all other writes are done and recorded, with the name from the answer to a creation', async () => {
      const { client, fence } = await fenced(none);
      const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' };
      await client.ask(`${shop}/secrets`, { method: 'POST', headers: protobuf, body: protobufSecret(record, 'eA==') });
      await client.ask(`${shop}/configmaps/a`, { method: 'PATCH', body: { metadata: {}, data: { x: '1' } } });
      assert.ok(cluster.objects.has(`${shop}/secrets/${record}`));
      assert.deepEqual(cluster.objects.get(`${shop}/configmaps/a`)?.['data'], { x: '1' });
      assert.deepEqual(
        fence.record().forwarded.map(({ verb, ref }) => [verb, ref.kind, ref.name]),
        [
          ['create', 'Secret', record],
          ['patch', 'ConfigMap', 'a'],
        ],
      );
      assert.deepEqual(fence.record().requests, { reads: 0, writes: 2 });
    });

    it('a write that the policy forbids is refused, and the policy gets its object', async () => {
      const asked: unknown[] = [];
      const policy: FencePolicy = {
        mayDelete: (write) => {
          asked.push([write.verb, write.name, write.isStorage, write.isMadeHere]);
          return false;
        },
        mayWrite: (write) => write.name === 'c',
      };
      const { client, fence } = await fenced(policy);
      assert.equal((await client.ask(`${shop}/configmaps`, { method: 'POST', body: configMap('c') })).status, 201);
      const refused = await client.ask(`${shop}/configmaps/a`, { method: 'PATCH', body: { data: { x: '1' } } });
      assert.equal(refused.status, 403);
      assert.match(
        String(refused.json['message']),
        /refused to patch configmaps\/a in namespace shop: configmaps\/a in namespace shop is not in the plan/,
      );
      await client.ask(`${shop}/configmaps/c`, { method: 'DELETE' });
      await client.ask(`${shop}/configmaps/sh.helm.release.v1.web.v7`, { method: 'DELETE' });
      assert.deepEqual(asked, [
        ['delete', 'c', false, true],
        ['delete', 'sh.helm.release.v1.web.v7', true, false],
      ]);
      assert.deepEqual(
        fence.record().refused.map(({ ref }) => ref.name),
        ['a'],
      );
    });

    it('once the lock is lost no write passes, not even a planned one, and reads go on', async () => {
      const lock = new AbortController();
      const planned = { ref: { apiVersion: 'v1', namespace: 'shop', name: 'a' }, resource: 'configmaps' };
      const { client, fence } = await fenced(onlyDeletionsOf([planned]), lock.signal);
      lock.abort();
      const writes = [
        ['DELETE', `${shop}/configmaps/a`, undefined],
        ['DELETE', `${shop}/configmaps`, undefined],
        ['POST', `${shop}/configmaps`, configMap('c')],
        ['PATCH', `${shop}/configmaps/b`, { data: { x: '1' } }],
        ['PUT', `${shop}/configmaps/b`, configMap('b')],
      ] as const;
      for (const [method, where, body] of writes) {
        const answer = await client.ask(where, { method, body });
        assert.equal(answer.status, 403);
        assert.match(String(answer.json['message']), /the lock of release web is no longer held by this run/);
      }
      assert.deepEqual(api.requests, []);
      assert.equal(fence.record().refused.length, writes.length);
      assert.equal((await client.ask(`${shop}/configmaps/a`)).status, 200);
    });
  });
});
