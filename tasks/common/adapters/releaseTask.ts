import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import type { DeployRequest } from '../core/deployRequest';
import { TaskError } from '../core/failure';
import type { ReleaseContext } from '../core/releaseContext';
import { systemClock } from './clock';
import { createCluster } from './cluster';
import { openConnection } from './connection';
import { createHelm } from './helm';
import type { TaskRun } from './runTask';
import { createReleaseStorage } from './storage';

/** Opens everything that a flow about one release acts through, and runs the flow. */
export async function withRelease<T>(
  run: TaskRun,
  request: DeployRequest,
  flow: (context: ReleaseContext) => Promise<T>,
): Promise<T> {
  const { agent, signal } = run;
  const { childEnvironment } = agent.environment;
  const notice = (text: string): void => {
    agent.log(text);
  };
  const mask = (secret: string): void => {
    agent.mask(secret);
  };
  const binary = request.helmPath ?? helmOnPath(childEnvironment);
  const connection = openConnection(agent, request.connection);
  const namespace = request.namespace ?? connection.namespace ?? 'default';
  const cluster = await createCluster(connection.kubeconfigPath, {
    environment: childEnvironment,
    signal: afterwards(signal, lastReadsMs),
    onNotice: notice,
    onSecret: mask,
  });
  try {
    const storage = createReleaseStorage(cluster, {
      release: request.releaseName,
      namespace,
      driver: childEnvironment['HELM_DRIVER'],
      onNotice: notice,
    });
    const helm = createHelm({
      binary,
      kubeconfig: connection.kubeconfigPath,
      namespace,
      request,
      folder: agent.privateFolder,
      workingDirectory: agent.workingDirectory,
      environment: childEnvironment,
      isDebug: agent.isDebug,
      onLine: (line) => {
        agent.log(`  ${line}`);
      },
    });
    return await flow({ agent, helm, storage, cluster, clock: systemClock, request, namespace, signal });
  } finally {
    cluster.close();
    connection.close();
  }
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
