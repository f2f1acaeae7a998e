import type { Condition, Fields } from '../fields';
import { current, failed, inProgress, type ObjectStatus } from '../result';
import { counted, partOf } from '../../text/counted';

/** For the Deployment controller, this value of progressDeadlineSeconds means «no deadline». */
const noDeadline = 2_147_483_647;

/**
 * The rule and the order are from kstatus, with two differences: the task does not wait for a paused Deployment, and a
 * Deployment is Current only after its controller has looked at it (docs/status-rules.md).
 */
export function deploymentStatus(fields: Fields): ObjectStatus {
  const progressing = fields.condition('Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') {
    return failed('ProgressDeadlineExceeded', progressing.message || 'The progress deadline is exceeded.');
  }
  if (fields.flag('spec.paused') === true) return notObserved(fields) ?? pausedStatus(fields);
  const counts = deploymentCounts(fields);
  if (counts !== undefined) return withObstacle(counts, fields);
  const deadline = fields.integer('spec.progressDeadlineSeconds') ?? noDeadline;
  const isComplete = progressing?.status === 'True' && progressing.reason === 'NewReplicaSetAvailable';
  if (deadline < noDeadline && !isComplete) {
    return inProgress('ReplicaSetNotAvailable', 'The controller has not called the new ReplicaSet available yet.');
  }
  if (fields.condition('Available')?.status !== 'True') {
    return inProgress('DeploymentNotAvailable', 'The Deployment has not the minimum of available pods.');
  }
  return (
    notObserved(fields) ?? current('DeploymentAvailable', `${replicas(count(fields, 'status.replicas'))} available.`)
  );
}

function deploymentCounts(fields: Fields): ObjectStatus | undefined {
  const wanted = fields.integer('spec.replicas') ?? 1;
  const existing = count(fields, 'status.replicas');
  const updated = count(fields, 'status.updatedReplicas');
  const available = count(fields, 'status.availableReplicas');
  const ready = count(fields, 'status.readyReplicas');
  if (existing < wanted)
    return inProgress('LessReplicas', `${partOf(existing, wanted, 'replica', ['exists', 'exist'])}.`);
  if (updated < wanted) return inProgress('LessUpdated', `${partOf(updated, wanted, 'replica')} updated.`);
  if (existing > wanted)
    return inProgress('ExtraPods', `${counted(existing - wanted, 'old replica is', 'old replicas are')} still to end.`);
  if (available < updated) return inProgress('LessAvailable', `${partOf(available, updated, 'replica')} available.`);
  if (ready < wanted) return inProgress('LessReady', `${partOf(ready, wanted, 'replica')} ready.`);
  return undefined;
}

/**
 * kstatus has no rule for a paused Deployment and waits for updates that never come. The existing replicas must still
 * be available: ReplicaSets go on replacing pods while the rollout is paused.
 */
function pausedStatus(fields: Fields): ObjectStatus {
  const existing = count(fields, 'status.replicas');
  const available = count(fields, 'status.availableReplicas');
  if (available < existing) {
    return inProgress('LessAvailable', `Paused; ${partOf(available, existing, 'replica')} available.`);
  }
  return current('DeploymentPaused', `Paused: its rollout is not carried on; ${replicas(available)} available.`);
}

/** Adds the controller's message about an obstacle to the message with the counts. */
function withObstacle(status: ObjectStatus, fields: Fields): ObjectStatus {
  const hinders = (condition: Condition): boolean =>
    (condition.type === 'ReplicaFailure' && condition.status === 'True') ||
    (condition.type === 'Progressing' && condition.status === 'False');
  const obstacle = fields.conditions().find((condition) => hinders(condition) && condition.message !== '');
  return obstacle === undefined ? status : { ...status, message: `${status.message} ${obstacle.message}` };
}

/**
 * The rule and the order are from kstatus, with three differences: with OnDelete the pods must be ready,
 * minReadySeconds is respected, and a StatefulSet is Current only after its controller has looked at it
 * (docs/status-rules.md).
 */
export function statefulSetStatus(fields: Fields): ObjectStatus {
  const shortfall = statefulSetCounts(fields);
  if (shortfall !== undefined) return shortfall;
  const unseen = notObserved(fields);
  if (unseen !== undefined) return unseen;
  const wanted = fields.integer('spec.replicas') ?? 1;
  const updated = count(fields, 'status.updatedReplicas');
  if (fields.text('spec.updateStrategy.type') === 'OnDelete') {
    return current(
      'OnDelete',
      `${counted(wanted, 'replica', 'replicas')} ready; pods are updated when somebody deletes them.`,
    );
  }
  // The API server sets partition 0 by default, so a missing partition means that the object did not pass through the
  // server.
  const partition = fields.integer('spec.updateStrategy.rollingUpdate.partition');
  if (partition === undefined) return unpartitionedStatus(fields, wanted);
  const toUpdate = Math.max(0, wanted - partition);
  if (updated < toUpdate) return inProgress('PartitionRollout', `${partOf(updated, toUpdate, 'replica')} updated.`);
  return current('StatefulSetReady', `${counted(wanted, 'replica', 'replicas')} ready, ${updated} of them updated.`);
}

