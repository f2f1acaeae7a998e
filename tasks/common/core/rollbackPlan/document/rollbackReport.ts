import type { Ending } from '../../report/ending';
import { planHeading, planMarkdown, subjectName } from './markdown';
import { planOutputs } from './summary';
import { objectCount } from '../model/definitions';
import { type Risk, type ChangePlan, fateWords } from '../model/types';
import {
  blaming,
  blamingMarkdown,
  evidenceMarkdown,
  nextStepMarkdown,
  objectTable,
  type ReportedEvidence,
  type ReportedPhase,
  type ReportedObject,
  type TaskResult,
} from '../../report/report';
import { sentence } from '../../report/ending';
import type { ChannelMessage } from '../../report/channelMessage';
import { cell, factTable, markdownPage } from '../../text/markdown';

export type RollbackOutcome = 'planned' | 'rolledBack' | 'alreadyThere' | 'refused' | 'cancelled' | 'failed';

export type RollbackEnding = Omit<Ending, 'outcome' | 'reasonGroup'> & { outcome: RollbackOutcome };

/** `unknown`: it could not be read. Empty: it was not checked. */
export type RollbackHealth = 'healthy' | 'unhealthy' | 'unknown' | '';

/** Schema: docs/report.schema.json. */
export interface RollbackReport {
  schemaVersion: 1;
  task: 'ApproveAndRollback';
  action: 'plan' | 'rollback';
  namespace: string;
  /** Empty for plain workloads. */
  release: string;
  workloads: readonly string[];
  outcome: RollbackOutcome;
  reason: string;
  message: string;
  advice: string;
  failedWorkload: string;
  timedOut: boolean;
  planDigest: string;
  risk: Risk | '';
  targetRevision: number | null;
  deletions: number;
  /** Null if it is not known, and for plain workloads. */
  revision: number | null;
  healthBefore: RollbackHealth;
  health: RollbackHealth;
  /** Objects that differed from the target after Helm's rollback and were applied again. */
  restoredObjects: readonly string[];
  deletedObjects: readonly string[];
  /** Deletions of Helm that the plan does not contain, and that the fence held back. */
  heldBackDeletions: readonly string[];
  /** How the cluster differs from the approved plan, in sentences. */
  differences: readonly string[];
  approvedBy: string;
  /** The ISO time is empty if nobody approved. */
  approvedAt: string;
  approval: string;
  helmVersion: string;
  startedAt: string;
  finishedAt: string;
  objects: readonly ReportedObject[];
  evidence: readonly ReportedEvidence[];
  /** The parts of the step in the order of their ends; then hooks and tests. */
  phases?: readonly ReportedPhase[];
}

export const rollbackResults: Record<RollbackOutcome, TaskResult> = {
  planned: 'Succeeded',
  rolledBack: 'Succeeded',
  alreadyThere: 'Succeeded',
  refused: 'Failed',
  cancelled: 'Failed',
  failed: 'Failed',
};

/** `page` is the address of the run's summary page. The path of the report is not among these outputs. */
export function rollbackOutputs(
  report: RollbackReport,
  plan: ChangePlan | undefined,
  { page = '', cause = '' } = {},
): Record<string, string> {
  const text = (value: number | null): string => (value === null ? '' : String(value));
  return {
    outcome: report.outcome,
    reason: report.reason,
    ...planOutputs(plan, { page, cause }),
    planDigest: report.planDigest,
    targetRevision: text(report.targetRevision),
    deletions: report.planDigest === '' ? '' : String(report.deletions),
    risk: report.risk,
    revision: text(report.revision),
    restoredObjects: report.restoredObjects.join(', '),
    health: report.health,
    approvedBy: report.approvedBy,
  };
}

function rollbackSubject({ release, workloads, namespace }: RollbackReport): string {
  const what = release === '' ? workloads.join(', ') : `release ${release}`;
  return `${what} in namespace ${namespace || '(unknown)'}`;
}

const headings: Record<RollbackOutcome, string> = {
  planned: 'planned',
  rolledBack: 'done and proven',
  alreadyThere: 'nothing to do, the target is already live',
  refused: 'refused',
  cancelled: 'cancelled',
  failed: 'failed',
};

export function rollbackHeading(report: RollbackReport): string {
  const target = report.targetRevision === null ? '' : ` to revision ${report.targetRevision}`;
  return `Rollback of ${rollbackSubject(report)}${target}: ${headings[report.outcome]}`;
}

export function rollbackIssue(report: RollbackReport): string {
  const reason = report.reason === '' ? '' : ` (${report.reason})`;
  const message = blaming(report).replace(/\s+/g, ' ').trim();
  return `${rollbackHeading(report)}${reason}. ${sentence(message)}`.trim();
}

