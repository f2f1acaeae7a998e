import { counted } from '../../core/text/counted';
import { asTaskError } from '../../core/failure';
import { lastGood, chainFrom } from '../../core/release/history';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { isSecret, manifestKey, manifestObjects, objectKey, objectName, refOf } from '../../core/kubernetes/manifest';
import {
  candidates,
  firstDeclared,
  isPreexisting,
  kept,
  knownUids,
  mayBeKept,
  restoration,
  type Candidate,
  type KeptObject,
  type Restoration,
} from '../../core/release/preexisting';
import { isUnowned, otherOwner } from '../../core/release/mergeBase';
import type { Revision } from '../../core/release/release';
import { keptObjectsName } from '../../core/release/releaseRecord';
import type { DeployContext, ReleaseContext } from '../../core/releaseContext';
import { errorOfObject } from './drift';
import { inTurns } from '../steps/inTurns';
import { withRetries } from '../steps/withRetries';
import { liveRef } from './desiredObjects';
import type { Rendering } from '../../core/release/unchanged';
import { clause } from '../../core/text/sentence';

/**
 * Logs the objects that are new in the rendering, exist already and do not belong to this release. Returns those that
 * are no hooks, as they are live.
 */
export async function findPreexisting(
  context: DeployContext,
  { rendering, history }: { rendering: Rendering; history: readonly Revision[] },
): Promise<KubeObject[]> {
  const { agent, namespace, preexisting, request, signal } = context;
  const release = { name: request.releaseName, namespace };
  const good = lastGood(history);
  const since = firstDeclared(chainFrom(history, good), namespace);
  const known = new Set(preexisting.map(keyOf));
  const uids = knownUids(preexisting);
  const wanted = candidates(rendering, history, good, namespace);
  const found = await inTurns(wanted, signal, async (candidate): Promise<Found | undefined> => {
    const live = await readLive(context, candidate);
    if (live === undefined || !isPreexisting(live, since.get(candidate.key), release, uids)) return undefined;
    return { ...kept(live, candidate.purpose), live };
  });
  const there = found.filter((one) => one !== undefined);
  if (there.length === 0) return [];
  const isKeep = request.onFailure === 'keep';
  agent.log(
    `${there.length === 1 ? '1 object of the chart exists already and is' : `${there.length} objects of the chart exist already and are`} in no revision of this release. ` +
      (isKeep
        ? 'No repair removes them; after a failed deploy they keep the changes of Helm (onFailure: keep):'
        : 'If the deploy fails, they are not removed, but restored to their present state:'),
  );
  for (const { live, purpose } of there) agent.log(`  ${describe(live, purpose, release)}`);
  preexisting.push(
    ...there.filter((one) => !known.has(keyOf(one))).map(({ object, purpose }) => ({ object, purpose })),
  );
  return there.filter(({ purpose }) => purpose === 'object').map(({ live }) => live);
}

type Found = KeptObject & { live: KubeObject };

function keyOf({ object }: KeptObject): string {
  return objectKey(refOf(object));
}

function describe(
  live: KubeObject,
  purpose: KeptObject['purpose'],
  release: { name: string; namespace: string },
): string {
  const name = named(live);
  if (purpose === 'hook') return `${name}: Helm deletes it and creates a hook of this name in its place`;
  if (isUnowned(live)) return `${name}: it belongs to no Helm release`;
  const owner = otherOwner(live, release);
  return owner === undefined ? `${name}: it carries the marks of this release` : `${name}: it belongs to ${owner}`;
}

