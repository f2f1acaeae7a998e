import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { sentences } from '../text/sentence';
import { objectName, objectKey, refOf } from '../kubernetes/manifest';
import { objectStatus, type ObjectStatus } from '../status/objectStatus';
import { causes } from './causes';
import { newest, type EventRecord } from './events';
import { eventsAbout, familyOf, type Family, type Index } from './family';
import { eventEvidence, type Evidence, type Finding } from './finding';
import { podHold, podsHeldBack } from './heldPods';
import { withoutLostNodes } from './lostNodes';
import { statusWithOwned } from './owned';
import { at, listAt, textAt } from '../kubernetes/read';
import type { FollowedObject, UnreadKind } from './snapshot';
import type { RolloutPolicy, BaselineEntry, RolloutMemory, Reading } from './model';
import { waitsForConsumer, workloadFindings, type WorkloadSurroundings } from './workloadFindings';

/** Everything that a reading rests on beside the object that is followed. */
export interface ReadingContext {
  unread: readonly UnreadKind[];
  index: Index;
  policy: RolloutPolicy;
  before: RolloutMemory;
  now: Date;
  isAnythingEnding: boolean;
  pods: () => readonly KubeObject[];
}

export function readingOf(followed: FollowedObject, context: ReadingContext): Reading {
  const { now, index } = context;
  const key = objectKey(followed.ref);
  const { object } = followed;
  if (object === undefined) return absentReading(followed, key, context);
  const family = familyOf(object, index);
  const own = withoutLostNodes(object, statusOf(object, family, context), family, index);
  const unservedAt = isUnservedBalancer(object, own, index) ? unservedTime(key, context) : undefined;
  if (unservedAt !== undefined && unservedAt <= now.getTime()) {
    return { followed, key, status: nobodyServes, findings: [], family };
  }
  const shown = shownStatus(followed, object, own, context);
  const base = { followed, key, status: shown, findings: [], family };
  if (shown.status === 'Unknown') return { ...base, settled: 'unknown' };
  if (shown.status === 'Current' || shown.reason === behind.reason) return base;
  const findings = [...findingsOf(followed, shown, family, context), ...ownedFindings(followed, family, context)];
  // Pods that are held back explain the wait by themselves, and a warning about them is an old one.
  const isExplained = shown.reason === 'PodsHeldBack';
  const event = isExplained ? undefined : newest(eventsAbout(object, index), ({ type }) => type === 'Warning');
  const warning = event === undefined ? {} : { warning: eventEvidence(event, followed.ref) };
  // A new object without a status becomes one that is in place, although nothing changes.
  const revisitAt = shown.reason === 'NotObserved' ? now.getTime() + 1000 : unservedAt;
  const revisit = revisitAt === undefined ? {} : { revisitAt };
  const listed = followed.purpose === 'hook' ? findings.map(hookFinding) : findings;
  const status = findings.length > 0 || event === undefined ? shown : withWarning(shown, event);
  return { ...base, status, findings: listed, ...warning, ...revisit };
}

function withWarning(status: ObjectStatus, { reason, message }: EventRecord): ObjectStatus {
  return { ...status, message: sentences(status.message, `${reason}: ${message}`) };
}

function findingsOf(
  followed: FollowedObject,
  status: ObjectStatus,
  family: Family | undefined,
  context: ReadingContext,
): Finding[] {
  const { object } = followed;
  if (object === undefined) return [];
  const ownFamily = family?.owned === undefined ? family : undefined;
  return workloadFindings(
    followed,
    object,
    status,
    surroundings(followed, ownFamily, objectKey(followed.ref), context),
  );
}

/** The findings about the workloads that a custom resource owns, as its own. */
function ownedFindings({ purpose }: FollowedObject, family: Family | undefined, context: ReadingContext): Finding[] {
  return (family?.owned ?? []).flatMap((object) => {
    const status = objectStatus(object, context.now, context.policy.statusRules);
    if (status.status === 'Current') return [];
    return findingsOf({ ref: refOf(object), purpose, object }, status, familyOf(object, context.index), context);
  });
}

function statusOf(object: KubeObject, family: Family | undefined, context: ReadingContext): ObjectStatus {
  const { policy, now, unread } = context;
  const status = statusWithOwned(object, family, { rules: policy.statusRules, unread, now });
  const held = policy.everyPod === true && status.status === 'Current' ? podsHeldBack(object) : 0;
  if (held === 0) return status;
  const message = `${held === 1 ? '1 pod is' : `${held} pods are`} still of an earlier template: ${podHold(object)?.why ?? ''}.`;
  return { status: 'InProgress', reason: 'PodsHeldBack', message };
}

/** A controller shows within seconds that it handles a Service: by a finalizer, an event or a condition. */
const unservedSeconds = 30;

const nobodyServes: ObjectStatus = {
  status: 'Current',
  reason: 'NoLoadBalancerController',
  message: 'Nothing in this cluster serves load balancers, so the service gets no address.',
};

