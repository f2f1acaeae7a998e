import type { AzureRun } from './approval';
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
