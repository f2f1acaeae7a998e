import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import type { ConnectionRequest, DeployRequest } from '../core/deployRequest';
import { TaskError } from '../core/failure';
import type { Cluster, ReleaseStorage } from '../core/ports';
import type { ReleaseContext } from '../core/releaseContext';
import { systemClock } from './clock';
import { createCluster } from './cluster';
import { openConnection } from './connection';
import { createHelm } from './helm';
import type { TaskRun } from './runTask';
import { createReleaseStorage } from './storage';

/** A way to the cluster, open for as long as a flow runs. */
export interface OpenCluster {
  cluster: Cluster;
  kubeconfigPath: string;
  namespace: string;
  /** Helm's records of one release in that namespace. */
  storageOf: (release: string) => ReleaseStorage;
}

/** Connects as the inputs say, runs the flow, and removes on every path what was written for it. */
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
  const connection = openConnection(agent, request.connection);
  const namespace = request.namespace ?? connection.namespace ?? 'default';
  const cluster = await createCluster(connection.kubeconfigPath, {
    environment: childEnvironment,
    signal: afterwards(signal, lastReadsMs),
    onNotice: notice,
    onSecret: mask,
  });
  const driver = childEnvironment['HELM_DRIVER'];
  try {
    return await flow({
      cluster,
      kubeconfigPath: connection.kubeconfigPath,
      namespace,
      storageOf: (release) => createReleaseStorage(cluster, { release, namespace, driver, onNotice: notice }),
    });
  } finally {
    cluster.close();
    connection.close();
  }
}

/** Opens everything that a flow about one release acts through, and runs the flow. */
export async function withRelease<T>(
  run: TaskRun,
  request: DeployRequest,
  flow: (context: ReleaseContext) => Promise<T>,
): Promise<T> {
  const { agent, signal } = run;
  const environment = agent.environment.childEnvironment;
  const binary = request.helmPath ?? helmOnPath(environment);
  return withCluster(run, request, ({ cluster, kubeconfigPath, namespace, storageOf }) => {
    const storage = storageOf(request.releaseName);
    const helm = createHelm({
      binary,
      kubeconfig: kubeconfigPath,
      namespace,
      request,
      folder: agent.privateFolder,
      workingDirectory: agent.workingDirectory,
      environment,
      isDebug: agent.isDebug,
      onLine: (line) => {
        agent.log(`  ${line}`);
      },
    });
    return flow({ agent, helm, storage, cluster, clock: systemClock, request, namespace, signal });
  });
}

/** A cancelled task still reads what it left behind, but the agent's patience is short, also with a server that is away. */
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

function helmOnPath(environment: NodeJS.ProcessEnv): string {
  const names = process.platform === 'win32' ? ['helm.exe', 'helm.cmd', 'helm.bat'] : ['helm'];
  const folders = (environment['PATH'] ?? environment['Path'] ?? '')
    .split(path.delimiter)
    .filter((folder) => folder !== '');
  const found = folders.flatMap((folder) => names.map((name) => path.join(folder, name))).find(isExecutable);
  if (found !== undefined) return found;
  throw new TaskError('HelmMissing', 'There is no helm on PATH, and the input helmPath is empty.');
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
