import type { KubeObject } from '../kubernetes/object';
import { objectName, apiGroup } from '../kubernetes/manifest';
import type { ObjectStatus } from '../status/objectStatus';
import { isCustomResource } from '../kubernetes/groups';
import type { CauseCode } from './causes';
import { refusalOf } from './creationFindings';
import { newest, type EventRecord } from './events';
import { claimsOf, eventsAbout, type Family, type Index } from './family';
import { eventEvidence, refTo, runningLogs, type Evidence, type Finding } from './finding';
import { podFindings } from './podFindings';
import { at, conditionOf, isTrue, listAt, numberAt, ordinalOf, textAt } from '../kubernetes/read';
import type { FollowedObject } from './snapshot';
import { heldByOldPod, waitingFindings } from './waiting';

export interface WorkloadSurroundings {
  index: Index;
  family: Family | undefined;
  now: Date;
  /** A pod that ends may free a node or a quota. */
  isAnythingEnding: boolean;
  /** Returns true for what is older than this rollout. */
  isStale(finding: { eventUid?: string; count?: number; progressingSince?: string }): boolean;
}

export function workloadFindings(
  followed: FollowedObject,
  object: KubeObject,
  status: ObjectStatus,
  around: WorkloadSurroundings,
): Finding[] {
  const found = [
    ...jobFindings(followed, object, around.family),
    ...familyFindings(object, around),
    ...stuckFindings(object, around),
    ...claimFindings(object, status, around),
    ...statusFindings(followed, object, status, around),
  ];
  const named = found.length > 0 ? found : waitingFindings(object, around.family, around.index, around.now);
  return [...named, ...deadlineFindings(object, around)];
}

function own(object: KubeObject, code: CauseCode, message: string, more: Partial<Finding> = {}): Finding {
  const subject = refTo(object);
  return {
    code,
    subject,
    id: object.metadata.uid ?? objectName(subject),
    message,
    isCertain: false,
    evidence: [],
    logs: [],
    ...more,
  };
}

function jobFindings(followed: FollowedObject, object: KubeObject, family: Family | undefined): Finding[] {
  if (object.kind !== 'Job' || apiGroup(object.apiVersion) !== 'batch') return [];
  const failedCode = followed.purpose === 'hook' ? 'HookFailed' : 'JobFailed';
  const failure = ['Failed', 'FailureTarget'].find((type) => isTrue(object, type));
  if (failure === undefined) {
    const message = exhausted(object, family?.pods ?? []);
    if (message === undefined) return [];
    const evidence = [{ kind: 'object' as const, ref: refTo(object), text: message }];
    return [
      own(object, failedCode, `${objectName(followed.ref)} has failed: ${message}`, { isCertain: true, evidence }),
    ];
  }
  const condition = conditionOf(object, failure);
  const reason = textAt(condition, 'reason');
  const message = [reason, textAt(condition, 'message')].filter(Boolean).join(': ');
  const evidence = [{ kind: 'condition' as const, ref: refTo(object), text: `${failure} is True, ${message}` }];
  const isLate = reason === 'DeadlineExceeded';
  const logs = isLate ? runningLogs([...(family?.pods ?? []), ...(family?.ending ?? [])]) : [];
  const code = isLate ? 'JobDeadlineExceeded' : failedCode;
  return [own(object, code, `${objectName(followed.ref)} has failed: ${message}`, { isCertain: true, evidence, logs })];
}

