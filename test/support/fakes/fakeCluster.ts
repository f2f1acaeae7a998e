import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { TaskError } from '../../../tasks/common/core/failure';
import { isBuiltIn } from '../../../tasks/common/core/kubernetes/groups';
import { isRecord } from '../../../tasks/common/core/kubernetes/json';
import type { KubeObject, ObjectRef } from '../../../tasks/common/core/kubernetes/object';
import { apiGroup, objectKey, refOf } from '../../../tasks/common/core/kubernetes/manifest';
import type { Cluster, Follower } from '../../../tasks/common/core/ports';
import type { SimulatedTime } from './simulatedTime';
import type { ApiResource } from '../../../tasks/common/core/kubernetes/access';
import type { FollowQuery, FollowSnapshot, ListQuery } from '../../../tasks/common/core/kubernetes/queries';

/** A cluster that holds objects and acts on Deployments and Jobs like their controllers. */
export interface FakeCluster extends Cluster {
  readonly objects: Map<string, KubeObject>;
  /**
   * Creates or replaces an object like the API server: uid, generation, managers and times. Then the controllers act. A
   * write without a change is not recorded.
   */
  put(object: KubeObject, manager?: string): KubeObject;
  take(key: string): void;
  /** Kinds that the connection may not read. */
  readonly unreadable: Set<string>;
  /** Kinds served besides the built-in ones, and kinds no longer served, by `apiVersion/kind`. */
  readonly served: Map<string, ApiResource>;
  /** By `objectKey`: the field that another manager owns, which Helm gets only with force. */
  readonly taken: Map<string, { field: string; manager: string }>;
}

/** The refusal of the API server for a server-side apply without force. */
export function conflictWith({ field, manager }: { field: string; manager: string }): string {
  return `Apply failed with 1 conflict: conflict with "${manager}" using v1 at 2026-01-01T00:00:00Z: ${field}`;
}

const kinds: Readonly<Record<string, readonly [plural: string, namespaced: boolean]>> = {
  'v1/Namespace': ['namespaces', false],
  'v1/ConfigMap': ['configmaps', true],
  'v1/Secret': ['secrets', true],
  'v1/Service': ['services', true],
  'v1/Pod': ['pods', true],
  'v1/Event': ['events', true],
  'v1/PersistentVolumeClaim': ['persistentvolumeclaims', true],
  'apps/v1/Deployment': ['deployments', true],
  'apps/v1/ReplicaSet': ['replicasets', true],
  'apps/v1/StatefulSet': ['statefulsets', true],
  'apps/v1/DaemonSet': ['daemonsets', true],
  'apps/v1/ControllerRevision': ['controllerrevisions', true],
  'batch/v1/Job': ['jobs', true],
  'batch/v1/CronJob': ['cronjobs', true],
  'coordination.k8s.io/v1/Lease': ['leases', true],
};

interface CrdSpec {
  group: string;
  names: { kind: string; plural: string };
  versions: readonly { name: string }[];
}

function builtInKinds(): Map<string, ApiResource> {
  const rows = Object.entries(kinds).map(([name, [plural, namespaced]]): [string, ApiResource] => {
    const slash = name.lastIndexOf('/');
    return [name, { apiVersion: name.slice(0, slash), kind: name.slice(slash + 1), plural, namespaced }];
  });
  return new Map(rows);
}

