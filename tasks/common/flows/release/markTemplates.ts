import { asTaskError } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectName, refOf } from '../../core/kubernetes/manifest';
import type { RolloutContext } from '../../core/releaseContext';
import { pastTemplates, templateMarks } from '../../core/rollbackPlan/objects/workloadHistory';
import { isOwnCause } from '../../core/rollout/causes';
import type { WorkloadVerdict } from '../../core/rollout/verdict';

type Context = Pick<RolloutContext, 'agent' | 'cluster' | 'signal'>;

const keptAs: Readonly<Record<string, 'ReplicaSet' | 'ControllerRevision'>> = {
  Deployment: 'ReplicaSet',
  StatefulSet: 'ControllerRevision',
  DaemonSet: 'ControllerRevision',
};

/**
 * Notes on the present revision of each plain workload whether its pods were seen ready, or broken by a cause of their
 * own, so that a later rollback knows. A connection that may not do that fails nothing.
 */
export async function markTemplates(context: Context, verdicts: readonly WorkloadVerdict[]): Promise<void> {
  const told = verdicts.flatMap(({ ref, health, cause }) => {
    const kept = ref.apiVersion === 'apps/v1' ? keptAs[ref.kind] : undefined;
    const isBroken = health === 'failed' && isOwnCause(cause?.code ?? '');
    if (kept === undefined || ref.namespace === undefined || !(health === 'healthy' || isBroken)) return [];
    return [{ ref, namespace: ref.namespace, kept, cause: isBroken ? (cause?.code ?? '') : '' }];
  });
  try {
    const lists = new Map<string, KubeObject[]>();
    for (const { ref, namespace, kept, cause } of told) {
      if (context.signal.aborted) return;
      const list = `${kept} ${namespace}`;
      const revisions =
        lists.get(list) ?? (await context.cluster.list({ apiVersion: 'apps/v1', kind: kept, namespace }));
      lists.set(list, revisions);
      await markTemplate(context, ref, revisions, cause);
    }
  } catch (thrown) {
    context.agent.log(`It could not be noted which revisions were seen ready: ${asTaskError(thrown).message}`);
  }
}

async function markTemplate(
  { agent, cluster }: Context,
  ref: ObjectRef,
  revisions: readonly KubeObject[],
  cause: string,
): Promise<void> {
  // Its revisions name their owner, so that the workload need not be read.
  const owned = revisions.filter(({ metadata }) =>
    metadata.ownerReferences?.some(
      ({ controller, kind, name }) => controller === true && objectName({ kind, name }) === objectName(ref),
    ),
  );
  const uidOfOwner = owned[0]?.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid ?? '';
  const live = { ...ref, metadata: { name: ref.name, uid: uidOfOwner } };
  const present = pastTemplates({ ref, live, revisions: owned }).at(-1);
  const kept = owned.find(({ metadata }) => metadata.name === present?.name);
  const { uid } = kept?.metadata ?? {};
  if (present === undefined || kept === undefined || uid === undefined) return;
  if (present.judged === (cause === '' ? 'ready' : 'broken')) return;
  await cluster.patch(refOf(kept), { metadata: { uid, annotations: templateMarks(uid, cause) } });
  agent.debug(
    `Revision ${present.revision} of ${objectName(ref)} is noted as ${cause === '' ? 'ready' : `broken (${cause})`}.`,
  );
}
