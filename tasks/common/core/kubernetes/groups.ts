import { apiGroup } from './manifest';

/**
 * Groups of Kubernetes itself that have a dot in their name. All other groups with a dot, also those under k8s.io, are
 * those of custom resources. The group of a custom resource has a dot (apiextensions-apiserver, validation.go).
 */
const builtInGroups: ReadonlySet<string> = new Set([
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'apiregistration.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'certificates.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
  'flowcontrol.apiserver.k8s.io',
  'internal.apiserver.k8s.io',
  'networking.k8s.io',
  'node.k8s.io',
  'rbac.authorization.k8s.io',
  'resource.k8s.io',
  'scheduling.k8s.io',
  'storage.k8s.io',
  'storagemigration.k8s.io',
]);

export function isBuiltIn(group: string): boolean {
  return !group.includes('.') || builtInGroups.has(group);
}

export function isCustomResource(ref: { apiVersion: string }): boolean {
  return !isBuiltIn(apiGroup(ref.apiVersion));
}
