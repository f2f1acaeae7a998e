import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import { Socket, type AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { asTaskError } from '../../core/failure';
import { whatIsAsked, type Asked } from './apiRequest';
import { loopbackCertificate } from './certificate';
import { refusalReply, type Reply } from './reply';

/** A request of a client that has presented the token. */
export interface GatewayRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path has no query and is not decoded. */
  pathname: string;
  query: URLSearchParams;
  asked: Exclude<Asked, { type: 'forbidden' }>;
  /** The headers that the API server needs, never the client's credentials or identity. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  /** For example `Helm/3.17.3`. */
  client: string;
  signal: AbortSignal;
}

/** Returns the SHA-256 in hexadecimal. */
export function bodyDigest({ body }: GatewayRequest): string {
  return createHash('sha256').update(body).digest('hex');
}

interface LoopbackServer {
  token: string;
  /** The text contains the one-time token. */
  kubeconfig(namespace: string): string;
  /** May be called several times. */
  close(): Promise<void>;
}

/** The API server accepts at most 3 MiB. */
const bodyMaxBytes = 8 * 1024 * 1024;
const passedHeaders = ['accept', 'accept-encoding', 'content-type', 'if-none-match', 'if-modified-since', 'user-agent'];
/** They describe one connection (RFC 9110, 7.6.1), or are no longer true after Node has read the body. */
const ownHeaders = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** Helm presents the token with its first request. */
const proofWithinMs = 10_000;
/** Beyond this number, the oldest connection without the token is cut. */
const mostUnproven = 64;

/** Listens on a free port of 127.0.0.1. An error of `handle` becomes a Status, which the client shows. */
export async function listenOnLoopback(
  handle: (request: GatewayRequest) => Promise<Reply>,
  proofMs = proofWithinMs,
): Promise<LoopbackServer> {
  const token = randomBytes(32).toString('hex');
  const { certificate, key } = loopbackCertificate(new Date());
  const server = https.createServer({ cert: certificate, key }, (incoming, response) => {
    response.on('error', () => undefined);
    answer(incoming, response, { token, handle, unproven }).catch(() => {
      response.destroy();
    });
  });
  // Go keeps a connection for 90 s and may send on it just when we close it, so only `close` ends connections.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  const unproven = unprovenConnections(proofMs);
  server.on('connection', (socket) => {
    if (socket instanceof Socket) unproven.add(socket);
  });
  server.on('tlsClientError', () => undefined);
  server.on('upgrade', (_incoming, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  server.on('connect', (_incoming, socket) => {
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    token,
    kubeconfig: (namespace) => kubeconfigText({ server: `https://127.0.0.1:${port}`, certificate, token, namespace }),
    close: () => {
      closing ??= new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
        unproven.cut();
      });
      return closing;
    },
  };
}

/** Any process on this machine can find the port and open a connection. */
interface Unproven {
  add(socket: Socket): void;
  prove(port: number | undefined): void;
  cut(): void;
}

/** The key is the client's port: a request has the TLS socket, not the accepted socket below it. */
function unprovenConnections(proofMs: number): Unproven {
  const open = new Map<number | undefined, { socket: Socket; timer: NodeJS.Timeout }>();
  const forget = (port: number | undefined): void => {
    clearTimeout(open.get(port)?.timer);
    open.delete(port);
  };
  return {
    add(socket) {
      const port = socket.remotePort;
      const timer = setTimeout(() => socket.destroy(), proofMs);
      open.set(port, { socket, timer });
      socket.once('close', () => {
        if (open.get(port)?.socket === socket) forget(port);
      });
      const [oldest] = open.values();
      if (open.size > mostUnproven) oldest?.socket.destroy();
    },
    prove: forget,
    cut() {
      for (const { socket } of open.values()) socket.destroy();
    },
  };
}

interface Serving {
  unproven: Unproven;
  token: string;
  handle: (request: GatewayRequest) => Promise<Reply>;
}

async function answer(incoming: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort();
  });
  const reply = await replyTo(incoming, gone.signal, serving);
  if (response.destroyed) {
    if ('stream' in reply) reply.stream.destroy();
    return;
  }
  if (!('stream' in reply)) {
    // The rest of a request that was not read to its end must not be parsed as the next request.
    const connection = incoming.complete ? {} : { connection: 'close' };
    response.writeHead(reply.status, { ...reply.headers, ...connection, 'content-length': reply.body.length });
    response.end(reply.body);
    return;
  }
  response.writeHead(reply.stream.statusCode ?? 502, passedBack(reply.stream));
  // Helm 3.17 starts the clock of its wait only with the first bytes of its watch.
  response.flushHeaders();
  await pipeline(reply.stream, response);
}

async function replyTo(
  incoming: IncomingMessage,
  signal: AbortSignal,
  { token, handle, unproven }: Serving,
): Promise<Reply> {
  if (!isAuthorized(incoming, token)) return unauthorized;
  unproven.prove(incoming.socket.remotePort);
  const { pathname, query } = splitUrl(incoming.url ?? '');
  const method = methods.find((each) => each === incoming.method);
  const asked = whatIsAsked(incoming.method ?? '', pathname, incoming.headers['content-type'] ?? '');
  if (asked.type === 'forbidden' || method === undefined) {
    const why = asked.type === 'forbidden' ? asked.why : 'this method is not known';
    return refusalReply(403, 'Forbidden', `helm-safe-deploy passes on only what Helm needs: ${why}.`);
  }
  const body = await readBody(incoming);
  if (body === undefined) {
    return refusalReply(413, 'RequestEntityTooLarge', `The request is over ${bodyMaxBytes / 1024 / 1024} MiB.`);
  }
  const headers = forwardedHeaders(incoming);
  const client = (headers['user-agent'] ?? '').split(' ')[0]?.slice(0, 100) ?? '';
  try {
    return await handle({ method, pathname, query, asked, headers, body, client, signal });
  } catch (error) {
    return refusalReply(503, 'ServiceUnavailable', asTaskError(error).message);
  }
}

const unauthorized: Reply = {
  ...refusalReply(401, 'Unauthorized', 'Unauthorized'),
  headers: { 'content-type': 'application/json', connection: 'close' },
};

function isAuthorized(incoming: IncomingMessage, token: string): boolean {
  const given = Buffer.from(incoming.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function splitUrl(url: string): { pathname: string; query: URLSearchParams } {
  const mark = url.indexOf('?');
  if (mark < 0) return { pathname: url, query: new URLSearchParams() };
  return { pathname: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

/** Undefined if the body is too large. Its rest is discarded, so that the refusal can be sent. */
function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= bodyMaxBytes) chunks.push(chunk);
      else resolve(undefined);
    });
    incoming.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
    incoming.once('error', reject);
  });
}

function forwardedHeaders(incoming: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of passedHeaders) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return headers;
}

function passedBack({ headers }: IncomingMessage): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !ownHeaders.has(name)) passed[name] = value;
  }
  return passed;
}

interface KubeconfigParts {
  server: string;
  certificate: string;
  token: string;
  namespace: string;
}

function kubeconfigText({ server, certificate, token, namespace }: KubeconfigParts): string {
  const name = 'helm-safe-deploy';
  const authority = Buffer.from(certificate).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  });
}
