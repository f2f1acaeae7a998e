import https from 'node:https';

/** The audit log distinguishes the requests of these scripts from those of the tested programs by this user agent. */
export const ownUserAgent = 'helm-safe-deploy-cluster';

export interface ApiServer {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
}

export interface ApiResponse {
  readonly status: number;
  readonly body: string;
}

/**
 * Sends one request to the API server. Rejects if no answer comes within 10 seconds. Every status counts as an answer.
 */
export function request(server: ApiServer, method: string, path: string, body?: unknown): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const options: https.RequestOptions = {
      method,
      ca: server.ca,
      agent: false,
      timeout: 10_000,
      headers: {
        authorization: `Bearer ${server.token}`,
        'content-type': 'application/json',
        'user-agent': ownUserAgent,
      },
    };
    const call = https.request(new URL(path, server.url), options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${server.url}${path} did not answer within 10 seconds.`)));
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Creates an object. An existing object is not an error. */
export async function create(server: ApiServer, path: string, object: unknown): Promise<void> {
  const { status, body } = await request(server, 'POST', path, object);
  if (status < 300 || status === 409) return;
  throw new Error(`The API server refused POST ${path} with ${status}: ${body.trim()}`);
}
