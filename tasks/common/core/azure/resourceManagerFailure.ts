import { TaskError } from '../failure';
import { isRecord } from '../kubernetes/json';
import type { AzureCluster } from './azureCluster';
import { quoted } from './quoted';

/** An answer of Azure Resource Manager that is no success. Its text is redacted. */
export interface Refusal {
  status: number;
  body: string;
}

export interface Asked {
  cluster: AzureCluster;
  useClusterAdmin: boolean;
}

/** Throws nothing: it returns what the task has to throw. */
export function credentialsFailure(refusal: Refusal, asked: Asked): TaskError {
  const { code, text } = errorOf(refusal);
  const { cluster, useClusterAdmin } = asked;
  const answered = `Azure Resource Manager answered ${refusal.status}${text === '' ? '' : ` (${text})`}`;
  const could = `Could not get the credentials of ${clusterWords(cluster)}: ${answered}.`;
  if (useClusterAdmin && /disable local accounts|Getting static credential is not allowed/i.test(text)) {
    const message = `Input useClusterAdmin holds "true", but the cluster ${cluster.name} has no local accounts: ${answered}. Set useClusterAdmin to false, and give the identity of the service connection a role in the cluster. Nothing was changed.`;
    return new TaskError('InputInvalid', message, { facts: { inputs: 'useClusterAdmin' } });
  }
  switch (refusal.status) {
    case 401:
      return new TaskError(
        'CredentialsRejected',
        `${could} It did not accept the token of the service connection; check the tenant of the connection and the cloud of the subscription.`,
      );
    case 403:
      return new TaskError('PermissionDenied', `${could} ${grant(asked)}`);
    case 404:
      return notFound(code, answered, cluster);
    default:
      return new TaskError('ConnectionInvalid', `${could} ${nextStep(refusal.status)}`);
  }
}

function nextStep(status: number): string {
  if (status === 429) return 'The subscription is throttled, even after the task has waited; run the step again later.';
  if (status >= 500) return 'Azure has a fault; run the step again later, and look at the service health of Azure.';
  return 'Look at the state of the cluster in the Azure portal.';
}

function grant({ cluster, useClusterAdmin }: Asked): string {
  const role = useClusterAdmin
    ? 'Azure Kubernetes Service Cluster Admin Role'
    : cluster.kind === 'fleets'
      ? 'Azure Kubernetes Fleet Manager Contributor Role'
      : 'Azure Kubernetes Service Cluster User Role';
  return `Give the identity of the service connection the role «${role}» on it. A new role takes a few minutes to count.`;
}

function notFound(code: string, answered: string, cluster: AzureCluster): TaskError {
  const isGroup = /ResourceGroupNotFound/i.test(code);
  const isSubscription = /SubscriptionNotFound|InvalidSubscriptionId/i.test(code);
  const [input, holds] = isGroup ? ['azureResourceGroup', cluster.resourceGroup] : ['kubernetesCluster', cluster.name];
  const what = isSubscription
    ? "the connection's identity sees no such subscription; check the subscription of azureSubscription"
    : isGroup
      ? 'there is no such resource group in the subscription of azureSubscription; check its spelling and the subscription'
      : `there is no cluster and no fleet of this name in the resource group ${cluster.resourceGroup}; check its spelling, the group and the subscription`;
  const message = `Input ${input} holds "${holds}"; ${what}. ${answered}. Nothing was changed.`;
  return new TaskError('InputInvalid', message, { facts: { inputs: input } });
}

function clusterWords({ kind, name, resourceGroup }: AzureCluster): string {
  return `${kind === 'fleets' ? 'fleet' : 'cluster'} ${name} in resource group ${resourceGroup}`;
}

/** Azure answers with `{error: {code, message}}`, and older parts of it with the inner object alone. */
function errorOf({ body }: Refusal): { code: string; text: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return { code: '', text: quoted(body) };
  }
  const outer = isRecord(parsed) ? parsed : {};
  const error = isRecord(outer['error']) ? outer['error'] : outer;
  const code = typeof error['code'] === 'string' ? error['code'] : '';
  const message = typeof error['message'] === 'string' ? error['message'] : '';
  return { code, text: quoted([code, message].filter((part) => part !== '').join(': ')) };
}

/** What the task must know of a cluster to explain why its API server cannot be reached. */
export interface ClusterFacts {
  isStopped: boolean;
  isPrivate: boolean;
}

/** `body` is the answer to a GET of the cluster. */
export function clusterFacts(body: unknown): ClusterFacts {
  const properties = isRecord(body) && isRecord(body['properties']) ? body['properties'] : {};
  const power = isRecord(properties['powerState']) ? properties['powerState']['code'] : undefined;
  const profile = isRecord(properties['apiServerAccessProfile']) ? properties['apiServerAccessProfile'] : {};
  return { isStopped: power === 'Stopped', isPrivate: profile['enablePrivateCluster'] === true };
}

export function stoppedFailure({ name, resourceGroup }: AzureCluster): TaskError {
  return new TaskError(
    'ClusterUnreachable',
    `The cluster ${name} is stopped, so it has no API server. Start it (az aks start --resource-group ${resourceGroup} --name ${name}) and run the step again. Nothing was changed.`,
  );
}

/** `host` is the API server's, which the DNS of the agent does not know. */
export function unresolvedFailure({ name }: AzureCluster, host: string, isPrivate: boolean): TaskError {
  const why = isPrivate
    ? `the cluster ${name} is private. Run the job on an agent in its virtual network, or in one that is peered and linked to its private DNS zone`
    : 'check the DNS of the agent, and that the cluster was not deleted a moment ago';
  return new TaskError(
    'ClusterUnreachable',
    `The DNS of the agent does not know ${host}, the API server of the cluster: ${why}. Nothing was changed.`,
  );
}

export function fleetAdminFailure({ name }: AzureCluster): TaskError {
  return new TaskError(
    'InputInvalid',
    `Input useClusterAdmin holds "true", but ${name} is a fleet, and a fleet has no administrator's credentials. Set it to false. Nothing was changed.`,
    { facts: { inputs: 'useClusterAdmin' } },
  );
}
