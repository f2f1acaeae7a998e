import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectStatus, parseStatusRules, type StatusRule } from '../../tasks/common/core/status/objectStatus';

const now = new Date('2026-03-01T12:00:00Z');

/** [what happened, the object without name and namespace, status, reason, part of the message] */
type Row = readonly [string, string, string, string?, RegExp?];

function objectOf(yaml: string): KubeObject {
  const object = parse(yaml) as Omit<KubeObject, 'metadata'> & { metadata?: Record<string, unknown> };
  return { ...object, metadata: { name: 'web', namespace: 'shop', ...object.metadata } } as KubeObject;
}

function table(title: string, rows: readonly Row[], rules: readonly StatusRule[] = []): void {
  describe(title, () => {
    for (const [name, yaml, status, reason, message] of rows) {
      it(`${name}: ${status}`, () => {
        const answer = objectStatus(objectOf(yaml), now, rules);
        assert.equal(answer.status, status, JSON.stringify(answer));
        if (reason !== undefined) assert.equal(answer.reason, reason);
        if (message !== undefined) assert.match(answer.message, message);
        assert.match(answer.reason, /^[A-Za-z0-9]+$/);
        assert.notEqual(answer.message, '');
      });
    }
  });
}

const deployment = (spec: string, status: string, metadata = 'generation: 2'): string =>
  `{apiVersion: apps/v1, kind: Deployment, metadata: {${metadata}}, spec: {${spec}}, status: {${status}}}`;
const done = '{type: Progressing, status: "True", reason: NewReplicaSetAvailable}';
const updating = '{type: Progressing, status: "True", reason: ReplicaSetUpdated}';
const available = '{type: Available, status: "True"}';
const counts = (existing: number, updated: number, ready: number, usable: number): string =>
  `replicas: ${existing}, updatedReplicas: ${updated}, readyReplicas: ${ready}, availableReplicas: ${usable}`;
const three = 'observedGeneration: 2, ' + counts(3, 3, 3, 3);
const spec3 = 'replicas: 3, progressDeadlineSeconds: 600';

table('Deployment', [
  [
    'complete',
    deployment(spec3, `${three}, conditions: [${done}, ${available}]`),
    'Current',
    'DeploymentAvailable',
    /3/,
  ],
  ['not looked at by its controller', '{apiVersion: apps/v1, kind: Deployment}', 'InProgress', 'LessReplicas'],
  [
    'status of the last generation',
    deployment(spec3, `observedGeneration: 1, ${counts(3, 3, 3, 3)}, conditions: [${done}, ${available}]`),
    'InProgress',
    'LatestGenerationNotObserved',
    /is 2.*is 1/,
  ],
  [
    'status of a later generation, from a backup',
    deployment(spec3, `observedGeneration: 3, ${counts(3, 3, 3, 3)}, conditions: [${done}, ${available}]`),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'all counts there but no observedGeneration',
    deployment(spec3, `${counts(3, 3, 3, 3)}, conditions: [${done}, ${available}]`),
    'InProgress',
    'NoObservedGeneration',
  ],
  [
    'too few pods',
    deployment(spec3, `observedGeneration: 2, ${counts(2, 2, 2, 2)}, conditions: [${updating}, ${available}]`),
    'InProgress',
    'LessReplicas',
    /2 of 3/,
  ],
  [
    'old pods still serve',
    deployment(spec3, `observedGeneration: 2, ${counts(4, 2, 3, 3)}, conditions: [${updating}, ${available}]`),
    'InProgress',
    'LessUpdated',
    /2 of 3/,
  ],
  [
    'old pods are still to end',
    deployment(spec3, `observedGeneration: 2, ${counts(4, 3, 4, 4)}, conditions: [${updating}, ${available}]`),
    'InProgress',
    'ExtraPods',
    /^1 /,
  ],
  [
    'a new pod is not available',
    deployment(spec3, `observedGeneration: 2, ${counts(3, 3, 3, 2)}, conditions: [${updating}, ${available}]`),
    'InProgress',
    'LessAvailable',
  ],
  [
    'a pod is not ready',
    deployment(spec3, `observedGeneration: 2, ${counts(3, 3, 2, 3)}, conditions: [${done}, ${available}]`),
    'InProgress',
    'LessReady',
  ],
  [
    'counts complete, controller not done',
    deployment(spec3, `${three}, conditions: [${updating}, ${available}]`),
    'InProgress',
    'ReplicaSetNotAvailable',
  ],
  [
    'deadline set, no Progressing condition yet',
    deployment(spec3, `${three}, conditions: [${available}]`),
    'InProgress',
    'ReplicaSetNotAvailable',
  ],
  [
    'NewReplicaSetAvailable but False',
    deployment(
      spec3,
      `${three}, conditions: [{type: Progressing, status: "False", reason: NewReplicaSetAvailable}, ${available}]`,
    ),
    'InProgress',
    'ReplicaSetNotAvailable',
  ],
  [
    'no deadline, so no Progressing condition',
    deployment('replicas: 3', `${three}, conditions: [${available}]`),
    'Current',
  ],
  [
    'deadline switched off by its largest value',
    deployment('replicas: 3, progressDeadlineSeconds: 2147483647', `${three}, conditions: [${available}]`),
    'Current',
  ],
  [
    'Available is False',
    deployment(spec3, `${three}, conditions: [${done}, {type: Available, status: "False"}]`),
    'InProgress',
    'DeploymentNotAvailable',
  ],
  [
    'Available is missing',
    deployment(spec3, `${three}, conditions: [${done}]`),
    'InProgress',
    'DeploymentNotAvailable',
  ],
  [
    'progress deadline exceeded',
    deployment(
      spec3,
      `observedGeneration: 2, ${counts(4, 1, 3, 3)}, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: ReplicaSet web-1 has timed out progressing.}, ${available}]`,
    ),
    'Failed',
    'ProgressDeadlineExceeded',
    /web-1/,
  ],
  [
    'deadline exceeded by the generation before',
    deployment(
      spec3,
      `observedGeneration: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]`,
    ),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'quota refuses the pods',
    deployment(
      spec3,
      `observedGeneration: 2, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: "exceeded quota: small"}]`,
    ),
    'InProgress',
    'LessReplicas',
    /exceeded quota: small/,
  ],
  [
    'ReplicaFailure is over',
    deployment(
      spec3,
      `observedGeneration: 2, conditions: [{type: ReplicaFailure, status: "False", message: "exceeded quota"}]`,
    ),
    'InProgress',
    'LessReplicas',
    /exist\.$/,
  ],
  [
    'the ReplicaSet cannot be created',
    deployment(
      spec3,
      `observedGeneration: 2, conditions: [{type: Progressing, status: "False", reason: ReplicaSetCreateError, message: refused by hook}]`,
    ),
    'InProgress',
    'LessReplicas',
    /refused by hook/,
  ],
  [
    'replicas left to the default of one',
    deployment('', `observedGeneration: 2, ${counts(1, 1, 1, 1)}, conditions: [${available}]`),
    'Current',
  ],
  [
    'replicas left to the default, none there',
    deployment('', `observedGeneration: 2, conditions: [${available}]`),
    'InProgress',
    'LessReplicas',
    /0 of 1/,
  ],
  [
    'scaled to zero',
    deployment(
      'replicas: 0, progressDeadlineSeconds: 600',
      `observedGeneration: 2, conditions: [${done}, ${available}]`,
    ),
    'Current',
  ],
  [
    'scaled to zero, last pod still ends',
    deployment(
      'replicas: 0, progressDeadlineSeconds: 600',
      `observedGeneration: 2, replicas: 1, conditions: [${done}, ${available}]`,
    ),
    'InProgress',
    'ExtraPods',
  ],
  [
    'paused with its old pods serving',
    deployment(
      `${spec3}, paused: true`,
      `observedGeneration: 2, ${counts(3, 0, 3, 3)}, conditions: [{type: Progressing, status: Unknown, reason: DeploymentPaused}, ${available}]`,
    ),
    'Current',
    'DeploymentPaused',
  ],
  [
    'paused from the start, nothing runs',
    deployment(`${spec3}, paused: true`, 'observedGeneration: 2'),
    'Current',
    'DeploymentPaused',
  ],
  [
    'paused half-way with a pod that does not serve',
    deployment(`${spec3}, paused: true`, `observedGeneration: 2, ${counts(4, 1, 3, 3)}`),
    'InProgress',
    'LessAvailable',
  ],
  ['paused, not looked at yet', deployment(`${spec3}, paused: true`, ''), 'InProgress', 'NoObservedGeneration'],
  [
    'paused after its deadline was exceeded',
    deployment(
      `${spec3}, paused: true`,
      `observedGeneration: 2, ${counts(3, 1, 3, 3)}, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]`,
    ),
    'Failed',
    'ProgressDeadlineExceeded',
  ],
  [
    'paused is false',
    deployment(`${spec3}, paused: false`, `observedGeneration: 2, ${counts(3, 0, 3, 3)}`),
    'InProgress',
    'LessUpdated',
  ],
  [
    'being deleted though complete',
    deployment(
      spec3,
      `${three}, conditions: [${done}, ${available}]`,
      'generation: 2, deletionTimestamp: "2026-03-01T11:59:00Z"',
    ),
    'Terminating',
    'Terminating',
  ],
  [
    'of the old group',
    deployment(spec3, `${three}, conditions: [${done}]`).replace('apps/v1', 'extensions/v1beta1'),
    'InProgress',
    'DeploymentNotAvailable',
  ],
  [
    'of a stranger group without conditions',
    '{apiVersion: example.com/v1, kind: Deployment, spec: {replicas: 3}, status: {replicas: 0}}',
    'Current',
  ],
  [
    'Stalled by a controller on top',
    deployment(spec3, `${three}, conditions: [${done}, ${available}, {type: Stalled, status: "True", reason: Stuck}]`),
    'Failed',
    'Stuck',
  ],
]);

