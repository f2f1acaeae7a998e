import { appliedLast } from '../../../core/release/history';
import type { ChangePlan } from '../../../core/rollbackPlan/model/types';
import {
  planLines,
  type RollbackEnding,
  type RollbackReport,
} from '../../../core/rollbackPlan/document/rollbackReport';
import { sentence } from '../../../core/report/ending';
import { asTaskError } from '../../../core/failure';
import { endWork } from '../../release/change';
import { group, later } from '../../steps/phase';
import { planPlain } from './planWorkloads';
import { planRelease } from './planRelease';
import {
  endingOfThrown,
  newRollbackProgress,
  rollbackEnding,
  rollbackReport,
  wellRolledBack,
  type RollbackProgress,
} from './rollbackProgress';
import type { PlainStart, ReleaseRollbackStart } from '../../../core/releaseContext';

/** A report, and its plan if one was made. */
export interface ReportedRollback {
  report: RollbackReport;
  plan: ChangePlan | undefined;
}

/** Plans the rollback of a release, logs the plan and keeps it. Throws nothing. */
export function planForRelease(start: ReleaseRollbackStart): Promise<ReportedRollback> {
  return reporting(start, async (progress, salt) => {
    const history = await start.storage.history();
    progress.revision = appliedLast(history)?.revision ?? null;
    return (await planRelease(start, history, salt)).plan;
  });
}

/** Does the same for plain workloads. */
export function planForWorkloads(start: PlainStart): Promise<ReportedRollback> {
  const { subject } = start.request;
  const names = subject.kind === 'workloads' ? subject.workloads : [];
  return reporting(start, async () => (await planPlain(start, names)).plan);
}

async function reporting(
  start: PlainStart,
  make: (progress: RollbackProgress, salt: string) => Promise<ChangePlan>,
): Promise<ReportedRollback> {
  const progress = newRollbackProgress(start.clock.now());
  const ending = await planned(start, progress, make).catch((thrown: unknown) =>
    endingOfThrown(thrown, progress, start.signal),
  );
  endWork(start.agent);
  return { report: rollbackReport(start, progress, ending), plan: progress.plan };
}

async function planned(
  start: PlainStart,
  progress: RollbackProgress,
  make: (progress: RollbackProgress, salt: string) => Promise<ChangePlan>,
): Promise<RollbackEnding> {
  const salt = start.newSalt();
  const plan = await group(start, 'Plan the rollback', () => make(progress, salt));
  progress.plan = plan;
  for (const line of planLines(plan)) start.agent.log(line);
  await keepPlan(start, plan, salt);
  return plan.risk === 'refused' ? refusedPlan(plan) : { ...wellRolledBack, outcome: 'planned' };
}

/** The ending of a refused plan. `state` is a sentence about what was done before the refusal. */
export function refusedPlan(plan: ChangePlan, state?: string): RollbackEnding {
  return rollbackEnding('refused', 'PlanRefused', refusalOf(plan, state));
}

/** Why a plan is refused, in sentences. */
export function refusalOf({ findings }: ChangePlan, state = 'Nothing was changed.'): string {
  const refusals = findings.filter(({ severity }) => severity === 'refusal');
  const message = refusals.map(({ code, message: said }) => `${code}: ${sentence(said)}`).join(' ');
  return `${message} ${state}`;
}

type Keeping = Pick<PlainStart, 'agent' | 'cluster' | 'plans'> & {
  request: Pick<PlainStart['request'], 'maxPlanAgeSeconds'>;
};

/**
 * Keeps a plan for the run that carries it out, and removes the plans that have expired. A refused plan is not kept.
 */
export async function keepPlan(
  { agent, cluster, plans, request }: Keeping,
  plan: ChangePlan,
  salt: string,
): Promise<void> {
  const now = await cluster.serverTime();
  if (plan.risk !== 'refused') await plans.keep({ plan, salt, expiresAt: later(now, request.maxPlanAgeSeconds) });
  try {
    await plans.prune(now);
  } catch (thrown) {
    agent.log(`Old plans could not be removed: ${asTaskError(thrown).message}`);
  }
}
