import type { RollbackPlan } from './rollbackPlan/types';

/** How far a plan was carried out. */
export interface Execution {
  /** `begun` is written before the first change; `done` when the result was proven. */
  state: 'begun' | 'done';
  /** The revision that Helm was to make; 0 for plain workloads. */
  revision: number;
  /** Digests of the pod templates that were made, by `Kind/name`: plain workloads have no revision to tell by. */
  templates: Readonly<Record<string, string>>;
  /** The sentence about the approval. */
  approval: string;
  approvedBy: string;
}

/** A plan as it was found in the cluster. */
export type FoundPlan =
  | { found: 'nothing' }
  /** `problem` is a clause: «it was changed». */
  | { found: 'unusable'; problem: string }
  | { found: 'plan'; plan: RollbackPlan; madeAt: Date; execution: Execution | undefined };

/**
 * The most seconds that a plan can be old by these two times: the API server's clock is read from its answers, which tell
 * whole seconds. With clocks of several API servers the plan can be younger than now.
 */
export function oldestPlanAge(madeAt: Date, now: Date): number {
  return Math.max(0, (now.getTime() - madeAt.getTime()) / 1000) + 1;
}

/** Where plans wait for their approval: in the cluster, under their digest. */
export interface PlanStore {
  /** Notes too that this run has made it now. */
  keep(plan: RollbackPlan, now: Date): Promise<void>;
  /** `madeAt`: when this run made it, else when any did last. */
  find(digest: string): Promise<FoundPlan>;
  note(digest: string, execution: Execution): Promise<void>;
  /** Removes those that nobody has made since. */
  prune(before: Date): Promise<void>;
}
