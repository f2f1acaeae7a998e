import type { FencePolicy, FenceRecord } from '../../../core/helm/fence';
import type { KubeObject, ObjectRef } from '../../../core/kubernetes/object';
import type { Drift } from '../../../core/release/drift';
import type { KeptField } from '../../../core/release/keptFields';
import type { Revision } from '../../../core/release/release';
import type { GivenBase } from '../../release/mergeBase';

/** Holds the differences between the automatic rollback of a failed deploy and the rollback of an approved plan. */
export interface EnginePolicy {
  /**
   * The fence through which Helm runs. A Helm behind a fence stops with the fence when the task is killed; without a
   * fence it ends well. So an automatic rollback has a fence only where Helm has to leave objects alone (decisions 16
   * and 17). Nothing may be done that nobody has approved, so an approved rollback always has one (decision 24).
   */
  fence: FencePolicy | undefined;
  /** Fields that Helm does not change. */
  kept: readonly KeptField[];
  /** The rehearsal has shown that this Helm goes through our gateway, so behind the fence it may be told to force. */
  isForeseen: boolean;
  /** The description of the new revision; empty for Helm's own. */
  description: string;
  /** Returns true if the proof applies an object with this drift again. */
  repairs: (drift: Drift) => boolean;
  /** Returns true if the rollback has failed where this drift is left in the end. */
  isFailure: (drift: Drift) => boolean;
  /** How the target's objects must be, by key, as the rehearsal has shown; undefined where nobody has approved that. */
  expected?: Map<string, KubeObject> | undefined;
  /** The same step resumes a rollback that is not yet proven, so the revision is not marked unhealthy. */
  isResumable: boolean;
  /** Pods of an earlier template are not healthy. */
  everyPod: boolean;
  /** The StatefulSets whose trapped pods may be deleted. */
  trapped: readonly ObjectRef[];
  /** Collects the objects that the proof has applied again, as `Kind/name`. */
  restored: Set<string>;
  /** Called when the work is announced and Helm's record has its base. */
  onBegun: (given: GivenBase | undefined) => void;
  onFence?: (record: FenceRecord) => void;
  /** Called when Helm has made its revision. */
  onMade: (made: Revision) => void;
  /** Done between the proof and the rollout. */
  beforeRollout?: (made: Revision) => Promise<void>;
  /** Done when the target is healthy. The proof is then repeated. */
  afterRollout?: () => Promise<void>;
}
