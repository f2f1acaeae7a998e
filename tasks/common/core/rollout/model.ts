import type { ObjectRef } from '../kubernetes/object';
import type { ObjectStatus, StatusRule } from '../status/objectStatus';
import type { CauseCode, Grace, ReasonGroup } from './causes';
import type { LogRequest, Question, RunEnd } from './facts';
import type { Evidence, Finding } from './finding';
import type { FollowedObject, UnreadKind } from './snapshot';
import type { Family } from './family';

export interface RolloutPolicy {
  /** False: every workload is followed until the deadline. */
  failFast: boolean;
  /** The time by which the rollout must be healthy. */
  deadline: Date;
  /**
   * True if every followed object has been applied. Before that, no object counts as missing, and the rollout as a
   * whole is not healthy.
   */
  isApplied: boolean;
  /**
   * The time that a workload must be healthy without a restart. Absent: 10 s if no container has a readiness probe,
   * otherwise 0.
   */
  stableForSeconds?: number;
  /** Graces that replace those of `causes`. */
  graces: Readonly<Partial<Record<CauseCode, Grace>>>;
  statusRules: readonly StatusRule[];
  /** If true, a workload that keeps pods of an earlier template (it is paused, or updates on delete) is not healthy. */
  everyPod?: boolean;
}

export type Health = 'healthy' | 'progressing' | 'failed' | 'unknown';

export interface Cause {
  code: CauseCode;
  group: ReasonGroup;
  detail?: string;
  subject: ObjectRef;
  message: string;
  isCertain: boolean;
  /** When the cause was first seen, by the agent's clock, as ISO time. */
  since: string;
  evidence: readonly Evidence[];
  logs: readonly LogRequest[];
  whoActs: string;
  nextStep: string;
}

export interface WorkloadVerdict {
  key: string;
  ref: ObjectRef;
  purpose: FollowedObject['purpose'];
  health: Health;
  status: ObjectStatus;
  /** The cause of the failure; set only with `failed`. */
  cause?: Cause;
  /** Problems that are not (yet) hopeless, one of each code and text. The one that explains most comes first. */
  suspects: readonly Cause[];
  /** True if the workload failed because the deadline passed. */
  timedOut: boolean;
  /**
   * True if the workload was not healthy before and the rollout has not touched it. It does not count for the rollout.
   */
  isPreexisting: boolean;
  /** The failure from before the rollout, even if the rollout has touched the object. */
  brokenBefore?: { reason: string; message: string };
}

export interface RolloutVerdict {
  health: Health;
  workloads: readonly WorkloadVerdict[];
  /**
   * The workload that decides `health`: the failed workload whose cause explains most, otherwise the first workload
   * that is not healthy.
   */
  decisive?: WorkloadVerdict;
  timedOut: boolean;
  /** The kinds that could not be read. If pods or events are among them, causes may be missing. */
  unread: readonly UnreadKind[];
  /** The time at which the verdict may change even if nothing in the cluster changes, as ISO time. */
  recheckAt?: string;
  /** What is worth reading before the next judgement. */
  questions: readonly Question[];
  /** The memory to pass to the next judgement. */
  memory: RolloutMemory;
}

/**
 * The facts that one judgement keeps for the next. Plain data that survives JSON. Times are milliseconds since 1970, by
 * the agent's clock.
 */
export interface RolloutMemory {
  baseline?: Readonly<Record<string, BaselineEntry>>;
  /** Events that existed before the rollout: their counts, by uid. */
  baselineEvents?: Readonly<Record<string, number>>;
  findings: Readonly<Record<string, Sighting>>;
  workloads: Readonly<Record<string, WorkloadMemory>>;
}

export interface BaselineEntry {
  uid: string;
  generation: number;
  isHealthy: boolean;
  reason: string;
  message: string;
  progressingSince: string;
  /**
   * True if the rollback restores an object that was already broken in the restored revision. The rollback is not to
   * blame if the object is broken again.
   */
  isBroughtBack?: boolean;
}

export interface Sighting {
  seen: number;
  /** The start of the grace; later than `seen` if something held the grace. */
  first: number;
  /** When the finding was last known to exist. */
  last: number;
  /** True if the last judgement did not see the finding any more. */
  isGone: boolean;
  /** The number of ended runs of the container; `endedAt` is when that number was first seen. */
  ended: number;
  endedAt: number;
  /** The last two ended runs that were seen, the older one first. */
  ends?: readonly RunEnd[];
}

export interface WorkloadMemory {
  /** Since when the object has been current with this number of restarts. */
  current?: { since: number; restarts: number };
  /**
   * When the workload was last starting, without a crash loop of its own. Other workloads may have been waiting for it.
   */
  startingAt?: number;
  /** True if the last judgement saw the workload starting. */
  isStarting?: boolean;
  /** When the object was first seen. If it is absent later, it was removed. */
  seenAt?: number;
  /**
   * Logs of a Job's failed containers. They are kept because the Job controller deletes restarting pods when it gives
   * up.
   */
  logs?: readonly LogRequest[];
}

export interface Reading {
  followed: FollowedObject;
  key: string;
  status: ObjectStatus;
  findings: readonly Finding[];
  family: Family | undefined;
  /** The newest warning about the object itself, shown if nothing else explains the wait. */
  warning?: Evidence;
  /** The time at which the reading may change its meaning without a change in the cluster. */
  revisitAt?: number;
  /** The health, if it is decided without findings. */
  settled?: Health;
}
