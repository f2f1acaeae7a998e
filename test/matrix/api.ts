import https from 'node:https';
import readline from 'node:readline';
import { ownUserAgent, request, type ApiServer } from '../../scripts/cluster/api';

/** An object from the API server. */
export interface LiveObject extends Readonly<Record<string, unknown>> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

/** The object at a path, or undefined if there is none. Throws for every other answer. */
export async function read(server: ApiServer, path: string): Promise<LiveObject | undefined> {
  const { status, body } = await request(server, 'GET', path);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.slice(0, 500)}`);
  return JSON.parse(body) as LiveObject;
}

export async function list(server: ApiServer, path: string): Promise<LiveObject[]> {
  const { status, body } = await request(server, 'GET', path);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.slice(0, 500)}`);
  const { apiVersion, kind, items } = JSON.parse(body) as { apiVersion: string; kind: string; items: LiveObject[] };
  // Items of a list have no kind of their own.
  return items.map((item) => ({ ...item, apiVersion, kind: kind.replace(/List$/, '') }));
}

export async function write(server: ApiServer, method: string, path: string, object: unknown): Promise<LiveObject> {
  const { status, body } = await request(server, method, path, object);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${body.slice(0, 500)}`);
  return JSON.parse(body) as LiveObject;
}

/**
 * Yields every object of a list, and then every change of one, until `signal` aborts or the connection breaks. The path
 * may contain a selector.
 */
export function watch(
  server: ApiServer,
  path: string,
  signal: AbortSignal,
  onObject: (object: LiveObject, change: string) => void,
): void {
  const url = new URL(path, server.url);
  url.searchParams.set('watch', '1');
  const headers = { authorization: `Bearer ${server.token}`, 'user-agent': ownUserAgent };
  const call = https.get(url, { ca: server.ca, agent: false, headers, signal }, (response) => {
    const lines = readline.createInterface({ input: response });
    lines.on('line', (line) => {
      if (signal.aborted || line === '') return;
      const { type, object } = JSON.parse(line) as { type: string; object: LiveObject };
      if (type !== 'ERROR') onObject(object, type);
    });
    // The readline interface passes on errors of its input.
    lines.on('error', () => {
      lines.close();
    });
  });
  // The API server may be taken away. Then the expected change does not come, and the waiting code has a time limit.
  call.on('error', () => undefined);
}