/** `afterIssue`: the issue is right above and is not repeated. */
export function rollbackChannel(report: RollbackReport, link: string): ChannelMessage {
  const reason = report.reason === '' ? '' : ` (${report.reason})`;
  return {
    title: `${rollbackHeading(report)}${reason}`,
    cause: blaming(report),
    serves: servingWords(report),
    next: report.advice,
    link,
  };
}

export function rollbackClosing(report: RollbackReport, { afterIssue = false } = {}): string {
  const lines: string[] = [];
  if (!afterIssue) {
    const reason = report.reason === '' ? '' : ` (${report.reason})`;
    lines.push(`${rollbackHeading(report)}.`);
    if (report.message !== '') lines.push(`${report.message}${reason}`);
  }
  for (const difference of report.differences.slice(0, differencesShown)) lines.push(`- ${difference}`);
  const serving = servingWords(report);
  if (serving !== '') lines.push(`R${serving.slice(1)}.`);
  if (report.approval !== '') lines.push(report.approval);
  if (report.restoredObjects.length > 0) lines.push(restoredSentence(report.restoredObjects));
  if (report.deletedObjects.length > 0) lines.push(`Deleted at the end: ${report.deletedObjects.join(', ')}.`);
  if (report.heldBackDeletions.length > 0) lines.push(heldBackSentence(report.heldBackDeletions));
  if (report.outcome === 'planned') lines.push(`Digest of the plan: ${report.planDigest}`);
  if (report.advice !== '') lines.push(report.advice);
  return lines.join('\n');
}

const differencesShown = 20;

function servingWords({ revision, health }: RollbackReport): string {
  if (revision === null) return '';
  const words = { healthy: ', and is healthy', unhealthy: ', and is not healthy', unknown: '', '': '' };
  return `revision ${revision} serves now${words[health]}`;
}

export function restoredSentence(names: readonly string[]): string {
  return `After Helm's rollback, these objects differed from the target and were applied again: ${names.join(', ')}.`;
}

export function heldBackSentence(names: readonly string[]): string {
  return `The fence held back deletions of Helm that are not in the plan: ${names.join(', ')}. Do not trust this Helm binary.`;
}

/** Names and values; a value may be empty. */
export function executionFacts(report: RollbackReport): [string, string][] {
  return [
    ['Approval', report.approval],
    ['Applied again', report.restoredObjects.join(', ')],
    ['Deleted at the end', report.deletedObjects.join(', ')],
    ['Deletions held back', report.heldBackDeletions.join(', ')],
    ['Plan', report.planDigest],
    ['Helm', report.helmVersion],
  ];
}

/** A step that plans shows the plan itself. */
export function rollbackMarkdown(report: RollbackReport, plan: ChangePlan | undefined): string {
  if (report.action === 'plan' && plan !== undefined) return planMarkdown(plan);
  const rows: [string, string][] = [
    ['Outcome', report.outcome + (report.reason === '' ? '' : ` (${report.reason})`)],
    ['Target', report.targetRevision === null ? '' : `revision ${report.targetRevision}`],
    ['Serving now', servingWords(report)],
    ['Health', report.health === '' ? '' : `${report.health} (before: ${report.healthBefore || 'not checked'})`],
    ...executionFacts(report),
  ];
  return markdownPage([
    `## ${cell(rollbackHeading(report))}`,
    blamingMarkdown(report),
    report.differences.map((one) => `- ${cell(one)}`).join('\n'),
    factTable(rows),
    objectTable(report.objects),
    ...evidenceMarkdown(report.evidence),
    nextStepMarkdown(report.advice),
  ]);
}

export function planLines(plan: ChangePlan): string[] {
  const marks = { refusal: 'Refused', warning: 'Warning', note: 'Note' } as const;
  return [
    `${planHeading(plan)}.`,
    ...plan.findings.map(({ code, severity, message, allowedBy }) => {
      const allowed = allowedBy === '' ? '' : ` (allowed by ${allowedBy})`;
      return `  ${marks[severity]} ${code}: ${message}${allowed}`;
    }),
    ...plan.objects
      .filter(({ fate }) => fate !== 'kept')
      .map(
        ({ kind, name, fate, reason }) => `  ${kind}/${name}: ${fateWords[fate]}${reason === '' ? '' : `. ${reason}`}`,
      ),
    ...(plan.objects.some(({ fate }) => fate === 'kept')
      ? [
          `  Not changed: ${objectCount(plan.objects.filter(({ fate }) => fate === 'kept').length)} of ${subjectName(plan)}.`,
        ]
      : []),
  ];
}
