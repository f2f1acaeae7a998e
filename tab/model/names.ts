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

const namePattern =
  /^(HelmSafeDeploy|RolloutHealthCheck|ApproveAndRollback)-(?:(plan|rollback)-)?(.*?)(-after-the-job)?(-plan)?\.json$/;

/** Reads `HelmSafeDeploy-shop.json` and its like. */
export function readName(name: string): NameFacts {
  const match = namePattern.exec(name);
  if (match === null) return unsaid;
  const [, task = '', action = '', release = '', afterJob] = match;
  return { ...unsaid, task: task as Report['task'], action, release, isAfterJob: afterJob !== undefined };
}

const tones: Readonly<Record<string, Tone>> = {
  deployed: 'good',
  unchanged: 'good',
  recovered: 'good',
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
