import type { AzureRun } from './approval';
import type { OwnPlace } from './approval/place';
import type { FencePolicy, FenceRecord } from './fence';
import type { PlanStore } from './keptPlan';
import type { KubeObject } from './kubernetes';
import type { HelmResult } from './ports';
import type { HelmProvenance } from './provenance';
import type { Rehearsal } from './rehearsal';
import type { Revision } from './release';
import type { LeaseContext, ReleaseContext, RolloutContext } from './releaseContext';
import type { ReleaseHelm, ReleaseStorage } from './ports';
import type { Sha256 } from './rollbackPlan/types';
import type { RollbackTaskRequest } from './rollbackRequest';

/** The Helm of the step, as it plans and carries out a rollback. */
export interface RollbackHelm {
  /** Where the binary comes from. */
  provenance(signal: AbortSignal): Promise<HelmProvenance>;
  /** What it would do; nothing is changed. `record` is shown to it in place of the one that Helm's storage has. */
  rehearse(target: RollbackTarget, record: KubeObject | undefined, signal: AbortSignal): Promise<Rehearsal>;
  /** For real, through the fence. Never signalled. With `lost` every further write is refused. */
  rollback(options: FencedRollback): Promise<{ result: HelmResult; fence: FenceRecord }>;
}

export type RollbackTarget = Pick<Revision, 'revision' | 'applyMethod'>;

export interface FencedRollback {
  target: RollbackTarget;
  timeoutSeconds: number;
  /** When it can only hang, and is ended. */
  endAfterSeconds: number;
  wait: boolean;
  policy: FencePolicy;
  lost: AbortSignal;
}

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
export type RollbackContext = ReleaseContext & RollbackParts & { rollbackHelm: RollbackHelm };
