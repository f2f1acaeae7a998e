import { subjectOf, type HealthReport } from '../../tasks/common/core/report/healthReport';
import {
  blaming,
  deploySubject,
  outcomeWords,
  proofOf,
  reservationLines,
  isOfUninstall,
  servingSentence,
  testResult,
  type DeployReport,
  type ReportedEvidence,
  type ReportedPhase,
  type ReportedRevision,
} from '../../tasks/common/core/report/report';
import { objectName } from '../../tasks/common/core/kubernetes/manifest';
import { driftLines } from '../../tasks/common/core/report/drift';
import { servicePodsWords } from '../../tasks/common/core/release/servicePods';
import {
  heldBackSentence,
  restoredSentence,
  executionFacts,
  rollbackHeading,
  type RollbackReport,
} from '../../tasks/common/core/rollbackPlan/document/rollbackReport';
import { metricCharts, type MetricChart } from './metricCharts';
import { someNames } from '../../tasks/common/core/text/someNames';
import { treeOf, type Tone, type Tree } from './tree';
import { timeOf } from './reading';
import type { Report } from './report';

/** One of the four answers that a person needs first. */
export interface Answer {
  question: string;
  tone: Tone;
  text: string;
  /** The code of the reason, or empty. */
  code: string;
  /** Lines that prove or complete the text. */
  lines: readonly string[];
  /** The decisive line of a log, or empty. */
  quote: string;
}

/** What the tab says of one report. All texts are plain: nothing in them is markup. */
export interface StepView {
  task: Report['task'];
  tone: Tone;
  /** The outcome in a word or two. */
  word: string;
  sentence: string;
  /** `namespace/release`, or empty if the step was not about a release. */
  release: string;
  /** It is a plan that nobody has carried out yet. */
  planned: boolean;
  answers: readonly Answer[];
  facts: readonly (readonly [string, string])[];
  tree: Tree;
  metrics: readonly MetricChart[];
  startedAt: number | undefined;
  finishedAt: number | undefined;
  phases: readonly ReportedPhase[];
  /** The revisions of the release, the newest first. */
  history: readonly ReportedRevision[];
}

export function stepView(report: Report): StepView {
  switch (report.task) {
    case 'HelmSafeDeploy':
      return { ...common(report), ...deployView(report) };
    case 'RolloutHealthCheck':
      return { ...common(report), ...healthView(report) };
    case 'ApproveAndRollback':
      return { ...common(report), ...rollbackView(report) };
  }
}

type Common = Pick<
  StepView,
  'task' | 'release' | 'planned' | 'tree' | 'metrics' | 'startedAt' | 'finishedAt' | 'phases' | 'history'
>;
type Own = Omit<StepView, keyof Common>;

function common(report: Report): Common {
  const { task, release, namespace, objects, evidence } = report;
  return {
    task,
    release: release === '' ? '' : `${namespace}/${release}`,
    planned: task !== 'RolloutHealthCheck' && report.outcome === 'planned',
    tree: treeOf(objects, [...evidence, ...driftEvidence(report)]),
    metrics: metricCharts(task === 'ApproveAndRollback' ? [] : (report.metrics ?? [])),
    startedAt: timeOf(report.startedAt),
    finishedAt: timeOf(report.finishedAt),
    phases: report.phases ?? [],
    history: task === 'HelmSafeDeploy' ? (report.history ?? []).toReversed() : [],
  };
}

/** The differences of an object stand beside it, as its evidence does. */
function driftEvidence(report: Report): ReportedEvidence[] {
  const found = 'drift' in report ? (report.drift ?? []) : [];
  return found.map((one) => ({
    object: objectName(one),
    kind: 'object',
    title: 'Drift',
    lines: driftLines(one),
  }));
}

function answer(question: string, tone: Tone, text: string, more: Partial<Answer> = {}): Answer {
  return { question, tone, text, code: '', lines: [], quote: '', ...more };
}

const nothingToDo = answer('Next step', 'good', 'Nothing to do.');

function nextStep({ advice }: { advice: string }): Answer {
  return answer('Next step', 'neutral', advice || 'The report has no advice: read why, and the evidence.');
}

