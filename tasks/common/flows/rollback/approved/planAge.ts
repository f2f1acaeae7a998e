import { formatDuration } from '../../../core/inputs/duration';
import { TaskError } from '../../../core/failure';
import { oldestPlanAge } from '../../../core/rollbackPlan/document/keptPlan';
import type { Cluster } from '../../../core/ports';
import type { RollbackTaskRequest } from '../../../core/inputs/rollbackRequest';
import type { ApprovedPlan } from './approvedPlan';

interface Context {
  cluster: Pick<Cluster, 'serverTime'>;
  request: Pick<RollbackTaskRequest, 'maxPlanAgeSeconds'>;
}

/** How far the clocks of a cluster's API servers may differ. */
const clockDifferenceSeconds = 60;

/**
 * Throws `PlanExpired` unless the plan is certainly no older than the pipeline allows, by the API server's clock.
 * Throws it also for a plan that was made in the future.
 */
export async function refuseOld(
  { cluster, request }: Context,
  approved: Pick<ApprovedPlan, 'madeAt'> | undefined,
): Promise<void> {
  if (approved === undefined) return;
  const now = await cluster.serverTime();
  const aheadSeconds = (approved.madeAt.getTime() - now.getTime()) / 1000;
  if (aheadSeconds > clockDifferenceSeconds) {
    const ahead = `The plan says that it was made at ${approved.madeAt.toISOString()}, which is ${formatDuration(aheadSeconds)} ahead of the API server's clock (${now.toISOString()}).`;
    throw new TaskError('PlanExpired', ahead);
  }
  const age = oldestPlanAge(approved.madeAt, now);
  if (age <= request.maxPlanAgeSeconds) return;
  const message = `The plan was made up to ${formatDuration(age)} ago, and maxPlanAge is ${formatDuration(request.maxPlanAgeSeconds)}.`;
  throw new TaskError('PlanExpired', message);
}