/** Foresees the verdict of the Job controller by a second. Only for a plain Job, where no policy can excuse a pod. */
function exhausted(job: KubeObject, pods: readonly KubeObject[]): string | undefined {
  const spec = at(job, 'spec');
  const isPlain =
    jobPolicies.every((field) => at(spec, field) === undefined) &&
    ['completions', 'parallelism'].every((field) => at(spec, field) === undefined || numberAt(spec, field) === 1) &&
    textAt(spec, 'template', 'spec', 'restartPolicy') === 'Never';
  if (!isPlain || at(spec, 'suspend') === true || isTrue(job, 'SuccessCriteriaMet') || isTrue(job, 'Complete')) {
    return undefined;
  }
  const limit = at(spec, 'backoffLimit') === undefined ? defaultBackoffLimit : numberAt(spec, 'backoffLimit');
  const failed = pods.filter(hasFailedForGood);
  if (failed.length <= limit) return undefined;
  const names = failed.map((pod) => pod.metadata.name).join(', ');
  return `BackoffLimitExceeded: ${failed.length} of its pods failed (${names}), and its backoffLimit is ${limit}.`;
}

const jobPolicies = ['podFailurePolicy', 'successPolicy', 'backoffLimitPerIndex', 'managedBy'];
const defaultBackoffLimit = 6;

