import { asTaskError, TaskError } from '../../core/failure';
import {
  appliedLast,
  isUnhealthy,
  judgedBroken,
  releaseState,
  rollbackTarget,
  sinceUninstall,
} from '../../core/release/history';
import type { HealthRequest, WorkloadName } from '../../core/inputs/healthRequest';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import type { Cluster, MetricsPort, ReleaseStorage } from '../../core/ports';
import type { Revision } from '../../core/release/release';
import { desiredObjects, type DesiredObject } from '../release/desiredObjects';
import type { RolloutContext } from '../../core/releaseContext';

export interface HealthContext extends RolloutContext {
  request: HealthRequest;
  /** Set if the request has metrics. */
  metrics?: MetricsPort;
  /** Helm's storage of the release, if the request names a release. */
  storage: ReleaseStorage | undefined;
}

export interface HealthTargets {
  objects: readonly DesiredObject[];
  revision: Revision | undefined;
  /** Of the release, as it was read before the check. */
  history: readonly Revision[];
}

/** Throws for a name that does not exist, which is not the same as an object that is not ready. */
export async function healthTargets(context: HealthContext): Promise<HealthTargets> {
  const { request, storage } = context;
  const named = await namedWorkloads(context, request.workloads);
  const selected = request.selector === undefined ? [] : await selectedWorkloads(context, request.selector);
  const release = storage === undefined ? undefined : await releaseTargets(context, storage);
  const byKey = new Map([...named, ...selected, ...(release?.objects ?? [])].map((object) => [object.key, object]));
  return { objects: [...byKey.values()], revision: release?.revision, history: release?.history ?? [] };
}

