import { objectName } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import type { CauseCode } from './causes';
import { containerFindings, isConfigMissing } from './containerFindings';
import { newest, type EventRecord } from './events';
import { eventEvidence, refTo, type Finding } from './finding';
import { at, conditionOf, isTrue, listAt, numberAt, textAt } from '../kubernetes/read';

interface PodSurroundings {
  events: readonly EventRecord[];
  node?: KubeObject;
  isAlone: boolean;
  areOthersEnding: boolean;
}

/** At most one for each container, and one for the pod itself. */
export function podFindings(pod: KubeObject, around: PodSurroundings): Finding[] {
  const lost = nodeFinding(pod, around);
  if (lost !== undefined) return [lost];
  const phase = textAt(pod, 'status', 'phase');
  if (phase === 'Failed') return [failedPodFinding(pod, around)];
  if (phase === 'Succeeded') return [];
  const unscheduled = schedulingFinding(pod, around);
  if (unscheduled !== undefined) return [unscheduled];
  const containers = containerFindings(pod, around.events);
  const mount = mountFinding(pod, around);
  return mount === undefined ? containers : [mount, ...containers.filter(({ detail }) => detail !== 'pulling')];
}

function podFinding(pod: KubeObject, code: CauseCode, message: string, more: Partial<Finding> = {}): Finding {
  const subject = refTo(pod);
  const id = pod.metadata.uid ?? subject.name;
  return { code, subject, id, message, isCertain: false, evidence: [], logs: [], ...more };
}

function nodeFinding(pod: KubeObject, { events, node }: PodSurroundings): Finding | undefined {
  const event = newest(events, ({ reason }) => reason === 'NodeNotReady' || reason === 'TaintManagerEviction');
  if (event !== undefined && isTrue(pod, 'Ready')) return undefined;
  const isNodeDown = node !== undefined && !isTrue(node, 'Ready');
  if (!isNodeDown && !isNodeLost(pod) && (event === undefined || node !== undefined)) return undefined;
  const name = textAt(pod, 'spec', 'nodeName') || 'unknown';
  return podFinding(pod, 'NodeLost', `${objectName(refTo(pod))} is on node ${name}, which does not answer.`, {
    evidence: [
      { kind: 'condition', ref: refTo(pod), text: textAt(conditionOf(pod, 'Ready'), 'message') || 'Ready is False' },
      ...(event === undefined ? [] : [eventEvidence(event, refTo(pod))]),
    ],
  });
}

/** The node controller sets only the Ready condition of pods on a silent node. */
function isNodeLost(pod: KubeObject): boolean {
  if (textAt(pod, 'status', 'phase') === 'Unknown' || textAt(pod, 'status', 'reason') === 'NodeLost') return true;
  const isUnready = conditionOf(pod, 'Ready')?.['status'] === 'False' && isTrue(pod, 'ContainersReady');
  return isUnready && listAt(pod, 'spec', 'readinessGates').length === 0;
}

function failedPodFinding(pod: KubeObject, around: PodSurroundings): Finding {
  const reason = textAt(pod, 'status', 'reason');
  const message = textAt(pod, 'status', 'message');
  const evidence = [{ kind: 'object' as const, ref: refTo(pod), text: [reason, message].filter(Boolean).join(': ') }];
  if (reason !== '' && reason !== 'DeadlineExceeded') {
    const text = `${objectName(refTo(pod))}: ${reason}${message === '' ? '' : `: ${message}`}`;
    return podFinding(pod, 'Evicted', text, { isCertain: around.isAlone, detail: reason, evidence });
  }
  const [ended] = containerFindings(pod, around.events);
  if (ended !== undefined) return { ...ended, isCertain: ended.isCertain || around.isAlone };
  const text = `${objectName(refTo(pod))} has ended without success${message === '' ? '.' : `: ${message}`}`;
  return podFinding(pod, 'CrashLoop', text, { isCertain: around.isAlone, evidence });
}