type Blame = Pick<Report, 'failedWorkload' | 'message' | 'reason' | 'objects' | 'evidence'>;

function whyAnswer(report: Blame, tone: Tone): Answer {
  const own = report.message.startsWith(`${report.failedWorkload} `) ? blaming(report) : report.message;
  const more = { code: report.reason, ...quotedProof(report) };
  return answer('Why', tone, own || 'The report does not say why.', more);
}

/** The proof ends with a line of a log, after the names of its pod and its container. */
function quotedProof(report: Blame): Pick<Answer, 'lines' | 'quote'> {
  const lines = proofOf(report);
  const last = lines.at(-1) ?? '';
  const log = report.evidence.find(({ object, title }) => last.startsWith(`${object}, ${title}: `));
  if (log === undefined) return { lines, quote: '' };
  const place = `${log.object}, ${log.title}`;
  return { lines: [...lines.slice(0, -1), `${place}:`], quote: last.slice(place.length + 2) };
}

function preexisting({ objects }: Pick<Report, 'objects'>): string[] {
  const old = objects.filter(({ isPreexisting, health }) => isPreexisting && health !== 'healthy');
  return old.map(({ kind, name }) => `${kind}/${name} was broken before, and still is.`);
}

const nothing = 'Nothing';

/** `whole` is what is broken if no single object is to blame. */
function brokenAnswer(report: Pick<Report, 'failedWorkload' | 'objects'>, tone: Tone, whole: string): Answer {
  const others = report.objects.filter(
    ({ kind, name, health, isPreexisting }) =>
      health === 'failed' && !isPreexisting && `${kind}/${name}` !== report.failedWorkload,
  );
  const lines = [
    ...(others.length === 0 ? [] : [`and ${others.length} more, see the objects`]),
    ...preexisting(report),
  ];
  return answer('Broken', tone, report.failedWorkload || whole, { lines });
}

const deployTones: Readonly<Record<DeployReport['outcome'], Tone>> = {
  planned: 'neutral',
  deployed: 'good',
  unchanged: 'good',
  recovered: 'good',
  uninstalled: 'good',
  rolledBack: 'warning',
  failed: 'bad',
  cancelled: 'warning',
  refused: 'warning',
};

const deployVerbs: Readonly<Record<DeployReport['outcome'], string>> = {
  planned: 'has a plan of a deploy',
  deployed: 'is deployed',
  unchanged: 'is unchanged',
  recovered: 'is recovered and deployed',
  uninstalled: 'is uninstalled',
  rolledBack: 'was rolled back',
  failed: 'failed to deploy',
  cancelled: 'has a deploy that was cancelled',
  refused: 'has a deploy that was refused',
};

const uninstallVerbs: Partial<typeof deployVerbs> = {
  failed: 'failed to uninstall',
  cancelled: 'has an uninstall that was cancelled',
};

function deployView(report: DeployReport): Own {
  const isUnwell = report.servingHealth === 'unhealthy';
  const tone = isUnwell ? 'bad' : deployTones[report.outcome];
  const serves = answer('Serves now', servingTone(report), servingSentence(report), {
    lines: [...reservationLines(report), ...servicePodsWords(report.services ?? [])],
  });
  return {
    tone,
    word: outcomeWords[report.outcome],
    sentence: `${deploySubject(report)} ${verbOf(report)}`,
    answers: deployAnswers(report, tone, serves),
    facts: filled([
      ['Chart', [report.chart, report.appVersion && `application ${report.appVersion}`].filter(Boolean).join(', ')],
      ['Revision before', numberText(report.revisionBefore)],
      ['Revision now', numberText(report.revision)],
      ['Verified healthy', numberText(report.verifiedRevision)],
      ['Helm', report.helmVersion],
      ['Drift', (report.drift ?? []).map(objectName).join(', ')],
      ['Tests', (report.tests ?? []).map((test) => `${test.kind}/${test.name}: ${testResult(test)}`).join(', ')],
      ...removalFacts(report),
      ...leftoverFacts(report),
      ...times(report),
    ]),
  };
}

