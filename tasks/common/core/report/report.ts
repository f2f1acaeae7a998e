import { isRunner } from '../rollout/runner';
import { servicePodsWords, type ServicePods } from '../release/servicePods';
import { isJudged } from '../status/result';
import { sentences, withoutRepeats } from '../text/sentence';
import { clipped, splitLines } from '../text/foreignText';
import { metricsMarkdown, type ReportedMetric } from './metrics';
import { driftCount, driftMarkdown, type ReportedDrift } from './drift';
import { cell, codeBlock, factTable, foldedSection, markdownPage, markdownTable } from '../text/markdown';

export type Outcome =
  | 'planned'
  | 'deployed'
  | 'unchanged'
  | 'recovered'
  | 'uninstalled'
  | 'rolledBack'
  | 'failed'
  | 'cancelled'
  | 'refused';

/** `healthy`: every object was seen alive and ready. */
export type ServingHealth = 'healthy' | 'unhealthy' | 'unknown';

/** The results tab finds reports by this type. */
export const reportAttachmentType = 'helm-safe-deploy.report';

export interface ReportedObject {
  kind: string;
  apiVersion: string;
  name: string;
  namespace: string;
  /** healthy, progressing, failed or unknown. */
  health: string;
  /** The status of kstatus. */
  status: string;
  reason: string;
  message: string;
  /** When the reason was first seen, by the agent's clock, as ISO time, or empty. */
  since: string;
  /** The failure of the object before this run, or empty. */
  brokenBefore: string;
  /** A pre-existing failure of an object that this run has not touched does not count. */
  isPreexisting: boolean;
}

export interface ReportedLeftover {
  kind: string;
  name: string;
  /** Empty if the leftover was removed. */
  keptBecause: string;
}

/** A definition of the chart's crds/ folders, by the input `crds`. */
export interface ReportedDefinition {
  name: string;
  change: 'created' | 'replaced' | 'unchanged';
}

/** The fate of an object when its release is uninstalled. */
export interface ReportedRemoval {
  kind: string;
  name: string;
  /** Empty for cluster-scoped objects. */
  namespace: string;
  fate: 'deleted' | 'absent' | 'kept';
  /** Why it stays, or empty. */
  why: string;
}

/** A revision of the release in Helm's history. */
export interface ReportedRevision {
  revision: number;
  /** Helm's word. */
  status: string;
  verdict: 'verified' | 'unhealthy' | '';
  /** Name and version. */
  chart: string;
  /** RFC 3339, or empty. */
  deployedAt: string;
  /** The run that created the revision, in words. Empty if it was not a run of this task, or is not known. */
  run: string;
  description: string;
  /** Why a rollback cannot undo the revision, or empty. */
  irreversible: string;
}

/** A test of the chart (`helm test`). */
export interface ReportedTest {
  kind: string;
  name: string;
  /** Helm's word: Succeeded or Failed. Empty if Helm did not begin the test, or was stopped. */
  result: string;
}

/** Why a healthy revision is not verified: no pod has run a part of it. */
export interface ReportedReservation {
  kind: string;
  name: string;
  /** NoReplicas, PodsHeldBack, Suspended, ConfigNotRead or NotJudged. */
  reason: string;
  message: string;
}

/** Events, log lines and states of a failing object, collected before a rollback. */
export interface ReportedEvidence {
  object: string;
  kind: 'condition' | 'containerState' | 'event' | 'object' | 'log';
  /** When the last event happened, by the cluster's clock, as ISO time. */
  at?: string;
  /** The cause, or the name of the log. */
  title: string;
  lines: readonly string[];
}

/** A part of a step that has a group in the log, or a run of a hook or test of the chart. */
export interface ReportedPhase {
  kind: 'phase' | 'hook';
  /** The title of the group, or `Kind/name` of the hook with its event. */
  name: string;
  /** Helm's word for a hook: Succeeded, Failed or Running. Empty for a phase. */
  result: string;
  /** ISO times, by the agent's clock. */
  startedAt: string;
  finishedAt: string;
}

