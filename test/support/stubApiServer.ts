import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { generate } from 'selfsigned';

export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** Answers a request, or returns false to pass it to the next handler. */
export type Handler = (request: StubRequest, response: ServerResponse) => boolean | Promise<boolean>;

export interface StubApiServer {
  readonly address: string;
  readonly port: number;
  /** All received requests, oldest first. */
  readonly requests: StubRequest[];
  /** These handlers come before the collections, the last one first. */
  readonly handlers: Handler[];
  collection(plural: string, kind: string, apiVersion?: string): Collection;
  /** Writes a kubeconfig into its own folder and returns its path. */
  kubeconfig(user?: object, cluster?: object): Promise<string>;
  /** Cuts all connections and refuses new ones until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** The number of open connections. */
  connections(): number;
  close(): Promise<void>;
}

interface StubObject {
  metadata: { name: string; uid?: string; resourceVersion?: string; [field: string]: unknown };
  [field: string]: unknown;
}

/** The objects of one kind in the namespace `shop`, listed in pages and watched. */
export interface Collection {
  readonly path: string;
  /** Objects by name. `put` and `remove` notify the watches, a change of this map does not. */
  readonly objects: Map<string, StubObject>;
  pageSize: number;
  put(object: StubObject): void;
  remove(name: string): void;
  /** Writes bytes into every open watch. */
  send(bytes: string | Buffer): void;
  bookmark(): void;
  /** Ends every open watch, as the server does at its time limit. */
  endWatches(): void;
  watches(): number;
}

export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const curve = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

/** A certificate for an address, issued by an authority made for it. */
export async function certificates(options: { ip?: string; expired?: boolean } = {}): Promise<Certificates> {
  const authority = await generate([{ name: 'commonName', value: 'stub authority' }], {
    ...curve,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true },
    ],
  });
  const day = 86_400_000;
  const issued = await generate([{ name: 'commonName', value: 'stub' }], {
    ...curve,
    ca: { key: authority.private, cert: authority.cert },
    ...(options.expired
      ? { notBeforeDate: new Date(Date.now() - 2 * day), notAfterDate: new Date(Date.now() - day) }
      : {}),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: options.ip ?? '127.0.0.1' }] },
    ],
  });
  return { ca: authority.cert, certificate: issued.cert, key: issued.private };
}

let shared: Promise<Certificates> | undefined;

