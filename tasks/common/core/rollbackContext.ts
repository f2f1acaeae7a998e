import type { AzureRun } from './approval';
import type { ProvenApproval } from './approval/proven';
import type { OwnPlace } from './approval/place';
import type { PlanStore } from './keptPlan';
import type { LeaseContext, ReleaseContext, RolloutContext } from './releaseContext';
import type { ReleaseHelm, ReleaseStorage, RollbackHelm } from './ports';
import type { Sha256 } from './rollbackPlan/types';
import type { RollbackTaskRequest } from './rollbackRequest';

interface RollbackParts {
  request: RollbackTaskRequest;
  plans: PlanStore;
  azure: AzureRun;
  place: OwnPlace;
  sha256: Sha256;
  /** A new random text for the `Seal` of a plan. */
  newSalt: () => string;
  /** What the main phase of this very step has proven; of the post-job phase only. */
  proven?: ProvenApproval;
}

/** What a step for plain workloads acts through. */
export type PlainStart = RolloutContext & LeaseContext & RollbackParts;

/** What a step for a release acts through. */
export type ReleaseRollbackStart = PlainStart & {
  storage: ReleaseStorage;
  helm: ReleaseHelm;
  rollbackHelm: RollbackHelm;
};

/** The same under the lease. */
export type RollbackContext = ReleaseContext & RollbackParts;