/** Log, summary page, outputs and tab are renderings of this report. Schema: docs/report.schema.json. */
export interface DeployReport {
  schemaVersion: 1;
  task: 'HelmSafeDeploy';
  /** Absent for a deploy. */
  action?: 'plan';
  release: string;
  namespace: string;
  outcome: Outcome;
  /** PascalCase; empty on success. */
  reason: string;
  /** quota, readiness, image, permissions, limitRange, runtimeConfig or other; empty on success. */
  reasonGroup: string;
  /** The timeout passed before another cause decided the outcome. */
  timedOut: boolean;
  message: string;
  advice: string;
  /** `Kind/name`, or empty. */
  failedWorkload: string;
  revisionBefore: number | null;
  /** The last revision in Helm's history when the step ended. */
  revision: number | null;
  /** The newest revision that was seen healthy. */
  verifiedRevision: number | null;
  servingRevision: number | null;
  /** `unknown`: this run did not check the serving revision, or could not. */
  servingHealth: ServingHealth;
  chart: string;
  appVersion: string;
  helmVersion: string;
  startedAt: string;
  finishedAt: string;
  objects: readonly ReportedObject[];
  evidence: readonly ReportedEvidence[];
  leftovers: readonly ReportedLeftover[];
  /** The digest of the plan that was made, or that the deploy was given. */
  planDigest?: string;
  risk?: 'none' | 'low' | 'high' | 'refused';
  /** How many objects the plan deletes. */
  deletions?: number;
  /** How the deploy differs from its plan, in sentences. */
  differences?: readonly string[];
  /** Only with the input `crds`. */
  definitions?: readonly ReportedDefinition[];
  /** Only of an uninstall: what it deletes and keeps. */
  removals?: readonly ReportedRemoval[];
  /** The parts of the step in the order of their ends; then hooks and tests. */
  phases?: readonly ReportedPhase[];
  /** The newest revisions in Helm's history at the end of the step, oldest first. */
  history?: readonly ReportedRevision[];
  /** The tests that the step has run, in their order. */
  tests?: readonly ReportedTest[];
  /** The metrics that were measured while the revision was baking. */
  metrics?: readonly ReportedMetric[];
  /** Only of a deploy that succeeded with a reservation. */
  reservations?: readonly ReportedReservation[];
  /** The differences from the serving revision; absent if drift was not looked for. */
  drift?: readonly ReportedDrift[];
  /** The pods behind the Services of the release after a deploy that failed. */
  services?: readonly ServicePods[];
}

/** The outputs without the path of the report. */
export function outputsOf(report: DeployReport): Record<string, string> {
  const text = (value: number | null): string => (value === null ? '' : String(value));
  return {
    outcome: report.outcome,
    reason: report.reason,
    reasonGroup: report.reasonGroup,
    failedWorkload: report.failedWorkload,
    revisionBefore: text(report.revisionBefore),
    revision: text(report.servingRevision),
    verifiedRevision: text(report.verifiedRevision),
    driftCount: driftCount(report.drift),
    reservations: (report.reservations ?? []).map(({ message }) => message).join('\n'),
  };
}

export type TaskResult = 'Succeeded' | 'Failed';

/** A deploy that was rolled back failed: the release does not run the requested version. */
export const taskResults: Record<Outcome, TaskResult> = {
  planned: 'Succeeded',
  deployed: 'Succeeded',
  unchanged: 'Succeeded',
  recovered: 'Succeeded',
  uninstalled: 'Succeeded',
  rolledBack: 'Failed',
  failed: 'Failed',
  cancelled: 'Failed',
  refused: 'Failed',
};

export const outcomeWords: Record<Outcome, string> = {
  planned: 'planned',
  deployed: 'deployed',
  unchanged: 'unchanged',
  recovered: 'recovered and deployed',
  uninstalled: 'uninstalled',
  rolledBack: 'rolled back',
  failed: 'failed',
  cancelled: 'cancelled',
  refused: 'refused',
};

export function deploySubject(report: DeployReport): string {
  return `Release ${report.release} in namespace ${report.namespace || '(unknown)'}`;
}

/** False if nothing shows that any pod is ready: neither a Service nor a workload. */
function mayServe({ objects, services = [] }: DeployReport): boolean {
  if (services.length > 0) return services.some(({ ready }) => ready > 0);
  const workloads = objects.filter(isRunner);
  return workloads.length === 0 || workloads.some(({ health }) => health === 'healthy');
}

