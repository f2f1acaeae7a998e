import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { indexOf, newPods } from '../../tasks/common/core/rollout/family';
import { refTo } from '../../tasks/common/core/rollout/finding';
import type { RolloutSnapshot, UnreadKind } from '../../tasks/common/core/rollout/snapshot';
import { baselineOf, judge, type RolloutMemory, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';
import {
  at,
  deployment,
  iso,
  object,
  runningPod,
  snapshotOf,
  start,
  waitingPod,
  type Fields,
} from '../support/rolloutObjects';

const policy = {
  failFast: true,
  deadline: new Date(start + 300_000),
  isApplied: true,
  stableForSeconds: 0,
  graces: {},
  statusRules: [],
};

const database = (status?: Fields): KubeObject =>
  object('example.com/v1', 'Database', 'db', status === undefined ? {} : { status });
const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
const notFound = waitingPod('ImagePullBackOff', 'Back-off pulling image: ErrImagePull: r.example/app:1: not found');
const owner = ({ apiVersion, kind, metadata: { name, uid = '' } }: KubeObject) => ({ apiVersion, kind, name, uid });
const owned = (item: KubeObject, ...owners: readonly KubeObject[]): KubeObject => ({
  ...item,
  metadata: { ...item.metadata, ownerReferences: owners.map(owner) },
});
const job = (status: Fields): KubeObject => object('batch/v1', 'Job', 'migrate', { status });

/** Only the custom resource is of the release; all else is around it. */
function snapshot(
  custom: KubeObject,
  others: readonly KubeObject[],
  unread: readonly UnreadKind[] = [],
): RolloutSnapshot {
  return {
    ...snapshotOf(others),
    followed: [{ ref: refTo(custom), purpose: 'object', object: custom }],
    unread,
  };
}

function judged(read: RolloutSnapshot, memory?: RolloutMemory): RolloutVerdict {
  const first = judge(read, policy, memory, at(100));
  return judge(read, policy, first.memory, at(160));
}

/** The workload with its descendants, the workload owned by the custom resource. */
const [head, ...rest] = deployment('web', [runningPod()]);
const [brokenHead, ...brokenRest] = deployment('web', [notFound]);
assert.ok(head && brokenHead);
const wellOwned = (custom: KubeObject): KubeObject[] => [owned(head, custom), ...rest];
const brokenOwned = (custom: KubeObject): KubeObject[] => [owned(brokenHead, custom), ...brokenRest];

function chain(custom: KubeObject, levels: number): KubeObject[] {
  const links = Array.from({ length: levels }, (_, level) => object('example.com/v1', 'Link', `link-${level}`));
  return links.map((link, level) => owned(link, level === 0 ? custom : (links[level - 1] ?? custom)));
}

describe('what a custom resource owns', () => {
  const silent = database();
  const cases: readonly {
    incident: string;
    custom: KubeObject;
    others: readonly KubeObject[];
    health: string;
    reason: string;
  }[] = [
    {
      incident: 'an image that does not exist',
      custom: silent,
      others: brokenOwned(silent),
      health: 'failed',
      reason: 'ImageNotFound',
    },
    {
      incident: 'an image that does not exist, under an operator that says Ready',
      custom: database(ready),
      others: brokenOwned(silent),
      health: 'failed',
      reason: 'ImageNotFound',
    },
    { incident: 'all is well', custom: silent, others: wellOwned(silent), health: 'healthy', reason: 'OwnedReady' },
    {
      incident: 'all is well and the operator says so',
      custom: database(ready),
      others: wellOwned(silent),
      health: 'healthy',
      reason: 'Ready',
    },
    {
      incident: 'a new object of which only what it owns says something',
      custom: { ...silent, metadata: { ...silent.metadata, creationTimestamp: iso(159) } },
      others: [owned(job({ startTime: 'x', active: 1 }), silent)],
      health: 'progressing',
      reason: 'OwnedNotReady',
    },
    {
      incident: 'nothing is owned',
      custom: silent,
      others: brokenOwned(database()).map((item) => ({ ...item, metadata: { ...item.metadata, ownerReferences: [] } })),
      health: 'healthy',
      reason: 'NotJudged',
    },
    {
      incident: 'the wish not to wait for it',
      custom: { ...silent, metadata: { ...silent.metadata, annotations: { 'helm-safe-deploy/wait': 'ignore' } } },
      others: brokenOwned(silent),
      health: 'healthy',
      reason: 'NotWaitedFor',
    },
    {
      incident: 'a migration that runs',
      custom: silent,
      others: [owned(job({ startTime: 'x', active: 1 }), silent)],
      health: 'progressing',
      reason: 'OwnedNotReady',
    },
    {
      incident: 'a migration that has failed',
      custom: silent,
      others: [
        owned(job({ conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] }), silent),
      ],
      health: 'failed',
      reason: 'JobFailed',
    },
    {
      incident: 'a scheduled Job that has failed, under an operator that says Ready',
      custom: database(ready),
      others: [owned(job({ conditions: [{ type: 'Failed', status: 'True' }] }), silent)],
      health: 'healthy',
      reason: 'Ready',
    },
  ];
  for (const { incident, custom, others, health, reason } of cases) {
    it(`${incident}: ${health}, ${reason}`, () => {
      const [workload] = judged(snapshot(custom, others)).workloads;
      assert.equal(workload?.health, health, JSON.stringify(workload));
      assert.equal(workload.cause?.code ?? workload.status.reason, reason);
      assert.equal(workload.ref.kind, 'Database');
    });
  }

  for (const { levels, health } of [
    { levels: 18, health: 'failed' },
    { levels: 19, health: 'failed' },
    { levels: 20, health: 'healthy' },
  ]) {
    it(`a broken workload behind ${levels} objects: ${health}`, () => {
      const links = chain(silent, levels);
      const last = links.at(-1);
      assert.ok(last);
      assert.equal(judged(snapshot(silent, [...links, ...brokenOwned(last)])).health, health);
    });
  }

  it('a new object without a status is looked at again when it may have been silent for long enough', () => {
    const fresh = { ...silent, metadata: { ...silent.metadata, creationTimestamp: iso(158) } };
    const read = snapshot(fresh, []);
    assert.equal(judge(read, policy, undefined, at(160)).recheckAt, iso(161));
    assert.equal(judge(read, policy, undefined, at(163)).health, 'healthy');
  });

  const probed = { containers: [{ name: 'app', image: 'r.example/app:1', readinessProbe: {} }] };
  for (const { podSpec, health } of [
    { podSpec: undefined, health: 'progressing' },
    { podSpec: probed, health: 'healthy' },
  ]) {
    it(`pods ${podSpec === undefined ? 'without' : 'with'} a readiness probe are ${health} in their first second`, () => {
      const [first, ...others] = deployment('web', [runningPod()], podSpec === undefined ? {} : { podSpec });
      assert.ok(first);
      const { stableForSeconds: _, ...byProbe } = policy;
      const read = snapshot(silent, [owned(first, silent), ...others]);
      assert.equal(judge(read, byProbe, undefined, at(100)).health, health);
    });
  }

  it('a circle of owners ends', () => {
    const a = object('example.com/v1', 'Link', 'a');
    const b = object('example.com/v1', 'Link', 'b');
    const custom = owned(silent, b);
    assert.equal(judged(snapshot(custom, [owned(a, custom, b), owned(b, a), ...brokenOwned(b)])).health, 'failed');
  });

  it('the logs of its pods are those of the custom resource', () => {
    const read = snapshot(silent, wellOwned(silent));
    const pods = newPods(read.followed, indexOf(read));
    assert.deepEqual(
      pods.map(({ workload, pod }) => [workload.kind, pod.kind]),
      [['Database', 'Pod']],
    );
  });

  it('a workload that was broken before the deploy is no failure of the deploy', () => {
    const read = snapshot(silent, brokenOwned(silent));
    assert.equal(judged(read, baselineOf(read, at(0))).workloads[0]?.isPreexisting, true);
  });

  it('a kind that may not be listed leaves it not judged, and the right is named', () => {
    const unread = [
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        namespace: 'shop',
        reason: 'PermissionDenied',
        message: 'may not list statefulsets',
      },
    ];
    const [workload] = judged(snapshot(silent, [], unread)).workloads;
    assert.equal(workload?.status.reason, 'NotJudged');
    assert.match(workload.status.message, /may not list statefulsets/);
    const elsewhere = unread.map((kind) => ({ ...kind, namespace: 'other' }));
    assert.doesNotMatch(judged(snapshot(silent, [], elsewhere)).workloads[0]?.status.message ?? '', /may not list/);
  });
});
