import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import {
  createCluster,
  type ClusterConnection,
  type ClusterOptions,
} from '../../tasks/common/adapters/kubernetes/cluster';
import { TaskError, type FailureReason } from '../../tasks/common/core/failure';
import {
  certificates,
  eventually,
  reply,
  startStubApiServer,
  status,
  type Handler,
  type StubApiServer,
} from '../support/stubApiServer';

const pod = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web' } as const;
const fast = { connectMs: 2000, responseMs: 400, totalMs: 4000, retryUnknownMs: 600, retryKnownMs: 3000 };
const environment = { PATH: process.env['PATH'] };

async function failure(work: Promise<unknown>): Promise<TaskError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TaskError, `expected a TaskError, got ${String(error)}`);
  return error;
}

async function assertFails(work: Promise<unknown>, reason: FailureReason, message: RegExp): Promise<TaskError> {
  const error = await failure(work);
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, message);
  return error;
}

describe('requests to the Kubernetes API', () => {
  let stub: StubApiServer;
  const open: ClusterConnection[] = [];

  beforeEach(async () => {
    stub = await startStubApiServer();
  });

  afterEach(async () => {
    for (const cluster of open.splice(0)) cluster.close();
    await stub.close();
  });

  const connect = async (kubeconfig?: string, options: ClusterOptions = {}): Promise<ClusterConnection> => {
    const cluster = await createCluster(kubeconfig ?? (await stub.kubeconfig()), {
      environment,
      timing: fast,
      ...options,
    });
    open.push(cluster);
    return cluster;
  };
  const on = (handler: Handler): void => {
    stub.handlers.push(handler);
  };

  describe('only the API server itself can report an object as absent', () => {
    it('an object that does not exist is undefined', async () => {
      const cluster = await connect();
      assert.equal(await cluster.get(pod), undefined);
    });

    it('an object of a kind that is not served is undefined, and a list of that kind is an error', async () => {
      on((request, response) => {
        if (request.path !== '/apis/example.com/v1') return false;
        response.writeHead(404, { 'Content-Type': 'text/plain' });
        response.end('404 page not found\n');
        return true;
      });
      const cluster = await connect();
      const widget = { apiVersion: 'example.com/v1', kind: 'Widget', namespace: 'shop' };
      assert.equal(await cluster.get({ ...widget, name: 'w' }), undefined);
      assert.equal(await cluster.resource(widget.apiVersion, widget.kind), undefined);
      await assertFails(cluster.list(widget), 'KindNotServed', /serves no Widget of example\.com\/v1/);
    });

    it('a kind whose CustomResourceDefinition arrives later is found then', async () => {
      let isServed = false;
      on((request, response) => {
        if (request.path !== '/apis/example.com/v1') return false;
        const resources = [
          { name: 'widgets', kind: 'Widget', namespaced: true },
          { name: 'widgets/status', kind: 'Widget', namespaced: true },
        ];
        return reply(response, 200, { kind: 'APIResourceList', resources: isServed ? resources : [] });
      });
      const cluster = await connect();
      assert.equal(await cluster.resource('example.com/v1', 'Widget'), undefined);
      isServed = true;
      const found = { apiVersion: 'example.com/v1', kind: 'Widget', plural: 'widgets', namespaced: true };
      assert.deepEqual(await cluster.resource('example.com/v1', 'Widget'), found);
      await cluster.resource('example.com/v1', 'Widget');
      assert.equal(stub.requests.length, 2, 'what was found is not asked for again');
    });

    it('a 404 from a load balancer does not mean that the object is absent', async () => {
      on((_request, response) => {
        response.writeHead(404, { 'Content-Type': 'text/html' });
        response.end('<html>no such site</html>');
        return true;
      });
      await assertFails(
        (await connect()).get(pod),
        'ClusterUnreachable',
        /does not answer like a Kubernetes API server/,
      );
    });

    it('a login page instead of JSON is refused', async () => {
      on((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/html' });
        response.end('<html>Please sign in</html>');
        return true;
      });
      await assertFails((await connect()).get(pod), 'ClusterUnreachable', /text\/html.*Please sign in/);
    });
  });

  describe('refusals of the API server', () => {
    const refuse = (code: number, reason: string, message: string, details?: object): void => {
      on((_request, response) => reply(response, code, status(code, reason, message, details)));
    };

    it('a forbidden request names the right to grant', async () => {
      refuse(403, 'Forbidden', 'deployments.apps "web" is forbidden: User "u" cannot get resource "deployments"');
      const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
      await assertFails(
        (await connect()).get(deployment),
        'PermissionDenied',
        /Could not read Deployment\/web in namespace shop: .*Grant the verb "get" on resource "deployments" of API group "apps", with a Role in namespace "shop"/s,
      );
    });

    it('a cluster-scoped kind needs a ClusterRole', async () => {
      refuse(403, 'Forbidden', 'namespaces "shop" is forbidden');
      const namespace = { apiVersion: 'v1', kind: 'Namespace', namespace: 'shop', name: 'shop' };
      await assertFails((await connect()).get(namespace), 'PermissionDenied', /Namespace\/shop: .*with a ClusterRole/s);
      assert.equal(stub.requests[0]?.path, '/api/v1/namespaces/shop');
    });

    it('an object refused by an admission webhook is not a missing right', async () => {
      refuse(403, 'Forbidden', 'admission webhook "policy.example" denied the request: no');
      const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } };
      await assertFails((await connect()).create(object), 'ApplyRejected', /admission webhook/);
    });

    it('a write that RBAC forbids is a missing right', async () => {
      refuse(403, 'Forbidden', 'secrets "s" is forbidden: User "u" cannot update resource "secrets" in API group ""');
      const object = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's', namespace: 'shop', resourceVersion: '1' },
      };
      await assertFails(
        (await connect()).update(object),
        'PermissionDenied',
        /Grant the verb "update" on resource "secrets"/,
      );
    });

    it('a PUT that lost against another writer is a Conflict and is not repeated', async () => {
      refuse(409, 'Conflict', 'the object has been modified');
      const object = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's', namespace: 'shop', resourceVersion: '1' },
      };
      await assertFails((await connect()).update(object), 'Conflict', /modified/);
      assert.equal(stub.requests.length, 1);
    });

    it('an update without resourceVersion is not sent, because it would overwrite other writers', async () => {
      const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'shop' } };
      await assertFails((await connect()).update(object), 'Internal', /resourceVersion/);
      assert.equal(stub.requests.length, 0);
    });

    it('creating in a missing namespace reports the missing namespace', async () => {
      refuse(404, 'NotFound', 'namespaces "shop" not found', { name: 'shop', kind: 'namespaces' });
      const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } };
      await assertFails((await connect()).create(object), 'NamespaceMissing', /"shop" not found/);
    });

    it('deleting an absent object succeeds, and with a uid only that object is deleted', async () => {
      const cluster = await connect();
      await cluster.delete(pod, { uid: 'u-1' });
      const { body, method } = stub.requests[0] ?? {};
      assert.equal(method, 'DELETE');
      assert.deepEqual(body, {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid: 'u-1' },
        propagationPolicy: 'Background',
      });
      refuse(409, 'Conflict', 'the UID in the precondition does not match');
      await assertFails(cluster.delete(pod, { uid: 'u-1' }), 'Conflict', /UID/);
    });

    for (const name of ['', '.', '..']) {
      it(`deleting an object named "${name}" never deletes a collection`, async () => {
        await assertFails((await connect()).delete({ ...pod, name }), 'ChartInvalid', /no usable name/);
        assert.equal(stub.requests.length, 0);
      });
    }

    it('a name with a slash stays one segment of the path', async () => {
      await (await connect()).get({ ...pod, name: '../secrets' });
      assert.equal(stub.requests[0]?.path, '/api/v1/namespaces/shop/pods/..%2Fsecrets');
    });
  });

  describe('credentials of requests', () => {
    const acceptOnly = (token: () => string): void => {
      on((request, response) => {
        if (request.headers.authorization === `Bearer ${token()}`) return false;
        return reply(response, 401, status(401, 'Unauthorized', 'Unauthorized'));
      });
    };

    it('an expired token ends with CredentialsRejected after one try', async () => {
      acceptOnly(() => 'another');
      await assertFails((await connect()).get(pod), 'CredentialsRejected', /did not accept the credentials/);
      assert.equal(stub.requests.length, 1);
    });

    it('a token file that was renewed meanwhile is read again after a 401', async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'token-'));
      const tokenFile = path.join(folder, 'token');
      await writeFile(tokenFile, 'one\n');
      let valid = 'one';
      acceptOnly(() => valid);
      const secrets: string[] = [];
      const cluster = await connect(await stub.kubeconfig({ tokenFile }), {
        onSecret: (secret) => secrets.push(secret),
      });
      assert.equal(await cluster.get(pod), undefined);
      valid = 'two';
      await writeFile(tokenFile, 'two\n');
      assert.equal(await cluster.get(pod), undefined);
      assert.deepEqual(secrets, ['one', 'two'], 'each token is told before it is used, so that it can be masked');
      await rm(folder, { recursive: true });
    });

    it('a kubeconfig that got a new token meanwhile is read again after a 401', async () => {
      const file = await stub.kubeconfig({ token: 'one' });
      let valid = 'one';
      acceptOnly(() => valid);
      const cluster = await connect(file);
      await cluster.get(pod);
      valid = 'two';
      await writeFile(file, (await readFile(file, 'utf8')).replace('"one"', '"two"'));
      assert.equal(await cluster.get(pod), undefined);
    });

    const plugin = (script: string): object => ({
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: process.execPath,
        args: ['-e', script],
        env: [{ name: 'FROM_KUBECONFIG', value: 'yes' }],
        provideClusterInfo: true,
        installHint: 'Install it so.',
        interactiveMode: 'Never',
      },
    });

    it('a plug-in without expiry runs once for many requests, and again after a 401', async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'plugin-'));
      const runs = path.join(folder, 'runs');
      const user = plugin(`
        const info = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
        require('fs').appendFileSync(${JSON.stringify(runs)}, 'x');
        const count = require('fs').readFileSync(${JSON.stringify(runs)}, 'utf8').length;
        const ok = process.env.FROM_KUBECONFIG === 'yes' && info.spec.interactive === false && info.spec.cluster.server;
        console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: info.apiVersion, status: { token: (ok ? 'run-' : 'bad-') + count } }));
      `);
      let valid = 'run-1';
      acceptOnly(() => valid);
      const cluster = await connect(await stub.kubeconfig(user));
      await Promise.all([cluster.get(pod), cluster.get(pod), cluster.get(pod)]);
      assert.equal(await readFile(runs, 'utf8'), 'x');
      valid = 'run-2';
      await Promise.all([cluster.get(pod), cluster.get(pod), cluster.get(pod)]);
      assert.equal(await readFile(runs, 'utf8'), 'xx', 'requests that are rejected together renew once');

      valid = 'run-3';
      let release: () => void = () => undefined;
      const renewed = new Promise<void>((resolve) => {
        release = resolve;
      });
      let isFirst = true;
      on(async (request) => {
        if (request.headers.authorization !== 'Bearer run-2' || !isFirst) return false;
        isFirst = false;
        await renewed;
        return false;
      });
      const slow = cluster.get(pod);
      await eventually('it is under way', () => !isFirst);
      await cluster.get(pod);
      release();
      await slow;
      assert.equal(await readFile(runs, 'utf8'), 'xxx', 'nor does one whose rejection comes after the renewal');
      await rm(folder, { recursive: true });
    });

    it('a plug-in that is missing, fails or prints invalid output is reported without its stdout', async () => {
      const missing = { exec: { command: 'no-such-plugin-here', installHint: 'Install it so.' } };
      await assertFails(
        (await connect(await stub.kubeconfig(missing))).get(pod),
        'CredentialsRejected',
        /not installed on this agent\. Install it so\./,
      );
      // Node throws this error. The case above is an error event.
      const refused = { exec: { command: process.execPath, args: ['x'.repeat(4 * 1024 * 1024)] } };
      await assertFails(
        (await connect(await stub.kubeconfig(refused))).get(pod),
        'CredentialsRejected',
        /could not be started: .*E2BIG/,
      );
      const failing = plugin(`console.log('SECRET'); console.error('please log in'); process.exit(3)`);
      const failed = await assertFails(
        (await connect(await stub.kubeconfig(failing))).get(pod),
        'CredentialsRejected',
        /exit code 3: please log in/,
      );
      const rubbish = plugin(`console.log('SECRET')`);
      const unread = await assertFails(
        (await connect(await stub.kubeconfig(rubbish))).get(pod),
        'CredentialsRejected',
        /not JSON/,
      );
      assert.doesNotMatch(failed.message + unread.message, /SECRET/);
    });

    it('an auth-provider that Helm does not know either is named', async () => {
      const user = { 'auth-provider': { name: 'azure', config: {} } };
      await assertFails(
        (await connect(await stub.kubeconfig(user))).get(pod),
        'CredentialsRejected',
        /"azure".*kubelogin/,
      );
    });

    const openIdToken = (lifeSeconds: number): string => {
      const payload = { exp: Math.floor(Date.now() / 1000) + lifeSeconds };
      return `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`;
    };
    const openIdUser = (config: object) => ({ 'auth-provider': { name: 'oidc', config } });

    it('an OpenID token that is still valid is used', async () => {
      const token = openIdToken(3600);
      acceptOnly(() => token);
      const user = openIdUser({ 'id-token': token, 'client-id': 'c', 'idp-issuer-url': 'https://127.0.0.1:1' });
      assert.equal(await (await connect(await stub.kubeconfig(user))).get(pod), undefined);
    });

    const openIdProvider = async (answer: object, code = 200) => {
      const issuer = `${stub.address}/issuer`;
      const kubeconfig = await readFile(await stub.kubeconfig(), 'utf8');
      const authority = /"certificate-authority-data":"([^"]+)"/.exec(kubeconfig)?.[1];
      on(({ path: asked }, response) => {
        if (asked === '/issuer/.well-known/openid-configuration') {
          return reply(response, 200, { token_endpoint: `${issuer}/token` });
        }
        return asked === '/issuer/token' && reply(response, code, answer);
      });
      return openIdUser({
        'id-token': openIdToken(-60),
        'client-id': 'helm',
        'client-secret': 'a secret',
        'refresh-token': 'long-lived',
        'idp-issuer-url': `${issuer}/`,
        'idp-certificate-authority-data': authority,
      });
    };

    it('an OpenID token that has expired is renewed by its provider', async () => {
      const token = openIdToken(3600);
      acceptOnly(() => token);
      const user = await openIdProvider({ id_token: token, refresh_token: 'next' });
      const seen: string[] = [];
      const cluster = await connect(await stub.kubeconfig(user), { onSecret: (secret) => seen.push(secret) });
      assert.equal(await cluster.get(pod), undefined);
      const asked = stub.requests.find(({ path: to }) => to === '/issuer/token');
      assert.equal(asked?.body, 'grant_type=refresh_token&refresh_token=long-lived');
      assert.equal(asked.headers.authorization, `Basic ${Buffer.from('helm:a%20secret').toString('base64')}`);
      assert.deepEqual(seen, ['next', token]);
    });

    it('a provider that refuses the refresh token is named, with its code and no secret', async () => {
      const user = await openIdProvider({ error: 'invalid_grant', error_description: 'long-lived' }, 400);
      const error = await assertFails(
        (await connect(await stub.kubeconfig(user))).get(pod),
        'CredentialsRejected',
        /https:\/\/127\.0\.0\.1:\d+ answered 400 \(invalid_grant\)/,
      );
      assert.doesNotMatch(error.message, /long-lived|a secret/);
    });

    it('an OpenID token that has expired and cannot be renewed is named', async () => {
      const user = openIdUser({
        'id-token': openIdToken(-60),
        'client-id': 'c',
        'idp-issuer-url': 'https://127.0.0.1',
      });
      await assertFails(
        (await connect(await stub.kubeconfig(user))).get(pod),
        'CredentialsRejected',
        /expired, and the kubeconfig has no refresh-token/,
      );
    });

    it('the impersonated user is sent with each request', async () => {
      const user = { token: 't', as: 'jane', 'as-groups': ['a', 'b'] };
      await (await connect(await stub.kubeconfig(user))).get(pod);
      assert.equal(stub.requests[0]?.headers['impersonate-user'], 'jane');
      assert.equal(stub.requests[0].headers['impersonate-group'], 'a, b');
    });
  });

  describe('kubeconfig files', () => {
    it('the error for a broken kubeconfig names the line and quotes nothing', async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'config-'));
      const file = path.join(folder, 'config');
      await writeFile(file, 'users:\n- name: u\n  user: {token: "SECRET\n');
      const error = await assertFails(createCluster(file), 'ConnectionInvalid', /not YAML at line 4/);
      assert.doesNotMatch(error.message, /SECRET/);
      await rm(folder, { recursive: true });
    });

    it('the error for a kubeconfig that does not exist names its path', async () => {
      await assertFails(
        createCluster('/nowhere/config'),
        'ConnectionInvalid',
        /nowhere\/config: it cannot be read \(ENOENT\)/,
      );
    });
  });

  describe('servers that cannot be reached or trusted', () => {
    it('a port where no server listens', async () => {
      const file = await stub.kubeconfig();
      await stub.stop();
      const error = await assertFails((await connect(file)).get(pod), 'ClusterUnreachable', /connection was refused/);
      assert.ok(error.message.includes(stub.address));
      assert.ok(error.cause instanceof Error);
      assert.doesNotMatch(error.message, /first-token/);
    });

    it('a firewall that drops all packets ends the request at the time limit', async () => {
      const hole = net.createServer(() => undefined);
      hole.listen(0, '127.0.0.1');
      await once(hole, 'listening');
      const server = `https://127.0.0.1:${String((hole.address() as AddressInfo).port)}`;
      const cluster = await connect(await stub.kubeconfig({}, { server }), { timing: { ...fast, connectMs: 150 } });
      const startedAt = performance.now();
      await assertFails(cluster.get(pod), 'ClusterUnreachable', /did not answer in time/);
      assert.ok(performance.now() - startedAt < 15_000);
      cluster.close();
      hole.close();
    });

    it('a server that accepts the request and never answers ends it at the time limit', async () => {
      on(() => true);
      const cluster = await connect(undefined, { timing: { ...fast, responseMs: 150 } });
      await assertFails(cluster.get(pod), 'ClusterUnreachable', /did not answer in time/);
    });

    it('an answer that stops half-way is never used as complete', async () => {
      on((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.write('{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[');
        return true;
      });
      const cluster = await connect(undefined, { timing: { ...fast, responseMs: 150, retryKnownMs: 200 } });
      await assertFails(cluster.list(pod), 'ClusterUnreachable', /in time/);
    });

    it('an answer that is cut off is never used as complete', async () => {
      on((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.write('{"kind":"PodList",');
        setImmediate(() => response.destroy());
        return true;
      });
      const cluster = await connect(undefined, { timing: { ...fast, retryKnownMs: 300 } });
      await assertFails(cluster.list(pod), 'ClusterUnreachable', /cut/);
    });

    const trust = async (given: { cert?: object; cluster?: object }): Promise<TaskError> => {
      const made = await certificates(given.cert);
      const other = await startStubApiServer(made);
      try {
        return await failure((await connect(await other.kubeconfig({ token: 't' }, given.cluster))).get(pod));
      } finally {
        await other.close();
      }
    };

    it('an expired certificate', async () => {
      const error = await trust({ cert: { expired: true } });
      assert.equal(error.reason, 'CertificateRejected');
      assert.match(error.message, /has expired/);
    });

    it('a certificate for another address', async () => {
      const error = await trust({ cert: { ip: '127.0.0.9' } });
      assert.equal(error.reason, 'CertificateRejected');
      assert.match(error.message, /for another name/);
    });

    it('a certificate of another authority', async () => {
      const { ca } = await certificates();
      const error = await trust({ cluster: { 'certificate-authority-data': Buffer.from(ca).toString('base64') } });
      assert.equal(error.reason, 'CertificateRejected');
      assert.match(error.message, /not (trusted|signed)/);
    });

    it('an untrusted certificate is accepted where the kubeconfig allows it, for every kind of user', async () => {
      const file = await stub.kubeconfig(
        {},
        { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true },
      );
      assert.equal(await (await connect(file)).get(pod), undefined);
    });

    it('a server without TLS at an https address', async () => {
      const plain = http.createServer();
      plain.listen(0, '127.0.0.1');
      await once(plain, 'listening');
      const server = `https://127.0.0.1:${String((plain.address() as AddressInfo).port)}`;
      const work = (await connect(await stub.kubeconfig({}, { server }))).get(pod);
      await assertFails(work, 'ClusterUnreachable', /does not speak TLS/);
      plain.close();
    });

    it('a client certificate that is not a certificate', async () => {
      const rubbish = Buffer.from('-----BEGIN CERTIFICATE-----\nrubbish').toString('base64');
      const user = { 'client-certificate-data': rubbish, 'client-key-data': rubbish };
      await assertFails((await connect(await stub.kubeconfig(user))).get(pod), 'CredentialsRejected', /cannot be used/);
    });
  });

  describe('repeating requests', () => {
    const failFirst = (times: number, answer: Handler): void => {
      let left = times;
      on((request, response) => left-- > 0 && answer(request, response));
    };
    const newPod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } };

    it('429 is obeyed, for a create too', async () => {
      failFirst(1, (_request, response) =>
        reply(response, 429, status(429, 'TooManyRequests', 'slow down'), { 'Retry-After': '1' }),
      );
      on((request, response) => request.method === 'POST' && stub.requests.length > 1 && reply(response, 201, newPod));
      const startedAt = performance.now();
      await (await connect()).create(newPod);
      assert.ok(performance.now() - startedAt >= 1000);
      assert.equal(stub.requests.length, 2);
    });

    it('a read is repeated after answers 500 and cut connections', async () => {
      failFirst(1, (_request, response) => reply(response, 500, status(500, 'InternalError', 'etcd leader changed')));
      failFirst(1, (_request, response) => {
        response.destroy();
        return true;
      });
      assert.equal(await (await connect()).get(pod), undefined);
      assert.equal(stub.requests.length, 3);
    });

    it('a create that may have succeeded is not repeated', async () => {
      on((_request, response) => {
        response.destroy();
        return true;
      });
      await assertFails((await connect()).create(newPod), 'ClusterUnreachable', /cut/);
      assert.equal(stub.requests.length, 1);
    });

    it('a persistent failure is reported with the words of the server', async () => {
      on((_request, response) => reply(response, 503, status(503, 'ServiceUnavailable', 'no etcd')));
      const cluster = await connect(undefined, { timing: { ...fast, retryKnownMs: 300 } });
      await assertFails(cluster.get(pod), 'ClusterUnreachable', /answered 503: no etcd/);
    });

    it('a request waits for a server that restarts', async () => {
      const cluster = await connect();
      await cluster.get(pod);
      await stub.stop();
      const reading = cluster.get(pod);
      await stub.start();
      assert.equal(await reading, undefined);
    });

    it('a server that knows no rights yet after its start gets the request again', async () => {
      const cluster = await connect();
      await cluster.get(pod);
      await stub.stop();
      failFirst(1, (_request, response) => reply(response, 403, status(403, 'Forbidden', 'cannot get resource')));
      const reading = cluster.get(pod);
      await stub.start();
      assert.equal(await reading, undefined);
    });

    it('an abort ends a request, or the wait before the next one, at once', async () => {
      const stop = new AbortController();
      on((_request, response) => reply(response, 429, status(429, 'TooManyRequests', 'later'), { 'Retry-After': '2' }));
      const reading = (await connect(undefined, { signal: stop.signal })).get(pod);
      await eventually('the request is answered', () => stub.requests.length === 1);
      const startedAt = performance.now();
      stop.abort();
      await assertFails(reading, 'Cancelled', /read Pod\/web/);
      assert.ok(performance.now() - startedAt < 1900);
    });
  });

  describe('lists from the API server', () => {
    const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `pod-${String(index)}`);

    it('are read page by page, complete and without managedFields', async () => {
      const pods = stub.collection('pods', 'Pod');
      pods.pageSize = 2;
      for (const name of names(5)) pods.put({ metadata: { name, managedFields: [{ manager: 'x' }] } });
      const objects = await (await connect()).list(pod);
      assert.deepEqual(
        objects.map((each) => each.metadata.name),
        names(5),
      );
      assert.deepEqual(
        stub.requests.map(({ query }) => query.get('continue')),
        [null, '2', '4'],
      );
      assert.equal(objects[0]?.kind, 'Pod');
      assert.equal(objects[0].apiVersion, 'v1');
      assert.ok(!('managedFields' in objects[0].metadata));
    });

    it('start again without duplicates when a page is too old', async () => {
      const pods = stub.collection('pods', 'Pod');
      pods.pageSize = 2;
      for (const name of names(5)) pods.put({ metadata: { name } });
      let left = 1;
      on((request, response) => {
        if (request.query.get('continue') !== '4' || left-- <= 0) return false;
        return reply(response, 410, status(410, 'Expired', 'The provided continue parameter is too old'));
      });
      const objects = await (await connect()).list(pod);
      assert.deepEqual(
        objects.map((each) => each.metadata.name),
        names(5),
      );
    });

    it('are read in one piece when their pages are always too old', async () => {
      const pods = stub.collection('pods', 'Pod');
      pods.pageSize = 2;
      for (const name of names(5)) pods.put({ metadata: { name } });
      on((request, response) => request.query.has('continue') && reply(response, 410, status(410, 'Expired', 'old')));
      assert.equal((await (await connect()).list(pod)).length, 5);
    });

    it('are read from one answer of 150,000 objects, and only requested objects are kept', async () => {
      const items = Array.from({ length: 150_000 }, (_, index) => ({ metadata: { name: `pod-${index}` } }));
      on((_request, response) => reply(response, 200, { metadata: { resourceVersion: '1' }, items }));
      const connection = await connect();
      assert.equal((await connection.list(pod)).length, 150_000);
      const few = await connection.list(pod, ({ metadata }) => metadata.name === 'pod-7');
      assert.deepEqual(
        few.map(({ metadata }) => metadata.name),
        ['pod-7'],
      );
    });

    it('are empty when the server has no object, also as Go writes an empty list', async () => {
      on((_request, response) => reply(response, 200, { metadata: { resourceVersion: '1' }, items: null }));
      assert.deepEqual(await (await connect()).list(pod), []);
    });
  });

  describe('the rights of the connection', () => {
    it('are undefined when the server cannot list all of them', async () => {
      let incomplete = false;
      const rule = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
      on(
        (request, response) =>
          request.path.endsWith('/selfsubjectrulesreviews') &&
          reply(response, 201, { status: { incomplete, resourceRules: [rule] } }),
      );
      const cluster = await connect();
      assert.deepEqual(await cluster.accessRules('shop'), [{ ...rule, resourceNames: [] }]);
      incomplete = true;
      assert.equal(await cluster.accessRules('shop'), undefined);
    });
  });

  describe('the custom kinds of the API server', () => {
    const resource = (kind: string, scope: string, verbs: readonly string[]): object => ({
      resource: `${kind.toLowerCase()}s`,
      responseKind: { group: '', version: '', kind },
      scope,
      verbs,
    });
    const group = (name: string, versions: readonly object[]): object => ({ metadata: { name }, versions });

    it('are those of the preferred versions that can be listed, read in one request', async () => {
      const kinds = [
        resource('Login', 'Namespaced', ['get', 'list']),
        resource('Vault', 'Cluster', ['list']),
        resource('Review', 'Namespaced', ['create']),
      ];
      const older = [
        { version: 'v2', resources: kinds },
        { version: 'v1', resources: [resource('Old', 'Namespaced', ['list'])] },
      ];
      const items = [group('apps', [{ version: 'v1', resources: kinds }]), group('example.com', older)];
      on((_request, response) => reply(response, 200, { kind: 'APIGroupDiscoveryList', items }));
      assert.deepEqual(await (await connect()).customKinds(), [
        { apiVersion: 'example.com/v2', kind: 'Login', plural: 'logins', namespaced: true },
        { apiVersion: 'example.com/v2', kind: 'Vault', plural: 'vaults', namespaced: false },
      ]);
      assert.equal(stub.requests.length, 1);
    });

    it('of namespaces are those that can be listed and deleted, each once, unless a group does not answer', async () => {
      const [usual, reading] = [['list', 'delete'], ['list']];
      const core = group('', [{ version: 'v1', resources: [resource('Pod', 'Namespaced', usual)] }]);
      const metrics = group('metrics.k8s.io', [
        { version: 'v1', resources: [resource('PodMetrics', 'Namespaced', reading)] },
      ]);
      const toys = (more: object): object =>
        group('example.com', [
          {
            version: 'v2',
            resources: [resource('Toy', 'Namespaced', usual), resource('Box', 'Cluster', usual)],
            ...more,
          },
          { version: 'v1', resources: [resource('Toy', 'Namespaced', usual), resource('Doll', 'Namespaced', usual)] },
        ]);
      for (const [more, kinds] of [
        [{ freshness: 'Current' }, ['v1/Pod', 'example.com/v2/Toy', 'example.com/v1/Doll']],
        [{ freshness: 'Stale' }, undefined],
      ] as const) {
        on(({ path: requested }, response) => {
          const items = requested === '/api' ? [core] : [metrics, toys(more)];
          return reply(response, 200, { kind: 'APIGroupDiscoveryList', items });
        });
        const found = await (await connect()).namespacedKinds();
        assert.deepEqual(
          found?.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`),
          kinds,
        );
      }
    });

    it('are not known of an API server that lists groups only', async () => {
      on((_request, response) => reply(response, 200, { kind: 'APIGroupList', groups: [{ name: 'example.com' }] }));
      assert.equal(await (await connect()).customKinds(), undefined);
    });
  });

  describe('logs from the API server', () => {
    const container = { namespace: 'shop', name: 'web', container: 'app' };
    const options = { previous: true, tailLines: 3, limitBytes: 10 };

    it('keep their end, which shows the cause, and no partial characters', async () => {
      on((_request, response) => {
        response.end('start\nmüde €€€ ende\n');
        return true;
      });
      assert.equal(await (await connect()).podLog(container, options), '€ ende\n');
      const { path: requested, query } = stub.requests[0] ?? assert.fail();
      assert.equal(requested, '/api/v1/namespaces/shop/pods/web/log');
      assert.equal(query.get('previous'), 'true');
      assert.equal(query.get('tailLines'), '3');
    });

    it('have the time of each line where it is asked for', async () => {
      on((_request, response) => {
        response.end('');
        return true;
      });
      await (await connect()).podLog(container, { ...options, timestamps: true });
      assert.equal(stub.requests[0]?.query.get('timestamps'), 'true');
    });

    it('are empty for a container that waits to start', async () => {
      on((_request, response) =>
        reply(response, 400, status(400, 'BadRequest', 'container "app" is waiting to start')),
      );
      assert.equal(await (await connect()).podLog(container, options), '');
    });

    it('name the missing right when they may not be read', async () => {
      on((_request, response) => reply(response, 403, status(403, 'Forbidden', 'no')));
      await assertFails(
        (await connect()).podLog(container, options),
        'PermissionDenied',
        /"get" on resource "pods\/log"/,
      );
    });
  });

  describe('requests through a proxy', () => {
    const startProxy = async (
      answer: 'forward' | number,
    ): Promise<{ url: string; asked: string[]; close: () => void }> => {
      const asked: string[] = [];
      const proxy = http.createServer();
      proxy.on('connect', (request, socket: net.Socket) => {
        asked.push(request.url ?? '');
        if (answer !== 'forward') {
          socket.end(`HTTP/1.1 ${String(answer)} no\r\n\r\n`);
          return;
        }
        const onward = net.connect(stub.port, '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 ok\r\n\r\n');
          onward.pipe(socket).pipe(onward);
        });
        for (const each of [socket, onward]) each.on('error', () => undefined);
      });
      proxy.listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const url = `http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}`;
      return { url, asked, close: () => proxy.close() };
    };

    it('the proxy of the kubeconfig is used with the same trust', async () => {
      const proxy = await startProxy('forward');
      const cluster = await connect(await stub.kubeconfig({ token: 't' }, { 'proxy-url': proxy.url }));
      assert.equal(await cluster.get(pod), undefined);
      assert.deepEqual(proxy.asked, [`127.0.0.1:${String(stub.port)}`]);
      cluster.close();
      proxy.close();
    });

    it('a proxy that refuses is named instead of the cluster', async () => {
      const proxy = await startProxy(407);
      const cluster = await connect(await stub.kubeconfig({ token: 't' }, { 'proxy-url': proxy.url }));
      await assertFails(cluster.get(pod), 'ClusterUnreachable', /proxy .* answered 407/);
      proxy.close();
    });

    it('the proxy of the environment is not used for a loopback address', async () => {
      const cluster = await connect(undefined, { environment: { HTTPS_PROXY: 'http://127.0.0.1:1' } });
      assert.equal(await cluster.get(pod), undefined);
    });
  });
});
