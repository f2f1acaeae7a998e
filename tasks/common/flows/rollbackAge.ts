import { formatDuration } from '../core/duration';
import { TaskError } from '../core/failure';
import { oldestPlanAge } from '../core/keptPlan';
import type { Cluster } from '../core/ports';
import type { RollbackTaskRequest } from '../core/rollbackRequest';
import type { ApprovedPlan } from './approvedPlan';

interface Context {
  cluster: Pick<Cluster, 'serverTime'>;
  request: Pick<RollbackTaskRequest, 'maxPlanAgeSeconds'>;
}

/** Throws `PlanExpired` unless the plan is surely no older than the pipeline allows, by the API server's clock. */
export async function refuseOld(
  { cluster, request }: Context,
  approved: Pick<ApprovedPlan, 'madeAt'> | undefined,
): Promise<void> {
  if (approved === undefined) return;
  const age = oldestPlanAge(approved.madeAt, await cluster.serverTime());
  if (age <= request.maxPlanAgeSeconds) return;
  const message = `The plan was made up to ${formatDuration(age)} ago, and maxPlanAge is ${formatDuration(request.maxPlanAgeSeconds)}.`;
  throw new TaskError('PlanExpired', message);
}
