import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { noFacts } from '../../tasks/common/core/rollout/facts';
import { judge, type Cause, type RolloutPolicy, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';
import {
  at,
  deployment,
  event,
  iso,
  object,
  runningPod,
  snapshotOf,
  unschedulablePod,
  waitingPod,
  type Fields,
} from '../support/rolloutObjects';

const policy: RolloutPolicy = { failFast: true, deadline: at(300), isApplied: true, graces: {}, statusRules: [] };

function judged(objects: readonly KubeObject[], ...seconds: readonly number[]): RolloutVerdict {
  let verdict: RolloutVerdict | undefined;
  for (const second of seconds) verdict = judge(snapshotOf(objects), policy, verdict?.memory, at(second));
  assert.ok(verdict);
  return verdict;
}

const gated: Fields = {
  ...runningPod(),
  ready: false,
  conditions: [
    { type: 'Ready', status: 'False' },
    { type: 'ContainersReady', status: 'True' },
    { type: 'example.com/later', status: 'False', reason: 'NoTarget', message: 'no healthy target' },
  ],
  spec: { readinessGates: [{ conditionType: 'example.com/go' }, { conditionType: 'example.com/later' }] },
};
const schedulingGated: Fields = {
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'Scheduling is blocked' }],
  spec: { nodeName: undefined, schedulingGates: [{ name: 'example.com/quota' }] },
};
const initRunning = (began: number, restartPolicy?: string): Fields => ({
  phase: 'Pending',
  spec: { initContainers: [{ name: 'wait', ...(restartPolicy && { restartPolicy }) }] },
  initContainerStatuses: [
    { name: 'wait', ready: false, restartCount: 0, state: { running: { startedAt: iso(began) } } },
  ],
  containerStatuses: [
    { name: 'app', ready: false, restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } },
  ],
});
const leaving = (more: Fields = {}): Fields => ({
  ...runningPod(),
  metadata: { deletionTimestamp: iso(30), deletionGracePeriodSeconds: 30, ...more },
});
const lostNode = object('v1', 'Node', 'node-1', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } });
const ending = (more: Fields = {}): KubeObject[] =>
  deployment('web', [], { old: [leaving(more)], status: { replicas: 1 } });
const balancer = object('v1', 'Service', 'front', {
  spec: { type: 'LoadBalancer', clusterIP: '10.0.0.1' },
  status: { loadBalancer: {} },
});
const balancerWarned = [
  balancer,
  event(balancer, 'SyncLoadBalancerFailed', 'no subnet with the tag elb', { type: 'Warning' }),
];

const sidecar = { name: 'proxy', restartPolicy: 'Always', startupProbe: {} };
const withSidecar = { initContainers: [sidecar], containers: [{ name: 'app' }] };
const sidecarStarting = {
  phase: 'Pending',
  ready: false,
  conditions: [{ type: 'Ready', status: 'False' }],
  initContainerStatuses: [{ name: 'proxy', started: false, ready: false, state: { running: { startedAt: iso(0) } } }],
  containerStatuses: [{ name: 'app', ready: false, state: { waiting: { reason: 'PodInitializing' } } }],
};

describe('what an object waits for has a name, while it waits and at the end', () => {
  const cases: readonly (readonly [string, readonly KubeObject[], string, RegExp])[] = [
    [
      'a readiness gate',
      deployment('web', [gated]),
      'ReadinessGateNotMet',
      /example.com.go is not set; example.com.later is False .NoTarget: no healthy target/,
    ],
    ['a scheduling gate', deployment('web', [schedulingGated]), 'SchedulingGated', /example.com.quota/],
    [
      'an init container',
      deployment('web', [initRunning(0)]),
      'InitContainerRunning',
      /Init container wait of Pod.web-2-0 has not ended; it runs since 12:00:00 UTC/,
    ],
    [
      'an old pod that ends',
      ending(),
      'PodEnding',
      /Pod.web-1-0 is being deleted since 12:00:00 UTC; it may take 30 s to end/,
    ],
    [
      'a finalizer',
      ending({ finalizers: ['example.com/hold'] }),
      'PodEnding finalizer',
      /a finalizer holds it: example.com.hold/,
    ],
    ['a pod on a lost node', [...ending(), lostNode], 'PodEnding node', /its node node-1 is not ready/],
    [
      'a sidecar that has not started',
      deployment('web', [sidecarStarting], { podSpec: withSidecar }),
      'StartupProbeFailed',
      /Container proxy runs and has not passed its startup probe/,
    ],
    ['a load balancer', balancerWarned, 'LoadBalancerPending', /no subnet with the tag elb/],
  ];
  for (const [what, objects, code, words] of cases) {
    it(`${what}: ${code}`, () => {
      const during = judged(objects, 0, 20);
      const suspects = during.decisive?.suspects ?? [];
      assert.equal(during.health, 'progressing');
      assert.deepEqual(
        suspects.map(({ code: word, detail }) => [word, detail].filter(Boolean).join(' ')),
        [code],
      );
      const end = judged(objects, 0, 20, 300);
      assert.equal(end.health, 'failed');
      assert.equal(end.decisive?.cause?.code, code.split(' ')[0]);
      assert.match(end.decisive?.cause?.message ?? '', words);
      assert.doesNotMatch(end.decisive?.cause?.nextStep ?? '', /merely slow/);
    });
  }

  it('an init container is quoted with its last line, which is asked for', () => {
    const objects = deployment('web', [initRunning(0)]);
    const asked = judged(objects, 20);
    const [question] = asked.questions;
    assert.deepEqual([question?.about, question?.key], ['tail', 'Pod-web-2-0/wait']);
    const logs = { 'Pod-web-2-0/wait': `${iso(1)} first\n${iso(2)} waiting for db:5432\n` };
    const verdict = judge(snapshotOf(objects, { ...noFacts, logs }), policy, asked.memory, at(25));
    assert.match(verdict.decisive?.suspects[0]?.message ?? '', /It said last: waiting for db:5432/);
  });

  it('a sidecar, or an init container that has just started, is nothing to wait for', () => {
    for (const pod of [initRunning(0, 'Always'), initRunning(15)]) {
      assert.deepEqual(judged(deployment('web', [pod]), 20).decisive?.suspects, []);
    }
  });

  it('a warning about the object is shown while it waits, and is the reason at the end', () => {
    const objects = deployment('web', [runningPod(false)]);
    const warned = [
      ...objects,
      event(objects[0] as KubeObject, 'ReplicaSetHeld', 'held by the freeze', { type: 'Warning' }),
    ];
    assert.match(judged(warned, 0, 5).decisive?.status.message ?? '', /ReplicaSetHeld: held by the freeze/);
    const cause = judged(warned, 0, 300).decisive?.cause;
    assert.deepEqual([cause?.code, cause?.detail], ['TimedOut', 'warning']);
  });
});

