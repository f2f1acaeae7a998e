import { asTaskError } from '../../core/failure';
import { apiGroup, manifestObjects } from '../../core/kubernetes/manifest';
import { asHelmSends } from '../../core/release/drift';
import type { DeployContext } from '../../core/releaseContext';
import { someNames } from '../../core/text/someNames';
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

/**
 * Returns true if the namespace must be made before Helm runs: to hold the lock, to have the labels of the inputs, or
 * because the chart declares it.
 */
export function needsNamespace(
  { lease, namespace, request }: DeployContext,
  { hasNamespace, rendering }: ReleaseSnapshot,
): boolean {
  if (lease.state === 'later') return true;
  if (hasNamespace !== true && request.createNamespace && request.namespaceMetadata !== undefined) return true;
  return hasNamespace === false && declaresOwnNamespace(rendering.manifest, namespace);
}

/**
 * Makes the namespace as Helm does with --create-namespace. A namespace that the chart declares also gets the label and
 * annotations by which Helm knows its objects.
 */
export async function makeNamespace(context: DeployContext, { rendering }: ReleaseSnapshot): Promise<void> {
  const { agent, cluster, namespace, request } = context;
  const isOfChart = declaresOwnNamespace(rendering.manifest, namespace);
  const { labels = {}, annotations = {} } = request.namespaceMetadata ?? {};
  const metadata = {
    name: namespace,
    labels: { name: namespace, ...labels },
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bare = { apiVersion: 'v1', kind: 'Namespace', metadata };
  const ref = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  const release = { name: request.releaseName, namespace };
  try {
    await cluster.create(isOfChart ? asHelmSends({ ref, declared: bare }, release) : bare);
    agent.log(
      `Namespace ${namespace} is created${isOfChart ? ' as part of this release, because the chart declares it' : ''}.`,
    );
  } catch (error) {
    // Another run has made the namespace first.
    if (asTaskError(error).facts['status'] !== 409) throw error;
  }
}

/** Gives a namespace that exists the labels and annotations of the inputs, if these ask for it. Others stay. */
export async function updateNamespace({ agent, cluster, lease, namespace, request }: DeployContext): Promise<void> {
  const asked = request.namespaceMetadata;
  if (asked?.update !== true) return;
  const ref = { apiVersion: 'v1', kind: 'Namespace', name: namespace };
  const live = await cluster.get(ref);
  if (live === undefined) return;
  const labels = changedPairs(asked.labels, live.metadata.labels);
  const annotations = changedPairs(asked.annotations, live.metadata.annotations);
  const names = [...Object.keys(labels), ...Object.keys(annotations)];
  if (names.length === 0) return;
  await lease.confirm();
  await cluster.patch(ref, { metadata: { labels, annotations } });
  agent.log(`Namespace ${namespace} gets ${someNames(names)} (updateNamespace: true).`);
}

function changedPairs(
  asked: Readonly<Record<string, string>>,
  live: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return Object.fromEntries(Object.entries(asked).filter(([name, value]) => live[name] !== value));
}
