import {
  closingOf,
  issueOf,
  outputsOf,
  reportAttachmentType,
  summaryOf,
  taskResults,
  type DeployReport,
} from '../core/report';
import type { TaskAgent } from './agent';
import type { TaskEnd } from './runTask';

/** Tells the ending once, in all places where it is looked for: log, issue, outputs, summary page, attachment. */
export async function publishReport(agent: TaskAgent, report: DeployReport): Promise<TaskEnd> {
  agent.log('');
  agent.log(closingOf(report));
  const result = taskResults[report.outcome];
  if (result === 'Failed') agent.error(issueOf(report));
  // Outputs first: whoever cancels has little patience, and later steps read them.
  for (const [name, value] of Object.entries(outputsOf(report, '')))
    if (name !== 'reportPath') agent.setOutput(name, value);
  const reportPath = await agent.attach(
    reportAttachmentType,
    `${report.release}.json`,
    JSON.stringify(report, null, 2),
  );
  agent.setOutput('reportPath', reportPath);
  await agent.uploadSummary(`HelmSafeDeploy ${report.release}`, summaryOf(report));
  return { result, message: issueless(report, result) };
}

function issueless(report: DeployReport, result: TaskEnd['result']): string {
  return result === 'Succeeded' ? closingOf(report).split('\n').slice(0, 2).join(' ') : issueOf(report);
}
