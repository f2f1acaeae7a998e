import { someNames } from '../text/someNames';
import { objectName } from '../kubernetes/manifest';
import type { Ending } from './ending';
import { servicePodsWords, type ServicePods } from '../release/servicePods';
import { adviceFor } from './advice';
import type { FailureReason } from '../failure';
import { driftCount, driftMarkdown, type ReportedDrift } from './drift';
import { withoutRepeats } from '../text/sentence';
import { clipped, clippedFront, neutralise, splitLines } from '../text/foreignText';
import { metricsMarkdown, type ReportedMetric } from './metrics';
import { cell, codeBlock, markdownPage } from '../text/markdown';
import {
  blaming,
  blamingMarkdown,
  evidenceMarkdown,
  nextStepMarkdown,
  notJudged,
  objectTable,
  proofOf,
  reservationLines,
  sinceSentence,
  type ReportedEvidence,
  type ReportedPhase,
  type ReportedObject,
  type ReportedReservation,
  type TaskResult,
} from './report';

type HealthWord = 'healthy' | 'unhealthy' | 'unknown';

/** Schema: docs/report.schema.json. */
export interface HealthReport {
  schemaVersion: 1;
  task: 'RolloutHealthCheck';
  namespace: string;
  /** Empty if the check was not for a release. */
  release: string;
  health: HealthWord;
  reason: string;
  reasonGroup: string;
  timedOut: boolean;
  message: string;
  advice: string;
  failedWorkload: string;
  revision: number | null;
  /** The target of a rollback, or null. */
  rollbackRevision: number | null;
  /** The two revisions with chart, time and author. */
  revisionText?: string;
  rollbackRevisionText?: string;
  canRollBack: boolean;
  /** The ring of a fleet, whose clusters are the objects. */
  ring?: string;
  /** How many clusters of the ring have failed up to now. */
  failedClusters?: number;
  /** This check marked the revision as verified. */
  markedVerified: boolean;
  startedAt: string;
  finishedAt: string;
  objects: readonly ReportedObject[];
  evidence: readonly ReportedEvidence[];
  /** The parts of the step in the order of their ends; then hooks and tests. */
  phases?: readonly ReportedPhase[];
  /** The metrics that were measured while the objects were baking. */
  metrics?: readonly ReportedMetric[];
  /** The differences from the manifest of the revision; absent if drift was not looked for. */
  drift?: readonly ReportedDrift[];
  /** The pods behind the Services of a release that is not healthy. */
  services?: readonly ServicePods[];
  /** Why a healthy revision is not verified. */
  reservations?: readonly ReportedReservation[];
}

export function subjectOf(report: HealthReport): string {
  if (report.ring !== undefined && report.ring !== '') return `Ring ${report.ring} of the fleet`;
  if (report.release !== '') {
    const revision = report.revision === null ? '' : `, revision ${report.revision}`;
    return `Release ${report.release} in namespace ${report.namespace}${revision}`;
  }
  if (report.objects.length === 0) return `Namespace ${report.namespace}`;
  const inside = report.objects.filter(({ namespace }) => namespace !== '');
  const outside = report.objects.filter(({ namespace }) => namespace === '');
  return [
    ...(inside.length === 0 ? [] : [`${someOf(inside)} in namespace ${report.namespace}`]),
    ...(outside.length === 0 ? [] : [someOf(outside)]),
  ].join(' and the cluster-wide ');
}

function someOf(objects: readonly ReportedObject[]): string {
  return someNames(objects.map(objectName), 3);
}

/** One sentence without line breaks and other invisible characters. */
export function healthSummary(report: HealthReport): string {
  const subject = subjectOf(report);
  const blind = notJudged(report.objects);
  if (report.health === 'healthy') {
    const reserved = (report.reservations ?? []).length === 0 ? '' : ', with a reservation';
    return `${subject}: healthy${reserved}${blind.length === 0 ? '' : `, but ${someOf(blind)} in place, not judged`}.`;
  }
  const text = `${subject}: ${report.health}. ${blaming(report)} (${report.reason})`;
  return neutralise(withoutRepeats(text.replace(/[\s\u0085]+/g, ' ')));
}

export function healthOutputs(report: HealthReport): Record<string, string> {
  return {
    health: report.health,
    reason: report.reason,
    reasonGroup: report.reasonGroup,
    failedWorkload: report.failedWorkload,
    summary: withoutMacros(healthSummary(report)),
    gateInstructions: gateInstructions(report),
    canRollBack: String(report.canRollBack),
    failedClusters: String(report.failedClusters ?? ''),
    reservations: (report.reservations ?? []).map(({ message }) => message).join('\n'),
    driftCount: driftCount(report.drift),
  };
}

