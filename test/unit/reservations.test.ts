import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Revision } from '../../tasks/common/core/release/release';
import { indexOf } from '../../tasks/common/core/rollout/family';
import { readAtStart } from '../../tasks/common/core/rollout/readAtStart';
import { reservationsOf } from '../../tasks/common/core/rollout/reservations';
import { judge } from '../../tasks/common/core/rollout/verdict';
import { manifestOf } from '../support/fakes/fakeHelm';
import { chart, revision } from '../support/fakes/scene';
import { at, deployment, iso, object, plainPod, runningPod, snapshotOf, type Fields } from '../support/rolloutObjects';

const policy = { failFast: true, deadline: at(600), isApplied: true, graces: {}, statusRules: [], stableForSeconds: 0 };

interface ReleaseHistory {
  revision: Revision;
  history: readonly Revision[];
}

function reasons(objects: readonly KubeObject[], release?: ReleaseHistory): string[] {
  const snapshot = snapshotOf(objects);
  const { workloads } = judge(snapshot, policy, undefined, at(0));
  return reservationsOf(snapshot.followed, indexOf(snapshot), workloads, release).map(
    ({ ref, reason }) => `${ref.kind} ${reason}`,
  );
}

const container = { name: 'app', image: 'r.example/app:1' };
const workload = (kind: string, spec: Fields, status: Fields): KubeObject =>
  object('apps/v1', kind, 'web', {
    spec: { template: { spec: plainPod }, ...spec },
    status: { observedGeneration: 1, ...status },
  });
const two = { replicas: 2, readyReplicas: 2, availableReplicas: 2, currentReplicas: 2 };
const nodes = { desiredNumberScheduled: 2, currentNumberScheduled: 2, numberReady: 2, numberAvailable: 2 };
const partition = (number: number): Fields => ({ updateStrategy: { rollingUpdate: { partition: number } } });
const onDelete = { updateStrategy: { type: 'OnDelete' } };

describe('what no pod has run', () => {
  const cases: readonly (readonly [string, KubeObject, string[]])[] = [
    ['a paused Deployment', workload('Deployment', { replicas: 2, paused: true }, two), ['Deployment PodsHeldBack']],
    [
      'a paused Deployment whose pods have its template',
      workload('Deployment', { replicas: 2, paused: true }, { ...two, updatedReplicas: 2 }),
      [],
    ],
    ['no replicas', workload('Deployment', { replicas: 0 }, {}), ['Deployment NoReplicas']],
    ['OnDelete', workload('StatefulSet', { replicas: 2, ...onDelete }, two), ['StatefulSet PodsHeldBack']],
    ['OnDelete of a DaemonSet', workload('DaemonSet', onDelete, nodes), ['DaemonSet PodsHeldBack']],
    [
      'OnDelete after the pods were deleted',
      workload('DaemonSet', onDelete, { ...nodes, updatedNumberScheduled: 2 }),
      [],
    ],
    ['no node for a DaemonSet', workload('DaemonSet', {}, {}), ['DaemonSet NoReplicas']],
    [
      'a partition that holds all back',
      workload('StatefulSet', { replicas: 2, ...partition(2) }, two),
      ['StatefulSet PodsHeldBack'],
    ],
    [
      'a partition that lets one pod run',
      workload('StatefulSet', { replicas: 2, ...partition(1) }, { ...two, updatedReplicas: 1 }),
      [],
    ],
    ['a suspended Job', object('batch/v1', 'Job', 'once', { spec: { suspend: true } }), ['Job Suspended']],
  ];
  for (const [incident, one, expected] of cases) {
    it(`${incident}: ${expected.join() || 'no reservation'}`, () => {
      assert.deepEqual(reasons([one]), expected);
    });
  }

  const settings = object('v1', 'ConfigMap', 'settings', { data: { a: '1' } });
  const unknown = object('acme.example/v1', 'Rocket', 'one', {}, { creationTimestamp: iso(-100) });
  const ignored = workload('Deployment', { replicas: 1 }, {});
  ignored.metadata.annotations = { 'helm-safe-deploy/wait': 'ignore' };

  it('a release that by nature has no pods is verified by its objects', () => {
    assert.deepEqual(reasons([settings, object('batch/v1', 'CronJob', 'nightly')]), []);
  });

  it('objects that nobody judged verify nothing by themselves', () => {
    assert.deepEqual(reasons([settings, unknown]), ['Rocket NotJudged']);
    assert.deepEqual(reasons([settings, ignored]), ['Deployment NotJudged']);
    assert.deepEqual(reasons([unknown, ...deployment('web', [runningPod()])]), []);
  });
});

