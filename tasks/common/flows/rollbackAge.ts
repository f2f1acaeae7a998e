import { duration } from '../core/ending';
import { TaskError } from '../core/failure';
import type { PlainStart } from '../core/rollbackContext';
import type { ApprovedPlan } from './approvedPlan';

/** Throws `PlanExpired` for a plan that is older than the pipeline allows, by the API server's clock. */
export async function refuseOld(
  { cluster, request }: Pick<PlainStart, 'cluster' | 'request'>,
  approved: ApprovedPlan | undefined,
): Promise<void> {
  if (approved === undefined) return;
  const age = ((await cluster.serverTime()).getTime() - approved.madeAt.getTime()) / 1000;
  if (age <= request.maxPlanAgeSeconds) return;
  const message = `The plan was made ${duration(age)} ago, and maxPlanAge is ${duration(request.maxPlanAgeSeconds)}.`;
  throw new TaskError('PlanExpired', message);
}
