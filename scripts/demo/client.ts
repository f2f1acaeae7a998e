import http from 'node:http';
import type { Endpoint } from './endpoints';

/** Sends one request over a new connection. Resolves with the status. Rejects if no answer comes in time. */
export type Ask = (endpoint: Endpoint) => Promise<number>;

export interface ClientFigures {
  readonly seconds: number;
  readonly requests: number;
  readonly failed: number;
  readonly perSecond: number;
  /** The number of failures for each message. */
  readonly failures: Readonly<Record<string, number>>;
  /** The pods that got at least one request. */
  readonly pods: readonly string[];
  readonly medianMs: number;
  readonly slowestMs: number;
  /**
   * The longest time between two sent requests. It shows that the client did not sleep, because a client that sleeps
   * misses failures.
   */
  readonly longestPauseMs: number;
}

export interface Client {
  figures(): ClientFigures;
  /** Stops sending and waits for the outstanding answers. */
  stop(): Promise<ClientFigures>;
}

export const requestTimeoutMs = 2000;

/**
 * Sends requests to the current endpoints in turn, `perSecond` times a second, even if no answers come. An endpoint
 * counts as current if it was current when the request was sent; a later change does not excuse a failure. If there is
 * no endpoint, the request counts as failed.
 */
export function startClient(current: () => readonly Endpoint[], ask: Ask, perSecond: number): Client {
  const startedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  const durations: number[] = [];
  const failures = new Map<string, number>();
  const pods = new Set<string>();
  let requests = 0;
  let lastSentAt = startedAt;
  let longestPauseMs = 0;
  let stoppedAt: number | undefined;

  const fail = (why: string): void => {
    failures.set(why, (failures.get(why) ?? 0) + 1);
  };

  const send = async (): Promise<void> => {
    const endpoints = current();
    const endpoint = endpoints[requests % Math.max(1, endpoints.length)];
    const sentAt = performance.now();
    requests += 1;
    longestPauseMs = Math.max(longestPauseMs, sentAt - lastSentAt);
    lastSentAt = sentAt;
    if (endpoint === undefined) {
      fail('the Service had no endpoint');
      return;
    }
    pods.add(endpoint.pod);
    try {
      const status = await ask(endpoint);
      if (status < 200 || status > 299) fail(`status ${status} from ${endpoint.pod}`);
    } catch (error) {
      fail(`${(error as Error).message} (${endpoint.pod})`);
    }
    durations.push(performance.now() - sentAt);
  };

  // After a late timer the missing requests are sent at once, so that a busy machine does not lower the request rate.
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond);
    while (requests < due) {
      const request = send().finally(() => underWay.delete(request));
      underWay.add(request);
    }
  }, 1000 / perSecond);

  const figures = (): ClientFigures => {
    const seconds = ((stoppedAt ?? performance.now()) - startedAt) / 1000;
    const sorted = [...durations].sort((a, b) => a - b);
    return {
      seconds,
      requests,
      failed: [...failures.values()].reduce((sum, count) => sum + count, 0),
      perSecond: requests / seconds,
      failures: Object.fromEntries(failures),
      pods: [...pods].sort(),
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
      slowestMs: sorted.at(-1) ?? 0,
      longestPauseMs,
    };
  };

  return {
    figures,
    stop: async () => {
      clearInterval(timer);
      stoppedAt ??= performance.now();
      await Promise.all(underWay);
      return figures();
    },
  };
}

/** Sends the request from this machine directly to the pod. */
export const askDirectly: Ask = ({ address, port }) =>
  new Promise((resolve, reject) => {
    const request = http.get({
      host: address,
      port,
      path: '/',
      agent: false,
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    request.on('error', (error) => {
      reject(error.name === 'AbortError' ? new Error(`no answer within ${requestTimeoutMs / 1000} s`) : error);
    });
    request.on('response', (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => {
        resolve(response.statusCode ?? 0);
      });
    });
  });
