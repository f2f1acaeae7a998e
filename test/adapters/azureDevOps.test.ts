import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import {
  azureRun,
  ownPlace,
  type AzureDevOpsOptions,
  type AzureRunReader,
} from '../../tasks/common/adapters/azureDevOps/runRecords';
import { takeTaskEnvironment } from '../../tasks/common/adapters/agent/taskEnvironment';
import { shownApprovers, type Answered } from '../../tasks/common/core/approval/judgeApproval';
import { TaskError } from '../../tasks/common/core/failure';
import { proveApproval } from '../../tasks/common/flows/rollback/approved/proveApproval';
import {
  approvalJson,
  clockTime,
  errorJson,
  identityJson,
  sendJson,
  sendSignInPage,
  startAzureDevOps,
  timelineRecords,
  type AzureDevOps,
} from '../support/azureDevOps';
import { certificates } from '../support/stubApiServer';

const timing = { connectMs: 2_000, responseMs: 300, totalMs: 2_000, retryUnknownMs: 200, retryKnownMs: 400 };
const jobId = 'aaaaaaaa-0000-4000-8000-000000000001';
const approvalId = 'bbbbbbbb-0000-4000-8000-000000000001';
const jane = identityJson('jane@fabrikam.example', { displayName: 'Jane Doe' });

