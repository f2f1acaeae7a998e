import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { eventRecord } from '../../tasks/common/core/rollout/events';
import { refTo } from '../../tasks/common/core/rollout/finding';
import {
  rolloutSnapshot,
  type FollowedObject,
  type RolloutSnapshot,
  type UnreadKind,
} from '../../tasks/common/core/rollout/snapshot';
import { at, iso, object, type Fields } from '../support/rolloutObjects';
import { trimmed } from '../../tasks/common/core/rollout/trimmed';
import {
  baselineForRollback,
  baselineOf,
  judge,
  type RolloutMemory,
  type RolloutPolicy,
  type RolloutVerdict,
} from '../../tasks/common/core/rollout/verdict';

function ownedBy(owner: KubeObject): Fields {
  const { name, uid } = owner.metadata;
  return { ownerReferences: [{ apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true }] };
}

const revision = (number: number): Fields => ({ annotations: { 'deployment.kubernetes.io/revision': String(number) } });
const probed = { containers: [{ name: 'app', image: 'r.example/app:1', readinessProbe: {} }] };
const unprobed = { containers: [{ name: 'app', image: 'r.example/app:1' }] };

function deployment(ready: number, more: Fields = {}, podSpec: Fields = probed, replicas = 1): KubeObject {
  const isReady = ready === replicas;
  const counts = { replicas, updatedReplicas: replicas, readyReplicas: ready, availableReplicas: ready };
  const conditions = [
    { type: 'Progressing', status: 'True', reason: isReady ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated' },
    { type: 'Available', status: isReady ? 'True' : 'False' },
  ];
  const spec = { replicas, progressDeadlineSeconds: 600, template: { spec: podSpec } };
  return object(
    'apps/v1',
    'Deployment',
    'web',
    { spec, status: { observedGeneration: 1, ...counts, conditions, ...more } },
    revision(2),
  );
}

function replicaSet(owner: KubeObject, number: number, more: Fields = {}): KubeObject {
  const fields = { spec: { replicas: 1 }, status: { replicas: 1, ...more } };
  return object('apps/v1', 'ReplicaSet', `web-${number}`, fields, { ...revision(number), ...ownedBy(owner) });
}

function pod(
  owner: KubeObject,
  name: string,
  status: Fields,
  metadata: Fields = {},
  spec: Fields = probed,
): KubeObject {
  return object(
    'v1',
    'Pod',
    name,
    { spec: { nodeName: 'node-1', ...spec }, status },
    { ...ownedBy(owner), ...metadata },
  );
}

const waiting = (reason: string, message = '', more: Fields = {}): Fields => ({
  phase: 'Pending',
  containerStatuses: [{ name: 'app', ready: false, restartCount: 0, state: { waiting: { reason, message } }, ...more }],
});
const crashed = (restartCount: number, exitCode = 1, reason = 'Error'): Fields => ({
  phase: 'Running',
  containerStatuses: [
    {
      name: 'app',
      ready: false,
      restartCount,
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
      lastState: { terminated: { exitCode, reason } },
    },
  ],
});
const running = (isReady: boolean, restartCount = 0): Fields => ({
  phase: 'Running',
  conditions: [
    { type: 'Ready', status: isReady ? 'True' : 'False' },
    { type: 'ContainersReady', status: isReady ? 'True' : 'False' },
  ],
  containerStatuses: [
    {
      name: 'app',
      ready: isReady,
      started: true,
      restartCount,
      state: { running: {} },
      ...(restartCount > 0 ? { lastState: { terminated: { exitCode: 1, reason: 'Error' } } } : {}),
    },
  ],
});
const unschedulable = (message: string): Fields => ({
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
});
const notFound = waiting(
  'ImagePullBackOff',
  'Back-off pulling image "r.example/app:1": ErrImagePull: r.example/app:1: not found',
);

function event(about: KubeObject, reason: string, message: string, second = 0, more: Fields = {}): KubeObject {
  const { name, namespace, uid } = about.metadata;
  const time = at(second).toISOString();
  const fields = {
    involvedObject: { kind: about.kind, name, namespace, uid },
    reason,
    message,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
  };
  return object('v1', 'Event', `${name}-${reason}-${second}`, { ...fields, ...more });
}

/** The Deployment `web`, its new ReplicaSet and one pod in the given state. */
function web(
  status: Fields,
  more: { spec?: Fields; events?: (pod: KubeObject, set: KubeObject) => KubeObject[] } = {},
): KubeObject[] {
  const owner = deployment(0, {}, more.spec ?? probed);
  const set = replicaSet(owner, 2);
  const one = pod(set, 'web-2-a', status, {}, more.spec ?? probed);
  return [owner, set, one, ...(more.events?.(one, set) ?? [])];
}

const healthyWeb = (spec: Fields = probed, restarts = 0): KubeObject[] => {
  const owner = deployment(1, {}, spec);
  const set = replicaSet(owner, 2, { availableReplicas: 1 });
  return [owner, set, pod(set, 'web-2-a', running(true, restarts), {}, spec)];
};

const followedKinds = new Set([
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'PersistentVolumeClaim',
  'Database',
  'Service',
]);

function snapshot(
  objects: readonly KubeObject[],
  more: { followed?: FollowedObject[]; unread?: UnreadKind[] } = {},
): RolloutSnapshot {
  const own = objects.filter((item) => followedKinds.has(item.kind));
  return {
    followed: more.followed ?? own.map((item) => ({ ref: refTo(item), purpose: 'object', object: item })),
    around: objects.filter(({ kind }) => kind !== 'Event').map(trimmed),
    events: objects.filter(({ kind }) => kind === 'Event').map((item) => eventRecord(trimmed(item))),
    unread: more.unread ?? [],
  };
}

const policy: RolloutPolicy = { failFast: true, deadline: at(600), isApplied: true, graces: {}, statusRules: [] };

type Frame = readonly [second: number, objects: readonly KubeObject[] | RolloutSnapshot];

/** Judges the frames in order, each with the memory of the previous one, and returns the last verdict. */
function judged(frames: readonly Frame[], change: Partial<RolloutPolicy> = {}, memory?: RolloutMemory): RolloutVerdict {
  let verdict: RolloutVerdict | undefined;
  for (const [second, seen] of frames) {
    const reading = 'around' in seen ? seen : snapshot(seen);
    verdict = judge(reading, { ...policy, ...change }, verdict?.memory ?? memory, at(second));
  }
  assert.ok(verdict);
  return verdict;
}

/** The same snapshot at several times. */
function lasting(objects: readonly KubeObject[] | RolloutSnapshot, ...seconds: readonly number[]): Frame[] {
  return seconds.map((second) => [second, objects]);
}

function codeOf(verdict: RolloutVerdict): string {
  const workload = verdict.decisive;
  const cause = workload?.cause ?? workload?.suspects[0];
  return `${verdict.health} ${[cause?.code, cause?.detail].filter(Boolean).join(' ')}`.trim();
}

describe('judge: pods of an earlier template that a workload keeps', () => {
  const container = { name: 'main', image: 'app:1' };
  const held = (kind: string, spec: Fields, status: Fields): KubeObject => ({
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: 'held', namespace: 'shop', uid: `uid-${kind}`, generation: 2 },
    spec: { template: { spec: { containers: [container] } }, ...spec },
    status: { observedGeneration: 2, ...status },
  });
  const counts = { replicas: 3, readyReplicas: 3, availableReplicas: 3, currentReplicas: 1, updatedReplicas: 1 };
  const nodes = { desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, numberAvailable: 3 };
  const rolling = { type: 'RollingUpdate', rollingUpdate: { partition: 2 } };
  const cases: readonly [string, KubeObject, RegExp][] = [
    ['a paused Deployment', held('Deployment', { replicas: 3, paused: true }, counts), /2 pods are .*: it is paused/],
    [
      'a StatefulSet with a partition',
      held('StatefulSet', { replicas: 3, updateStrategy: rolling }, counts),
      /partition is 2/,
    ],
    [
      'a StatefulSet that updates on delete',
      held('StatefulSet', { replicas: 3, updateStrategy: { type: 'OnDelete' } }, counts),
      /OnDelete/,
    ],
    [
      'a DaemonSet that updates on delete',
      held('DaemonSet', { updateStrategy: { type: 'OnDelete' } }, { ...nodes, updatedNumberScheduled: 1 }),
      /OnDelete/,
    ],
  ];
  for (const [what, object, words] of cases) {
    it(`${what} is not healthy if every pod counts, and the final message gives the reason`, () => {
      const old = event(object, 'FailedDelete', 'pods "held-0" not found', 1, { type: 'Warning' });
      const frames = lasting([object, old], 0, 100, 601);
      assert.equal(judged(frames.slice(0, 2), { stableForSeconds: 0 }).health, 'healthy');
      const every = { stableForSeconds: 0, everyPod: true };
      assert.equal(judged(frames.slice(0, 2), every).health, 'progressing');
      const end = judged(frames, every);
      assert.deepEqual([end.health, end.timedOut], ['failed', true]);
      assert.match(end.decisive?.cause?.message ?? '', words);
    });

    it(`${what} is healthy if every pod has its template`, () => {
      const status = { ...(object['status'] as Fields), updatedReplicas: 3, updatedNumberScheduled: 3 };
      const settled = { ...object, status };
      assert.equal(judged(lasting([settled], 0, 100), { stableForSeconds: 0, everyPod: true }).health, 'healthy');
    });
  }
});

