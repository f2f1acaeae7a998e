import {
  closingOf,
  issueOf,
  outputsOf,
  reportAttachmentType,
  summaryOf,
  taskResults,
  type DeployReport,
  type TaskResult,
} from '../core/report';
import {
  healthClosing,
  healthMarkdown,
  healthOutputs,
  healthResult,
  healthSummary,
  type HealthReport,
} from '../core/healthReport';
import { planAttachmentType, planJson } from '../core/rollbackPlan/document';
import {
  rollbackClosing,
  rollbackIssue,
  rollbackMarkdown,
  rollbackOutputs,
  rollbackResults,
  type RollbackReport,
} from '../core/rollbackReport';
import type { RollbackPlan } from '../core/rollbackPlan/types';
import type { TaskAgent } from './agent';
import type { TaskEnd } from './runTask';

/** One report in all its renderings. */
interface Told {
  name: string;
  report: DeployReport | HealthReport | RollbackReport;
  closing: string;
  /** The one error issue of a step that ends badly. */
  issue: string;
  markdown: string;
  result: TaskResult;
  outputs: (reportPath: string) => Record<string, string>;
}

/** Tells the ending once, in all places where it is looked for: log, issue, summary page, attachment, outputs. */
async function publish(agent: TaskAgent, told: Told): Promise<TaskEnd> {
  const { result, issue, closing, name } = told;
  agent.log('');
  agent.log(closing);
  if (result === 'Failed') agent.error(issue);
  const reportPath = await agent.attach(reportAttachmentType, `${name}.json`, JSON.stringify(told.report, null, 2));
  await agent.uploadSummary(name, told.markdown);
  for (const [output, value] of Object.entries(told.outputs(reportPath))) agent.setOutput(output, value);
  return { result, message: result === 'Failed' ? issue : closing.split('\n').slice(0, 2).join(' ') };
}

export function publishDeploy(agent: TaskAgent, report: DeployReport): Promise<TaskEnd> {
  return publish(agent, {
    name: `HelmSafeDeploy ${report.release}`,
    report,
    closing: closingOf(report),
    issue: issueOf(report),
    markdown: summaryOf(report),
    result: taskResults[report.outcome],
    outputs: (reportPath) => outputsOf(report, reportPath),
  });
}

/** What the post-job phase has made of an interrupted deploy. The outputs of the step are the main phase's. */
export function publishRepair(agent: TaskAgent, report: DeployReport): Promise<TaskEnd> {
  return publish(agent, {
    name: `HelmSafeDeploy ${report.release} after the job`,
    report,
    closing: closingOf(report),
    issue: issueOf(report),
    markdown: summaryOf(report),
    // Going back, or not having to, is what it is there for.
    result: report.outcome === 'failed' ? 'Failed' : 'Succeeded',
    outputs: () => ({}),
  });
}

export function publishHealth(
  agent: TaskAgent,
  report: HealthReport,
  onUnhealthy: 'fail' | 'succeed',
): Promise<TaskEnd> {
  return publish(agent, {
    name: `RolloutHealthCheck ${report.release || report.namespace}`,
    report,
    closing: healthClosing(report),
    issue: healthSummary(report),
    markdown: healthMarkdown(report),
    result: healthResult(report, onUnhealthy),
    outputs: (reportPath) => healthOutputs(report, reportPath),
  });
}

/** A plan or a rollback; the plan that it is about is attached as well. */
export async function publishRollback(
  agent: TaskAgent,
  report: RollbackReport,
  plan: RollbackPlan | undefined,
): Promise<TaskEnd> {
  if (plan !== undefined) await agent.attach(planAttachmentType, `${rollbackName(report)} plan.json`, planJson(plan));
  return publish(agent, {
    ...toldRollback(report, plan),
    outputs: (reportPath) => rollbackOutputs(report, plan, reportPath),
  });
}

/** What the post-job phase has made of an interrupted rollback. The outputs of the step are the main phase's. */
export function publishResume(
  agent: TaskAgent,
  report: RollbackReport,
  plan: RollbackPlan | undefined,
): Promise<TaskEnd> {
  const told = toldRollback(report, plan);
  return publish(agent, { ...told, name: `${told.name} after the job`, outputs: () => ({}) });
}

function rollbackName({ action, release, workloads }: RollbackReport): string {
  return `ApproveAndRollback ${action} ${release || workloads.join(' ')}`;
}

function toldRollback(report: RollbackReport, plan: RollbackPlan | undefined): Omit<Told, 'outputs'> {
  return {
    name: rollbackName(report),
    report,
    closing: rollbackClosing(report),
    issue: rollbackIssue(report),
    markdown: rollbackMarkdown(report, plan),
    result: rollbackResults[report.outcome],
  };
}
