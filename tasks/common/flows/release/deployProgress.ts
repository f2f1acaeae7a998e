import type { ReportedDrift } from '../../core/report/drift';
import type { Ending } from '../../core/report/ending';
import { appliedLast, isVerified } from '../../core/release/history';
import type {
  DeployReport,
  ReportedDefinition,
  ReportedEvidence,
  ReportedLeftover,
  ReportedObject,
  ReportedRemoval,
  ReportedTest,
  ServingHealth,
} from '../../core/report/report';
import { reportedReservations } from '../../core/report/ending';
import type { Reservation } from '../../core/rollout/reservations';
import type { ReportedMetric } from '../../core/report/metrics';
import type { ServicePods } from '../../core/release/servicePods';
import type { Removal } from '../../core/release/removal';
import type { Revision } from '../../core/release/release';
import type { Work } from '../../core/lock/work';
import type { ChangePlan } from '../../core/rollbackPlan/model/types';
import { hookRuns, phasesOf } from './reportedPhases';
import { reportedHistory } from './reportedHistory';
import type { ReleaseContext } from '../../core/releaseContext';

export interface Serving {
  revision: number;
  health: ServingHealth;
}

/** The health is unknown because nobody has judged the revision yet. */
export function servingIn(history: readonly Revision[]): Serving | null {
  const applied = appliedLast(history);
  return applied === undefined ? null : { revision: applied.revision, health: 'unknown' };
}

/** All that a deploy knows so far, for its report. */
export interface DeployProgress {
  startedAt: Date;
  phase: string;
  helmVersion: string;
  chart: string;
  appVersion: string;
  revisionBefore: number | null;
  /** The revision that was applied last, if it is known. */
  serving: Serving | null;
  /** The first problem. Later ones are reported after it. */
  found: Ending | undefined;
  objects: readonly ReportedObject[];
  evidence: ReportedEvidence[];
  leftovers: ReportedLeftover[];
  /** The definitions of the chart and their changes by the input `crds`. */
  definitions: readonly ReportedDefinition[];
  /** The objects that an uninstall deletes and keeps. */
  removals: readonly Removal[];
  /** The tests of the chart that this run has run. */
  tests: readonly ReportedTest[];
  /** The metrics that were measured while the revision was baking. */
  metrics: readonly ReportedMetric[];
  /** When the API server stored the revision that this run created. */
  createdAt: Date | undefined;
  /** Empty if the deploy ended well, or if the pods could not be read. */
  services: readonly ServicePods[];
  /** Why the serving revision is not verified, although it is healthy. */
  reservations: readonly Reservation[];
  /** Undefined if drift was not looked for. */
  drift: readonly ReportedDrift[] | undefined;
  /** This run has recovered a release that an earlier run left half done. */
  recovered: boolean;
  hasBegun: boolean;
  lastWork: Work | undefined;
  /** The plan that was made now, or the one that the deploy was given. */
  plan: ChangePlan | undefined;
  /** How the deploy differs from its plan, in sentences. */
  differences: readonly string[];
}

export function newDeployProgress(now: Date): DeployProgress {
  return {
    startedAt: now,
    phase: 'wait for the lock',
    helmVersion: '',
    chart: '',
    appVersion: '',
    revisionBefore: null,
    serving: null,
    found: undefined,
    objects: [],
    evidence: [],
    leftovers: [],
    definitions: [],
    removals: [],
    tests: [],
    metrics: [],
    createdAt: undefined,
    services: [],
    reservations: [],
    drift: undefined,
    recovered: false,
    hasBegun: false,
    lastWork: undefined,
    plan: undefined,
    differences: [],
  };
}

function plannedFacts({
  plan,
  differences,
}: DeployProgress): Pick<DeployReport, 'planDigest' | 'risk' | 'deletions' | 'differences'> {
  if (plan === undefined) return {};
  const facts = { planDigest: plan.digest, risk: plan.risk, deletions: plan.deletions };
  return differences.length === 0 ? facts : { ...facts, differences };
}

function reportedRemoval({ ref, fate, why }: Removal): ReportedRemoval {
  const { kind, name, namespace = '' } = ref;
  return { kind, name, namespace, fate, why };
}

export async function reportOf(
  {
    clock,
    namespace,
    request,
    storage,
    phases,
  }: Pick<ReleaseContext, 'clock' | 'namespace' | 'storage' | 'phases'> & { request: { releaseName: string } },
  progress: DeployProgress,
  ending: Ending,
): Promise<DeployReport> {
  const history = await storage.history().catch(() => []);
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: request.releaseName,
    namespace,
    ...ending,
    revisionBefore: progress.revisionBefore,
    revision: history.at(-1)?.revision ?? null,
    verifiedRevision: history.findLast(isVerified)?.revision ?? null,
    servingRevision: progress.serving?.revision ?? null,
    servingHealth: progress.serving?.health ?? 'unknown',
    chart: progress.chart,
    appVersion: progress.appVersion,
    helmVersion: progress.helmVersion,
    startedAt: progress.startedAt.toISOString(),
    finishedAt: clock.now().toISOString(),
    objects: progress.objects,
    evidence: progress.evidence,
    leftovers: progress.leftovers,
    ...plannedFacts(progress),
    ...phasesOf(phases, hookRuns(history, progress.startedAt)),
    ...(history.length === 0 ? {} : { history: reportedHistory(history) }),
    ...(progress.drift === undefined ? {} : { drift: progress.drift }),
    ...listsOf(progress),
  };
}

/** The lists that only some reports have. */
function listsOf({ definitions, metrics, removals, reservations, services, tests }: DeployProgress) {
  return {
    ...(definitions.length === 0 ? {} : { definitions }),
    ...(removals.length === 0 ? {} : { removals: removals.map(reportedRemoval) }),
    ...(tests.length === 0 ? {} : { tests }),
    ...(metrics.length === 0 ? {} : { metrics }),
    ...(reservations.length === 0 ? {} : { reservations: reportedReservations(reservations) }),
    ...(services.length === 0 ? {} : { services }),
  };
}
