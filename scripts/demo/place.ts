import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import readline from 'node:readline/promises';
import { stringify } from 'yaml';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { kubeconfigConnection } from '../../test/support/product';
import type { JobSpec } from '../../test/support/agent';
import { up, type ClusterDescription } from '../cluster/cluster';
import { realNodeObstacle } from '../cluster/debian';
import { newestHelm4 } from '../cluster/pins';
import { isLocalServer, localAddresses } from './locality';
import { UsageError, type DemoOptions, type EmbeddedClusterOptions, type OwnClusterOptions } from './options';
import type { Screen } from './screen';

/** A change of one file in the pipeline's repository. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The cluster of the demo, and everything that depends on the cluster. */
export interface Place {
  readonly kind: 'real node' | 'simulated nodes' | 'own cluster';
  readonly kubeconfig: string;
  readonly helm: string;
  readonly cluster: ClusterConnection;
  /** The credentials of the pipeline. */
  readonly job: Pick<JobSpec, 'endpoints' | 'variables'>;
  readonly loginInputs: Readonly<Record<string, string>>;
  /** Additional environment variables for the agent's processes. */
  readonly environment: Readonly<Record<string, string>>;
  /** The values of the chart for this cluster. Undefined means the chart's defaults. */
  readonly values: string | undefined;
  /** The change that keeps version 2 from getting ready. */
  readonly mistake: Edit;
  readonly mistakeSentence: string;
  readonly timeouts: { readonly good: string; readonly bad: string };
}

export async function openPlace(options: DemoOptions, screen: Screen, signal: AbortSignal): Promise<Place> {
  return options.where === 'own cluster' ? ownCluster(options, screen, signal) : embedded(options, screen, signal);
}

async function embedded(options: EmbeddedClusterOptions, screen: Screen, signal: AbortSignal): Promise<Place> {
  if (options.helm !== undefined) await assertExecutable(options.helm);
  const description = await up({
    name: options.cluster,
    realNode: options.realNode,
    kwokNodes: options.realNode && (await realNodeObstacle()) === undefined ? 0 : 2,
    // The demo finds the pods by the endpoints of its Service.
    dns: false,
    helms: [newestHelm4],
    log: (line) => {
      screen.aside(line);
    },
    signal,
  });
  const hasRealNode = description.nodes.some(({ kind }) => kind === 'real');
  const connection = kubeconfigConnection(description.kubeconfig);
  return {
    kubeconfig: description.kubeconfig,
    helm: path.resolve(options.helm ?? description.helm4),
    cluster: await createCluster(description.kubeconfig),
    job: { endpoints: [connection] },
    loginInputs: { kubernetesServiceConnection: connection.name },
    environment: {},
    timeouts: { good: '2m', bad: '30s' },
    ...(hasRealNode ? realNode : simulated(description)),
  };
}

type Workload = Pick<Place, 'kind' | 'values' | 'mistake' | 'mistakeSentence'>;

const wrongPort = (port: number): Pick<Place, 'mistake' | 'mistakeSentence'> => ({
  mistake: { file: 'shop/values.yaml', from: '  port: http', to: `  port: ${port}` },
  mistakeSentence: `its readiness probe now asks port ${port}, where the application does not listen. Everything else about it is fine, and so is the chart: only the running cluster can tell.`,
});

const realNode: Workload = { kind: 'real node', values: undefined, ...wrongPort(8081) };

function simulated(_description: ClusterDescription): Workload {
  return {
    kind: 'simulated nodes',
    values: stringify({ nodeSelector: { type: 'kwok' }, tolerations: [{ operator: 'Exists' }] }),
    mistake: { file: 'values.yaml', from: 'type: kwok', to: 'type: gpu' },
    mistakeSentence: 'its pods ask for a kind of node that this cluster does not have.',
  };
}

async function ownCluster(options: OwnClusterOptions, screen: Screen, signal: AbortSignal): Promise<Place> {
  const { image, port } = options;
  const kubeconfig = path.resolve(options.kubeconfig);
  const helm = options.helm === undefined ? await helmOnPath() : path.resolve(options.helm);
  await assertExecutable(helm);
  const cluster = await createCluster(kubeconfig);
  if (!isLocalServer(cluster.server, localAddresses()) && !options.yes) await askLeave(cluster.server, screen, signal);
  return {
    kind: 'own cluster',
    kubeconfig,
    helm,
    cluster,
    job: {},
    loginInputs: { connectionType: 'none' },
    // The credential plug-ins of the kubeconfig need the user's environment.
    environment: { ...userEnvironment(), KUBECONFIG: kubeconfig },
    values: stringify({ image, port, readiness: { path: '/' } }),
    ...wrongPort(port === 8081 ? 8082 : 8081),
    timeouts: { good: '5m', bad: '1m' },
  };
}

/** Asks for permission before the first request to the cluster. Rejects unless the person agrees. */
async function askLeave(server: string, screen: Screen, signal: AbortSignal): Promise<void> {
  const what = `The current context leads to ${server}, which is not on this machine.`;
  if (!process.stdin.isTTY) {
    throw new UsageError(
      `${what} There is no terminal to ask on: --yes allows the demo to use it. Nothing was changed.`,
    );
  }
  screen.say(
    `${what} The demo would create a namespace there, run two small pods and a third one that never gets ready, send them about 25 requests a second for a minute, and remove the namespace afterwards.`,
  );
  const terminal = readline.createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question('\n    Continue? [y/N] ', { signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error('Nothing was changed.');
  } finally {
    terminal.close();
  }
}

/** The environment without variables of npm and of this checkout. */
function userEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^(npm_|NODE_|INIT_CWD$|PATH$)/i.test(entry[0]),
  );
  return Object.fromEntries(entries);
}

async function helmOnPath(): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(folder, process.platform === 'win32' ? 'helm.exe' : 'helm');
    if (await isExecutable(file)) return file;
  }
  throw new UsageError('There is no helm on PATH; --helm names one.');
}

async function assertExecutable(file: string): Promise<void> {
  if (await isExecutable(file)) return;
  throw new UsageError(`--helm: ${file} is not a program that can be started.`);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
