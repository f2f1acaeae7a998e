import assert from 'node:assert/strict';
import {
  endingFor,
  endingOfRollout,
  endingThen,
  errorThen,
  reportedObjects,
  sentence,
  wellEnded,
} from '../../tasks/common/core/report/ending';
import { advice, TaskError } from '../../tasks/common/core/failure';
import type { Cause, RolloutVerdict, WorkloadVerdict } from '../../tasks/common/core/rollout/verdict';
import { duration } from '../../tasks/common/core/text/durationText';

const ref = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'prod', name: 'web' };
const crash: Cause = {
  code: 'CrashLoop',
  group: 'runtimeConfig',
  subject: { apiVersion: 'v1', kind: 'Pod', namespace: 'prod', name: 'web-1' },
  message: 'Container main exits with code 1',
  isCertain: true,
  since: '2026-01-01T00:00:00.000Z',
  evidence: [],
  logs: [],
  whoActs: 'application team',
  nextStep: 'Read the log.',
};

function workload(more: Partial<WorkloadVerdict> = {}): WorkloadVerdict {
  return {
    key: 'apps/Deployment/prod/web',
    ref,
    purpose: 'object',
    health: 'failed',
    status: { status: 'InProgress', reason: 'LessReady', message: '0 of 1 replicas are ready.' },
    suspects: [],
    timedOut: false,
    isPreexisting: false,
    ...more,
  };
}

function verdict(more: Partial<RolloutVerdict> = {}): RolloutVerdict {
  return {
    health: 'failed',
    workloads: [],
    timedOut: false,
    unread: [],
    questions: [],
    memory: { findings: {}, workloads: {} },
    ...more,
  };
}

