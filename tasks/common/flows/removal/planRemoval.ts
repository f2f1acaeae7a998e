import { asTaskError, TaskError } from '../../core/failure';
import { crdNames } from '../../core/helm/chartCrds';
import type { UninstallRequest } from '../../core/inputs/uninstallRequest';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { hookObject, isSecret, objectKey, objectName } from '../../core/kubernetes/manifest';
import { chainFrom, lastGood, releaseState } from '../../core/release/history';
import {
  isMarkedToStay,
  keepReason,
  leftovers,
  mayHoldData,
  mergeBase,
  type Leftover,
} from '../../core/release/mergeBase';
import { firstDeclared } from '../../core/release/preexisting';
import { storageName } from '../../core/release/releaseRecord';
import type { Removal } from '../../core/release/removal';
import type { Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import { keptFor } from '../deploy/droppedData';
import { liveRef } from '../release/desiredObjects';
import { claimsOf, olderReason, type PlannedBase } from '../release/mergeBase';
import { resourceFinder } from '../release/servedVersions';
import { inTurns } from '../steps/inTurns';

export type UninstallContext = ReleaseContext & { request: UninstallRequest };

export interface RemovalPlan {
  removals: readonly Removal[];
  /** The content of Helm's record with which Helm deletes these objects and no others; undefined if its own does. */
  base: PlannedBase | undefined;
}

/** Plans what an uninstall of the release deletes. Helm's own uninstall would also delete data, and objects of others. */
export async function planRemoval(context: UninstallContext, history: readonly Revision[]): Promise<RemovalPlan> {
  const last = history.at(-1);
  if (last === undefined) return { removals: [], base: undefined };
  const { namespace } = context;
  const good = lastGood(history);
  const isDone = releaseState(history).state === 'uninstalled';
  const chain = isDone ? [last] : chainFrom(history, good);
  const manifests = chain.map(({ manifest }) => manifest);
  // Revisions that Helm has uninstalled were good enough for their user.
  const found = leftovers(manifests, isDone ? last.manifest : good?.manifest, '', namespace);
  const firsts = firstDeclared(chain, namespace);
  const find = resourceFinder(context.cluster);
  const planned = await inTurns(found, context.signal, async (one) => {
    const ref = await liveRef(context.cluster, one.object, namespace, find);
    return { key: one.key, removals: await removalsOf(context, one, ref, firsts.get(one.key)) };
  });
  const spared = new Set(planned.flatMap(({ key, removals }) => (removals[0]?.fate === 'deleted' ? [] : [key])));
  const isPlain = chain.length === 1 && planned.every(({ removals }) => helmAgrees(removals[0]));
  const manifest = mergeBase(manifests, '', namespace, spared);
  return {
    removals: [...planned.flatMap(({ removals }) => removals), ...(await crdRemovals(context, last))],
    base: isPlain || isDone ? undefined : { edited: last, manifest, leftovers: [] },
  };
}

/** Helm cannot uninstall a manifest with a kind that is not served. */
function helmAgrees(removal: Removal | undefined): boolean {
  return removal !== undefined && (removal.fate === 'deleted' || removal.why === '');
}

async function removalsOf(
  context: UninstallContext,
  { object, wasGood }: Leftover,
  ref: ObjectRef | undefined,
  first: Pick<Revision, 'revision' | 'createdAt'> | undefined,
): Promise<Removal[]> {
  const { apiVersion, kind, metadata } = object;
  const nowhere = { apiVersion, kind, name: metadata.name };
  if (ref?.apiVersion !== apiVersion) {
    return [{ ref: ref ?? nowhere, uid: undefined, fate: 'absent', why: 'the API server does not serve its kind' }];
  }
  const live = await context.cluster.get(ref, { metadataOnly: isSecret(ref) });
  if (live === undefined) return [{ ref, uid: undefined, fate: 'absent', why: '' }];
  const { uid } = live.metadata;
  const why = await whyKept(context, { ref, live, object, wasGood, first });
  if (why !== undefined) return [{ ref, uid, fate: 'kept', why }];
  return [{ ref, uid, fate: 'deleted', why: '' }, ...(await claimRemovals(context, ref, live))];
}

interface Candidate {
  ref: ObjectRef;
  live: KubeObject;
  object: KubeObject;
  wasGood: boolean;
  first: Pick<Revision, 'revision' | 'createdAt'> | undefined;
}

async function whyKept(context: UninstallContext, candidate: Candidate): Promise<string | undefined> {
  const { ref, live, object, wasGood, first } = candidate;
  const { namespace, request } = context;
  // Its deletion has begun, and nothing can stop it.
  if (live.metadata.deletionTimestamp !== undefined) return undefined;
  if (isMarkedToStay(object)) return 'its resource policy is keep';
  const isWanted = wasGood || request.deleteData;
  const reason = keepReason(ref, live, { name: request.releaseName, namespace }, isWanted);
  if (reason !== undefined) return reason;
  const older = olderReason(context, live, { key: '', object, wasGood }, first);
  if (older !== undefined) return older;
  return mayHoldData(ref) ? keptFor(context, { ref, live, wasGood: true }) : undefined;
}

/** The claims that a StatefulSet leaves. */
async function claimRemovals(context: UninstallContext, ref: ObjectRef, live: KubeObject): Promise<Removal[]> {
  const { namespace } = ref;
  const claims = namespace === undefined ? [] : await claimsOf(context, ref, live);
  return Promise.all(
    claims.map(async ({ name }): Promise<Removal> => {
      const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, ...(namespace && { namespace }) };
      if (!context.request.deleteData) {
        const why = `it is a claim of ${objectName(ref)}, and may hold data; deleteData: true deletes it`;
        return { ref: claim, uid: undefined, fate: 'kept', why };
      }
      const found = await context.cluster.get(claim, { metadataOnly: true });
      return { ref: claim, uid: found?.metadata.uid, fate: 'deleted', why: '', isLater: true };
    }),
  );
}

