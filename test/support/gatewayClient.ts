import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

interface GatewayKubeconfig {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
  users: [{ user: { token: string } }];
}

export interface ClientRequest {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** A token other than the kubeconfig's. Empty for none. */
  token?: string;
}

export interface ClientAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
  json: Record<string, unknown>;
}

/** A client that knows only a kubeconfig of the gateway. */
export interface GatewayClient {
  readonly server: URL;
  readonly token: string;
  /** The answer, as soon as its headers have arrived. */
  open(path: string, request?: ClientRequest): Promise<IncomingMessage>;
  ask(path: string, request?: ClientRequest): Promise<ClientAnswer>;
  close(): void;
}

export function gatewayClient(kubeconfig: string): GatewayClient {
  const { clusters, users } = JSON.parse(readFileSync(kubeconfig, 'utf8')) as GatewayKubeconfig;
  const [{ cluster }] = clusters;
  const [{ user }] = users;
  const server = new URL(cluster.server);
  const agent = new https.Agent({
    keepAlive: true,
    ca: Buffer.from(cluster['certificate-authority-data'], 'base64'),
  });
  const open: GatewayClient['open'] = (path, { method = 'GET', body, headers = {}, token = user.token } = {}) =>
    new Promise((resolve, reject) => {
      const bytes = body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
      const outgoing = https.request({
        host: server.hostname,
        port: server.port,
        path,
        method,
        agent,
        headers: {
          ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
          'content-type': 'application/json',
          'user-agent': 'Helm/3.17.3',
          // Otherwise Node sends the body of a DELETE without its length.
          ...(bytes === undefined ? {} : { 'content-length': bytes.length }),
          ...headers,
        },
      });
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(bytes);
    });
  return {
    server,
    token: user.token,
    open,
    async ask(path, request) {
      const response = await open(path, request);
      const content = await text(response);
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: content,
        json: content.startsWith('{') ? (JSON.parse(content) as Record<string, unknown>) : {},
      };
    },
    close: () => {
      agent.destroy();
    },
  };
}
