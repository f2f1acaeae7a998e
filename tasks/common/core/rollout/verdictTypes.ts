import type { ObjectRef } from '../kubernetes';
import type { ObjectStatus, StatusRule } from '../status';
import type { CauseCode, Grace, ReasonGroup } from './causes';
import type { Evidence, LogRequest } from './finding';
import type { RolloutMemory } from './memory';
import type { FollowedObject, UnreadKind } from './snapshot';

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
