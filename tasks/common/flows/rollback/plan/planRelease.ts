import { isNamedByOne, isPodOf, isStatefulSet } from '../../../core/rollbackPlan/objects/statefulSets';
import { counted } from '../../../core/text/counted';
import { asTaskError, TaskError } from '../../../core/failure';
import { runOf } from '../../../core/release/history';
import { runWords } from '../../../core/lock/holder';
import type { KubeObject, ObjectRef } from '../../../core/kubernetes/object';
import { manifestObjects, objectKey, refOf } from '../../../core/kubernetes/manifest';
import type { DeclaredKind } from '../../../core/helm/chartCrds';
import type { Rehearsal } from '../../../core/helm/rehearsal';
import type { KeptField } from '../../../core/release/keptFields';
import { readKeptFields } from '../../release/keptFields';
import type { Revision } from '../../../core/release/release';
import { stopIfCancelled, type ReleasePlanContext } from '../../../core/releaseContext';
import { instancesQuery, isDefinition, type Instances } from '../../../core/rollbackPlan/model/definitions';
import {
  kindsToResolve,
  liveObjects,
  liveQueries,
  manifestReader,
  placedObjects,
  servedKey,
} from '../../../core/rollbackPlan/model/places';
import { planChange } from '../../../core/rollbackPlan/planRollback';
import { renewedHistory, renewedRevision, type RecordRenewal } from '../../../core/release/servedVersions';
import { findStrays } from './strays';
import { rollbackBase, type PlannedBase } from '../../release/mergeBase';
import { findRenewals } from '../../release/servedVersions';
import { isSameRecord } from '../../../core/rollbackPlan/model/recordDigest';
import { tracesOf } from '../../../core/rollbackPlan/objects/rehearsalTraces';
import { chooseTarget, type TargetChoice } from '../../../core/rollbackPlan/model/target';
import type {
  DeployFacts,
  PlannedChange,
  ReleasePlanInputs,
  ChangePlan,
  RollbackRequest,
  Seal,
  ServedKind,
  ServedKinds,
} from '../../../core/rollbackPlan/model/types';
import type { RecordChange } from '../../../core/release/releaseRecord';
import type { ListQuery } from '../../../core/kubernetes/queries';
import { inTurns } from '../../steps/inTurns';

/** A plan, and the base for Helm's merge where this is not the last revision as it is. */
interface PlannedRelease {
  plan: ChangePlan;
  /** Records that Helm cannot read as they are. They are renewed before the rollback. */
  renewals: readonly RecordRenewal[];
  base: PlannedBase | undefined;
  /** Undefined where there is no target to rehearse. */
  rehearsal: Rehearsal | undefined;
  /** The objects as they were before the rehearsal, by key. */
  live: ReadonlyMap<string, KubeObject>;
  /** Fields that Helm must leave alone. */
  kept: readonly KeptField[];
}

/**
 * Plans a rollback as the inputs ask for it, see `planOnBase`. `salt` is for the plan's `Seal`; it is empty where there
 * is none. `dead` is a rollback to the same target that died, and whose record is no longer in the history.
 */
export async function planRelease(
  context: ReleasePlanContext & { request: { rollback: RollbackRequest } },
  history: readonly Revision[],
  salt: string,
  dead?: Revision,
): Promise<PlannedRelease> {
  const { releaseName, rollback } = context.request;
  const { target } = chooseTarget(history, releaseName, rollback);
  const canRead = target !== undefined && history.every(isReadable);
  const renewals = canRead ? await findRenewals(context.cluster, history, target.revision) : [];
  const renewed = renewedHistory(history, renewals);
  const base = canRead ? await rollbackBase(context, renewed, renewedRevision(target, renewals), dead) : undefined;
  const seal = sealOf(context, salt);
  const { kept } = canRead ? await readKeptFields(context, target.manifest) : { kept: [] };
  const planned = await planOnBase(context, history, { rollback, base, seal, renewals, kept });
  return { ...planned, base, renewals, kept };
}

