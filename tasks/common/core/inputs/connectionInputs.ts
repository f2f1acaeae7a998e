import type { ConnectionRequest } from './deployRequest';
import type { InputReader } from './inputs';
import { namespaceExpected, parseNamespace } from './releaseName';

/** The inputs by which every task finds its cluster and its namespace. */
export const connectionInputDefaults = {
  connectionType: 'kubernetesServiceConnection',
  kubernetesServiceConnection: '',
  namespace: '',
} as const;

/**
 * In a deployment job with a Kubernetes resource, the server hands over the resource's service connection without
 * setting the input. So if exactly one connection is available, it is used.
 */
export function readConnection(read: InputReader, available: readonly string[]): ConnectionRequest {
  const type = read.choice('connectionType', ['kubernetesServiceConnection', 'none']);
  if (type === 'none') return { type };
  const only = available.length === 1 ? available[0] : undefined;
  const expected = 'the name of a Kubernetes service connection (or connectionType: none)';
  return { type, id: read.parsed('kubernetesServiceConnection', expected, (text) => text || only, '') };
}

export function readNamespace(read: InputReader): string | undefined {
  // An empty input is valid: it selects the namespace of the connection.
  const expected = `${namespaceExpected}, or nothing for the connection's own`;
  return read.parsed('namespace', expected, (text) => (text === '' ? '' : parseNamespace(text)), '') || undefined;
}
