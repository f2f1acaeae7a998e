import { asTaskError } from '../../core/failure';
import { clipped, neutralise } from '../../core/text/foreignText';
import { apiGroup } from '../../core/kubernetes/manifest';
import type { ObjectRef } from '../../core/kubernetes/object';
import type { RolloutContext } from '../../core/releaseContext';
import type { WorkloadNote } from '../../core/report/workloadNote';
import { inTurns } from '../steps/inTurns';

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet'];
/** An Event helps to inspect one workload. The report has the rest. */
const eventsAtMost = 50;
/** The API server limits the length of this message. */
const messageLimit = 1000;

type NoteContext = Pick<RolloutContext, 'agent' | 'cluster' | 'signal'>;

/**
 * Writes an Event on each of these objects that is a workload, for people who look at it later (kubectl describe). Many
 * identities may not write Events, so an error only goes to the debug log.
 */
export async function noteOnWorkloads(
  context: NoteContext,
  objects: readonly ObjectRef[],
  note: WorkloadNote,
): Promise<void> {
  const { agent, cluster, signal } = context;
  const workloads = objects
    .filter(({ apiVersion, kind }) => apiGroup(apiVersion) === 'apps' && workloadKinds.includes(kind))
    .slice(0, eventsAtMost);
  if (workloads.length === 0 || signal.aborted) return;
  try {
    const time = (await cluster.serverTime()).toISOString();
    await inTurns(workloads, signal, (ref) => noteOn(context, ref, note, time));
  } catch (thrown) {
    agent.debug(`No Event could be written on the workloads: ${asTaskError(thrown).message}`);
  }
}

async function noteOn(
  { agent, cluster }: NoteContext,
  { apiVersion, kind, name, namespace }: ObjectRef,
  { type, reason, message }: WorkloadNote,
  time: string,
): Promise<void> {
  const ref = { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) };
  const live = await cluster.get(ref, { metadataOnly: true });
  if (live === undefined || namespace === undefined) return;
  await cluster.create({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${eventId(time, live.metadata.resourceVersion)}`, namespace },
    involvedObject: { ...ref, uid: live.metadata.uid, resourceVersion: live.metadata.resourceVersion },
    type,
    reason,
    message: clipped(agent.redact(neutralise(agent.redact(message))), messageLimit),
    source: { component: 'helm-safe-deploy' },
    firstTimestamp: time.replace(/\.\d+/, ''),
    lastTimestamp: time.replace(/\.\d+/, ''),
    count: 1,
    reportingComponent: 'helm-safe-deploy',
    reportingInstance: '',
  });
}

/** Built as kubectl does it: the time, and the resource version to distinguish two Events of one second. */
function eventId(time: string, resourceVersion = '0'): string {
  return `${Date.parse(time).toString(16)}${Number(resourceVersion).toString(16)}`;
}