const set = (spec: string, status: string): string =>
  `{apiVersion: apps/v1, kind: StatefulSet, metadata: {generation: 1}, spec: {${spec}}, status: {observedGeneration: 1, ${status}}}`;
const partition = (number: number): string =>
  `replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: ${number}}}`;

table('StatefulSet', [
  [
    'complete',
    set(
      partition(0),
      'replicas: 3, readyReplicas: 3, currentReplicas: 3, updatedReplicas: 3, currentRevision: a, updateRevision: a',
    ),
    'Current',
    'StatefulSetReady',
  ],
  [
    'no status',
    '{apiVersion: apps/v1, kind: StatefulSet, metadata: {generation: 1}}',
    'InProgress',
    'LessReplicas',
    /0 of 1/,
  ],
  [
    'too few pods',
    set(partition(0), 'replicas: 2, readyReplicas: 2, updatedReplicas: 2'),
    'InProgress',
    'LessReplicas',
  ],
  ['one not ready', set(partition(0), 'replicas: 3, readyReplicas: 2, updatedReplicas: 3'), 'InProgress', 'LessReady'],
  [
    'scaled down, one still ends',
    set(partition(0), 'replicas: 4, readyReplicas: 3, updatedReplicas: 3'),
    'InProgress',
    'ExtraPods',
  ],
  [
    'all ready, one of the old revision',
    set(partition(0), 'replicas: 3, readyReplicas: 3, updatedReplicas: 2'),
    'InProgress',
    'PartitionRollout',
    /2 of 3/,
  ],
  [
    'canary of one by partition',
    set(partition(2), 'replicas: 3, readyReplicas: 3, updatedReplicas: 1, currentRevision: a, updateRevision: b'),
    'Current',
    'StatefulSetReady',
    /1 of them updated/,
  ],
  [
    'canary of one not updated',
    set(partition(2), 'replicas: 3, readyReplicas: 3, updatedReplicas: 0'),
    'InProgress',
    'PartitionRollout',
    /0 of 1/,
  ],
  [
    'canary updated but not ready',
    set(partition(2), 'replicas: 3, readyReplicas: 2, updatedReplicas: 1'),
    'InProgress',
    'LessReady',
  ],
  ['partition beyond the replicas', set(partition(9), 'replicas: 3, readyReplicas: 3'), 'Current'],
  [
    'OnDelete with its old pods ready',
    set(
      'replicas: 3, updateStrategy: {type: OnDelete}',
      'replicas: 3, readyReplicas: 3, currentReplicas: 3, currentRevision: a, updateRevision: b',
    ),
    'Current',
    'OnDelete',
    /when somebody deletes/,
  ],
  [
    'OnDelete, first install, pods not there',
    set('replicas: 3, updateStrategy: {type: OnDelete}', 'replicas: 1'),
    'InProgress',
    'LessReplicas',
  ],
  [
    'OnDelete, pods not ready',
    set('replicas: 3, updateStrategy: {type: OnDelete}', 'replicas: 3, readyReplicas: 1'),
    'InProgress',
    'LessReady',
  ],
  [
    'no strategy in the object, old revision runs',
    set('replicas: 3', 'replicas: 3, readyReplicas: 3, currentReplicas: 3, currentRevision: a, updateRevision: b'),
    'InProgress',
    'RevisionMismatch',
  ],
  [
    'no strategy in the object, update half done',
    set('replicas: 3', 'replicas: 3, readyReplicas: 3, currentReplicas: 2, currentRevision: a, updateRevision: b'),
    'InProgress',
    'LessCurrent',
  ],
  [
    'no strategy in the object, complete',
    set('replicas: 3', 'replicas: 3, readyReplicas: 3, currentReplicas: 3, currentRevision: a, updateRevision: a'),
    'Current',
  ],
  [
    'Parallel, pods come at once',
    set(`podManagementPolicy: Parallel, ${partition(0)}`, 'replicas: 3, readyReplicas: 1, updatedReplicas: 3'),
    'InProgress',
    'LessReady',
  ],
  [
    'ready, but not for minReadySeconds',
    set(
      `minReadySeconds: 30, ${partition(0)}`,
      'replicas: 3, readyReplicas: 3, updatedReplicas: 3, availableReplicas: 2',
    ),
    'InProgress',
    'LessAvailable',
  ],
  [
    'ready for minReadySeconds',
    set(
      `minReadySeconds: 30, ${partition(0)}`,
      'replicas: 3, readyReplicas: 3, updatedReplicas: 3, availableReplicas: 3',
    ),
    'Current',
  ],
  [
    'availableReplicas of an old server',
    set(partition(0), 'replicas: 3, readyReplicas: 3, updatedReplicas: 3'),
    'Current',
  ],
  [
    'scaled to zero',
    set('replicas: 0, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}', 'replicas: 0'),
    'Current',
  ],
  [
    'scaled to zero, not looked at',
    '{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 0}}',
    'InProgress',
    'NoObservedGeneration',
  ],
]);

