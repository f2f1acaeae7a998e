import { isPodOf } from '../../../core/rollbackPlan/objects/statefulSets';
import { asTaskError } from '../../../core/failure';
import type { WorkloadName } from '../../../core/inputs/healthRequest';
import type { KubeObject, ObjectRef } from '../../../core/kubernetes/object';
import { planWorkloads } from '../../../core/rollbackPlan/planWorkloads';
import type { PlainWorkload, ChangePlan } from '../../../core/rollbackPlan/model/types';
import { undoOf } from '../../../core/rollbackPlan/objects/workloadHistory';
import type { PlainStart } from '../../../core/releaseContext';

type PlainPlanContext = Pick<PlainStart, 'cluster' | 'namespace' | 'request' | 'sha256'>;

const kinds: Readonly<Record<string, { kind: string; past: 'ReplicaSet' | 'ControllerRevision' }>> = {
  deployment: { kind: 'Deployment', past: 'ReplicaSet' },
  statefulset: { kind: 'StatefulSet', past: 'ControllerRevision' },
  daemonset: { kind: 'DaemonSet', past: 'ControllerRevision' },
};

interface PlainPlan {
  plan: ChangePlan;
  workloads: readonly PlainWorkload[];
}

/** Plans what `kubectl rollout undo` would do with each workload, by a dry run of the API server. Changes nothing. */
export async function planPlain(context: PlainPlanContext, names: readonly WorkloadName[]): Promise<PlainPlan> {
  const { cluster, namespace, request, sha256 } = context;
  const found = await readWorkloads(context, names);
  const sets = found.flatMap(({ ref, live }) => (ref.kind === 'StatefulSet' && live !== undefined ? [live] : []));
  const [workloads, pods, now] = await Promise.all([
    Promise.all(found.map((workload) => rehearsed(context, workload))),
    sets.length > 0 ? cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, isPodOf(sets)) : [],
    cluster.serverTime(),
  ]);
  const plan = planWorkloads({ ...request.rollback, namespace, workloads, pods, now, sha256 });
  return { plan, workloads };
}

/** Reads each workload with its earlier revisions, as its controller keeps them. */
export async function readWorkloads(
  { cluster, namespace }: Pick<PlainPlanContext, 'cluster' | 'namespace'>,
  names: readonly WorkloadName[],
): Promise<PlainWorkload[]> {
  const known = names.flatMap((name) => {
    const kind = kinds[name.kind];
    return kind === undefined ? [] : [{ ...kind, name: name.name }];
  });
  const pastKinds = [...new Set(known.map(({ past }) => past))];
  const lists = new Map<string, KubeObject[]>();
  await Promise.all(
    pastKinds.map(async (kind) => lists.set(kind, await cluster.list({ apiVersion: 'apps/v1', kind, namespace }))),
  );
  return Promise.all(
    known.map(async ({ kind, past, name }) => {
      const ref: ObjectRef = { apiVersion: 'apps/v1', kind, namespace, name };
      const live = await cluster.get(ref);
      return { ref, revisions: lists.get(past) ?? [], ...(live === undefined ? {} : { live }) };
    }),
  );
}

async function rehearsed(
  { cluster, request }: Pick<PlainPlanContext, 'cluster' | 'request'>,
  workload: PlainWorkload,
): Promise<PlainWorkload> {
  const undo = undoOf(workload, request.rollback);
  if ('refusal' in undo) return workload;
  try {
    const result = await cluster.patch(workload.ref, undo.patch, { dryRun: true });
    return { ...workload, rehearsed: { result } };
  } catch (thrown) {
    const { reason, message } = asTaskError(thrown);
    if (reason === 'Cancelled' || reason === 'ClusterUnreachable') throw thrown;
    return { ...workload, rehearsed: { rejected: message } };
  }
}
