import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generate } from 'selfsigned';
import type { DownloadLimits } from '../../tasks/common/adapters/helm/download';
import { fetchValues } from '../../tasks/common/adapters/helm/fetchValues';
import { TaskError } from '../../tasks/common/core/failure';

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

describe('values at an address that must not be given to Helm', function () {
  this.timeout(60_000);
  let folder = '';
  let server: https.Server;
  let port = 0;
  let answer: Answer = () => undefined;
  const seen: http.IncomingMessage[] = [];

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'values-address-'));
    const altNames = [{ type: 7, ip: '127.0.0.1' }, { type: 2, value: 'values.test' }] as const; // prettier-ignore
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'values.test' }], {
      extensions: [{ name: 'subjectAltName', altNames: [...altNames] }],
    });
    writeFileSync(path.join(folder, 'ca.pem'), cert);
    server = https.createServer({ cert, key }, (request, response) => {
      seen.push(request);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  beforeEach(() => {
    seen.length = 0;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  interface How {
    environment?: NodeJS.ProcessEnv;
    limits?: Partial<DownloadLimits>;
    host?: string;
    signal?: AbortSignal;
  }

  const address = (rest: string, host = `127.0.0.1:${port}`): string => `https://${host}${rest}`;

  function fetched(
    rest: string,
    { environment = {}, limits = {}, host, signal = new AbortController().signal }: How = {},
  ) {
    return fetchValues(/^https?:/.test(rest) ? rest : address(rest, host), {
      input: 'valueFiles, line 2',
      environment: { SSL_CERT_FILE: path.join(folder, 'ca.pem'), ...environment },
      signal,
      limits: { tryMs: 5000, ...limits },
    });
  }

  const text =
    (status: number, body = '', headers: http.OutgoingHttpHeaders = {}): Answer =>
    (_, response) => {
      response.writeHead(status, headers).end(body);
    };

  it('are read with query and password, which only that server gets', async () => {
    answer = (request, response) => {
      text(200, `a: ${request.url ?? ''}\n`)(request, response);
    };
    assert.equal(await fetched('/v.yaml?sig=a%2Bb'), 'a: /v.yaml?sig=a%2Bb\n');
    await fetched('/v.yaml', { host: `me:p%40ss@127.0.0.1:${port}` });
    assert.equal(seen[0]?.headers.authorization, undefined);
    assert.equal(seen[1]?.headers.authorization, `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  });

  it('are read after a redirect, without the password on another server', async () => {
    const proxied = await proxyTo(port);
    answer = (request, response) => {
      if (request.url === '/new') text(200, 'a: 1\n')(request, response);
      else text(302, '', { location: 'https://values.test/new' })(request, response);
    };
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxied.port}` };
    assert.equal(await fetched('/old', { host: `me:pass@127.0.0.1:${port}`, environment }), 'a: 1\n');
    assert.deepEqual(proxied.asked, ['values.test:443']);
    assert.equal(seen[0]?.headers.authorization?.slice(0, 6), 'Basic ');
    assert.equal(seen[1]?.headers.authorization, undefined);
    proxied.close();
  });

  it('are requested again after a temporary failure', async () => {
    answer = (request, response) => {
      text(seen.length < 3 ? 503 : 200, 'a: 1\n')(request, response);
    };
    assert.equal(await fetched('/v.yaml'), 'a: 1\n');
    assert.equal(seen.length, 3);
  });

  for (const [name, given, how, expected] of [
    ['a missing file', text(404), {}, /answered 404: there is no such file/],
    ['an expired signature', text(403), {}, /answered 403: the secret in the address is not accepted/],
    ['a server that stays broken', text(500), {}, /answered 500/],
    ['an answer that is too long', text(200, 'x'.repeat(2000)), { limits: { bytes: 1000 } }, /longer than 1000 bytes/],
    [
      'a server that never answers',
      () => undefined,
      { limits: { tryMs: 50, tries: 1 } },
      /did not answer within 0\.05 s/,
    ],
    ['endless redirects', text(302, '', { location: '/again?sig=hunter22' }), {}, /more than 5 times/],
    ['a redirect without an address', text(302), {}, /redirects without an address/],
    ['a redirect to http', text(302, '', { location: 'http://127.0.0.1/hunter22' }), {}, /the task follows only https/],
    [
      'a certificate that is not trusted',
      text(200, 'a: 1'),
      { environment: { SSL_CERT_FILE: '' } },
      /certificate is not trusted/,
    ],
    ['no server', text(200), { host: '127.0.0.1:1', limits: { tries: 1 } }, /connection was refused/],
  ] as const) {
    it(`an error names the input and the server, but nothing else of the address: ${name}`, async () => {
      answer = given;
      const asked = fetched('/v.yaml?sig=hunter22', how);
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'InputInvalid');
        assert.match(
          error.message,
          /^Input valueFiles, line 2: the values file could not be read from https:\/\/127\.0\.0\.1:/,
        );
        assert.match(error.message, expected);
        assert.doesNotMatch(error.message, /hunter22|sig/);
        return true;
      });
    });
  }

  it('a cancelled step does not wait for the values', async () => {
    const cancel = new AbortController();
    answer = () => {
      cancel.abort();
    };
    await assert.rejects(fetched('/v.yaml', { signal: cancel.signal }), { reason: 'Cancelled' });
  });
});

/** A proxy that resolves every name to one port of this machine. */
async function proxyTo(port: number): Promise<{ port: number; asked: string[]; close: () => void }> {
  const asked: string[] = [];
  const proxy = http.createServer();
  proxy.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
    asked.push(request.url ?? '');
    const upstream = net.connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    for (const each of [socket, upstream]) each.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    asked,
    close: () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
