import { asTaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { isSelectedBy, servicePods, serviceSelectors, type ServicePods } from '../../core/release/servicePods';
import type { ServingHealth } from '../../core/report/report';
import type { ReleaseContext } from '../../core/releaseContext';
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

/** Counts the pods behind the Services of the revision that was applied last. Without the right to list pods, none. */
export async function readServices(context: ReleaseContext, progress: DeployProgress): Promise<void> {
  const { agent, clock, cluster, namespace, signal, storage } = context;
  if (signal.aborted) return;
  const read = async (): Promise<readonly ServicePods[]> => {
    const history = await storage.history();
    const applied = history.find(({ revision }) => revision === progress.serving?.revision) ?? history.at(-1);
    const services = serviceSelectors(applied?.manifest ?? '', namespace);
    if (services.length === 0) return [];
    const isSelected = (pod: KubeObject): boolean => services.some(({ selector }) => isSelectedBy(pod, selector));
    const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, isSelected);
    return services.map((service) => servicePods(service, pods, progress.createdAt));
  };
  try {
    progress.services = await within(clock, mostMs, read(), 'Reading the pods behind the Services did not end');
  } catch (thrown) {
    agent.debug(`The pods behind the Services could not be read: ${asTaskError(thrown).message}`);
  }
}