interface PlanDetails {
  rollback: RollbackRequest;
  base: PlannedBase | undefined;
  /** For a plan that is kept. */
  seal?: Seal | undefined;
  renewals?: readonly RecordRenewal[];
  kept: readonly KeptField[];
}

/** Returns undefined for a plan of an earlier version, which has no salt. */
export function sealOf({ sha256 }: Pick<ReleasePlanContext, 'sha256'>, salt: string): Seal | undefined {
  return salt === '' ? undefined : (text) => sha256(`${salt}\n${text}`);
}

/**
 * Reads everything that a rollback would touch, rehearses the rollback, and plans it. Changes nothing. Throws errors
 * that prevent this. Objections to the rollback are in the plan.
 */
export async function planOnBase(
  context: ReleasePlanContext,
  stored: readonly Revision[],
  { rollback, base, seal, renewals = [], kept }: PlanDetails,
): Promise<Pick<PlannedRelease, 'plan' | 'rehearsal' | 'live'>> {
  const history = renewedHistory(stored, renewals);
  const choice = chooseTarget(history, context.request.releaseName, rollback);
  return planChoice(context, choice, {
    change: 'rollback',
    ...rollback,
    stored,
    history,
    base,
    seal,
    renewals,
    kept,
    rehearse: async (target) => ({ rehearsal: await rehearse(context, target, { base, renewals, kept }) }),
  });
}

interface ChangeDetails extends RollbackRequest {
  change: PlannedChange;
  /** The history as it is stored, and as Helm will find it. */
  stored: readonly Revision[];
  history: readonly Revision[];
  base: PlannedBase | undefined;
  seal: Seal | undefined;
  renewals: readonly RecordRenewal[];
  kept: readonly KeptField[];
  /** Not called for a target that cannot be read. */
  rehearse: (target: Revision) => Promise<Rehearsed>;
  /** Facts that only the plan of a deploy needs. */
  deployFacts?: (read: ReadObjects, rehearsed: Rehearsed) => Promise<DeployFacts>;
}

/** Describes what Helm did in the rehearsal. `target` is the revision that it would make, if that is not the one of the choice. */
export interface Rehearsed {
  rehearsal: Rehearsal | undefined;
  target?: Revision;
}

/** Does the same for any change of a release to the target of a choice. */
export async function planChoice(
  context: ReleasePlanContext,
  choice: TargetChoice,
  details: ChangeDetails,
): Promise<Pick<PlannedRelease, 'plan' | 'rehearsal' | 'live'>> {
  const { change, base, deployFacts, history, kept, policy, renewals, seal, stored, toRevision } = details;
  const { cluster, namespace, request, rollbackHelm, sha256, signal } = context;
  const { target, passed } = choice;
  const revisions = target === undefined ? [] : [target, ...passed].filter(isReadable);
  const isWhole = target !== undefined && revisions.includes(target);
  // Read before the rehearsal: a difference afterwards shows a change during the rehearsal.
  const [helm, read, now] = await Promise.all([
    rollbackHelm.provenance(signal),
    readObjects(context, revisions),
    cluster.serverTime(),
  ]);
  const rehearsed: Rehearsed = isWhole ? await details.rehearse(target) : { rehearsal: undefined };
  const { rehearsal } = rehearsed;
  stopIfCancelled(signal);
  await refuseChangedRelease(context, change, stored);
  if (rehearsal !== undefined) await refuseChangedObjects({ context, change, history }, revisions, read);
  const deploy = deployFacts && (await deployFacts(read, rehearsed));
  const chosen = rehearsed.target === undefined ? choice : { ...choice, target: rehearsed.target };
  const inputs: ReleasePlanInputs = {
    change,
    toRevision,
    policy,
    ...read,
    ...(deploy === undefined ? {} : { deploy, served: withDefinitions(read.served, deploy.definitions) }),
    release: request.releaseName,
    namespace,
    history,
    deployedBy: Object.fromEntries(history.map((each) => [each.revision, runWords(runOf(each))])),
    helm,
    ...(rehearsal === undefined ? {} : { rehearsal }),
    ...(base === undefined ? {} : { baseManifest: base.manifest }),
    renewals,
    kept,
    now,
    sha256,
    ...(seal === undefined ? {} : { seal }),
  };
  // A deploy runs this Helm without a fence, so the dry runs that look for a manipulated one would show nothing.
  const strays = change === 'deploy' ? undefined : await findStrays(context, inputs, chosen);
  const plan = planChange({ ...inputs, ...(strays && { strays }) }, chosen);
  return { plan, rehearsal, live: read.live };
}

