import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generate } from 'selfsigned';
import { createAgent, type TaskAgent } from '../../tasks/common/adapters/agent/agent';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import { createMetrics } from '../../tasks/common/adapters/metrics/metrics';
import { openMetrics } from '../../tasks/common/adapters/metrics/openMetrics';
import type { Reading } from '../../tasks/common/core/metrics/answer';
import { parseServer, type MetricSource } from '../../tasks/common/core/metrics/metric';
import type { MetricsRequest } from '../../tasks/common/core/inputs/bakeRequest';
import type { ConnectionRequest } from '../../tasks/common/core/inputs/deployRequest';
import { TaskError } from '../../tasks/common/core/failure';
import { endpointEnvironment, toEndpoint } from '../support/agent/endpoint';
import { startAzure } from '../support/azure';
import { openHttpsSite } from '../support/httpsSite';
import { reply, startStubApiServer, status, type StubApiServer } from '../support/stubApiServer';

const never = new AbortController().signal;
const promql = 'sum(rate(x{a="b c"}[1m]))';
const query: MetricSource = { kind: 'prometheus', query: promql };
const json = (address: string): MetricSource => ({ kind: 'json', address, pointer: '/status' });
const vector = (value: string): unknown => ({
  status: 'success',
  data: { resultType: 'vector', result: [{ metric: {}, value: [1, value] }] },
});
const none: ConnectionRequest = { type: 'none' };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe('the metrics servers', () => {
  let api: StubApiServer;
  let server: http.Server;
  let address = '';
  let asked: IncomingMessage[] = [];
  let answer: Answer;
  let temp = '';
  let lines: string[] = [];
  const closing: (() => void)[] = [];

  before(async () => {
    api = await startStubApiServer();
    server = http.createServer((request, response) => {
      asked.push(request);
      answer(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await api.close();
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    asked = [];
    lines = [];
    answer = (_, response) => reply(response, 200, vector('0.5'));
    temp = mkdtempSync(path.join(tmpdir(), 'metrics-'));
  });
  afterEach(() => {
    for (const close of closing.splice(0)) close();
    api.handlers.length = 0;
    api.requests.length = 0;
    rmSync(temp, { recursive: true, force: true });
  });

  function agentWith(environment: NodeJS.ProcessEnv): TaskAgent {
    return createAgent({
      environment: { AGENT_TEMPDIRECTORY: temp, ...environment },
      write: (line) => lines.push(line.trimEnd()),
    });
  }

  async function open(request: Partial<MetricsRequest>, environment: NodeJS.ProcessEnv = {}, connection = none) {
    const agent = agentWith(environment);
    const cluster = await createCluster(await api.kubeconfig(), { redact: agent.redact });
    const metrics = await openMetrics(
      { agent, signal: never, connection, cluster: cluster.transport },
      {
        metrics: [],
        ...request,
      },
    );
    closing.push(() => {
      metrics.close();
      cluster.close();
    });
    return { metrics, agent };
  }

  const at = (text: string): Pick<MetricsRequest, 'server'> => ({ server: parseServer(text) ?? assert.fail(text) });
  const told = (reading: Reading): string =>
    'problem' in reading ? `${reading.kind}: ${reading.problem}` : String(reading.value);

  it('Prometheus is asked by its address, below its path', async () => {
    const { metrics } = await open(at(`${address}/base/`));
    assert.equal(told(await metrics.read(query, never)), '0.5');
    assert.equal(asked[0]?.url, `/base/api/v1/query?query=${encodeURIComponent(promql)}`);
    assert.equal(asked[0].headers.authorization, undefined);
  });

  it('JSON is read at its address', async () => {
    answer = (_, response) => reply(response, 200, { status: 'UP' });
    const { metrics } = await open({});
    assert.equal(told(await metrics.read(json(`${address}/health?full=1`), never)), 'UP');
    assert.equal(asked[0]?.url, '/health?full=1');
  });

  describe('in the cluster', () => {
    const service = at('service:monitoring/prometheus:9090');
    const proxied = '/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query';

    it('are asked through the API server, with the identity of the connection', async () => {
      api.handlers.push(({ path, headers }, response) => {
        if (path !== proxied) return false;
        assert.match(headers.authorization ?? '', /^Bearer /);
        return reply(response, 200, vector('7'));
      });
      const { metrics } = await open(service);
      assert.equal(told(await metrics.read(query, never)), '7');
      assert.equal(api.requests[0]?.query.get('query'), promql);
    });

    it('a Service with TLS, and a path behind the port', async () => {
      api.handlers.push(({ path }, response) => reply(response, 200, { status: path }));
      const { metrics } = await open({});
      const reading = await metrics.read(json('service:shop/https:web:http/health'), never);
      assert.equal(told(reading), '/api/v1/namespaces/shop/services/https:web:http/proxy/health');
    });

    for (const [title, code, body, expected] of [
      [
        'a right that is missing is named',
        403,
        status(403, 'Forbidden', 'services "prometheus" is forbidden: User "x" cannot get resource "services/proxy"'),
        /^unusable: .*Grant the verb "get" on resource "services\/proxy" .* namespace "monitoring"/,
      ],
      [
        'a Service that is not there',
        404,
        status(404, 'NotFound', 'services "prometheus" not found', { name: 'prometheus', kind: 'services' }),
        /^unusable: .*services "prometheus" not found/,
      ],
      [
        'a Service without pods',
        503,
        status(503, 'ServiceUnavailable', 'no endpoints available for service "prometheus"'),
        /^unusable: .*no endpoints available/,
      ],
      [
        'an error of the server behind it',
        503,
        { status: 'error', errorType: 'timeout', error: 'late' },
        /^unusable: .*late/,
      ],
    ] as const) {
      it(title, async () => {
        api.handlers.push((_, response) => reply(response, code, body));
        const { metrics } = await open(service);
        assert.match(told(await metrics.read(query, never)), expected);
        assert.equal(api.requests.length, 1);
      });
    }
  });

  describe('that are hostile', () => {
    const limited = (): ReturnType<typeof createMetrics> => {
      const agent = agentWith({});
      return createMetrics({
        server: parseServer(address),
        transportTo: () => opened.transport,
        cluster: opened.transport,
        redact: agent.redact,
        limits: { bytes: 4096, tryMs: 300, pauseMs: 10 },
      });
    };
    let opened: Awaited<ReturnType<typeof createCluster>>;
    beforeEach(async () => {
      const file = path.join(temp, 'kubeconfig');
      writeFileSync(
        file,
        JSON.stringify({
          clusters: [{ name: 'c', cluster: { server: address } }],
          users: [{ name: 'u', user: {} }],
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
      );
      opened = await createCluster(file);
      closing.push(() => {
        opened.close();
      });
    });

    for (const [title, hostile, expected, requests] of [
      ['an answer that never begins', () => undefined, /^unusable: the metrics server did not answer within 0.3 s$/, 2],
      [
        'an answer that never ends',
        (_, response) => {
          response.write('{');
        },
        /did not answer within 0.3 s$/,
        2,
      ],
      [
        'an answer that is too long',
        (_, response) => {
          response.end(`"${'x'.repeat(100_000)}"`);
        },
        /^unusable: .*its answer is over 4096 bytes/,
        2,
      ],
      [
        'a redirect',
        (_, response) => {
          response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
        },
        /^unusable: the server answered 302 \(the task follows no redirect\)/,
        1,
      ],
      [
        'a connection that is cut',
        (request) => {
          request.socket.destroy();
        },
        /^unusable: .*the connection was cut/,
        2,
      ],
      [
        'a deep answer with an error',
        (_, response) => {
          response.writeHead(500).end('['.repeat(4000));
        },
        /^unusable: /,
        1,
      ],
    ] as readonly (readonly [string, Answer, RegExp, number])[]) {
      it(`${title} is a reading`, async () => {
        answer = hostile;
        assert.match(told(await limited().read(query, never)), expected);
        assert.equal(asked.length, requests);
      });
    }

    it('a cancel ends the request', async () => {
      const cancel = new AbortController();
      answer = () => {
        cancel.abort();
      };
      assert.match(told(await limited().read(query, cancel.signal)), /^unusable: /);
      assert.equal(asked.length, 1);
    });
  });

  it('a server that nothing listens at is a reading', async () => {
    const { metrics } = await open(at('http://127.0.0.1:1'));
    assert.match(
      told(await metrics.read(query, never)),
      /^unusable: .*metrics server http:\/\/127\.0\.0\.1:1 cannot be reached/,
    );
  });

  describe('with a login', () => {
    const fields = { ENDPOINT_AUTH_PARAMETER_m_USERNAME: 'me', ENDPOINT_AUTH_PARAMETER_m_PASSWORD: 'hunter2hunter2' };

    it('get the user and the password of the connection, and no other server does', async () => {
      const site = await openHttpsSite((request, response) => {
        reply(response, 401, { status: 'error', errorType: 'x', error: `sent ${request.headers.authorization ?? ''}` });
      });
      closing.push(() => {
        site.close();
      });
      const environment = { ENDPOINT_URL_m: site.address, ...fields };
      const { metrics, agent } = await open({ connection: 'm', caFile: site.authority }, environment);
      const reading = told(await metrics.read(query, never));
      // The server sends the credentials back, and they are masked.
      assert.match(reading, /^unusable: .*401.*sent Basic \*\*\*/);
      assert.equal(agent.redact('hunter2hunter2'), '***');
      answer = (request, response) => reply(response, 200, { status: request.headers.authorization ?? 'none' });
      assert.equal(told(await metrics.read(json(address), never)), 'none');
    });

    it('get a bearer token where the connection has no user', async () => {
      const tokens: unknown[] = [];
      const site = await openHttpsSite((request, response) => {
        tokens.push(request.headers.authorization);
        reply(response, 200, vector('1'));
      });
      closing.push(() => {
        site.close();
      });
      const environment = { ENDPOINT_URL_m: site.address, ENDPOINT_AUTH_PARAMETER_m_PASSWORD: 'a-bearer-token' };
      const { metrics } = await open(
        { connection: 'm', caFile: site.authority, ...at(`${site.address}/base`) },
        environment,
      );
      assert.equal(told(await metrics.read(query, never)), '1');
      assert.deepEqual(tokens, ['Bearer a-bearer-token']);
      assert.match(site.asked[0] ?? '', /^GET \/base\/api\/v1\/query/);
    });

    it('whose certificate nobody knows gets no request', async () => {
      const site = await openHttpsSite((_, response) => reply(response, 200, vector('1')));
      closing.push(() => {
        site.close();
      });
      const { metrics } = await open({ connection: 'm' }, { ENDPOINT_URL_m: site.address, ...fields });
      assert.match(told(await metrics.read(query, never)), /^unusable: .*is not trusted/);
      assert.deepEqual(site.asked, []);
    });

    for (const [title, url, reason] of [
      ['that would be sent without encryption', 'http://127.0.0.1:9', 'ConnectionInvalid'],
      ['that is missing', undefined, 'ConnectionMissing'],
    ] as const) {
      it(`a login ${title} is refused`, async () => {
        const environment = url === undefined ? {} : { ENDPOINT_URL_m: url, ...fields };
        await assert.rejects(open({ connection: 'm' }, environment), (error) => {
          assert.ok(error instanceof TaskError);
          assert.equal(error.reason, reason);
          assert.match(error.message, /metricsConnection/);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        });
      });
    }
  });

  it('a workspace of Azure Monitor gets a token of the Azure connection, through the proxy of the agent', async () => {
    const host = 'shop-a1.westeurope.prometheus.monitor.azure.com';
    const azure = await startAzure();
    const authority = await generate([{ name: 'commonName', value: host }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: host }] }],
    });
    let token = '';
    const workspace = https.createServer({ cert: authority.cert, key: authority.private }, (request, response) => {
      token = (request.headers.authorization ?? '').replace('Bearer ', '');
      reply(response, 200, vector('3'));
    });
    const proxy = http.createServer();
    const tunnels: string[] = [];
    proxy.on('connect', ({ url = '' }: IncomingMessage, socket) => {
      tunnels.push(url);
      const inner = connect((workspace.address() as AddressInfo).port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(inner).pipe(socket);
      });
      for (const end of [inner, socket]) end.on('error', () => undefined);
    });
    for (const each of [workspace, proxy] as Server[]) {
      each.listen(0, '127.0.0.1');
      await once(each, 'listening');
    }
    const authorities = path.join(temp, 'authorities.pem');
    writeFileSync(authorities, [azure.ca, authority.cert].join('\n'));
    closing.push(() => {
      workspace.closeAllConnections();
      workspace.close();
      proxy.closeAllConnections();
      proxy.close();
    });
    const { id = '' } = azure.connection('secret');
    const { metrics } = await open(
      at(`https://${host}`),
      {
        ...endpointEnvironment(toEndpoint(azure.connection('secret'))),
        AGENT_CAINFO: authorities,
        AGENT_PROXYURL: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
        AGENT_PROXYBYPASSLIST: '["127.0.0.1"]',
      },
      {
        type: 'azureResourceManager',
        id,
        cluster: { resourceGroup: 'shop', name: 'aks' },
        useClusterAdmin: false,
      },
    );
    assert.equal(told(await metrics.read(query, never)), '3');
    assert.deepEqual(tunnels, [`${host}:443`]);
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { aud?: string };
    assert.match(claims.aud ?? '', /^https:\/\/prometheus\.monitor\.azure\.com/);
    await azure.close();
  });
});
