import { asTaskError, TaskError } from '../../core/failure';
import { lastGood } from '../../core/release/history';
import { apiGroup, manifestObjects } from '../../core/kubernetes/manifest';
import { asHelmSends } from '../../core/release/drift';
import type { DeployContext } from '../../core/releaseContext';
import type { ReleaseSnapshot } from './readRelease';

/*
 * A chart may declare the namespace of its own release. Helm makes the namespace before it installs the chart
 * (--create-namespace), so Helm 3 then fails on its own object, and Helm 4 takes it over (measured with 3.14, 3.22, 4.1
 * and 4.3).
 */

function declaresOwnNamespace(manifest: string, namespace: string): boolean {
  return manifestObjects(manifest).some(
    ({ apiVersion, kind, metadata }) =>
      kind === 'Namespace' && apiGroup(apiVersion) === '' && metadata.name === namespace,
  );
}

/** Returns true if the namespace must be made before Helm runs: to hold the lock, or because the chart declares it. */
export function needsNamespace(
  { lease, namespace }: DeployContext,
  { hasNamespace, rendering }: ReleaseSnapshot,
): boolean {
  return lease.state === 'later' || (hasNamespace === false && declaresOwnNamespace(rendering.manifest, namespace));
}

/**
 * Makes the namespace as Helm does with --create-namespace. A namespace that the chart declares also gets the label and
 * annotations by which Helm knows its objects.
 */
export async function makeNamespace(context: DeployContext, { rendering }: ReleaseSnapshot): Promise<void> {
  const { agent, cluster, namespace, request } = context;
  const isOfChart = declaresOwnNamespace(rendering.manifest, namespace);
  const bare = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: { name: namespace } } };
  const ref = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  const release = { name: request.releaseName, namespace };
  try {
    await cluster.create(isOfChart ? asHelmSends({ ref, declared: bare }, release) : bare);
    agent.log(
      `Namespace ${namespace} is made${isOfChart ? ', as one that belongs to this release: the chart declares it' : ''}.`,
    );
  } catch (error) {
    // Another run has made the namespace first.
    if (asTaskError(error).facts['status'] !== 409) throw error;
  }
}

/**
 * Throws if the chart no longer declares the namespace: Helm would delete the namespace, with the release and
 * everything else in it.
 */
export async function refuseNamespaceLoss(
  context: DeployContext,
  { history, rendering }: ReleaseSnapshot,
): Promise<void> {
  const { namespace, request } = context;
  const good = lastGood(history);
  if (good === undefined || !declaresOwnNamespace(good.manifest, namespace)) return;
  if (declaresOwnNamespace(rendering.manifest, namespace) || (await isKept(context))) return;
  throw new TaskError(
    'ChartInvalid',
    `Helm would delete namespace ${namespace} with release ${request.releaseName} and all else that lies in it: revision ${good.revision} declares the namespace, and the chart no longer does. ` +
      `To keep it, annotate it (kubectl annotate namespace ${namespace} helm.sh/resource-policy=keep) and run the step again, or leave the Namespace in the chart.`,
    { facts: { object: `Namespace/${namespace}` } },
  );
}

async function isKept({ cluster, namespace }: DeployContext): Promise<boolean> {
  const live = await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { metadataOnly: true });
  return live?.metadata.annotations?.['helm.sh/resource-policy']?.trim().toLowerCase() === 'keep';
}
