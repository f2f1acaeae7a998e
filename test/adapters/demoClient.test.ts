import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { askDirectly, startClient, type Client } from '../../scripts/demo/client';
import type { Endpoint } from '../../scripts/demo/endpoints';
import { eventually } from '../support/stubApiServer';

describe("the demo's client counts the failures that a user of the Service would notice", () => {
  let server: http.Server;
  let endpoint: Endpoint;
  let client: Client | undefined;
  let connections = 0;
  let answer: http.RequestListener = (_request, response) => response.end('ok');

  const ask = async (endpoints: () => readonly Endpoint[], requests: number) => {
    client = startClient(endpoints, askDirectly, 200);
    await eventually('requests are sent', () => (client?.figures().requests ?? 0) >= requests);
    return client.stop();
  };

  beforeEach(async () => {
    connections = 0;
    server = http.createServer((request, response) => {
      answer(request, response);
    });
    server.on('connection', () => (connections += 1));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endpoint = { address: '127.0.0.1', port: (server.address() as AddressInfo).port, pod: 'pod-1' };
  });

  afterEach(async () => {
    await client?.stop();
    server.closeAllConnections();
    server.close();
  });

  it('each request has its own connection', async () => {
    const figures = await ask(() => [endpoint], 10);
    assert.equal(figures.failed, 0);
    assert.equal(connections, figures.requests);
    assert.deepEqual(figures.pods, ['pod-1']);
  });

  it('all endpoints get requests in turn', async () => {
    const figures = await ask(() => [endpoint, { ...endpoint, pod: 'pod-2' }], 10);
    assert.deepEqual(figures.pods, ['pod-1', 'pod-2']);
  });

  it('a status other than 2xx is a failed request', async () => {
    answer = (_request, response) => response.writeHead(503).end();
    const figures = await ask(() => [endpoint], 5);
    assert.equal(figures.failed, figures.requests);
    assert.deepEqual(Object.keys(figures.failures), ['status 503 from pod-1']);
  });

  it('a pod that never answers is a failed request, reported after two seconds', async () => {
    answer = () => undefined;
    const figures = await ask(() => [endpoint], 5);
    assert.equal(figures.failed, figures.requests);
    assert.deepEqual(Object.keys(figures.failures), ['no answer within 2 s (pod-1)']);
    assert.ok(figures.slowestMs >= 1900);
  });

  it('a connection that is cut in the middle of an answer is a failed request', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half', () => response.destroy());
    };
    const figures = await ask(() => [endpoint], 5);
    assert.equal(figures.failed, figures.requests);
  });

  it('a pod that has gone is a failed request, even if its endpoint is gone meanwhile', async () => {
    const endpoints = [[endpoint], []] as const;
    server.close();
    let sent = 0;
    const figures = await ask(() => endpoints[Math.min(sent++, 1)] ?? [], 2);
    assert.equal(figures.failed, figures.requests);
    assert.equal(figures.failures['the Service had no endpoint'], figures.requests - 1);
  });
});
