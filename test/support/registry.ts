import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { succeed } from '../../scripts/cluster/command';
import { debianFile } from '../../scripts/cluster/debian';
import { writeImageArchive } from '../../scripts/cluster/images';
import type { TestCluster } from './cluster';

/**
 * A registry on this machine. The real node reaches it as `localhost:PORT`, through a node port that leads out of the
 * cluster, because containerd speaks plain HTTP only to localhost. The first word of the repository decides the answer:
 * `gone` 404, `private` 401, `forbidden` 403, `limited` 429, `broken` 503, `silent` never, `away` hangs up until
 * `comeBack`. Every other name is a small busybox image.
 */
export interface Registry {
  /** `localhost:PORT`, the prefix of a repository's name. */
  readonly host: string;
  readonly comeBack: () => void;
  readonly close: () => Promise<void>;
}

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';

interface Blob {
  readonly content: Buffer;
  readonly type: string;
}

export async function openRegistry(cluster: TestCluster, namespace: string): Promise<Registry> {
  const blobs = await imageBlobs();
  let isAway = true;
  const server = http.createServer((request, response) => {
    answer(request.url ?? '', response, blobs, isAway);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const nodePort = await openDoor(cluster, namespace, (server.address() as AddressInfo).port);
  return {
    host: `localhost:${nodePort}`,
    comeBack: () => {
      isAway = false;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A Service without pods, whose endpoint is this machine. */
async function openDoor(cluster: TestCluster, namespace: string, port: number): Promise<number> {
  await cluster.apply(
    namespace,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'registry' },
          spec: { type: 'NodePort', ports: [{ port: 80, targetPort: port }] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'registry-host', labels: { 'kubernetes.io/service-name': 'registry' } },
          addressType: 'IPv4',
          ports: [{ port }],
          endpoints: [{ addresses: [cluster.hostAddress] }],
        },
      ],
    }),
  );
  const service = await cluster.kubectlJson<{ spec: { ports: { nodePort: number }[] } }>(
    'get',
    'service/registry',
    '--namespace',
    namespace,
  );
  const nodePort = service.spec.ports[0]?.nodePort;
  if (nodePort === undefined) throw new Error('The Service of the registry got no node port.');
  return nodePort;
}

/** The manifest under the empty name, and configuration and layers under their digests. */
async function imageBlobs(): Promise<Map<string, Blob>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'registry-'));
  try {
    const busybox = debianFile('busybox-static');
    const archive = await writeImageArchive(folder, busybox, busybox);
    await succeed('tar', ['-xf', archive, '-C', folder]);
    const [image] = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as {
      Config: string;
      Layers: string[];
    }[];
    if (image === undefined) throw new Error('The archive of images is empty.');
    const read = (name: string): Buffer => readFileSync(path.join(folder, name));
    // This image is unique, because a kubelet that finds a preloaded image under a second, pulled name pulls both
    // again.
    const own = { ...(JSON.parse(read(image.Config).toString()) as object), author: 'registry' };
    const config = blob(Buffer.from(JSON.stringify(own)), 'application/vnd.docker.container.image.v1+json');
    const layers = image.Layers.map((name) => blob(read(name), 'application/vnd.docker.image.rootfs.diff.tar'));
    const content = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: described(config),
        layers: layers.map(described),
      }),
    );
    const manifest = blob(content, manifestType);
    return new Map([['', manifest], ...[manifest, config, ...layers].map((each) => [digest(each), each] as const)]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function blob(content: Buffer, type: string): Blob {
  return { content, type };
}

function digest({ content }: Blob): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function described(each: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType: each.type, digest: digest(each), size: each.content.length };
}

const refusals: Readonly<Record<string, readonly [number, string, string]>> = {
  gone: [404, 'MANIFEST_UNKNOWN', 'manifest unknown'],
  private: [401, 'UNAUTHORIZED', 'authentication required'],
  forbidden: [403, 'DENIED', 'requested access to the resource is denied'],
  limited: [429, 'TOOMANYREQUESTS', 'You have reached your pull rate limit.'],
  broken: [503, 'UNAVAILABLE', 'try again later'],
};

function answer(url: string, response: http.ServerResponse, blobs: Map<string, Blob>, isAway: boolean): void {
  const [, behaviour = '', what = '', name = ''] = /^\/v2\/(\w+)\/.*?(manifests|blobs)\/([^/?]+)/.exec(url) ?? [];
  if (behaviour === 'silent') return;
  if (behaviour === 'away' && isAway) {
    response.socket?.destroy();
    return;
  }
  const refusal = refusals[behaviour];
  if (refusal !== undefined) {
    const [status, code, message] = refusal;
    if (status === 401) response.setHeader('www-authenticate', 'Basic realm="registry"');
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ errors: [{ code, message }] }));
    return;
  }
  const found = blobs.get(name) ?? (what === 'manifests' ? blobs.get('') : undefined);
  if (found === undefined) {
    response.writeHead(url === '/v2/' ? 200 : 404).end();
    return;
  }
  response.writeHead(200, {
    'content-type': found.type,
    'content-length': found.content.length,
    'docker-content-digest': digest(found),
  });
  response.end(found.content);
}
