import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { eventRecord } from '../../tasks/common/core/rollout/events';
import { refTo } from '../../tasks/common/core/rollout/finding';
import type { RolloutSnapshot } from '../../tasks/common/core/rollout/snapshot';
import { trimmed } from '../../tasks/common/core/rollout/trimmed';
import { baselineOf, judge, type RolloutMemory, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';

/**
 * The changes of a Kubernetes 1.35.4 with containerd. Each line has the seconds since the first object, and either the
 * object at that time, cut to the fields that a judgement may read, or the uid of a deleted object.
 */
interface Change {
  at: number;
  set?: KubeObject;
  gone?: string;
}

const followedKinds = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'PersistentVolumeClaim', 'Service']);
const start = Date.parse('2026-03-01T12:00:00Z');
const deadlineSeconds = 300;

function changesOf(fixture: string): Change[] {
  const url = new URL(`fixtures/rollout/${fixture}.jsonl`, import.meta.url);
  return readFileSync(url, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Change);
}

function snapshotOf(objects: readonly KubeObject[]): RolloutSnapshot {
  const followed = objects.filter(({ kind }) => followedKinds.has(kind));
  return {
    followed: followed.map((object) => ({ ref: refTo(object), purpose: 'object', object })),
    around: objects.filter(({ kind }) => kind !== 'Event').map(trimmed),
    events: objects.filter(({ kind }) => kind === 'Event').map((event) => eventRecord(trimmed(event))),
    unread: [],
  };
}

interface Ending {
  second: number;
  verdict: RolloutVerdict;
}

/** Judges once a second until there is a verdict. Changes before `from` are the baseline. */
function follow(fixture: string, from = 0): Ending {
  const changes = changesOf(fixture);
  const objects = new Map<string, KubeObject>();
  const last = changes.at(-1)?.at ?? 0;
  let memory: RolloutMemory | undefined;
  let next = 0;
  for (let second = 0; ; second += 1) {
    for (; (changes[next]?.at ?? Infinity) <= second; next += 1) {
      const { set, gone } = changes[next] ?? {};
      if (set !== undefined) objects.set(set.metadata.uid ?? '', set);
      if (gone !== undefined) objects.delete(gone);
    }
    const now = new Date(start + second * 1000);
    const snapshot = snapshotOf([...objects.values()]);
    if (second < from) memory = baselineOf(snapshot, now);
    if (second < from || snapshot.followed.length === 0) continue;
    const policy = {
      failFast: true,
      deadline: new Date(start + deadlineSeconds * 1000),
      isApplied: true,
      graces: {},
      statusRules: [],
    };
    const verdict = judge(snapshot, policy, memory, now);
    memory = verdict.memory;
    const isOver =
      verdict.health === 'healthy' ? second >= Math.min(last, deadlineSeconds) : verdict.health === 'failed';
    if (isOver) return { second, verdict };
    assert.ok(second <= deadlineSeconds, 'the deadline did not end it');
  }
}

/** [what was done, fixture, cause and detail, earliest and latest second of the verdict] */
type Failing = readonly [string, string, string, number, number, RegExp?];