function statefulSetCounts(fields: Fields): ObjectStatus | undefined {
  const wanted = fields.integer('spec.replicas') ?? 1;
  const existing = count(fields, 'status.replicas');
  const ready = count(fields, 'status.readyReplicas');
  if (existing < wanted)
    return inProgress('LessReplicas', `${partOf(existing, wanted, 'replica', ['exists', 'exist'])}.`);
  if (ready < wanted) return inProgress('LessReady', `${partOf(ready, wanted, 'replica')} ready.`);
  if (existing > wanted)
    return inProgress('ExtraPods', `${counted(existing - wanted, 'replica is', 'replicas are')} still to end.`);
  // A zero availableReplicas is absent, so the value is checked only if it can differ from readyReplicas.
  const available = count(fields, 'status.availableReplicas');
  if (count(fields, 'spec.minReadySeconds') > 0 && available < wanted) {
    return inProgress(
      'LessAvailable',
      `${partOf(available, wanted, 'replica', ['has', 'have'])} been ready for minReadySeconds.`,
    );
  }
  return undefined;
}

function unpartitionedStatus(fields: Fields, wanted: number): ObjectStatus {
  const atRevision = count(fields, 'status.currentReplicas');
  if (atRevision < wanted) {
    return inProgress('LessCurrent', `${partOf(atRevision, wanted, 'replica', ['has', 'have'])} the current revision.`);
  }
  if ((fields.text('status.currentRevision') ?? '') !== (fields.text('status.updateRevision') ?? '')) {
    return inProgress('RevisionMismatch', 'The updated revision is not the current one yet.');
  }
  return current('StatefulSetReady', `${counted(wanted, 'replica', 'replicas')} ready.`);
}

/**
 * The rule is from kstatus, but the task does not wait for OnDelete: kstatus waits for pods that only a person
 * replaces, although it calls a StatefulSet with the same strategy Current. An object without metadata.generation is
 * judged like every other kind.
 */
export function daemonSetStatus(fields: Fields): ObjectStatus {
  const unseen = notObserved(fields);
  if (unseen !== undefined) return unseen;
  const desired = fields.integer('status.desiredNumberScheduled');
  if (desired === undefined) return inProgress('NoDesiredNumber', 'The controller has not counted the nodes yet.');
  const scheduled = count(fields, 'status.currentNumberScheduled');
  const updated = count(fields, 'status.updatedNumberScheduled');
  const available = count(fields, 'status.numberAvailable');
  const ready = count(fields, 'status.numberReady');
  const onDelete = fields.text('spec.updateStrategy.type') === 'OnDelete';
  if (scheduled < desired)
    return inProgress('LessCurrent', `${partOf(scheduled, desired, 'pod', ['exists', 'exist'])}.`);
  if (updated < desired && !onDelete) return inProgress('LessUpdated', `${partOf(updated, desired, 'pod')} updated.`);
  if (available < desired) return inProgress('LessAvailable', `${partOf(available, desired, 'pod')} available.`);
  if (ready < desired) return inProgress('LessReady', `${partOf(ready, desired, 'pod')} ready.`);
  if (onDelete)
    return current('OnDelete', `${counted(ready, 'pod', 'pods')} ready; pods are updated when somebody deletes them.`);
  return current('DaemonSetReady', `${counted(ready, 'pod', 'pods')} ready.`);
}

/**
 * The rule and the order are from kstatus. The rule also covers ReplicationController, for which kstatus has no rule
 * and returns Current at once.
 */
export function replicaSetStatus(fields: Fields): ObjectStatus {
  const failure = fields.condition('ReplicaFailure');
  // This is not Failed: a quota that old pods will free again looks the same.
  if (failure?.status === 'True') {
    return inProgress('ReplicaFailure', failure.message || 'Pods cannot be created or deleted.');
  }
  const wanted = fields.integer('spec.replicas') ?? 1;
  const existing = count(fields, 'status.replicas');
  const labelled = count(fields, 'status.fullyLabeledReplicas');
  const available = count(fields, 'status.availableReplicas');
  const ready = count(fields, 'status.readyReplicas');
  if (labelled < wanted)
    return inProgress('LessLabelled', `${partOf(labelled, wanted, 'replica', ['has', 'have'])} all labels.`);
  if (available < wanted) return inProgress('LessAvailable', `${partOf(available, wanted, 'replica')} available.`);
  if (ready < wanted) return inProgress('LessReady', `${partOf(ready, wanted, 'replica')} ready.`);
  if (existing > wanted)
    return inProgress('ExtraPods', `${counted(existing - wanted, 'replica is', 'replicas are')} still to end.`);
  return notObserved(fields) ?? current('ReplicaSetAvailable', `${replicas(wanted)} available.`);
}

/**
 * The built-in controllers set observedGeneration together with the first status that they write. kstatus requires it
 * for DaemonSets only, and calls a StatefulSet with zero replicas Current before its controller has looked at it.
 */
export function notObserved(fields: Fields): ObjectStatus | undefined {
  if ((fields.integer('status.observedGeneration') ?? 0) > 0) return undefined;
  return inProgress('NoObservedGeneration', 'The controller has not looked at the object yet.');
}

/** Kubernetes leaves out a count of zero. */
function count(fields: Fields, path: string): number {
  return fields.integer(path) ?? 0;
}

function replicas(number: number): string {
  return counted(number, 'replica', 'replicas');
}