describe('judge: which pods count', () => {
  it('a crashing pod of the old ReplicaSet does not count against the new one', () => {
    const owner = deployment(0);
    const old = pod(replicaSet(owner, 1), 'web-1-a', notFound);
    const fresh = pod(replicaSet(owner, 2), 'web-2-a', waiting('ContainerCreating'));
    const objects = [owner, replicaSet(owner, 1), replicaSet(owner, 2), old, fresh];
    assert.equal(codeOf(judged(lasting(objects, 0, 100))), 'progressing');
  });

  it('no failure counts before the controller has seen the new template', () => {
    const [owner, ...rest] = web(notFound);
    assert.ok(owner);
    const behind = { ...owner, metadata: { ...owner.metadata, generation: 2 } };
    assert.equal(codeOf(judged(lasting([behind, ...rest], 0, 10))), 'progressing NotObserved');
  });

  it('a pod that is being deleted does not count', () => {
    const objects = web(notFound).map((item) =>
      item.kind === 'Pod'
        ? { ...item, metadata: { ...item.metadata, deletionTimestamp: '2026-03-01T12:00:00Z' } }
        : item,
    );
    assert.equal(codeOf(judged(lasting(objects, 0, 100))), 'progressing PodEnding');
  });

  it('a pod of another owner with the same labels does not count', () => {
    const owner = deployment(0);
    const stranger = object('apps/v1', 'ReplicaSet', 'other');
    const objects = [owner, replicaSet(owner, 2), stranger, pod(stranger, 'other-a', notFound)];
    assert.equal(codeOf(judged(lasting(objects, 0, 100))), 'progressing');
  });

  it('the pods of a DaemonSet are distinguished by template generation', () => {
    const status = { observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2 };
    const annotations = { 'deprecated.daemonset.template.generation': '2' };
    const owner = object('apps/v1', 'DaemonSet', 'agent', { spec: {}, status }, { annotations });
    const labelled = (generation: string): Fields => ({ labels: { 'pod-template-generation': generation } });
    assert.equal(codeOf(judged([[0, [owner, pod(owner, 'agent-a', notFound, labelled('1'))]]])), 'progressing');
    assert.equal(
      codeOf(judged([[0, [owner, pod(owner, 'agent-a', notFound, labelled('2'))]]])),
      'failed ImageNotFound',
    );
  });

  it('one failed pod of many is enough, and equal findings are reported once', () => {
    const owner = deployment(90, {}, probed, 100);
    const set = replicaSet(owner, 2);
    const pods = Array.from({ length: 100 }, (_, index) =>
      pod(set, `web-2-${index}`, index < 90 ? running(true) : notFound),
    );
    const verdict = judged([[0, [owner, set, ...pods]]]);
    assert.equal(codeOf(verdict), 'failed ImageNotFound');
    assert.equal(verdict.decisive?.suspects.length, 1);
  });
});

describe('judge: containers', () => {
  it('the log of the previous run is requested while the container waits for its next start', () => {
    const [suspect] = judged([[0, web(crashed(1))]]).decisive?.suspects ?? [];
    assert.deepEqual(suspect?.logs, [{ namespace: 'shop', pod: 'web-2-a', container: 'app', previous: true }]);
  });

  it('a kubelet before 1.32 gives the cause of a failed pull only in its event', () => {
    const events = (one: KubeObject): KubeObject[] => [
      event(one, 'Failed', 'Failed to pull image "r.example/app:1": r.example/app:1: not found'),
    ];
    const objects = web(waiting('ImagePullBackOff', 'Back-off pulling image "r.example/app:1"'), { events });
    assert.equal(codeOf(judged([[0, objects]])), 'failed ImageNotFound');
  });

  it('a container that is ready again after restarts is no finding', () => {
    assert.equal(codeOf(judged(lasting(web(running(true, 6)), 0, 60, 200))), 'progressing');
  });

  it('an init container that succeeded after failures is no finding', () => {
    const done = {
      name: 'init',
      ready: true,
      restartCount: 5,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
      lastState: { terminated: { exitCode: 1 } },
    };
    const status = { ...waiting('PodInitializing'), initContainerStatuses: [done] };
    assert.equal(codeOf(judged(lasting(web(status), 0, 100))), 'progressing');
  });

  it('a sidecar of the init kind that crashes is a crash, not a failed init container', () => {
    const sidecar = { name: 'proxy', ready: false, restartCount: 4, state: { terminated: { exitCode: 2 } } };
    const spec = { initContainers: [{ name: 'proxy', restartPolicy: 'Always' }], ...probed };
    const status = { ...waiting('PodInitializing'), initContainerStatuses: [sidecar] };
    assert.equal(codeOf(judged(lasting(web(status, { spec }), 0, 20, 44, 45))), 'failed CrashLoop');
  });

  it('three restarts are allowed, however long they take', () => {
    assert.equal(codeOf(judged(lasting(web(crashed(2)), 0, 25, 50, 75, 100, 125, 150))), 'progressing CrashLoop');
    assert.equal(codeOf(judged(lasting(web(crashed(3)), 0, 25, 44))), 'progressing CrashLoop');
    assert.equal(codeOf(judged(lasting(web(crashed(3)), 0, 25, 45))), 'failed CrashLoop');
  });

  it('a run that has not ended does not count against the container', () => {
    assert.equal(codeOf(judged(lasting(web(running(false, 7)), 0, 25, 50, 75))), 'progressing CrashLoop');
  });

  it('a start that failed in the runtime for a temporary reason gets its grace', () => {
    const objects = web(waiting('CreateContainerError', 'context deadline exceeded'));
    assert.equal(codeOf(judged(lasting(objects, 0, 29))), 'progressing StartError');
    assert.equal(codeOf(judged(lasting(objects, 0, 29, 30))), 'failed StartError');
  });

  it('a kubelet with an outdated cache of Secrets is no finding', () => {
    const message = 'failed to sync secret cache: timed out waiting for the condition';
    assert.equal(codeOf(judged(lasting(web(waiting('CreateContainerConfigError', message)), 0, 100))), 'progressing');
  });

  for (const message of [
    'container has runAsNonRoot and image will run as root (pod: "web", container: app)',
    'container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root',
    'container\'s runAsUser breaks non-root policy (pod: "web", container: app)',
  ]) {
    it(`a refused user is final: ${message.slice(0, 60)}`, () => {
      assert.equal(codeOf(judged([[0, web(waiting('CreateContainerConfigError', message))]])), 'failed StartError');
    });
  }

  it('a volume that was mounted in the end is no finding', () => {
    const events = (one: KubeObject): KubeObject[] => [
      event(one, 'FailedMount', 'MountVolume.SetUp failed for volume "v" : secret "tls" not found', 5),
      event(one, 'Pulling', 'Pulling image "r.example/app:1"', 10, {
        involvedObject: { kind: 'Pod', uid: one.metadata.uid, fieldPath: 'spec.containers{app}' },
      }),
    ];
    const verdict = judged(lasting(web(waiting('ContainerCreating'), { events }), 10, 200));
    assert.equal(codeOf(verdict), 'progressing ImageRegistryUnreachable pulling');
  });

  it('a volume that another node still holds gets six minutes', () => {
    const events = (one: KubeObject): KubeObject[] => [
      event(one, 'FailedAttachVolume', 'Multi-Attach error for volume "pvc-1"'),
    ];
    const objects = web(waiting('ContainerCreating'), { events });
    const seconds = Array.from({ length: 21 }, (_, index) => index * 20);
    assert.equal(codeOf(judged(lasting(objects, ...seconds))), 'progressing VolumeMountFailed multiAttach');
    assert.equal(codeOf(judged(lasting(objects, ...seconds, 420))), 'failed VolumeMountFailed multiAttach');
  });

  it('a network that cannot be set up is reported', () => {
    const events = (one: KubeObject): KubeObject[] => [
      event(one, 'FailedCreatePodSandBox', 'plugin type="bridge" failed'),
    ];
    const objects = web(waiting('ContainerCreating'), { events });
    assert.equal(codeOf(judged(lasting(objects, 0, 25, 50, 75, 100, 119))), 'progressing StartError sandbox');
    assert.equal(codeOf(judged(lasting(objects, 0, 25, 50, 75, 100, 120))), 'failed StartError sandbox');
  });
});