export function fakeCluster(time: SimulatedTime): FakeCluster {
  const objects = new Map<string, KubeObject>();
  const unreadable = new Set<string>();
  const served = builtInKinds();
  const resourceOf = (apiVersion: string, kind: string): ApiResource | undefined => served.get(`${apiVersion}/${kind}`);
  const taken: FakeCluster['taken'] = new Map();
  let version = 0;

  const change = (key: string, object: KubeObject | undefined): void => {
    if (object === undefined) objects.delete(key);
    else objects.set(key, object);
    time.wakeAll();
  };

  const put: FakeCluster['put'] = (given, manager = 'fake') => {
    const key = objectKey(refOf(given));
    const before = objects.get(key);
    const isSame = before !== undefined && isDeepStrictEqual(before['spec'], given['spec']);
    const generation = before === undefined ? 1 : (before.metadata.generation ?? 1) + (isSame ? 0 : 1);
    const metadata = {
      ...given.metadata,
      uid: before?.metadata.uid ?? randomUUID(),
      generation,
      creationTimestamp: before?.metadata.creationTimestamp ?? time.now().toISOString(),
      resourceVersion: String(++version),
      managedFields: managersOf(before, given, { manager, time: time.now() }),
    };
    const object: KubeObject = structuredClone({ ...given, metadata });
    if (before?.['status'] !== undefined) object['status'] = before['status'];
    if (object.kind === 'CustomResourceDefinition') serve(object);
    change(key, object);
    if (!isSame) control(object, { objects, change, time });
    return structuredClone(object);
  };

  const serve = (definition: KubeObject): void => {
    const conditions = ['Established', 'NamesAccepted'].map((type) => ({ type, status: 'True' }));
    const { group, names, versions } = definition['spec'] as CrdSpec;
    const storedVersions = versions.map(({ name }) => name);
    definition['status'] = { storedVersions, conditions, ...(definition['status'] as object | undefined) };
    for (const { name } of versions) {
      const apiVersion = `${group}/${name}`;
      served.set(`${apiVersion}/${names.kind}`, {
        apiVersion,
        kind: names.kind,
        plural: names.plural,
        namespaced: true,
      });
    }
  };

  const take = (key: string): void => {
    const uid = objects.get(key)?.metadata.uid;
    change(key, undefined);
    for (const [child, { metadata }] of [...objects]) {
      if ((metadata.ownerReferences ?? []).some((owner) => owner.uid === uid)) take(child);
    }
  };

  const list = (query: ListQuery): KubeObject[] =>
    [...objects.values()].filter((object) => matches(object, query)).map((object) => structuredClone(object));

  return {
    objects,
    put,
    take,
    unreadable,
    served,
    taken,
    get: (ref) =>
      unreadable.has(ref.kind)
        ? Promise.reject(refusal(ref.kind))
        : Promise.resolve(structuredClone(objects.get(objectKey(ref)))),
    list: (query, keep = () => true) => Promise.resolve(list(query).filter(keep)),
    create: (object, how) => {
      const { namespace } = object.metadata;
      if (
        namespace !== undefined &&
        !objects.has(objectKey({ apiVersion: 'v1', kind: 'Namespace', name: namespace }))
      ) {
        return Promise.reject(new TaskError('NamespaceMissing', `namespaces "${namespace}" not found`));
      }
      if (objects.has(objectKey(refOf(object)))) return Promise.reject(conflict(object, 'already exists.'));
      return Promise.resolve(how?.dryRun === true ? object : put(object));
    },
    update(object) {
      const { resourceVersion } = object.metadata;
      const live = objects.get(objectKey(refOf(object)));
      const isStale = resourceVersion !== undefined && live?.metadata.resourceVersion !== resourceVersion;
      return isStale ? Promise.reject(conflict(object, 'was changed.')) : Promise.resolve(put(object));
    },
    apply: (object) => {
      const live = objects.get(objectKey(refOf(object)));
      return Promise.resolve(put(live === undefined ? object : (applied(live, object) as KubeObject)));
    },
    async patch(ref, patch, { dryRun = false } = {}) {
      await Promise.resolve();
      const live = objects.get(objectKey(ref));
      if (live === undefined) throw new TaskError('Conflict', `There is no ${objectKey(ref)}.`);
      const patched = mergePatched(live, patch) as KubeObject;
      const { uid, resourceVersion } = live.metadata;
      if (patched.metadata.uid !== uid || patched.metadata.resourceVersion !== resourceVersion)
        throw conflict(live, 'was changed');
      return dryRun ? structuredClone(patched) : put(patched);
    },
    dryRunApply: (object) => {
      if (resourceOf(object.apiVersion, object.kind) === undefined) {
        return Promise.reject(new TaskError('KindNotServed', `There is no kind ${object.kind}.`));
      }
      const live = objects.get(objectKey(refOf(object)));
      return Promise.resolve(structuredClone(live === undefined ? object : (applied(live, object) as KubeObject)));
    },
    dryRunApplyUnforced: (object) => {
      const held = taken.get(objectKey(refOf(object)));
      if (held === undefined) return Promise.resolve();
      return Promise.reject(conflict(object, `cannot be changed: ${conflictWith(held)}`));
    },
    delete: (ref: ObjectRef) => {
      take(objectKey(ref));
      return Promise.resolve();
    },
    resource: (apiVersion, kind) => Promise.resolve(resourceOf(apiVersion, kind)),
    customKinds: () =>
      Promise.resolve([...served.values()].filter(({ apiVersion }) => !isBuiltIn(apiGroup(apiVersion)))),
    namespacedKinds: () => Promise.resolve([...served.values()].filter(({ namespaced }) => namespaced)),
    findResource(kind, group) {
      const all = [...served.values()].filter(
        ({ apiVersion }) => group === undefined || apiGroup(apiVersion) === group,
      );
      return Promise.resolve(all.find((resource) => resource.kind.toLowerCase() === kind));
    },
    serverTime: () => Promise.resolve(time.now()),
    accessRules: () => Promise.resolve([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], resourceNames: [] }]),
    follow: (queries) => Promise.resolve(follower(queries, list, time, unreadable)),
    podLog: ({ container }) => Promise.resolve(`starting\n${container} says why\n`),
    followPodLog: () => Promise.resolve({ end: 'ended', position: { sinceMs: 0, seen: {} } }),
  };
}