/** A check that could not begin sets all outputs, because a gate would show the names of missing ones. */
export function refusedOutputs(reason: FailureReason, message: string): Record<string, string> {
  const summary = withoutMacros(neutralise(message.replace(/[\s\u0085]+/g, ' ')));
  return {
    health: 'unknown',
    reason,
    reasonGroup: 'other',
    failedWorkload: '',
    summary,
    gateInstructions: `**${sentenceCell(summary)}**\n\nNext step: ${sentenceCell(adviceFor(reason, message))}`,
    canRollBack: 'false',
    failedClusters: '',
    reservations: '',
    driftCount: '',
    reportPath: '',
  };
}

export function healthResult(report: HealthReport, onUnhealthy: 'fail' | 'succeed'): TaskResult {
  return report.health === 'healthy' || onUnhealthy === 'succeed' ? 'Succeeded' : 'Failed';
}

/** The maximum length of the instructions of ManualValidation@1. Unit: characters, as below. */
const gateLimit = 4000;
const gateEvidenceLines = 12;
/** A line of structured logging may be very long. What the cluster says in a long line ends with the cause. */
const gateLineLimit = 200;
/** A sentence fits even if escaping makes it three times as long. */
const gateSentenceLimit = 1000;

/** The most important facts come first. The first part that does not fit and all later parts are left out. */
export function gateInstructions(report: HealthReport): string {
  const parts = [
    `**${sentenceCell(healthSummary(report))}**`,
    sinceSentence(report),
    servingWords(report).map(sentenceCell).join(' '),
    reservationLines(report).map(sentenceCell).join(' '),
    report.advice === '' ? '' : `Next step: ${sentenceCell(report.advice)}`,
    rollbackSentence(report),
    ...report.evidence.map(gateEvidence),
    objectTable(report.objects),
  ].filter((part) => part !== '');
  let text = '';
  for (const part of parts.map(withoutMacros)) {
    const longer = text === '' ? part : `${text}\n\n${part}`;
    if (longer.length > gateLimit - cutNote.length) return `${text}${cutNote}`;
    text = longer;
  }
  return text;
}

const cutNote = '\n\n(More in the results of the run.)';

function sentenceCell(text: string): string {
  return cell(clipped(text, gateSentenceLimit));
}

function gateEvidence({ object, kind, title, lines }: ReportedEvidence): string {
  const cut = kind === 'log' ? clipped : clippedFront;
  const last = lines.flatMap(splitLines).slice(-gateEvidenceLines);
  return `${sentenceCell(object)}, ${sentenceCell(title)}:\n\n${codeBlock(last.map((line) => cut(line, gateLineLimit)))}`;
}

/** The step that receives the text would take `$(...)` or `${{...}}` for a variable. */
export function withoutMacros(text: string): string {
  return text.replace(/\$(?=[({])/g, '$ ');
}

function rollbackSentence(report: HealthReport): string {
  if (report.release === '') {
    return report.canRollBack ? 'Every workload can be rolled back to an earlier revision.' : '';
  }
  const { revision, rollbackRevision } = report;
  const names = [report.revisionText || String(revision), report.rollbackRevisionText || String(rollbackRevision)];
  const [present, target] = names.map(sentenceCell);
  const now = revision === null ? '' : `Revision now: ${present}. `;
  if (rollbackRevision === null) return `${now}There is no revision to roll back to.`;
  return `${now}A rollback would go to revision ${target}.`;
}

function servingWords({ revision, services = [] }: HealthReport): string[] {
  return servicePodsWords(services, revision ?? undefined);
}

/** The closing paragraph of the log. `afterIssue`: the issue is right above. */
export function healthClosing(report: HealthReport, { afterIssue = false } = {}): string {
  const lines = afterIssue ? [] : [healthSummary(report)];
  if (report.health !== 'healthy') lines.push(...proofOf(report));
  lines.push(...servingWords(report), ...reservationLines(report));
  if (report.health !== 'healthy' && report.advice !== '') lines.push(report.advice);
  if (report.markedVerified) lines.push(`Revision ${report.revision ?? ''} is marked as verified healthy.`);
  return lines.join('\n');
}

export function healthMarkdown(report: HealthReport): string {
  const isHealthy = report.health === 'healthy';
  return markdownPage([
    `## ${cell(subjectOf(report))}: ${report.health}`,
    isHealthy ? '' : blamingMarkdown({ ...report, failedWorkload: report.failedWorkload || report.reason }),
    sinceSentence(report),
    servingWords(report).map(cell).join(' '),
    reservationLines(report).map(cell).join(' '),
    rollbackSentence(report),
    objectTable(report.objects),
    metricsMarkdown(report.metrics ?? []),
    driftMarkdown(report.drift ?? []),
    ...evidenceMarkdown(report.evidence),
    nextStepMarkdown(isHealthy ? '' : report.advice),
  ]);
}

export function healthOf(end: 'healthy' | 'failed' | 'unknown' | 'cancelled' | 'stopped'): HealthWord {
  if (end === 'healthy') return 'healthy';
  return end === 'failed' ? 'unhealthy' : 'unknown';
}

export type HealthEnding = Pick<
  Ending,
  'reason' | 'reasonGroup' | 'message' | 'advice' | 'failedWorkload' | 'timedOut'
>;