/** Helm installs the definitions of these kinds before anything else. */
function withDefinitions(served: ServedKinds, definitions: readonly DeclaredKind[]): ServedKinds {
  const missing = definitions.filter((kind) => served.get(servedKey(kind))?.isServed !== true);
  return new Map([
    ...served,
    ...missing.map((kind): [string, ServedKind] => [
      servedKey(kind),
      { isServed: true, namespaced: kind.namespaced, plural: kind.plural },
    ]),
  ]);
}

/**
 * A Helm that bypasses the rehearsal has really rolled back. Throws `ProofFailed` if the release is no longer as it was
 * before.
 */
async function refuseChangedRelease(
  { namespace, request, storage }: ReleasePlanContext,
  change: PlannedChange,
  before: readonly Revision[],
): Promise<void> {
  const now = await storage.history();
  const known = new Map(before.map((revision) => [revision.revision, revision]));
  const changed = now.filter((revision) => {
    const earlier = known.get(revision.revision);
    return earlier === undefined || earlier.status !== revision.status || !isSameRecord(earlier, revision);
  });
  if (changed.length === 0) return;
  const which = changed.map(({ revision, status }) => `${revision} (${status})`).join(', ');
  const last = before.at(-1);
  const back =
    last === undefined
      ? ''
      : ` To roll back: helm rollback ${request.releaseName} ${last.revision} --namespace ${namespace}`;
  throw new TaskError(
    'ProofFailed',
    `While the ${change} of release ${request.releaseName} was only rehearsed, the release was changed: revision ${which}. ` +
      `Another run has changed it meanwhile, or this Helm does not use the kubeconfig that it is given and has really ${doneWords[change]}. ` +
      `To look: helm history ${request.releaseName} --namespace ${namespace}.${back}`,
  );
}

const doneWords: Readonly<Record<PlannedChange, string>> = { rollback: 'rolled back', deploy: 'deployed' };

/**
 * Does the same for the release's objects, which a Helm can change without a change of its records. Throws
 * `ProofFailed` unless the change is the usual work of a controller.
 */
async function refuseChangedObjects(
  { context, change, history }: { context: ReleasePlanContext } & Pick<ChangeDetails, 'change' | 'history'>,
  revisions: readonly Revision[],
  { live, served }: ReadObjects,
): Promise<void> {
  const traces = tracesOf(live, await readLive(context, revisions, served));
  if (traces.length === 0) return;
  const { agent, namespace, request } = context;
  for (const trace of traces) agent.log(`While nothing was to be changed, ${trace}.`);
  const named = traces.slice(0, tracesNamed).join('; ');
  const more = traces.length > tracesNamed ? `; and ${traces.length - tracesNamed} more` : '';
  const last = history.at(-1)?.revision;
  const restore =
    last === undefined
      ? 'What it has changed is to be taken back by hand.'
      : `To restore what revision ${last} declares: helm rollback ${request.releaseName} ${last} --namespace ${namespace}, with a Helm that is trusted; what no revision declares is to be taken back by hand.`;
  throw new TaskError(
    'ProofFailed',
    `While the ${change} of release ${request.releaseName} was only rehearsed, its objects were changed: ${named}${more}. ` +
      `Somebody else has changed them meanwhile, or this Helm does not use the kubeconfig that it is given and has really changed them. ` +
      restore,
  );
}

const tracesNamed = 5;

/** A manifest that is no readable YAML becomes a refusal in the plan. */
function isReadable({ manifest }: Revision): boolean {
  try {
    manifestObjects(manifest);
    return true;
  } catch {
    return false;
  }
}