function hasFailedForGood(pod: KubeObject): boolean {
  if (textAt(pod, 'status', 'phase') === 'Failed') return true;
  const specs = [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')];
  if (specs.some((spec) => spec['restartPolicy'] !== undefined || spec['restartPolicyRules'] !== undefined))
    return false;
  return [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')].some(
    (status) =>
      at(status, 'state', 'terminated') !== undefined && numberAt(status, 'state', 'terminated', 'exitCode') !== 0,
  );
}

function familyFindings(object: KubeObject, around: WorkloadSurroundings): Finding[] {
  const { family } = around;
  if (family === undefined) return [];
  const pods = family.pods.flatMap((pod) => findingsOfPod(pod, object, around));
  const refusal = refusalFinding(object, family, around);
  const found = pods.map((finding) => heldByOldPod(finding, object, family));
  return refusal === undefined ? found : [refusal, ...found];
}

function findingsOfPod(
  pod: KubeObject,
  owner: KubeObject,
  { index, isAnythingEnding }: WorkloadSurroundings,
): Finding[] {
  const node = index.nodes.get(textAt(pod, 'spec', 'nodeName'));
  return podFindings(pod, {
    events: eventsAbout(pod, index),
    ...(node === undefined ? {} : { node }),
    isAlone: owner.kind === 'Pod',
    areOthersEnding: isAnythingEnding,
  });
}

/** A workload with all its pods may have an older refusal, which does not count. */
function refusalFinding(object: KubeObject, family: Family, around: WorkloadSurroundings): Finding | undefined {
  const refusedSet = refusedSetOf(object, around);
  if (refusedSet === undefined && !family.makers.some(lacksPods)) return undefined;
  for (const maker of family.makers) {
    const event = newest(eventsAbout(maker, around.index), (item) => isRefusal(item, around));
    const condition = isTrue(maker, 'ReplicaFailure') ? conditionOf(maker, 'ReplicaFailure') : refusedSet;
    const said = textAt(condition, 'message');
    const message = said || event?.message || '';
    const refusal = refusalOf(message);
    if (refusal === undefined) continue;
    const isCertain = refusal.isCertain && (condition === undefined || condition !== refusedSet);
    return own(object, refusal.code, message, {
      ...refusal,
      isCertain,
      isHeld: refusal.code === 'QuotaExceeded' && !isCertain && around.isAnythingEnding,
      doublesWait: true,
      evidence: [
        ...(said === '' ? [] : [conditionEvidence(maker, condition, said)]),
        ...(event === undefined ? [] : [eventEvidence(event, refTo(maker))]),
      ],
    });
  }
  return undefined;
}

function conditionEvidence(maker: KubeObject, condition: unknown, said: string): Evidence {
  const state = `${textAt(condition, 'type')} is ${textAt(condition, 'status')}`;
  return { kind: 'condition', ref: refTo(maker), text: `${state}: ${said}` };
}

/** Until a Deployment can create its ReplicaSet, it counts no pods and observes no generation. */
function refusedSetOf(object: KubeObject, around: WorkloadSurroundings): unknown {
  const condition = conditionOf(object, 'Progressing');
  if (object.kind !== 'Deployment' || condition?.['reason'] !== 'ReplicaSetCreateError') return undefined;
  return around.isStale({ progressingSince: textAt(condition, 'lastUpdateTime') }) ? undefined : condition;
}

function isRefusal(event: EventRecord, around: WorkloadSurroundings): boolean {
  return event.reason === 'FailedCreate' && !around.isStale({ eventUid: event.uid, count: event.count });
}

function lacksPods(maker: KubeObject): boolean {
  switch (maker.kind) {
    case 'DaemonSet':
      return numberAt(maker, 'status', 'currentNumberScheduled') < numberAt(maker, 'status', 'desiredNumberScheduled');
    case 'Deployment':
      return numberAt(maker, 'status', 'updatedReplicas') < wantedReplicas(maker);
    case 'Job':
      return numberAt(maker, 'status', 'active') === 0 && !isTrue(maker, 'Complete');
    default:
      return numberAt(maker, 'status', 'replicas') < wantedReplicas(maker);
  }
}

function wantedReplicas(maker: KubeObject): number {
  return at(maker, 'spec', 'replicas') === undefined ? 1 : numberAt(maker, 'spec', 'replicas');
}

/** The controller waits for a pod of any revision to be ready: kubernetes/kubernetes#67250. */
function stuckFindings(object: KubeObject, around: WorkloadSurroundings): Finding[] {
  const { family } = around;
  if (object.kind !== 'StatefulSet' || family === undefined || !family.isRevisionKnown) return [];
  if ((textAt(object, 'spec', 'podManagementPolicy') || 'OrderedReady') !== 'OrderedReady') return [];
  if (textAt(object, 'spec', 'updateStrategy', 'type') === 'OnDelete') return [];
  const partition = numberAt(object, 'spec', 'updateStrategy', 'rollingUpdate', 'partition');
  const stuck = family.oldPods.find((pod) => ordinalOf(pod) >= partition && !isTrue(pod, 'Ready'));
  if (stuck === undefined) return [];
  const inner = findingsOfPod(stuck, object, around);
  const isHopeless = inner.some(({ isCertain }) => isCertain);
  const why = inner[0]?.message ?? 'It is not ready.';
  const message = `${objectName(refTo(stuck))} has another revision, and the StatefulSet waits for it to become ready before it replaces it. ${why}`;
  return [
    {
      ...own(object, 'StatefulSetStuck', message, { detail: stuck.metadata.name }),
      subject: refTo(stuck),
      id: stuck.metadata.uid ?? stuck.metadata.name,
      ...(isHopeless ? { grace: 10 } : {}),
      evidence: [
        {
          kind: 'object',
          ref: refTo(stuck),
          text: `revision ${revisionOf(stuck)}, wanted ${textAt(object, 'status', 'updateRevision')}`,
        },
        ...inner.flatMap(({ evidence }) => evidence),
      ],
      logs: inner.flatMap(({ logs }) => logs),
    },
  ];
}

function revisionOf(pod: KubeObject): string {
  return pod.metadata.labels?.['controller-revision-hash'] ?? '';
}

const claimReasons: ReadonlySet<string> = new Set(['ProvisioningFailed', 'FailedBinding', 'ProvisioningCleanupFailed']);

function claimFindings(object: KubeObject, status: ObjectStatus, around: WorkloadSurroundings): Finding[] {
  if (object.kind === 'PersistentVolumeClaim') return claimFinding(object, status.message, around);
  const waiting = around.family?.pods.filter((pod) => conditionOf(pod, 'PodScheduled')?.['status'] === 'False') ?? [];
  const claims = new Set(waiting.flatMap((pod) => claimsOf(pod, around.index)));
  return [...claims].flatMap((claim) => claimFinding(claim, '', around));
}

function claimFinding(claim: KubeObject, fallback: string, around: WorkloadSurroundings): Finding[] {
  if (textAt(claim, 'status', 'phase') === 'Bound') return [];
  const events = eventsAbout(claim, around.index);
  const failure = newest(events, ({ reason }) => claimReasons.has(reason));
  const event = failure ?? newest(events, () => true);
  if (event === undefined && fallback === '') return [];
  const message = `${objectName(refTo(claim))}: ${event?.message ?? fallback}`;
  const evidence = event === undefined ? [] : [eventEvidence(event, refTo(claim))];
  const grace = failure === undefined ? { grace: 'timeout' as const } : {};
  return [own(claim, 'VolumeNotBound', message, { ...grace, evidence })];
}

/** Such a claim counts as done. */
export function waitsForConsumer(claim: KubeObject, index: Index, pods: readonly KubeObject[]): boolean {
  const waits = newest(eventsAbout(claim, index), () => true)?.reason === 'WaitForFirstConsumer';
  return waits && !pods.some((pod) => claimsOf(pod, index).includes(claim));
}

function deadlineFindings(object: KubeObject, around: WorkloadSurroundings): Finding[] {
  const condition = conditionOf(object, 'Progressing');
  if (object.kind !== 'Deployment' || condition?.['reason'] !== 'ProgressDeadlineExceeded') return [];
  if (numberAt(object, 'status', 'observedGeneration') < numberAt(object, 'metadata', 'generation')) return [];
  // A rollout to an older ReplicaSet starts with the condition of the previous rollout.
  if (around.isStale({ progressingSince: textAt(condition, 'lastUpdateTime') })) return [];
  const newSet = around.family?.makers.find(({ kind }) => kind === 'ReplicaSet');
  if (newSet !== undefined && isFullyAvailable(newSet)) return [];
  const seconds = numberAt(object, 'spec', 'progressDeadlineSeconds') || 600;
  const isDefault = seconds === 600 ? ', the default' : '';
  const said = textAt(condition, 'message') || 'The progress deadline is exceeded.';
  const message = `The Deployment's own deadline has passed (progressDeadlineSeconds: ${seconds}${isDefault}). ${said}`;
  const evidence = [
    {
      kind: 'condition' as const,
      ref: refTo(object),
      text: `Progressing is False, ProgressDeadlineExceeded: ${said}`,
    },
  ];
  return [own(object, 'ProgressDeadlineExceeded', message, { isCertain: true, evidence })];
}

function isFullyAvailable(set: KubeObject): boolean {
  const wanted = numberAt(set, 'spec', 'replicas');
  return wanted > 0 && numberAt(set, 'status', 'availableReplicas') >= wanted;
}

const unobserved: ReadonlySet<string> = new Set([
  'LatestGenerationNotObserved',
  'NoObservedGeneration',
  'NotObserved',
  'NoDesiredNumber',
]);

function statusFindings(
  followed: FollowedObject,
  object: KubeObject,
  status: ObjectStatus,
  around: WorkloadSurroundings,
): Finding[] {
  const evidence = [
    { kind: 'object' as const, ref: followed.ref, text: `${status.status}, ${status.reason}: ${status.message}` },
  ];
  const message = `${objectName(followed.ref)}: ${status.message}`;
  if (unobserved.has(status.reason)) return [own(object, 'NotObserved', message, { evidence })];
  if (around.family !== undefined) return [];
  // Many controllers report «not ready» during normal progress.
  if (status.status === 'InProgress' && isCustomResource(object)) {
    return [own(object, 'CustomResourceFailed', message, { detail: 'notReady', grace: 'timeout', evidence })];
  }
  if (status.status !== 'Failed') return [];
  if (object.kind === 'PersistentVolumeClaim')
    return [own(object, 'VolumeNotBound', message, { evidence, isCertain: true })];
  return [own(object, 'CustomResourceFailed', message, { evidence })];
}
