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

/** What Helm's history says of what serves: nobody has looked at it yet. */
export function servingIn(history: readonly Revision[]): Serving | null {
  const applied = appliedLast(history);
  return applied === undefined ? null : { revision: applied.revision, health: 'unknown' };
}

/** What a deploy has come to know; the report is made from it, however the deploy ends. */
export interface Story {
  startedAt: Date;
  /** What it is at, as its log calls it. */
  phase: string;
  helmVersion: string;
  chart: string;
  appVersion: string;
  revisionBefore: number | null;
  /** The revision that was applied last, and how it was seen last; null where that is not known. */
  serving: Serving | null;
  /** What was found wrong first: whatever goes wrong later is told after it. */
  found: Ending | undefined;
  objects: readonly ReportedObject[];
  evidence: Evidence[];
  leftovers: ReportedLeftover[];
  /** An earlier run had left the release half done, and this one has put it in order. */
  recovered: boolean;
  /** A change was begun, so that there may be something to put in order. */
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
