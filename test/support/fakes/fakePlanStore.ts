import type { Execution, FoundPlan, PlanStore } from '../../../tasks/common/core/rollbackPlan/document/keptPlan';
import { planJson, readPlan } from '../../../tasks/common/core/rollbackPlan/document/document';
import { sha256 } from '../rollbackScene';

/** The stored data of a plan. Anyone with write access to the cluster may write anything. */
export interface StoredPlan {
  text: string;
  salt: string;
  expiresAt: Date;
  execution?: Execution;
}

export interface FakePlanStore extends PlanStore {
  readonly stored: Map<string, StoredPlan>;
}

/**
 * Like adapters/helm/planStore, but in memory. The real one compresses in real time, and a simulated time does not wait
 * for that.
 */
export function fakePlanStore(): FakePlanStore {
  const stored = new Map<string, StoredPlan>();
  const keyOf = (digest: string): string => digest.replace('sha256:', '');
  return {
    stored,
    async keep({ plan, salt, expiresAt }) {
      await Promise.resolve();
      stored.set(keyOf(plan.digest), { text: planJson(plan), salt, expiresAt });
    },
    async find(digest): Promise<FoundPlan> {
      await Promise.resolve();
      const kept = stored.get(keyOf(digest));
      if (kept === undefined) return { found: 'nothing' };
      const read = readPlan(kept.text, digest, sha256);
      if ('problem' in read) return { found: 'unusable', problem: read.problem };
      const { salt, execution } = kept;
      return { found: 'plan', plan: read.plan, salt, madeAt: new Date(read.plan.createdAt), execution };
    },
    async note(digest, execution) {
      await Promise.resolve();
      const kept = stored.get(keyOf(digest));
      if (kept !== undefined) stored.set(keyOf(digest), { ...kept, execution });
    },
    async prune(now) {
      await Promise.resolve();
      for (const [digest, { expiresAt }] of stored) if (expiresAt < now) stored.delete(digest);
    },
  };
}
