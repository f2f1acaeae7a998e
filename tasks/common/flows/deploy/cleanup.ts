import { asTaskError } from '../../core/failure';
import { isSecret, objectName } from '../../core/kubernetes/manifest';
import { lastGood, sinceUninstall, wasFailed } from '../../core/release/history';
import { leftovers, type Leftover } from '../../core/release/mergeBase';
import { firstDeclared } from '../../core/release/preexisting';
import type { Revision } from '../../core/release/release';
import { stopIfCancelled, type DeployContext } from '../../core/releaseContext';
import { counted } from '../../core/text/counted';
import type { DeployProgress } from '../release/deployProgress';
import { liveRef } from '../release/desiredObjects';
import { reasonToStay } from '../release/mergeBase';
import { withRetries } from '../steps/withRetries';
import { deleted, type LiveObject } from './droppedData';

interface FailedLeftover extends LiveObject {
  /** The first failed revision that declares the object. */
  revision: number;
  /** Why nothing removes the object; empty if it may go. */
  keptBecause: string;
}

type Found = Pick<DeployProgress, 'leftovers'>;

/** Removes the objects that only failed upgrades have made, where the failed revision is kept and the inputs ask for it. */
export async function cleanUpFailed(context: DeployContext, progress: Found): Promise<void> {
  if (!context.request.cleanupOnFail) return;
  await orLogged(context, async () => {
    const history = await withRetries(context, () => context.storage.history());
    const good = lastGood(history);
    // After a first install that failed, everything belongs to the failed revision that is to be kept.
    if (good !== undefined) await removeOrList(context, progress, await failedLeftovers(context, history, good));
  });
}

/** Finds what older failed revisions have left, and removes it if the inputs ask for it. */
export async function settleFailedLeftovers(context: DeployContext, progress: Found, serving: Revision): Promise<void> {
  const { request, storage } = context;
  if (!request.cleanupOnFail && request.drift === undefined) return;
  await orLogged(context, async () => {
    const history = await withRetries(context, () => storage.history());
    const known = new Set(progress.leftovers.map(objectName));
    const found = await failedLeftovers(context, history, serving);
    const others = found.filter(({ ref }) => !known.has(objectName(ref)));
    await removeOrList(context, progress, others);
  });
}

/** The outcome of a deploy does not depend on what failed revisions have left. */
async function orLogged({ agent, signal }: DeployContext, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (thrown) {
    const { message, reason } = asTaskError(thrown);
    if (signal.aborted || reason === 'LeaseLost') throw thrown;
    agent.log(`What failed revisions have left could not be read or removed: ${message}`);
  }
}

/** The live objects that failed revisions declare and `standing` does not. */
async function failedLeftovers(
  context: DeployContext,
  history: readonly Revision[],
  standing: Revision,
): Promise<FailedLeftover[]> {
  const { namespace } = context;
  const since = sinceUninstall(history);
  const failed = since.filter((one) => one.revision !== standing.revision && wasFailed(one));
  const firsts = firstDeclared(since, namespace);
  const manifests = failed.map(({ manifest }) => manifest);
  const found: FailedLeftover[] = [];
  for (const leftover of leftovers(manifests, undefined, standing.manifest, namespace)) {
    stopIfCancelled(context.signal);
    const live = await liveLeftover(context, leftover);
    if (live === undefined) continue;
    const first = firsts.get(leftover.key);
    const keptBecause = reasonToStay(context, live, leftover, first) ?? '';
    found.push({ ...live, revision: first?.revision ?? 0, keptBecause });
  }
  return found;
}

async function liveLeftover(
  { cluster, namespace }: DeployContext,
  { object }: Leftover,
): Promise<LiveObject | undefined> {
  const ref = await liveRef(cluster, object, namespace);
  if (ref === undefined) return undefined;
  const live = await cluster.get(ref, { metadataOnly: isSecret(ref) });
  return live === undefined || live.metadata.deletionTimestamp !== undefined ? undefined : { ref, live };
}

async function removeOrList(context: DeployContext, progress: Found, found: readonly FailedLeftover[]): Promise<void> {
  const { agent, request } = context;
  if (found.length === 0) return;
  agent.log(`${counted(found.length, 'object is', 'objects are')} in no revision but failed ones:`);
  for (const { ref, live, revision, keptBecause } of found) {
    const { kind, name } = ref;
    const isLeft = !request.cleanupOnFail
      ? `revision ${revision}, which failed, made it; cleanupOnFail: true removes it`
      : '';
    const reason = keptBecause || isLeft || (await deleted(context, { ref, live }));
    agent.log(reason === '' ? `  ${objectName(ref)} was removed.` : `  ${objectName(ref)} stays: ${reason}.`);
    progress.leftovers.push({ kind, name, keptBecause: reason });
  }
}
