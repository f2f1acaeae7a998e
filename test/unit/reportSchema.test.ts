import assert from 'node:assert/strict';
import type { DeployReport } from '../../tasks/common/core/report/report';
import type { HealthReport } from '../../tasks/common/core/report/healthReport';
import { causeCodes } from '../../tasks/common/core/rollout/causes';
import { reportProblems } from '../support/reportSchema';

const object = {
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  name: 'web',
  namespace: 'shop',
  health: 'failed',
  status: 'InProgress',
  reason: 'CrashLoop',
  message: 'Container app has ended 4 times.',
  since: '2026-01-01T00:00:05.123Z',
  brokenBefore: '',
  isPreexisting: false,
};
const phases = [
  { kind: 'hook', name: 'Job/x (pre-upgrade)', result: 'Failed', startedAt: object.since, finishedAt: object.since },
] as const;
const evidence = {
  object: 'Pod/web-1',
  at: object.since,
  kind: 'log',
  title: 'last lines',
  lines: ['no luck'],
} as const;

const deploy: DeployReport = {
  schemaVersion: 1,
  task: 'HelmSafeDeploy',
  release: 'web',
  namespace: 'shop',
  outcome: 'rolledBack',
  reason: 'CrashLoop',
  reasonGroup: 'runtimeConfig',
  timedOut: false,
  message: 'Container app has ended 4 times.',
  advice: 'Read the log.',
  failedWorkload: 'Deployment/web',
  revisionBefore: 1,
  revision: 3,
  verifiedRevision: 3,
  servingRevision: 3,
  servingHealth: 'healthy',
  chart: 'web-1.0.0',
  appVersion: '1',
  helmVersion: '4.1.4',
  startedAt: '2026-03-01T12:00:00.000Z',
  finishedAt: '2026-03-01T12:01:00.000Z',
  objects: [object],
  evidence: [evidence],
  leftovers: [{ kind: 'ConfigMap', name: 'old', keptBecause: '' }],
};

const health: HealthReport = {
  schemaVersion: 1,
  task: 'RolloutHealthCheck',
  namespace: 'shop',
  release: '',
  health: 'unhealthy',
  reason: 'CrashLoop',
  reasonGroup: 'runtimeConfig',
  timedOut: false,
  message: 'Container app has ended 4 times.',
  advice: 'Read the log.',
  failedWorkload: 'Deployment/web',
  revision: null,
  rollbackRevision: null,
  canRollBack: false,
  markedVerified: false,
  startedAt: '2026-03-01T12:00:00.000Z',
  finishedAt: '2026-03-01T12:01:00.000Z',
  objects: [object],
  evidence: [evidence],
};

describe('docs/report.schema.json', () => {
  it('accepts the reports of the code', () => {
    assert.deepEqual(reportProblems(deploy), []);
    assert.deepEqual(reportProblems(health), []);
    for (const report of [deploy, health]) assert.deepEqual(reportProblems(Object.assign({ phases }, report)), []);
  });

  it('knows every cause as a reason', () => {
    for (const reason of causeCodes)
      assert.deepEqual(reportProblems({ ...health, reason } as HealthReport), [], reason);
  });

  it('requires every field and refuses additional ones', () => {
    for (const report of [deploy, health]) {
      for (const field of Object.keys(report)) {
        const { [field as keyof typeof report]: _, ...rest } = report;
        if (field === 'task') continue;
        assert.notDeepEqual(reportProblems(rest as typeof report), [], `${report.task} without ${field}`);
      }
      assert.notDeepEqual(reportProblems({ ...report, outcomes: '' } as DeployReport & { outcomes: string }), []);
    }
    assert.notDeepEqual(reportProblems({ ...health, outcome: 'failed' } as HealthReport), []);
  });

  it('refuses words that are in no list', () => {
    assert.notDeepEqual(reportProblems({ ...deploy, outcome: 'done' } as never), []);
    assert.notDeepEqual(reportProblems({ ...health, health: 'ok' } as never), []);
    assert.notDeepEqual(reportProblems({ ...health, reasonGroup: 'network' } as never), []);
    assert.notDeepEqual(reportProblems({ ...health, startedAt: 'yesterday' } as never), []);
  });
});
