import { readAttachmentName, type AttachmentKind } from '../../tasks/common/core/report/attachmentName';
import type { Report } from './report';
import type { Tone } from './tree';

/** What the name of an attachment says of its report. An empty text is not said. */
export interface NameFacts {
  task: Report['task'] | '';
  /** `plan` and `rollback` for ApproveAndRollback. */
  action: string;
  release: string;
  namespace: string;
  cluster: string;
  ring: string;
  outcome: string;
  /** The report is of the post-job phase, which repairs what the step has left. */
  isAfterJob: boolean;
}

const unsaid: NameFacts = {
  task: '',
  action: '',
  release: '',
  namespace: '',
  cluster: '',
  ring: '',
  outcome: '',
  isAfterJob: false,
};

const tasks: Readonly<Record<AttachmentKind, Pick<NameFacts, 'task' | 'action' | 'isAfterJob'>>> = {
  deploy: { task: 'HelmSafeDeploy', action: '', isAfterJob: false },
  deployPlan: { task: 'HelmSafeDeploy', action: 'plan', isAfterJob: false },
  repair: { task: 'HelmSafeDeploy', action: '', isAfterJob: true },
  health: { task: 'RolloutHealthCheck', action: '', isAfterJob: false },
  fleet: { task: 'RolloutHealthCheck', action: '', isAfterJob: false },
  plan: { task: 'ApproveAndRollback', action: 'plan', isAfterJob: false },
  rollback: { task: 'ApproveAndRollback', action: 'rollback', isAfterJob: false },
  resume: { task: 'ApproveAndRollback', action: 'rollback', isAfterJob: true },
};

export function readName(name: string): NameFacts {
  const read = readAttachmentName(name);
  if (read === undefined) return unsaid;
  const { kind, release, namespace, cluster, ring, outcome } = read;
  return { ...tasks[kind], release, namespace, cluster, ring, outcome };
}

const tones: Readonly<Record<string, Tone>> = {
  deployed: 'good',
  unchanged: 'good',
  recovered: 'good',
  uninstalled: 'good',
  healthy: 'good',
  alreadyThere: 'good',
  planned: 'neutral',
  rolledBack: 'warning',
  refused: 'warning',
  cancelled: 'warning',
  failed: 'bad',
  unhealthy: 'bad',
};

export function toneOfOutcome({ outcome, task }: NameFacts): Tone {
  if (outcome === 'rolledBack' && task === 'ApproveAndRollback') return 'good';
  return tones[outcome] ?? 'unknown';
}