function deployAnswers(report: DeployReport, tone: Tone, serves: Answer): Answer[] {
  if (report.outcome === 'planned') return [serves];
  if (deployTones[report.outcome] === 'good') {
    return [answer('Broken', 'good', nothing, { lines: preexisting(report) }), serves, nothingToDo];
  }
  const why = whyAnswer(report, tone);
  const whole = report.action === 'plan' ? 'The plan' : 'No single object';
  return [
    brokenAnswer(report, 'bad', whole),
    { ...why, lines: [...why.lines, ...(report.differences ?? [])] },
    serves,
    nextStep(report),
  ];
}

function verbOf(report: DeployReport): string {
  return (isOfUninstall(report) ? uninstallVerbs[report.outcome] : undefined) ?? deployVerbs[report.outcome];
}

/** An uninstall may have thousands of objects. */
const namedRemovals = 20;

function removalFacts({ removals = [] }: DeployReport): [string, string][] {
  const deleted = removals.filter(({ fate }) => fate === 'deleted').map(({ kind, name }) => `${kind}/${name}`);
  return [['Deleted', someNames(deleted, namedRemovals)]];
}

function servingTone({ outcome, servingHealth, servingRevision, services = [] }: DeployReport): Tone {
  if (services.length > 0 && services.every(({ ready }) => ready === 0)) return 'bad';
  if (servingRevision === null) return outcome === 'uninstalled' ? 'good' : 'unknown';
  return servingHealth === 'healthy' ? 'good' : servingHealth === 'unhealthy' ? 'bad' : 'unknown';
}

function leftoverFacts({ leftovers }: DeployReport): [string, string][] {
  const removed = leftovers.filter(({ keptBecause }) => keptBecause === '').map(({ kind, name }) => `${kind}/${name}`);
  const kept = leftovers
    .filter(({ keptBecause }) => keptBecause !== '')
    .map(({ kind, name, keptBecause }) => `${kind}/${name}: ${keptBecause}`);
  return [
    ['Removed', removed.join(', ')],
    ['Kept', kept.join('; ')],
  ];
}

const healthTones: Readonly<Record<HealthReport['health'], Tone>> = {
  healthy: 'good',
  unhealthy: 'bad',
  unknown: 'unknown',
};

const healthVerbs: Readonly<Record<HealthReport['health'], string>> = {
  healthy: 'is healthy',
  unhealthy: 'is not healthy',
  unknown: 'could not be judged',
};

function healthView(report: HealthReport): Own {
  const tone = healthTones[report.health];
  const revision = report.revision === null ? 'The workloads as they are' : `Revision ${report.revision}`;
  const serves = answer('Serves now', tone, `${revision}, ${healthWords[report.health]}.`, {
    lines: [...reservationLines(report), ...wayBack(report)],
  });
  return {
    tone,
    word: report.health === 'unhealthy' ? 'not healthy' : report.health,
    sentence: `${subjectOf(report)} ${healthVerbs[report.health]}`,
    answers:
      report.health === 'healthy'
        ? [answer('Broken', 'good', nothing, { lines: preexisting(report) }), serves, nothingToDo]
        : [brokenAnswer(report, tone, 'Not known'), whyAnswer(report, tone), serves, nextStep(report)],
    facts: filled([
      ['Revision', numberText(report.revision)],
      ['Marked as verified', report.markedVerified ? 'by this check' : ''],
      ['Drift', (report.drift ?? []).map(objectName).join(', ')],
      ['A rollback would go to', numberText(report.rollbackRevision)],
      ...times(report),
    ]),
  };
}

const healthWords: Readonly<Record<HealthReport['health'], string>> = {
  healthy: 'seen healthy',
  unhealthy: 'not healthy',
  unknown: 'and whether it is healthy is not known',
};

function wayBack({ release, canRollBack, rollbackRevision }: HealthReport): string[] {
  if (rollbackRevision !== null) return [`A rollback would go to revision ${rollbackRevision}.`];
  if (release !== '') return ['There is no revision to roll back to.'];
  return canRollBack ? ['Every workload can be rolled back to an earlier revision.'] : [];
}