describe('judge: nodes', () => {
  const taken = '0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available';
  const scaleUp =
    (second: number) =>
    (one: KubeObject): KubeObject =>
      event(one, 'TriggeredScaleUp', 'pod triggered scale-up', second);
  const noScaleUp =
    (second: number) =>
    (one: KubeObject): KubeObject =>
      event(one, 'NotTriggerScaleUp', "pod didn't trigger scale-up", second);
  const every20 = (last: number): number[] => Array.from({ length: last / 20 + 1 }, (_, index) => index * 20);

  it('without a message of an autoscaler the grace is two minutes', () => {
    const objects = web(unschedulable(taken));
    assert.equal(codeOf(judged(lasting(objects, ...every20(100)))), 'progressing Unschedulable resources');
    assert.equal(codeOf(judged(lasting(objects, ...every20(120)))), 'failed Unschedulable resources');
  });

  it('while the autoscaler adds a node, the check waits', () => {
    const objects = web(unschedulable(taken), { events: (one) => [scaleUp(5)(one)] });
    assert.equal(codeOf(judged(lasting(objects, ...every20(400)))), 'progressing AutoscalerScalingUp resources');
  });

  it('a refusal of the autoscaler fails the rollout', () => {
    const objects = web(unschedulable(taken), { events: (one) => [noScaleUp(5)(one)] });
    assert.equal(codeOf(judged(lasting(objects, ...every20(40)))), 'progressing AutoscalerCannotHelp resources');
    assert.equal(codeOf(judged(lasting(objects, ...every20(60)))), 'failed AutoscalerCannotHelp resources');
  });

  it('the newest message of the autoscaler counts', () => {
    const changed = web(unschedulable(taken), { events: (one) => [noScaleUp(5)(one), scaleUp(30)(one)] });
    assert.match(codeOf(judged(lasting(changed, ...every20(200)))), /^progressing AutoscalerScalingUp/);
    const gaveUp = web(unschedulable(taken), { events: (one) => [noScaleUp(30)(one), scaleUp(5)(one)] });
    assert.match(codeOf(judged(lasting(gaveUp, ...every20(200)))), /^failed AutoscalerCannotHelp/);
  });

  it('the grace does not run while an old pod is ending, because that frees its node', () => {
    const owner = deployment(0);
    const old = pod(replicaSet(owner, 1), 'web-1-a', running(true), { deletionTimestamp: '2026-03-01T12:00:00Z' });
    const fresh = [owner, replicaSet(owner, 2), pod(replicaSet(owner, 2), 'web-2-a', unschedulable(taken))];
    const frames = [...lasting([...fresh, old], ...every20(200)), ...lasting(fresh, 220, 240, 260, 280, 300, 319)];
    assert.match(codeOf(judged(frames)), /^progressing Unschedulable/);
    assert.match(codeOf(judged([...frames, [320, fresh]])), /^failed Unschedulable/);
  });

  it('an unreachable node is recognised by the Node', () => {
    const node = object('v1', 'Node', 'node-1', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } });
    assert.equal(codeOf(judged([[0, [...web(running(false)), node]]])), 'progressing NodeLost');
  });

  it("an unreachable node is recognised by the node controller's mark on the pod", () => {
    const status = running(true);
    const conditions = [
      { type: 'Ready', status: 'False' },
      { type: 'ContainersReady', status: 'True' },
    ];
    assert.equal(codeOf(judged([[0, web({ ...status, conditions })]])), 'progressing NodeLost');
  });

  it('an unreachable node is recognised by the event on the pod when Nodes cannot be read', () => {
    const events = (one: KubeObject): KubeObject[] => [event(one, 'NodeNotReady', 'Node is not ready')];
    assert.equal(codeOf(judged([[0, web(running(false), { events })]])), 'progressing NodeLost');
  });

  it('a pod that waits for a readiness gate is not on a lost node', () => {
    const conditions = [
      { type: 'Ready', status: 'False' },
      { type: 'ContainersReady', status: 'True' },
    ];
    const spec = { ...probed, readinessGates: [{ conditionType: 'lb' }] };
    assert.equal(
      codeOf(judged([[0, web({ ...running(true), conditions }, { spec })]])),
      'progressing ReadinessGateNotMet',
    );
  });

  it('a node that came back no longer counts', () => {
    const events = (one: KubeObject): KubeObject[] => [event(one, 'NodeNotReady', 'Node is not ready')];
    assert.equal(codeOf(judged([[0, web(running(true), { events })]])), 'progressing');
  });

  it('an evicted pod that is replaced does not fail the rollout', () => {
    const objects = web({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' });
    assert.equal(codeOf(judged(lasting(objects, 0, 100, 200))), 'progressing Evicted Evicted');
  });

  it('an evicted pod that nothing replaces fails the rollout', () => {
    const lone = object('v1', 'Pod', 'lone', { status: { phase: 'Failed', reason: 'Evicted' } });
    const seen = snapshot([lone], { followed: [{ ref: refTo(lone), purpose: 'object', object: lone }] });
    assert.equal(codeOf(judged([[0, seen]])), 'failed Evicted Evicted');
  });
});

