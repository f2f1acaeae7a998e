import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { generate } from 'selfsigned';
import { installDebianPackages } from '../../scripts/cluster/debian';
import { sourcePackages } from '../../scripts/cluster/pins';
import { waitFor } from '../../scripts/cluster/wait';
import type { ServiceConnection } from './agent';
import { openHttpsSite, type HttpsSite } from './httpsSite';

const run = promisify(execFile);

/** The login of every server here. The hash is bcrypt. */
export const login = { username: 'deployer', password: 'p@ss/w0rd+registry' };
const passwordHash = '$2y$05$abcdefghijklmnopqrstuuPV2XYvMnhkbULM.NkUlV94pDdCZMEkC';

/** A service connection with the login, as a Generic or a Docker Registry one has it. */
export function loginConnection(
  name: string,
  type: string,
  url: string,
  more: Record<string, string> = {},
): ServiceConnection {
  return { id: randomUUID(), name, type, url, scheme: 'UsernamePassword', auth: { ...login, ...more } };
}

/** Packs charts into a folder. Returns the names of the archives. */
export async function packCharts(helm: string, charts: readonly string[], folder: string): Promise<string[]> {
  for (const chart of charts) await run(helm, ['package', chart, '--destination', folder]);
  return readdirSync(folder).filter((name) => name.endsWith('.tgz'));
}

/**
 * Packs a chart and signs it by PGP. Returns the archive, which has its provenance file beside it, a keyring with the
 * public key, and one with the key of somebody else.
 */
export async function signChart(
  helm: string,
  chart: string,
  folder: string,
): Promise<{ archive: string; keyring: string; otherKeyring: string }> {
  await installDebianPackages((line) => {
    console.error(line);
  }, sourcePackages);
  // The socket of its agent has a path that may have about 100 characters.
  const home = mkdtempSync('/tmp/gpg-');
  const env = { ...process.env, GNUPGHOME: home };
  const gpg = (...args: string[]) => run('gpg', ['--batch', '--quiet', '--yes', ...args], { env });
  const inFolder = (name: string): string => path.join(folder, name);
  try {
    for (const user of ['release', 'other']) {
      // Helm 3 knows no newer kind of key.
      await gpg('--passphrase', '', '--quick-generate-key', `${user}@example.org`, 'rsa2048', 'sign', 'never');
      await gpg('--output', inFolder(`${user}.gpg`), '--export', `${user}@example.org`);
    }
    await gpg('--output', inFolder('secret.gpg'), '--export-secret-keys', 'release@example.org');
    const sign = ['--sign', '--key', 'release@example.org', '--keyring', inFolder('secret.gpg')];
    await run(helm, ['package', chart, '--destination', folder, ...sign]);
  } finally {
    await run('gpgconf', ['--kill', 'all'], { env });
    rmSync(home, { recursive: true, force: true });
  }
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  return { archive: inFolder(archive), keyring: inFolder('release.gpg'), otherKeyring: inFolder('other.gpg') };
}

export interface ChartRepository extends HttpsSite {
  /** Answers every request with this status instead. */
  fail(status: number | undefined): void;
}

/** A chart repository over HTTPS, whose every file needs the login. */
export async function openChartRepository(
  helm: string,
  charts: readonly string[],
  host?: string,
): Promise<ChartRepository> {
  const folder = mkdtempSync(path.join(tmpdir(), 'charts-'));
  await packCharts(helm, charts, folder);
  await run(helm, ['repo', 'index', folder]);
  const expected = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  let failure: number | undefined;
  const site = await openHttpsSite((request, response) => {
    if (failure !== undefined) return response.writeHead(failure).end('refused');
    if (request.headers.authorization !== expected) return response.writeHead(401).end('who are you?');
    try {
      return response.end(readFileSync(path.join(folder, path.basename(request.url ?? ''))));
    } catch {
      return response.writeHead(404).end('no such file');
    }
  }, host);
  return {
    ...site,
    fail: (status) => {
      failure = status;
    },
    close: () => {
      site.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface OciRegistry {
  /** `ADDRESS:PORT`. Helm 3 speaks plain HTTP to 127.0.0.1, so this is another address of the machine. */
  host: string;
  /** The file of the only authority that signs for it. */
  authority: string;
  close(): Promise<void>;
}

/** Debian's docker-registry with a login, over HTTPS. The charts are pushed to `oci://HOST/charts`. */
export async function openOciRegistry(helm: string, charts: readonly string[]): Promise<OciRegistry> {
  await installDebianPackages((line) => {
    console.error(line);
  }, sourcePackages);
  const folder = mkdtempSync(path.join(tmpdir(), 'registry-'));
  const inFolder = (name: string, content: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  const address = outerAddress();
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'registry.test' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: address }] }],
  });
  const authority = inFolder('cert.pem', cert);
  const host = `${address}:${await freePort()}`;
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(folder, 'data') } },
    auth: { htpasswd: { realm: 'charts', path: inFolder('htpasswd', `${login.username}:${passwordHash}\n`) } },
    http: { addr: host, tls: { certificate: authority, key: inFolder('key.pem', key) } },
  };
  const [program] = sourcePackages['docker-registry'];
  const server = spawn(program, ['serve', inFolder('config.yml', JSON.stringify(config))], { stdio: 'ignore' });
  await waitFor('the registry answers', () => isOpen(host), { timeoutSeconds: 60, intervalMilliseconds: 50 });
  const auth = Buffer.from(`${login.username}:${login.password}`).toString('base64');
  const registryConfig = inFolder('config.json', JSON.stringify({ auths: { [host]: { auth } } }));
  const env = { ...process.env, SSL_CERT_FILE: authority, HELM_REGISTRY_CONFIG: registryConfig };
  for (const archive of await packCharts(helm, charts, folder)) {
    await run(helm, ['push', path.join(folder, archive), `oci://${host}/charts`], { env });
  }
  return {
    host,
    authority,
    close: async () => {
      const ended = once(server, 'exit');
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function outerAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = all.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (found === undefined) throw new Error('This machine has no address but that of its loopback.');
  return found.address;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isOpen(host: string): Promise<boolean> {
  const [address = '', port = ''] = host.split(':');
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