describe("the Deployment's own deadline", () => {
  const late = (pod: Fields, spec: Fields = {}): Cause | undefined => {
    const conditions = [
      {
        type: 'Progressing',
        status: 'False',
        reason: 'ProgressDeadlineExceeded',
        message: 'ReplicaSet "web-2" has timed out progressing.',
      },
    ];
    return judged(deployment('web', [pod], { status: { conditions }, spec }), 0).decisive?.cause;
  };
  const unready = { ...runningPod(false), spec: { containers: [{ name: 'app', readinessProbe: {} }] } };

  it('is named with its seconds, and with what the Deployment waits for', () => {
    const cause = late(gated, { progressDeadlineSeconds: 8 });
    assert.equal(cause?.code, 'ProgressDeadlineExceeded');
    assert.match(
      cause.message,
      /example.com.go is not set.*The Deployment's own deadline has passed .progressDeadlineSeconds: 8\)/,
    );
    assert.match(cause.nextStep, /readiness gate/);
  });

  it('is named as the default, and the advice is to raise it', () => {
    const cause = late(unready);
    assert.equal(cause?.code, 'ReadinessProbeFailed');
    assert.match(cause.message, /progressDeadlineSeconds: 600, the default/);
    assert.match(cause.nextStep, /raise progressDeadlineSeconds/);
  });
});

describe('an old pod that has what the new one needs', () => {
  const old = [runningPod()];
  const ports = unschedulablePod(
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  );
  const apart = unschedulablePod("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.");
  const attached = (objects: KubeObject[]): KubeObject[] => {
    const pod = objects.find(({ metadata }) => metadata.name === 'web-2-0') as KubeObject;
    return [...objects, event(pod, 'FailedAttachVolume', 'Multi-Attach error for volume "v"')];
  };
  const creating = waitingPod('ContainerCreating', '');
  const one = { spec: { replicas: 1 } };
  const cases: readonly (readonly [string, KubeObject[], string])[] = [
    ['holds the host port', deployment('web', [ports], { old, ...one }), 'Unschedulable oldPodInPlace'],
    ['holds the place', deployment('web', [apart], { old, ...one }), 'Unschedulable oldPodInPlace'],
    ['holds the volume', attached(deployment('web', [creating], { old, ...one })), 'VolumeMountFailed oldPodInPlace'],
    ['is gone', deployment('web', [ports]), 'Unschedulable ports'],
    [
      'may be lost',
      deployment('web', [ports], { old, spec: { replicas: 1, strategy: { rollingUpdate: { maxUnavailable: 1 } } } }),
      'Unschedulable ports',
    ],
    [
      'may be lost, as a quarter of four',
      deployment('web', [ports], { old, spec: { replicas: 4 } }),
      'Unschedulable ports',
    ],
    [
      'ends first',
      deployment('web', [ports], { old, spec: { strategy: { type: 'Recreate' } } }),
      'Unschedulable ports',
    ],
  ];
  for (const [what, objects, code] of cases) {
    it(`${what}: ${code}`, () => {
      const [suspect] = judged(objects, 0).decisive?.suspects ?? [];
      assert.equal([suspect?.code, suspect?.detail].join(' '), code);
      assert.equal(/Recreate, or maxUnavailable/.test(suspect?.nextStep ?? ''), code.endsWith('oldPodInPlace'));
    });
  }
});