async function rehearse(
  { agent, rollbackHelm, signal, storage }: ReleasePlanContext,
  target: Revision,
  { base, renewals, kept }: Pick<PlannedRelease, 'base' | 'renewals' | 'kept'>,
): Promise<Rehearsal> {
  const changes = new Map<number, RecordChange>(renewals.map(({ revision, manifest }) => [revision, { manifest }]));
  if (base !== undefined) changes.set(base.edited.revision, { manifest: base.manifest, bulk: 'left out' });
  const records = await Promise.all([...changes].map(([revision, change]) => storage.changed(revision, change)));
  stopIfCancelled(signal);
  const rehearsal = await rollbackHelm.rehearse(target, { records, kept }, signal);
  stopIfCancelled(signal);
  const { durationMs, requests, writes } = rehearsal;
  agent.log(
    `The rehearsal of helm rollback to revision ${target.revision} took ${(durationMs / 1000).toFixed(1)} s: ` +
      `${counted(writes.length, 'write', 'writes')}, not carried out (${counted(requests.reads, 'read', 'reads')}, ${counted(requests.dryRuns, 'dry run', 'dry runs')}).`,
  );
  for (const warning of rehearsal.warnings) agent.log(`  The API server warns: ${warning}`);
  return rehearsal;
}

export type ReadObjects = Pick<ReleasePlanInputs, 'served' | 'live' | 'autoscalers' | 'pods' | 'claims' | 'instances'>;

