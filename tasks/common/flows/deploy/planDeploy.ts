import { endingFor, wellEnded, type Ending } from '../../core/report/ending';
import type { DeployReport } from '../../core/report/report';
import type { DeployStart } from '../../core/releaseContext';
import { countsText, riskWords } from '../../core/rollbackPlan/document/markdown';
import { planLines } from '../../core/rollbackPlan/document/rollbackReport';
import type { ChangePlan } from '../../core/rollbackPlan/model/types';
import { endWork } from '../release/change';
import { newDeployProgress, reportOf, servingIn, type DeployProgress } from '../release/deployProgress';
import { keepPlan, refusalOf } from '../rollback/plan/makePlan';
import { group } from '../steps/phase';
import { endingOfError } from './endingOfError';
import { planUpgrade } from './planUpgrade';

/** A report, and its plan if one was made. */
export interface PlannedDeploy {
  report: DeployReport;
  plan: ChangePlan | undefined;
}

/**
 * Plans the deploy, logs the plan and keeps it in the namespace, if there is one. Changes nothing else and takes no
 * lock. Throws nothing.
 */
export async function planDeploy(start: DeployStart): Promise<PlannedDeploy> {
  const progress = newDeployProgress(start.clock.now());
  start.request.warnings.forEach((warning) => { start.agent.warning(warning); }); // prettier-ignore
  endWork(start.agent);
  const ending = await planned(start, progress).catch((thrown: unknown) =>
    endingOfError(thrown, undefined, start.signal),
  );
  const report = await reportOf(start, progress, ending);
  return { report: { ...report, action: 'plan' }, plan: progress.plan };
}

async function planned(start: DeployStart, progress: DeployProgress): Promise<Ending> {
  progress.serving = servingIn(await start.storage.history());
  progress.revisionBefore = progress.serving?.revision ?? null;
  const salt = start.newSalt();
  const { plan, isKeepable } = await group(start, 'Plan the deploy', () => planUpgrade(start, salt));
  progress.plan = plan;
  progress.helmVersion = plan.helm?.version ?? '';
  progress.chart = plan.target?.chart ?? '';
  progress.appVersion = plan.target?.appVersion ?? '';
  for (const line of planLines(plan)) start.agent.log(line);
  if (isKeepable) await keepPlan(start, plan, salt);
  if (plan.risk === 'refused') return endingFor('refused', 'PlanRefused', refusalOf(plan));
  return { ...wellEnded, outcome: 'planned', message: `${riskWords(plan)} Objects: ${countsText(plan)}.` };
}
