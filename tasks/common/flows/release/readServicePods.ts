import { asTaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { isSelectedBy, servicePods, serviceSelectors, type ServicePods } from '../../core/release/servicePods';
import type { Revision } from '../../core/release/release';
import type { RolloutContext } from '../../core/releaseContext';
import { within } from '../steps/bounded';

/** The time limit is short, because the pods only add to a report that is due. */
const mostMs = 15_000;

/** Counts the pods behind the Services of a revision. Without the right to list pods, none. `since`: see `servicePods`. */
export async function readServicePods(
  { agent, clock, cluster, namespace, signal }: RolloutContext,
  { manifest }: Pick<Revision, 'manifest'>,
  since: Date | undefined,
): Promise<readonly ServicePods[]> {
  const services = signal.aborted ? [] : serviceSelectors(manifest, namespace);
  if (services.length === 0) return [];
  const isSelected = (pod: KubeObject): boolean => services.some(({ selector }) => isSelectedBy(pod, selector));
  const read = async (): Promise<readonly ServicePods[]> => {
    const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, isSelected);
    return services.map((service) => servicePods(service, pods, since));
  };
  try {
    return await within(clock, mostMs, read(), 'Reading the pods behind the Services did not end');
  } catch (thrown) {
    agent.debug(`The pods behind the Services could not be read: ${asTaskError(thrown).message}`);
    return [];
  }
}

/** A Service that selects no pod at all is most often a mistake in its selector. */
export async function warnOfUnusedServices(context: RolloutContext, revision: Revision): Promise<void> {
  const services = await readServicePods(context, revision, undefined);
  for (const { name } of services.filter(({ pods }) => pods === 0)) {
    context.agent.warning(`Service/${name} serves nothing: its selector matches no pod.`);
  }
}
