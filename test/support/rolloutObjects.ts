import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { eventRecord } from '../../tasks/common/core/rollout/events';
import type { Facts } from '../../tasks/common/core/rollout/facts';
import { refTo } from '../../tasks/common/core/rollout/finding';
import type { RolloutSnapshot } from '../../tasks/common/core/rollout/snapshot';
import { trimmed } from '../../tasks/common/core/rollout/trimmed';

/** Objects of a rollout as the API server would give them, for tests of the judgement. */

export type Fields = Record<string, unknown>;

export const start = Date.parse('2026-03-01T12:00:00Z');
export const at = (second: number): Date => new Date(start + second * 1000);
export const iso = (second: number): string => at(second).toISOString();

export function object(
  apiVersion: string,
  kind: string,
  name: string,
  fields: Fields = {},
  metadata: Fields = {},
): KubeObject {
  return {
    apiVersion,
    kind,
    metadata: { name, namespace: 'shop', uid: `${kind}-${name}`, generation: 1, ...metadata },
    ...fields,
  };
}

function ownedBy({ apiVersion, kind, metadata: { name, uid } }: KubeObject): Fields {
  return { ownerReferences: [{ apiVersion, kind, name, uid, controller: true }] };
}

const revision = (number: number): Fields => ({ annotations: { 'deployment.kubernetes.io/revision': String(number) } });
export const plainPod: Fields = { containers: [{ name: 'app', image: 'r.example/app:1' }] };

/** What a Deployment with one replica of each revision has: itself, its ReplicaSets and the given pods. */
export function deployment(
  name: string,
  pods: readonly Fields[],
  more: { spec?: Fields; podSpec?: Fields; status?: Fields; old?: readonly Fields[]; set?: Fields } = {},
): KubeObject[] {
  const { podSpec = plainPod, old = [] } = more;
  const ready = pods.filter(({ phase, ready: isReady }) => phase === 'Running' && isReady !== false).length;
  const replicas = pods.length + old.length;
  const isDone = ready === pods.length && pods.length > 0 && old.length === 0;
  const counts = { replicas, updatedReplicas: pods.length, readyReplicas: ready, availableReplicas: ready };
  const conditions = [
    { type: 'Progressing', status: 'True', reason: isDone ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated' },
    { type: 'Available', status: isDone ? 'True' : 'False' },
  ];
  const wanted = Math.max(1, pods.length);
  const owner = object(
    'apps/v1',
    'Deployment',
    name,
    {
      spec: { replicas: wanted, progressDeadlineSeconds: 600, template: { spec: podSpec }, ...more.spec },
      status: { observedGeneration: 1, ...counts, conditions, ...more.status },
    },
    revision(2),
  );
  const setOf = (number: number, fields: Fields = {}): KubeObject =>
    object(
      'apps/v1',
      'ReplicaSet',
      `${name}-${number}`,
      { spec: { replicas: number === 2 ? wanted : 0 }, status: { replicas: pods.length, ...fields } },
      { ...revision(number), ...ownedBy(owner) },
    );
  const podOf = (set: KubeObject, { metadata, spec, ...status }: Fields, index: number): KubeObject =>
    object(
      'v1',
      'Pod',
      `${set.metadata.name}-${index}`,
      { spec: { nodeName: 'node-1', ...podSpec, ...(spec as Fields) }, status },
      { ...ownedBy(set), ...(metadata as Fields) },
    );
  const [fresh, gone] = [setOf(2, more.set), setOf(1)];
  return [
    owner,
    fresh,
    gone,
    ...pods.map((pod, index) => podOf(fresh, pod, index)),
    ...old.map((pod, index) => podOf(gone, pod, index)),
  ];
}

export const runningPod = (isReady = true): Fields => ({
  phase: 'Running',
  ready: isReady,
  conditions: [
    { type: 'Ready', status: isReady ? 'True' : 'False' },
    { type: 'ContainersReady', status: isReady ? 'True' : 'False' },
  ],
  containerStatuses: [{ name: 'app', ready: isReady, started: true, restartCount: 0, state: { running: {} } }],
});

export interface CrashedRun {
  /** The number of ended runs. */
  ended: number;
  exitCode?: number;
  reason?: string;
  /** When the last run began and ended, in seconds. */
  began: number;
  seconds?: number;
  isInit?: boolean;
  isRunning?: boolean;
}

/** A pod whose container waits for its next start. */
export function crashedPod(run: CrashedRun): Fields {
  const { ended, exitCode = 1, reason = 'Error', began, seconds = 0, isInit = false, isRunning = false } = run;
  const terminated = { exitCode, reason, startedAt: iso(began), finishedAt: iso(began + seconds) };
  const status = {
    name: isInit ? 'init' : 'app',
    ready: false,
    restartCount: isRunning ? ended : ended - 1,
    state: isRunning ? { running: {} } : { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
    lastState: { terminated },
  };
  const waiting = { name: 'app', ready: false, restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } };
  return isInit
    ? { phase: 'Pending', initContainerStatuses: [status], containerStatuses: [waiting] }
    : { phase: 'Running', ready: false, containerStatuses: [status] };
}

export function waitingPod(reason: string, message: string): Fields {
  const status = { name: 'app', ready: false, restartCount: 0, state: { waiting: { reason, message } } };
  return { phase: 'Pending', containerStatuses: [status] };
}

export function unschedulablePod(message: string, spec: Fields = {}): Fields {
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
  return { phase: 'Pending', conditions: [condition], spec: { nodeName: undefined, ...spec } };
}

export function event(about: KubeObject, reason: string, message: string, more: Fields = {}): KubeObject {
  const { name, namespace, uid } = about.metadata;
  const { second = 0, ...fields } = more;
  const time = iso(second as number);
  return object('v1', 'Event', `${name}-${reason}`, {
    involvedObject: { kind: about.kind, name, namespace, uid },
    reason,
    message,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    ...fields,
  });
}

const around = new Set(['ReplicaSet', 'Pod', 'Event', 'Node']);

/** Everything but pods, ReplicaSets, nodes and events is followed. */
export function snapshotOf(objects: readonly KubeObject[], facts?: Facts): RolloutSnapshot {
  return {
    followed: objects
      .filter(({ kind }) => !around.has(kind))
      .map((item) => ({ ref: refTo(item), purpose: 'object', object: item })),
    around: objects.filter(({ kind }) => kind !== 'Event').map(trimmed),
    events: objects.filter(({ kind }) => kind === 'Event').map((item) => eventRecord(trimmed(item))),
    unread: [],
    ...(facts === undefined ? {} : { facts }),
  };
}
