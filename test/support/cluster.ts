import { randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import readline from 'node:readline';
import { ownUserAgent, request } from '../../scripts/cluster/api';
import {
  adminApiServer,
  type ClusterDescription,
  killKubelet,
  startApiServer,
  startKubelet,
  stopApiServer,
  up,
} from '../../scripts/cluster/cluster';
import { command, succeed } from '../../scripts/cluster/command';
import { waitFor } from '../../scripts/cluster/wait';

/** The request and its answer as the API server recorded them (audit.k8s.io/v1 Event, level Metadata). */
export interface AuditEvent {
  readonly auditID: string;
  readonly stage: 'ResponseStarted' | 'ResponseComplete' | 'Panic';
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly apiGroup?: string;
  };
  readonly responseStatus?: { readonly code: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

export interface AuditFilter {
  /** Earlier requests are left out. */
  readonly since?: Date;
  readonly userAgent?: RegExp;
  readonly username?: string;
  readonly namespace?: string;
}

export interface TestCluster extends ClusterDescription {
  /** If false, nothing runs containers here, and tests that need a real node must be skipped. */
  readonly hasRealNode: boolean;
  /** Returns when the API server's port is free. Every connection is cut at once, as when its machine dies. */
  readonly stopApiServer: () => Promise<void>;
  /** Returns when the API server is ready. Does nothing if it is running. */
  readonly startApiServer: () => Promise<void>;
  readonly restartApiServer: () => Promise<void>;
  /** The node's containers go on, but nothing is started, probed or stopped any more. */
  readonly killKubelet: () => Promise<void>;
  /** Returns when the node is ready. Does nothing if the kubelet runs. */
  readonly startKubelet: () => Promise<void>;
  /**
   * The requests to the API server, one event per request in its last recorded stage, oldest first. Complete for all
   * requests answered before the call. Reads by the cluster's own components are not recorded, and requests by these
   * scripts are left out.
   */
  readonly auditEvents: (filter?: Date | AuditFilter) => Promise<AuditEvent[]>;
  /** The standard output of kubectl as the cluster's administrator. Rejects with its output if it fails. */
  readonly runKubectl: (...args: readonly string[]) => Promise<string>;
  /** Runs kubectl with `-o json` and parses the output. */
  readonly kubectlJson: <Result = unknown>(...args: readonly string[]) => Promise<Result>;
  /** Applies objects in a namespace, given as YAML or JSON text. */
  readonly apply: (namespace: string, manifest: string) => Promise<void>;
  /** Makes a namespace, named after `prefix` and ready for pods. */
  readonly namespace: (prefix: string) => Promise<string>;
  /** Deletes one namespace made by `namespace`, or all of them, without waiting for the end. */
  readonly cleanUp: (namespace?: string) => Promise<void>;
}

export interface TestClusterOptions {
  /** Default: HELM_SAFE_DEPLOY_TEST_CLUSTER, else `default`. Tests that disturb the API server or the node take one of their own. */
  readonly name?: string;
  readonly realNode?: boolean;
  readonly kwokNodes?: number;
  readonly signal?: AbortSignal;
}

/** Starts the shared cluster or finds it running. The cluster keeps running for the next test. */
export async function cluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const name = options.name ?? process.env.HELM_SAFE_DEPLOY_TEST_CLUSTER ?? 'default';
  const description = await up({
    name,
    realNode: options.realNode ?? true,
    kwokNodes: options.kwokNodes ?? 2,
    dns: true,
    log: (line) => {
      console.error(line);
    },
    signal: options.signal ?? new AbortController().signal,
  });
  bypassProxy(new URL(adminApiServer(name).url).hostname);
  const runKubectl = (...args: readonly string[]) =>
    succeed(description.kubectl, ['--kubeconfig', description.kubeconfig, ...args]);
  // Another Helm may replace the newest of its major version, to be examined.
  const { HELM_SAFE_DEPLOY_TEST_HELM3: helm3, HELM_SAFE_DEPLOY_TEST_HELM4: helm4 } = process.env;
  return {
    ...description,
    ...(helm3 ? { helm3 } : {}),
    ...(helm4 ? { helm4 } : {}),
    hasRealNode: description.nodes.some(({ kind }) => kind === 'real'),
    stopApiServer: () => stopApiServer(name),
    startApiServer: () => startApiServer(name),
    restartApiServer: async () => {
      await stopApiServer(name);
      await startApiServer(name);
    },
    killKubelet: () => killKubelet(name),
    startKubelet: () => startKubelet(name),
    auditEvents: (filter = {}) => auditEvents(description, filter instanceof Date ? { since: filter } : filter),
    runKubectl,
    kubectlJson: async <Result>(...args: readonly string[]) =>
      JSON.parse(await runKubectl(...args, '--output=json')) as Result,
    apply: (namespace, manifest) => apply(description, namespace, manifest),
    ...namespaces(description, runKubectl),
  };
}

/**
 * The address of a cluster with a real node is not a loopback address, so a proxy of the build machine would get its
 * requests.
 */
function bypassProxy(host: string): void {
  const { env } = process;
  if (!env.HTTPS_PROXY && !env.https_proxy) return;
  const hosts = new Set((env.NO_PROXY ?? env.no_proxy ?? '').split(',').filter((each) => each !== ''));
  env.NO_PROXY = env.no_proxy = [...hosts.add(host)].join(',');
}

async function apply(description: ClusterDescription, namespace: string, manifest: string): Promise<void> {
  const args = ['--kubeconfig', description.kubeconfig, '--namespace', namespace, 'apply', '--filename=-'];
  const result = await command(description.kubectl, args, { input: manifest });
  if (result.code !== 0) throw new Error(`kubectl apply in ${namespace} fails: ${result.stderr}\n${manifest}`);
}

type Namespaces = Pick<TestCluster, 'namespace' | 'cleanUp'>;

function namespaces(description: ClusterDescription, runKubectl: TestCluster['runKubectl']): Namespaces {
  const made = new Set<string>();
  const remove = async (name: string) => {
    made.delete(name);
    await runKubectl('delete', 'namespace', name, '--wait=false', '--ignore-not-found');
  };
  return {
    namespace: async (prefix) => {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`;
      await runKubectl('create', 'namespace', name);
      made.add(name);
      const serviceAccount = `/api/v1/namespaces/${name}/serviceaccounts/default`;
      const server = adminApiServer(description.name);
      const exists = async () => (await request(server, 'GET', serviceAccount)).status === 200;
      await waitFor(`the service account "default" in ${name}`, exists, { timeoutSeconds: 30 });
      return name;
    },
    cleanUp: async (name) => {
      for (const each of name === undefined ? [...made] : [name]) await remove(each);
    },
  };
}

async function auditEvents(description: ClusterDescription, filter: AuditFilter): Promise<AuditEvent[]> {
  await flushAuditLog(description);
  const since = filter.since?.toISOString() ?? '';
  const events = new Map<string, AuditEvent>();
  for await (const line of readline.createInterface({ input: fs.createReadStream(description.auditLog) })) {
    const event = parseEvent(line);
    if (!event || event.userAgent === ownUserAgent) continue;
    // The server's timestamps have microseconds. Cut to the milliseconds of a Date, they can be compared as text.
    if (`${event.requestReceivedTimestamp.slice(0, 23)}Z` < since) continue;
    if (matches(event, filter)) events.set(event.auditID, event);
  }
  return [...events.values()];
}

/** The record of a request is written shortly after its answer. When that of a last request exists, all exist. */
async function flushAuditLog(description: ClusterDescription): Promise<void> {
  const path = `/audit-marker-${randomUUID()}`;
  const size = fs.existsSync(description.auditLog) ? fs.statSync(description.auditLog).size : 0;
  await request(adminApiServer(description.name), 'GET', path);
  await waitFor('the audit log to be written', () => readFrom(description.auditLog, size).includes(path), {
    timeoutSeconds: 20,
    intervalMilliseconds: 10,
  });
}

function readFrom(file: string, offset: number): string {
  const descriptor = fs.openSync(file, 'r');
  try {
    const length = Math.max(0, fs.fstatSync(descriptor).size - offset);
    const content = Buffer.alloc(length);
    fs.readSync(descriptor, content, 0, length, offset);
    return content.toString('utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}

/** An incomplete line, which is just being written, is not yet an event. */
function parseEvent(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    return undefined;
  }
}

function matches(event: AuditEvent, { userAgent, username, namespace }: AuditFilter): boolean {
  if (userAgent && !userAgent.test(event.userAgent ?? '')) return false;
  if (username !== undefined && event.user.username !== username) return false;
  return namespace === undefined || event.objectRef?.namespace === namespace;
}
