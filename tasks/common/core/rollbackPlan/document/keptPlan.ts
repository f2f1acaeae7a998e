import type { RollbackPlan } from '../model/types';

/**
 * How far a plan was carried out. It tells where to go on, and proves nothing: whoever may write here may write
 * anything.
 */
export interface Execution {
  /** `begun` is written before the first change; `done` when the result was proven. */
  state: 'begun' | 'done';
  /** The revision that Helm was to make; 0 for plain workloads. */
  revision: number;
}

/** What waits for its approval. */
export interface KeptPlan {
  plan: RollbackPlan;
  /** Of the plan's `Seal`; empty where it has none. */
  salt: string;
  /** Until when the step that made the plan lets it wait. */
  expiresAt: Date;
}

/** A plan as it was found in the cluster. */
export type FoundPlan =
  | { found: 'nothing' }
  /** `problem` is a clause: «it was changed». */
  | { found: 'unusable'; problem: string }
  | { found: 'plan'; plan: RollbackPlan; salt: string; madeAt: Date; execution: Execution | undefined };

/**
 * The most seconds that a plan can be old by these two times: the API server's clock is read from its answers, which tell
 * whole seconds. With clocks of several API servers the plan can be younger than now.
 */
export function oldestPlanAge(madeAt: Date, now: Date): number {
  return Math.max(0, (now.getTime() - madeAt.getTime()) / 1000) + 1;
}

/** Where plans wait for their approval: in the cluster, under their digest. */
export interface PlanStore {
  keep(kept: KeptPlan): Promise<void>;
  find(digest: string): Promise<FoundPlan>;
  note(digest: string, execution: Execution): Promise<void>;
  /** Removes those whose own time is over; of plans that name none, those that have waited longer than any gate can. */
  prune(now: Date): Promise<void>;
}
