import type { ObjectRef } from '../kubernetes/object';
import type { ObjectStatus, StatusRule } from '../status/objectStatus';
import type { CauseCode, Grace, ReasonGroup } from './causes';
import type { LogRequest, Question, RunEnd } from './facts';
import type { Evidence, Finding } from './finding';
import type { FollowedObject, UnreadKind } from './snapshot';
import type { Family } from './family';

export interface RolloutPolicy {
  failFast: boolean;
  deadline: Date;
  /** Before all objects are applied, none counts as missing and the rollout is not healthy. */
  isApplied: boolean;
  /** Absent: 25 s if no container has a readiness probe, otherwise 0. */
  stableForSeconds?: number;
  graces: Readonly<Partial<Record<CauseCode, Grace>>>;
  statusRules: readonly StatusRule[];
  /** Pods of an earlier template are not healthy. */
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
  /** ISO time by the agent's clock. */
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
  /** How many pods of the new and of the old version are ready, while the object is not healthy. */
  counts?: string;
  /** Only with `failed`. */
  cause?: Cause;
  /** The one that explains most comes first. */
  suspects: readonly Cause[];
  timedOut: boolean;
  /** It was not healthy before and was not touched since, so that it does not count. */
  isPreexisting: boolean;
  /** It is set even if the rollout has touched the object. */
  brokenBefore?: { reason: string; message: string };
}

export interface RolloutVerdict {
  health: Health;
  workloads: readonly WorkloadVerdict[];
  /** The failed workload whose cause explains most, otherwise the first that is not healthy. */
  decisive?: WorkloadVerdict;
  timedOut: boolean;
  unread: readonly UnreadKind[];
  /** When the verdict may change although nothing in the cluster does, as ISO time. */
  recheckAt?: string;
  questions: readonly Question[];
  memory: RolloutMemory;
}

/** Plain data. Times are milliseconds since 1970, by the agent's clock. */
export interface RolloutMemory {
  baseline?: Readonly<Record<string, BaselineEntry>>;
  /** Counts of earlier events, by uid. */
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
  /** It was broken in the restored revision too, so that the rollback is not to blame. */
  isBroughtBack?: boolean;
}

export interface Sighting {
  seen: number;
  /** The start of the grace; later than `seen` if something held the grace. */
  first: number;
  last: number;
  isGone: boolean;
  /** `endedAt` is when this number was first seen. */
  ended: number;
  endedAt: number;
  /** At most two, the older one first. */
  ends?: readonly RunEnd[];
}

export interface WorkloadMemory {
  current?: { since: number; restarts: number };
  /** The longest time that a bad run of this rollout asks for; see `badRuns`. */
  neededSeconds?: number;
  /** Other workloads may have been waiting for it until then. */
  startingAt?: number;
  isStarting?: boolean;
  /** The same, with a crash loop of its own. */
  unreadyAt?: number;
  isUnready?: boolean;
  seenAt?: number;
  /** They are kept because the Job controller deletes restarting pods when it gives up. */
  logs?: readonly LogRequest[];
}

export interface Reading {
  followed: FollowedObject;
  key: string;
  status: ObjectStatus;
  findings: readonly Finding[];
  family: Family | undefined;
  warning?: Evidence;
  revisitAt?: number;
  settled?: Health;
}
