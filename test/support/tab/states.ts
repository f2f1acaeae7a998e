import type { RecordedAttachment, RecordedStep } from './recordedRun';
import { breachedDeploy, goodDeploy, rollbackSteps, rolledBackDeploy } from './fakeRuns';

const production = { stage: 'Production', job: 'Deploy shop' };

/** A step that has not ended has no attachments yet. */
export function openStep(state: 'pending' | 'inProgress', startedAt = Date.now() - 65_000): RecordedStep {
  return {
    task: 'HelmSafeDeploy',
    ...production,
    state,
    ...(state === 'inProgress' ? { startedAt } : {}),
    attachments: [],
    rows:
      state === 'pending'
        ? []
        : [
            {
              name: 'Deployment/front',
              type: 'Deployment',
              state: 'Completed',
              result: 'Succeeded',
              progress: 100,
              text: '2 of 2 pods are ready.',
              startedAt,
              finishedAt: startedAt + 20_000,
            },
            {
              name: 'Deployment/cart',
              type: 'Deployment',
              state: 'InProgress',
              progress: 50,
              text: '1 of 2 pods is ready.',
              startedAt,
            },
          ],
  };
}

/** A step that has left this text as its report. */
export function stepWith(content: string, more: Partial<RecordedStep> = {}): RecordedStep {
  const attachment: RecordedAttachment = {
    type: 'helm-safe-deploy.report',
    name: 'HelmSafeDeploy-shop.json',
    content,
  };
  const startedAt = Date.parse('2026-03-01T12:00:00Z');
  return {
    task: 'HelmSafeDeploy',
    ...production,
    state: 'completed',
    result: 'failed',
    startedAt,
    finishedAt: startedAt + 60_000,
    attachments: [attachment],
    rows: [],
    ...more,
  };
}

export interface TabState {
  name: string;
  steps: readonly RecordedStep[];
}

/** Every state that the tab can be in. The reports come from the tasks' own flows, over fakes. */
export async function tabStates(): Promise<TabState[]> {
  const good = await goodDeploy(production);
  const broken = await rolledBackDeploy(production);
  const rollback = await rollbackSteps({ stage: 'Rollback', job: '' });
  const other = { ...openStep('pending'), task: 'RolloutHealthCheck' as const };
  return [
    { name: 'nothing-here', steps: [{ ...openStep('pending'), state: 'completed', result: 'succeeded' }] },
    { name: 'waiting', steps: [openStep('pending')] },
    { name: 'running', steps: [openStep('inProgress'), other] },
    { name: 'deployed', steps: [good] },
    { name: 'rolled-back', steps: [broken] },
    { name: 'metrics', steps: [await breachedDeploy(production)] },
    { name: 'planned', steps: rollback.slice(0, 1) },
    { name: 'rolled-back-after-approval', steps: rollback },
    { name: 'unreadable', steps: [stepWith('{'), broken] },
    { name: 'many', steps: Array.from({ length: 20 }, (_, index) => (index % 7 === 0 ? broken : good)) },
  ];
}

/** A report with 200 workloads and a log of 5,000 lines. */
export function largeReport(): object {
  const objects = Array.from({ length: 200 }, (_, index) => ({
    kind: 'Deployment',
    apiVersion: 'apps/v1',
    name: `part-${index}`,
    namespace: 'prod',
    health: index % 10 === 0 ? 'failed' : 'healthy',
    status: 'InProgress',
    reason: 'CrashLoop',
    message: 'Container app has ended 4 times with exit code 3.',
    since: '2026-03-01T12:00:30.000Z',
  }));
  const lines = Array.from(
    { length: 5000 },
    (_, index) => `2026-03-01T12:00:00Z INFO line ${index} of a talkative program`,
  );
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: 'shop',
    namespace: 'prod',
    outcome: 'failed',
    reason: 'CrashLoop',
    message: 'Container app has ended 4 times with exit code 3.',
    failedWorkload: 'Deployment/part-0',
    servingRevision: 13,
    servingHealth: 'unhealthy',
    startedAt: '2026-03-01T12:00:00.000Z',
    finishedAt: '2026-03-01T12:01:00.000Z',
    objects,
    evidence: [{ object: 'Pod/part-0-abc', kind: 'log', title: 'last lines of container app', lines }],
  };
}