/** True also for an uninstall that did not end well. */
export function isOfUninstall({ outcome, removals = [] }: DeployReport): boolean {
  return outcome === 'uninstalled' || removals.length > 0;
}

export function servingSentence(report: DeployReport): string {
  if (report.outcome === 'uninstalled') return 'The release is uninstalled.';
  const { reservations = [], servingHealth, servingRevision, services = [], verifiedRevision } = report;
  if (reservations.length > 0 && servingRevision !== null) {
    return `Revision ${servingRevision} is deployed with ${reservations.length === 1 ? 'a reservation' : 'reservations'}: it is as declared, and not verified.`;
  }
  const isNothingReady = services.length > 0 && services.every(({ ready }) => ready === 0);
  if (servingRevision === null) {
    return services.length === 0 || isNothingReady
      ? 'No revision is known to serve.'
      : 'Pods of the release serve, but their revision is not known.';
  }
  if (isNothingReady) return `Revision ${servingRevision} was applied last, and no pod of it is ready.`;
  if (servingHealth === 'unhealthy' && servingRevision !== verifiedRevision && !mayServe(report)) {
    return `Revision ${servingRevision} was applied last, and no workload of it is healthy.`;
  }
  return `Revision ${servingRevision} serves now${healthWords(servingHealth, servingRevision === verifiedRevision)}.`;
}

/** Health that only an earlier run saw is worded as such. */
function healthWords(health: ServingHealth, wasVerified: boolean): string {
  switch (health) {
    case 'healthy':
      return wasVerified ? ', verified healthy' : ', and is healthy';
    case 'unhealthy':
      return wasVerified ? '; it was verified, and is not healthy now' : ', and is not healthy';
    case 'unknown':
      return wasVerified
        ? '; it was verified, and whether it is healthy now is not known'
        : '; whether it is healthy is not known';
  }
}

/** The only issue of a step that did not deploy. */
export function issueOf(report: DeployReport): string {
  const reason = report.reason === '' ? '' : ` (${report.reason})`;
  const message = blaming(report).replace(/\s+/g, ' ').trim();
  return `${deploySubject(report)} ${outcomeWords[report.outcome]}${reason}: ${sentences(message, servingSentence(report))}`;
}

type Blaming = Pick<DeployReport, 'failedWorkload' | 'message' | 'objects' | 'evidence'>;

/** Puts the name of the failed object before the message, unless the message begins with it. */
export function blaming({ failedWorkload, message }: Pick<Blaming, 'failedWorkload' | 'message'>): string {
  const said = withoutRepeats(message);
  return failedWorkload === '' || said.startsWith(`${failedWorkload} `) ? said : `${failedWorkload}: ${said}`;
}

export function blamingMarkdown(blame: Pick<Blaming, 'failedWorkload' | 'message'>): string {
  const { failedWorkload } = blame;
  if (failedWorkload === '') return cell(blaming(blame));
  const said = blaming(blame).slice(failedWorkload.length);
  return `**${cell(failedWorkload)}**${said.startsWith(' ') ? ' ' : ''}${cell(said)}`;
}

export function sinceSentence({ failedWorkload, objects }: Blaming): string {
  const since = objects.find(
    ({ kind, name, health }) => health !== 'healthy' && `${kind}/${name}` === failedWorkload,
  )?.since;
  return since === undefined || since === '' ? '' : `First seen at ${since.slice(0, 19).replace('T', ' ')} UTC.`;
}

