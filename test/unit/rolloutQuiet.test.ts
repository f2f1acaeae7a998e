import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { eventRecord } from '../../tasks/common/core/rollout/events';
import { refTo } from '../../tasks/common/core/rollout/finding';
import type { RolloutSnapshot } from '../../tasks/common/core/rollout/snapshot';
import { judge, type RolloutMemory, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';

const start = Date.parse('2026-03-01T12:00:00Z');
const at = (second: number): Date => new Date(start + second * 1000);
const policy = { failFast: true, deadline: at(300), isApplied: true, graces: {}, statusRules: [] };

const unschedulable: KubeObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'pod-web' },
  status: {
    phase: 'Pending',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: '0/1 nodes are available: 1 Insufficient cpu.',
      },
    ],
  },
};
const starting: KubeObject = { ...unschedulable, status: { phase: 'Pending' } };

function judgedAt(seconds: readonly (readonly [number, KubeObject])[]): RolloutVerdict {
  let memory: RolloutMemory | undefined;
  let verdict: RolloutVerdict | undefined;
  for (const [second, object] of seconds) {
    const snapshot: RolloutSnapshot = {
      followed: [{ ref: refTo(object), purpose: 'object', object }],
      around: [],
      events: [],
      unread: [],
    };
    verdict = judge(snapshot, policy, memory, at(second));
    ({ memory } = verdict);
  }
  assert.ok(verdict);
  return verdict;
}

describe('a cluster in which nothing changes', () => {
  it('is read rarely, and a lasting cause is as old as its first occurrence', () => {
    const verdict = judgedAt([
      [0, unschedulable],
      [31, unschedulable],
      [62, unschedulable],
      [121, unschedulable],
    ]);
    assert.equal(verdict.health, 'failed');
    assert.equal(verdict.decisive?.cause?.code, 'Unschedulable');
    assert.equal(verdict.decisive.cause.since, at(0).toISOString());
  });

  it('a short absence of the cause after a long quiet time is a gap between two tries', () => {
    const verdict = judgedAt([
      [0, unschedulable],
      [60, starting],
      [61, unschedulable],
      [121, unschedulable],
    ]);
    assert.equal(verdict.health, 'failed');
  });

  it('a cause that was gone for more than 30 s has healed, and its grace starts again', () => {
    const verdict = judgedAt([
      [0, unschedulable],
      [60, starting],
      [95, unschedulable],
      [121, unschedulable],
    ]);
    assert.equal(verdict.health, 'progressing');
  });
});

describe('a claim that is not bound', () => {
  const claim: KubeObject = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'shop', uid: 'claim-data' },
    status: { phase: 'Pending' },
  };
  const pod: KubeObject = {
    ...unschedulable,
    spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] },
    status: {
      phase: 'Pending',
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: 'pod has unbound immediate PersistentVolumeClaims.',
        },
      ],
    },
  };

  it("gives its own reason, which wins over the scheduler's message about the pod", () => {
    const event = {
      uid: 'event',
      about: { kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'data', uid: 'claim-data' },
      fieldPath: '',
      type: 'Warning',
      reason: 'ProvisioningFailed',
      message: 'storageclass.storage.k8s.io "gold" not found',
      source: 'persistentvolume-controller',
      count: 1,
      firstAt: start + 2000,
      lastAt: start + 2000,
    };
    const followed = [{ ref: refTo(pod), purpose: 'object' as const, object: pod }];
    const reading = { followed, around: [claim], events: [], unread: [] };
    const first = judge(reading, policy, undefined, at(0));
    const second = judge({ ...reading, events: [event] }, policy, first.memory, at(2));
    const verdict = judge({ ...reading, events: [event] }, policy, second.memory, at(120));
    assert.equal(verdict.health, 'failed');
    assert.match(verdict.decisive?.cause?.message ?? '', /"gold" not found/);
    assert.match(verdict.decisive?.cause?.evidence.map(({ text }) => text).join('\n') ?? '', /unbound immediate/);
  });
});

describe('causes that only an event shows', () => {
  const crashing: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'pod-web' },
    spec: { containers: [{ name: 'app', image: 'r.example/app:1' }] },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'app',
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
          lastState: { terminated: { exitCode: 137, reason: 'Error' } },
        },
      ],
    },
  };

  it('a failing postStart hook is the reason why the kubelet killed the container', () => {
    const event = eventRecord({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e', namespace: 'shop', uid: 'e' },
      involvedObject: {
        kind: 'Pod',
        namespace: 'shop',
        name: 'web',
        uid: 'pod-web',
        fieldPath: 'spec.containers{app}',
      },
      type: 'Warning',
      reason: 'FailedPostStartHook',
      message: 'PostStartHook failed: no such table\n',
      firstTimestamp: at(0).toISOString(),
      lastTimestamp: at(0).toISOString(),
    });
    const followed = [{ ref: refTo(crashing), purpose: 'object' as const, object: crashing }];
    const verdict = judge({ followed, around: [], events: [event], unread: [] }, policy, undefined, at(0));
    const [suspect] = verdict.decisive?.suspects ?? [];
    assert.match(suspect?.message ?? '', /exit code 137, signal 9\. PostStartHook failed: no such table$/);
  });
});

