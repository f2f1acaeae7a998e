import type { ApiResource } from '../../core/kubernetes/access';

/** Every supported API server (1.25 and later) serves these kinds, so they need no discovery. */
const builtIn: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: {
    ConfigMap: 'configmaps',
    Endpoints: 'endpoints',
    Event: 'events',
    LimitRange: 'limitranges',
    PersistentVolumeClaim: 'persistentvolumeclaims',
    Pod: 'pods',
    PodTemplate: 'podtemplates',
    ReplicationController: 'replicationcontrollers',
    ResourceQuota: 'resourcequotas',
    Secret: 'secrets',
    Service: 'services',
    ServiceAccount: 'serviceaccounts',
  },
  'apps/v1': {
    ControllerRevision: 'controllerrevisions',
    DaemonSet: 'daemonsets',
    Deployment: 'deployments',
    ReplicaSet: 'replicasets',
    StatefulSet: 'statefulsets',
  },
  'autoscaling/v1': { HorizontalPodAutoscaler: 'horizontalpodautoscalers' },
  'autoscaling/v2': { HorizontalPodAutoscaler: 'horizontalpodautoscalers' },
  'batch/v1': { CronJob: 'cronjobs', Job: 'jobs' },
  'coordination.k8s.io/v1': { Lease: 'leases' },
  'discovery.k8s.io/v1': { EndpointSlice: 'endpointslices' },
  'networking.k8s.io/v1': { Ingress: 'ingresses', NetworkPolicy: 'networkpolicies' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
  'rbac.authorization.k8s.io/v1': { Role: 'roles', RoleBinding: 'rolebindings' },
};

const builtInWithoutNamespace: typeof builtIn = {
  v1: { Namespace: 'namespaces', Node: 'nodes', PersistentVolume: 'persistentvolumes' },
  'apiextensions.k8s.io/v1': { CustomResourceDefinition: 'customresourcedefinitions' },
  'apiregistration.k8s.io/v1': { APIService: 'apiservices' },
  'networking.k8s.io/v1': { IngressClass: 'ingressclasses' },
  'rbac.authorization.k8s.io/v1': { ClusterRole: 'clusterroles', ClusterRoleBinding: 'clusterrolebindings' },
  'scheduling.k8s.io/v1': { PriorityClass: 'priorityclasses' },
  'storage.k8s.io/v1': { StorageClass: 'storageclasses' },
};

export function builtInResource(apiVersion: string, kind: string): ApiResource | undefined {
  const inNamespace = own(builtIn, apiVersion, kind);
  if (inNamespace !== undefined) return { apiVersion, kind, plural: inNamespace, namespaced: true };
  const cluster = own(builtInWithoutNamespace, apiVersion, kind);
  return cluster === undefined ? undefined : { apiVersion, kind, plural: cluster, namespaced: false };
}

/** A test compares them with a real API server. */
export function builtInResources(): ApiResource[] {
  const rows = (table: typeof builtIn, namespaced: boolean): ApiResource[] =>
    Object.entries(table).flatMap(([apiVersion, kinds]) =>
      Object.entries(kinds).map(([kind, plural]) => ({ apiVersion, kind, plural, namespaced })),
    );
  return [...rows(builtIn, true), ...rows(builtInWithoutNamespace, false)];
}

/** Names come from charts, and a name such as `constructor` must not find an inherited property. */
function own(table: typeof builtIn, apiVersion: string, kind: string): string | undefined {
  const kinds = Object.hasOwn(table, apiVersion) ? table[apiVersion] : undefined;
  return kinds !== undefined && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
}

export function groupVersionPath(apiVersion: string): string {
  const parts = apiVersion.split('/').map(encodeURIComponent);
  return parts.length === 1 ? `/api/${parts.join('/')}` : `/apis/${parts.join('/')}`;
}

export interface ResourcePath {
  namespace?: string | undefined;
  name?: string;
  subresource?: string;
  query?: Readonly<Record<string, string | undefined>>;
}

export function resourcePath(resource: ApiResource, { namespace, name, subresource, query }: ResourcePath): string {
  const parts = [groupVersionPath(resource.apiVersion)];
  if (resource.namespaced && namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(encodeURIComponent(resource.plural));
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(key, value);
  const suffix = search.size === 0 ? '' : `?${search.toString()}`;
  return `${parts.join('/')}${suffix}`;
}

/** Subresources are left out. */
export function parseResourceList(apiVersion: string, value: unknown): ApiResource[] | undefined {
  const list = (value as { resources?: unknown } | null | undefined)?.resources;
  if (!Array.isArray(list)) return undefined;
  return (list as unknown[]).flatMap((item) => {
    const { name, kind, namespaced } = (item ?? {}) as Record<string, unknown>;
    if (typeof name !== 'string' || typeof kind !== 'string' || name.includes('/')) return [];
    return [{ apiVersion, kind, plural: name, namespaced: namespaced === true }];
  });
}