const failing: readonly Failing[] = [
  ['a registry answers that it has no such image', 'image-not-found', 'ImageNotFound', 0, 8],
  ['a registry asks for a login', 'image-pull-denied', 'ImagePullDenied', 60, 66],
  ['a registry answers 403', 'image-pull-forbidden', 'ImagePullDenied', 60, 66],
  ['a registry answers 429', 'image-rate-limited', 'ImagePullDenied rateLimited', 60, 66],
  [
    'a registry accepts the connection and never answers',
    'image-registry-hanging',
    'ImageRegistryUnreachable pulling',
    300,
    300,
  ],
  ['a registry answers 503', 'image-registry-unavailable', 'ImageRegistryUnreachable', 120, 126],
  ['a registry refuses the connection', 'image-registry-refused', 'ImageRegistryUnreachable', 120, 126],
  ["a registry's name does not resolve", 'image-registry-no-host', 'ImageRegistryUnreachable', 120, 126],
  ['the image name has capitals', 'image-invalid-name', 'ImageInvalidName', 0, 8],
  ['the image may not be pulled and is not there', 'image-never-pulled', 'ImageNotFound neverPulled', 30, 38],
  ['a container exits with 3 at start', 'crash-loop', 'CrashLoop', 45, 55, /ended 4 times, last with exit code 3/],
  ['a container of a StatefulSet exits at start', 'crash-loop-statefulset', 'CrashLoop', 45, 55],
  ['a container of a DaemonSet exits at start', 'crash-loop-daemonset', 'CrashLoop', 45, 55],
  ['a container exits with 0 at start', 'crash-loop-exit-0', 'CrashLoop', 45, 55, /exit code 0/],
  ['a container without probes exits 5 s after start', 'crash-after-5s', 'CrashLoop', 45, 80],
  ['a container uses more than its memory limit', 'out-of-memory', 'OutOfMemory', 3, 20, /137, signal 9, OOMKilled/],
  [
    'the command is not in PATH',
    'start-command-not-found',
    'StartError',
    0,
    8,
    /"nonesuch": executable file not found/,
  ],
  ['the command is a path that does not exist', 'start-file-not-found', 'StartError', 0, 8],
  ['the command is a file that may not be run', 'start-not-executable', 'StartError', 0, 8],
  ['the image runs as root and must not', 'start-run-as-root', 'StartError', 0, 9],
  ['a file is mounted below a file', 'start-bad-mount', 'StartError', 0, 8],
  [
    'the environment wants a ConfigMap that is not there',
    'config-env-map',
    'ConfigMissing',
    60,
    68,
    /configmap "settings" not found/,
  ],
  [
    'the environment wants a Secret that is not there',
    'config-env-secret',
    'ConfigMissing',
    60,
    68,
    /secret "db" not found/,
  ],
  ['the environment wants a key that is not there', 'config-env-key', 'ConfigMissing', 60, 68, /key port in ConfigMap/],
  [
    'a volume wants a Secret that is not there',
    'config-volume-secret',
    'ConfigMissing',
    75,
    83,
    /secret "tls" not found/,
  ],
  ['a volume wants a ConfigMap that is not there', 'config-volume-map', 'ConfigMissing', 75, 83],
  [
    'a volume wants a key that is not there',
    'config-volume-key',
    'ConfigMissing',
    75,
    83,
    /non-existent config key: port/,
  ],
  ['the readiness probe answers 503', 'probe-readiness', 'ReadinessProbeFailed', 300, 300, /statuscode: 503/],
  ['the liveness probe answers 503', 'probe-liveness', 'LivenessProbeFailed', 60, 85],
  ['the startup probe answers 503', 'probe-startup', 'StartupProbeFailed', 60, 70],
  ['an init container exits with 4', 'init-container', 'InitContainerFailed', 45, 55, /migrate.*exit code 4/],
  ['the quota has room for one of three pods', 'quota', 'QuotaExceeded', 60, 66],
  ['the quota has no room for the pod of a StatefulSet', 'quota-statefulset', 'QuotaExceeded', 60, 68],
  ['the quota wants limits that the pod does not name', 'quota-must-specify', 'QuotaExceeded mustSpecify', 0, 5],
  ['the limit is above that of the LimitRange', 'limit-range', 'LimitRangeViolated', 0, 5],
  ['the same in a StatefulSet', 'limit-range-statefulset', 'LimitRangeViolated', 0, 5],
  ['a privileged pod in a restricted namespace', 'pod-security', 'PodSecurityDenied', 0, 5],
  ['the service account does not exist', 'service-account-missing', 'PermissionDenied serviceAccountMissing', 45, 51],
  ['the priority class does not exist', 'priority-class-missing', 'AdmissionDenied classMissing', 60, 66],
  ['a ValidatingAdmissionPolicy refuses the pod', 'admission-policy', 'AdmissionDenied policy', 0, 5],
  ['a webhook cannot be called', 'webhook-unreachable', 'AdmissionDenied webhookUnreachable', 90, 98],
  ['no node has 500 cores', 'unschedulable-resources', 'Unschedulable resources', 120, 128],
  ['no node has the label', 'unschedulable-selector', 'Unschedulable affinity', 120, 128],
  ['a claim without class, and no default class', 'claim-no-class', 'VolumeNotBound', 120, 128],
  ['a claim of a class that does not exist', 'claim-class-missing', 'VolumeNotBound', 120, 128, /"gold" not found/],
  ['a claim that does not exist', 'claim-missing', 'VolumeNotBound', 120, 128, /"nodata" not found/],
  ['a provisioner that never answers', 'claim-provisioning', 'VolumeNotBound', 300, 300, /provisioner/],
  ['a host path that does not exist', 'volume-host-path', 'VolumeMountFailed', 135, 143],
  ['a volume driver that is not installed', 'volume-driver-missing', 'VolumeMountFailed', 135, 143],
  ['a Job over its backoff limit', 'job-backoff', 'JobFailed', 0, 20, /BackoffLimitExceeded/],
  ['a Job over its deadline, its pod still ending', 'job-deadline', 'JobDeadlineExceeded', 4, 12],
  ['a Job whose image is not found', 'job-image-not-found', 'ImageNotFound', 0, 8],
  ['a Job that a quota holds back is not given up early', 'job-quota', 'QuotaExceeded', 300, 300],
  ['the progress deadline is over, the pod is not ready', 'progress-deadline', 'ReadinessProbeFailed', 14, 20],
  ['the node stops answering', 'node-lost', 'NodeLost', 300, 300, /node-1/],
];

