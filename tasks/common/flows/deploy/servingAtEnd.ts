import { asTaskError } from '../../core/failure';
import type { ServingHealth } from '../../core/report/report';
import type { ReleaseContext } from '../../core/releaseContext';
import { readServicePods } from '../release/readServicePods';
import { within } from '../steps/bounded';
import type { DeployProgress } from '../release/deployProgress';
import { healthNow } from '../rollout/moment';

/** The time limit is short, because the judgement only adds to a report that is due. */
const mostMs = 15_000;

/**
 * Judges the serving revision if the deploy ended without doing so. A cancelled step has no time for it. If the objects
 * cannot be read, the health stays unknown.
 */
export async function servingAtEnd(context: ReleaseContext, progress: Pick<DeployProgress, 'serving'>): Promise<void> {
  const { agent, clock, signal, storage } = context;
  const { serving } = progress;
  if (serving?.health !== 'unknown' || signal.aborted) return;
  const read = async (): Promise<ServingHealth> => {
    const served = (await storage.history()).find(({ revision }) => revision === serving.revision);
    return served === undefined ? 'unknown' : healthNow(context, served.manifest);
  };
  try {
    const health = await within(clock, mostMs, read(), 'Reading what serves did not end');
    progress.serving = { revision: serving.revision, health };
  } catch (thrown) {
    agent.debug(`What serves could not be read: ${asTaskError(thrown).message}`);
  }
}

/** Counts the pods behind the Services of the revision that was applied last. */
export async function readServices(context: ReleaseContext, progress: DeployProgress): Promise<void> {
  const history = await context.storage.history().catch(() => []);
  const applied = history.find(({ revision }) => revision === progress.serving?.revision) ?? history.at(-1);
  if (applied !== undefined) progress.services = await readServicePods(context, applied, progress.createdAt);
}