function schedulingFinding(pod: KubeObject, around: PodSurroundings): Finding | undefined {
  const condition = conditionOf(pod, 'PodScheduled');
  if (condition?.['status'] !== 'False' || condition['reason'] !== 'Unschedulable') return undefined;
  const message = textAt(condition, 'message');
  const evidence = [
    { kind: 'condition' as const, ref: refTo(pod), text: `PodScheduled is False, Unschedulable: ${message}` },
  ];
  if (/persistentvolumeclaim|PersistentVolumeClaims|persistent volumes to bind/.test(message)) {
    return podFinding(pod, 'VolumeNotBound', message, { evidence });
  }
  const autoscaler = newest(around.events, ({ reason }) => autoscalerReasons.has(reason));
  const detail = schedulingDetail(message);
  if (autoscaler === undefined) {
    return podFinding(pod, 'Unschedulable', message, { detail, isHeld: around.areOthersEnding, evidence });
  }
  const code = autoscalerReasons.get(autoscaler.reason) ?? 'Unschedulable';
  const text = `${message} ${autoscaler.message}`;
  return podFinding(pod, code, text, { detail, evidence: [...evidence, eventEvidence(autoscaler, refTo(pod))] });
}

/** Events of cluster-autoscaler and Karpenter. */
const autoscalerReasons: ReadonlyMap<string, CauseCode> = new Map<string, CauseCode>([
  ['TriggeredScaleUp', 'AutoscalerScalingUp'],
  ['Nominated', 'AutoscalerScalingUp'],
  ['NotTriggerScaleUp', 'AutoscalerCannotHelp'],
  ['FailedScaleUp', 'AutoscalerCannotHelp'],
]);

const schedulingDetails: readonly (readonly [RegExp, string])[] = [
  [/Insufficient |Too many pods/, 'resources'],
  [/volume node affinity conflict|PersistentVolume's node affinity|max volume count/, 'volumeZone'],
  [/node affinity\/selector|pod affinity|pod anti-affinity|topology spread/, 'affinity'],
  [/free ports/, 'ports'],
  [/untolerated taint|had taint/, 'taints'],
  [/were unschedulable/, 'cordoned'],
];

/** A node without room explains more than nodes that reject the pod. */
export function schedulingDetail(message: string): string {
  // The text after «preemption:» repeats the nodes in other words.
  const [sentence = ''] = message.split(' preemption:');
  return schedulingDetails.find(([pattern]) => pattern.test(sentence))?.[1] ?? 'other';
}

const mountReasons: ReadonlySet<string> = new Set(['FailedMount', 'FailedAttachVolume', 'FailedMapVolume']);

function mountFinding(pod: KubeObject, { events }: PodSurroundings): Finding | undefined {
  if (textAt(pod, 'status', 'phase') !== 'Pending') return undefined;
  const statuses = [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')];
  if (statuses.some((status) => at(status, 'state', 'running') !== undefined || numberAt(status, 'restartCount') > 0)) {
    return undefined;
  }
  const event = newest(events, ({ reason }) => mountReasons.has(reason) || reason === 'FailedCreatePodSandBox');
  // The kubelet starts containers only after volumes and network are ready.
  const later = newest(events, ({ reason }) => ['Pulling', 'Pulled', 'Created', 'Started'].includes(reason));
  if (event === undefined || (later !== undefined && later.lastAt >= event.lastAt)) return undefined;
  const evidence = [eventEvidence(event, refTo(pod))];
  if (event.reason === 'FailedCreatePodSandBox') {
    return podFinding(pod, 'StartError', event.message, { detail: 'sandbox', grace: 120, evidence });
  }
  if (isConfigMissing(event.message)) return podFinding(pod, 'ConfigMissing', event.message, { grace: 75, evidence });
  const isMultiAttach = event.message.includes('Multi-Attach');
  // The attach-detach controller detaches a volume from a silent node after six minutes.
  const more = isMultiAttach ? { detail: 'multiAttach', grace: 420 } : {};
  return podFinding(pod, 'VolumeMountFailed', event.message, { ...more, evidence });
}