describe('a changed ConfigMap or Secret that running pods have read at their start', () => {
  const reading = (more: Fields): Fields => ({ containers: [{ ...container, ...more }] });
  const env = reading({ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } }] });
  const envFrom = reading({ envFrom: [{ configMapRef: { name: 'settings' } }] });
  const ofSecret = reading({ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'settings', key: 'a' } } }] });
  const volumes = [{ name: 'files', projected: { sources: [{ configMap: { name: 'settings' } }] } }];
  const subPath = { ...reading({ volumeMounts: [{ name: 'files', subPath: 'a' }] }), volumes };
  const mounted = { ...reading({ volumeMounts: [{ name: 'files' }] }), volumes };

  const content = (data: Fields, kind = 'ConfigMap'): KubeObject => object('v1', kind, 'settings', { data });
  const made = (number: number, second: number, objects: readonly KubeObject[]): Revision =>
    revision(number, number === 2 ? 'deployed' : 'superseded', chart(String(number), objects), {
      namespace: 'shop',
      manifest: manifestOf(objects),
      createdAt: at(second),
    });
  const release = (before: KubeObject, now: KubeObject): ReleaseHistory => {
    const last = made(2, 100, [now]);
    return { revision: last, history: [made(1, 0, [before]), last] };
  };
  const pod = (created: number, started = created): Fields => ({
    ...runningPod(),
    metadata: { creationTimestamp: iso(created) },
    containerStatuses: [{ name: 'app', ready: true, state: { running: { startedAt: iso(started) } } }],
  });
  const found = (podSpec: Fields, pods: readonly Fields[], history: ReleaseHistory): string[] =>
    reasons(deployment('web', pods, { podSpec }), history);
  const changed = release(content({ a: '1', b: '1' }), content({ a: '2', b: '1' }));
  const stale = ['Deployment ConfigNotRead'];

  for (const [way, podSpec, expected] of [
    ['an environment variable', env, stale],
    ['a whole environment', envFrom, stale],
    ['a mount with a subPath', subPath, stale],
    ['a mount that the kubelet renews', mounted, []],
    ['nothing', plainPod, []],
  ] as const) {
    it(`by ${way}: ${expected.join() || 'no reservation'}`, () => {
      assert.deepEqual(found(podSpec, [pod(10)], changed), expected);
    });
  }

  it('is a reservation only where the pod has read something else', () => {
    const otherKey = release(content({ a: '1', b: '1' }), content({ a: '1', b: '2' }));
    assert.deepEqual(found(env, [pod(10)], otherKey), []);
    assert.deepEqual(found(envFrom, [pod(10)], otherKey), stale);
    assert.deepEqual(found(env, [pod(10)], release(content({ a: '1' }), content({ a: '1' }))), []);
    assert.deepEqual(
      found(ofSecret, [pod(10)], release(content({ a: 'MQ==' }, 'Secret'), content({ a: 'Mg==' }, 'Secret'))),
      stale,
    );
  });

  it('pods and containers that started since then have read the new content', () => {
    assert.deepEqual(found(env, [pod(101)], changed), []);
    assert.deepEqual(found(env, [pod(10, 101)], changed), []);
    assert.deepEqual(found(env, [pod(101), pod(10)], changed), stale);
  });

  it('a rollback of the ConfigMap alone leaves pods that never read the other content', () => {
    const [one, two] = [content({ a: '1' }), content({ a: '2' })];
    const back = made(3, 200, [one]);
    const history = { revision: back, history: [made(1, 0, [one]), made(2, 100, [two]), back] };
    assert.deepEqual(found(env, [pod(10)], history), []);
    assert.deepEqual(found(env, [pod(110)], history), stale);
  });

  it('names the container, the object and the key that are read', () => {
    assert.deepEqual(readAtStart(env), [{ container: 'app', kind: 'ConfigMap', name: 'settings', key: 'a' }]);
  });
});
