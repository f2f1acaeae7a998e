import { blaming, type DeployReport } from './report';
import { sentences } from '../text/sentence';

/** The content of an Event on a workload. */
export interface WorkloadNote {
  type: 'Normal' | 'Warning';
  /** PascalCase. */
  reason: string;
  message: string;
}

type Run = Readonly<{ identity: string; link: string }>;

/** Returns undefined if the deploy has changed no workload, or if it is not known what serves now. */
export function deployNote(report: DeployReport, run: Run): WorkloadNote | undefined {
  const { chart, outcome, reason, release, revisionBefore, servingRevision } = report;
  if (servingRevision === null) return undefined;
  const by = `by ${run.identity} ${run.link}`.trim();
  const warning = (word: string, message: string): WorkloadNote => {
    return { type: 'Warning', reason: word, message: sentences(`${message}, ${by}`, blaming(report)) };
  };
  if (outcome === 'deployed' || outcome === 'recovered') {
    const before = revisionBefore === null ? '' : `, after revision ${revisionBefore}`;
    const message = `Revision ${servingRevision} of release ${release} (${chart}) was deployed${before}, ${by}`;
    return { type: 'Normal', reason: 'Deployed', message };
  }
  if (outcome === 'rolledBack') {
    const what = `A deploy of release ${release} (${chart}) failed (${reason})`;
    return warning('RolledBack', `${what} and was rolled back: revision ${servingRevision} serves now`);
  }
  if (outcome !== 'failed' || servingRevision === revisionBefore) return undefined;
  return warning(
    'DeployFailed',
    `Revision ${servingRevision} of release ${release} (${chart}) failed (${reason}) and was kept`,
  );
}
