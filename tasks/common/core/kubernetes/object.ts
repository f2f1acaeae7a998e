import { isRecord } from './json';

/** Any Kubernetes object, from the API server or from a manifest. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  managedFields?: readonly { manager?: string; operation?: string; subresource?: string; time?: string }[];
  [field: string]: unknown;
}

interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

/** `namespace` is absent for cluster-scoped objects. */
export interface ObjectRef {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
}

/** By the API server's clock, to the second. */
export function creation({ metadata }: KubeObject): Date | undefined {
  const time = new Date(metadata.creationTimestamp ?? '');
  return isNaN(time.getTime()) ? undefined : time;
}

/** By the API server's clock, to the second: the API server records a time for each field manager. */
export function lastWrite({ metadata }: KubeObject): Date | undefined {
  const { creationTimestamp, managedFields } = metadata;
  const managers: unknown[] = Array.isArray(managedFields) ? managedFields : [];
  const noted = managers.map((manager) => (isRecord(manager) ? manager['time'] : undefined));
  const times = [creationTimestamp, ...noted].map((time) => Date.parse(String(time))).filter((time) => !isNaN(time));
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}