describe('the ending of a flow', () => {
  it('a leftover hook without a log gets the advice to remove it', () => {
    const ended = endingFor('failed', 'HookFailed', 'failed pre-upgrade: jobs.batch "migrate" already exists');
    assert.match(ended.advice, /before-hook-creation/);
    assert.equal(endingFor('failed', 'HookFailed', 'job migrate failed').advice, advice.HookFailed);
  });

  it('an ending without an object has reason, sentence and advice', () => {
    assert.deepEqual(endingFor('failed', 'ChartInvalid', ' it has no name '), {
      ...wellEnded,
      outcome: 'failed',
      reason: 'ChartInvalid',
      reasonGroup: 'other',
      message: 'it has no name.',
      advice: advice.ChartInvalid,
    });
  });

  it('a missing right is in the group permissions', () => {
    assert.equal(endingFor('refused', 'PermissionDenied', 'x').reasonGroup, 'permissions');
  });

  it('the decisive cause is the reason, and the workload is named instead of its pod', () => {
    const decisive = workload({ cause: crash });
    assert.deepEqual(endingOfRollout(verdict({ decisive })), {
      outcome: 'failed',
      reason: 'CrashLoop',
      reasonGroup: 'runtimeConfig',
      message: 'Container main exits with code 1.',
      advice: 'Read the log.',
      failedWorkload: 'Deployment/web',
      timedOut: false,
    });
  });

  it('after a timeout the cause is still the reason, and the message mentions the timeout', () => {
    const ending = endingOfRollout(verdict({ decisive: workload({ cause: crash }), timedOut: true }));
    assert.equal(ending.reason, 'CrashLoop');
    assert.equal(ending.timedOut, true);
    assert.equal(ending.message, 'Container main exits with code 1. The timeout has passed.');
  });

  it('a plain timeout names what may hide the cause, and has no start time', () => {
    const late: Cause = { ...crash, code: 'TimedOut', message: 'Deployment/web was not healthy in time: 0 of 1.' };
    const unread = ['Pod', 'Event', 'Pod'].map((kind) => ({ apiVersion: 'v1', kind, reason: 'x', message: 'y' }));
    const decisive = workload({ health: 'failed', cause: late });
    const one = verdict({ decisive, workloads: [decisive], timedOut: true, unread });
    assert.equal(
      endingOfRollout(one).message,
      'Deployment/web was not healthy in time: 0 of 1. The cause may be hidden, because these kinds could not be read: Pod, Event.',
    );
    assert.equal(endingOfRollout({ ...one, unread: [] }).message, late.message);
    assert.equal(reportedObjects(one)[0]?.since, '');
    const crashed = workload({ health: 'failed', cause: crash });
    assert.equal(reportedObjects(verdict({ workloads: [crashed] }))[0]?.since, crash.since);
  });

  it('without a cause the timeout is the reason', () => {
    const ending = endingOfRollout(verdict({ health: 'unknown', decisive: workload({ health: 'unknown' }) }));
    assert.equal(ending.reason, 'TimedOut');
    assert.equal(ending.timedOut, true);
    assert.equal(ending.message, '0 of 1 replicas are ready.');
    assert.equal(ending.failedWorkload, 'Deployment/web');
  });

  it('the obstacle to a verdict is the reason, if it is known', () => {
    const status = { status: 'Unknown', reason: 'PermissionDenied', message: 'May not get Deployment/web' } as const;
    const ending = endingOfRollout(verdict({ health: 'unknown', decisive: workload({ health: 'unknown', status }) }));
    assert.deepEqual([ending.reason, ending.reasonGroup, ending.timedOut], ['PermissionDenied', 'permissions', true]);
    assert.equal(ending.message, 'May not get Deployment/web.');
    assert.equal(ending.advice, advice.PermissionDenied);
  });

  it('without a decisive cause there is still a sentence', () => {
    const ending = endingOfRollout(verdict());
    assert.equal(ending.failedWorkload, '');
    assert.equal(ending.message, 'The rollout was not seen healthy.');
  });

  it('a later failure is reported after the first one', () => {
    const first = endingOfRollout(verdict({ decisive: workload({ cause: crash }) }));
    const both = endingThen(first, new TaskError('ClusterUnreachable', 'no answer'));
    assert.deepEqual(both, { ...first, message: 'Container main exits with code 1. After that: no answer.' });
  });

  it('an error keeps its reason and facts when another error follows', () => {
    const first = new TaskError('ChartInvalid', 'no name', { facts: { line: 3 } });
    const both = errorThen(first, new TypeError('x is not a function'));
    assert.equal(both.reason, 'ChartInvalid');
    assert.equal(both.message, 'no name. After that: x is not a function.');
    assert.deepEqual(both.facts, { line: 3 });
    assert.equal(both.cause, first);
  });

  for (const [text, expected] of [
    ['', ''],
    ['  ', ''],
    ['a', 'a.'],
    [' a. ', 'a.'],
    ['why?', 'why?'],
    ['no!', 'no!'],
    ['(see above)', '(see above)'],
  ] as const) {
    it(`«${text}» as a sentence`, () => {
      assert.equal(sentence(text), expected);
    });
  }

  for (const [seconds, expected] of [
    [0, '0 s'],
    [0.4, '0 s'],
    [59.6, '1 min'],
    [60, '1 min'],
    [61, '1 min 1 s'],
    [3600, '60 min'],
  ] as const) {
    it(`${seconds} seconds are ${expected}`, () => {
      assert.equal(duration(seconds), expected);
    });
  }
});

describe('the objects of a report', () => {
  it('a cause is preferred to a suspect, and a suspect to the status', () => {
    const suspect: Cause = { ...crash, code: 'ReadinessProbeFailed', message: 'not ready' };
    const rows = [
      workload({ cause: crash, suspects: [suspect] }),
      workload({ suspects: [suspect], health: 'progressing' }),
      workload(),
    ].flatMap((one) => reportedObjects(verdict({ workloads: [one] })));
    assert.deepEqual(
      rows.map((row) => [row.reason, row.message]),
      [
        ['CrashLoop', crash.message],
        ['ReadinessProbeFailed', 'not ready'],
        ['LessReady', '0 of 1 replicas are ready.'],
      ],
    );
  });

  it('a pre-existing failure is marked, and cluster-scoped objects have no namespace', () => {
    const { namespace: _, ...clusterRef } = ref;
    const before = { reason: 'LessReady', message: 'it was broken' };
    const [row] = reportedObjects(
      verdict({ workloads: [workload({ ref: clusterRef, isPreexisting: true, brokenBefore: before })] }),
    );
    assert.deepEqual([row?.brokenBefore, row?.isPreexisting, row?.namespace], ['it was broken', true, '']);
  });
});
