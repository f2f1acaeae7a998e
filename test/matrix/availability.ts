import http from 'node:http';
import { waitFor } from '../../scripts/cluster/wait';
import type { RequestFailure } from './invariants';

/** Sends requests to the application again and again, each on a new connection, as clients do. */
export interface Availability {
  readonly failures: () => readonly RequestFailure[];
  /** Sends no further request and waits for the open ones. */
  readonly stop: () => Promise<{ sent: number; failures: RequestFailure[] }>;
}

const everyMs = 100;
const timeoutMs = 10_000;

/** Waits for the first answer and then keeps sending. A Service is not ready at the moment when its pods are. */
export async function askContinually(url: string): Promise<Availability> {
  await waitFor(`${url} to answer`, async () => {
    await get(url);
    return true;
  });

  const failures: RequestFailure[] = [];
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  const send = (): void => {
    sent += 1;
    const at = new Date().toISOString();
    const asked = get(url)
      .catch((error: unknown) => {
        failures.push({ at, error: String(error) });
      })
      .finally(() => {
        underWay.delete(asked);
      });
    underWay.add(asked);
  };
  const timer = setInterval(send, everyMs);
  return {
    failures: () => failures,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
      return { sent, failures };
    },
  };
}

function get(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = http.get(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`HTTP status ${response.statusCode ?? 'none'}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    call.on('error', reject);
  });
}
