import { isBuiltIn } from '../kubernetes/groups';
import { apiGroup } from '../kubernetes/manifest';
import type { ObjectRef } from '../kubernetes/object';

const runners = new Set([
  'apps/Deployment',
  'apps/StatefulSet',
  'apps/DaemonSet',
  'apps/ReplicaSet',
  'batch/Job',
  '/Pod',
  '/ReplicationController',
]);

/** True if the kind runs pods. */
export function isRunner({ apiVersion, kind }: Pick<ObjectRef, 'apiVersion' | 'kind'>): boolean {
  return runners.has(`${apiGroup(apiVersion)}/${kind}`);
}

/** The kinds by which an operator runs pods for a custom resource. */
export const ownedKinds: readonly { apiVersion: string; kind: string }[] = [
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
];

/** Groups of which no kind runs pods, although charts bring them often. */
const podless =
  /(?:^|\.)(?:cert-manager\.io|external-secrets\.io|bitnami\.com|gateway\.networking\.k8s\.io|istio\.io|traefik\.io|konghq\.com|crossplane\.io|upbound\.io|services\.k8s\.aws|cnrm\.cloud\.google\.com|azure\.com)$/;
const podlessKinds = new Set(['ServiceMonitor', 'PodMonitor', 'PrometheusRule', 'ScaledObject', 'ScaledJob']);

/** True if what the object owns may run pods. */
export function mayOwnRunners({ apiVersion, kind }: ObjectRef): boolean {
  const group = apiGroup(apiVersion);
  return !isBuiltIn(group) && !podless.test(group) && !podlessKinds.has(kind);
}
