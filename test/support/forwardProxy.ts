import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';

export interface ForwardProxy {
  /** `http://127.0.0.1:PORT`, or with https, without the user. */
  address: string;
  /** The targets of all tunnels that were opened, as `HOST:PORT`. */
  tunnels: string[];
  /** The targets of the requests that came without the right user and password. */
  refused: string[];
  close(): Promise<void>;
}

/** A proxy of a company: it opens tunnels (CONNECT) for one user with a password, and refuses everything else with 407. */
export async function openForwardProxy(
  username: string,
  password: string,
  /** The hosts that stand in for others, both as `HOST:PORT`. */
  standIns: Readonly<Record<string, string>> = {},
  /** For a proxy that is reached by https. */
  certificate?: { cert: string; key: string },
): Promise<ForwardProxy> {
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const tunnels: string[] = [];
  const refused: string[] = [];
  const sockets = new Set<net.Socket>();
  const refuse = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    refused.push(request.headers.host ?? '');
    response.writeHead(407, { 'Proxy-Authenticate': 'Basic realm="proxy"' }).end();
  };
  const server = certificate === undefined ? http.createServer(refuse) : https.createServer(certificate, refuse);
  server.on('connect', (request, socket: net.Socket, head: Buffer) => {
    const target = request.url ?? '';
    socket.on('error', () => undefined);
    if (request.headers['proxy-authorization'] !== expected) {
      refused.push(target);
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    tunnels.push(target);
    const { hostname, port } = new URL(`http://${standIns[target] ?? target}`);
    const upstream = net.connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    for (const each of [socket, upstream]) sockets.add(each);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tunnels,
    refused,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
