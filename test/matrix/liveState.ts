import type { ApiServer } from '../../scripts/cluster/api';
import { list, type LiveObject } from './api';

/** Every kind that the chart has in any revision, and some other kinds. */
const kinds = [
  '/api/v1/namespaces/$ns/configmaps',
  '/api/v1/namespaces/$ns/secrets',
  '/api/v1/namespaces/$ns/services',
  '/api/v1/namespaces/$ns/persistentvolumeclaims',
  '/apis/apps/v1/namespaces/$ns/deployments',
  '/apis/apps/v1/namespaces/$ns/statefulsets',
  '/apis/autoscaling/v2/namespaces/$ns/horizontalpodautoscalers',
  '/apis/networking.k8s.io/v1/namespaces/$ns/ingresses',
  '/apis/policy/v1/namespaces/$ns/poddisruptionbudgets',
] as const;

/** The fields of an object that come from the release, without those that the API server or a controller adds. */
export interface StateOfObject {
  /** The key is `Kind/name`. */
  readonly key: string;
  readonly uid: string;
  readonly isTerminating: boolean;
  readonly isKept: boolean;
  readonly content: Readonly<Record<string, unknown>>;
}

export async function readState(server: ApiServer, namespace: string): Promise<StateOfObject[]> {
  const found = await Promise.all(kinds.map((path) => list(server, path.replace('$ns', namespace))));
  return found
    .flat()
    .filter((object) => !isSurrounding(object))
    .map((object) => stateOf(object, namespace))
    .sort((one, other) => one.key.localeCompare(other.key));
}

/** Returns true for Kubernetes' own objects, Helm's records, kept plans, and the tokens that the matrix created. */
function isSurrounding({ kind, metadata, ...object }: LiveObject): boolean {
  if (metadata.labels?.['helm-safe-deploy/plan'] !== undefined) return true;
  if (kind === 'ConfigMap') return metadata.name === 'kube-root-ca.crt';
  return (
    kind === 'Secret' && ['helm.sh/release.v1', 'kubernetes.io/service-account-token'].includes(String(object['type']))
  );
}

export function stateOf(object: LiveObject, namespace: string): StateOfObject {
  const { kind, metadata } = object;
  const { status: _status, metadata: _metadata, ...rest } = object;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([name]) => !ownedByController.test(name));
  const content = {
    ...rest,
    metadata: { labels: metadata.labels ?? {}, annotations: Object.fromEntries(annotations) },
    ...(isFields(rest['spec']) ? { spec: withoutAssigned(kind, rest['spec']) } : {}),
  };
  const text = JSON.stringify(content).replaceAll(namespace, '$ns');
  return {
    key: `${kind}/${metadata.name}`,
    uid: metadata.uid ?? '',
    isTerminating: metadata.deletionTimestamp !== undefined,
    isKept: metadata.annotations?.['helm.sh/resource-policy'] === 'keep',
    content: JSON.parse(text) as Record<string, unknown>,
  };
}

const ownedByController =
  /^(deployment\.kubernetes\.io\/|pv\.kubernetes\.io\/|volume\.(beta\.)?kubernetes\.io\/|kubectl\.kubernetes\.io\/)/;

const assigned: Readonly<Record<string, readonly string[]>> = {
  Service: ['clusterIP', 'clusterIPs'],
  PersistentVolumeClaim: ['volumeName'],
};

function withoutAssigned(kind: string, spec: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = assigned[kind] ?? [];
  return Object.fromEntries(Object.entries(spec).filter(([name]) => !names.includes(name)));
}

export function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