/** JSON merge patch, RFC 7386. */
function mergePatched(live: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const before = isRecord(live) ? live : {};
  const changed = Object.entries(patch).map(([name, value]): [string, unknown] => [
    name,
    mergePatched(before[name], value),
  ]);
  const merged = Object.entries({ ...before, ...(Object.fromEntries(changed) as Record<string, unknown>) });
  return Object.fromEntries(merged.filter(([, value]) => value !== null));
}

/** Server-side apply by a manager without an earlier apply: fields and named items are merged, other lists replaced. */
function applied(live: unknown, declared: unknown): unknown {
  if (isRecord(live) && isRecord(declared)) {
    const fields = Object.entries(declared).map(([name, value]) => [name, applied(live[name], value)]);
    return { ...live, ...(Object.fromEntries(fields) as Record<string, unknown>) };
  }
  if (!Array.isArray(live) || !Array.isArray(declared)) return declared;
  const named = (items: unknown[]): boolean => items.every((item) => isRecord(item) && 'name' in item);
  if (!named(live) || !named(declared)) return declared;
  const [before, after] = [live, declared] as Record<string, unknown>[][];
  const others = before?.filter(({ name }) => !after?.some((item) => item['name'] === name)) ?? [];
  return [
    ...(after ?? []).map((item) =>
      applied(
        before?.find(({ name }) => name === item['name']),
        item,
      ),
    ),
    ...others,
  ];
}

const emptyObject: KubeObject = { apiVersion: '', kind: '', metadata: { name: '' } };

type Managers = NonNullable<KubeObject['metadata']['managedFields']>;

function managersOf(
  before: KubeObject | undefined,
  given: KubeObject,
  { manager, time }: { manager: string; time: Date },
): Managers {
  const { metadata: _, status: __, ...content } = given;
  const { metadata: ___, status: ____, ...was } = before ?? emptyObject;
  const noted = before?.metadata.managedFields ?? [];
  if (isDeepStrictEqual(content, was) && noted.some((entry) => entry.manager === manager)) return noted;
  const others = noted.filter((entry) => entry.manager !== manager);
  return [...others, { manager, operation: 'Apply', time: time.toISOString() }];
}