const daemons = (status: string, spec = ''): string =>
  `{apiVersion: apps/v1, kind: DaemonSet, metadata: {generation: 4}, spec: {${spec}}, status: {${status}}}`;
const nodes = (scheduled: number, updated: number, usable: number, ready: number): string =>
  `observedGeneration: 4, desiredNumberScheduled: 3, currentNumberScheduled: ${scheduled}, updatedNumberScheduled: ${updated}, numberAvailable: ${usable}, numberReady: ${ready}`;

table('DaemonSet', [
  ['complete', daemons(nodes(3, 3, 3, 3)), 'Current', 'DaemonSetReady'],
  ['no status', daemons(''), 'InProgress', 'NoObservedGeneration'],
  ['nodes not counted', daemons('observedGeneration: 4'), 'InProgress', 'NoDesiredNumber'],
  ['pod missing on a node', daemons(nodes(2, 2, 2, 2)), 'InProgress', 'LessCurrent'],
  ['pod of the old revision', daemons(nodes(3, 2, 3, 3)), 'InProgress', 'LessUpdated'],
  ['pod not available', daemons(nodes(3, 3, 2, 3)), 'InProgress', 'LessAvailable'],
  ['pod not ready', daemons(nodes(3, 3, 3, 2)), 'InProgress', 'LessReady'],
  [
    'old status',
    daemons(nodes(3, 3, 3, 3)).replace('observedGeneration: 4', 'observedGeneration: 3'),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'no node wants it',
    daemons('observedGeneration: 4, desiredNumberScheduled: 0, currentNumberScheduled: 0, numberReady: 0'),
    'Current',
  ],
  ['OnDelete, all pods old', daemons(nodes(3, 0, 3, 3), 'updateStrategy: {type: OnDelete}'), 'Current', 'OnDelete'],
  [
    'OnDelete, a pod does not serve',
    daemons(nodes(3, 0, 2, 2), 'updateStrategy: {type: OnDelete}'),
    'InProgress',
    'LessAvailable',
  ],
  [
    'trimmed of its generation',
    '{apiVersion: apps/v1, kind: DaemonSet, status: {observedGeneration: 4, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}}',
    'Current',
  ],
]);

const replicas = (labelled: number, usable: number, ready: number, existing: number, more = ''): string =>
  `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, fullyLabeledReplicas: ${labelled}, availableReplicas: ${usable}, readyReplicas: ${ready}, replicas: ${existing}${more}}}`;

table('ReplicaSet and ReplicationController', [
  ['complete', replicas(2, 2, 2, 2), 'Current', 'ReplicaSetAvailable'],
  ['no status', '{apiVersion: apps/v1, kind: ReplicaSet}', 'InProgress', 'LessLabelled'],
  ['labels missing', replicas(1, 2, 2, 2), 'InProgress', 'LessLabelled'],
  ['not available', replicas(2, 1, 2, 2), 'InProgress', 'LessAvailable'],
  ['not ready', replicas(2, 2, 1, 2), 'InProgress', 'LessReady'],
  ['too many', replicas(2, 2, 2, 3), 'InProgress', 'ExtraPods'],
  [
    'pods refused',
    replicas(
      2,
      2,
      2,
      2,
      ', conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]',
    ),
    'InProgress',
    'ReplicaFailure',
    /exceeded quota/,
  ],
  ['pods refused before', replicas(2, 2, 2, 2, ', conditions: [{type: ReplicaFailure, status: "False"}]'), 'Current'],
  [
    'of zero, not looked at',
    '{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 0}}',
    'InProgress',
    'NoObservedGeneration',
  ],
  [
    'controller of the first days without pods',
    '{apiVersion: v1, kind: ReplicationController, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, fullyLabeledReplicas: 2}}',
    'InProgress',
    'LessAvailable',
  ],
  [
    'of the old group',
    '{apiVersion: extensions/v1beta1, kind: ReplicaSet, spec: {replicas: 2}}',
    'InProgress',
    'LessLabelled',
  ],
]);

const job = (spec: string, status: string): string =>
  `{apiVersion: batch/v1, kind: Job, metadata: {generation: 1}, spec: {${spec}}, status: {${status}}}`;
const started = 'startTime: "2026-03-01T11:59:00Z"';

table('Job and CronJob', [
  [
    'complete',
    job(
      '',
      `${started}, succeeded: 1, conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]`,
    ),
    'Current',
    'JobComplete',
  ],
  ['not started', job('', ''), 'InProgress', 'JobNotStarted'],
  [
    'running',
    job(
      'completions: 10, parallelism: 2',
      `${started}, active: 2, succeeded: 3, failed: 1, conditions: [{type: Failed, status: "False"}, {type: Complete, status: "False"}]`,
    ),
    'InProgress',
    'JobRunning',
    /3 of 10.*2 pods active, 1 failed/,
  ],
  [
    'work done, pods still end',
    job('', `${started}, succeeded: 1, conditions: [{type: SuccessCriteriaMet, status: "True"}]`),
    'InProgress',
    'JobCompleting',
  ],
  [
    'over its backoff limit',
    job(
      'backoffLimit: 0',
      `${started}, failed: 1, conditions: [{type: FailureTarget, status: "True"}, {type: Failed, status: "True", reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]`,
    ),
    'Failed',
    'JobFailed',
    /BackoffLimitExceeded: Job has reached/,
  ],
  [
    'decided to fail, pods still end',
    job(
      'backoffLimit: 0',
      `${started}, failed: 1, conditions: [{type: FailureTarget, status: "True", reason: PodFailurePolicy}]`,
    ),
    'Failed',
    'JobFailed',
    /PodFailurePolicy/,
  ],
  [
    'over its deadline',
    job(
      'activeDeadlineSeconds: 5',
      `${started}, conditions: [{type: Failed, status: "True", reason: DeadlineExceeded}]`,
    ),
    'Failed',
    'JobFailed',
    /DeadlineExceeded/,
  ],
  [
    'pods failed but tries are left',
    job('backoffLimit: 6', `${started}, failed: 3, active: 1`),
    'InProgress',
    'JobRunning',
  ],
  [
    'suspended as it wants',
    job('suspend: true', 'conditions: [{type: Suspended, status: "True"}]'),
    'Current',
    'JobSuspended',
  ],
  [
    'resumed a moment ago',
    job('suspend: false', 'conditions: [{type: Suspended, status: "True"}]'),
    'InProgress',
    'JobNotStarted',
  ],
  ['suspended a moment ago', job('suspend: true', `${started}, active: 1`), 'InProgress', 'JobRunning'],
  [
    'suspended, then failed',
    job('suspend: true', 'conditions: [{type: Suspended, status: "True"}, {type: Failed, status: "True"}]'),
    'Failed',
    'JobFailed',
  ],
  ['held by parallelism zero', job('parallelism: 0', started), 'Current', 'JobPaused'],
  [
    'held by parallelism zero, a pod still ends',
    job('parallelism: 0', `${started}, active: 1`),
    'InProgress',
    'JobRunning',
  ],
  ['cron without status', '{apiVersion: batch/v1, kind: CronJob}', 'Current'],
  ['cron with an empty status', '{apiVersion: batch/v1, kind: CronJob, status: }', 'Current'],
  [
    'cron running',
    '{apiVersion: batch/v1, kind: CronJob, spec: {suspend: true}, status: {active: [{name: a}]}}',
    'Current',
  ],
]);

