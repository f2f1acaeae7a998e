import type { KubeObject, ObjectRef } from '../core/kubernetes';
import { containerFindings, eventLines, podSelector, type ContainerFinding } from '../core/evidence';
import { objectName } from '../core/manifest';
import type { Evidence } from '../core/report';
import type { ReleaseContext } from '../core/releaseContext';

const logLines = 20;
const logBytes = 8 * 1024;
const podsShown = 2;

/**
 * What the failing objects' pods show, taken while they are still there. It never stands in the way of the rollback:
 * what may not be read, or is gone, is said and left out.
 */
export async function collectEvidence(context: ReleaseContext, failing: readonly ObjectRef[]): Promise<Evidence[]> {
  const collected: Evidence[] = [];
  for (const ref of failing.slice(0, 3)) {
    collected.push(...(await tolerant(context, `the evidence of ${objectName(ref)}`, () => evidenceOf(context, ref))));
  }
  return collected;
}

async function evidenceOf(context: ReleaseContext, ref: ObjectRef): Promise<Evidence[]> {
  const namespace = ref.namespace;
  const live = await context.cluster.get(ref);
  if (namespace === undefined || live === undefined) return [];
  const pods = await tolerant(context, 'pods', () => podsOf(context, live, namespace));
  const shown = pods.slice(0, podsShown);
  const names = new Set([ref.name, ...shown.map((pod) => pod.metadata.name)]);
  const events = await tolerant(context, 'events', () =>
    context.cluster.list({ apiVersion: 'v1', kind: 'Event', namespace }),
  );
  const evidence: Evidence[] = [];
  for (const pod of shown) {
    const findings = containerFindings(pod);
    if (findings.length > 0) {
      evidence.push({
        object: `Pod/${pod.metadata.name}`,
        kind: 'containerState',
        title: 'containers',
        lines: findings.map((finding) => finding.text),
      });
    }
    for (const finding of findings) evidence.push(...(await logOf(context, namespace, pod, finding)));
  }
  const lines = eventLines(events, ref, names);
  if (lines.length > 0) evidence.push({ object: objectName(ref), kind: 'event', title: 'events', lines });
  return evidence;
}

async function podsOf(context: ReleaseContext, owner: KubeObject, namespace: string): Promise<KubeObject[]> {
  if (owner.kind === 'Pod') return [owner];
  const labelSelector = podSelector(owner);
  if (labelSelector === undefined) return [];
  const pods = await context.cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector });
  const living = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  // The newest first: they are of the revision that fails.
  return living
    .filter((pod) => containerFindings(pod).length > 0)
    .sort((a, b) => String(b.metadata.creationTimestamp).localeCompare(String(a.metadata.creationTimestamp)));
}

async function logOf(
  context: ReleaseContext,
  namespace: string,
  pod: KubeObject,
  finding: ContainerFinding,
): Promise<Evidence[]> {
  if (!finding.hasLog) return [];
  const ref = { namespace, name: pod.metadata.name, container: finding.container };
  const options = { previous: finding.isPrevious, tailLines: logLines, limitBytes: logBytes };
  return tolerant(context, `the log of ${ref.name}`, async () => {
    const text = await context.cluster.podLog(ref, options);
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const title = `last lines of container ${finding.container}${finding.isPrevious ? ', previous run' : ''}`;
    return lines.length === 0 ? [] : [{ object: `Pod/${ref.name}`, kind: 'log' as const, title, lines }];
  });
}

async function tolerant<T>(context: ReleaseContext, what: string, read: () => Promise<T[]>): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    context.agent.log(`  (${what} could not be read: ${error instanceof Error ? error.message : String(error)})`);
    return [];
  }
}
