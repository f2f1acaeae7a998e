import type { RecordedAttachment, RecordedStep } from './recordedRun';
import { goodDeploy, rollbackSteps, rolledBackDeploy } from './fakeRuns';

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
    { name: 'planned', steps: rollback.slice(0, 1) },
    { name: 'rolled-back-after-approval', steps: rollback },
    { name: 'unreadable', steps: [stepWith('{'), broken] },
    { name: 'many', steps: Array.from({ length: 20 }, (_, index) => (index % 7 === 0 ? broken : good)) },
  ];
}
