import { once } from 'node:events';
import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { generate } from 'selfsigned';
import { stringify } from 'yaml';
import type { ApiServer } from '../cluster/api';

/** A request from Helm to the API server. */
export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
}

/**
 * The way in which an answer goes wrong. `status` is a refusal by the API server. With `noHandshake` and `noServer`
 * this request is answered, but later connections get no TLS handshake, or no connection at all.
 */
export type Fault =
  | { readonly kind: 'status'; readonly code: number; readonly reason: string; readonly message: string; readonly headers?: Readonly<Record<string, string>> } // prettier-ignore
  | { readonly kind: 'page'; readonly code: number; readonly html: string }
  | { readonly kind: 'reset' | 'end' | 'truncated' | 'streamError' | 'goAway' | 'noHandshake' | 'noServer' };

export interface FaultPlan {
  readonly when: (asked: Asked) => boolean;
  readonly fault: Fault;
  /** The default is HTTP/1.1 with one connection per request. */
  readonly http2?: boolean;
}

export interface FaultProxy {
  /** A kubeconfig for the proxy with all permissions. */
  readonly kubeconfig: string;
  close(): Promise<void>;
}

/** Node's HTTP/2 server calls its handler in the same way as the HTTP/1.1 server. */
type Http2Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** A proxy in front of the real API server. Every request that matches `when` meets the fault. */
export async function faultProxy(upstream: ApiServer, plan: FaultPlan): Promise<FaultProxy> {
  const pair = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  let isSilent = false;
  const sockets = new Set<net.Socket>();
  const pairOf = { key: pair.private, cert: pair.cert };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const asked = { method: request.method ?? '', path: new URL(request.url ?? '', upstream.url).pathname };
    const { kind } = plan.fault;
    const isLast = kind === 'noHandshake' || kind === 'noServer';
    if (!plan.when(asked)) {
      forward(upstream, request, response);
    } else if (isLast) {
      isSilent = true;
      if (kind === 'noServer') front.close();
      forward(upstream, request, response);
    } else {
      fail(plan.fault, request, response);
    }
  };
  const server = plan.http2
    ? http2.createSecureServer(pairOf, answer as unknown as Http2Answer)
    : https.createServer(pairOf, answer);
  server.on('sessionError', () => undefined);
  server.on('error', () => undefined);
  // In the silent state a client gets a TCP connection but no TLS.
  const front = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (!isSilent) server.emit('connection', socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    kubeconfig: kubeconfigText(
      {
        server: `https://127.0.0.1:${(front.address() as AddressInfo).port}`,
        'certificate-authority-data': Buffer.from(pair.cert).toString('base64'),
      },
      {},
    ),
    close: async () => {
      const closed = front.listening ? once(front, 'close') : undefined;
      front.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export function kubeconfigText(cluster: unknown, user: unknown): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host', 'http2-settings', 'upgrade']);

function forward(upstream: ApiServer, request: IncomingMessage, response: ServerResponse): void {
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !name.startsWith(':') && !hopByHop.has(name)),
  );
  const call = https.request(
    new URL(request.url ?? '', upstream.url),
    {
      method: request.method ?? 'GET',
      ca: upstream.ca,
      agent: false,
      headers: { ...headers, authorization: `Bearer ${upstream.token}` },
    },
    (answer) => {
      const kept = Object.entries(answer.headers).filter(([name]) => !hopByHop.has(name));
      const isOwnConnection = request.httpVersion.startsWith('1');
      response.writeHead(answer.statusCode ?? 502, {
        ...Object.fromEntries(kept),
        ...(isOwnConnection ? { connection: 'close' } : {}),
      });
      answer.pipe(response);
    },
  );
  call.on('error', () => request.socket.destroy());
  request.pipe(call);
}

function fail(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  request.resume();
  request.on('end', () => {
    switch (fault.kind) {
      case 'status': {
        const { code, reason, message } = fault;
        response.writeHead(code, { 'content-type': 'application/json', ...fault.headers });
        const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
        response.end(JSON.stringify(status));
        return;
      }
      case 'page':
        response.writeHead(fault.code, { 'content-type': 'text/html' });
        response.end(fault.html);
        return;
      case 'truncated':
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '4096' });
        response.write('{"kind":');
        setTimeout(() => request.socket.destroy(), 50);
        return;
      case 'reset':
        (request.socket as net.Socket & { _parent?: net.Socket })._parent?.resetAndDestroy();
        request.socket.destroy();
        return;
      case 'streamError':
        stream?.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        return;
      case 'goAway':
        stream?.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
        stream?.session?.destroy();
        return;
      default:
        request.socket.destroy();
    }
  });
}
