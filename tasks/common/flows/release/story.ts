import type { Ending } from '../../core/report/ending';
import { appliedLast, isVerified } from '../../core/release/history';
import type { DeployReport, Evidence, ReportedLeftover, ReportedObject, ServingHealth } from '../../core/report/report';
import type { Revision } from '../../core/release/release';
import type { Clock, ReleaseStorage } from '../../core/ports';
import type { Work } from '../../core/lock/work';

export interface Serving {
  revision: number;
  health: ServingHealth;
}

/** The serving revision according to Helm's history. Its health is unknown because nobody has judged it yet. */
export function servingIn(history: readonly Revision[]): Serving | null {
  const applied = appliedLast(history);
  return applied === undefined ? null : { revision: applied.revision, health: 'unknown' };
}

/** All that a deploy has learned so far. The report is made from it, however the deploy ends. */
export interface Story {
  startedAt: Date;
  /** The present phase, as the log names it. */
  phase: string;
  helmVersion: string;
  chart: string;
  appVersion: string;
  revisionBefore: number | null;
  /** The revision that was applied last, and its last known health; null where this is not known. */
  serving: Serving | null;
  /** The first problem that was found. Later problems are reported after it. */
  found: Ending | undefined;
  objects: readonly ReportedObject[];
  evidence: Evidence[];
  leftovers: ReportedLeftover[];
  /** An earlier run left the release half done, and this run has recovered it. */
  recovered: boolean;
  /** A change was begun, so there may be something to settle. */
  hasBegun: boolean;
  /** The change that was begun last. */
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
  };
}