const pod = (status: string, metadata = '', spec = ''): string =>
  `{apiVersion: v1, kind: Pod, metadata: {${metadata}}, spec: {${spec}}, status: {${status}}}`;
const unschedulable =
  'phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: 0/3 nodes are available}]';

table('Pod', [
  ['ready', pod('phase: Running, conditions: [{type: Ready, status: "True"}]'), 'Current', 'PodReady'],
  [
    'completed',
    pod('phase: Succeeded, conditions: [{type: Ready, status: "False", reason: PodCompleted}]'),
    'Current',
    'PodSucceeded',
  ],
  [
    'failed',
    pod(
      'phase: Failed, containerStatuses: [{name: app, state: {terminated: {exitCode: 3, reason: Error}}}, {name: side, state: {terminated: {exitCode: 0}}}]',
    ),
    'Failed',
    'PodFailed',
    /app ended with exit code 3 \(Error\)$/,
  ],
  [
    'failed in an init container',
    pod('phase: Failed, initContainerStatuses: [{name: migrate, state: {terminated: {exitCode: 1}}}]'),
    'Failed',
    'PodFailed',
    /migrate/,
  ],
  ['failed without details', pod('phase: Failed'), 'Failed', 'PodFailed', /without success\.$/],
  [
    'evicted',
    pod('phase: Failed, reason: Evicted, message: The node was low on memory'),
    'Failed',
    'PodFailed',
    /Evicted: The node was low/,
  ],
  ['without a phase', pod(''), 'InProgress', 'PodNotObserved'],
  [
    'running, not ready',
    pod('phase: Running, conditions: [{type: Ready, status: "False"}]'),
    'InProgress',
    'PodRunningNotReady',
  ],
  [
    'crash looping',
    pod(
      'phase: Running, conditions: [{type: Ready, status: "False"}], containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s}}}]',
    ),
    'Failed',
    'ContainerCrashLooping',
    /app.*back-off 40s/,
  ],
  [
    'crashed, restarts soon',
    pod(
      'phase: Running, containerStatuses: [{name: app, restartCount: 2, state: {terminated: {exitCode: 1, reason: Error}}}]',
    ),
    'InProgress',
    'PodRunningNotReady',
    /exit code 1/,
  ],
  [
    'sidecar of the init kind crash looping',
    pod('phase: Running, initContainerStatuses: [{name: proxy, state: {waiting: {reason: CrashLoopBackOff}}}]'),
    'Failed',
    'ContainerCrashLooping',
    /proxy/,
  ],
  [
    'init container crash looping',
    pod('phase: Pending, initContainerStatuses: [{name: migrate, state: {waiting: {reason: CrashLoopBackOff}}}]'),
    'InProgress',
    'PodPending',
    /migrate waits: CrashLoopBackOff/,
  ],
  [
    'image not pulled',
    pod(
      'phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: ImagePullBackOff, message: Back-off pulling image}}}]',
    ),
    'InProgress',
    'PodPending',
    /ImagePullBackOff: Back-off/,
  ],
  [
    'no node for ten seconds',
    pod(unschedulable, 'creationTimestamp: "2026-03-01T11:59:50Z"'),
    'InProgress',
    'PodNotScheduled',
    /0\/3 nodes/,
  ],
  [
    'no node for two minutes, the autoscaler works',
    pod(unschedulable, 'creationTimestamp: "2026-03-01T11:58:00Z"'),
    'InProgress',
    'PodNotScheduled',
  ],
  [
    'no node for five minutes',
    pod(unschedulable, 'creationTimestamp: "2026-03-01T11:55:00Z"'),
    'Failed',
    'PodUnschedulable',
    /0\/3 nodes/,
  ],
  ['no node, age not known', pod(unschedulable), 'Failed', 'PodUnschedulable'],
  [
    'held by a scheduling gate for an hour',
    pod(
      unschedulable.replace('reason: Unschedulable', 'reason: SchedulingGated'),
      'creationTimestamp: "2026-03-01T11:00:00Z"',
    ),
    'InProgress',
    'PodPending',
  ],
  [
    'scheduled, not started',
    pod('phase: Pending, conditions: [{type: PodScheduled, status: "True", reason: Unschedulable}]'),
    'InProgress',
    'PodPending',
  ],
  ['on a node that does not answer', pod('phase: Unknown'), 'Unknown', 'PodPhaseUnknown'],
  [
    'ready but being deleted',
    pod('phase: Running, conditions: [{type: Ready, status: "True"}]', 'deletionTimestamp: "2026-03-01T11:59:00Z"'),
    'Terminating',
  ],
  [
    'one-shot, runs and ready',
    pod('phase: Running, conditions: [{type: Ready, status: "True"}]', '', 'restartPolicy: Never'),
    'Current',
  ],
]);

const service = (spec: string, status = ''): string =>
  `{apiVersion: v1, kind: Service, spec: {${spec}}, status: {${status}}}`;
const hpa = (conditions: string): string =>
  `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [${conditions}]}}`;
const crd = (conditions: string): string =>
  `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [${conditions}]}}`;

