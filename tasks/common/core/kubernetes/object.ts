import { isRecord } from './json';

/** Any Kubernetes object, from the API server or from a manifest. Only the fields that every object has are typed. */
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

/** The name of one object. `namespace` is absent for cluster-scoped objects. */
export interface ObjectRef {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
}

/**
 * Returns when the object was created, by the API server's clock, to the second. Returns undefined if the object has no
 * such time.
 */
export function creation({ metadata }: KubeObject): Date | undefined {
  const time = new Date(metadata.creationTimestamp ?? '');
  return isNaN(time.getTime()) ? undefined : time;
}

/**
 * Returns when the object was last written, by the API server's clock. The API server records a time for each field
 * manager, to the second. Returns undefined if the object has no such time.
 */
export function lastWrite({ metadata }: KubeObject): Date | undefined {
  const { creationTimestamp, managedFields } = metadata;
  const managers: unknown[] = Array.isArray(managedFields) ? managedFields : [];
  const noted = managers.map((manager) => (isRecord(manager) ? manager['time'] : undefined));
  const times = [creationTimestamp, ...noted].map((time) => Date.parse(String(time))).filter((time) => !isNaN(time));
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}
