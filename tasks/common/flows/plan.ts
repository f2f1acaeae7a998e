import type { PlainStart, ReleaseRollbackStart } from '../core/rollbackContext';
import type { RollbackPlan } from '../core/rollbackPlan/types';
import { planLines, type RollbackEnding, type RollbackReport } from '../core/rollbackReport';
import { sentence } from '../core/ending';
import { asTaskError } from '../core/failure';
import { group } from './phase';
import { planPlain } from './planPlain';
import { planRelease } from './planRelease';
import {
  endingOfThrown,
  newRollbackStory,
  rollbackEnding,
  rollbackReport,
  wellRolledBack,
  type RollbackStory,
} from './rollbackStory';

/** A report, and the plan that it is about where one came about. */
export interface ToldRollback {
  report: RollbackReport;
  plan: RollbackPlan | undefined;
}

/** Plans the rollback of a release, shows and keeps the plan. Throws nothing. */
export function planForRelease(start: ReleaseRollbackStart): Promise<ToldRollback> {
  return telling(start, async (story) => {
    const history = await start.storage.history();
    story.revision = history.at(-1)?.status === 'deployed' ? (history.at(-1)?.revision ?? null) : null;
    return (await planRelease(start, history)).plan;
  });
}

/** The same for plain workloads. */
export function planForWorkloads(start: PlainStart): Promise<ToldRollback> {
  const { subject } = start.request;
  const names = subject.kind === 'workloads' ? subject.workloads : [];
  return telling(start, async () => (await planPlain(start, names)).plan);
}

async function telling(
  start: PlainStart,
  make: (story: RollbackStory) => Promise<RollbackPlan>,
): Promise<ToldRollback> {
  const story = newRollbackStory(start.clock.now());
  const ending = await planned(start, story, make).catch((thrown: unknown) =>
    endingOfThrown(thrown, story, start.signal),
  );
  return { report: rollbackReport(start, story, ending), plan: story.plan };
}

async function planned(
  start: PlainStart,
  story: RollbackStory,
  make: (story: RollbackStory) => Promise<RollbackPlan>,
): Promise<RollbackEnding> {
  const plan = await group(start, 'Plan the rollback', () => make(story));
  story.plan = plan;
  for (const line of planLines(plan)) start.agent.log(line);
  await keepPlan(start, plan);
  return plan.risk === 'refused' ? refusedPlan(plan) : { ...wellRolledBack, outcome: 'planned' };
}

export function refusedPlan({ findings }: RollbackPlan): RollbackEnding {
  const refusals = findings.filter(({ severity }) => severity === 'refusal');
  const message = refusals.map(({ code, message: said }) => `${code}: ${sentence(said)}`).join(' ');
  return rollbackEnding('refused', 'PlanRefused', `${message} Nothing was changed.`);
}

/** Keeps it for whoever carries it out, and removes those that are too old for that. What is refused is not kept. */
export async function keepPlan(
  { agent, cluster, plans, request }: Pick<PlainStart, 'agent' | 'cluster' | 'plans' | 'request'>,
  plan: RollbackPlan,
): Promise<void> {
  const now = await cluster.serverTime();
  if (plan.risk !== 'refused') await plans.keep(plan, now);
  try {
    await plans.prune(new Date(now.getTime() - request.maxPlanAgeSeconds * 1000));
  } catch (thrown) {
    agent.log(`Old plans could not be removed: ${asTaskError(thrown).message}`);
  }
}