describe('reading this run from Azure DevOps', () => {
  let azure: AzureDevOps;
  const open: AzureRunReader[] = [];

  beforeEach(async () => {
    azure = await startAzureDevOps();
    azure.run.records = timelineRecords(
      { name: 'Plan', from: '09:50', to: '10:01' },
      {
        name: 'Rollback',
        from: '12:00',
        jobs: [{ name: 'Rollback', id: jobId, from: '12:00' }],
        checks: [{ id: approvalId, from: '10:02', to: '11:00' }],
      },
    );
    azure.run.approvals = [approvalJson(approvalId, 'approved', [{ at: '11:00', by: jane, comment: 'go' }])];
  });

  afterEach(async () => {
    for (const reader of open.splice(0)) reader.close();
    await azure.close();
  });

  const environmentOf = (changes: Record<string, string | undefined> = {}) => {
    const all: Record<string, string | undefined> = {
      ENDPOINT_URL_SYSTEMVSSCONNECTION: azure.collectionUri,
      ENDPOINT_AUTH_SCHEME_SYSTEMVSSCONNECTION: 'OAuth',
      ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: azure.token,
      SYSTEM_HOSTTYPE: 'build',
      SYSTEM_COLLECTIONURI: 'https://never-asked.invalid/',
      SYSTEM_TEAMPROJECT: azure.project,
      SYSTEM_TEAMPROJECTID: azure.projectId,
      SYSTEM_JOBID: jobId,
      SYSTEM_STAGENAME: 'Rollback',
      SYSTEM_PHASENAME: 'Rollback',
      BUILD_BUILDID: azure.buildId,
      ...changes,
    };
    return takeTaskEnvironment(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
  };
  const reader = (changes?: Record<string, string | undefined>, options: AzureDevOpsOptions = {}): AzureRunReader => {
    const made = azureRun(environmentOf(changes), { timing, ...options });
    open.push(made);
    return made;
  };
  const problemOf = async (answer: Promise<Answered<unknown>>): Promise<string> => {
    const answered = await answer;
    assert.ok(!answered.isKnown, 'expected a problem');
    assert.doesNotMatch(answered.problem, new RegExp(azure.token), 'the token is in the problem');
    return answered.problem;
  };
  const question = (approval: 'gate' | 'environment' | 'none', fourEyes = false) => ({
    policy: { approval, requireGateProof: true, fourEyes },
    place: ownPlace(environmentOf()),
    planMadeAt: new Date(clockTime('10:00')),
    now: new Date(clockTime('13:00')),
  });

  it('an environment approval gives approver, time and comment, and who queued the run', async () => {
    const decision = await proveApproval(reader(), question('environment', true));
    assert.equal(decision.decision, 'approved', JSON.stringify(decision));
    assert.equal(shownApprovers(decision), 'Jane Doe (jane@fabrikam.example)');
    assert.deepEqual(
      azure.requests.map(({ path: asked }) => asked),
      [
        `/${azure.projectId}/_apis/build/builds/42/timeline`,
        `/${azure.projectId}/_apis/build/builds/42`,
        `/${azure.projectId}/_apis/pipelines/approvals`,
      ],
    );
    const asked = azure.requests.at(-1)?.query;
    assert.equal(asked?.get('approvalIds'), approvalId);
    assert.equal(asked.get('$expand'), 'steps');
  });

  it('a gate that succeeded approves, and its approver is unknown', async () => {
    azure.run.records = timelineRecords(
      { name: 'Gate', from: '10:02', to: '11:00', jobs: [{ name: 'Wait', gates: [{ from: '10:02', to: '11:00' }] }] },
      { name: 'Rollback', from: '12:00', jobs: [{ name: 'Rollback', id: jobId, from: '12:00' }] },
    );
    azure.handlers.push((request, response) => {
      if (!request.path.endsWith('/approvals')) return false;
      sendJson(response, 404, errorJson('An approval with that id does not exist.'));
      return true;
    });
    const decision = await proveApproval(reader(), question('gate'));
    assert.equal(decision.decision, 'approved', JSON.stringify(decision));
    assert.equal(shownApprovers(decision), 'unknown');
  });

  it('no approval is requested where the run needs none', async () => {
    assert.deepEqual(await proveApproval(reader(), question('none')), { decision: 'notAsked' });
    assert.deepEqual(azure.requests, []);
  });

  it('only GET is sent, with the job token, in the form that gets an answer instead of a sign-in page', async () => {
    await proveApproval(reader(), question('environment', true));
    for (const { method, headers } of azure.requests) {
      assert.equal(method, 'GET');
      assert.equal(headers.authorization, `Bearer ${azure.token}`);
      assert.equal(headers['x-tfs-fedauthredirect'], 'Suppress');
      assert.equal(headers.accept, 'application/json');
    }
  });

  it('a project is found by its name too, whatever letters the name has', async () => {
    await azure.close();
    azure = await startAzureDevOps({ project: 'Größe & Co' });
    assert.equal((await reader({ SYSTEM_TEAMPROJECTID: undefined }).build()).isKnown, true);
  });

  it('an approval without an id is not requested, and many approvals are read in several requests', async () => {
    const ids = Array.from({ length: 90 }, (_, index) => approvalId.slice(0, -2) + String(10 + index));
    azure.run.approvals = ids.map((id) => approvalJson(id, 'approved', []));
    const answered = await reader().approvals(ids);
    assert.equal(answered.isKnown && answered.value.length, 90);
    assert.deepEqual(
      azure.requests.map(({ query }) => query.get('approvalIds')?.split(',').length),
      [40, 40, 10],
    );
  });

  it('when one of several requests fails, the approvals are unknown', async () => {
    azure.handlers.push((_request, response) => {
      if (azure.requests.length < 2) return false;
      sendJson(response, 403, errorJson('no'));
      return true;
    });
    const ids = Array.from({ length: 41 }, (_, index) => approvalId.slice(0, -2) + String(10 + index));
    assert.match(await problemOf(reader().approvals(ids)), /403: no/);
  });

  describe('a job that cannot call Azure DevOps', () => {
    const cases: [string, Record<string, string | undefined>, RegExp][] = [
      [
        'no token',
        { ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: undefined },
        /no access token of the job/,
      ],
      ['no run', { BUILD_BUILDID: undefined }, /did not name this run/],
      ['no project', { SYSTEM_TEAMPROJECT: undefined, SYSTEM_TEAMPROJECTID: undefined }, /did not name this run/],
      [
        'no address',
        { ENDPOINT_URL_SYSTEMVSSCONNECTION: '', SYSTEM_COLLECTIONURI: undefined },
        /gave no address of Azure DevOps/,
      ],
      ['an address that is none', { ENDPOINT_URL_SYSTEMVSSCONNECTION: 'https://' }, /gave no address of Azure DevOps/],
      [
        'a classic release',
        { SYSTEM_HOSTTYPE: 'release' },
        /not a run of a YAML pipeline, but of a classic release pipeline/,
      ],
    ];
    for (const [what, changes, expected] of cases) {
      it(what, async () => {
        assert.match(await problemOf(reader(changes).timeline()), expected);
        assert.deepEqual(azure.requests, []);
      });
    }

    it('the token may come from the variable alone', async () => {
      const changes = {
        ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: undefined,
        SECRET_SYSTEM_ACCESSTOKEN: azure.token,
      };
      assert.equal((await reader(changes).timeline()).isKnown, true);
    });
  });

  describe('an unexpected answer from Azure DevOps', () => {
    const answering = (status: number, body: unknown, headers?: Record<string, string>) => {
      azure.handlers.push((_request, response) => {
        sendJson(response, status, body, headers);
        return true;
      });
    };

    it('401: the token is not accepted', async () => {
      const wrong = reader({ ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: 'expired-token' });
      assert.match(
        await problemOf(wrong.timeline()),
        /could not be asked for the timeline of run 42: it did not accept the job's access token, it answered 401: TF400813/,
      );
      assert.equal(azure.requests.length, 1, 'it is not tried again');
    });

    it('203 with a sign-in page', async () => {
      azure.handlers.push((_request, response) => {
        sendSignInPage(response);
        return true;
      });
      assert.match(
        await problemOf(reader().timeline()),
        /did not accept the job's access token, it answered 203 with a page to sign in/,
      );
    });

    it('200 with a sign-in page', async () => {
      azure.handlers.push((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/html' });
        response.end('<html>Sign In</html>');
        return true;
      });
      assert.match(await problemOf(reader().timeline()), /it answered 200 with a page to sign in/);
    });

    it('a redirect is not followed, so the token goes to no other server', async () => {
      const elsewhere = await startAzureDevOps();
      answering(302, {}, { Location: `${elsewhere.collectionUri}_signin` });
      assert.match(await problemOf(reader().timeline()), /it redirected \(302\).*did not send the token there/);
      assert.deepEqual(elsewhere.requests, []);
      await elsewhere.close();
    });

    it('403: the message names the missing permission', async () => {
      answering(403, errorJson('VS800075: no access to the project.', 'ProjectDoesNotExistWithNameException'));
      assert.match(await problemOf(reader().timeline()), /not allowed to \(403: VS800075: no access.*«View builds»/);
    });

    it('404: the run does not exist or is hidden', async () => {
      assert.match(
        await problemOf(reader({ BUILD_BUILDID: '43' }).timeline()),
        /run 43: it has no such record.*\(404: The controller/,
      );
    });

    it('429: the request waits as long as the server says and is sent again', async () => {
      let count = 0;
      azure.handlers.push((_request, response) => {
        if (++count > 1) return false;
        sendJson(response, 429, errorJson('slow down'), { 'Retry-After': '0' });
        return true;
      });
      assert.equal((await reader().timeline()).isKnown, true);
      assert.equal(count, 2);
    });

    it('429 with a wait that is too long', async () => {
      answering(429, errorJson('slow down'), { 'Retry-After': '30' });
      assert.match(
        await problemOf(reader().timeline()),
        /limits the requests of this organization.*\(429: slow down\)/,
      );
      assert.equal(azure.requests.length, 1);
    });

    it('a short time of 503 is waited for', async () => {
      let count = 0;
      azure.handlers.push((_request, response) => {
        if (++count > 1) return false;
        response.writeHead(503, { 'Content-Type': 'text/html' });
        response.end('<html>Service unavailable</html>');
        return true;
      });
      assert.equal((await reader().build()).isKnown, true);
    });

    it('500 for too long', async () => {
      answering(500, errorJson(`it is broken, ${'very '.repeat(200)}`));
      const problem = await problemOf(reader().timeline());
      assert.match(problem, /it failed \(500: it is broken, very .*…\)/);
      assert.ok(problem.length < 500, problem);
      assert.ok(azure.requests.length > 1, 'it is tried again');
    });

    it('a message that quotes the token or contains agent commands', async () => {
      answering(400, errorJson(`bad\n##vso[task.setvariable variable=a]token ${azure.token}`));
      const problem = await problemOf(reader().timeline());
      assert.match(
        problem,
        /it answered 400: bad # #vso\[task\.setvariable variable=a\]token \*\*\*, which is not understood/,
      );
    });

    for (const [what, body] of [
      ['null', 'null'],
      ['another document', '{"value":[]}'],
      ['half a document', '{"records":['],
      ['nothing', ''],
    ] as const) {
      it(`200 with ${what}`, async () => {
        azure.handlers.push((_request, response) => {
          response.writeHead(200, { 'Content-Type': 'application/json' });
          response.end(body);
          return true;
        });
        assert.match(
          await problemOf(reader().timeline()),
          /the timeline of run 42: the answer of http:\/\/127\.0\.0\.1:\d+ is something else \(application\/json/,
        );
      });
    }

    it('204, as for a run that has no timeline yet', async () => {
      azure.handlers.push((_request, response) => {
        response.writeHead(204);
        response.end();
        return true;
      });
      assert.match(await problemOf(reader().timeline()), /it answered 204/);
    });

    it('a server that has the approvals only as a preview', async () => {
      azure.handlers.push((request, response) => {
        if (request.query.get('api-version') !== '7.1') return false;
        sendJson(
          response,
          400,
          errorJson('The requested REST API version of 7.1 is out of range.', 'VssVersionOutOfRangeException'),
        );
        return true;
      });
      const answered = await reader().approvals([approvalId]);
      assert.equal(answered.isKnown && answered.value[0]?.status, 'approved');
      assert.deepEqual(
        azure.requests.map(({ query }) => query.get('api-version')),
        ['7.1', '7.0-preview.1'],
      );
    });

    it('an endless answer is not read to its end', async function () {
      this.timeout(20_000);
      let sent = 0;
      let cut: Promise<unknown> | undefined;
      azure.handlers.push((_request, response) => {
        cut = once(response, 'close');
        response.writeHead(200, { 'Content-Type': 'application/json' });
        const piece = Buffer.alloc(1024 * 1024, ' ');
        const write = (): void => {
          do sent += piece.length;
          while (!response.destroyed && response.write(piece));
        };
        response.on('drain', write);
        write();
        return true;
      });
      const slow = { ...timing, responseMs: 5_000, totalMs: 15_000 };
      assert.match(await problemOf(reader({}, { timing: slow }).timeline()), /answered with more than 67108864 bytes/);
      await cut;
      assert.ok(sent < 100 * 1024 * 1024, `${sent} bytes were read`);
    });
  });

  describe('no answer from Azure DevOps', () => {
    it('the connection is refused', async () => {
      const gone = await freePort();
      const changes = { ENDPOINT_URL_SYSTEMVSSCONNECTION: `http://127.0.0.1:${gone}/fabrikam/` };
      assert.match(
        await problemOf(reader(changes).timeline()),
        /the timeline of run 42: http:\/\/127\.0\.0\.1:\d+ cannot be reached, the connection was refused\./,
      );
    });

    it('the name of the server is unknown', async () => {
      const changes = { ENDPOINT_URL_SYSTEMVSSCONNECTION: 'https://nowhere.invalid/fabrikam/' };
      assert.match(
        await problemOf(reader(changes).timeline()),
        /https:\/\/nowhere\.invalid cannot be reached, (its name is not known to|the DNS of the agent did not answer)/,
      );
    });

    it('the server accepts the request and never answers', async () => {
      azure.handlers.push(() => true);
      assert.match(await problemOf(reader().timeline()), /did not answer in time/);
    });

    it('the server stops in the middle of its answer', async () => {
      azure.handlers.push((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
        response.write('{"records":');
        return true;
      });
      assert.match(await problemOf(reader().timeline()), /did not answer in time/);
    });

    it('the connection is cut in the middle of the answer', async () => {
      azure.handlers.push((_request, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
        response.write('{"records":', () => response.destroy());
        return true;
      });
      assert.match(await problemOf(reader().timeline()), /cannot be reached/);
    });

    it('a request that is cancelled while it waits has no answer', async () => {
      const stop = new AbortController();
      azure.handlers.push(() => {
        stop.abort();
        return true;
      });
      const asked = reader({}, { signal: stop.signal, timing: { ...timing, responseMs: 60_000 } }).timeline();
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'Cancelled');
        assert.match(error.message, /Cancelled while asking Azure DevOps for the timeline of run 42/);
        return true;
      });
    });

    it('the flow refuses, with a message', async () => {
      azure.handlers.push((_request, response) => {
        sendJson(response, 500, errorJson('broken'));
        return true;
      });
      const decision = await proveApproval(reader(), question('environment'));
      assert.ok(decision.decision === 'refused');
      assert.equal(decision.code, 'Unproven');
      assert.match(decision.reason, /it failed \(500: broken\)/);
    });
  });

  describe('Azure DevOps behind a proxy', () => {
    let proxy: http.Server;
    let seen: { url: string; authorization: string | undefined }[];
    const tunnels: Duplex[] = [];

    beforeEach(async () => {
      seen = [];
      proxy = http.createServer();
      proxy.on('connect', (incoming: http.IncomingMessage, socket: Duplex) => {
        seen.push({ url: incoming.url ?? '', authorization: incoming.headers['proxy-authorization'] });
        tunnels.push(socket);
        const onward = net.connect(Number(new URL(azure.origin).port), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
          onward.pipe(socket).pipe(onward);
        });
        socket.on('error', () => onward.destroy());
        onward.on('error', () => socket.destroy());
      });
      proxy.listen(0, '127.0.0.1');
      await once(proxy, 'listening');
    });

    afterEach(async () => {
      const closed = once(proxy, 'close');
      proxy.close();
      for (const tunnel of tunnels.splice(0)) tunnel.destroy();
      await closed;
    });

    const collection = 'http://azure-devops.corp/fabrikam/';
    const proxyUrl = (): string => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

    it("the agent's proxy is used, with its name and password", async () => {
      const settings = { AGENT_PROXYURL: proxyUrl(), AGENT_PROXYUSERNAME: 'us:er', AGENT_PROXYPASSWORD: 'p@ss' };
      const answered = await reader({ ENDPOINT_URL_SYSTEMVSSCONNECTION: collection, ...settings }).timeline();
      assert.equal(answered.isKnown, true, JSON.stringify(answered));
      assert.match(seen[0]?.url ?? '', /^azure-devops\.corp:80$/);
      const given = Buffer.from(seen[0]?.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
      assert.equal(given, 'us:er:p@ss');
    });

    it("the agent's exceptions are reached directly, even if the environment names a proxy", async () => {
      const changes = {
        ENDPOINT_URL_SYSTEMVSSCONNECTION: 'http://direct.invalid/fabrikam/',
        AGENT_PROXYURL: proxyUrl(),
        AGENT_PROXYBYPASSLIST: JSON.stringify(['(', 1, '^HTTP://direct\\.invalid']),
        http_proxy: proxyUrl(),
      };
      assert.match(
        await problemOf(reader(changes).timeline()),
        /direct\.invalid cannot be reached, (its name is not known to|the DNS of the agent did not answer)/,
      );
      assert.deepEqual(seen, []);
    });

    it("the agent's proxy is used for all other servers, even if the list of exceptions is not valid", async () => {
      for (const list of ['not json', '{}', JSON.stringify(['other'])]) {
        const settings = { AGENT_PROXYURL: proxyUrl(), AGENT_PROXYBYPASSLIST: list };
        assert.equal(
          (await reader({ ENDPOINT_URL_SYSTEMVSSCONNECTION: collection, ...settings }).timeline()).isKnown,
          true,
        );
      }
      assert.equal(seen.length, 3);
    });

    it('the proxy of the environment is used where the agent has none', async () => {
      const changes = { ENDPOINT_URL_SYSTEMVSSCONNECTION: collection, http_proxy: proxyUrl() };
      assert.equal((await reader(changes).timeline()).isKnown, true);
      assert.equal(seen.length, 1);
    });

    it('a proxy that refuses is reported', async () => {
      const refusing = net.createServer((socket) => {
        socket.on('error', () => undefined);
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      });
      refusing.listen(0, '127.0.0.1');
      await once(refusing, 'listening');
      const changes = {
        ENDPOINT_URL_SYSTEMVSSCONNECTION: 'https://azure-devops.corp/fabrikam/',
        AGENT_PROXYURL: `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`,
      };
      assert.match(await problemOf(reader(changes).timeline()), /is behind a proxy that answered 407/);
      refusing.close();
    });
  });

  describe('a server with a certificate of the company', () => {
    let folder: string;
    let server: https.Server;
    let collection: string;

    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'azure-devops-'));
      const { ca, certificate, key } = await certificates();
      await writeFile(path.join(folder, 'ca.pem'), ca);
      server = https.createServer({ cert: certificate, key }, (incoming, response) => {
        incoming.resume();
        sendJson(response, 200, { records: [] });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      collection = `https://127.0.0.1:${(server.address() as AddressInfo).port}/tfs/Default Collection/`;
    });

    afterEach(async () => {
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    });

    it('is trusted where its authority is known to the system', async () => {
      const changes = { ENDPOINT_URL_SYSTEMVSSCONNECTION: collection, SSL_CERT_FILE: path.join(folder, 'ca.pem') };
      const answered = await reader(changes).timeline();
      assert.equal(answered.isKnown, true, JSON.stringify(answered));
    });

    it('is trusted where the agent skips the check', async () => {
      const changes = { ENDPOINT_URL_SYSTEMVSSCONNECTION: collection, AGENT_SKIPCERTVALIDATION: 'True' };
      assert.equal((await reader(changes).timeline()).isKnown, true);
    });

    it('is not trusted otherwise, and the message says where to put the authority', async () => {
      const problem = await problemOf(reader({ ENDPOINT_URL_SYSTEMVSSCONNECTION: collection }).timeline());
      assert.match(problem, /is not trusted: .*; see Agent\.CAInfo/);
    });
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