const rollbackTones: Readonly<Record<RollbackReport['outcome'], Tone>> = {
  planned: 'neutral',
  rolledBack: 'good',
  alreadyThere: 'good',
  refused: 'warning',
  cancelled: 'warning',
  failed: 'bad',
};

const rollbackWords: Readonly<Record<RollbackReport['outcome'], string>> = {
  planned: 'planned',
  rolledBack: 'rolled back',
  alreadyThere: 'nothing to do',
  refused: 'refused',
  cancelled: 'cancelled',
  failed: 'failed',
};

function rollbackView(report: RollbackReport): Own {
  const isUnwell = report.outcome === 'rolledBack' && report.health === 'unhealthy';
  const tone = isUnwell ? 'bad' : report.risk === 'high' ? riskTone(report) : rollbackTones[report.outcome];
  return {
    tone,
    word: rollbackWords[report.outcome],
    sentence: rollbackHeading(report),
    answers: rollbackAnswers(report, tone),
    facts: filled([
      ['Target', report.targetRevision === null ? '' : `revision ${report.targetRevision}`],
      ...executionFacts(report),
      ...times(report),
    ]),
  };
}

function riskTone({ outcome }: RollbackReport): Tone {
  return outcome === 'planned' ? 'warning' : rollbackTones[outcome];
}

function rollbackAnswers(report: RollbackReport, tone: Tone): Answer[] {
  const serves = answer('Serves now', rollbackServingTone(report), rollbackServing(report), {
    lines: [
      ...(report.restoredObjects.length === 0 ? [] : [restoredSentence(report.restoredObjects)]),
      ...(report.heldBackDeletions.length === 0 ? [] : [heldBackSentence(report.heldBackDeletions)]),
    ],
  });
  const approval = answer('Approved by', 'neutral', approver(report), {
    lines: report.approval === '' || report.approval === approver(report) ? [] : [report.approval],
  });
  switch (report.outcome) {
    case 'planned':
      return [serves];
    case 'rolledBack':
    case 'alreadyThere':
      return [serves, approval, report.advice === '' ? nothingToDo : nextStep(report)];
    case 'refused':
    case 'cancelled':
    case 'failed': {
      const why = whyAnswer(report, tone);
      const whole = report.action === 'plan' ? 'The plan' : 'The rollback';
      return [
        brokenAnswer(report, tone, whole),
        { ...why, lines: [...why.lines, ...report.differences] },
        serves,
        nextStep(report),
      ];
    }
  }
}

function approver({ approvedBy, approvedAt, approval }: RollbackReport): string {
  if (approvedBy === '') return approval || 'Nobody: no approval was asked for.';
  return approvedAt === '' ? approvedBy : `${approvedBy}, ${timeWords(timeOf(approvedAt))}`;
}

function rollbackServing({ revision, health, healthBefore, workloads }: RollbackReport): string {
  const seen = health || healthBefore;
  const words = seen === 'healthy' ? ', and is healthy' : seen === 'unhealthy' ? ', and is not healthy' : '';
  if (revision === null) return workloads.length > 0 ? `${workloads.join(', ')}${words}` : 'Not known.';
  return `Revision ${revision} serves now${words}.`;
}

function rollbackServingTone({ health, healthBefore }: RollbackReport): Tone {
  const seen = health || healthBefore;
  return seen === 'healthy' ? 'good' : seen === 'unhealthy' ? 'bad' : 'unknown';
}

function numberText(value: number | null): string {
  return value === null ? '' : String(value);
}

function times({ startedAt, finishedAt }: Pick<Report, 'startedAt' | 'finishedAt'>): [string, string][] {
  return [
    ['Started', timeWords(timeOf(startedAt))],
    ['Finished', timeWords(timeOf(finishedAt))],
  ];
}

/** `2026-03-01 12:00:05 UTC`, or empty. */
export function timeWords(time: number | undefined): string {
  return time === undefined ? '' : `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

export function filled(rows: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  return rows.filter(([, value]) => value !== '');
}