function conflict({ kind, metadata }: KubeObject, what: string): TaskError {
  return new TaskError('Conflict', `${kind}/${metadata.name} ${what}`, { facts: { status: 409 } });
}

function refusal(kind: string): TaskError {
  return new TaskError('PermissionDenied', `You may not read ${kind} objects.`);
}

function follower(
  queries: readonly FollowQuery[],
  list: (query: ListQuery) => KubeObject[],
  time: SimulatedTime,
  unreadable: ReadonlySet<string>,
): Follower {
  const followed = [...queries];
  const snapshot = (): FollowSnapshot => ({
    objects: new Map(
      followed
        .filter(({ kind }) => !unreadable.has(kind))
        .flatMap((query) => {
          const kept = list(query).filter((object) => query.keep(object));
          return kept.map((object) => query.trim?.(object) ?? object);
        })
        .map((object) => [objectKey(refOf(object)), object]),
    ),
    unread: followed
      .filter(({ kind }) => unreadable.has(kind))
      .map((query) => ({ query, reason: 'PermissionDenied', message: refusal(query.kind).message })),
  });
  let before: FollowSnapshot['objects'] = new Map();
  return {
    snapshot,
    changes: () => {
      const { objects, unread } = snapshot();
      const keys = [...new Set([...before.keys(), ...objects.keys()])];
      const changed = keys.filter((key) => !isDeepStrictEqual(before.get(key), objects.get(key)));
      before = objects;
      return { objects: new Map(changed.map((key) => [key, objects.get(key)])), unread };
    },
    changed: (milliseconds, signal) => time.wait(milliseconds, signal, true),
    add(more) {
      followed.push(...more);
      return Promise.resolve();
    },
    stop: () => undefined,
  };
}

function matches(object: KubeObject, query: ListQuery): boolean {
  if (object.apiVersion !== query.apiVersion || object.kind !== query.kind) return false;
  if (query.namespace !== undefined && object.metadata.namespace !== query.namespace) return false;
  if (query.fieldSelector !== undefined && query.fieldSelector !== `metadata.name=${object.metadata.name}`) {
    return false;
  }
  const wishes = (query.labelSelector ?? '').split(',').filter((wish) => wish !== '');
  return wishes.every((wish) => {
    const [name = '', value] = wish.split('=');
    return object.metadata.labels?.[name] === value;
  });
}

interface Controlled {
  objects: ReadonlyMap<string, KubeObject>;
  readonly change: (key: string, object: KubeObject | undefined) => void;
  time: SimulatedTime;
}

const revisionAnnotation = 'deployment.kubernetes.io/revision';
/** The time from a change of a workload to its successful end. */
const rolloutMs = 2000;

/**
 * The image decides the fate of a workload: `…:broken` is an invalid name, `…:slow` never gets ready, any other
 * succeeds. A Job with `…:broken` fails, and one with `…:unnamed` has a pod that cannot start.
 */