table('the other built-in kinds', [
  ['claim bound', '{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Bound}}', 'Current', 'Bound'],
  [
    'claim pending',
    '{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Pending}}',
    'InProgress',
    'NotBound',
    /Pending/,
  ],
  ['claim without status', '{apiVersion: v1, kind: PersistentVolumeClaim}', 'InProgress', 'NotBound'],
  [
    'claim whose volume is gone',
    '{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Lost}}',
    'Failed',
    'ClaimLost',
  ],
  ['volume free', '{apiVersion: v1, kind: PersistentVolume, status: {phase: Available}}', 'Current'],
  ['volume in use', '{apiVersion: v1, kind: PersistentVolume, status: {phase: Bound}}', 'Current'],
  ['volume released', '{apiVersion: v1, kind: PersistentVolume, status: {phase: Released}}', 'Current'],
  ['volume being made', '{apiVersion: v1, kind: PersistentVolume, status: {phase: Pending}}', 'InProgress'],
  ['volume without status', '{apiVersion: v1, kind: PersistentVolume}', 'InProgress'],
  [
    'volume not reclaimed',
    '{apiVersion: v1, kind: PersistentVolume, status: {phase: Failed, message: rm failed}}',
    'Failed',
    'VolumeFailed',
    /rm failed/,
  ],
  ['volume in a phase of the future', '{apiVersion: v1, kind: PersistentVolume, status: {phase: Melting}}', 'Unknown'],
  ['service with the default type', service(''), 'Current'],
  ['headless service', service('clusterIP: None'), 'Current'],
  ['external name', service('type: ExternalName, externalName: db.example.com'), 'Current'],
  ['node port', service('type: NodePort'), 'Current'],
  ['load balancer without cluster IP', service('type: LoadBalancer'), 'InProgress', 'NoIPAssigned'],
  [
    'load balancer without address',
    service('type: LoadBalancer, clusterIP: 10.0.0.1', 'loadBalancer: {}'),
    'InProgress',
    'NoLoadBalancerAddress',
  ],
  [
    'load balancer of a class of its own, no address',
    service('type: LoadBalancer, clusterIP: 10.0.0.1, loadBalancerClass: example.com/lb'),
    'InProgress',
    'NoLoadBalancerAddress',
  ],
  [
    'load balancer with an empty list',
    service('type: LoadBalancer, clusterIP: 10.0.0.1', 'loadBalancer: {ingress: []}'),
    'InProgress',
    'NoLoadBalancerAddress',
  ],
  [
    'load balancer with an address',
    service('type: LoadBalancer, clusterIP: 10.0.0.1', 'loadBalancer: {ingress: [{ip: 192.0.2.1}]}'),
    'Current',
    'ServiceReady',
  ],
  [
    'load balancer on external IPs',
    service('type: LoadBalancer, clusterIP: 10.0.0.1, externalIPs: [192.0.2.9]'),
    'Current',
    'ServiceReady',
    /external/,
  ],
  [
    'ingress without address',
    '{apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {}}}',
    'Current',
  ],
  ['ingress of the old group', '{apiVersion: extensions/v1beta1, kind: Ingress}', 'Current'],
  [
    'autoscaler able',
    hpa('{type: AbleToScale, status: "True", reason: ReadyForNewScale}, {type: ScalingActive, status: "True"}'),
    'Current',
    'AutoscalerCurrent',
  ],
  ['autoscaler just made', '{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}', 'Current'],
  [
    'autoscaler without its target',
    hpa('{type: AbleToScale, status: "False", reason: FailedGetScale, message: deployments/scale.apps web not found}'),
    'InProgress',
    'FailedGetScale',
    /not found/,
  ],
  [
    'autoscaler may not scale',
    hpa('{type: AbleToScale, status: "False", reason: FailedUpdateScale}'),
    'InProgress',
    'FailedUpdateScale',
    /AbleToScale is False/,
  ],
  [
    'autoscaler whose minimum was raised',
    '{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 4}, status: {currentReplicas: 1}}',
    'InProgress',
    'BelowMinimum',
    /has 1 replica, and the minimum is 4/,
  ],
  [
    'autoscaler at its minimum',
    '{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 4}, status: {currentReplicas: 4}}',
    'Current',
  ],
  [
    'autoscaler that is switched off',
    '{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {minReplicas: 4}, status: {currentReplicas: 0}}',
    'Current',
  ],
  ['autoscaler pauses between two steps', hpa('{type: AbleToScale, status: "False", reason: BackoffBoth}'), 'Current'],
  [
    'autoscaler without metrics',
    hpa(
      '{type: AbleToScale, status: "True"}, {type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}',
    ),
    'Current',
    'FailedGetResourceMetric',
    /no metrics/,
  ],
  [
    'autoscaler of v1 without its target',
    `{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[{"type":"AbleToScale","status":"False","reason":"FailedGetScale"}]'}}}`,
    'InProgress',
    'FailedGetScale',
  ],
  [
    'autoscaler of v1 with a broken annotation',
    '{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: "[{"}}}',
    'Current',
  ],
  [
    'budget computed',
    '{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {generation: 1}, status: {observedGeneration: 1}}',
    'Current',
    'BudgetComputed',
  ],
  [
    'budget not looked at',
    '{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {generation: 1}}',
    'InProgress',
    'NoObservedGeneration',
  ],
  [
    'budget of the last generation',
    '{apiVersion: policy/v1beta1, kind: PodDisruptionBudget, metadata: {generation: 2}, status: {observedGeneration: 1}}',
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'definition established',
    crd('{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}'),
    'Current',
    'Established',
  ],
  [
    'definition installing',
    crd('{type: NamesAccepted, status: "True"}, {type: Established, status: "False", reason: Installing}'),
    'InProgress',
    'Installing',
  ],
  [
    'definition without conditions',
    '{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}',
    'InProgress',
    'Installing',
  ],
  [
    'definition whose name is taken',
    crd('{type: NamesAccepted, status: "False", reason: ListKindConflict, message: taken}'),
    'Failed',
    'ListKindConflict',
    /taken/,
  ],
  [
    'definition whose new name is taken, listed last',
    crd('{type: Established, status: "True"}, {type: NamesAccepted, status: "False", reason: ShortNamesConflict}'),
    'Failed',
    'ShortNamesConflict',
  ],
  [
    'definition not established for good',
    crd('{type: Established, status: "False", reason: Refused}'),
    'Failed',
    'Refused',
  ],
  [
    'API served',
    '{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "True", reason: Passed}]}}',
    'Current',
    'Passed',
  ],
  [
    'API without endpoints',
    '{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: "False", reason: MissingEndpoints, message: no addresses}]}}',
    'InProgress',
    'MissingEndpoints',
    /no addresses/,
  ],
  ['API not checked', '{apiVersion: apiregistration.k8s.io/v1, kind: APIService}', 'InProgress', 'NotObserved'],
  ['namespace', '{apiVersion: v1, kind: Namespace, status: {phase: Active}}', 'Current'],
  ['namespace being deleted', '{apiVersion: v1, kind: Namespace, status: {phase: Terminating}}', 'Terminating'],
  ['config map', '{apiVersion: v1, kind: ConfigMap, data: {status: Failed}}', 'Current'],
  ['secret', '{apiVersion: v1, kind: Secret}', 'Current'],
  [
    'service account, just made',
    '{apiVersion: v1, kind: ServiceAccount, metadata: {creationTimestamp: "2026-03-01T12:00:00Z"}}',
    'Current',
  ],
  [
    'role, just made',
    '{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {creationTimestamp: "2026-03-01T12:00:00Z"}}',
    'Current',
  ],
  [
    'network policy, just made',
    '{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {creationTimestamp: "2026-03-01T12:00:00Z"}}',
    'Current',
  ],
  ['quota', '{apiVersion: v1, kind: ResourceQuota, status: {hard: {pods: "1"}, used: {pods: "1"}}}', 'Current'],
  [
    'node not ready',
    '{apiVersion: v1, kind: Node, status: {conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown}]}}',
    'InProgress',
    'NodeStatusUnknown',
  ],
]);

const custom = (status: string, metadata = 'generation: 3'): string =>
  `{apiVersion: example.com/v1, kind: Database, metadata: {${metadata}}, status: {${status}}}`;

