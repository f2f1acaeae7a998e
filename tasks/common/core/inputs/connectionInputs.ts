import { clusterExpected, groupExpected, parseAzureCluster, parseResourceGroup } from '../azure/azureCluster';
import type { AzureConnectionRequest, ConnectionRequest } from './deployRequest';
import type { InputReader } from './inputs';
import { namespaceExpected, parseNamespace } from './releaseName';

export const connectionInputDefaults = {
  connectionType: 'kubernetesServiceConnection',
  kubernetesServiceConnection: '',
  azureSubscription: '',
  azureResourceGroup: '',
  kubernetesCluster: '',
  useClusterAdmin: 'false',
  namespace: '',
} as const;

const connectionTypes = ['kubernetesServiceConnection', 'azureResourceManager', 'none'] as const;

/** For a Kubernetes resource of a deployment job, the server hands over its connection without setting the input. */
export function readConnection(read: InputReader, available: readonly string[]): ConnectionRequest {
  const type = read.parsed('connectionType', typesExpected, parseConnectionType, connectionTypes[0]);
  if (type === 'none') return { type };
  if (type === 'azureResourceManager') return readAzure(read);
  const only = available.length === 1 ? available[0] : undefined;
  const expected = 'the name of a Kubernetes service connection (or connectionType: azureResourceManager, or none)';
  return { type, id: read.parsed('kubernetesServiceConnection', expected, (text) => text || only, '') };
}

const typesExpected = 'kubernetesServiceConnection, azureResourceManager or none';

/** HelmDeploy@1 has the same words with blanks. */
function parseConnectionType(text: string): (typeof connectionTypes)[number] | undefined {
  const word = text.replace(/ /g, '').toLowerCase();
  return connectionTypes.find((type) => type.toLowerCase() === word);
}

function readAzure(read: InputReader): AzureConnectionRequest {
  const expected = 'the name of an Azure Resource Manager service connection';
  const id = read.parsed('azureSubscription', expected, (text) => text || undefined, '');
  const isEmpty = read.text('azureResourceGroup') === '';
  const place = isEmpty ? undefined : read.parsed('azureResourceGroup', groupExpected, parseResourceGroup, undefined);
  const unknown = { resourceGroup: '', name: '' };
  const parse = (text: string) => parseAzureCluster(text, place ?? (isEmpty ? undefined : unknown));
  const wanted = isEmpty ? `${clusterExpected}; a name also needs azureResourceGroup` : clusterExpected;
  const cluster = read.parsed('kubernetesCluster', wanted, parse, unknown);
  return { type: 'azureResourceManager', id, cluster, useClusterAdmin: read.boolean('useClusterAdmin') };
}

export function readNamespace(read: InputReader): string | undefined {
  // An empty input selects the namespace of the connection.
  const expected = `${namespaceExpected}, or nothing for the connection's own`;
  return read.parsed('namespace', expected, (text) => (text === '' ? '' : parseNamespace(text)), '') || undefined;
}
