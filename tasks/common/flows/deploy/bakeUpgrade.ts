import type { BakeRequest } from '../../core/inputs/bakeRequest';
import type { Before } from '../../core/metrics/condition';
import type { Revision } from '../../core/release/release';
import type { DeployContext } from '../../core/releaseContext';
import { endingFor, endingOfRollout, sentence, type Ending } from '../../core/report/ending';
import { verdictMessage } from '../../core/report/metrics';
import type { DeployProgress } from '../release/deployProgress';
import { desiredObjects } from '../release/desiredObjects';
import { markInconclusive } from '../release/record';
import { bake, tryMetrics, type BakeEnd } from '../rollout/bake';
import type { RolloutEnd } from '../rollout/rollout';
import { withRetries } from '../steps/withRetries';
import { cancelled, explain, fail, inPhase, unfollowed, type FailedDeploy } from './failedDeploy';

type ValuesBefore = ReadonlyMap<string, Before>;

/** The values of the metrics before the deploy. */
export async function metricsBefore(context: DeployContext, progress: DeployProgress): Promise<ValuesBefore> {
  const { request } = context;
  const asked = request.bake;
  if (asked?.metrics === undefined) return new Map();
  const serving = progress.serving?.revision;
  return inPhase(context, progress, 'Try the metrics', () =>
    tryMetrics(context, asked, request.releaseName, serving === undefined ? undefined : String(serving)),
  );
}

/** Bakes a revision that is healthy. Gives the end of the rollout if the deploy goes on, and its ending if not. */
export async function bakeUpgrade(
  failing: FailedDeploy,
  revision: Revision,
  rollout: RolloutEnd,
  before: ValuesBefore,
): Promise<{ rollout: RolloutEnd } | { ending: Ending }> {
  const { context, progress, upgraded } = failing;
  const request = context.request.bake;
  if (request === undefined) return { rollout };
  let baked: BakeEnd;
  try {
    baked = await inPhase(context, progress, `Bake revision ${revision.revision}`, () =>
      bakeRevision(failing, revision, rollout, { request, before }),
    );
  } catch (thrown) {
    return { ending: await unfollowed(failing, revision, thrown) };
  }
  progress.metrics = baked.metrics;
  if (context.signal.aborted) return { ending: await cancelled(context, upgraded) };
  return judgeBaking({ ...failing, lastLines: baked.rollout.lastLines }, revision, baked);
}

async function bakeRevision(
  { context, seen, upgraded }: FailedDeploy,
  revision: Revision,
  rollout: RolloutEnd,
  asked: { request: BakeRequest; before: ValuesBefore },
): Promise<BakeEnd> {
  const { cluster, namespace, request } = context;
  return bake(context, {
    ...asked,
    objects: await desiredObjects(cluster, revision.manifest, namespace),
    subject: { release: request.releaseName, revision: String(revision.revision) },
    timeoutSeconds: request.timeoutSeconds,
    follow: {
      memory: rollout.verdict.memory,
      earlier: seen.history,
      release: { revision, history: upgraded.history },
      logged: upgraded.logged,
      phase: 'baking',
    },
  });
}

async function judgeBaking(
  failing: FailedDeploy,
  revision: Revision,
  { rollout, verdict, metrics }: BakeEnd,
): Promise<{ rollout: RolloutEnd } | { ending: Ending }> {
  const { context } = failing;
  const message = verdictMessage(metrics);
  if (rollout.end !== 'healthy' && rollout.end !== 'stopped') {
    return { ending: await fail(failing, endingOfRollout(rollout.verdict), rollout.verdict) };
  }
  if (verdict === 'pass') return { rollout };
  if (verdict === 'fail') {
    return { ending: await fail(failing, endingFor('failed', 'MetricsFailed', message), rollout.verdict) };
  }
  const ending = endingFor('failed', 'MetricsInconclusive', message);
  switch (context.request.bake?.onInconclusive) {
    case 'pass':
      context.agent.warning(`${sentence(message)} The deploy goes on (onInconclusive: pass).`);
      return { rollout };
    case 'rollback':
      return { ending: await fail(failing, ending, rollout.verdict) };
    default:
      return { ending: await inconclusive(failing, revision, ending) };
  }
}

/** Nothing speaks against the revision, so it stays, and is not verified. */
async function inconclusive(failing: FailedDeploy, revision: Revision, ending: Ending): Promise<Ending> {
  const { context, progress } = failing;
  progress.found = ending;
  progress.serving = { revision: revision.revision, health: 'healthy' };
  await explain(failing, ending, []);
  await withRetries(context, () => markInconclusive(context.storage, revision, context.run));
  const message = `${sentence(ending.message)} Revision ${revision.revision} stays as it is, and is not marked verified (onInconclusive: fail).`;
  return { ...ending, message };
}
