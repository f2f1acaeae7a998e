import type { ObjectRef } from '../kubernetes/object';
import type { ObjectStatus, StatusRule } from '../status/objectStatus';
import type { CauseCode, Grace, ReasonGroup } from './causes';
import type { Evidence, LogRequest, Finding } from './finding';
import type { FollowedObject, UnreadKind } from './snapshot';
import type { Family } from './family';

export interface RolloutPolicy {
  /** False: no workload is given up before the deadline. */
  failFast: boolean;
  /** When the rollout must be healthy. */
  deadline: Date;
  /** Whether everything that is followed has been applied: until then nothing is missing and nothing is healthy as a whole. */
  isApplied: boolean;
  /** How long a workload must be healthy without a restart. Absent: 10 s where no container has a readiness probe, else 0. */
  stableForSeconds?: number;
  /** In place of the graces of `causes`. */
  graces: Readonly<Partial<Record<CauseCode, Grace>>>;
  statusRules: readonly StatusRule[];
  /** A workload that keeps pods of an earlier template (it is paused, or updates on delete) is not healthy. */
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
  /** When this was first seen, by our clock, as ISO time. */
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
  /** Why it failed. Only with `failed`. */
  cause?: Cause;
  /** What is wrong without being hopeless (yet), the most telling first; one of each code and text. */
  suspects: readonly Cause[];
  /** It failed because time was over. */
  timedOut: boolean;
  /** It was not healthy before, and the rollout has not touched it: it does not count for the whole. */
  isPreexisting: boolean;
  /** What was wrong before the rollout, whether the rollout touched it or not. */
  brokenBefore?: { reason: string; message: string };
}

export interface RolloutVerdict {
  health: Health;
  workloads: readonly WorkloadVerdict[];
  /** What decides `health`: the failed workload whose cause explains most, or else the first that is not healthy. */
  decisive?: WorkloadVerdict;
  timedOut: boolean;
  /** What could not be read; where pods or events are among it, causes may be missing. */
  unread: readonly UnreadKind[];
  /** The time at which the verdict may change although nothing in the cluster does, as ISO time. */
  recheckAt?: string;
  /** To be given to the next judgement. */
  memory: RolloutMemory;
}

/** What one judgement leaves for the next. Plain data, JSON both ways; times in milliseconds since the epoch, by our clock. */
export interface RolloutMemory {
  baseline?: Readonly<Record<string, BaselineEntry>>;
  /** Events that were there before the rollout, by uid, with their count. */
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
  /** It is brought back to what it was when it was already broken: that it is so again is no fault of the way back. */
  isBroughtBack?: boolean;
}

export interface Sighting {
  seen: number;
  /** From when its grace counts: later than `seen` where something held the clock. */
  first: number;
  /** When it was last known to be there. */
  last: number;
  /** The last judgement did not see it any more. */
  isGone: boolean;
  /** How many runs of the container had ended, and when that number was first seen. */
  ended: number;
  endedAt: number;
}

export interface WorkloadMemory {
  /** Since when it has been current with this number of restarts. */
  current?: { since: number; restarts: number };
  /** When it was last on its way, without a loop of its own: what others may be waiting for. */
  startingAt?: number;
  /** The last judgement saw it so. */
  isStarting?: boolean;
  /** When it was first seen; from then on its absence is a removal. */
  seenAt?: number;
  /** Logs of a Job's containers that ended badly: its controller deletes pods that restart when it gives up. */
  logs?: readonly LogRequest[];
}

export interface Reading {
  followed: FollowedObject;
  key: string;
  status: ObjectStatus;
  findings: readonly Finding[];
  family: Family | undefined;
  /** The newest warning about the object itself, for a wait that nothing else explains. */
  warning?: Evidence;
  /** When the reading may mean something else by time alone. */
  revisitAt?: number;
  /** Where it is decided without findings. */
  settled?: Health;
}