describe('judge: pods that are refused', () => {
  const refused = (message: string, more: Fields = {}): KubeObject[] => {
    const owner = deployment(0, { replicas: 0, updatedReplicas: 0 });
    const condition = { type: 'ReplicaFailure', status: 'True', message };
    return [owner, replicaSet(owner, 2, { replicas: 0, conditions: [condition], ...more })];
  };
  const quota = 'pods "web-2-a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1';

  it('a quota gets a grace of one minute', () => {
    assert.equal(codeOf(judged(lasting(refused(quota), 0, 30, 59))), 'progressing QuotaExceeded');
    assert.equal(codeOf(judged(lasting(refused(quota), 0, 30, 60))), 'failed QuotaExceeded');
  });

  it('the grace of a quota does not run while an old pod is ending', () => {
    const objects = refused(quota);
    const old = pod(objects[1] as KubeObject, 'old', running(true), { deletionTimestamp: '2026-03-01T12:00:00Z' });
    const frames = [...lasting([...objects, old], 0, 25, 50), ...lasting(objects, 70, 90, 109)];
    assert.equal(codeOf(judged(frames)), 'progressing QuotaExceeded');
    assert.equal(codeOf(judged([...frames, [110, objects]])), 'failed QuotaExceeded');
  });

  it('after old pods freed a quota late the grace starts again, because the controller retries ever more slowly', () => {
    const objects = refused(quota);
    const old = pod(objects[1] as KubeObject, 'old', running(true), { deletionTimestamp: '2026-03-01T12:00:00Z' });
    const frames = [...lasting([...objects, old], 0, 50, 100), ...lasting(objects, 120, 160, 199)];
    assert.equal(codeOf(judged(frames)), 'progressing QuotaExceeded');
    assert.equal(codeOf(judged(frames, { graces: { QuotaExceeded: 60 } })), 'failed QuotaExceeded');
    assert.equal(codeOf(judged([...frames, [200, objects]])), 'failed QuotaExceeded');
  });

  it('a quota for a resource that the pod does not name is final, whichever pod ends', () => {
    const objects = refused('pods "web-2-a" is forbidden: failed quota: q: must specify limits.cpu for: app');
    const old = pod(objects[1] as KubeObject, 'old', running(true), { deletionTimestamp: '2026-03-01T12:00:00Z' });
    assert.equal(codeOf(judged([[0, [...objects, old]]])), 'failed QuotaExceeded mustSpecify');
  });

  it('an old refusal does not count once all pods exist', () => {
    const owner = deployment(0);
    const condition = { type: 'ReplicaFailure', status: 'True', message: quota };
    assert.equal(
      codeOf(judged(lasting([owner, replicaSet(owner, 2, { conditions: [condition] })], 0, 100))),
      'progressing',
    );
  });

  it('a DaemonSet that may not create a pod is recognised by events while a pod is missing', () => {
    const agents = (scheduled: number): KubeObject[] => {
      const status = { observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: scheduled };
      const owner = object('apps/v1', 'DaemonSet', 'agent', { spec: { template: { spec: probed } }, status });
      return [owner, event(owner, 'FailedCreate', `Error creating: ${quota}`)];
    };
    assert.equal(codeOf(judged([[0, agents(1)]])), 'progressing QuotaExceeded');
    assert.equal(codeOf(judged([[0, agents(2)]])), 'progressing');
  });

  it('a refusal of the old ReplicaSet does not count', () => {
    const owner = deployment(0);
    const condition = { type: 'ReplicaFailure', status: 'True', message: quota };
    const old = replicaSet(owner, 1, { replicas: 0, conditions: [condition] });
    assert.equal(codeOf(judged(lasting([owner, old, replicaSet(owner, 2)], 0, 100))), 'progressing');
  });

  it('when ReplicaSets cannot be read, the Deployment shows the refusal', () => {
    const owner = deployment(0, {
      replicas: 1,
      updatedReplicas: 0,
      conditions: [{ type: 'ReplicaFailure', status: 'True', message: quota }],
    });
    assert.equal(codeOf(judged([[0, [owner]]])), 'progressing QuotaExceeded');
  });

  it('a Deployment that may not create its ReplicaSet fails, although it counts the old one and observes nothing', () => {
    const said = `Failed to create new replica set "web-3": replicasets.apps "web-3" is forbidden: exceeded quota: small`;
    const condition = {
      type: 'Progressing',
      status: 'False',
      reason: 'ReplicaSetCreateError',
      message: said,
      lastUpdateTime: '2026-03-01T12:00:00Z',
    };
    const stuck = deployment(1, { conditions: [condition] });
    const owner: KubeObject = { ...stuck, metadata: { ...stuck.metadata, generation: 2 } };
    const set = replicaSet(owner, 2);
    assert.equal(codeOf(judged(lasting([owner, set], 0, 30, 59))), 'progressing QuotaExceeded');
    const verdict = judged(lasting([owner, set], 0, 30, 60));
    assert.equal(codeOf(verdict), 'failed QuotaExceeded');
    assert.match(verdict.decisive?.cause?.evidence[0]?.text ?? '', /^Progressing is False: Failed to create/);

    const before = baselineOf(snapshot([{ ...owner, metadata: { ...owner.metadata, generation: 1 } }]), at(0));
    assert.equal(
      codeOf(judged([[0, [owner, set]]], {}, before)),
      'progressing NotObserved',
      'said of another template',
    );
    const denied = { ...condition, message: 'admission webhook "g.example.com" denied the request: no' };
    const refusing = { ...owner, status: { ...(owner['status'] as Fields), conditions: [denied] } };
    assert.equal(codeOf(judged([[0, [refusing, set]]])), 'progressing AdmissionDenied webhook', 'may be about another');
  });

  it('a StatefulSet shows refusals only by events, and earlier events do not count', () => {
    const status = { observedGeneration: 1, replicas: 0, updateRevision: 'b' };
    const owner = object('apps/v1', 'StatefulSet', 'db', { spec: { replicas: 1, template: { spec: probed } }, status });
    const said = event(owner, 'FailedCreate', `create Pod db-0 in StatefulSet db failed error: ${quota}`);
    const seen = snapshot([owner, said]);
    const before = baselineOf(snapshot([{ ...owner, metadata: { ...owner.metadata, generation: 0 } }, said]), at(0));
    assert.equal(codeOf(judged([[0, seen]])), 'progressing QuotaExceeded');
    assert.equal(codeOf(judged([[0, seen]], {}, before)), 'progressing');
    const again = snapshot([owner, { ...said, count: 2 }]);
    assert.equal(codeOf(judged([[0, again]], {}, before)), 'progressing QuotaExceeded');
  });
});

describe('judge: a StatefulSet that waits for a pod of a revision that was rolled back', () => {
  const set = (spec: Fields = {}): KubeObject => {
    const status = { observedGeneration: 1, replicas: 2, readyReplicas: 1, updatedReplicas: 1, updateRevision: 'good' };
    return object('apps/v1', 'StatefulSet', 'db', {
      spec: { replicas: 2, template: { spec: probed }, ...spec },
      status,
    });
  };
  const bad = (status: Fields, metadata: Fields = {}): KubeObject =>
    pod(set(), 'db-1', status, { labels: { 'controller-revision-hash': 'bad' }, ...metadata });

  it('is stuck after ten seconds if the pod cannot recover, and names the pod', () => {
    const verdict = judged(lasting([set(), bad(notFound)], 0, 9, 10));
    assert.equal(codeOf(verdict), 'failed StatefulSetStuck db-1');
    assert.equal(verdict.decisive?.cause?.subject.name, 'db-1');
  });

  it('gets a minute if the pod may recover', () => {
    assert.equal(codeOf(judged(lasting([set(), bad(crashed(9))], 0, 30, 59))), 'progressing StatefulSetStuck db-1');
    assert.equal(codeOf(judged(lasting([set(), bad(crashed(9))], 0, 30, 60))), 'failed StatefulSetStuck db-1');
  });

  it('can be stuck by the pod at the partition itself', () => {
    const objects = [set({ updateStrategy: { rollingUpdate: { partition: 1 } } }), bad(notFound)];
    assert.equal(codeOf(judged(lasting(objects, 0, 10))), 'failed StatefulSetStuck db-1');
  });

  const fine: readonly (readonly [string, KubeObject[]])[] = [
    ['Parallel replaces it', [set({ podManagementPolicy: 'Parallel' }), bad(notFound)]],
    ['OnDelete is not waited for', [set({ updateStrategy: { type: 'OnDelete' } }), bad(notFound)]],
    ['it is below the partition', [set({ updateStrategy: { rollingUpdate: { partition: 2 } } }), bad(notFound)]],
    ['it is ready', [set(), bad(running(true))]],
    ['it is being replaced', [set(), bad(notFound, { deletionTimestamp: '2026-03-01T12:00:00Z' })]],
  ];
  for (const [name, objects] of fine) {
    it(`is not stuck: ${name}`, () => {
      assert.match(codeOf(judged(lasting(objects, 0, 100))), /^progressing( PodEnding)?$/);
    });
  }
});

describe('judge: one workload waits for another', () => {
  const database = (isReady: boolean): KubeObject[] => {
    const owner = {
      ...deployment(isReady ? 1 : 0),
      metadata: { name: 'db', namespace: 'shop', uid: 'db', generation: 1, ...revision(1) },
    };
    return [owner];
  };

  it('a crash loop is excused while its database is starting', () => {
    const objects = [...web(crashed(5)), ...database(false)];
    assert.equal(codeOf(judged(lasting(objects, 0, 25, 50, 75, 100, 125, 150, 175))), 'progressing CrashLoop');
  });

  it('a crash loop is not excused for ever', () => {
    const objects = [...web(crashed(5)), ...database(false)];
    assert.equal(codeOf(judged(lasting(objects, 0, 25, 50, 75, 100, 125, 150, 175, 180))), 'failed CrashLoop');
  });

  it('a database that has just started gives the application one more restart', () => {
    const frames: Frame[] = [
      ...lasting([...web(crashed(4)), ...database(false)], 0, 25, 50),
      [60, [...web(crashed(4)), ...database(true)]],
    ];
    assert.equal(codeOf(judged(frames)), 'progressing CrashLoop');
    assert.equal(codeOf(judged([...frames, [80, [...web(crashed(5)), ...database(true)]]])), 'failed CrashLoop');
  });

  it('a run that ended just before the database started does not count', () => {
    const frames: Frame[] = [
      ...lasting([...web(crashed(4)), ...database(false)], 0, 25, 49),
      [50, [...web(crashed(5)), ...database(false)]],
      [51, [...web(crashed(5)), ...database(true)]],
      [60, [...web(crashed(5)), ...database(true)]],
    ];
    assert.equal(codeOf(judged(frames)), 'progressing CrashLoop');
    assert.equal(codeOf(judged([...frames, [80, [...web(crashed(6)), ...database(true)]]])), 'failed CrashLoop');
  });

  it('a run that began before the database started does not count, however late it ended', () => {
    const slowly = (restartCount: number): Fields => {
      const terminated = { exitCode: 1, startedAt: '2026-03-01T00:00:00Z', finishedAt: '2026-03-01T00:00:30Z' };
      const [status] = crashed(restartCount)['containerStatuses'] as Fields[];
      return { phase: 'Running', containerStatuses: [{ ...status, lastState: { terminated } }] };
    };
    const frames: Frame[] = [
      [0, [...web(slowly(4)), ...database(false)]],
      [40, [...web(slowly(4)), ...database(true)]],
      [60, [...web(slowly(5)), ...database(true)]],
    ];
    assert.equal(codeOf(judged(frames)), 'progressing CrashLoop');
    assert.equal(codeOf(judged([...frames, [110, [...web(slowly(6)), ...database(true)]]])), 'failed CrashLoop');
  });

  it('a database that was unreadable for a while counts as starting until it is read again', () => {
    const frames: Frame[] = [
      [0, [...web(crashed(3)), ...database(false)]],
      [50, [...web(crashed(4)), ...database(true)]],
    ];
    assert.equal(codeOf(judged(frames)), 'progressing CrashLoop');
  });

  it('two crashing workloads do not excuse each other', () => {
    const other = web(crashed(5)).map((item) => ({
      ...item,
      metadata: {
        ...item.metadata,
        name: `x${item.metadata.name}`,
        uid: `x${item.metadata.uid ?? ''}`,
        ...(item.metadata.ownerReferences === undefined
          ? {}
          : { ownerReferences: item.metadata.ownerReferences.map((owner) => ({ ...owner, uid: `x${owner.uid}` })) }),
      },
    }));
    assert.equal(codeOf(judged(lasting([...web(crashed(5)), ...other], 0, 25, 45))), 'failed CrashLoop');
  });
});

