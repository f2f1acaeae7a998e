import type { ChangePlan } from '../model/types';

/** Shows where to resume and proves nothing, because anybody with write access may have changed it. */
export interface Execution {
  /** `done` is written after the result was proven. */
  state: 'begun' | 'done';
  /** The revision that Helm was expected to make; 0 for plain workloads. */
  revision: number;
}

export interface KeptPlan {
  plan: ChangePlan;
  /** Empty if the plan has no seal. */
  salt: string;
  expiresAt: Date;
}

export type FoundPlan =
  | { found: 'nothing' }
  /** `problem` is a clause. */
  | { found: 'unusable'; problem: string }
  | { found: 'plan'; plan: ChangePlan; salt: string; madeAt: Date; execution: Execution | undefined };

/** Returns seconds. The API server's times are whole seconds, and clocks of two API servers may differ. */
export function oldestPlanAge(madeAt: Date, now: Date): number {
  return Math.max(0, (now.getTime() - madeAt.getTime()) / 1000) + 1;
}

export interface PlanStore {
  keep(kept: KeptPlan): Promise<void>;
  find(digest: string): Promise<FoundPlan>;
  note(digest: string, execution: Execution): Promise<void>;
  /** Removes expired plans. A plan without an expiry time expires when no gate can still wait for it. */
  prune(now: Date): Promise<void>;
}
