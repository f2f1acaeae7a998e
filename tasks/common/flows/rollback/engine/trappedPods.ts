import { asTaskError } from '../../../core/failure';
import type { ObjectRef } from '../../../core/kubernetes/object';
import { isPodOf, trappedPods } from '../../../core/rollbackPlan/objects/statefulSets';
import { numberAt } from '../../../core/kubernetes/read';
import type { Lease, RolloutContext } from '../../../core/releaseContext';

const pollMs = 2_000;

type PodContext = RolloutContext & { lease: Lease };

/** While `act` runs, deletes the pods for which these StatefulSets would wait in vain (kubernetes#67250), each once. */
export async function deletingTrappedPods<T>(
  context: PodContext,
  sets: readonly ObjectRef[],
  act: () => Promise<T>,
): Promise<T> {
  if (sets.length === 0) return act();
  const ended = new AbortController();
  const deleting = keepDeleting(context, sets, AbortSignal.any([context.signal, ended.signal]));
  try {
    return await act();
  } finally {
    ended.abort();
    await deleting;
  }
}

async function keepDeleting(context: PodContext, sets: readonly ObjectRef[], signal: AbortSignal): Promise<void> {
  const done = new Set<string>();
  const logged = new Set<string>();
  while (!signal.aborted) {
    for (const ref of sets) {
      await deleteTrapped(context, ref, done).catch((thrown: unknown) => {
        const { message } = asTaskError(thrown);
        if (!signal.aborted && !logged.has(message)) context.agent.log(message);
        logged.add(message);
      });
    }
    await context.clock.sleep(pollMs, signal);
  }
}

async function deleteTrapped({ agent, cluster, lease }: PodContext, ref: ObjectRef, done: Set<string>): Promise<void> {
  const set = await cluster.get(ref);
  const { namespace } = ref;
  if (set === undefined || namespace === undefined) return;
  // Until its controller has seen the new template, no pod has the wrong revision.
  if (numberAt(set, 'status', 'observedGeneration') !== (set.metadata.generation ?? 0)) return;
  const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, isPodOf([set]));
  for (const { metadata } of trappedPods(set, pods, false)) {
    const { uid, name } = metadata;
    if (uid === undefined || done.has(uid)) continue;
    done.add(uid);
    await lease.confirm();
    await cluster.delete({ apiVersion: 'v1', kind: 'Pod', namespace, name }, { uid });
    agent.log(`  Pod/${name}, which ${ref.kind}/${ref.name} would never replace, is deleted (allowPodDelete).`);
  }
}