function control(object: KubeObject, controlled: Controlled): void {
  const { change, objects, time } = controlled;
  const key = objectKey(refOf(object));
  const { uid, generation } = object.metadata;
  const later = (milliseconds: number, happen: (now: KubeObject) => void): void => {
    time.after(milliseconds, () => {
      const now = objects.get(key);
      if (now?.metadata.uid === uid && now?.metadata.generation === generation && now !== undefined) happen(now);
    });
  };
  if (object.kind === 'Job') {
    const isBad = imageOf(object).endsWith(':broken');
    later(10, (now) => {
      change(key, { ...now, status: { startTime: 'x', active: 1 } });
    });
    const condition = {
      type: isBad ? 'Failed' : 'Complete',
      status: 'True',
      reason: isBad ? 'BackoffLimitExceeded' : '',
    };
    if (imageOf(object).endsWith(':unnamed')) {
      later(10, (now) => {
        change(...podOf(now, `${object.metadata.name}-0`, unnamed(object)));
      });
    }
    if (/:(slow|unnamed)$/.test(imageOf(object))) return;
    later(rolloutMs, (now) => {
      change(key, { ...now, status: { startTime: 'x', [isBad ? 'failed' : 'succeeded']: 1, conditions: [condition] } });
    });
  }
  if (object.kind !== 'Deployment') return;
  if ((object['spec'] as { paused?: unknown }).paused === true) {
    later(10, (now) => {
      change(key, { ...now, status: { ...deploymentStatus(now, true), updatedReplicas: 0 } });
    });
    return;
  }
  later(10, (now) => {
    observe(now, controlled);
  });
  const hinders = /:(broken|slow)$/.test(imageOf(object)) || nodeSelectorOf(object) !== undefined;
  if (hinders) return;
  later(rolloutMs, (now) => {
    change(key, { ...now, status: deploymentStatus(now, true) });
  });
}

/** The controller has reacted: there is a new ReplicaSet with a pod of the new template, which is not ready yet. */
function observe(deployment: KubeObject, { change }: Controlled): void {
  const { name, namespace = '', generation = 1, annotations } = deployment.metadata;
  const revision = String(generation);
  const metadata = { ...deployment.metadata, annotations: { ...annotations, [revisionAnnotation]: revision } };
  change(objectKey(refOf(deployment)), { ...deployment, metadata, status: deploymentStatus(deployment, false) });
  const labels = { app: name };
  const set: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${revision}`,
      namespace,
      labels,
      uid: randomUUID(),
      annotations: { [revisionAnnotation]: revision },
      ownerReferences: [ownerOf(deployment)],
    },
    spec: { replicas: 1, template: (deployment['spec'] as { template?: unknown }).template },
  };
  change(objectKey(refOf(set)), set);
  const isBroken = imageOf(deployment).endsWith(':broken');
  change(...podOf(set, `${set.metadata.name}-0`, isBroken ? unnamed(deployment) : { reason: 'ContainerCreating' }));
}

function unnamed(object: KubeObject) {
  return { reason: 'InvalidImageName', message: `couldn't parse image name "${imageOf(object)}"` };
}

/** A pod of the workload whose container waits. */
function podOf(owner: KubeObject, name: string, waiting: object): [key: string, pod: KubeObject] {
  const { namespace = '', labels } = owner.metadata;
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid: randomUUID(), ownerReferences: [ownerOf(owner)], ...(labels && { labels }) },
    spec: { containers: [{ name: 'main', image: 'any' }] },
    status: {
      phase: 'Pending',
      containerStatuses: [{ name: 'main', ready: false, restartCount: 0, state: { waiting } }],
    },
  };
  return [objectKey(refOf(pod)), pod];
}

function ownerOf({ apiVersion, kind, metadata }: KubeObject) {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

function deploymentStatus({ metadata, spec }: KubeObject, isReady: boolean) {
  const { replicas = 1 } = (spec ?? {}) as { replicas?: number };
  const ready = isReady ? replicas : 0;
  return {
    observedGeneration: metadata.generation,
    replicas,
    updatedReplicas: replicas,
    readyReplicas: ready,
    availableReplicas: ready,
    conditions: [{ type: 'Available', status: isReady ? 'True' : 'False' }],
  };
}

interface PodSpec {
  nodeSelector?: unknown;
  containers?: { image?: string }[];
}

function podSpec(object: KubeObject): PodSpec {
  const spec = object['spec'] as { template?: { spec?: PodSpec } } | undefined;
  return spec?.template?.spec ?? {};
}

function imageOf(object: KubeObject): string {
  return podSpec(object).containers?.[0]?.image ?? '';
}

function nodeSelectorOf(object: KubeObject): unknown {
  return podSpec(object).nodeSelector;
}
