import { runWords } from '../../core/lock/holder';
import { isUnhealthy, isVerified, runOf } from '../../core/release/history';
import type { Revision } from '../../core/release/release';
import type { ReportedRevision } from '../../core/report/report';
import { clipped } from '../../core/text/foreignText';
import { irreversibleMarks } from '../../core/rollbackPlan/judging/irreversible';

/** Older revisions help nobody who looks at the end of a step. */
const revisionsShown = 10;
/** The message of a Helm that failed may be long. */
const descriptionLimit = 300;

/** Returns the newest revisions, oldest first. */
export function reportedHistory(history: readonly Revision[]): ReportedRevision[] {
  return history.slice(-revisionsShown).map((revision) => ({
    revision: revision.revision,
    status: revision.status,
    verdict: isVerified(revision) ? 'verified' : isUnhealthy(revision) ? 'unhealthy' : '',
    chart: `${revision.chart.name} ${revision.chart.version}`.trim(),
    deployedAt: revision.lastDeployed,
    run: runWords(runOf(revision)),
    description: clipped(revision.description.replace(/\s+/g, ' '), descriptionLimit),
    irreversible: irreversibleReason(revision),
  }));
}

const mark = 'helm-safe-deploy/irreversible';

/** Most revisions have no such mark, and a manifest takes long to parse. */
function irreversibleReason(revision: Revision): string {
  const { chartAnnotations = {}, hooks, manifest } = revision;
  const isMarked = [manifest, ...hooks.map((hook) => hook.manifest ?? '')].some((text) => text.includes(mark));
  if (!isMarked && !(mark in chartAnnotations)) return '';
  try {
    const [first] = irreversibleMarks(revision);
    return first === undefined ? '' : `${first.where}: ${first.reason || 'no reason given'}`;
  } catch {
    return '';
  }
}
