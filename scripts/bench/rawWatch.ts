import https from 'node:https';
import { createInterface } from 'node:readline';
import { adminApiServer } from '../cluster/cluster';
import { ownUserAgent, request, type ApiServer } from '../cluster/api';

/**
 * Shows what the API server reports and when. It uses plain watches, which are as close to the cluster as a client can
 * be.
 */
export interface RawWatch {
  /** The time (`performance.now()`) of the first object whose JSON matches. Undefined if none has come yet. */
  first(pattern: RegExp): number | undefined;
  /** The time of the last object whose JSON matches. */
  last(pattern: RegExp): number | undefined;
  stop(): void;
}

interface Seen {
  readonly at: number;
  readonly json: string;
}

/** Watches collections, for example `/api/v1/namespaces/shop/pods`, from now on. Resolves when all watches are open. */
export async function rawWatch(clusterName: string, collections: readonly string[]): Promise<RawWatch> {
  const server = adminApiServer(clusterName);
  const seen: Seen[] = [];
  const stops = await Promise.all(collections.map((collection) => open(server, collection, seen)));
  return {
    first: (pattern) => seen.find(({ json }) => pattern.test(json))?.at,
    last: (pattern) => seen.findLast(({ json }) => pattern.test(json))?.at,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

async function open(server: ApiServer, collection: string, seen: Seen[]): Promise<() => void> {
  const { body } = await request(server, 'GET', `${collection}?limit=1`);
  const { metadata } = JSON.parse(body) as { metadata: { resourceVersion: string } };
  const path = `${collection}?watch=true&resourceVersion=${metadata.resourceVersion}`;
  const headers = { authorization: `Bearer ${server.token}`, 'user-agent': ownUserAgent };
  return new Promise((resolve, reject) => {
    const call = https.get(new URL(path, server.url), { ca: server.ca, agent: false, headers }, (response) => {
      if (response.statusCode !== 200) {
        reject(new Error(`The API server refused to watch ${collection}: ${response.statusCode ?? 0}.`));
        return;
      }
      response.on('error', () => undefined);
      createInterface({ input: response }).on('line', (json) => seen.push({ at: performance.now(), json }));
      resolve(() => {
        response.destroy();
      });
    });
    call.on('error', reject);
  });
}
