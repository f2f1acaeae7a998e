import { objectName } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import { at, conditionOf, isTrue, listAt, numberAt, textAt, timeAt } from '../kubernetes/read';
import type { CauseCode } from './causes';
import { newest } from './events';
import { eventsAbout, type Family, type Index } from './family';
import { eventEvidence, refTo, type Finding } from './finding';

/** A shorter wait is not worth a word. */
const quietMilliseconds = 10_000;

/**
 * These findings name the thing that an object waits for, if nothing is wrong with it. None of them ends the wait
 * before the timeout.
 */
export function waitingFindings(object: KubeObject, family: Family | undefined, index: Index, now: Date): Finding[] {
  if (object.kind === 'Service') return balancerFindings(object, index);
  if (family === undefined) return [];
  const pods = family.pods.flatMap(
    (pod) => gateFinding(pod) ?? readinessGateFinding(pod) ?? initFinding(pod, now) ?? [],
  );
  return pods.length > 0 ? pods : family.leaving.flatMap((pod) => endingFinding(pod, index, now) ?? []);
}

function waiting(pod: KubeObject, code: CauseCode, message: string, more: Partial<Finding> = {}): Finding {
  const subject = refTo(pod);
  const id = pod.metadata.uid ?? subject.name;
  const evidence = [{ kind: 'object' as const, ref: subject, text: message }];
  return { code, subject, id, message, isCertain: false, evidence, logs: [], ...more };
}

function namesIn(list: readonly unknown[], field: string): string {
  return list.map((item) => textAt(item, field)).join(', ');
}

function gateFinding(pod: KubeObject): Finding | undefined {
  if (conditionOf(pod, 'PodScheduled')?.['reason'] !== 'SchedulingGated') return undefined;
  const gates = namesIn(listAt(pod, 'spec', 'schedulingGates'), 'name');
  return waiting(
    pod,
    'SchedulingGated',
    `${objectName(refTo(pod))} waits until its scheduling gate is removed: ${gates}.`,
  );
}

function readinessGateFinding(pod: KubeObject): Finding | undefined {
  if (!isTrue(pod, 'ContainersReady')) return undefined;
  const closed = listAt(pod, 'spec', 'readinessGates').filter((gate) => !isTrue(pod, textAt(gate, 'conditionType')));
  if (closed.length === 0) return undefined;
  const said = closed.map((gate) => {
    const type = textAt(gate, 'conditionType');
    const condition = conditionOf(pod, type);
    const words = [textAt(condition, 'reason'), textAt(condition, 'message')].filter(Boolean).join(': ');
    return `${type} ${condition === undefined ? 'is not set' : `is ${textAt(condition, 'status')}`}${words && ` (${words})`}`;
  });
  const message = `The containers of ${objectName(refTo(pod))} are ready, but its readiness gate is not met: ${said.join('; ')}.`;
  return waiting(pod, 'ReadinessGateNotMet', message);
}

function initFinding(pod: KubeObject, now: Date): Finding | undefined {
  const sidecars = new Set(
    listAt(pod, 'spec', 'initContainers')
      .filter((container) => container['restartPolicy'] === 'Always')
      .map(({ name }) => name),
  );
  const running = listAt(pod, 'status', 'initContainerStatuses').find(
    (status) => at(status, 'state', 'running') !== undefined && !sidecars.has(status['name']),
  );
  const startedAt = timeAt(running, 'state', 'running', 'startedAt');
  if (running === undefined || now.getTime() - startedAt < quietMilliseconds) return undefined;
  const { name, namespace = '' } = pod.metadata;
  const container = textAt(running, 'name');
  const message = `Init container ${container} of ${objectName(refTo(pod))} has not ended; it runs since ${clock(startedAt)}.`;
  return waiting(pod, 'InitContainerRunning', message, {
    id: `${pod.metadata.uid ?? name}/${container}`,
    logs: [{ namespace, pod: name, container, previous: false }],
  });
}

/** The time of day in UTC. */
function clock(time: number): string {
  return time === 0 ? 'an unknown time' : `${new Date(time).toISOString().slice(11, 19)} UTC`;
}

function endingFinding(pod: KubeObject, { nodes }: Index, now: Date): Finding | undefined {
  const allowed = numberAt(pod, 'metadata', 'deletionGracePeriodSeconds');
  const until = timeAt(pod, 'metadata', 'deletionTimestamp');
  const askedAt = until - allowed * 1000;
  if (now.getTime() - askedAt < quietMilliseconds) return undefined;
  const name = objectName(refTo(pod));
  const asked = `${name} is being deleted since ${clock(askedAt)}`;
  const nodeName = textAt(pod, 'spec', 'nodeName');
  const node = nodes.get(nodeName);
  if (node !== undefined && !isTrue(node, 'Ready')) {
    return waiting(pod, 'PodEnding', `${asked}, and its node ${nodeName} is not ready.`, { detail: 'node' });
  }
  const finalizers = at(pod, 'metadata', 'finalizers');
  if (Array.isArray(finalizers) && finalizers.length > 0) {
    const held = finalizers.map(String).join(', ');
    return waiting(pod, 'PodEnding', `${asked}, and a finalizer holds it: ${held}.`, { detail: 'finalizer' });
  }
  const late = now.getTime() > until ? 'which is over' : `until ${clock(until)}`;
  return waiting(pod, 'PodEnding', `${asked}; it may take ${allowed} s to end, ${late}.`);
}

function balancerFindings(service: KubeObject, index: Index): Finding[] {
  const event = newest(eventsAbout(service, index), ({ type }) => type === 'Warning');
  if (textAt(service, 'spec', 'type') !== 'LoadBalancer' || event === undefined) return [];
  const message = `${objectName(refTo(service))} has no address from its load balancer: ${event.message}`;
  return [waiting(service, 'LoadBalancerPending', message, { evidence: [eventEvidence(event, refTo(service))] })];
}

const holds: readonly (readonly [RegExp, string])[] = [
  [/Multi-Attach|ReadWriteOncePod/, 'the volume'],
  [/free ports/, 'the host port'],
  [/anti-affinity/, 'the place'],
];

/**
 * A Deployment that may not lose a pod before the new one is ready cannot go on if the new pod needs what the old pod
 * has.
 */
export function heldByOldPod(finding: Finding, object: KubeObject, family: Family): Finding {
  const [old] = family.oldPods;
  const held = holds.find(([pattern]) => pattern.test(finding.message))?.[1];
  if (object.kind !== 'Deployment' || old === undefined || held === undefined || mayLosePods(object)) return finding;
  const why = `The old pod ${old.metadata.name} holds ${held} until the new one is ready.`;
  return { ...finding, detail: 'oldPodInPlace', message: `${finding.message.replace(/([^.])$/, '$1.')} ${why}` };
}

/** The number that may be lost is rounded down: a quarter, which is the default, of up to three pods is none. */
function mayLosePods(deployment: KubeObject): boolean {
  const strategy = at(deployment, 'spec', 'strategy');
  if (textAt(strategy, 'type') === 'Recreate') return true;
  const lost = at(strategy, 'rollingUpdate', 'maxUnavailable') ?? '25%';
  const replicas = at(deployment, 'spec', 'replicas') === undefined ? 1 : numberAt(deployment, 'spec', 'replicas');
  return typeof lost === 'string' ? Math.floor((replicas * parseInt(lost, 10)) / 100) > 0 : Number(lost) > 0;
}