describe('recorded: failures have their cause in time', () => {
  for (const [name, fixture, word, earliest, latest, message] of failing) {
    it(`${name}: ${word}`, () => {
      const { second, verdict } = follow(fixture);
      const cause = verdict.decisive?.cause;
      assert.equal(verdict.health, 'failed');
      assert.equal([cause?.code, cause?.detail].filter(Boolean).join(' '), word, cause?.message);
      assert.ok(second >= earliest && second <= latest, `after ${second} s`);
      assert.equal(verdict.timedOut, second === deadlineSeconds);
      if (message !== undefined) assert.match(cause?.message ?? '', message);
      assert.ok((cause?.evidence.length ?? 0) > 0, 'no evidence');
    });
  }
});

describe('recorded: rollouts that recover are healthy at the end', () => {
  const healing: readonly (readonly [string, string])[] = [
    ['an application restarts three times until its database is up', 'heals-database'],
    ['a Secret is made after 20 s', 'heals-secret'],
    ['old pods that end slowly free the quota', 'heals-quota'],
    ['a registry is away for 30 s', 'heals-registry'],
    ['a node comes after 2 minutes, as the autoscaler said', 'heals-node'],
    ['two replicas with a readiness probe', 'good'],
    ['a replica without a probe', 'good-without-probe'],
    ['a Job completes', 'job-complete'],
    ['a load balancer in a cluster that serves none', 'load-balancer'],
    ['a claim waits for its first consumer, and there is none', 'claim-waits-for-consumer'],
  ];
  for (const [name, fixture] of healing) {
    it(name, () => {
      const { verdict } = follow(fixture);
      assert.equal(verdict.health, 'healthy', JSON.stringify(verdict.decisive));
    });
  }
});

describe('recorded: the StatefulSet that cannot be rolled back (kubernetes/kubernetes#67250)', () => {
  it('names the pod that has to be deleted', () => {
    // After 41 s the image is the good one again, but web-1 of the bad revision blocks the rollout.
    const { second, verdict } = follow('statefulset-stuck', 41);
    const cause = verdict.decisive?.cause;
    assert.equal(cause?.code, 'StatefulSetStuck');
    assert.equal(cause.subject.name, 'web-1');
    assert.match(cause.message, /not found/);
    assert.ok(second >= 51 && second <= 54, `after ${second} s`);
  });
});

describe('recorded: the requested evidence', () => {
  it('the log of the present run, for a container that is not ready', () => {
    const { verdict } = follow('probe-readiness');
    assert.deepEqual(verdict.decisive?.cause?.logs[0]?.previous, false);
  });

  it('the log of the failed pod of a Job', () => {
    const { verdict } = follow('job-backoff');
    assert.equal(verdict.decisive?.cause?.logs[0]?.container, 'app');
  });

  it('everything is plain data', () => {
    const { verdict } = follow('crash-loop');
    assert.deepEqual(JSON.parse(JSON.stringify(verdict)), verdict);
  });
});
