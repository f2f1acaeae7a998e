import {
  closingOf,
  issueOf,
  outputsOf,
  reportAttachmentType,
  summaryOf,
  taskResults,
  type DeployReport,
  type TaskResult,
} from '../../core/report/report';
import {
  healthClosing,
  healthMarkdown,
  healthOutputs,
  healthResult,
  healthSummary,
  type HealthReport,
} from '../../core/report/healthReport';
import { attachmentName, type AttachmentKind } from '../../core/report/attachmentName';
import {
  clusterVariable,
  fleetAttachmentType,
  fleetDigest,
  fleetInstructions,
  ringVariable,
  type FleetList,
} from '../../core/report/fleet';
import {
  channelMarkdown,
  channelText,
  deployChannel,
  healthChannel,
  type ChannelMessage,
} from '../../core/report/channelMessage';
import { asTaskError } from '../../core/failure';
import { summaryPage } from '../../core/lock/holder';
import { counted } from '../../core/text/counted';
import { redactedFields } from '../../core/text/redactedFields';
import { planMarkdown } from '../../core/rollbackPlan/document/markdown';
import { planOutputs } from '../../core/rollbackPlan/document/summary';
import { planAttachmentType, planJson } from '../../core/rollbackPlan/document/document';
import {
  rollbackChannel,
  rollbackClosing,
  rollbackIssue,
  rollbackMarkdown,
  rollbackOutputs,
  rollbackResults,
  type RollbackReport,
} from '../../core/rollbackPlan/document/rollbackReport';
import type { ChangePlan } from '../../core/rollbackPlan/model/types';
import type { TaskAgent } from './agent';
import { publishOutputs } from './outputs';
import type { TaskEnd } from './runTask';

/** The report is redacted first, because markup and cuts hide a secret from the redactor. */
interface Publication {
  /** The name of the summary page. */
  name: string;
  kind: AttachmentKind;
  report: DeployReport | HealthReport | RollbackReport;
  plan?: ChangePlan | undefined;
  /** `afterIssue`: the issue stands directly above the text in the log. */
  closing: (place: { afterIssue: boolean }) => string;
  issue: string;
  markdown: string;
  result: TaskResult;
  outputs: Readonly<Record<string, string>>;
  channel: (link: string) => ChannelMessage;
}

/** Parts that need a file come last. If one cannot be written, the result of the step does not change. */
async function publish(agent: TaskAgent, publication: Publication): Promise<TaskEnd> {
  const { result, issue, name, outputs, plan } = publication;
  const isIssue = result === 'Failed';
  const closing = publication.closing({ afterIssue: isIssue });
  agent.log('');
  if (isIssue) agent.error(issue);
  if (closing !== '') agent.log(closing);
  publishOutputs(agent, outputs);
  if (plan !== undefined) {
    const planKind = publication.kind === 'deployPlan' ? 'deployPlan' : 'plan';
    await written(agent, 'plan', () =>
      agent.attach(planAttachmentType, attachmentOf(agent, { ...publication, kind: planKind }), planJson(plan)),
    );
  }
  const report = JSON.stringify(publication.report, null, 2);
  const reportPath = await written(agent, 'report', () =>
    agent.attach(reportAttachmentType, attachmentOf(agent, publication), report),
  );
  if (Object.keys(outputs).length > 0) {
    publishOutputs(agent, { reportPath: reportPath ?? '' });
    await publishChannelMessage(agent, publication);
  }
  await written(agent, 'summary', () => agent.uploadSummary(name, publication.markdown));
  return { result, message: isIssue ? issue : closing.split('\n').slice(0, 2).join(' ') };
}

/** For whoever sends it to a chat service; the task sends nothing. */
async function publishChannelMessage(agent: TaskAgent, publication: Publication): Promise<void> {
  const message = publication.channel(summaryPage((name) => agent.environment.variable(name)));
  const attachment = attachmentOf(agent, publication).replace(/json$/, 'md');
  const file = await written(agent, 'message for a channel', () =>
    agent.attach(channelAttachmentType, attachment, channelMarkdown(message)),
  );
  publishOutputs(agent, { channelMessage: channelText(message), channelMessagePath: file ?? '' });
}

const channelAttachmentType = 'helm-safe-deploy.channel';

function attachmentOf(agent: TaskAgent, { kind, report }: Pick<Publication, 'kind' | 'report'>): string {
  const variable = (name: string): string => agent.redact(agent.environment.variable(name) ?? '');
  const attempt = Number(variable('System.JobAttempt'));
  return attachmentName({
    kind,
    outcome: report.task === 'RolloutHealthCheck' ? report.health : report.outcome,
    ring: variable(ringVariable),
    cluster: variable(clusterVariable),
    namespace: report.namespace,
    release: report.release,
    attempt: Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
  });
}

async function written<T>(agent: TaskAgent, what: string, write: () => Promise<T>): Promise<T | undefined> {
  try {
    return await write();
  } catch (thrown) {
    agent.warning(
      `The ${what} of this step could not be written, so the run does not show it: ${asTaskError(thrown).message}`,
    );
    return undefined;
  }
}

export function publishDeploy(agent: TaskAgent, report: DeployReport): Promise<TaskEnd> {
  const clean = redactedFields(report, agent.redact);
  return publish(agent, {
    ...deployPublication(clean),
    name: `HelmSafeDeploy ${report.release}`,
    kind: 'deploy',
    result: taskResults[report.outcome],
    outputs: outputsOf(clean),
  });
}

