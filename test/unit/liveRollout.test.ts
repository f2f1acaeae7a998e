import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { objectKey, refOf } from '../../tasks/common/core/kubernetes/manifest';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { FollowSnapshot } from '../../tasks/common/core/kubernetes/queries';
import { noFacts, type Facts } from '../../tasks/common/core/rollout/facts';
import { refTo } from '../../tasks/common/core/rollout/finding';
import { liveRollout } from '../../tasks/common/core/rollout/liveRollout';
import { rolloutSnapshot, type FollowedRef } from '../../tasks/common/core/rollout/snapshot';
import { baselineOf, judge, type RolloutPolicy, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';
import {
  at,
  crashedPod,
  deployment,
  event,
  iso,
  object,
  plainPod,
  runningPod,
  unschedulablePod,
  waitingPod,
  type Fields,
} from '../support/rolloutObjects';

const policy: RolloutPolicy = { failFast: true, deadline: at(400), isApplied: true, graces: {}, statusRules: [] };
const owned = (by: KubeObject): Fields => ({
  ownerReferences: [
    { apiVersion: by.apiVersion, kind: by.kind, name: by.metadata.name, uid: by.metadata.uid, controller: true },
  ],
});
const onNode = (pod: Fields, nodeName: string): Fields => ({ ...pod, spec: { nodeName } });
const claimed = (pod: Fields): Fields => ({
  ...pod,
  spec: { volumes: [{ persistentVolumeClaim: { claimName: 'data' } }] },
});
const ending = { metadata: { deletionTimestamp: iso(40), deletionGracePeriodSeconds: 30 } };

/** A pod at a second of the rollout. */
const podStates: readonly ((second: number) => Fields)[] = [
  () => runningPod(),
  () => runningPod(false),
  () => onNode(runningPod(), 'node-2'),
  () => ({ ...runningPod(), ...ending }),
  (second) => crashedPod({ ended: 1 + Math.floor(second / 20), began: second, seconds: 1 }),
  (second) => crashedPod({ ended: 2, began: second, isInit: true }),
  () => waitingPod('CreateContainerConfigError', 'configmap "web" not found'),
  () => waitingPod('ErrImagePull', 'not found'),
  () => unschedulablePod('0/1 nodes are available: 1 Insufficient cpu.'),
  () => claimed(unschedulablePod('pod has unbound immediate PersistentVolumeClaims')),
  (second) => ({
    phase: 'Pending',
    initContainerStatuses: [{ name: 'wait', restartCount: 0, state: { running: { startedAt: iso(second) } } }],
  }),
];

function web(name: string, pods: readonly Fields[]): KubeObject[] {
  return deployment(name, pods.slice(0, 2), { old: pods.slice(2), podSpec: { ...plainPod, nodeName: 'node-1' } });
}

const stranger = object('batch/v1', 'Job', 'migrate');

function podsOf(owner: KubeObject, pods: readonly Fields[], labels: Fields): KubeObject[] {
  return pods.map(({ metadata, spec, ...status }, index) =>
    object(
      'v1',
      'Pod',
      `${owner.metadata.name}-${index}`,
      { spec: { nodeName: 'node-1', ...plainPod, ...(spec as Fields) }, status },
      // A pod that is not ready belongs to somebody else for a while.
      { labels, ...owned(status['ready'] === false ? stranger : owner), ...(metadata as Fields) },
    ),
  );
}

function set(pods: readonly Fields[]): KubeObject[] {
  const ready = pods.filter(({ phase }) => phase === 'Running').length;
  const counts = { replicas: 3, readyReplicas: ready, updatedReplicas: ready, currentReplicas: ready };
  const owner = object('apps/v1', 'StatefulSet', 'db', {
    spec: { replicas: 3, template: { spec: plainPod } },
    status: { observedGeneration: 1, updateRevision: 'b', currentRevision: 'b', ...counts },
  });
  const labels = { 'controller-revision-hash': pods.length > 2 ? 'a' : 'b' };
  return [owner, ...podsOf(owner, pods, labels)];
}

function daemons(pods: readonly Fields[]): KubeObject[] {
  const ready = pods.filter(({ ready: isReady }) => isReady === true).length;
  const owner = object(
    'apps/v1',
    'DaemonSet',
    'agent',
    {
      spec: { template: { spec: plainPod } },
      status: {
        observedGeneration: 1,
        desiredNumberScheduled: 2,
        currentNumberScheduled: pods.length,
        updatedNumberScheduled: pods.length,
        numberReady: ready,
        numberAvailable: ready,
      },
    },
    { annotations: { 'deprecated.daemonset.template.generation': '1' } },
  );
  return [owner, ...podsOf(owner, pods, { 'pod-template-generation': '1' })];
}

function custom(pods: readonly Fields[]): KubeObject[] {
  const toy = object('example.com/v1', 'Toy', 'toy', pods.length > 1 ? { status: { phase: 'Ready' } } : {}, {
    creationTimestamp: iso(5),
  });
  const inner = web('inner', pods);
  return [
    toy,
    ...inner.map((item) =>
      item.kind === 'Deployment' ? { ...item, metadata: { ...item.metadata, ...owned(toy) } } : item,
    ),
  ];
}

function job(pods: readonly Fields[]): KubeObject[] {
  const isFailed = pods.length > 2;
  const conditions = isFailed ? [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] : [];
  const owner = object('batch/v1', 'Job', 'migrate', { spec: {}, status: { conditions, startTime: iso(0) } });
  return [owner, ...podsOf(owner, pods, {})];
}

function others(pods: readonly Fields[]): KubeObject[] {
  const balancer = object('v1', 'Service', 'lb', { spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1' }, status: {} });
  const claim = object('v1', 'PersistentVolumeClaim', 'data', {
    status: { phase: pods.length === 2 ? 'Bound' : 'Pending' },
  });
  const waits = event(claim, 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
  const node = object('v1', 'Node', 'node-1', { status: { conditions: [{ type: 'Ready', status: 'False' }] } });
  return [balancer, claim, waits, node].slice(0, pods.length);
}

const families: readonly ((pods: readonly Fields[]) => KubeObject[])[] = [
  (pods) => web('web', pods),
  (pods) => web('api', pods),
  set,
  daemons,
  custom,
  job,
  others,
];

const followed: readonly FollowedRef[] = families.flatMap((family) =>
  family([runningPod(), runningPod()])
    .filter(
      ({ kind, metadata }) => kind !== 'Pod' && kind !== 'ReplicaSet' && kind !== 'Node' && metadata.name !== 'inner',
    )
    .map((item) => ({ ref: refTo(item), purpose: 'object' as const })),
);

const said: readonly (readonly [reason: string, message: string])[] = [
  ['FailedCreate', 'exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'],
  ['FailedMount', 'MountVolume.SetUp failed for volume "x"'],
  ['WaitForFirstConsumer', 'waiting for first consumer to be created before binding'],
  ['ProvisioningFailed', 'no class'],
  ['Unhealthy', 'Readiness probe failed: no answer'],
];

interface Step {
  family: number;
  pods: readonly number[];
  /** The event, and the object of the family that it is about. */
  event?: { about: number; says: number };
  seconds: number;
  nodes: boolean;
  isHidden: boolean;
  isGone: boolean;
}

const step: fc.Arbitrary<Step> = fc.record(
  {
    family: fc.nat(families.length - 1),
    pods: fc.array(fc.nat(podStates.length - 1), { maxLength: 4 }),
    event: fc.record({ about: fc.nat(6), says: fc.nat(said.length - 1) }),
    seconds: fc.constantFrom(0, 1, 3, 10, 40),
    nodes: fc.boolean(),
    isHidden: fc.boolean(),
    isGone: fc.constantFrom(false, false, false, true),
  },
  { requiredKeys: ['family', 'pods', 'seconds', 'nodes', 'isHidden', 'isGone'] },
);

/** The objects of a cluster that changes with each step. An object that does not change stays the same one. */
class Scene {
  readonly objects = new Map<string, KubeObject>();
  unread: FollowSnapshot['unread'] = [];
  facts: Facts = noFacts;
  second = 0;
  private readonly made = new Map<number, ReadonlySet<string>>();

  /** Returns the changes. */
  step({ family, pods, event: told, seconds, nodes, isHidden, isGone }: Step): Map<string, KubeObject | undefined> {
    this.second += seconds;
    const fields = pods.map((state) => podStates[state]?.(this.second) ?? {});
    const made = isGone ? [] : (families[family]?.(fields) ?? []);
    const about = told === undefined ? undefined : made[told.about % Math.max(1, made.length)];
    const [reason, message] = said[told?.says ?? 0] ?? said[0] ?? ['', ''];
    const events = about === undefined ? [] : [event(about, reason, message, { type: 'Warning', second: this.second })];
    const fresh = new Map([...made, ...events].map((item) => [objectKey(refOf(item)), item]));
    const changes = new Map<string, KubeObject | undefined>();
    for (const key of this.made.get(family) ?? []) {
      if (!fresh.has(key) && this.objects.delete(key)) changes.set(key, undefined);
    }
    for (const [key, item] of fresh) {
      if (isDeepStrictEqual(this.objects.get(key), item)) continue;
      this.objects.set(key, item);
      changes.set(key, item);
    }
    this.made.set(family, new Set(fresh.keys()));
    const query = { apiVersion: 'v1', kind: 'Service', namespace: 'shop' };
    this.unread = isHidden ? [{ query, reason: 'PermissionDenied', message: 'no' }] : [];
    const status = { conditions: [{ type: 'Ready', status: pods.length > 2 ? 'False' : 'True' }] };
    const node = { ...object('v1', 'Node', 'node-2', { status }), metadata: { name: 'node-2' } };
    if (nodes) this.facts = { ...noFacts, nodes: { nodes: [node], mayGrow: false } };
    return changes;
  }
}

describe('a rollout that is judged again and again', () => {
  it('has the verdicts of a judgement that reads everything anew', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), fc.boolean(), (steps, hasBaseline) => {
        const scene = new Scene();
        const live = liveRollout(followed);
        if (hasBaseline) for (const each of steps.slice(0, 3)) live.apply(scene.step(each));
        const first = rolloutSnapshot(followed, scene);
        const baseline = hasBaseline ? baselineOf(first, at(scene.second)) : undefined;
        let plain: RolloutVerdict | undefined;
        let kept: RolloutVerdict | undefined;
        for (const each of steps) {
          live.apply(scene.step(each));
          live.setUnread(scene.unread);
          const now = at(scene.second);
          plain = judge(
            { ...rolloutSnapshot(followed, scene), facts: scene.facts },
            policy,
            plain?.memory ?? baseline,
            now,
          );
          kept = live.judge(scene.facts, { policy, memory: kept?.memory ?? baseline, now });
          assert.deepEqual(kept, plain);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('does not read anew what has not changed', () => {
    const scene = new Scene();
    const live = liveRollout(followed);
    const calm = { seconds: 1, nodes: false, isHidden: false, isGone: false };
    for (const family of [0, 1]) live.apply(scene.step({ ...calm, family, pods: [1, 1] }));
    const time = { policy, memory: undefined, now: at(scene.second) };
    const before = live.judge(noFacts, time);
    live.apply(scene.step({ ...calm, family: 0, pods: [1, 0] }));
    const after = live.judge(noFacts, time);
    const statusOf = ({ workloads }: RolloutVerdict, name: string) =>
      workloads.find(({ ref }) => ref.name === name)?.status;
    assert.equal(statusOf(after, 'api'), statusOf(before, 'api'));
    assert.notEqual(statusOf(after, 'web'), statusOf(before, 'web'));
  });
});
