import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { parse, stringify } from 'yaml';

/** Passes connections on unchanged, including TLS, and counts their bytes. */
export interface CountingProxy {
  /** A kubeconfig that leads through the proxy. */
  readonly kubeconfig: string;
  /** Bytes on the wire in both directions since the last call. */
  take(): number;
  close(): Promise<void>;
}

interface Kubeconfig {
  clusters: { cluster: { server: string; 'tls-server-name'?: string } }[];
}

/** Opens a proxy to the API server of a kubeconfig. The kubeconfig for the proxy is written into `folder`. */
export async function countingProxy(kubeconfig: string, folder: string): Promise<CountingProxy> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
  const [first] = config.clusters;
  if (first === undefined) throw new Error('The kubeconfig names no cluster.');
  const { hostname, port } = new URL(first.cluster.server);
  let bytes = 0;
  const connections = new Set<net.Socket>();
  const proxy = net.createServer((downstream) => {
    const upstream = net.connect(Number(port), hostname);
    for (const [from, to] of [
      [downstream, upstream],
      [upstream, downstream],
    ] as const) {
      connections.add(from);
      from.setNoDelay(true);
      from.on('data', (chunk) => {
        bytes += chunk.length;
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        connections.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  first.cluster['tls-server-name'] = hostname;
  first.cluster.server = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const file = path.join(folder, 'kubeconfig-through-proxy');
  await writeFile(file, stringify(config), { mode: 0o600 });
  return {
    kubeconfig: file,
    take: () => {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
    close: async () => {
      proxy.close();
      for (const socket of connections) socket.destroy();
      await once(proxy, 'close');
    },
  };
}
