import assert from 'node:assert/strict';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { hasRow, timelineRow } from '../../tasks/common/core/rollout/timelineRow';
import type { Health, WorkloadVerdict } from '../../tasks/common/core/rollout/verdict';

function workload(kind: string, health: Health, more: Partial<WorkloadVerdict> = {}): WorkloadVerdict {
  const apiVersion = kind === 'Job' ? 'batch/v1' : kind === 'Pod' || kind === 'ConfigMap' ? 'v1' : 'apps/v1';
  return {
    key: `${kind}/web`,
    ref: { apiVersion, kind, namespace: 'shop', name: 'web' },
    purpose: 'object',
    health,
    status: { status: 'InProgress', reason: 'x', message: '1 of 4 pods are ready.' },
    suspects: [],
    timedOut: false,
    isPreexisting: false,
    ...more,
  };
}

const running = { isOver: false, phase: '' };
const over = { isOver: true, phase: '' };
const object = (kind: string, spec: object, status: object): KubeObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name: 'web' },
  spec,
  status,
});

describe('a row of the timeline', () => {
  it('is made for every object that runs pods, and for every object that is not healthy', () => {
    assert.equal(hasRow(workload('Deployment', 'healthy')), true);
    assert.equal(hasRow(workload('ConfigMap', 'healthy')), false);
    assert.equal(hasRow(workload('ConfigMap', 'failed')), true);
  });

  for (const [health, isOver, isPreexisting, expected] of [
    ['healthy', false, false, 'Completed Succeeded'],
    ['failed', false, false, 'Completed Failed'],
    ['progressing', false, false, 'InProgress '],
    ['progressing', true, false, 'Completed Canceled'],
    ['unknown', true, false, 'Completed Canceled'],
    ['failed', false, true, 'InProgress '],
    ['failed', true, true, 'Completed SucceededWithIssues'],
  ] as const) {
    it(`${health}${isOver ? ', at the end' : ''}${isPreexisting ? ', broken before' : ''}: ${expected}`, () => {
      const row = timelineRow(workload('Deployment', health, { isPreexisting }), undefined, isOver ? over : running);
      assert.equal(`${row.state} ${row.result ?? ''}`, expected);
    });
  }

  for (const [what, live, expected] of [
    [
      'pods of the old revision do not count',
      object('Deployment', { replicas: 4 }, { updatedReplicas: 1, readyReplicas: 4 }),
      25,
    ],
    [
      'new pods that are not ready do not count',
      object('StatefulSet', { replicas: 4 }, { updatedReplicas: 4, readyReplicas: 2 }),
      50,
    ],
    [
      'all of it is not yet healthy',
      object('DaemonSet', {}, { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 2 }),
      99,
    ],
    ['a Job by what has succeeded', object('Job', { completions: 3 }, { succeeded: 1 }), 33],
    ['nothing is wanted', object('Deployment', { replicas: 0 }, {}), undefined],
    ['a kind that has no parts', object('Pod', {}, {}), undefined],
  ] as const) {
    it(`progress: ${what}`, () => {
      assert.equal(timelineRow(workload('Deployment', 'progressing'), live, running).progress, expected);
    });
  }

  it('a rollback has its own rows', () => {
    const row = timelineRow(workload('Deployment', 'healthy'), undefined, { isOver: false, phase: 'rollback' });
    assert.equal(row.name, 'Deployment/web (rollback)');
    assert.notEqual(row.key, timelineRow(workload('Deployment', 'healthy'), undefined, running).key);
  });
});
