import type { BakeRequest } from '../../core/inputs/bakeRequest';
import type { ConnectionRequest } from '../../core/inputs/deployRequest';
import type { Cluster, MetricsPort, ReleaseStorage } from '../../core/ports';
import { createCluster } from '../kubernetes/cluster';
import { openAzureConnection } from '../azure/connection';
import type { Transport } from '../kubernetes/transport';
import type { ClusterIdentity } from '../kubernetes/clusterIdentity';
import { openConnection, type ClusterConnection } from '../kubernetes/connection';
import type { TaskAgent } from '../agent/agent';
import { exemptServer } from '../agent/agentProxy';
import type { TaskRun } from '../agent/runTask';
import { openMetrics } from '../metrics/openMetrics';
import { createReleaseStorage } from '../helm/storage';

interface OpenCluster {
  cluster: Cluster;
  /** Sends requests to the API server that are not about objects. */
  transport: Transport;
  kubeconfigPath: string;
  /** Present if the kubeconfig holds no credential, and the task signs in. */
  identity: ClusterIdentity | undefined;
  namespace: string;
  /** Helm's records of the release in `namespace`. */
  storageOf: (release: string) => ReleaseStorage;
}

/** The files of the connection are removed in every case. */
export async function withCluster<T>(
  { agent, signal }: TaskRun,
  request: { connection: ConnectionRequest; namespace?: string },
  flow: (open: OpenCluster) => Promise<T>,
): Promise<T> {
  const { childEnvironment } = agent.environment;
  const notice = (text: string): void => {
    agent.log(text);
  };
  const mask = (secret: string): void => {
    agent.mask(secret);
  };
  const untilLastReads = afterwards(signal, lastReadsMs);
  const connection = await openAnyConnection(agent, request.connection, untilLastReads);
  exemptServer(connection.server, agent.environment.variable, childEnvironment);
  const namespace = request.namespace ?? connection.namespace ?? 'default';
  const cluster = await createCluster(connection.kubeconfigPath, {
    environment: childEnvironment,
    signal: untilLastReads,
    askToken: connection.identity?.askToken,
    onNotice: notice,
    onSecret: mask,
    redact: agent.redact,
  });
  const driver = childEnvironment['HELM_DRIVER'];
  try {
    return await flow({
      cluster,
      transport: cluster.transport,
      kubeconfigPath: connection.kubeconfigPath,
      identity: connection.identity,
      namespace,
      storageOf: (release) =>
        createReleaseStorage(cluster, { release, namespace, driver, onNotice: notice, redact: agent.redact }),
    });
  } finally {
    cluster.close();
    connection.close();
  }
}

async function openAnyConnection(
  agent: TaskAgent,
  request: ConnectionRequest,
  signal: AbortSignal,
): Promise<ClusterConnection> {
  if (request.type === 'azureResourceManager') return openAzureConnection(agent, request, { signal });
  return openConnection(agent, request);
}

/** The way to the metrics servers is closed in every case. */
export async function withMetrics<T>(
  { agent, signal }: TaskRun,
  { bake, connection }: { bake?: BakeRequest; connection: ConnectionRequest },
  cluster: Transport,
  flow: (metrics: MetricsPort | undefined) => Promise<T>,
): Promise<T> {
  if (bake?.metrics === undefined) return flow(undefined);
  const metrics = await openMetrics({ agent, signal, connection, cluster }, bake.metrics);
  try {
    return await flow(metrics);
  } finally {
    metrics.close();
  }
}

/** A cancelled task still reads the state that it leaves, but the agent soon kills it. */
const lastReadsMs = 4000;

function afterwards(signal: AbortSignal, milliseconds: number): AbortSignal {
  const end = new AbortController();
  const start = (): void => {
    setTimeout(() => {
      end.abort();
    }, milliseconds).unref();
  };
  if (signal.aborted) start();
  else signal.addEventListener('abort', start, { once: true });
  return end.signal;
}
