import type { Drift } from '../../core/release/drift';
import type { DriftRule } from '../../core/release/driftRules';
import { autoscaledReplicas } from '../../core/release/keptFields';
import type { ReleaseName } from '../../core/release/mergeBase';
import type { Revision } from '../../core/release/release';
import { driftLines, type ReportedDrift } from '../../core/report/drift';
import { reportedDrift } from '../../core/report/reportedDrift';
import { secretRedactor } from '../../core/rollbackPlan/objects/hiddenSecrets';
import { manifestObjects } from '../../core/kubernetes/manifest';
import { driftOf, type DriftContext } from './drift';

export interface FoundDrift {
  drifts: readonly Drift[];
  reported: readonly ReportedDrift[];
}

const shownAtMost = 50;

/**
 * Compares the live objects with the manifest of a revision, and logs what differs. Replicas that an autoscaler owns
 * are left out. Throws TaskError when the cluster cannot be read.
 */
export async function lookForDrift(
  context: DriftContext,
  { manifest, revision }: Pick<Revision, 'manifest' | 'revision'>,
  release: ReleaseName,
  { rules, state }: { rules: readonly DriftRule[]; state: ReportedDrift['state'] },
): Promise<FoundDrift> {
  const { agent, cluster } = context;
  const autoscalers = await cluster
    .list({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace: release.namespace })
    .catch(() => []);
  const drifts = await driftOf(context, manifest, release, [...rules, ...autoscaledReplicas(autoscalers)]);
  const hide = secretRedactor(manifestObjects(manifest));
  const reported = drifts.map((drift) => reportedDrift(drift, state, (text) => agent.redact(hide(text))));
  if (reported.length === 0) agent.log(`The live objects are as revision ${revision} declares them.`);
  for (const line of reported.slice(0, shownAtMost).flatMap(driftLines)) agent.log(line);
  if (reported.length > shownAtMost) agent.log(`And ${reported.length - shownAtMost} more, which the report has.`);
  return { drifts, reported };
}
