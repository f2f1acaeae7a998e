import { TaskError } from '../../core/failure';
import type { Rendered } from '../../core/ports';
import { stopIfCancelled, type DeployContext } from '../../core/releaseContext';
import { isSameDigest } from '../../core/rollbackPlan/document/document';
import { approvedPlan, logPlan, sameOrRefused } from '../rollback/approved/approvedPlan';
import { refuseOld } from '../rollback/approved/planAge';
import { refusalOf } from '../rollback/plan/makePlan';
import type { DeployProgress } from '../release/deployProgress';
import { inPhase } from './failedDeploy';
import { planUpgrade } from './planUpgrade';

/**
 * With planDigest, plans the deploy again before anything is changed. Throws `PlanMissing`, `PlanExpired`,
 * `PlanChanged` or `PlanRefused` unless the deploy would still do what that plan says.
 */
export async function refuseOtherPlan(
  context: DeployContext,
  progress: DeployProgress,
  rendered: Promise<Rendered>,
): Promise<void> {
  const { agent, plans, request, signal } = context;
  const { planDigest } = request;
  if (planDigest === undefined) return;
  const isKept = (await plans.find(planDigest)).found !== 'nothing';
  const approved = isKept ? await approvedPlan(context, progress) : undefined;
  await refuseOld(context, approved);
  const { plan, isKeepable } = await inPhase(context, progress, 'Plan the deploy again', () =>
    planUpgrade(context, approved?.salt ?? '', rendered),
  );
  stopIfCancelled(signal);
  // The plan of a deploy into a new namespace is kept nowhere, and its digest is that of its content.
  if (approved === undefined && !isSameDigest(plan.digest, planDigest)) {
    if (isKeepable) {
      await approvedPlan(context, progress);
      return;
    }
    throw new TaskError('PlanChanged', changedUnknown);
  }
  progress.plan = plan;
  await sameOrRefused(context, progress, approved, plan);
  logPlan({ agent }, progress.plan);
  if (plan.risk === 'refused') throw new TaskError('PlanRefused', refusalOf(plan));
}

const changedUnknown =
  'This is no longer the deploy that was planned. Its plan could not be kept, because the namespace does not exist yet, so the differences are not known.';