table('custom resources', [
  ['no status, age not known', '{apiVersion: example.com/v1, kind: Database}', 'Current'],
  ['no status, one second old', custom('', 'creationTimestamp: "2026-03-01T11:59:59Z"'), 'InProgress', 'NotObserved'],
  ['no status, five seconds old', custom('', 'creationTimestamp: "2026-03-01T11:59:55Z"'), 'Current'],
  [
    'no status, made by a clock that is an hour ahead',
    custom('', 'creationTimestamp: "2026-03-01T13:00:00Z"'),
    'Current',
  ],
  ['some status, one second old', custom('phase: Running', 'creationTimestamp: "2026-03-01T11:59:59Z"'), 'Current'],
  [
    'under k8s.io but not of Kubernetes, just made',
    '{apiVersion: things.k8s.io/v1, kind: Gateway, metadata: {creationTimestamp: "2026-03-01T12:00:00Z"}}',
    'InProgress',
    'NotObserved',
  ],
  [
    'ready',
    custom('conditions: [{type: Ready, status: "True", reason: AllOk, message: All looks ok}]'),
    'Current',
    'AllOk',
    /All looks ok/,
  ],
  ['ready, written as a boolean', custom('conditions: [{type: Ready, status: true}]'), 'Current', 'Ready'],
  [
    'not ready',
    custom('observedGeneration: 3, conditions: [{type: Ready, status: "False", reason: Creating}]'),
    'InProgress',
    'Creating',
  ],
  [
    'readiness unknown',
    custom('conditions: [{type: Ready, status: Unknown}]'),
    'InProgress',
    'NotReady',
    /Ready is Unknown/,
  ],
  [
    'generation not observed',
    custom('observedGeneration: 2, conditions: [{type: Ready, status: "True"}]'),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'generation observed, written as text',
    custom('observedGeneration: "3", conditions: [{type: Ready, status: "True"}]'),
    'Current',
  ],
  [
    'generation not observed, written as text',
    custom('observedGeneration: "2"'),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  [
    'ready, but that was the last generation',
    custom('conditions: [{type: Ready, status: "True", observedGeneration: 2}]'),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  ['ready in this generation', custom('conditions: [{type: Ready, status: "True", observedGeneration: 3}]'), 'Current'],
  [
    'ready, generation of the condition left at zero',
    custom('conditions: [{type: Ready, status: "True", observedGeneration: 0}]'),
    'Current',
  ],
  [
    'reconciling though ready',
    custom('conditions: [{type: Ready, status: "True"}, {type: Reconciling, status: "True", reason: Progressing}]'),
    'InProgress',
    'Progressing',
  ],
  [
    'stalled',
    custom(
      'conditions: [{type: Ready, status: "False"}, {type: Stalled, status: "True", reason: RetriesExceeded, message: gave up}]',
    ),
    'Failed',
    'RetriesExceeded',
    /gave up/,
  ],
  ['stalled without a reason', custom('conditions: [{type: Stalled, status: "True"}]'), 'Failed', 'Stalled'],
  [
    'stalled is over',
    custom('conditions: [{type: Ready, status: "True"}, {type: Stalled, status: "False"}]'),
    'Current',
  ],
  [
    'stalled in the last generation',
    custom(
      'conditions: [{type: Ready, status: "False", reason: Again}, {type: Stalled, status: "True", observedGeneration: 2}]',
    ),
    'InProgress',
    'Again',
  ],
  [
    'failed by its own word',
    custom('conditions: [{type: Failed, status: "True", reason: BadSpec, message: no such size}]'),
    'Failed',
    'BadSpec',
    /no such size/,
  ],
  [
    'failed and not ready',
    custom('conditions: [{type: Ready, status: "False"}, {type: Failed, status: "True"}]'),
    'Failed',
    'Failed',
  ],
  [
    'failed before, ready now',
    custom('conditions: [{type: Failed, status: "True"}, {type: Ready, status: "True"}]'),
    'Current',
  ],
  [
    'failed in the last generation',
    custom(
      'conditions: [{type: Failed, status: "True", observedGeneration: 2}, {type: Available, status: "False", reason: Restarting}]',
    ),
    'InProgress',
    'Restarting',
  ],
  ['not failed', custom('conditions: [{type: Failed, status: "False"}]'), 'Current'],
  [
    'available',
    custom('conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True"}]'),
    'Current',
    'Available',
  ],
  ['not available', custom('conditions: [{type: Available, status: "False"}]'), 'InProgress', 'NotAvailable'],
  [
    'available but failed',
    custom('conditions: [{type: Available, status: "True"}, {type: Failed, status: "True"}]'),
    'Failed',
  ],
  [
    'available but degraded',
    custom('conditions: [{type: Available, status: "True"}, {type: Degraded, status: "True", reason: TwoOfThree}]'),
    'InProgress',
    'TwoOfThree',
  ],
  [
    'ready though degraded',
    custom('conditions: [{type: Ready, status: "True"}, {type: Degraded, status: "True"}]'),
    'InProgress',
    'Degraded',
  ],
  [
    'a Gateway without an address',
    custom(
      'conditions: [{type: Accepted, status: "True"}, {type: Programmed, status: "False", reason: AddressNotAssigned}]',
    ),
    'InProgress',
    'AddressNotAssigned',
  ],
  [
    'a Gateway that works',
    custom('conditions: [{type: Accepted, status: "True"}, {type: Programmed, status: "True"}]'),
    'Current',
  ],
  [
    'a sealed Secret that no key opens',
    custom('conditions: [{type: Synced, status: "False", message: no key could decrypt it}]'),
    'InProgress',
    'NotSynced',
  ],
  [
    'a broker that says NotReady',
    custom('conditions: [{type: NotReady, status: "True", reason: Creating}]'),
    'InProgress',
    'Creating',
  ],
  [
    'a Rollout past its deadline whose old pods are available',
    custom(
      'conditions: [{type: Available, status: "True"}, {type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]',
    ),
    'InProgress',
    'ProgressDeadlineExceeded',
  ],
  [
    'a Rollout that is paused at a step',
    custom(
      'conditions: [{type: Available, status: "True"}, {type: Progressing, status: "Unknown", reason: RolloutPaused}, {type: Healthy, status: "False"}]',
    ),
    'Current',
  ],
  [
    'a Rollout of a wrong spec',
    custom('conditions: [{type: InvalidSpec, status: "True"}]'),
    'InProgress',
    'InvalidSpec',
  ],
  [
    'ready, but the last spec is not synced',
    custom('conditions: [{type: Ready, status: "True"}, {type: Synced, status: "False"}]'),
    'InProgress',
    'NotSynced',
  ],
  [
    'not synced with an earlier generation',
    custom('conditions: [{type: Synced, status: "False", observedGeneration: 1}]'),
    'InProgress',
    'LatestGenerationNotObserved',
  ],
  ['not degraded, nothing else', custom('conditions: [{type: Degraded, status: "False"}]'), 'Current'],
  ['succeeded', custom('conditions: [{type: Succeeded, status: "True"}]'), 'Current', 'Succeeded'],
  [
    'not succeeded yet',
    custom('conditions: [{type: Succeeded, status: Unknown, reason: Running}]'),
    'InProgress',
    'Running',
  ],
  ['completed', custom('conditions: [{type: Completed, status: "True"}]'), 'Current', 'Completed'],
  ['conditions that we do not know', custom('conditions: [{type: SomeCondition, status: "False"}]'), 'Current'],
  [
    'named like a built-in kind',
    '{apiVersion: serving.knative.dev/v1, kind: Service, spec: {type: LoadBalancer}, status: {conditions: [{type: Ready, status: "True"}]}}',
    'Current',
    'RuleMet',
  ],
]);

const { rules } = parseStatusRules(`
  # a comment
  Database.example.com: current status.phase=Running|Idle; failed status.phase=Broken, condition Failed
  Certificate.cert-manager.io: current condition Ready, condition Issuing=False
  Service: current always
  Gauge.example.com: current status.on=true, status.level=3
  Route.example.com: current /status/parents/0/conditions/0/status=True
  Toggle.example.com: current /metadata/annotations/example.com~1on=true
  Special.example.net: current condition Special
  *.deep.example.net: current condition Done
  *.example.net: current condition Ready
  Listener.example.com: current condition Programmed in status.listeners.*.conditions; failed condition Refused in status.listeners.*.conditions
  Pool.example.com: current status.ready>=spec.size, status.version==spec.version, status.ready>=1; suspended spec.off=true
  Claim.example.com: current has status.volume, not condition Lost=True|Unknown reason Gone|Away; wait 1m
  Late.example.com: wait 2m
  Both.example.com: current status.a=1 & status.b=1 & not status.c=1
  Left|Right|small.example.com: current condition Ready
  Deep.*.example.org: current condition Ready
  Loose.example.com: current one condition Done in status.listeners.*.conditions
`);

const ready = 'conditions: [{type: Ready, status: "True"}]';
const group = (name: string, kind: string, status: string): string =>
  `{apiVersion: ${name}/v1, kind: ${kind}, status: {${status}}}`;
const listeners = (...types: readonly string[]): string =>
  group(
    'example.com',
    'Listener',
    `listeners: [${types.map((type) => `{conditions: [{type: ${type}, status: "True"}]}`).join(', ')}]`,
  );
const pool = (spec: string, status: string): string =>
  `{apiVersion: example.com/v1, kind: Pool, spec: {${spec}}, status: {${status}}}`;
const claim = (status: string, time: string): string =>
  `{apiVersion: example.com/v1, kind: Claim, metadata: {creationTimestamp: "2026-03-01T${time}Z"}, status: {${status}}}`;

table(
  'rules of the user',
  [
    ['current by a field', custom('phase: Running'), 'Current', 'RuleMet'],
    ['current by the other value', custom('phase: Idle'), 'Current'],
    [
      'not yet',
      custom('phase: Creating, conditions: [{type: Ready, status: "True"}]'),
      'InProgress',
      'RuleNotMet',
      /Running or Idle/,
    ],
    ['field missing', custom('other: 1'), 'InProgress', 'RuleNotMet'],
    ['no status at all', custom(''), 'InProgress', 'NoStatus'],
    ['field of another type', custom('phase: {Running: 1}'), 'InProgress', 'RuleNotMet'],
    ['failed by a field', custom('phase: Broken'), 'Failed', 'RuleFailed', /Broken/],
    [
      'failed by a condition though the field is good',
      custom('phase: Running, conditions: [{type: Failed, status: "True"}]'),
      'Failed',
      'RuleFailed',
    ],
    [
      'failed condition of the last generation',
      custom('phase: Running, conditions: [{type: Failed, status: "True", observedGeneration: 2}]'),
      'Current',
    ],
    [
      'generation still counts',
      custom('observedGeneration: 1, phase: Running'),
      'InProgress',
      'LatestGenerationNotObserved',
    ],
    ['deletion still counts', custom('phase: Running', 'deletionTimestamp: "2026-03-01T11:59:00Z"'), 'Terminating'],
    [
      'two conditions, one missing',
      '{apiVersion: cert-manager.io/v1, kind: Certificate, status: {conditions: [{type: Ready, status: "True"}]}}',
      'InProgress',
      'RuleNotMet',
      /Issuing = False/,
    ],
    [
      'two conditions',
      '{apiVersion: cert-manager.io/v1, kind: Certificate, status: {conditions: [{type: Ready, status: "True"}, {type: Issuing, status: "False"}]}}',
      'Current',
    ],
    [
      'a load balancer that nothing serves',
      service('type: LoadBalancer, clusterIP: 10.0.0.1'),
      'Current',
      'NotWaitedFor',
    ],
    [
      'a list element by its number',
      '{apiVersion: example.com/v1, kind: Route, status: {parents: [{conditions: [{status: "True"}]}]}}',
      'Current',
    ],
    ['an empty list', '{apiVersion: example.com/v1, kind: Route, status: {parents: []}}', 'InProgress', 'RuleNotMet'],
    [
      'an escaped name',
      '{apiVersion: example.com/v1, kind: Toggle, metadata: {annotations: {example.com/on: "true"}}}',
      'Current',
    ],
    ['a kind of a whole group', group('a.example.net', 'Any', ready), 'Current'],
    ['a kind of a whole group that says nothing yet', group('example.net', 'Any', ''), 'InProgress', 'NoStatus'],
    ['all of three tests', group('example.com', 'Both', 'a: 1, b: 1'), 'Current', 'RuleMet'],
    ['two of three tests', group('example.com', 'Both', 'a: 1, b: 1, c: 1'), 'InProgress', 'RuleNotMet'],
    ['the last two of three tests', group('example.com', 'Both', 'b: 1'), 'InProgress', 'RuleNotMet'],
    ['two kinds in one line', group('example.com', 'Right', ready), 'Current', 'RuleMet'],
    ['a kind in a group below', group('a.example.org', 'Deep', ready), 'Current', 'RuleMet'],
    ['a kind with a small letter', group('example.com', 'small', ready), 'Current', 'RuleMet'],
    ['one item is enough', listeners('Done', 'Other').replace('Listener', 'Loose'), 'Current', 'RuleMet'],
    ['no item is enough', listeners('Other').replace('Listener', 'Loose'), 'InProgress', 'RuleNotMet'],
    ['the smaller group counts', group('x.deep.example.net', 'Any', ready), 'InProgress', 'RuleNotMet', /Done/],
    ['the kind counts before its group', group('example.net', 'Special', ready), 'InProgress', 'RuleNotMet', /Special/],
    ['a group that only ends alike', group('badexample.net', 'Any', ''), 'Current', 'NotJudged'],
    ['all items of a list', listeners('Programmed', 'Programmed'), 'Current', 'RuleMet'],
    ['one item of a list is not there yet', listeners('Programmed', 'Other'), 'InProgress', 'RuleNotMet'],
    ['one item of a list has failed', listeners('Programmed', 'Refused'), 'Failed', 'RuleFailed', /Refused is True/],
    ['no item yet', listeners(), 'InProgress', 'RuleNotMet'],
    ['one field against another', pool('size: 2, version: a', 'ready: 2, version: a'), 'Current'],
    [
      'a count below the one of the spec',
      pool('size: 3, version: a', 'ready: 2, version: a'),
      'InProgress',
      'RuleNotMet',
      /ready is 2/,
    ],
    ['a count that is not there', pool('size: 1, version: a', 'version: a'), 'InProgress', 'RuleNotMet'],
    [
      'another version than the one of the spec',
      pool('size: 1, version: b', 'ready: 1, version: a'),
      'InProgress',
      'RuleNotMet',
    ],
    ['nothing asked for', pool('', 'ready: 1, version: a'), 'Current'],
    ['held on purpose', pool('size: 3, off: true', ''), 'Current', 'Suspended', /off is true/],
    ['no status, a minute is not over', claim('', '11:59:30'), 'InProgress', 'NotObserved'],
    ['no status after a minute', claim('', '11:58:00'), 'Current', 'NotJudged'],
    ['a field that is empty', claim('volume: ""', '11:00:00'), 'InProgress', 'RuleNotMet'],
    ['a field that is there', claim('volume: a', '11:00:00'), 'Current', 'RuleMet'],
    [
      'a condition that must not be',
      claim('volume: a, conditions: [{type: Lost, status: Unknown, reason: Away}]', '11:00:00'),
      'InProgress',
      'RuleNotMet',
      /Lost is Unknown: Away/,
    ],
    [
      'a condition that must not be, for another reason',
      claim('volume: a, conditions: [{type: Lost, status: "True", reason: Moved}]', '11:00:00'),
      'Current',
    ],
    [
      'a status that the rule leaves to the rules for all kinds',
      group('example.com', 'Late', 'phase: Failed'),
      'Failed',
      'StatusFailed',
    ],
    ['of another group', '{apiVersion: example.org/v1, kind: Database, status: {phase: Idle}}', 'Current', 'NotJudged'],
  ],
  rules,
);

describe('status rules of the user as text', () => {
  it('the last of two rules for one kind counts', () => {
    const two = parseStatusRules(
      'Database.example.com: current always\nDatabase.example.com: current status.a=1',
    ).rules;
    assert.equal(objectStatus(objectOf(custom('')), now, two).status, 'InProgress');
  });

  const refused = [
    'Database.example.com',
    'Database.example.com:',
    'database: current always',
    'Database: current',
    'Database: current Ready',
    'Database: failed status.phase=Broken',
    'Database: current condition Ready=Maybe',
    'Database: current always; current always',
    'Database: current status.phase=Ok; failed always',
    'Database: current status.phase=Ok,',
    '*: current always',
    'Database: current not not status.phase=Ok',
    'Database: current one not status.phase=Ok',
    'Database: current status.phase=Ok &',
    'Database: current & status.phase=Ok',
    'Database: current status.phase=Ok; wait soon',
    'Database: current status.phase=Ok; suspended always',
    'Database: current status.ready>=',
    'Database: current has status phase',
    'Database: suspended spec.off=true',
  ];
  for (const line of refused) {
    it(`refuses '${line}' and names the expected form`, () => {
      const { rules: read, problems } = parseStatusRules(line);
      assert.deepEqual(read, []);
      assert.equal(problems.length, 1);
      assert.ok(problems[0]?.includes(`'${line}'`));
    });
  }

  it('a path reaches only fields of the object', () => {
    const rule = parseStatusRules('Database.example.com: current constructor.name=Object').rules;
    assert.equal(objectStatus(objectOf(custom('')), now, rule).status, 'InProgress');
  });
});

describe('invalid objects', () => {
  const invalid: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['null', null],
    ['a text', 'Deployment'],
    ['a list', [{ kind: 'Deployment' }]],
    ['an empty object', {}],
    ['no kind', { apiVersion: 'v1', metadata: { name: 'a' } }],
    ['no apiVersion', { kind: 'ConfigMap', metadata: { name: 'a' } }],
    ['a kind that is a number', { apiVersion: 'v1', kind: 5, metadata: {} }],
    ['no metadata', { apiVersion: 'v1', kind: 'ConfigMap' }],
    ['metadata that is a list', { apiVersion: 'v1', kind: 'ConfigMap', metadata: [] }],
    ['status that is a text', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, status: 'ok' }],
    ['status that is a list', { apiVersion: 'v1', kind: 'ConfigMap', metadata: {}, status: [] }],
    ['spec that is a text', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: 'x', status: {} }],
    [
      'replicas that are no number',
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: { replicas: 'all' } },
    ],
    ['replicas below zero', { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: {}, spec: { replicas: -1 } }],
    ['half a replica', { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: {}, spec: { replicas: 0.5 } }],
    ['replicas without end', { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: {}, spec: { replicas: Infinity } }],
    [
      'conditions that are a map',
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, status: { conditions: { Ready: true } } },
    ],
    [
      'conditions that are words',
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, status: { conditions: ['Ready'] } },
    ],
    ['a generation that is an object', { apiVersion: 'a.b/v1', kind: 'C', metadata: { generation: {} } }],
    ['a deletion time that is no time', { apiVersion: 'v1', kind: 'Pod', metadata: { deletionTimestamp: 'soon' } }],
    ['a phase that is a number', { apiVersion: 'v1', kind: 'Pod', metadata: {}, status: { phase: 7 } }],
    ['paused that is a word', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: { paused: 'yes' } }],
  ];
  for (const [name, value] of invalid) {
    it(`${name} is Unknown, with a reason`, () => {
      const answer = objectStatus(value as KubeObject, now);
      assert.equal(answer.status, 'Unknown', JSON.stringify(answer));
      assert.equal(answer.reason, 'InvalidObject');
      assert.notEqual(answer.message, '');
    });
  }

  it('null fields are absent fields', () => {
    const nulls = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: null, status: { conditions: null } };
    assert.equal(objectStatus(nulls as unknown as KubeObject, now).reason, 'LessReplicas');
  });

  it('an invalid condition does not hide the others', () => {
    const conditions = [null, 'x', { status: 'True' }, { type: 'Ready', status: 'True' }];
    const object = { apiVersion: 'a.b/v1', kind: 'C', metadata: {}, status: { conditions } };
    assert.equal(objectStatus(object as unknown as KubeObject, now).status, 'Current');
  });

  it('invalid containers do not end the judgement', () => {
    const containerStatuses = [
      null,
      {},
      { state: 5 },
      { state: { waiting: 7 } },
      { state: { terminated: { exitCode: 'x' } } },
    ];
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: {}, status: { phase: 'Running', containerStatuses } };
    assert.equal(objectStatus(object as unknown as KubeObject, now).reason, 'PodRunningNotReady');
  });

  it('judging does not change the object', () => {
    const object = objectOf(pod(unschedulable));
    const before = JSON.stringify(object);
    objectStatus(object, now, rules);
    assert.equal(JSON.stringify(object), before);
  });
});

describe('docs/status-rules.md', () => {
  it('names every built-in workload whose rule differs from kstatus', () => {
    const text = readFileSync(new URL('../../docs/status-rules.md', import.meta.url), 'utf8');
    const kinds = [...new Set([...text.matchAll(/^- \*\*([A-Z][A-Za-z]+)/gm)].map((match) => match[1]))];
    for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicationController', 'Job', 'Pod', 'Service']) {
      assert.ok(kinds.includes(kind), `${kind} has no entry`);
    }
  });
});
