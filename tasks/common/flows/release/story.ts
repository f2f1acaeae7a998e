import type { Ending } from '../../core/report/ending';
import { appliedLast, isVerified } from '../../core/release/history';
import type { DeployReport, Evidence, ReportedLeftover, ReportedObject, ServingHealth } from '../../core/report/report';
import type { ServicePods } from '../../core/release/servicePods';
import type { Revision } from '../../core/release/release';
import type { Clock, ReleaseStorage } from '../../core/ports';
import type { Work } from '../../core/lock/work';

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
export interface Story {
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
  evidence: Evidence[];
  leftovers: ReportedLeftover[];
  /** When the API server stored the revision that this run created. */
  createdAt: Date | undefined;
  /** Empty if the deploy ended well, or if the pods could not be read. */
  services: readonly ServicePods[];
  /** This run has recovered a release that an earlier run left half done. */
  recovered: boolean;
  hasBegun: boolean;
  lastWork: Work | undefined;
}

export function newStory(now: Date): Story {
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
    createdAt: undefined,
    services: [],
    recovered: false,
    hasBegun: false,
    lastWork: undefined,
  };
}

interface Told {
  request: { releaseName: string };
  namespace: string;
  storage: ReleaseStorage;
  clock: Clock;
}

export async function reportOf(context: Told, story: Story, ending: Ending): Promise<DeployReport> {
  const { request, namespace } = context;
  const history = await context.storage.history().catch(() => []);
  return {
    schemaVersion: 1,
    task: 'HelmSafeDeploy',
    release: request.releaseName,
    namespace,
    outcome: ending.outcome,
    reason: ending.reason,
    reasonGroup: ending.reasonGroup,
    timedOut: ending.timedOut,
    message: ending.message,
    advice: ending.advice,
    failedWorkload: ending.failedWorkload,
    revisionBefore: story.revisionBefore,
    revision: history.at(-1)?.revision ?? null,
    verifiedRevision: history.findLast(isVerified)?.revision ?? null,
    servingRevision: story.serving?.revision ?? null,
    servingHealth: story.serving?.health ?? 'unknown',
    chart: story.chart,
    appVersion: story.appVersion,
    helmVersion: story.helmVersion,
    startedAt: story.startedAt.toISOString(),
    finishedAt: context.clock.now().toISOString(),
    objects: story.objects,
    evidence: story.evidence,
    leftovers: story.leftovers,
    ...(story.services.length === 0 ? {} : { services: story.services }),
  };
}