describe('judge: before and after', () => {
  const sick = web(crashed(9));
  const sickBefore = (): RolloutMemory => baselineOf(snapshot(sick), at(0));

  it('an untouched pre-existing failure does not count and is reported', () => {
    const verdict = judged(lasting(sick, 0, 25, 50, 75), {}, sickBefore());
    assert.equal(verdict.health, 'healthy');
    const [workload] = verdict.workloads;
    assert.equal(workload?.health, 'failed');
    assert.equal(workload.isPreexisting, true);
    assert.equal(workload.brokenBefore?.reason, 'LessAvailable');
  });

  it('a touched pre-existing failure counts and is reported as pre-existing', () => {
    const touched = sick.map((item) =>
      item.kind === 'Deployment'
        ? {
            ...item,
            metadata: { ...item.metadata, generation: 2 },
            status: { ...(item['status'] as Fields), observedGeneration: 2 },
          }
        : item,
    );
    const verdict = judged(lasting(touched, 0, 25, 50), {}, sickBefore());
    assert.equal(codeOf(verdict), 'failed CrashLoop');
    assert.equal(verdict.decisive?.brokenBefore?.reason, 'LessAvailable');
  });

  it("a pre-existing failure restored by a rollback is reported but not the rollback's fault, while others serve", () => {
    const touched = sick.map((item): KubeObject =>
      item.kind === 'Deployment' ? { ...item, metadata: { ...item.metadata, generation: 3 } } : item,
    );
    const other = healthyWeb().map((item): KubeObject => ({
      ...item,
      metadata: {
        ...item.metadata,
        name: `x${item.metadata.name}`,
        uid: `x${item.metadata.uid ?? ''}`,
        ownerReferences: item.metadata.ownerReferences?.map((owner) => ({ ...owner, uid: `x${owner.uid}` })) ?? [],
      },
    }));
    const now = baselineOf(snapshot([...sick, ...other]), at(0));
    const back = baselineForRollback(sickBefore(), now, true);
    const both = [...touched, ...other].map((item) => ({
      ...item,
      status: { ...(item['status'] as Fields), observedGeneration: item.metadata.generation ?? 0 },
    }));
    const alone = both.filter(({ metadata }) => !metadata.name.startsWith('x'));
    assert.equal(judged(lasting(both, 0, 25), {}, back).health, 'progressing', 'it is waited for as all else is');
    const verdict = judged(lasting(both, 0, 25, 50), {}, back);
    assert.equal(verdict.health, 'healthy');
    const old = verdict.workloads.find(({ ref }) => ref.name === 'web');
    assert.deepEqual([old?.health, old?.isPreexisting, old?.brokenBefore?.reason], ['failed', true, 'LessAvailable']);
    assert.equal(judged(lasting(alone, 0, 25, 50), {}, back).health, 'failed', 'nothing serves');
    const elsewhere = baselineForRollback(sickBefore(), now);
    assert.equal(judged(lasting(both, 0, 25, 50), {}, elsewhere).health, 'failed', 'the target is another revision');
  });

  it('an object that did not exist before is new', () => {
    const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
    const before = baselineOf(snapshot([], { followed: [{ ref, purpose: 'object' }] }), at(0));
    assert.equal(codeOf(judged(lasting(sick, 0, 25, 50), {}, before)), 'failed CrashLoop');
  });

  it('an untouched object that was healthy before and breaks counts', () => {
    const before = baselineOf(snapshot(healthyWeb()), at(0));
    assert.equal(codeOf(judged(lasting(sick, 0, 25, 50), {}, before)), 'failed CrashLoop');
  });

  const overdue = (since: string): Fields => ({
    conditions: [
      {
        type: 'Progressing',
        status: 'False',
        reason: 'ProgressDeadlineExceeded',
        message: 'timed out',
        lastUpdateTime: since,
      },
    ],
  });

  it('a progress deadline of the previous rollout does not count', () => {
    const before = baselineOf(
      snapshot([{ ...deployment(0, overdue('A')), metadata: { name: 'web', namespace: 'shop', generation: 0 } }]),
      at(0),
    );
    assert.equal(codeOf(judged([[0, [deployment(0, overdue('A'))]]], {}, before)), 'progressing');
    assert.equal(codeOf(judged([[0, [deployment(0, overdue('B'))]]], {}, before)), 'failed ProgressDeadlineExceeded');
  });

  it('a progress deadline exceeded by an earlier generation does not count, with or without a baseline', () => {
    const ahead = deployment(0, overdue('A'));
    const unobserved = { ...ahead, metadata: { ...ahead.metadata, generation: 2 } };
    assert.equal(codeOf(judged([[0, [unobserved]]])), 'progressing NotObserved');
    assert.equal(codeOf(judged(lasting([unobserved], 0, 45, 89))), 'progressing NotObserved');
    assert.equal(codeOf(judged(lasting([unobserved], 0, 45, 91))), 'failed NotObserved');
  });

  it('a progress deadline without a baseline counts, unless all new pods are available', () => {
    const owner = deployment(0, overdue('A'));
    assert.equal(codeOf(judged([[0, [owner, replicaSet(owner, 2)]]])), 'failed ProgressDeadlineExceeded');
    assert.equal(codeOf(judged([[0, [owner, replicaSet(owner, 2, { availableReplicas: 1 })]]])), 'progressing');
  });
});

describe('judge: healthy for long enough', () => {
  it('healthy at once with a readiness probe', () => {
    assert.equal(judged([[0, healthyWeb()]]).health, 'healthy');
  });

  it('healthy after 25 s without a readiness probe', () => {
    assert.equal(judged(lasting(healthyWeb(unprobed), 0, 24)).health, 'progressing');
    assert.equal(judged(lasting(healthyWeb(unprobed), 0, 24)).recheckAt, at(25).toISOString());
    assert.equal(judged(lasting(healthyWeb(unprobed), 0, 24, 25)).health, 'healthy');
  });

  for (const [age, health] of [
    [54, 'progressing'],
    [55, 'healthy'],
  ] as const) {
    it(`${health} at the first look if its containers have run for ${age} s, since clocks may differ by 30 s`, () => {
      const running = { name: 'app', ready: true, state: { running: { startedAt: iso(-age) } } };
      const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: iso(-age) }];
      const objects = healthyWeb(unprobed).map((item) =>
        item.kind === 'Pod' ? { ...item, status: { conditions, containerStatuses: [running] } } : item,
      );
      assert.equal(judged([[0, objects]]).health, health);
    });
  }

  it('a restart starts the stable time again', () => {
    const frames: Frame[] = [
      [0, healthyWeb(unprobed)],
      [6, healthyWeb(unprobed, 1)],
    ];
    assert.equal(judged([...frames, [30, healthyWeb(unprobed, 1)]]).health, 'progressing');
    assert.equal(judged([...frames, [31, healthyWeb(unprobed, 1)]]).health, 'healthy');
  });

  it('a short failure starts the stable time again', () => {
    const frames: Frame[] = [
      [0, healthyWeb(unprobed)],
      [6, web(crashed(0), { spec: unprobed })],
      [7, healthyWeb(unprobed)],
    ];
    assert.equal(judged([...frames, [31, healthyWeb(unprobed)]]).health, 'progressing');
    assert.equal(judged([...frames, [32, healthyWeb(unprobed)]]).health, 'healthy');
  });

  it('the stable time of the user wins, with or without a probe', () => {
    assert.equal(judged(lasting(healthyWeb(), 0, 29), { stableForSeconds: 30 }).health, 'progressing');
    assert.equal(judged(lasting(healthyWeb(), 0, 30), { stableForSeconds: 30 }).health, 'healthy');
    assert.equal(judged([[0, healthyWeb(unprobed)]], { stableForSeconds: 0 }).health, 'healthy');
  });

  it('minReadySeconds is part of the stable time', () => {
    const objects = healthyWeb(unprobed).map((item) =>
      item.kind === 'Deployment' ? { ...item, spec: { ...(item['spec'] as Fields), minReadySeconds: 8 } } : item,
    );
    assert.equal(judged(lasting(objects, 0, 16)).health, 'progressing');
    assert.equal(judged(lasting(objects, 0, 17)).health, 'healthy');
  });

  it('at the deadline the message says that it was healthy, but not long enough', () => {
    const verdict = judged(lasting(healthyWeb(unprobed), 595, 600));
    assert.equal(codeOf(verdict), 'failed TimedOut');
    assert.match(verdict.decisive?.cause?.message ?? '', /not yet for as long/);
  });

  it('an untouched workload that was healthy before needs no stable time', () => {
    const before = baselineOf(snapshot(healthyWeb(unprobed)), at(0));
    assert.equal(judged([[1, healthyWeb(unprobed)]], {}, before).health, 'healthy');
  });

  it('a workload without pods needs no stable time', () => {
    assert.equal(judged([[0, [deployment(0, {}, unprobed, 0)]]]).health, 'healthy');
  });
});

