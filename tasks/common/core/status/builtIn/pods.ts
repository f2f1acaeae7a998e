import { isRecord } from '../../kubernetes/json';
import { ownField, textField, type Fields, type JsonObject } from '../fields';
import { current, failed, inProgress, unknown, type ObjectStatus } from '../result';

/**
 * A pod may wait this long for a node before it is Failed. The 15 s of kstatus made deploys fail on every cluster that
 * adds nodes on demand (helm/helm#31896). A new node takes 2 to 4 minutes.
 */
const schedulingSeconds = 300;

/**
 * The rule is from kstatus, with two differences: the phase Failed is Failed and not Current, and a pod may wait longer
 * for a node.
 */
export function podStatus(fields: Fields, now: Date): ObjectStatus {
  const phase = fields.text('status.phase') ?? '';
  switch (phase) {
    case '':
      return inProgress('PodNotObserved', 'The pod has no phase yet.');
    case 'Succeeded':
      return current('PodSucceeded', 'The pod has completed.');
    case 'Failed':
      return failed('PodFailed', failedMessage(fields));
    case 'Running':
      return runningStatus(fields);
    case 'Pending':
      return pendingStatus(fields, now);
    default:
      // This case includes the phase Unknown: the node does not answer, so nobody knows the state of the pod.
      return unknown('PodPhaseUnknown', `The pod's phase is ${phase}.`);
  }
}

function runningStatus(fields: Fields): ObjectStatus {
  if (fields.condition('Ready')?.status === 'True') return current('PodReady', 'The pod is ready.');
  const containers = [...containerStates(fields, 'initContainerStatuses'), ...containerStates(fields)];
  const looping = containers.filter((container) => container.waiting === 'CrashLoopBackOff');
  if (looping.length > 0) {
    return failed('ContainerCrashLooping', looping.map((container) => container.text).join('; '));
  }
  return inProgress('PodRunningNotReady', sentence('The pod runs but is not ready', containers));
}

function pendingStatus(fields: Fields, now: Date): ObjectStatus {
  const scheduled = fields.condition('PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const created = fields.time('metadata.creationTimestamp');
    const isYoung = created !== undefined && now.getTime() - created < schedulingSeconds * 1000;
    const message = scheduled.message || 'No node takes the pod.';
    return isYoung ? inProgress('PodNotScheduled', message) : failed('PodUnschedulable', message);
  }
  const containers = [...containerStates(fields, 'initContainerStatuses'), ...containerStates(fields)];
  return inProgress('PodPending', sentence('The pod has not started', containers));
}

function failedMessage(fields: Fields): string {
  const said = [fields.text('status.reason'), fields.text('status.message')].filter((part) => part !== undefined);
  if (said.length > 0) return said.join(': ');
  const ended = [...containerStates(fields, 'initContainerStatuses'), ...containerStates(fields)].filter(
    (container) => container.exitCode !== undefined && container.exitCode !== 0,
  );
  return sentence('The pod has ended without success', ended);
}

interface ContainerState {
  text: string;
  waiting?: string;
  exitCode?: number;
}

/** Returns the state of the containers that are neither running nor completed. */
function containerStates(fields: Fields, list = 'containerStatuses'): ContainerState[] {
  const statuses = fields.list(`status.${list}`) ?? [];
  return statuses.flatMap((item) => (isRecord(item) ? (containerState(item) ?? []) : []));
}

function containerState(status: JsonObject): ContainerState | undefined {
  const name = textField(status, 'name') || '?';
  const state = ownField(status, 'state');
  if (!isRecord(state)) return undefined;
  const waiting = ownField(state, 'waiting');
  if (isRecord(waiting)) {
    const reason = textField(waiting, 'reason');
    const words = [reason, textField(waiting, 'message')].filter((part) => part !== '');
    return { waiting: reason, text: `container ${name} waits: ${words.join(': ') || 'no reason given'}` };
  }
  const terminated = ownField(state, 'terminated');
  if (!isRecord(terminated)) return undefined;
  const exitCode = ownField(terminated, 'exitCode');
  if (typeof exitCode !== 'number') return undefined;
  const reason = textField(terminated, 'reason');
  return { exitCode, text: `container ${name} ended with exit code ${exitCode}${reason ? ` (${reason})` : ''}` };
}

function sentence(start: string, containers: readonly ContainerState[]): string {
  return containers.length === 0 ? `${start}.` : `${start}: ${containers.map(({ text }) => text).join('; ')}`;
}
