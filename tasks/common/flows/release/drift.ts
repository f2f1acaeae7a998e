import {
  absence,
  asHelmSends,
  compare,
  compareAlone,
  isImmutable,
  notKnown,
  refusedChange,
  unknownFields,
  unserved,
  withoutFields,
  type Comparison,
  type DeclaredObject,
  type Drift,
  type DriftOptions,
} from '../../core/release/drift';
import { withGrownSize } from '../../core/release/keptFields';
import { leavesOut, type DriftRule } from '../../core/release/driftRules';
import { asTaskError, type TaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { isUnchangedByApply } from '../../core/kubernetes/sameContent';
import { declarations, isSecret, objectKey, objectName } from '../../core/kubernetes/manifest';
import type { Cluster } from '../../core/ports';
import { stopIfCancelled, type RolloutContext } from '../../core/releaseContext';
import { inTurns } from '../steps/inTurns';
import { resourceFinder, type ResourceFinder } from './servedVersions';
import { liveRef } from './desiredObjects';
import type { ReleaseName } from '../../core/release/mergeBase';

/** The field manager of dry runs, which never writes. */
export const driftFieldManager = 'helm-safe-deploy-drift';

/** From this number of objects of one kind in one namespace on, one list is cheaper than reading each object. */
const listedFrom = 3;
/** How often an object is read again that changes between the read and the dry run. */
const tries = 5;
const unknownFieldRounds = 8;

export type DriftContext = Pick<RolloutContext, 'agent' | 'cluster' | 'signal'>;

export interface LiveState {
  /** In the order of the manifest. */
  drifts: readonly Drift[];
  /** Sentences about differences that other controllers may make, for example an autoscaler. */
  held: readonly string[];
  /** Sentences about objects that could be compared only in part. */
  notes: readonly string[];
}

/** Throws TaskError when the cluster cannot be read. An object that may not be read has the drift `unknown`. */
export async function driftOf(
  context: DriftContext,
  manifest: string,
  release: ReleaseName,
  rules: readonly DriftRule[] = [],
): Promise<Drift[]> {
  const { drifts, held, notes } = await liveState(context, manifest, release, rules);
  logSome(context, held);
  logSome(context, notes);
  return [...drifts];
}

/** One missing right gives a sentence for each object. */
const saidAtMost = 5;

function logSome({ agent }: DriftContext, sentences: readonly string[]): void {
  for (const sentence of sentences.slice(0, saidAtMost)) agent.log(sentence);
  if (sentences.length > saidAtMost) agent.log(`The same applies to ${sentences.length - saidAtMost} more.`);
}

/** Does the same as `driftOf`, but returns the other observations and logs nothing. */
export async function liveState(
  context: DriftContext,
  manifest: string,
  release: ReleaseName,
  rules: readonly DriftRule[] = [],
): Promise<LiveState> {
  const { cluster, signal } = context;
  const declared = declarations(manifest, release.namespace);
  const objects = declared.flatMap((each) => each.at(-1) ?? []);
  const find = resourceFinder(cluster);
  const refs = await inTurns(objects, signal, (object) => refOrError(cluster, object, release.namespace, find));
  const known = refs.flatMap((ref) => (ref === undefined || 'message' in ref ? [] : [ref]));
  const listed = await readLists(cluster, known, signal);
  const found = await inTurns(objects, signal, (object, index): Promise<Examined> => {
    const ref = refs[index];
    if (ref !== undefined && 'message' in ref) return Promise.resolve(unread(placeOf(object, release), ref));
    if (ref === undefined) return Promise.resolve({ ...unserved(placeOf(object, release)), notes: [] });
    // `ref` has the version of the object's last declaration.
    const earlier = (declared[index] ?? []).filter((each) => each !== object && each.apiVersion === object.apiVersion);
    if (leavesOut(rules, ref)) return Promise.resolve({ drift: undefined, held: [], notes: [] });
    const options = { release, rules };
    const sought = { object: { ref, declared: object }, listed: listed.get(objectKey(ref)), options };
    return examineAny(context, sought, earlier);
  });
  return {
    drifts: found.flatMap(({ drift }) => drift ?? []),
    held: found.flatMap(({ held }) => held),
    notes: found.flatMap(({ notes }) => notes),
  };
}

type Examined = Comparison & { notes: readonly string[] };

function placeOf({ apiVersion, kind, metadata }: KubeObject, release: ReleaseName): ObjectRef {
  return { apiVersion, kind, namespace: metadata.namespace || release.namespace, name: metadata.name };
}

async function refOrError(
  cluster: Cluster,
  object: KubeObject,
  namespace: string,
  find: ResourceFinder,
): Promise<ObjectRef | TaskError | undefined> {
  try {
    return await liveRef(cluster, object, namespace, find);
  } catch (error) {
    return errorOfObject(error);
  }
}

/** Throws an error that concerns the whole comparison. Returns an error that concerns one object. */
export function errorOfObject(error: unknown): TaskError {
  const known = asTaskError(error);
  const { reason } = known;
  const isAboutAll =
    reason === 'Cancelled' ||
    reason === 'ClusterUnreachable' ||
    reason === 'CredentialsRejected' ||
    reason === 'CertificateRejected';
  if (isAboutAll) throw error;
  return known;
}

function unread(ref: ObjectRef, error: TaskError): Examined {
  return { ...notKnown(ref, error.message), notes: [] };
}

/**
 * Reads objects of one kind and namespace with one list of all objects with Helm's label. Secrets are read one by one,
 * so that no other Secret is read. A missing object is read later by its name.
 */
async function readLists(
  cluster: Cluster,
  refs: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, KubeObject>> {
  const groups = new Map<string, ObjectRef[]>();
  for (const ref of refs.filter((each) => !isSecret(each))) {
    const key = `${ref.apiVersion} ${ref.kind} ${ref.namespace ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), ref]);
  }
  const large = [...groups.values()].filter((group) => group.length >= listedFrom);
  const lists = await inTurns(large, signal, async (group) => {
    const [first] = group;
    if (first === undefined) return [];
    const wanted = new Set(group.map(objectKey));
    const { apiVersion, kind, namespace } = first;
    const where = namespace === undefined ? {} : { namespace };
    try {
      const query = { apiVersion, kind, ...where, labelSelector: 'app.kubernetes.io/managed-by=Helm' };
      return await cluster.list(query, (object) => wanted.has(objectKey(keyRef(object))));
    } catch (error) {
      // An identity that may not list may still read each object.
      errorOfObject(error);
      return [];
    }
  });
  return new Map(lists.flat().map((object) => [objectKey(keyRef(object)), object]));
}

function keyRef({ apiVersion, kind, metadata }: KubeObject): ObjectRef {
  const { name, namespace } = metadata;
  return namespace === undefined ? { apiVersion, kind, name } : { apiVersion, kind, namespace, name };
}

/** An object that matches one of its declarations has no drift. */
async function examineAny(context: DriftContext, sought: Sought, earlier: readonly KubeObject[]): Promise<Examined> {
  const examined = await examine(context, sought);
  if (examined.drift?.drift !== 'changed') return examined;
  for (const declared of earlier) {
    const other = await examine(context, { ...sought, object: { ...sought.object, declared } });
    if (other.drift === undefined) return other;
  }
  return examined;
}

interface Sought {
  object: DeclaredObject;
  /** The object as a list has it, without the managed fields. */
  listed: KubeObject | undefined;
  options: DriftOptions;
}

/** An object that differs is read whole, and again if it changed meanwhile. */
async function examine({ cluster, signal }: DriftContext, { object, listed, options }: Sought): Promise<Examined> {
  const { ref } = object;
  const sent: DeclaredObject = { ref, declared: asHelmSends(object, options.release) };
  let live = listed;
  let isWhole = false;
  try {
    for (let count = 1; ; count++) {
      stopIfCancelled(signal);
      if (live === undefined) {
        live = await cluster.get(ref);
        isWhole = true;
      }
      if (live === undefined) return { ...absence(object), notes: [] };
      const { declared, words } = withGrownSize(sent.declared, live);
      const held = words === undefined ? [] : [words];
      if (isUnchangedByApply(declared, live)) return { drift: undefined, held, notes: [] };
      const answer = await dryRun(cluster, declared);
      const isLast = count >= tries && isWhole;
      if (isLast || isAbout(answer, live)) {
        const found = examinedBy(answer, { ref, declared }, live, options);
        const examined = { ...found, held: [...held, ...found.held] };
        if (isLast || isWhole || (examined.drift === undefined && examined.held.length === 0)) return examined;
      }
      live = undefined;
    }
  } catch (error) {
    return unread(ref, errorOfObject(error));
  }
}

type DryRun = { result: KubeObject; declared: KubeObject; dropped: readonly string[] } | { refused: TaskError };

/** Fields that the API server does not know are left out, as it leaves them out of what Helm 3 sends. */
async function dryRun(cluster: Cluster, object: KubeObject): Promise<DryRun> {
  let declared = object;
  const dropped: string[] = [];
  for (let round = 1; ; round++) {
    try {
      const result = await cluster.dryRunApply(declared, { fieldManager: driftFieldManager });
      return { result, declared, dropped };
    } catch (error) {
      const refused = errorOfObject(error);
      const unknown = unknownFields(refused.message);
      if (unknown.length === 0 || round === unknownFieldRounds) return { refused };
      declared = withoutFields(declared, unknown);
      dropped.push(...unknown);
    }
  }
}

/** Returns true if a dry run and a read show the same state of the same object. */
function isAbout(answer: DryRun, live: KubeObject): boolean {
  if ('refused' in answer) return true;
  const { uid, resourceVersion } = answer.result.metadata;
  return uid === live.metadata.uid && resourceVersion === live.metadata.resourceVersion;
}

function examinedBy(answer: DryRun, sent: DeclaredObject, live: KubeObject, options: DriftOptions): Examined {
  const { ref } = sent;
  const name = objectName(ref);
  if ('result' in answer) {
    const notes = answer.dropped.map((field) => `${name} declares ${field}, which the API server does not know.`);
    return { ...compare({ ref, declared: answer.declared }, live, answer.result, options), notes };
  }
  const { message } = answer.refused;
  // An API server may quote the content of a Secret when it refuses the Secret.
  const because = isSecret(ref) ? 'the API server refused it' : message;
  const comparison = compareAlone(sent, live, options, because);
  if (comparison.drift === undefined && isImmutable(message)) return { ...refusedChange(ref, because), notes: [] };
  const note = `${name} was compared by its declared fields alone, without a dry run: ${because}`;
  return { ...comparison, notes: comparison.drift === undefined ? [note] : [] };
}