describe('judge: deadlines', () => {
  it('failFast false waits for the deadline, even without hope', () => {
    assert.equal(codeOf(judged(lasting(web(notFound), 0, 599), { failFast: false })), 'progressing ImageNotFound');
    const verdict = judged(lasting(web(notFound), 0, 599, 600), { failFast: false });
    assert.equal(codeOf(verdict), 'failed ImageNotFound');
    assert.equal(verdict.timedOut, true);
  });

  it('at the deadline the best supported cause is the reason', () => {
    const events = (one: KubeObject): KubeObject[] => [event(one, 'Unhealthy', 'Readiness probe failed: 503')];
    const verdict = judged(lasting(web(running(false), { events }), 0, 600));
    assert.equal(codeOf(verdict), 'failed ReadinessProbeFailed');
    assert.equal(verdict.timedOut, true);
  });

  it('at the deadline, a load balancer without an address names its newest warning', () => {
    const owner = object('v1', 'Service', 'web', { spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1' } });
    const said = event(owner, 'SyncLoadBalancerFailed', 'no address left', 5, { type: 'Warning' });
    const verdict = judged(lasting([owner, said], 0, 600));
    assert.equal(codeOf(verdict), 'failed LoadBalancerPending');
    assert.match(verdict.decisive?.cause?.message ?? '', /no address left/);
  });

  it('a grace of the user replaces ours, with or without tries', () => {
    assert.equal(codeOf(judged(lasting(web(crashed(0)), 0, 5), { graces: { CrashLoop: 5 } })), 'failed CrashLoop');
    assert.equal(
      codeOf(judged(lasting(web(notFound), 0, 29), { graces: { ImageNotFound: 30 } })),
      'progressing ImageNotFound',
    );
    assert.equal(
      codeOf(judged(lasting(web(notFound), 0, 30), { graces: { ImageNotFound: 30 } })),
      'failed ImageNotFound',
    );
  });

  it('the verdict names the time of the next check', () => {
    const verdict = judged([[0, web(waiting('CreateContainerConfigError', 'secret "db" not found'))]]);
    assert.equal(verdict.recheckAt, at(60).toISOString());
  });

  it('the next check is at the deadline at the latest', () => {
    assert.equal(judged([[0, web(running(false))]]).recheckAt, at(600).toISOString());
  });

  const missing = web(waiting('CreateContainerConfigError', 'secret "db" not found'));
  const trying = web(waiting('ContainerCreating'));

  it('a failure that disappears for a moment between two tries is the same failure', () => {
    assert.equal(
      codeOf(
        judged([
          [0, missing],
          [20, trying],
          [51, missing],
          [80, missing],
        ]),
      ),
      'progressing ConfigMissing',
    );
    assert.equal(
      codeOf(
        judged([
          [0, missing],
          [20, trying],
          [30, missing],
          [60, missing],
        ]),
      ),
      'failed ConfigMissing',
    );
  });

  it('a failure that comes back after half a minute is a new failure', () => {
    assert.equal(
      codeOf(
        judged([
          [0, missing],
          [10, trying],
          [31, trying],
          [41, missing],
          [61, missing],
        ]),
      ),
      'progressing ConfigMissing',
    );
  });
});

describe('judge: Jobs and hooks', () => {
  const job = (status: Fields): KubeObject =>
    object('batch/v1', 'Job', 'migrate', { spec: { backoffLimit: 6 }, status: { startTime: 'x', ...status } });
  const hook = (item: KubeObject, ...around: KubeObject[]): RolloutSnapshot =>
    snapshot([item, ...around], { followed: [{ ref: refTo(item), purpose: 'hook', object: item }] });
  const failedBy = (reason: string): Fields => ({
    conditions: [{ type: 'Failed', status: 'True', reason, message: 'said so' }],
  });

  it('a Job with crashing pods and remaining tries has not failed', () => {
    const objects = [job({ active: 1 }), pod(job({}), 'migrate-a', crashed(9))];
    assert.equal(codeOf(judged(lasting(objects, 0, 25, 50, 75, 200))), 'progressing CrashLoop');
  });

  it('a hook whose Job failed is a failed hook, with the log of its pod', () => {
    const one = pod(
      job({}),
      'migrate-a',
      { phase: 'Failed', containerStatuses: [{ name: 'app', state: { terminated: { exitCode: 1 } } }] },
      {},
      { restartPolicy: 'Never' },
    );
    const verdict = judged([[0, hook(job(failedBy('BackoffLimitExceeded')), one)]]);
    assert.equal(codeOf(verdict), 'failed HookFailed');
    assert.equal(verdict.decisive?.cause?.logs[0]?.pod, 'migrate-a');
  });

  describe('judge: a Job that lost its last try before its controller noticed', () => {
    const once = (more: Fields = {}): KubeObject =>
      object('batch/v1', 'Job', 'migrate', {
        spec: { backoffLimit: 0, template: { spec: { restartPolicy: 'Never' } }, ...more },
        status: { startTime: 'x', active: 1 },
      });
    const ended = (exitCode: number, more: Fields = {}, spec: Fields = unprobed): KubeObject => {
      const state = { terminated: { exitCode, reason: 'Error' } };
      const status = { phase: 'Running', containerStatuses: [{ name: 'app', state }], ...more };
      return pod(once(), 'migrate-a', status, {}, { restartPolicy: 'Never', ...spec });
    };
    const judgedJob = (item: KubeObject, ...pods: KubeObject[]): string =>
      codeOf(judged(lasting([item, ...pods], 0, 300)));

    it('has failed, with the log of its pod', () => {
      const verdict = judged([[0, [once(), ended(1)]]]);
      assert.equal(codeOf(verdict), 'failed JobFailed');
      assert.match(verdict.decisive?.cause?.message ?? '', /BackoffLimitExceeded: .*migrate-a/);
      assert.equal(verdict.decisive?.cause?.logs[0]?.pod, 'migrate-a');
    });

    it('has failed even if another container of the pod runs on', () => {
      const states = [{ terminated: { exitCode: 2 } }, { running: {} }];
      const containerStatuses = states.map((state, index) => ({ name: `c${index}`, state }));
      assert.equal(judgedJob(once(), ended(1, { containerStatuses })), 'failed JobFailed');
    });

    const notYet: readonly (readonly [string, KubeObject, KubeObject])[] = [
      ['a try is left', once({ backoffLimit: 1 }), ended(1)],
      ['six tries are left where nothing is said', once({ backoffLimit: undefined }), ended(1)],
      ['the container has ended well', once(), ended(0)],
      ['a policy may ignore the failure', once({ podFailurePolicy: { rules: [] } }), ended(1)],
      ['another pod may still complete it', once({ parallelism: 2 }), ended(1)],
      ['the container is started again', once({ template: { spec: { restartPolicy: 'OnFailure' } } }), ended(1)],
      [
        'the container has a restart policy of its own',
        once(),
        ended(1, {}, { containers: [{ name: 'app', restartPolicy: 'OnFailure' }] }),
      ],
      ['another controller manages it', once({ managedBy: 'kueue' }), ended(1)],
      ['it is suspended', once({ suspend: true }), ended(1)],
    ];
    for (const [why, item, one] of notYet) {
      it(`has not failed if ${why}`, () => {
        assert.match(judgedJob(item, one), /^progressing/);
      });
    }
  });

  it('a Job over its deadline is reported with the log of the pod that is ending because of it', () => {
    const ending = pod(job({}), 'migrate-a', running(true), { deletionTimestamp: '2026-03-01T12:00:00Z' });
    const verdict = judged([[0, [job(failedBy('DeadlineExceeded')), ending]]]);
    assert.equal(codeOf(verdict), 'failed JobDeadlineExceeded');
    assert.deepEqual(verdict.decisive?.cause?.logs, [
      { namespace: 'shop', pod: 'migrate-a', container: 'app', previous: false },
    ]);
  });

  it('a hook over its deadline is reported as such', () => {
    assert.equal(codeOf(judged([[0, hook(job(failedBy('DeadlineExceeded')))]])), 'failed JobDeadlineExceeded');
  });

  const hookPod = (status: Fields): RolloutSnapshot =>
    hook(object('v1', 'Pod', 'check', { spec: { restartPolicy: 'Never' }, status }));

  it('a running and ready hook pod is not done', () => {
    assert.equal(judged([[0, hookPod(running(true))]]).health, 'progressing');
    assert.equal(judged([[0, hookPod({ phase: 'Succeeded' })]]).health, 'healthy');
  });

  it('a hook pod that ended with an error is a failed hook', () => {
    const status = {
      phase: 'Failed',
      containerStatuses: [{ name: 'app', state: { terminated: { exitCode: 1, reason: 'Error' } } }],
    };
    assert.equal(codeOf(judged([[0, hookPod(status)]])), 'failed HookFailed');
  });

  it('a hook that Helm deleted again is not missing, and a hook that has not started is waited for', () => {
    const gone = snapshot([], { followed: [{ ref: refTo(job({})), purpose: 'hook' }] });
    assert.equal(judged(lasting(gone, 0, 60)).health, 'healthy');
    assert.equal(judged(lasting(gone, 0, 60), { isApplied: false }).workloads[0]?.health, 'progressing');
  });

  it('a complete Job needs no stable time', () => {
    const complete = job({ succeeded: 1, conditions: [{ type: 'Complete', status: 'True' }] });
    assert.equal(judged([[0, [complete]]]).health, 'healthy');
  });

  it('a hook whose image the registry lacks can no longer succeed', () => {
    assert.equal(
      codeOf(judged([[0, hook(job({ active: 1 }), pod(job({}), 'migrate-a', notFound))]])),
      'failed ImageNotFound',
    );
  });

  it('a complete Job that removed itself is not missing', () => {
    const ref = refTo(job({}));
    const gone = snapshot([], { followed: [{ ref, purpose: 'object', removesItself: true }] });
    assert.equal(judged(lasting(gone, 0, 60)).health, 'healthy');
    assert.equal(judged(lasting(gone, 0, 60), { isApplied: false }).workloads[0]?.health, 'progressing');
    const seen = snapshot([], {
      followed: [{ ref, purpose: 'object', removesItself: true, object: job({ active: 1 }) }],
    });
    const frames: Frame[] = [
      [0, seen],
      [1, gone],
    ];
    assert.equal(judged(frames, { isApplied: false }).workloads[0]?.health, 'healthy');
  });
});

describe('judge: missing and unknown objects', () => {
  const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
  const gone = snapshot([], { followed: [{ ref, purpose: 'object' }] });
  const unread = [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      namespace: 'shop',
      reason: 'PermissionDenied',
      message: 'may not list',
    },
  ];

  it('an object that is absent after all objects were applied is missing', () => {
    assert.equal(codeOf(judged(lasting(gone, 0, 4))), 'progressing ObjectMissing');
    assert.equal(codeOf(judged(lasting(gone, 0, 5))), 'failed ObjectMissing');
  });

  it('an object that Helm did not reach may never have existed, and nobody has removed it', () => {
    const followed: FollowedObject[] = [{ ref, purpose: 'object', halfApplied: 'failed' }];
    const cause = judged(lasting(snapshot([], { followed }), 0, 5)).decisive?.cause;
    assert.deepEqual([cause?.code, cause?.detail], ['ObjectMissing', 'halfApplied']);
    assert.equal(cause?.message, "Deployment/web is not there, and its revision is failed in Helm's record.");
    assert.match(cause.nextStep, /^Deploy again: Helm was not done with this revision/);
  });

  it('nothing is missing before all was applied', () => {
    assert.equal(codeOf(judged(lasting(gone, 0, 100), { isApplied: false })), 'progressing');
  });

  it('nothing is healthy as a whole before all objects were applied', () => {
    const verdict = judged([[0, healthyWeb()]], { isApplied: false });
    assert.equal(verdict.health, 'progressing');
    assert.equal(verdict.workloads[0]?.health, 'healthy');
  });

  it('an unreadable object is unknown, never missing', () => {
    const verdict = judged(lasting(snapshot([], { followed: [{ ref, purpose: 'object' }], unread }), 0, 100));
    assert.equal(verdict.health, 'unknown');
    assert.match(verdict.decisive?.status.message ?? '', /may not list/);
  });

  it('an invalid object is unknown', () => {
    const broken = { ...deployment(1), status: 'good' };
    assert.equal(judged(lasting([broken], 0, 100)).health, 'unknown');
  });

  it('an unknown object hides neither a failure nor a wait', () => {
    const known = web(notFound);
    const [owner] = known;
    assert.ok(owner);
    const other = { ...ref, name: 'api' };
    const followed: FollowedObject[] = [
      { ref: other, purpose: 'object' },
      { ref, purpose: 'object', object: owner },
    ];
    assert.equal(judged([[0, snapshot(known, { followed, unread })]]).health, 'failed');
    assert.equal(judged([[0, snapshot(web(running(false)).slice(0, 3), { followed, unread })]]).health, 'progressing');
  });

  it('without the right to read pods the counters decide, and the verdict says so', () => {
    const pods = {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: 'shop',
      reason: 'PermissionDenied',
      message: 'may not list pods',
    };
    const counters = snapshot([deployment(1)], { unread: [pods] });
    const verdict = judged([[0, counters]]);
    assert.equal(verdict.health, 'healthy');
    assert.deepEqual(verdict.unread, [pods]);
    assert.equal(codeOf(judged(lasting(snapshot([deployment(0)], { unread: [pods] }), 0, 600))), 'failed TimedOut');
  });

  it('a snapshot from before the change is not judged', () => {
    const followed: FollowedObject[] = [{ ref, purpose: 'object', object: deployment(1), generation: 2 }];
    const verdict = judged([[0, snapshot(healthyWeb(), { followed })]]);
    assert.equal(verdict.health, 'progressing');
    assert.equal(verdict.decisive?.status.reason, 'ReadingBehind');
  });

  const database = (status: Fields): KubeObject => object('example.com/v1', 'Database', 'main', { status });

  it('a very long controller message is shortened', () => {
    const bad = database({ conditions: [{ type: 'Failed', status: 'True', message: 'x'.repeat(30_000) }] });
    const cause = judged(lasting([bad], 0, 30)).decisive?.cause;
    assert.match(cause?.message ?? '', /^Database\/main: x{1900,2000} \.\.\.$/);
    assert.ok(cause?.evidence.every(({ text }) => text.length <= 2004));
  });

  it('a custom resource with a Failed condition gets half a minute', () => {
    const bad = database({ conditions: [{ type: 'Failed', status: 'True', message: 'no such size' }] });
    assert.equal(codeOf(judged(lasting([bad], 0, 29))), 'progressing CustomResourceFailed');
    const verdict = judged(lasting([bad], 0, 29, 30));
    assert.equal(codeOf(verdict), 'failed CustomResourceFailed');
    assert.match(verdict.decisive?.cause?.message ?? '', /no such size/);
  });

  it('a custom resource that is only not ready is waited for', () => {
    const slow = database({ conditions: [{ type: 'Ready', status: 'False', reason: 'Creating' }] });
    assert.equal(codeOf(judged(lasting([slow], 0, 300, 599))), 'progressing CustomResourceFailed notReady');
    assert.equal(codeOf(judged(lasting([slow], 0, 300, 600))), 'failed CustomResourceFailed notReady');
  });

  it('an object whose controller does not react is reported', () => {
    const ignored = database({ observedGeneration: 0 });
    assert.equal(codeOf(judged(lasting([ignored], 0, 30, 60, 89))), 'progressing NotObserved');
    assert.equal(codeOf(judged(lasting([ignored], 0, 30, 60, 90))), 'failed NotObserved');
  });

  it('a claim whose volume is gone has failed', () => {
    const claim = object('v1', 'PersistentVolumeClaim', 'data', { status: { phase: 'Lost' } });
    assert.equal(codeOf(judged([[0, [claim]]])), 'failed VolumeNotBound');
  });

  it('a claim that was bound after a failure is no finding, an unbound one is', () => {
    const spec = { ...probed, volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] };
    const claim = (phase: string): KubeObject => object('v1', 'PersistentVolumeClaim', 'data', { status: { phase } });
    const said = event(claim(''), 'ProvisioningFailed', 'storageclass "gold" not found');
    const pods = web(unschedulable('0/3 nodes are available: 3 Insufficient cpu.'), { spec });
    const followed = (objects: KubeObject[]): RolloutSnapshot =>
      snapshot(objects, {
        followed: objects.slice(0, 1).map((item) => ({ ref: refTo(item), purpose: 'object', object: item })),
      });
    assert.equal(
      codeOf(judged([[0, followed([...pods, claim('Bound'), said])]])),
      'progressing Unschedulable resources',
    );
    assert.equal(codeOf(judged([[0, followed([...pods, claim('Pending'), said])]])), 'progressing VolumeNotBound');
  });

  it('a claim that waits for its consumer is not done while a pod uses it', () => {
    const claim = object('v1', 'PersistentVolumeClaim', 'data', { status: { phase: 'Pending' } });
    const said = event(claim, 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
    const consumer = object('v1', 'Pod', 'user', {
      spec: { volumes: [{ persistentVolumeClaim: { claimName: 'data' } }] },
    });
    assert.equal(judged([[0, [claim, said]]]).health, 'healthy');
    assert.equal(judged([[0, [claim, said, consumer]]]).health, 'progressing');
  });

  const balancer = (more: Fields = {}): KubeObject =>
    object('v1', 'Service', 'web', { spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1' } }, more);

  it('a load balancer that no controller handles within half a minute is not waited for', () => {
    assert.equal(judged(lasting([balancer()], 0, 29)).health, 'progressing');
    assert.equal(judged(lasting([balancer()], 0, 29)).recheckAt, at(30).toISOString());
    const verdict = judged(lasting([balancer()], 0, 30));
    assert.equal(verdict.health, 'healthy');
    assert.equal(verdict.workloads[0]?.status.reason, 'NoLoadBalancerController');
  });

  it('a load balancer that a controller is working on is waited for', () => {
    const taken = balancer({ finalizers: ['service.kubernetes.io/load-balancer-cleanup'] });
    assert.equal(judged(lasting([taken], 0, 300)).health, 'progressing');
    const said = event(balancer(), 'EnsuringLoadBalancer', 'Ensuring load balancer');
    assert.equal(judged(lasting([balancer(), said], 0, 300)).health, 'progressing');
  });

  it('a snapshot of the change itself is judged', () => {
    const followed: FollowedObject[] = [{ ref, purpose: 'object', object: deployment(1), generation: 1 }];
    assert.equal(judged([[0, snapshot(healthyWeb(), { followed })]]).health, 'healthy');
  });

  it('unreadable objects elsewhere do not make this one unknown', () => {
    const elsewhere = unread.map((kind) => ({ ...kind, namespace: 'other' }));
    const verdict = judged(lasting(snapshot([], { followed: [{ ref, purpose: 'object' }], unread: elsewhere }), 0, 5));
    assert.equal(codeOf(verdict), 'failed ObjectMissing');
  });

  it('a rule of the user decides the status', () => {
    const statusRules = [
      {
        group: 'example.com',
        kind: 'Database',
        current: [{ path: 'status.phase', equals: ['Up'] }],
        failed: [],
        suspended: [],
      },
    ];
    assert.equal(judged([[0, [database({ phase: 'Down' })]]], { statusRules }).health, 'progressing');
    assert.equal(judged([[0, [database({ phase: 'Up' })]]], { statusRules }).health, 'healthy');
  });
});

describe('judge: 5,000 pods of 500 workloads', () => {
  const fleet = Array.from({ length: 500 }, (_, workload) => {
    const isGood = workload % 50 !== 0;
    const owner = deployment(isGood ? 10 : 9, {}, probed, 10);
    const rename = (item: KubeObject, name: string): KubeObject => ({
      ...item,
      metadata: { ...item.metadata, name: `${name}-${workload}`, uid: `${name}-${workload}` },
    });
    const top = rename(owner, 'web');
    const set = rename(replicaSet(top, 2), 'set');
    const pods = Array.from({ length: 10 }, (__, index) =>
      rename(pod(set, `p-${index}`, isGood || index > 0 ? running(true) : notFound), `pod-${index}`),
    );
    return [top, set, ...pods];
  }).flat();

  it('the few failing workloads are found, each with its pod', () => {
    const verdict = judged(lasting(fleet, 0, 1, 2, 3, 4));
    const failed = verdict.workloads.filter(({ health }) => health === 'failed');
    assert.equal(failed.length, 10);
    assert.ok(failed.every(({ key, cause }) => cause?.subject.name === key.replace(/^.*web-/, 'pod-0-')));
  });
});

describe('the fields that are kept of pods and ReplicaSets', () => {
  it('do not include environment, mounts and templates, but all that shows a cause', () => {
    const [owner, set] = web(notFound);
    assert.ok(owner && set);
    const resources = { requests: { cpu: '1' } };
    const container = { name: 'app', image: 'r.example/app:1', startupProbe: { periodSeconds: 1 }, resources };
    const heavy = { env: [{ name: 'A', value: 'x' }], volumeMounts: [{ name: 'data' }] };
    const volumes = [
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'tmp', emptyDir: {} },
    ];
    const spec = { containers: [{ ...container, ...heavy }], volumes, tolerations: [{}] };
    const one = trimmed(pod(set, 'web-2-a', notFound, { annotations: { note: 'x' } }, spec));
    const held = { nodeName: 'node-1', volumes: volumes.slice(0, 1), containers: [container] };
    assert.deepEqual(one['spec'], held);
    assert.deepEqual(one['status'], notFound);
    assert.equal(one.metadata.annotations, undefined);
    assert.deepEqual(trimmed({ ...set, spec: { replicas: 1, template: {} } })['spec'], { replicas: 1 });
    assert.deepEqual(trimmed(owner), owner);
  });
});

describe('rolloutSnapshot', () => {
  it('reads an event again only when it was repeated', () => {
    const [owner] = web(notFound);
    assert.ok(owner);
    const record = (said: KubeObject): unknown =>
      rolloutSnapshot([], { objects: new Map([['event', said]]), unread: [] }).events[0];
    const said = event(owner, 'Failed', 'once');
    assert.equal(record(said), record(said));
    assert.equal((record({ ...said, message: 'twice' }) as { message: string }).message, 'twice');
  });

  it('sorts a snapshot into judged, explaining and unreadable objects', () => {
    const [owner, set, one] = web(notFound);
    assert.ok(owner && set && one);
    const said = event(one, 'Failed', 'Error: ErrImagePull');
    const objects = new Map(
      [owner, set, one, said].map((item) => [
        `${item.apiVersion.includes('/') ? 'apps' : ''}/${item.kind}/shop/${item.metadata.name}`,
        item,
      ]),
    );
    const query = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'shop' };
    const reading = { objects, unread: [{ query, reason: 'PermissionDenied' as const, message: 'may not list' }] };
    const absent = { ...refTo(owner), name: 'api' };
    const made = rolloutSnapshot(
      [
        { ref: refTo(owner), purpose: 'object' },
        { ref: absent, purpose: 'object' },
      ],
      reading,
    );
    assert.deepEqual(
      made.followed.map(({ object: found }) => found?.metadata.name),
      ['web', undefined],
    );
    assert.deepEqual(
      made.around.map(({ kind }) => kind),
      ['Deployment', 'ReplicaSet', 'Pod'],
    );
    assert.equal(made.events[0]?.reason, 'Failed');
    assert.deepEqual(made.unread, [{ ...query, reason: 'PermissionDenied', message: 'may not list' }]);
  });
});
