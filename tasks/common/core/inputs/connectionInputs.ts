import type { ConnectionRequest } from './deployRequest';
import type { InputReader } from './inputs';
import { namespaceExpected, parseNamespace } from './releaseName';

export const connectionInputDefaults = {
  connectionType: 'kubernetesServiceConnection',
  kubernetesServiceConnection: '',
  namespace: '',
} as const;

/** For a Kubernetes resource of a deployment job, the server hands over its connection without setting the input. */
export function readConnection(read: InputReader, available: readonly string[]): ConnectionRequest {
  const type = read.choice('connectionType', ['kubernetesServiceConnection', 'none']);
  if (type === 'none') return { type };
  const only = available.length === 1 ? available[0] : undefined;
  const expected = 'the name of a Kubernetes service connection (or connectionType: none)';
  return { type, id: read.parsed('kubernetesServiceConnection', expected, (text) => text || only, '') };
}

export function readNamespace(read: InputReader): string | undefined {
  // An empty input selects the namespace of the connection.
  const expected = `${namespaceExpected}, or nothing for the connection's own`;
  return read.parsed('namespace', expected, (text) => (text === '' ? '' : parseNamespace(text)), '') || undefined;
}
