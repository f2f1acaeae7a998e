import type { Answered, AzureRun, RunAttachments } from '../../core/approval/judgeApproval';
import { TaskError } from '../../core/failure';
import { endingFor } from '../../core/report/ending';
import { readAttachmentName } from '../../core/report/attachmentName';
import {
  fleetList,
  fleetPlanOf,
  fleetSummary,
  hasFailed,
  judgeFleet,
  memberWords,
  succeededJobsOf,
  type FleetList,
  type FleetMember,
  type FleetPlan,
  type FleetQuestion,
} from '../../core/report/fleet';
import type { HealthReport } from '../../core/report/healthReport';
import { reportAttachmentType, type ReportedObject } from '../../core/report/report';
import type { Agent, Clock } from '../../core/ports';

interface FleetContext {
  agent: Agent;
  azure: RunAttachments & Pick<AzureRun, 'timeline'>;
  clock: Clock;
}

/** Judges the clusters of a ring by the reports that this run has attached. */
export async function checkFleet(
  { agent, azure, clock }: FleetContext,
  question: FleetQuestion,
  stage: string,
): Promise<HealthReport> {
  const startedAt = clock.now();
  const [attachments, timeline] = [await azure.attachments(reportAttachmentType), await azure.timeline()];
  const problem = [attachments, timeline].find((answer) => !answer.isKnown);
  const base = { ...noRelease, ring: question.ring || 'all', startedAt: startedAt.toISOString() };
  if (!attachments.isKnown || !timeline.isKnown) {
    const message = problem?.isKnown === false ? problem.problem : '';
    const { outcome: _, ...ending } = endingFor('failed', 'TransientFailure', message);
    return { ...base, health: 'unknown', ...ending, finishedAt: clock.now().toISOString(), objects: [] };
  }
  const names = attachments.value.flatMap(({ name }) => readAttachmentName(name) ?? []);
  const verdict = judgeFleet(question, names, succeededJobsOf(timeline.value, stage));
  for (const member of verdict.members) agent.log(`${member.cluster}: ${memberWords(member)}`);
  const message = fleetSummary(question, verdict);
  const failed = verdict.members.find(hasFailed);
  const { outcome: _, ...ending } = endingFor('failed', 'ClustersFailed', message);
  return {
    ...base,
    health: verdict.isHealthy ? 'healthy' : 'unhealthy',
    failedClusters: verdict.failed,
    ...(verdict.isHealthy ? noFailure : { ...ending, failedWorkload: `Cluster/${failed?.cluster ?? ''}` }),
    finishedAt: clock.now().toISOString(),
    objects: verdict.members.map((member) => objectOf(member, question.ring)),
  };
}

const noFailure = { reason: '', reasonGroup: '', message: '', advice: '', failedWorkload: '', timedOut: false };

const noRelease = {
  schemaVersion: 1,
  task: 'RolloutHealthCheck',
  namespace: '',
  release: '',
  revision: null,
  rollbackRevision: null,
  canRollBack: false,
  markedVerified: false,
  evidence: [],
} as const;

function objectOf(member: FleetMember, ring: string): ReportedObject {
  const { cluster, state } = member;
  const words = { good: ['healthy', 'Current'], unreported: ['unknown', 'Unknown'] } as const;
  const [health, status] = state === 'good' || state === 'unreported' ? words[state] : (['failed', 'Failed'] as const);
  return {
    kind: 'Cluster',
    apiVersion: '',
    name: cluster,
    namespace: ring,
    health,
    status,
    reason: state === 'good' ? '' : 'ClustersFailed',
    message: state === 'good' ? '' : memberWords(member),
    since: '',
    brokenBefore: '',
    isPreexisting: false,
  };
}

/** Lists the newest plan of each cluster of this run. Throws `PlanMissing` if there is none. */
export async function collectPlans({ azure, clock }: FleetContext): Promise<FleetList> {
  const attachments = valueOf(await azure.attachments(reportAttachmentType));
  const newest = new Map<string, { attempt: number; read: () => Promise<Answered<unknown>>; plan: PlanName }>();
  for (const attachment of attachments) {
    const name = readAttachmentName(attachment.name);
    if (name?.kind !== 'plan' || name.cluster === '') continue;
    const known = newest.get(name.cluster);
    if (known !== undefined && known.attempt > name.attempt) continue;
    const read = () => azure.attachment(reportAttachmentType, attachment);
    newest.set(name.cluster, { attempt: name.attempt, read, plan: name });
  }
  const plans: FleetPlan[] = [];
  for (const { read, plan } of newest.values()) {
    if (plan.outcome !== 'planned') continue;
    const found = fleetPlanOf(plan, valueOf(await read()));
    if (found !== undefined) plans.push(found);
  }
  if (plans.length === 0) throw new TaskError('PlanMissing', 'No cluster of this run has a plan.');
  return fleetList(plans, clock.now());
}

type PlanName = NonNullable<ReturnType<typeof readAttachmentName>>;

/** Throws `TransientFailure` where Azure DevOps has not answered. */
export function valueOf<Value>(answer: Answered<Value>): Value {
  if (answer.isKnown) return answer.value;
  throw new TaskError('TransientFailure', answer.problem);
}
