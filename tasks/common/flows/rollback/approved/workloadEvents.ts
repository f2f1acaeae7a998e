import { asTaskError } from '../../../core/failure';
import { clipped, neutralise } from '../../../core/text/foreignText';
import { apiGroup } from '../../../core/kubernetes/manifest';
import { refOfPlanned } from '../../../core/rollbackPlan/execution/execution';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import type { PlainStart } from '../../../core/releaseContext';

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet'];
/** An Event helps to inspect one workload. The report has the rest. */
const eventsAtMost = 20;
/** The API server limits the length of this message. */
const messageLimit = 1000;

/**
 * Writes an Event on each workload that was rolled back, for people who look at the workload later. An error is only
 * logged.
 */
export async function noteOnWorkloads(
  { agent, cluster }: Pick<PlainStart, 'agent' | 'cluster'>,
  { objects }: ChangePlan,
  message: string,
): Promise<void> {
  const changed = objects.filter(
    ({ apiVersion, kind, fate, isInTarget }) =>
      apiGroup(apiVersion) === 'apps' && workloadKinds.includes(kind) && isInTarget && fate !== 'kept',
  );
  try {
    const time = (await cluster.serverTime()).toISOString();
    for (const planned of changed.slice(0, eventsAtMost)) {
      const ref = refOfPlanned(planned);
      const live = await cluster.get(ref, { metadataOnly: true });
      const { namespace } = ref;
      if (live === undefined || namespace === undefined) continue;
      await cluster.create({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${ref.name}.${eventId(time, live.metadata.resourceVersion)}`, namespace },
        involvedObject: { ...ref, uid: live.metadata.uid, resourceVersion: live.metadata.resourceVersion },
        type: 'Normal',
        reason: 'RolledBack',
        message: clipped(agent.redact(neutralise(agent.redact(message))), messageLimit),
        source: { component: 'helm-safe-deploy' },
        firstTimestamp: time.replace(/\.\d+/, ''),
        lastTimestamp: time.replace(/\.\d+/, ''),
        count: 1,
        reportingComponent: 'helm-safe-deploy',
        reportingInstance: '',
      });
    }
  } catch (thrown) {
    agent.log(`No Event could be written on the workloads: ${asTaskError(thrown).message}`);
  }
}

/** Built as kubectl does it: the time, and the resource version to distinguish two Events of one second. */
function eventId(time: string, resourceVersion = '0'): string {
  return `${Date.parse(time).toString(16)}${Number(resourceVersion).toString(16)}`;
}