export async function startStubApiServer(own?: Certificates): Promise<StubApiServer> {
  const used = own ?? (await (shared ??= certificates()));
  const folder = await mkdtemp(path.join(tmpdir(), 'stub-api-'));
  const requests: StubRequest[] = [];
  const handlers: Handler[] = [];
  const collections: ServedCollection[] = [];
  const sockets = new Set<Socket>();
  let port = 0;
  let files = 0;

  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await readRequest(incoming);
    requests.push(request);
    for (const handler of [...handlers].reverse()) if (await handler(request, response)) return;
    for (const collection of collections) if (collection.handle(request, response)) return;
    reply(response, 404, notFound(request.path));
  };
  const server = https.createServer({ cert: used.certificate, key: used.key }, (incoming, response) => {
    response.on('error', () => undefined);
    answer(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  const start = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await closed;
  };
  await start();

  return {
    get address() {
      return `https://127.0.0.1:${port}`;
    },
    get port() {
      return port;
    },
    requests,
    handlers,
    collection(plural, kind, apiVersion = 'v1') {
      const made = serveCollection(plural, kind, apiVersion);
      collections.push(made);
      return made;
    },
    async kubeconfig(user = { token: 'first-token' }, cluster = {}) {
      const file = path.join(folder, `config-${String(++files)}`);
      const config = {
        'current-context': 'stub',
        contexts: [{ name: 'stub', context: { cluster: 'stub', user: 'stub', namespace: 'shop' } }],
        clusters: [
          {
            name: 'stub',
            cluster: {
              server: `https://127.0.0.1:${port}`,
              'certificate-authority-data': Buffer.from(used.ca).toString('base64'),
              ...cluster,
            },
          },
        ],
        users: [{ name: 'stub', user }],
      };
      await writeFile(file, JSON.stringify(config), { mode: 0o600 });
      return file;
    },
    stop,
    start,
    connections: () => sockets.size,
    async close() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function readRequest(incoming: IncomingMessage): Promise<StubRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const url = new URL(incoming.url ?? '/', 'https://stub');
  const text = Buffer.concat(chunks).toString('utf8');
  return {
    method: incoming.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body: text === '' ? undefined : parsedBody(text),
  };
}

/** Helm sends its records as protobuf. A body that is not JSON stays text. */
function parsedBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Answers with JSON. */
export function reply(response: ServerResponse, status: number, body: unknown, headers: object = {}): true {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
  return true;
}

/** A Kubernetes Status. */
export function status(code: number, reason: string, message: string, details: object = {}): unknown {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details };
}

function notFound(requestPath: string): unknown {
  const name = requestPath.split('/').at(-1) ?? '';
  return status(404, 'NotFound', `"${name}" not found`, { name });
}

interface ServedCollection extends Collection {
  handle(request: StubRequest, response: ServerResponse): boolean;
}

function serveCollection(plural: string, kind: string, apiVersion: string): ServedCollection {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const base = `${root}/namespaces/shop/${plural}`;
  const objects = new Map<string, StubObject>();
  const watches = new Set<ServerResponse>();
  const log: { version: number; line: string }[] = [];
  let version = 100;

  const tell = (type: string, object: StubObject): void => {
    const line = `${JSON.stringify({ type, object: { apiVersion, kind, ...object } })}\n`;
    log.push({ version, line });
    for (const watch of watches) watch.write(line);
  };
  const collection: ServedCollection = {
    path: base,
    objects,
    pageSize: 500,
    put(object) {
      const known = objects.get(object.metadata.name);
      version++;
      const uid = object.metadata.uid ?? known?.metadata.uid ?? `uid-${object.metadata.name}-${String(version)}`;
      const stored = {
        ...object,
        metadata: { namespace: 'shop', ...object.metadata, uid, resourceVersion: String(version) },
      };
      objects.set(object.metadata.name, stored);
      tell(known === undefined ? 'ADDED' : 'MODIFIED', stored);
    },
    remove(name) {
      const known = objects.get(name);
      if (known === undefined) return;
      objects.delete(name);
      version++;
      tell('DELETED', { ...known, metadata: { ...known.metadata, resourceVersion: String(version) } });
    },
    send(bytes) {
      for (const watch of watches) watch.write(bytes);
    },
    bookmark() {
      version++;
      const object = { apiVersion, kind, metadata: { resourceVersion: String(version) } };
      for (const watch of watches) watch.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    },
    endWatches() {
      for (const watch of watches) watch.end();
    },
    watches: () => watches.size,
    handle(request, response) {
      if (request.path !== base) return false;
      if (request.query.get('watch') === 'true') {
        const from = Number(request.query.get('resourceVersion'));
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.flushHeaders();
        watches.add(response);
        response.once('close', () => watches.delete(response));
        for (const each of log) if (each.version > from) response.write(each.line);
        return true;
      }
      const all = [...objects.values()];
      const from = Number(request.query.get('continue') ?? '0');
      const end = from + Math.min(Number(request.query.get('limit') ?? all.length), collection.pageSize);
      const more = end < all.length && request.query.has('limit') ? { continue: String(end) } : {};
      const items = request.query.has('limit') ? all.slice(from, end) : all;
      const metadata = { resourceVersion: String(version), ...more };
      return reply(response, 200, { kind: `${kind}List`, apiVersion, metadata, items });
    },
  };
  return collection;
}

/** Waits until a condition holds. Fails with the name of the condition. */
export async function eventually(what: string, holds: () => boolean, seconds = 5): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`This did not come true within ${String(seconds)} s: ${what}`);
    await delay(5);
  }
}
