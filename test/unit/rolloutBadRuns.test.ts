import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { baselineOf, judge, type RolloutMemory, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';
import { at, crashedPod, deployment, iso, runningPod, snapshotOf, type Fields } from '../support/rolloutObjects';

const policy = { failFast: true, deadline: at(600), isApplied: true, graces: {}, statusRules: [] };
const podSpec: Fields = { containers: [{ name: 'app', image: 'r.example/app:1', readinessProbe: {} }] };

interface Run {
  began: number;
  seconds: number;
  /** When the present run became ready. */
  ready: number;
  restarts?: number;
  exitCode?: number;
  reason?: string;
}

/** A pod that is ready again after a run that ended. */
function againReady({ began, seconds, ready, restarts = 1, exitCode = 1, reason = 'Error' }: Run): Fields {
  const terminated = { exitCode, reason, startedAt: iso(began), finishedAt: iso(began + seconds) };
  return {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: iso(ready) }],
    containerStatuses: [
      {
        name: 'app',
        ready: true,
        restartCount: restarts,
        state: { running: { startedAt: iso(ready) } },
        lastState: { terminated },
      },
    ],
  };
}

function failedPod(began: number, ended: number): Fields {
  return {
    phase: 'Failed',
    reason: 'Evicted',
    message: 'The node was low on resource: memory.',
    startTime: iso(began),
    conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: iso(ended) }],
  };
}

/** One replica, and perhaps failed siblings of its pod. */
function web(pod: Fields, ...siblings: readonly Fields[]): KubeObject[] {
  const objects = deployment('web', [pod, ...siblings], { podSpec, spec: { replicas: 1 } });
  const isReady = pod['ready'] !== false;
  return objects.map((object) => {
    if (object.kind !== 'Deployment') return object;
    const counts = {
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: isReady ? 1 : 0,
      availableReplicas: isReady ? 1 : 0,
    };
    const conditions = [
      { type: 'Progressing', status: 'True', reason: isReady ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated' },
      { type: 'Available', status: isReady ? 'True' : 'False' },
    ];
    return { ...object, status: { observedGeneration: 1, ...counts, conditions } };
  });
}

type Frame = readonly [second: number, objects: readonly KubeObject[]];

function judged(frames: readonly Frame[], change: object = {}, before?: RolloutMemory): RolloutVerdict {
  let verdict: RolloutVerdict | undefined;
  for (const [second, objects] of frames) {
    verdict = judge(snapshotOf(objects), { ...policy, ...change }, verdict?.memory ?? before, at(second));
  }
  assert.ok(verdict);
  return verdict;
}

/** The second at which the last frame's objects, which do not change any more, are called healthy. */
function healthyAt(frames: readonly Frame[], change: object = {}, before?: RolloutMemory): number {
  const [from = 0, objects = []] = frames.at(-1) ?? [];
  let verdict = judged(frames, change, before);
  let second = from;
  while (verdict.health !== 'healthy' && second < 600) {
    second += 1;
    verdict = judge(snapshotOf(objects), { ...policy, ...change }, verdict.memory, at(second));
  }
  return second;
}

describe('a run that is good at this moment, after one that ended badly', () => {
  const crashed = web(crashedPod({ ended: 1, began: 0, seconds: 20 }));
  const ready = web(againReady({ began: 0, seconds: 20, ready: 31 }));

  it('has to be ready for longer than the run that ended', () => {
    const frames: Frame[] = [
      [1, web(runningPod(false))],
      [20, crashed],
      [31, ready],
    ];
    assert.equal(healthyAt(frames), 31 + 20 * 1.25 + 10);
    assert.equal(judged(frames).recheckAt, iso(31 + 20 * 1.25 + 10));
  });

  it('an older health check that begins in a good moment waits too', () => {
    const soon = web(againReady({ began: 0, seconds: 20, ready: 31 }));
    assert.equal(healthyAt([[40, soon]]), 75);
  });

  it('nothing is waited for where the present run is long known to be good', () => {
    const runs: readonly (readonly [Run, number])[] = [
      [{ began: 0, seconds: 2, ready: 5 }, 5 + 2 * 1.25 + 10 + 30],
      [{ began: -1000, seconds: 5, ready: -990 }, 0],
    ];
    for (const [run, second] of runs) assert.equal(judged([[second, web(againReady(run))]]).health, 'healthy');
  });

  const kinds: readonly (readonly [string, Partial<Run>, number])[] = [
    ['exit code 0 of a container that has to run always', { exitCode: 0, reason: 'Completed' }, 35],
    ['out of memory', { exitCode: 137, reason: 'OOMKilled' }, 35],
    ['a run of an hour is no failed start', { seconds: 3600, began: -3590 }, 85],
    ['a run without length', { seconds: 0, began: 20 }, 10],
  ];
  for (const [name, run, needed] of kinds) {
    it(`${name}: ${needed} s`, () => {
      const again = web(againReady({ began: 0, seconds: 20, ready: 31, ...run }));
      assert.equal(healthyAt([[31, again]]), 31 + needed);
    });
  }

  it('the longest run of the rollout counts, not the last', () => {
    const frames: Frame[] = [
      [40, web(crashedPod({ ended: 1, began: 0, seconds: 40 }))],
      [50, web(crashedPod({ ended: 2, began: 48, seconds: 2 }))],
      [70, web(againReady({ began: 48, seconds: 2, ready: 70, restarts: 2 }))],
    ];
    assert.equal(healthyAt(frames), 70 + 40 * 1.25 + 10);
  });

  it('a pod that is gone by now counts', () => {
    const frames: Frame[] = [
      [20, crashed],
      [31, web(runningPod())],
    ];
    assert.equal(healthyAt(frames), 31 + 35);
  });

  it('the successor of an evicted pod has to live longer than that pod', () => {
    const successor = {
      ...runningPod(),
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: iso(16) }],
    };
    assert.equal(healthyAt([[16, web(successor, failedPod(0, 15))]]), Math.ceil(16 + 15 * 1.25 + 10));
    assert.equal(judged([[100, web(successor, failedPod(0, 15))]]).health, 'healthy');
    assert.equal(judged([[16, web(successor, failedPod(-5000, -4000))]]).health, 'healthy');
  });

  it('stableFor says more, never less', () => {
    assert.equal(healthyAt([[31, ready]], { stableForSeconds: 0 }), 66);
    assert.equal(healthyAt([[31, ready]], { stableForSeconds: 60 }), 91);
  });

  it('an object that the rollout has not touched is no exception', () => {
    const before = baselineOf(snapshotOf(ready), at(31));
    assert.equal(healthyAt([[32, ready]], {}, before), 32 + 35);
  });

  it('the wait and its end name the run', () => {
    const said =
      /^Container app of Pod\/web-2-0 has ended once, last after 20 s with exit code 1, and has not been ready/;
    const [waiting] = judged([[31, ready]]).workloads;
    assert.equal(waiting?.health, 'progressing');
    assert.match(waiting.suspects[0]?.message ?? '', said);
    const late = judged([[31, ready]], { deadline: at(31) });
    assert.equal(late.decisive?.cause?.code, 'CrashLoop');
    assert.match(late.decisive.cause.message, said);
    assert.equal(late.timedOut, true);
  });
});
