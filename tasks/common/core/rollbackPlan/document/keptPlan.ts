import type { RollbackPlan } from '../model/types';

/**
 * The state of a plan's execution. It only shows where to resume and proves nothing, because anybody with write access
 * to the object may have changed it.
 */
export interface Execution {
  /** `begun` is written before the first change, `done` after the result was proven. */
  state: 'begun' | 'done';
  /** The revision that Helm was expected to make; 0 for plain workloads. */
  revision: number;
}

/** A plan that waits for its approval. */
export interface KeptPlan {
  plan: RollbackPlan;
  /** The salt of the plan's `Seal`; empty if the plan has no seal. */
  salt: string;
  /** The time until which the plan is kept, set by the step that made the plan. */
  expiresAt: Date;
}

/** The result of looking for a plan in the cluster. */
export type FoundPlan =
  | { found: 'nothing' }
  /** `problem` is a clause: «it was changed». */
  | { found: 'unusable'; problem: string }
  | { found: 'plan'; plan: RollbackPlan; salt: string; madeAt: Date; execution: Execution | undefined };

/**
 * The greatest possible age of a plan, in seconds. The times come from answers of the API server, which show whole
 * seconds. If several API servers have different clocks, `madeAt` may be later than `now`.
 */
export function oldestPlanAge(madeAt: Date, now: Date): number {
  return Math.max(0, (now.getTime() - madeAt.getTime()) / 1000) + 1;
}

/** Stores plans under their digest in the cluster, where they wait for their approval. */
export interface PlanStore {
  keep(kept: KeptPlan): Promise<void>;
  find(digest: string): Promise<FoundPlan>;
  note(digest: string, execution: Execution): Promise<void>;
  /**
   * Removes plans that have expired. A plan without an expiry time is removed once it is older than any gate can wait.
   */
  prune(now: Date): Promise<void>;
}
