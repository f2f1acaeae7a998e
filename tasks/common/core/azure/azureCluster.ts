/** What the inputs azureResourceGroup and kubernetesCluster name. */
export interface AzureCluster {
  /** Absent if a name is given: it may be that of a cluster or of a fleet. */
  kind?: AzureClusterKind;
  /** Absent: the subscription of the service connection. */
  subscription?: string;
  resourceGroup: string;
  name: string;
}

/** The names of Azure Resource Manager. A fleet has no administrator's credentials. */
export type AzureClusterKind = 'managedClusters' | 'fleets';

export const clusterExpected =
  'the name of an AKS cluster or of a fleet, or the whole resource id (/subscriptions/.../resourceGroups/.../providers/Microsoft.ContainerService/managedClusters/...)';
export const groupExpected =
  'the name of the resource group of the cluster, or its resource id (it may be empty if kubernetesCluster is a resource id)';

const clusterId =
  /^\/subscriptions\/([\w-]{1,64})\/resourceGroups\/([^/]{1,90})\/providers\/Microsoft\.ContainerService\/(managedClusters|fleets)\/([^/]{1,63})\/?$/i;
const groupId = /^\/subscriptions\/([\w-]{1,64})\/resourceGroups\/([^/]{1,90})\/?$/i;
const clusterName = /^[a-z0-9][\w-]{0,62}$/i;
const groupName = /^[-\p{L}\p{N}_.()]{1,90}$/u;

type Place = Pick<AzureCluster, 'subscription' | 'resourceGroup'>;

/** Undefined if the text is neither a name nor an id. */
export function parseResourceGroup(text: string): Place | undefined {
  const [, subscription, group] = groupId.exec(text) ?? [];
  if (subscription !== undefined && group !== undefined && groupName.test(group)) {
    return { subscription, resourceGroup: group };
  }
  return groupName.test(text) && !text.endsWith('.') ? { resourceGroup: text } : undefined;
}

/** `place` is undefined if the input azureResourceGroup is empty. Undefined if the text is neither a name nor an id. */
export function parseAzureCluster(text: string, place: Place | undefined): AzureCluster | undefined {
  const [, subscription, group, kind, name] = clusterId.exec(text) ?? [];
  if (subscription !== undefined && group !== undefined && name !== undefined) {
    if (!groupName.test(group) || !clusterName.test(name)) return undefined;
    const isFleet = kind?.toLowerCase() === 'fleets';
    return { kind: isFleet ? 'fleets' : 'managedClusters', subscription, resourceGroup: group, name };
  }
  return clusterName.test(text) && place !== undefined ? { ...place, name: text } : undefined;
}

/** The path of Azure Resource Manager, without its query. */
export function clusterPath(cluster: AzureCluster, kind: AzureClusterKind, subscription: string): string {
  const place = `/subscriptions/${encodeURIComponent(cluster.subscription ?? subscription)}`;
  const group = `/resourceGroups/${encodeURIComponent(cluster.resourceGroup)}`;
  return `${place}${group}/providers/Microsoft.ContainerService/${kind}/${cluster.name}`;
}
