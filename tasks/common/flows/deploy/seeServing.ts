import { asTaskError } from '../../core/failure';
import type { ServingHealth } from '../../core/report/report';
import type { ReleaseContext } from '../../core/releaseContext';
import { judge, type Health } from '../../core/rollout/verdict';
import { within } from '../steps/bounded';
import { readRollout, rolloutPolicy } from '../rollout/rollout';
import type { Story } from '../release/story';
import { wantedObjects } from '../release/wantedObjects';

/** A serving revision that is still progressing does not serve as it should. */
export function servingHealth(health: Health): ServingHealth {
  return health === 'healthy' || health === 'unknown' ? health : 'unhealthy';
}

/** The time limit is short, because the judgement only adds to a report that is due. */
const mostMs = 15_000;

/**
 * Judges the serving revision if the deploy ended without doing so. A cancelled step has no time for it. If the objects
 * cannot be read, the health stays unknown.
 */
export async function seeServing(context: ReleaseContext, story: Pick<Story, 'serving'>): Promise<void> {
  const { agent, clock, cluster, namespace, signal, storage } = context;
  const { serving } = story;
  if (serving?.health !== 'unknown' || signal.aborted) return;
  const look = async (): Promise<ServingHealth> => {
    const served = (await storage.history()).find(({ revision }) => revision === serving.revision);
    if (served === undefined) return 'unknown';
    const snapshot = await readRollout(context, await wantedObjects(cluster, served.manifest, namespace));
    const now = clock.now();
    // Only the present state counts.
    const policy = {
      ...rolloutPolicy(context, new Date(now.getTime() + 1), true),
      stableForSeconds: 0,
      failFast: false,
    };
    return servingHealth(judge(snapshot, policy, undefined, now).health);
  };
  try {
    const health = await within(clock, mostMs, look(), 'Looking at what serves did not end');
    story.serving = { revision: serving.revision, health };
  } catch (thrown) {
    agent.debug(`What serves could not be looked at: ${asTaskError(thrown).message}`);
  }
}
