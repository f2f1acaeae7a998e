import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { installDebianPackages } from '../../scripts/cluster/debian';
import { metricsPackages } from '../../scripts/cluster/pins';
import { waitFor } from '../../scripts/cluster/wait';
import type { ApiServer } from '../../scripts/cluster/api';

export interface Prometheus {
  readonly address: string;
  /** Its data stay. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and removes its data. */
  close(): Promise<void>;
}

/** Debian's Prometheus. It scrapes a Service of the cluster twice a second, through the API server. */
export async function openPrometheus(
  server: ApiServer,
  service: { namespace: string; name: string },
): Promise<Prometheus> {
  await installDebianPackages(console.error, metricsPackages);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'prometheus-'));
  const inFolder = (name: string, content: string): string => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, content);
    return file;
  };
  const config = {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    scrape_configs: [
      {
        job_name: 'shop',
        scheme: 'https',
        metrics_path: `/api/v1/namespaces/${service.namespace}/services/${service.name}:http/proxy/metrics`,
        tls_config: { ca_file: inFolder('ca.pem', server.ca) },
        authorization: { credentials_file: inFolder('token', server.token) },
        static_configs: [{ targets: [new URL(server.url).host] }],
      },
    ],
  };
  const file = inFolder('prometheus.yml', JSON.stringify(config));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  let process: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (process === undefined) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
    process = undefined;
  };
  const start = async (): Promise<void> => {
    const [program] = metricsPackages.prometheus;
    const options = [`--config.file=${file}`, `--storage.tsdb.path=${path.join(folder, 'data')}`];
    process = spawn(program, [...options, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], {
      cwd: folder,
      stdio: 'ignore',
    });
    const isReady = async (): Promise<boolean> => (await fetch(`${address}/-/ready`)).ok;
    await waitFor('Prometheus is ready', isReady, { timeoutSeconds: 60, intervalMilliseconds: 50 });
  };
  await start();
  return {
    address,
    stop,
    start,
    close: async () => {
      await stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