/** Reports every mistaken name, not only the first. */
async function allOrAllMistakes(lookups: readonly Promise<DesiredObject>[]): Promise<DesiredObject[]> {
  const results = await Promise.allSettled(lookups);
  throwTogether(results.flatMap((result) => (result.status === 'rejected' ? [asTaskError(result.reason)] : [])));
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** Throws the messages of all errors that have the reason of the first. */
function throwTogether(errors: readonly TaskError[]): void {
  const [first] = errors;
  if (first === undefined) return;
  const same = errors.filter(({ reason }) => reason === first.reason);
  throw new TaskError(first.reason, [...new Set(same.map(({ message }) => message))].join('\n'), { cause: first });
}

function target(ref: ObjectRef, declared: KubeObject): DesiredObject {
  return { key: objectKey(ref), ref, declared, purpose: 'object' };
}

async function namedWorkloads(
  { cluster, namespace }: HealthContext,
  names: readonly WorkloadName[],
): Promise<DesiredObject[]> {
  const read = readerOf(cluster, names);
  return allOrAllMistakes(names.map((name) => namedWorkload(cluster, read, name, namespace)));
}

type Read = (workload: WorkloadName, ref: ObjectRef) => Promise<KubeObject | undefined>;

/** From this number of objects on, one list is cheaper than a request for each. */
const listedFrom = 4;

function readerOf(cluster: Cluster, names: readonly WorkloadName[]): Read {
  const kindOf = ({ kind, group }: WorkloadName): string => `${kind}.${group ?? ''}`;
  const lists = new Map<string, Promise<ReadonlyMap<string, KubeObject> | undefined>>();
  return async (workload, ref) => {
    const key = kindOf(workload);
    if (names.filter((name) => kindOf(name) === key).length < listedFrom) return cluster.get(ref);
    const list = lists.get(key) ?? listByName(cluster, ref);
    lists.set(key, list);
    const found = await list;
    return found === undefined ? cluster.get(ref) : found.get(ref.name);
  };
}

/** Undefined if the kind may not be listed. Its objects may still be read by name. */
async function listByName(
  cluster: Cluster,
  { apiVersion, kind, namespace }: ObjectRef,
): Promise<ReadonlyMap<string, KubeObject> | undefined> {
  try {
    const objects = await cluster.list({ apiVersion, kind, ...(namespace === undefined ? {} : { namespace }) });
    return new Map(objects.map((object) => [object.metadata.name, object]));
  } catch (error) {
    if (asTaskError(error).reason === 'PermissionDenied') return undefined;
    throw error;
  }
}

async function namedWorkload(
  cluster: Cluster,
  read: Read,
  workload: WorkloadName,
  namespace: string,
): Promise<DesiredObject> {
  const { kind, group, name } = workload;
  const word = `${group === undefined ? kind : `${kind}.${group}`}/${name}`;
  const resource = await cluster.findResource(kind, group);
  if (resource === undefined) {
    const hint = group === undefined ? '; a custom resource is named with its group: kind.group/name' : '';
    throw new TaskError('InputInvalid', `Input workloads holds "${word}": the API server serves no such kind${hint}.`);
  }
  const { apiVersion } = resource;
  const ref = { apiVersion, kind: resource.kind, name, ...(resource.namespaced ? { namespace } : {}) };
  const live = await read(workload, ref);
  if (live === undefined) {
    const where = resource.namespaced ? ` in namespace ${namespace}` : '';
    throw new TaskError(
      'WorkloadMissing',
      `Input workloads holds "${word}": there is no ${resource.kind} ${name}${where}.`,
    );
  }
  return target(ref, live);
}

/** An object that belongs to one of another kind is judged with its owner. */
const selectable: readonly (readonly [string, string])[] = [
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
  ['apps/v1', 'ReplicaSet'],
  ['batch/v1', 'CronJob'],
  ['batch/v1', 'Job'],
  ['v1', 'Pod'],
];

/** Most of these objects have an owner, whose counters show how they are. */
const mostlyOwned: ReadonlySet<string> = new Set(['Pod', 'ReplicaSet']);

async function selectedWorkloads(
  { agent, cluster, namespace }: HealthContext,
  labelSelector: string,
): Promise<DesiredObject[]> {
  const lists = await Promise.all(
    selectable.map(async ([apiVersion, kind]) => {
      try {
        return { kind, found: await cluster.list({ apiVersion, kind, namespace, labelSelector }), error: undefined };
      } catch (thrown) {
        return { kind, found: [], error: selectorError(asTaskError(thrown), labelSelector) };
      }
    }),
  );
  const independent = lists
    .flatMap(({ found }) => found)
    .filter((object) => !(object.metadata.ownerReferences ?? []).some(({ controller }) => controller === true));
  const unread = lists.flatMap(({ kind, error }) => (error === undefined ? [] : [{ kind, error }]));
  const isSpared = ({ kind, error }: (typeof unread)[number]): boolean =>
    independent.length > 0 && mostlyOwned.has(kind) && error.reason === 'PermissionDenied';
  throwTogether(unread.filter((each) => !isSpared(each)).map(({ error }) => error));
  for (const { kind, error } of unread) {
    agent.log(`${kind} objects that belong to no other workload are not looked for: ${error.message}`);
  }
  if (independent.length === 0) {
    throw new TaskError(
      'WorkloadMissing',
      `Input selector holds "${labelSelector}": no workload in namespace ${namespace} has these labels.`,
    );
  }
  return independent.map((object) => target(refOf(object), object));
}

/** If the API server does not understand the selector, it refuses every list in the same way. */
function selectorError(error: TaskError, labelSelector: string): TaskError {
  if (error.facts['status'] !== 400) return error;
  const [, said = error.message] = /answered 400: (.*)$/s.exec(error.message) ?? [];
  const problem = `Input selector holds "${labelSelector}", which the API server does not take for a label selector: ${said}`;
  return new TaskError('InputInvalid', problem, { cause: error });
}

async function releaseTargets(
  { cluster, namespace, request }: HealthContext,
  storage: ReleaseStorage,
): Promise<HealthTargets> {
  const history = await storage.history();
  const state = releaseState(history);
  if (state.state === 'absent' || state.state === 'uninstalled') {
    const why = state.state === 'absent' ? 'there is no such release' : 'the release is uninstalled';
    throw new TaskError(
      'ReleaseMissing',
      `Input releaseName holds "${request.releaseName ?? ''}": ${why} in namespace ${namespace}.`,
    );
  }
  // A failed upgrade that changed nothing leaves the revision before it as the one to judge.
  const revision = appliedLast(history) ?? state.last;
  const halfApplied = revision.status === 'deployed' ? {} : { halfApplied: revision.status };
  const wanted = await desiredObjects(cluster, revision.manifest, namespace);
  const objects = wanted.map((object) => ({ ...object, ...halfApplied }));
  return { objects, revision, history };
}

/** The target of a rollback of the release. */
export function rollbackFrom(revision: Revision, history: readonly Revision[]): Revision | undefined {
  return rollbackTarget(history, revision.revision)?.revision ?? previouslyDeployed(history, revision);
}

/** For a release without a verified revision: the newest one that was deployed earlier and not judged unhealthy. */
function previouslyDeployed(history: readonly Revision[], now: Revision): Revision | undefined {
  return sinceUninstall(history).findLast(
    (revision) =>
      revision.revision < now.revision &&
      revision.status === 'superseded' &&
      !isUnhealthy(revision) &&
      judgedBroken(revision, history) === undefined,
  );
}