function named({ kind, metadata: { name, namespace } }: KubeObject): string {
  return `${objectName({ kind, name })}${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
}

async function readLive(context: DeployContext, { object }: Candidate): Promise<KubeObject | undefined> {
  const { agent, cluster, namespace } = context;
  try {
    const ref = await liveRef(cluster, object, namespace);
    return ref === undefined ? undefined : await cluster.get(ref);
  } catch (error) {
    const { message } = errorOfObject(error);
    agent.log(
      `It is not known whether ${objectName(refOf(object))} exists already, so it could not be restored: ${message}`,
    );
    return undefined;
  }
}

/** Keeps copies in the cluster before Helm changes the objects. Logs which objects cannot be kept. */
export async function keepPreexisting(context: DeployContext): Promise<void> {
  const { agent, namespace, preexisting, storage } = context;
  if (preexisting.length === 0) return;
  const mayBe = preexisting.filter((one) => mayBeKept(one, namespace));
  const elsewhere = preexisting.filter((one) => !mayBe.includes(one));
  logUnkept(context, elsewhere, 'Secrets of other namespaces are not copied into this one');
  try {
    const tooLarge = mayBe.length === 0 ? [] : await withRetries(context, () => storage.keepObjects(mayBe));
    logUnkept(context, tooLarge, 'it is too large');
    agent.debug(
      `${counted(mayBe.length - tooLarge.length, 'object is', 'objects are')} kept in Secret ${keptObjectsName(context.request.releaseName)}.`,
    );
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'LeaseLost') throw thrown;
    logUnkept(context, mayBe, message);
  }
}

function logUnkept({ agent }: DeployContext, objects: readonly KeptObject[], why: string): void {
  if (objects.length === 0) return;
  agent.log(
    `Not kept in the cluster: ${objects.map(({ object }) => named(object)).join(', ')} (${clause(why)}). ` +
      'If this run is killed, they are not removed, but the changes of Helm stay.',
  );
}

/** Restores the objects that a dead run had kept, unless the release declares them. Nothing removes them later. */
export async function putBackLeft(
  context: ReleaseContext,
  left: readonly KeptObject[],
  history: readonly Revision[],
): Promise<void> {
  if (left.length === 0) return;
  context.agent.log('An earlier run ended before it had restored the objects from before its deploy.');
  context.preexisting.push(...outside(context, left, standing(history, true)));
  await putBackAll(context, context.preexisting);
}

/** Does the same as `settlePreexisting` for the objects that a dead deploy had kept. Never throws. */
export async function settleLeft(context: ReleaseContext): Promise<void> {
  const left = await leftObjects(context).catch((thrown: unknown) => {
    context.agent.debug(asTaskError(thrown).message);
    return [];
  });
  context.preexisting.push(...left);
  await settlePreexisting(context, false);
}

/** An identity that may not read Secrets has kept none. */
export async function leftObjects({ agent, storage }: ReleaseContext): Promise<readonly KeptObject[]> {
  try {
    return await storage.keptObjects();
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason !== 'PermissionDenied') throw thrown;
    agent.debug(message);
    return [];
  }
}

/** `isUndone`: the manifest of the failed revision does not count. Never throws. */
export async function settlePreexisting(context: ReleaseContext, isUndone: boolean): Promise<void> {
  const { agent, preexisting, storage } = context;
  if (preexisting.length === 0) return;
  try {
    const history = await withRetries(context, () => storage.history());
    await putBackAll(context, outside(context, preexisting, standing(history, isUndone)));
  } catch (thrown) {
    agent.warning(
      `The objects from before the deploy could not be restored; the next run of this step restores them: ${asTaskError(thrown).message}`,
    );
  }
}

/** The manifest whose objects belong to the release now. */
function standing(history: readonly Revision[], isUndone: boolean): string {
  const last = history.at(-1);
  return last === undefined || (isUndone && last.status !== 'deployed') ? '' : last.manifest;
}

function outside({ namespace }: ReleaseContext, objects: readonly KeptObject[], manifest: string): KeptObject[] {
  const keys = new Set(manifestObjects(manifest).map((object) => manifestKey(object, namespace)));
  return objects.filter(({ object }) => !keys.has(manifestKey(object, namespace)));
}

/** The copies of objects that could not be restored stay for the next run. */
async function putBackAll(context: ReleaseContext, objects: readonly KeptObject[]): Promise<void> {
  const { agent, namespace, request, storage } = context;
  const failed: string[] = [];
  for (const one of objects) {
    const problem = await putBack(context, one);
    if (problem !== undefined) failed.push(problem);
  }
  if (failed.length === 0) {
    await withRetries(context, () => storage.dropObjects()).catch((thrown: unknown) => {
      agent.debug(asTaskError(thrown).message);
    });
    return;
  }
  const where = `Secret/${keptObjectsName(request.releaseName)} in namespace ${namespace}`;
  agent.warning(
    `${failed.join(' ')} Their copies are in ${where}; the next run of this step tries again and then removes the copies.`,
  );
}

const triesOnConflict = 5;

/** Returns a sentence if the object could not be restored now. Logs if it can never be restored. */
async function putBack(context: ReleaseContext, one: KeptObject): Promise<string | undefined> {
  const { agent, cluster, signal } = context;
  const name = named(one.object);
  try {
    for (let count = 1; ; count++) {
      const live = await withRetries(context, () => cluster.get(refOf(one.object)));
      const wanted = restoration(one, live);
      if (wanted.action === 'nothing') return undefined;
      if (wanted.action === 'leave') {
        agent.warning(`${name} could not be restored to its state before the deploy: ${wanted.why}.`);
        return undefined;
      }
      try {
        await carryOut(context, refOf(one.object), wanted);
        agent.log(`${name} was restored to its state before the deploy.`);
        return undefined;
      } catch (thrown) {
        if (asTaskError(thrown).reason !== 'Conflict' || count === triesOnConflict || signal.aborted) throw thrown;
      }
    }
  } catch (thrown) {
    const { reason } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'LeaseLost') throw thrown;
    return `${name} could not be restored to its state before the deploy: ${whyRefused(one.object, thrown)}`;
  }
}

type Change = Exclude<Restoration, { action: 'nothing' | 'leave' }>;

async function carryOut({ agent, cluster, lease }: ReleaseContext, ref: ObjectRef, change: Change): Promise<void> {
  await lease.confirm();
  if (change.action === 'create') {
    await cluster.create(change.object);
  } else if (change.action === 'replace') {
    await cluster.delete(ref, { uid: change.uid });
    await cluster.create(change.object);
  } else {
    try {
      await cluster.patch(ref, change.patch);
    } catch (thrown) {
      if (asTaskError(thrown).facts['status'] !== 422) throw thrown;
      // A claim that has grown cannot shrink again.
      await cluster.patch(ref, change.metadata);
      agent.warning(
        `Only the labels and annotations of ${objectName(ref)} could be restored: ${whyRefused(ref, thrown)}`,
      );
    }
  }
}

/** An API server may quote the content of a Secret when it refuses the Secret. */
function whyRefused(ref: Parameters<typeof isSecret>[0], thrown: unknown): string {
  const { facts, message } = asTaskError(thrown);
  return isSecret(ref) && facts['status'] === 422 ? 'the API server answered 422, its content is not valid.' : message;
}