async function readObjects(context: ReleasePlanContext, revisions: readonly Revision[]): Promise<ReadObjects> {
  const served = await servedKinds(context, revisions);
  const live = await readLive(context, revisions, served);
  const objects = [...live.values()];
  const sets = objects.filter(isStatefulSet);
  const declared = [...sets, ...revisions.flatMap(({ manifest }) => manifestObjects(manifest)).filter(isStatefulSet)];
  const places = (some: readonly KubeObject[]): string[] => [
    ...new Set(some.flatMap(({ metadata }) => metadata.namespace ?? [])),
  ];
  const scalable = places(objects.filter(({ spec }) => isScalable(spec)));
  const listed = async (query: ListQuery, where: readonly string[], keep?: Keep): Promise<KubeObject[]> =>
    (await Promise.all(where.map((namespace) => beside(context, { ...query, namespace }, keep)))).flat();
  const [autoscalers, pods, claims, instances] = await Promise.all([
    listed({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' }, scalable),
    listed({ apiVersion: 'v1', kind: 'Pod' }, places(sets), isPodOf(sets)),
    listed({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, places(sets), isNamedByOne(declared)),
    readInstances(context, revisions, objects),
  ]);
  return { served, live, autoscalers, pods, claims, instances };
}

/**
 * Reads the objects of the definitions that the target does not have. Such a definition may be deleted, and all objects
 * of its kind with it.
 */
async function readInstances(
  context: Pick<ReleasePlanContext, 'agent' | 'cluster'>,
  [target]: readonly Revision[],
  objects: readonly KubeObject[],
): Promise<Map<string, Instances>> {
  const kept = new Set(
    manifestObjects(target?.manifest ?? '')
      .filter(isDefinition)
      .map(({ metadata }) => metadata.name),
  );
  const going = objects.filter((object) => isDefinition(object) && !kept.has(object.metadata.name));
  return new Map(
    await Promise.all(
      going.map(async (definition): Promise<[string, Instances]> => [
        definition.metadata.name,
        await instancesOf(context, definition),
      ]),
    ),
  );
}

/** All objects of the kind that a definition defines. */
export async function instancesOf(
  { agent, cluster }: Pick<ReleasePlanContext, 'agent' | 'cluster'>,
  definition: KubeObject,
): Promise<Instances> {
  const query = instancesQuery(definition);
  if (query === undefined) return [];
  try {
    return await cluster.list(query);
  } catch (thrown) {
    const error = asTaskError(thrown);
    if (error.reason === 'KindNotServed') return [];
    if (error.reason !== 'PermissionDenied') throw thrown;
    agent.log(`The plan does not know of ${query.kind} objects: ${error.message}`);
    return 'unread';
  }
}

function isScalable(spec: unknown): boolean {
  return typeof spec === 'object' && spec !== null && 'replicas' in spec;
}

type Keep = (object: KubeObject) => boolean;

/** Reads objects that only add information. An identity that may not read them gets a plan all the same. */
export async function beside(
  { agent, cluster }: ReleasePlanContext,
  query: ListQuery,
  keep?: Keep,
): Promise<KubeObject[]> {
  try {
    return await cluster.list(query, keep);
  } catch (thrown) {
    const error = asTaskError(thrown);
    if (error.reason !== 'PermissionDenied' && error.reason !== 'KindNotServed') throw thrown;
    agent.log(`The plan does not know of ${query.kind} objects: ${error.message}`);
    return [];
  }
}

async function servedKinds({ cluster }: ReleasePlanContext, revisions: readonly Revision[]): Promise<ServedKinds> {
  const kinds = kindsToResolve(revisions);
  const found = await Promise.all(kinds.map(({ apiVersion, kind }) => cluster.resource(apiVersion, kind)));
  return new Map<string, ServedKind>(
    kinds.map((kind, index): [string, ServedKind] => {
      const resource = found[index];
      return resource === undefined
        ? [servedKey(kind), { isServed: false }]
        : [servedKey(kind), { isServed: true, namespaced: resource.namespaced, plural: resource.plural }];
    }),
  );
}

/**
 * Reads every live object of these revisions, with one list for each kind and namespace. Some kinds may have thousands
 * of unrelated objects: of these, only objects with Helm's label are listed, and the rest is read by name.
 */
async function readLive(
  context: ReleasePlanContext,
  revisions: readonly Revision[],
  served: ServedKinds,
): Promise<Map<string, KubeObject>> {
  const { namespace } = context;
  const queries = liveQueries(revisions, namespace, served);
  const wanted = desiredRefs(revisions, namespace, served);
  const unlisted = new Set<string>();
  const lists = await Promise.all(
    queries.map(async (query) => {
      const list = await listed(context, query, (object) => wanted.has(objectKey(refOf(object))));
      if (list === undefined || isCrowded(query)) unlisted.add(placeKey(query));
      return list ?? [];
    }),
  );
  const live = liveObjects(lists);
  const missing = [...wanted].filter(([key, ref]) => !live.has(key) && unlisted.has(placeKey(ref)));
  const read = await inTurns(missing, context.signal, ([, ref]) => context.cluster.get(ref));
  for (const object of read.filter((each) => each !== undefined)) live.set(objectKey(refOf(object)), object);
  return new Map([...live].filter(([key]) => wanted.has(key)));
}

function placeKey({ apiVersion, kind, namespace }: Pick<ObjectRef, 'apiVersion' | 'kind' | 'namespace'>): string {
  return `${apiVersion} ${kind} ${namespace ?? ''}`;
}

const crowded = new Set(['ConfigMap', 'Secret', 'Pod', 'CustomResourceDefinition']);

function isCrowded({ kind }: { kind: string }): boolean {
  return crowded.has(kind);
}

async function listed(
  { cluster }: ReleasePlanContext,
  query: ListQuery,
  keep: (object: KubeObject) => boolean,
): Promise<KubeObject[] | undefined> {
  const marked = isCrowded(query) ? { labelSelector: 'app.kubernetes.io/managed-by=Helm' } : {};
  try {
    // Field managers show if a controller or Helm has changed an object during the rehearsal.
    return await cluster.list({ ...query, ...marked, withManagers: true }, keep);
  } catch (thrown) {
    // An identity that may not list may still read each object, as Helm does.
    if (asTaskError(thrown).reason !== 'PermissionDenied') throw thrown;
    return undefined;
  }
}

function desiredRefs(revisions: readonly Revision[], namespace: string, served: ServedKinds): Map<string, ObjectRef> {
  const read = manifestReader();
  const refs = new Map<string, ObjectRef>();
  for (const { manifest } of revisions) {
    for (const { key, ref } of placedObjects(read(manifest), namespace, served).values()) {
      if (!refs.has(key) && served.get(servedKey(ref))?.isServed === true) refs.set(key, ref);
    }
  }
  return refs;
}
