import { asTaskError } from '../../core/failure';
import { apiGroup, objectKey, objectName, refOf } from '../../core/kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { leaseName, leaseRecord } from '../../core/lock/lease';
import { hangingWords, isOfEveryNamespace, othersIn, protectedNamespaces } from '../../core/release/removal';
import { endingFor, wellEnded, type Ending } from '../../core/report/ending';
import { duration } from '../../core/text/durationText';
import { someNames } from '../../core/text/someNames';
import { inTurns } from '../steps/inTurns';
import type { UninstallContext } from './planRemoval';
import { clause } from '../../core/text/sentence';

interface RemoveNamespace {
  /** Keys of objects that the release has left, and that hold no data. */
  ours: ReadonlySet<string>;
  deadline: Date;
  /** Aborts with the step. The lock ends with the namespace, so its loss does not count. */
  signal: AbortSignal;
  leaveLock: () => void;
}

/** The end of the namespace: `deleted`, or why it stays. */
export type NamespaceFate = { fate: 'deleted' } | { fate: 'kept'; why: string } | { fate: 'hanging'; ending: Ending };

/** Deletes the namespace of a release that is gone, if nothing is in it that belongs to anybody else. */
export async function removeNamespace(context: UninstallContext, how: RemoveNamespace): Promise<NamespaceFate> {
  const { cluster, lease, namespace } = context;
  if (protectedNamespaces.has(namespace)) return { fate: 'kept', why: 'Kubernetes and others need it' };
  const ref: ObjectRef = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  const live = await cluster.get(ref);
  if (live === undefined) return { fate: 'deleted' };
  const { uid, deletionTimestamp } = live.metadata;
  if (deletionTimestamp === undefined) {
    const why = await whatElse(context, how.ours);
    if (why !== undefined) return { fate: 'kept', why };
    await lease.confirm();
    how.leaveLock();
    await cluster.delete(ref, uid === undefined ? {} : { uid });
  }
  return followNamespace(context, live, how);
}

/** Controllers remove some objects a moment after those for which they made them. */
const lateMs = 15_000;
const pollMs = 1_000;
const lateKinds: ReadonlySet<string> = new Set([
  '/Endpoints',
  'discovery.k8s.io/EndpointSlice',
  'apps/ControllerRevision',
  'apps/ReplicaSet',
  '/Pod',
]);

async function whatElse(context: UninstallContext, ours: ReadonlySet<string>): Promise<string | undefined> {
  const { clock, signal } = context;
  const untilMs = clock.monotonicMs() + lateMs;
  for (;;) {
    const found = await others(context, ours);
    if (typeof found === 'string') return found;
    if (found.length === 0) return undefined;
    const isLate = found.every(
      (object) =>
        object.metadata.deletionTimestamp !== undefined ||
        lateKinds.has(`${apiGroup(object.apiVersion)}/${object.kind}`),
    );
    if (!isLate || clock.monotonicMs() >= untilMs) {
      return `it also holds ${someNames(
        found.map((object) => objectName(refOf(object))),
        namedAtMost,
      )}`;
    }
    await clock.sleep(pollMs, signal);
  }
}

const namedAtMost = 10;

/** Returns why the content cannot be known, where that is so. */
async function others(context: UninstallContext, ours: ReadonlySet<string>): Promise<KubeObject[] | string> {
  const { cluster, namespace, request, signal } = context;
  const kinds = await cluster.namespacedKinds();
  if (kinds === undefined) return 'not all kinds of objects in it can be listed';
  const asked = kinds.filter(
    ({ apiVersion, kind }) => !isOfEveryNamespace({ apiVersion, kind, metadata: { name: '' } }),
  );
  try {
    const lists = await inTurns(asked, signal, ({ apiVersion, kind }) =>
      cluster.list({ apiVersion, kind, namespace, metadataOnly: kind !== 'Lease' }),
    );
    const objects = lists.flat();
    const free = objects
      .filter((object) => isFreeLock(object, request.releaseName))
      .map((object) => objectKey(refOf(object)));
    return othersIn(objects, new Set([...ours, ...free]));
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return `what else it holds cannot be read (${clause(asTaskError(thrown).message)})`;
  }
}

const ownPrefix = leaseName('');

/** The lock of this release, or that of another one which no run holds. */
function isFreeLock(object: KubeObject, release: string): boolean {
  const { kind, metadata } = object;
  if (kind !== 'Lease' || !metadata.name.startsWith(ownPrefix)) return false;
  return metadata.name === leaseName(release) || leaseRecord(object).holder === '';
}

async function followNamespace(
  { agent, clock, cluster, namespace }: UninstallContext,
  live: KubeObject,
  { deadline, signal }: RemoveNamespace,
): Promise<NamespaceFate> {
  const ref = refOf(live);
  const started = clock.now().getTime();
  agent.log(`Namespace ${namespace} is empty, and is being deleted.`);
  for (;;) {
    const now = await cluster.get(ref);
    if (now === undefined || now.metadata.uid !== live.metadata.uid) return { fate: 'deleted' };
    const time = clock.now().getTime();
    if (signal.aborted || time >= deadline.getTime()) {
      const words = `Namespace ${namespace} is not gone after ${duration((time - started) / 1000)}: ${hangingWords(now)}.`;
      const reason = signal.aborted ? 'Cancelled' : 'TimedOut';
      const ending = endingFor(signal.aborted ? 'cancelled' : 'failed', reason, words, objectName(ref));
      return { fate: 'hanging', ending: { ...wellEnded, ...ending } };
    }
    await clock.sleep(pollMs, signal);
  }
}
