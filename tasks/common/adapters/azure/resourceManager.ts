import { clusterPath, type AzureCluster, type AzureClusterKind } from '../../core/azure/azureCluster';
import type { AzureConnection } from '../../core/azure/azureIdentity';
import {
  clusterFacts,
  credentialsFailure,
  fleetAdminFailure,
  type ClusterFacts,
} from '../../core/azure/resourceManagerFailure';
import { TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';
import { fromBase64 } from '../../core/text/base64';
import { credentialSource, type AskToken } from '../kubernetes/credentials';
import type { Answer } from '../kubernetes/errors';
import type { AzureRequests } from './requests';

interface ResourceManagerOptions {
  connection: AzureConnection;
  cluster: AzureCluster;
  useClusterAdmin: boolean;
  requests: AzureRequests;
  /** Gives tokens for Azure Resource Manager. */
  askToken: AskToken;
}

/** The same versions as the built-in tasks use. */
const clusterVersion = '2024-05-01';
const fleetVersion = '2024-04-01';

export interface ResourceManager {
  /** Returns the text of the kubeconfig. Throws TaskError. */
  kubeconfig(): Promise<string>;
  /** Undefined if the identity may not read the cluster, or for a fleet. */
  facts(): Promise<ClusterFacts | undefined>;
}

export function createResourceManager(options: ResourceManagerOptions): ResourceManager {
  const { connection, cluster, requests, askToken } = options;
  const { subscription } = connection;
  if (cluster.subscription === undefined && subscription === undefined) {
    const message =
      'The service connection of the input azureSubscription belongs to no subscription (a management group?). Give the whole resource id of the cluster in kubernetesCluster. Nothing was changed.';
    throw new TaskError('InputInvalid', message, { facts: { inputs: 'kubernetesCluster' } });
  }
  const credentials = bearer(askToken);
  const send = (method: 'GET' | 'POST', kind: AzureClusterKind, tail: string): Promise<Answer> =>
    requests.send({
      method,
      url: `${connection.resourceManager}${clusterPath(cluster, kind, subscription ?? '')}${tail}`,
      attempt: { verb: 'get', target: `the credentials of ${cluster.name}`, service: 'Azure Resource Manager' },
      credentials,
      ...(method === 'POST' ? { body: '' } : {}),
    });
  return {
    kubeconfig: () => kubeconfigText(options, send),
    async facts() {
      if (cluster.kind === 'fleets') return undefined;
      const answer = await send('GET', 'managedClusters', `?api-version=${clusterVersion}`).catch(() => undefined);
      return answer?.status === 200 ? clusterFacts(parsed(answer)) : undefined;
    },
  };
}

async function kubeconfigText(
  { cluster, useClusterAdmin }: ResourceManagerOptions,
  send: (method: 'POST', kind: AzureClusterKind, tail: string) => Promise<Answer>,
): Promise<string> {
  const action = useClusterAdmin ? 'listClusterAdminCredential' : 'listClusterUserCredential';
  const askFleet = (): Promise<Answer> => send('POST', 'fleets', `/listCredentials?api-version=${fleetVersion}`);
  if (cluster.kind === 'fleets') {
    if (useClusterAdmin) throw fleetAdminFailure(cluster);
    return kubeconfigIn(await askFleet(), { cluster, useClusterAdmin });
  }
  const answer = await send('POST', 'managedClusters', `/${action}?api-version=${clusterVersion}`);
  // A name may be that of a fleet in the same group.
  const isMissing = answer.status === 404 && cluster.kind === undefined;
  const fleet = isMissing ? await askFleet() : undefined;
  if (fleet?.status !== 200) return kubeconfigIn(answer, { cluster, useClusterAdmin });
  if (useClusterAdmin) throw fleetAdminFailure(cluster);
  return kubeconfigIn(fleet, { cluster, useClusterAdmin });
}

function kubeconfigIn(answer: Answer, asked: { cluster: AzureCluster; useClusterAdmin: boolean }): string {
  if (answer.status !== 200) {
    throw credentialsFailure({ status: answer.status, body: answer.body.toString('utf8') }, asked);
  }
  const body = parsed(answer);
  const list: unknown = isRecord(body) ? body['kubeconfigs'] : undefined;
  const first: unknown = Array.isArray(list) ? (list as unknown[])[0] : undefined;
  const value = isRecord(first) ? first['value'] : undefined;
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/=\s]+$/.test(value)) {
    const message = `Azure Resource Manager answered without a kubeconfig for ${asked.cluster.name} (${answer.contentType || 'no content type'}). A proxy may have answered in its place.`;
    throw new TaskError('ConnectionInvalid', message);
  }
  return fromBase64(value);
}

function parsed({ body }: Answer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function bearer(askToken: AskToken) {
  const access = { server: '', skipTlsVerify: false, user: { impersonation: {} } };
  return credentialSource(access, {
    askToken,
    reread: () => access,
    environment: {},
    onSecret: () => undefined,
    now: () => Date.now(),
    signal: undefined,
  });
}