/** A step that plans shows the plan itself. */
export function publishDeployPlan(
  agent: TaskAgent,
  report: DeployReport,
  plan: ChangePlan | undefined,
): Promise<TaskEnd> {
  const page = summaryPage((name) => agent.environment.variable(name));
  const clean = redactedFields(report, agent.redact);
  const shownPlan = plan && redactedFields(plan, agent.redact);
  return publish(agent, {
    ...deployPublication(clean),
    ...(shownPlan === undefined ? {} : { markdown: planMarkdown(shownPlan) }),
    name: `HelmSafeDeploy plan ${report.release}`,
    kind: 'deployPlan',
    plan: shownPlan,
    result: taskResults[report.outcome],
    outputs: { ...outputsOf(clean), ...planOutputs(shownPlan, { page }) },
  });
}

/** The step's outputs stay those of the main phase. */
export function publishRepair(agent: TaskAgent, report: DeployReport): Promise<TaskEnd> {
  return publish(agent, {
    ...deployPublication(redactedFields(report, agent.redact)),
    name: `HelmSafeDeploy ${report.release} after the job`,
    kind: 'repair',
    // Rolling back, or finding no need to, is the purpose of the repair.
    result: report.outcome === 'failed' ? 'Failed' : 'Succeeded',
    outputs: {},
  });
}

function deployPublication(
  report: DeployReport,
): Pick<Publication, 'report' | 'closing' | 'issue' | 'markdown' | 'channel'> {
  return {
    report,
    closing: (place) => closingOf(report, place),
    issue: issueOf(report),
    markdown: summaryOf(report),
    channel: (link) => deployChannel(report, link),
  };
}

export function publishHealth(
  agent: TaskAgent,
  report: HealthReport,
  onUnhealthy: 'fail' | 'succeed',
): Promise<TaskEnd> {
  const clean = redactedFields(report, agent.redact);
  return publish(agent, {
    name: `RolloutHealthCheck ${report.release || report.namespace}`,
    kind: report.ring === undefined ? 'health' : 'fleet',
    report: clean,
    closing: (place) => healthClosing(clean, place),
    issue: healthSummary(clean),
    markdown: healthMarkdown(clean),
    channel: (link) => healthChannel(clean, link),
    result: healthResult(report, onUnhealthy),
    outputs: healthOutputs(clean),
  });
}

/** `cause`: why the pipeline plans a rollback, for the gate. */
export function publishRollback(
  agent: TaskAgent,
  report: RollbackReport,
  plan: ChangePlan | undefined,
  cause = '',
): Promise<TaskEnd> {
  const page = summaryPage((name) => agent.environment.variable(name));
  const clean = redactedFields(report, agent.redact);
  const shownPlan = plan && redactedFields(plan, agent.redact);
  return publish(agent, {
    ...rollbackPublication(clean, shownPlan),
    name: rollbackName(report),
    kind: report.action,
    plan: shownPlan,
    outputs: rollbackOutputs(clean, shownPlan, { page, cause: agent.redact(cause) }),
  });
}

/** The step's outputs stay those of the main phase. */
export function publishResume(
  agent: TaskAgent,
  report: RollbackReport,
  plan: ChangePlan | undefined,
): Promise<TaskEnd> {
  const publication = rollbackPublication(
    redactedFields(report, agent.redact),
    plan && redactedFields(plan, agent.redact),
  );
  return publish(agent, {
    ...publication,
    name: `${rollbackName(report)} after the job`,
    kind: 'resume',
    outputs: {},
  });
}

function rollbackName({ action, release, workloads }: RollbackReport): string {
  return `ApproveAndRollback ${action} ${release || workloads.join(' ')}`;
}

function rollbackPublication(
  report: RollbackReport,
  plan: ChangePlan | undefined,
): Omit<Publication, 'name' | 'kind' | 'outputs'> {
  return {
    report,
    closing: (place) => rollbackClosing(report, place),
    issue: rollbackIssue(report),
    markdown: rollbackMarkdown(report, plan),
    channel: (link) => rollbackChannel(report, link),
    result: rollbackResults[report.outcome],
  };
}

/** The list of the plans of a fleet, which one gate approves. */
export async function publishFleetPlans(
  agent: TaskAgent,
  list: FleetList,
  sha256: (text: string) => string,
): Promise<TaskEnd> {
  const digest = fleetDigest(list, sha256);
  const text = fleetInstructions(list, digest);
  const message = `${counted(list.plans.length, 'cluster has a plan', 'clusters have a plan')}, digest of the list ${digest}`;
  for (const { cluster, planDigest } of list.plans) agent.log(`${cluster} ${planDigest}`);
  agent.log(message);
  const name = attachmentName({ kind: 'fleet', outcome: 'planned', ...nowhere });
  await agent.attach(fleetAttachmentType, name, JSON.stringify(list, null, 2));
  publishOutputs(agent, {
    outcome: 'planned',
    reason: '',
    planDigest: digest,
    planSummary: text,
    gateInstructions: text,
    clusters: `,${list.plans.map(({ cluster }) => cluster).join(',')},`,
  });
  await written(agent, 'summary', () => agent.uploadSummary('Plans of the fleet', `${text}\n`));
  return { result: 'Succeeded', message };
}

const nowhere = { ring: '', cluster: '', namespace: '', release: '', attempt: 1 };