function isUnservedBalancer(object: KubeObject, status: ObjectStatus, index: Index): boolean {
  if (object.kind !== 'Service' || status.reason !== 'NoLoadBalancerAddress') return false;
  const finalizers = at(object, 'metadata', 'finalizers');
  const hasFinalizer = Array.isArray(finalizers) && finalizers.length > 0;
  return (
    !hasFinalizer && eventsAbout(object, index).length === 0 && listAt(object, 'status', 'conditions').length === 0
  );
}

function unservedTime(key: string, { before, now }: ReadingContext): number {
  return (before.workloads[key]?.seenAt ?? now.getTime()) + unservedSeconds * 1000;
}

const behind: ObjectStatus = {
  status: 'InProgress',
  reason: 'ReadingBehind',
  message: 'The reading is older than the change.',
};
const hookRuns: ObjectStatus = {
  status: 'InProgress',
  reason: 'HookRunning',
  message: 'The hook runs and has not ended yet.',
};
const waitsForPod: ObjectStatus = {
  status: 'Current',
  reason: 'WaitForFirstConsumer',
  message: 'The claim is bound when a pod uses it.',
};

function shownStatus(
  { purpose, generation }: FollowedObject,
  object: KubeObject,
  status: ObjectStatus,
  { index, pods }: ReadingContext,
): ObjectStatus {
  if (generation !== undefined && (object.metadata.generation ?? 0) < generation) return behind;
  const isPod = object.kind === 'Pod';
  // A hook pod must end; being ready is not enough.
  if (purpose === 'hook' && isPod && status.status === 'Current' && textAt(object, 'status', 'phase') !== 'Succeeded') {
    return hookRuns;
  }
  const isPendingClaim = object.kind === 'PersistentVolumeClaim' && status.status === 'InProgress';
  return isPendingClaim && waitsForConsumer(object, index, pods()) ? waitsForPod : status;
}

function hookFinding(finding: Finding): Finding {
  return finding.isCertain && finding.code === 'CrashLoop' ? { ...finding, code: 'HookFailed' } : finding;
}

function surroundings(
  followed: FollowedObject,
  family: Family | undefined,
  key: string,
  context: ReadingContext,
): WorkloadSurroundings {
  const { before, index, isAnythingEnding, now } = context;
  const baseline = before.baseline?.[key];
  const isStale: WorkloadSurroundings['isStale'] = ({ eventUid, count, progressingSince }) =>
    (eventUid !== undefined && (before.baselineEvents?.[eventUid] ?? 0) >= (count ?? 1)) ||
    (progressingSince !== undefined &&
      progressingSince !== '' &&
      progressingSince === baseline?.progressingSince &&
      isTouched(followed, baseline));
  return { index, family, isAnythingEnding, isStale, now };
}

export function isTouched({ object }: FollowedObject, baseline: BaselineEntry): boolean {
  return object?.metadata.uid !== baseline.uid || (object.metadata.generation ?? 0) !== baseline.generation;
}

function absentReading(
  followed: FollowedObject,
  key: string,
  { unread: hidden, policy, before }: ReadingContext,
): Reading {
  const { ref } = followed;
  const unread = hidden.find((kind) => isAbout(kind, ref));
  const base = { followed, key, findings: [], family: undefined };
  if (unread !== undefined) {
    return {
      ...base,
      status: { status: 'Unknown', reason: unread.reason, message: unread.message },
      settled: 'unknown',
    };
  }
  if (goesAway(followed) && (policy.isApplied || before.workloads[key]?.seenAt !== undefined)) {
    return {
      ...base,
      status: { status: 'Current', reason: 'Removed', message: 'It has done its work and is gone.' },
    };
  }
  const { halfApplied } = followed;
  const why = halfApplied === undefined ? '' : `, and its revision is ${halfApplied} in Helm's record`;
  const message = `${objectName(ref)} is not there${why}.`;
  const status: ObjectStatus = { status: 'InProgress', reason: 'ObjectMissing', message };
  if (!policy.isApplied) return { ...base, status };
  const evidence: Evidence[] = [{ kind: 'object', ref, text: 'looked for and not found' }];
  const missing: Finding = {
    code: 'ObjectMissing',
    ...(halfApplied === undefined ? {} : { detail: 'halfApplied' }),
    subject: ref,
    id: key,
    message,
    isCertain: true,
    grace: causes.ObjectMissing.grace,
    evidence,
    logs: [],
  };
  return { ...base, status, findings: [missing] };
}

/** Helm deletes hooks; its own end shows if they have succeeded. */
function goesAway({ removesItself, purpose }: FollowedObject): boolean {
  return removesItself === true || purpose === 'hook';
}

function isAbout(kind: UnreadKind, ref: ObjectRef): boolean {
  if (kind.kind !== ref.kind || kind.apiVersion !== ref.apiVersion) return false;
  return kind.namespace === undefined || kind.namespace === ref.namespace;
}
