import { onlyDeletionsOf, type FencedWrite, type FencePolicy, type FenceRecord } from '../fence';
import { apiGroup } from '../manifest';
import { helmMayDelete, helmMayWrite, ownDeletions } from './execution';
import type { RollbackPlan } from './types';

/**
 * What Helm is let do in the execution of a plan: write what the target declares, its hooks and its own records; delete
 * what the plan leaves to it, and what it has made itself.
 */
export function fencePolicy(plan: RollbackPlan, storage: 'Secret' | 'ConfigMap'): Required<FencePolicy> {
  const mayDelete = onlyDeletionsOf(helmMayDelete(plan));
  const isPlanned = onlyDeletionsOf(helmMayWrite(plan));
  const records = storage === 'Secret' ? 'secrets' : 'configmaps';
  return {
    mayDelete: (write) => write.isMadeHere || mayDelete.mayDelete(write),
    mayWrite: (write) => {
      if (write.isStorage || write.isMadeHere || isPlanned.mayDelete(write)) return true;
      // Helm sends a new record as protobuf: its name is not known before the API server has answered.
      return (
        write.verb === 'create' && write.name === undefined && write.apiVersion === 'v1' && write.resource === records
      );
    },
  };
}

/** Deletions that were held back and that the task does not do itself at the end: no Helm of that version asks for them. */
export function unplannedDeletions(plan: RollbackPlan, { heldBack }: Pick<FenceRecord, 'heldBack'>): FencedWrite[] {
  const key = (apiVersion: string, kind: string, namespace: string | undefined, name: string): string =>
    [apiGroup(apiVersion), kind, namespace ?? '', name].join('/');
  const planned = new Set(ownDeletions(plan).map(({ ref }) => key(ref.apiVersion, ref.kind, ref.namespace, ref.name)));
  return heldBack.filter(({ ref }) => !planned.has(key(ref.apiVersion, ref.kind, ref.namespace, ref.name)));
}
