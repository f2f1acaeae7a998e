import { asTaskError, TaskError } from '../../core/failure';
import {
  droppedData,
  isForUsToDelete,
  manifestWithout,
  ownsClaims,
  reasonToKeep,
  type DroppedData,
} from '../../core/release/droppedData';
import { isCustomResource } from '../../core/kubernetes/groups';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectName } from '../../core/kubernetes/manifest';
import { chainFrom, lastGood } from '../../core/release/history';
import type { Revision } from '../../core/release/release';
import { instancesQuery } from '../../core/rollbackPlan/model/definitions';
import { stopIfCancelled, type DeployContext } from '../../core/releaseContext';
import { giveRecord, type GivenBase, type PlannedBase } from '../release/mergeBase';
import type { DeployProgress } from '../release/deployProgress';
import { liveRef } from '../release/desiredObjects';
import { withRetries } from '../steps/withRetries';

/** `live` may be metadata alone. */
export interface LiveObject {
  ref: ObjectRef;
  live: KubeObject;
}

type DataContext = Pick<DeployContext, 'agent' | 'cluster' | 'clock' | 'namespace' | 'request' | 'signal'>;
type LiveData = DroppedData & LiveObject;

/** Returns the dropped data of the release that is still there, in the order of its deletion. */
async function liveData(context: DataContext, history: readonly Revision[], wanted: string): Promise<LiveData[]> {
  const { cluster, namespace, request } = context;
  const release = { name: request.releaseName, namespace };
  const found = droppedData(history, wanted, namespace).map(async (dropped): Promise<LiveData[]> => {
    const ref = await liveRef(cluster, dropped.object, namespace);
    const live = ref && (await withRetries(context, () => cluster.get(ref)));
    return ref !== undefined && live !== undefined && isForUsToDelete(dropped, live, release)
      ? [{ ...dropped, ref, live }]
      : [];
  });
  return (await Promise.all(found)).flat();
}

/**
 * Puts a base into the record of the serving revision in which Helm does not see the data that the chart drops. Returns
 * undefined if the chart drops none. Throws if the record has no room, because Helm would then delete the data.
 */
export async function holdDataBack(
  context: DeployContext,
  history: readonly Revision[],
  wanted: string,
): Promise<GivenBase | undefined> {
  const base = await heldBase(context, history, wanted);
  if (base === undefined) return undefined;
  const { edited } = base;
  const names = base.held.map(objectName).join(', ');
  context.agent.log(
    `The chart no longer declares ${names}. Helm is kept from deleting what may hold data before the new revision is verified healthy.`,
  );
  const given = await giveRecord(context, history, base);
  if (given.edited !== undefined) return given;
  throw new TaskError(
    'ChartInvalid',
    `The chart no longer declares ${names}, which may hold data, and Helm's record of revision ${edited.revision} has no room to keep Helm from deleting it. ` +
      'Annotate what has to stay with helm.sh/resource-policy=keep, or leave it in the chart, and run the step again.',
  );
}

/** The base in which Helm does not see the data that the chart drops; undefined if the chart drops none. */
export async function heldBase(
  context: DataContext,
  history: readonly Revision[],
  wanted: string,
): Promise<(PlannedBase & { held: readonly ObjectRef[] }) | undefined> {
  const edited = history.findLast(({ status }) => status === 'deployed');
  if (edited === undefined) return undefined;
  const held = await liveData(context, [edited], wanted);
  if (held.length === 0) return undefined;
  const manifest = manifestWithout(edited.manifest, context.namespace, new Set(held.map(({ key }) => key)));
  return { edited, manifest, leftovers: [], held: held.map(({ ref }) => ref) };
}

/** Foresees what a deploy does with the dropped data; `keptBecause` is empty for an object that it would delete. */
export async function droppedFates(
  context: DataContext,
  history: readonly Revision[],
  wanted: string,
): Promise<{ ref: ObjectRef; keptBecause: string }[]> {
  const scope = context.request.deleteData ? history : chainFrom(history, lastGood(history));
  const data = await liveData(context, scope, wanted);
  return Promise.all(data.map(async (each) => ({ ref: each.ref, keptBecause: (await keptFor(context, each)) ?? '' })));
}

/**
 * Deletes dropped data as far as the chart and the inputs ask for it, and names what stays. Only a verified revision may
 * cause this. An object that cannot be deleted stays, and the deploy is good all the same.
 */
export async function settleDroppedData(
  context: DeployContext,
  progress: Pick<DeployProgress, 'leftovers' | 'reservations'>,
  history: readonly Revision[],
  serving: Revision,
): Promise<void> {
  // A run that died may have left what it had still to delete.
  const isWhole = context.request.deleteData || context.lease.previous?.work !== undefined;
  const scope = isWhole ? history : chainFrom(history, lastGood(history));
  for (const data of await liveData(context, scope, serving.manifest)) {
    stopIfCancelled(context.signal);
    const { kind, name } = data.ref;
    const why = progress.reservations.length === 0 ? undefined : 'the new revision is deployed with a reservation';
    const keptBecause = why ?? (await keptFor(context, data)) ?? (await deleted(context, data));
    if (keptBecause === '') context.agent.log(`${kind}/${name} is no longer declared, and was deleted.`);
    const others = progress.leftovers.filter((left) => objectName(left) !== objectName(data.ref));
    progress.leftovers.splice(0, Infinity, ...others, { kind, name, keptBecause });
  }
}

type FateContext = Pick<DeployContext, 'cluster' | 'namespace'> & { request: { deleteData: boolean } };

/** Returns why data that the release no longer declares stays, or undefined. */
export async function keptFor(
  context: FateContext,
  { ref, live, wasGood }: Pick<LiveData, 'ref' | 'live' | 'wasGood'>,
): Promise<string | undefined> {
  const { namespace, request } = context;
  const { deleteData } = request;
  return reasonToKeep({
    ref,
    wasGood,
    deleteData,
    namespace,
    hasClaims: isCustomResource(ref) && wasGood && !deleteData ? await hasClaims(context, live) : undefined,
    instances: deleteData && ref.kind === 'CustomResourceDefinition' ? await instanceCount(context, live) : undefined,
  });
}

async function hasClaims({ cluster }: FateContext, live: KubeObject): Promise<boolean | undefined> {
  const { namespace } = live.metadata;
  const within = namespace === undefined ? {} : { namespace };
  try {
    const claims = await cluster.list({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      ...within,
      metadataOnly: true,
    });
    return ownsClaims(live, claims, await cluster.list({ apiVersion: 'apps/v1', kind: 'StatefulSet', ...within }));
  } catch (thrown) {
    if (asTaskError(thrown).reason !== 'PermissionDenied') throw thrown;
    return undefined;
  }
}

async function instanceCount({ cluster }: FateContext, definition: KubeObject): Promise<number | undefined> {
  const query = instancesQuery(definition);
  if (query === undefined) return 0;
  try {
    const items = await cluster.list({ ...query, metadataOnly: true });
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
  } catch (thrown) {
    const { reason } = asTaskError(thrown);
    if (reason === 'KindNotServed') return 0;
    if (reason !== 'PermissionDenied') throw thrown;
    return undefined;
  }
}

/** Returns an empty text, or why the object stays. */
export async function deleted({ cluster, lease }: DeployContext, { ref, live }: LiveObject): Promise<string> {
  const { uid } = live.metadata;
  await lease.confirm();
  try {
    await cluster.delete(ref, uid === undefined ? {} : { uid });
    return '';
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'LeaseLost') throw thrown;
    return `it could not be deleted (${message})`;
  }
}