const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };

/** The definitions of crds/ are in no manifest. */
async function crdRemovals({ agent, cluster, storage }: UninstallContext, last: Revision): Promise<Removal[]> {
  const names = (await storage.crdFiles(last.revision)).flatMap(crdNames);
  const found = await Promise.all(
    [...new Set(names)].map(async (name): Promise<Removal[]> => {
      const ref = { ...definition, name };
      const why = 'it is of the crds/ folder, which Helm never deletes';
      try {
        const live = await cluster.get(ref, { metadataOnly: true });
        return live === undefined ? [] : [{ ref, uid: live.metadata.uid, fate: 'kept', why }];
      } catch (thrown) {
        agent.debug(asTaskError(thrown).message);
        return [{ ref, uid: undefined, fate: 'kept', why }];
      }
    }),
  );
  return found.flat();
}

/** Throws if Helm would delete what has to stay. */
export function checkRoom({ removals, base }: RemovalPlan, hasRoom: boolean): void {
  const kept = removals.filter(({ fate, uid }) => fate === 'kept' && uid !== undefined);
  if (base === undefined || hasRoom || kept.length === 0) return;
  const names = kept.map(({ ref }) => objectName(ref)).join(', ');
  throw new TaskError(
    'ChartInvalid',
    `Helm's record of revision ${base.edited.revision} has no room to keep Helm from deleting ${names}. ` +
      'Annotate what has to stay with helm.sh/resource-policy=keep in the chart and deploy it, then run the step again.',
  );
}

/** The keys of what Helm and this extension keep of the release in its namespace, and of its hooks. */
export function ownKeys({ namespace, request, storage }: UninstallContext, history: readonly Revision[]): string[] {
  const keyOf = (apiVersion: string, kind: string, name: string): string =>
    objectKey({ apiVersion, kind, name, namespace });
  return history.flatMap(({ hooks, revision }) => [
    keyOf('v1', storage.kind, storageName(request.releaseName, revision)),
    ...hooks.flatMap((hook) => {
      const object = hookObject(hook.manifest);
      return object === undefined ? [] : [keyOf(object.apiVersion, object.kind, object.metadata.name)];
    }),
  ]);
}