describe('a failing postStart hook', () => {
  const message =
    'Exec lifecycle hook ([sh -c warm]) for Container "app" failed - error: command exited with 3: , message: "no cache yet"';
  const failedHook = (restartCount: number): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'pod-web' },
    spec: { containers: [{ name: 'app' }] },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'app',
          restartCount,
          state: { waiting: { reason: 'PostStartHookError', message } },
          lastState: { terminated: { exitCode: 137, reason: 'Error' } },
        },
      ],
    },
  });
  const after = (restartCount: number, ...seconds: readonly number[]): RolloutVerdict => {
    const object = failedHook(restartCount);
    const followed = [{ ref: refTo(object), purpose: 'object' as const, object }];
    let verdict: RolloutVerdict | undefined;
    for (const second of seconds) {
      verdict = judge({ followed, around: [], events: [], unread: [] }, policy, verdict?.memory, at(second));
    }
    assert.ok(verdict);
    return verdict;
  };

  it('gets three restarts, like a container that ends by itself', () => {
    const verdict = after(2, 0, 20, 40, 59);
    assert.equal(verdict.health, 'progressing');
    assert.equal(verdict.decisive?.suspects[0]?.code, 'CrashLoop');
    assert.match(verdict.decisive.suspects[0].message, /ended 3 times.*no cache yet/);
    assert.equal(after(3, 0, 20, 45).health, 'failed');
  });
});

describe('a missing pull secret', () => {
  const image = 'r.example/app:1';
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'pod-web' },
    spec: { containers: [{ name: 'app', image }] },
    status: {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'app',
          restartCount: 0,
          state: { waiting: { reason: 'ErrImagePull', message: `failed to pull ${image}: 401 Unauthorized` } },
        },
      ],
    },
  };

  it('is reported beside the answer of the registry', () => {
    const event = eventRecord({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e', namespace: 'shop', uid: 'e' },
      involvedObject: { kind: 'Pod', namespace: 'shop', name: 'web', uid: 'pod-web' },
      type: 'Warning',
      reason: 'FailedToRetrieveImagePullSecret',
      message: 'Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.',
      lastTimestamp: at(0).toISOString(),
    });
    const followed = [{ ref: refTo(pod), purpose: 'object' as const, object: pod }];
    const verdict = judge({ followed, around: [], events: [event], unread: [] }, policy, undefined, at(0));
    const [suspect] = verdict.decisive?.suspects ?? [];
    assert.deepEqual([suspect?.code, suspect?.detail], ['ImagePullDenied', 'secretMissing']);
    assert.match(suspect?.message ?? '', /401 Unauthorized\. Unable to retrieve some image pull secrets \(regcred\)/);
    assert.ok(suspect?.evidence.some(({ text }) => text.includes('regcred')));
    assert.match(suspect?.nextStep ?? '', /^Create the pull secret/);
  });
});

describe('a Job whose controller deletes its pod', () => {
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'move', uid: 'job', controller: true }];
  const job: KubeObject = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'move', namespace: 'shop', uid: 'job' },
    spec: { backoffLimit: 1 },
    status: { active: 1 },
  };
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'move-x', namespace: 'shop', uid: 'pod', ownerReferences },
    spec: { restartPolicy: 'OnFailure', containers: [{ name: 'app', image: 'r.example/app:1' }] },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'app',
          ready: false,
          restartCount: 1,
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
          lastState: { terminated: { exitCode: 3, reason: 'Error' } },
        },
      ],
    },
  };

  it('has failed for the reason that the pod gave', () => {
    const followed = [{ ref: refTo(job), purpose: 'object' as const, object: job }];
    const first = judge({ followed, around: [pod], events: [], unread: [] }, policy, undefined, at(0));
    assert.equal(first.health, 'progressing');
    const condition = { type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'reached' };
    const failed = { ...job, status: { failed: 1, conditions: [condition] } };
    const reading = { followed: [{ ref: refTo(job), purpose: 'object' as const, object: failed }], around: [] };
    const verdict = judge({ ...reading, events: [], unread: [] }, policy, first.memory, at(1));
    assert.equal(verdict.decisive?.cause?.code, 'JobFailed');
    assert.deepEqual(
      verdict.decisive.cause.logs.map((log) => `${log.pod} ${log.container}`),
      ['move-x app'],
    );
  });
});