/** Removes what the cluster adds to repeated events, and the ends of pod names, which differ with each attempt. */
function alike(text: string): string {
  return text
    .replace(/^(\(combined from similar events\): )?(Error creating: )?/, '')
    .replace(/ \(\d+ times\)$/, '')
    .replace(/-[bcdfghjklmnpqrstvwxz2456789]{5}"/g, '-?"');
}

const shownProofLimit = 500;

/** When the failure was first seen, and the last line of the log, or else what the cluster reports. */
export function proofOf(report: Blaming): string[] {
  const { evidence, message } = report;
  // The evidence of the next cause begins with the next item that is not a log.
  const next = evidence.findIndex(({ kind }, index) => index > 0 && kind !== 'log');
  const own = next === -1 ? evidence : evidence.slice(0, next);
  const item = own.find(({ kind }) => kind === 'log') ?? own[0];
  const line = item?.lines.flatMap(splitLines).findLast((each) => each.trim() !== '');
  // The cluster's «Reason: text» is no news if the message contains the text.
  const text = item?.kind === 'log' ? line : line?.replace(/^.*?: /s, '');
  const isNews =
    item !== undefined && line !== undefined && text !== undefined && !alike(message).includes(alike(text).trim());
  const since = sinceSentence(report);
  return [
    ...(since === '' ? [] : [since]),
    ...(isNews ? [`${item.object}, ${item.title}: ${clipped(line.trim(), shownProofLimit)}`] : []),
  ];
}

/** The closing paragraph of the log. `afterIssue`: the issue is right above. */
export function closingOf(report: DeployReport, { afterIssue = false } = {}): string {
  const lines: string[] = [];
  if (!afterIssue) {
    const reason = report.reason === '' ? '' : ` (${report.reason})`;
    lines.push(`${deploySubject(report)}: ${outcomeWords[report.outcome]}.`);
    if (report.message !== '') lines.push(`${blaming(report)}${reason}`);
  }
  if (report.failedWorkload !== '') lines.push(...proofOf(report));
  if (!afterIssue) lines.push(servingSentence(report));
  for (const difference of (report.differences ?? []).slice(0, differencesShown)) lines.push(`- ${difference}`);
  if (report.outcome === 'planned') lines.push(`Digest of the plan: ${report.planDigest ?? ''}`);
  lines.push(...reservationLines(report));
  lines.push(...servicePodsWords(report.services ?? []));
  for (const kept of report.leftovers.filter((left) => left.keptBecause !== '')) {
    lines.push(`${kept.kind}/${kept.name} was kept: ${kept.keptBecause}.`);
  }
  if (report.advice !== '') lines.push(report.advice);
  return lines.join('\n');
}

const differencesShown = 20;

export function reservationLines({ reservations = [] }: Pick<DeployReport, 'reservations'>): string[] {
  return reservations.map(({ message }) => `Not verified: ${message}`);
}

/** No text of a pod or a chart can break out of its table cell or code block. */
export function summaryOf(report: DeployReport): string {
  const rows: [string, string][] = [
    ['Outcome', outcomeWords[report.outcome] + (report.reason === '' ? '' : ` (${report.reason})`)],
    ['Release', `${report.release} in namespace ${report.namespace || '(unknown)'}`],
    ['Chart', [report.chart, report.appVersion && `application ${report.appVersion}`].filter(Boolean).join(', ')],
    ['Serving now', [servingSentence(report), ...servicePodsWords(report.services ?? [])].join(' ')],
    ['Revision before', String(report.revisionBefore ?? 'none')],
    ['Revision', String(report.revision ?? 'none')],
    ['Verified healthy', String(report.verifiedRevision ?? 'none')],
    ['Helm', report.helmVersion],
  ];
  return markdownPage([
    `## ${cell(deploySubject(report))}: ${outcomeWords[report.outcome]}`,
    blamingMarkdown(report),
    sinceSentence(report),
    (report.differences ?? []).map((one) => `- ${cell(one)}`).join('\n'),
    factTable(rows),
    reservationLines(report)
      .map((line) => `- ${cell(line)}`)
      .join('\n'),
    objectTable(report.objects),
    driftMarkdown(report.drift ?? []),
    testTable(report.tests ?? []),
    metricsMarkdown(report.metrics ?? []),
    ...evidenceMarkdown(report.evidence),
    definitionTable(report.definitions ?? []),
    removalTable(report.removals ?? []),
    leftoverList(report.leftovers),
    historyTable(report.history ?? []),
    nextStepMarkdown(report.advice),
  ]);
}

export function evidenceMarkdown(evidence: readonly ReportedEvidence[]): string[] {
  return evidence.map(({ object, title, lines }) => `**${cell(object)}** ${cell(title)}\n\n${codeBlock(lines)}`);
}

export function nextStepMarkdown(advice: string): string {
  return advice === '' ? '' : `**Next step.** ${cell(advice)}`;
}

export function objectTable(objects: readonly ReportedObject[]): string {
  const telling = objects.filter((object) => object.health !== 'healthy');
  const blind = notJudged(objects);
  const ready = telling.length > 0 ? '' : readyWords(objects.length - blind.length);
  if (telling.length + blind.length === 0) return ready;
  const rows = [...telling, ...blind].map((object) => {
    const health = blind.includes(object) ? 'not judged' : object.health;
    return [`${object.kind}/${object.name}`, `${health}${object.isPreexisting ? ', as before' : ''}`, object.message];
  });
  return [...(ready === '' ? [] : [ready, '']), markdownTable(['Object', 'Health', ''], rows)].join('\n');
}

function statusWords({ status, verdict }: ReportedRevision): string {
  return verdict === '' ? status : `${status}, ${verdict}`;
}

function timeWords({ deployedAt }: ReportedRevision): string {
  const time = new Date(deployedAt);
  return isNaN(time.getTime()) ? '' : `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** The origin of a revision, and what Helm's record and the chart say of it. */
function notesOf({ run, description, irreversible }: ReportedRevision): string[] {
  const isMarked = irreversible !== '';
  return [run, description, ...(isMarked ? [`irreversible (${irreversible})`] : [])].filter((note) => note !== '');
}

function historyTable(history: readonly ReportedRevision[]): string {
  if (history.length === 0) return '';
  const rows = history
    .toReversed()
    .map((one) => [String(one.revision), statusWords(one), one.chart, timeWords(one), notesOf(one).join('; ')]);
  const table = markdownTable(['Revision', 'Status', 'Chart', 'Deployed', ''], rows);
  return foldedSection('History of the release', history.length, table);
}

/** Unit: characters. The whole error of a failed revision was logged when it failed. */
const logDescriptionLimit = 60;

/** One line for each revision, for the log. */
export function historyLines(history: readonly ReportedRevision[]): string[] {
  return history.map((one) => {
    const isFailed = one.status === 'failed';
    const description = isFailed ? clipped(one.description, logDescriptionLimit) : one.description;
    return [`${one.revision} ${statusWords(one)}`, one.chart, timeWords(one), ...notesOf({ ...one, description })]
      .filter((part) => part !== '')
      .join(' | ');
  });
}

export function testResult({ result }: ReportedTest): string {
  return result === '' ? 'not ended' : result;
}

function testTable(tests: readonly ReportedTest[]): string {
  if (tests.length === 0) return '';
  const rows = tests.map((test) => [`${test.kind}/${test.name}`, testResult(test)]);
  return markdownTable(['Test', 'Result'], rows);
}

function readyWords(ready: number): string {
  if (ready === 0) return '';
  return ready === 1 ? 'The object exists and is ready.' : `All ${ready} objects exist and are ready.`;
}

/** Objects that exist, but whose health is not known. */
export function notJudged(objects: readonly ReportedObject[]): ReportedObject[] {
  return objects.filter((object) => object.health === 'healthy' && !isJudged(object));
}

export function notJudgedLines(objects: readonly ReportedObject[]): string[] {
  return notJudged(objects).map(({ kind, name, message }) => `  ${kind}/${name}  ${message}`);
}

function definitionTable(definitions: readonly ReportedDefinition[]): string {
  const rows = definitions.map(({ name, change }) => [name, change]);
  return foldedSection('Definitions (crds/)', rows.length, markdownTable(['Definition', ''], rows));
}

const removalWords: Readonly<Record<ReportedRemoval['fate'], string>> = {
  deleted: 'deleted',
  absent: 'did not exist',
  kept: 'kept',
};

function removalTable(removals: readonly ReportedRemoval[]): string {
  if (removals.length === 0) return '';
  const rows = removals.map(({ kind, name, fate, why }) => [`${kind}/${name}`, removalWords[fate], why]);
  return foldedSection('Objects of the release', removals.length, markdownTable(['Object', 'Fate', ''], rows));
}

function leftoverList(leftovers: readonly ReportedLeftover[]): string {
  return leftovers
    .map(
      (left) =>
        `- ${cell(`${left.kind}/${left.name}`)} ${left.keptBecause === '' ? 'was removed' : `was kept: ${cell(left.keptBecause)}`}`,
    )
    .join('\n');
}
