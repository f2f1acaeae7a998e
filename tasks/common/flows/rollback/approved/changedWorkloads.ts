import type { ObjectRef } from '../../../core/kubernetes/object';
import { refOfPlanned } from '../../../core/rollbackPlan/execution/execution';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';

/** The objects of the target that the rollback has written. */
export function changedWorkloads({ objects }: ChangePlan): ObjectRef[] {
  return objects.filter(({ fate, isInTarget }) => isInTarget && fate !== 'kept').map(refOfPlanned);
}
