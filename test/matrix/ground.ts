import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { request, type ApiServer } from '../../scripts/cluster/api';
import { adminApiServer } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import type { TestCluster } from '../support/cluster';
import { write } from './api';
import type { Golden, WriteSeen } from './invariants';
import { readState } from './liveState';
import { readRecords } from './records';
import { chartFolder, flagsOf, type Values } from './values';

const run = promisify(execFile);

/** A cluster with everything that its cases share. */
export interface Ground {
  readonly cluster: TestCluster;
  readonly server: ApiServer;
  /** A folder for files, deleted at the end. */
  readonly folder: string;
  /** Makes a new namespace with one identity for each run, which has all rights in that namespace. */
  readonly plot: (prefix: string) => Promise<Plot>;
  /** The objects of a fresh install by this Helm. Made once for the same values. */
  readonly golden: (helm: string, values: Values) => Promise<Golden>;
  readonly dispose: () => Promise<void>;
}

/** The namespace of one case. */
export interface Plot {
  readonly namespace: string;
  /** Writes a kubeconfig with the run's own identity and returns its path and its token. */
  readonly identity: (runNumber: number) => Promise<{ kubeconfig: string; token: string }>;
  /** All changes of the release that the runs have requested from the API server so far. */
  readonly writes: () => Promise<WriteSeen[]>;
  readonly remove: () => Promise<void>;
}

export function openGround(cluster: TestCluster): Ground {
  const server = adminApiServer(cluster.name);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'matrix-'));
  const goldens = new Map<string, Promise<Golden>>();
  return {
    cluster,
    server,
    folder,
    plot: (prefix) => openPlot(cluster, server, folder, prefix),
    golden: (helm, values) => {
      const key = `${helm} ${flagsOf(values).join(' ')}`;
      const known = goldens.get(key) ?? freshInstall(cluster, server, helm, values);
      goldens.set(key, known);
      // A failure (for example, the API server is away) is not kept as the answer for others.
      known.catch(() => goldens.delete(key));
      return known;
    },
    dispose: async () => {
      fs.rmSync(folder, { recursive: true, force: true });
      await cluster.cleanUp();
    },
  };
}

async function freshInstall(cluster: TestCluster, server: ApiServer, helm: string, values: Values): Promise<Golden> {
  const namespace = await cluster.namespace('golden');
  try {
    await run(helm, [
      'install',
      'web',
      chartFolder,
      ...flagsOf(values),
      ...clusterFlags(cluster.kubeconfig, namespace),
    ]);
    const objects = await readState(server, namespace);
    const [record] = await readRecords(server, namespace);
    if (record === undefined) throw new Error('A fresh install left no record.');
    return { manifest: record.manifest, objects };
  } finally {
    await cluster.cleanUp(namespace);
  }
}

export function clusterFlags(kubeconfig: string, namespace: string): string[] {
  return ['--namespace', namespace, '--kubeconfig', kubeconfig];
}

async function openPlot(cluster: TestCluster, server: ApiServer, folder: string, prefix: string): Promise<Plot> {
  const auditStart = sizeOf(cluster.auditLog);
  const namespace = await cluster.namespace(prefix);
  await write(server, 'POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
    metadata: { name: 'runs' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: `system:serviceaccounts:${namespace}` }],
  });
  return {
    namespace,
    identity: async (runNumber) => {
      const name = `run-${runNumber}`;
      const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
      await write(server, 'POST', accounts, { metadata: { name } });
      const answer = await write(server, 'POST', `${accounts}/${name}/token`, { spec: { expirationSeconds: 7200 } });
      const { token } = answer['status'] as { token: string };
      const kubeconfig = path.join(folder, `${namespace}-${name}.kubeconfig`);
      fs.writeFileSync(kubeconfig, kubeconfigText(server, token), { mode: 0o600 });
      return { kubeconfig, token };
    },
    writes: () => readWrites(cluster, server, namespace, auditStart),
    remove: () => cluster.cleanUp(namespace),
  };
}

function kubeconfigText(server: ApiServer, token: string): string {
  const certificate = Buffer.from(server.ca).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'matrix', cluster: { server: server.url, 'certificate-authority-data': certificate } }],
    users: [{ name: 'run', user: { token } }],
    contexts: [{ name: 'matrix', context: { cluster: 'matrix', user: 'run' } }],
    'current-context': 'matrix',
  });
}

function sizeOf(file: string): number {
  return fs.existsSync(file) ? fs.statSync(file).size : 0;
}

interface AuditLine {
  readonly auditID: string;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code: number };
  readonly requestReceivedTimestamp: string;
}

/** Reads only lines written since the case began, because the log of a long run is large. */
async function readWrites(
  cluster: TestCluster,
  server: ApiServer,
  namespace: string,
  start: number,
): Promise<WriteSeen[]> {
  const marker = `/matrix-marker-${randomUUID()}`;
  await request(server, 'GET', marker);
  let content = '';
  await waitFor(
    'the audit log to be written',
    () => {
      content = readFrom(cluster.auditLog, start);
      return content.includes(marker);
    },
    { timeoutSeconds: 30 },
  );
  const writes = new Map<string, WriteSeen>();
  // The last line may be incomplete.
  for (const line of content.slice(0, content.lastIndexOf('\n')).split('\n')) {
    if (!line.includes(`system:serviceaccount:${namespace}:run-`)) continue;
    const event = JSON.parse(line) as AuditLine;
    const seen = writeOf(event, namespace);
    if (seen !== undefined) writes.set(event.auditID, seen);
  }
  return [...writes.values()];
}

const changing = ['create', 'update', 'patch', 'delete', 'deletecollection'];

/**
 * A change of the release's objects or of Helm's record. Changes of the Lease do not count, because runs compete for
 * it.
 */
function writeOf(event: AuditLine, namespace: string): WriteSeen | undefined {
  const { verb, objectRef, requestURI, responseStatus, user } = event;
  if (!changing.includes(verb) || requestURI.includes('dryRun=') || objectRef?.namespace !== namespace)
    return undefined;
  if (objectRef.resource === 'leases' || (responseStatus?.code ?? 0) >= 400) return undefined;
  const runNumber = Number(user.username.split(':run-')[1]);
  const what = `${verb} ${objectRef.resource}/${objectRef.name ?? ''}`;
  return { run: runNumber, at: event.requestReceivedTimestamp, what };
}

function readFrom(file: string, offset: number): string {
  const descriptor = fs.openSync(file, 'r');
  try {
    const content = Buffer.alloc(Math.max(0, fs.fstatSync(descriptor).size - offset));
    fs.readSync(descriptor, content, 0, content.length, offset);
    return content.toString('utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}
