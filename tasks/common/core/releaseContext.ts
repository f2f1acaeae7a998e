import type { DeployRequest, ReleaseRequest } from './inputs/deployRequest';
import { TaskError } from './failure';
import type { LeaseRecord, Work } from './lock/lease';
import type { Agent, Clock, Cluster, Guard, Helm, ReleaseHelm, ReleaseStorage, RollbackHelm } from './ports';
import type { KeptObject } from './release/preexisting';
import type { Sha256 } from './rollbackPlan/model/types';
import type { RolloutRequest } from './inputs/rolloutRequest';
import type { Holder } from './lock/holder';
import type { AzureRun } from './approval/judgeApproval';
import type { ProvenApproval } from './approval/proven';
import type { OwnPlace } from './approval/place';
import type { PlanStore } from './rollbackPlan/document/keptPlan';
import type { RollbackTaskRequest } from './inputs/rollbackRequest';

/** What a flow acts through that follows objects. `signal` aborts when the agent cancels the step. */
export interface RolloutContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  request: { rollout: RolloutRequest };
  namespace: string;
  signal: AbortSignal;
}

/** What the lease of a release is acquired through. */
export interface LeaseContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  guard: Guard;
  namespace: string;
  signal: AbortSignal;
  holder: Holder;
  /** Whether the process of a mark (see adapters/system/processes) has ended; false where that is not known. */
  isProcessGone(mark: string): boolean;
  /** The Helm of an earlier process of the same job has been ended too; else it may outlive that for as long as a lease. */
  isHelmStopped?: boolean;
  request: Pick<ReleaseRequest, 'releaseName' | 'lock' | 'lockTimeoutSeconds'>;
}

/** What the post-job phase knows of the earlier processes of its step, which it has ended: its own Lease is taken by it. */
export type LeftEnded = Required<Pick<LeaseContext, 'isHelmStopped' | 'isProcessGone'>>;

/** The right to change a release, held from before the first change to after the last. */
export interface Lease {
  /**
   * `unlocked`: the input lock is off, or the connection may not use Leases. `later`: the namespace is not there yet, so
   * it is to be acquired when it is.
   */
  readonly state: 'held' | 'unlocked' | 'later';
  /** As it was found when it was taken; undefined where there was none. */
  readonly previous: LeaseRecord | undefined;
  /** Aborts when another holder was seen. */
  readonly lost: AbortSignal;
  /** For right before a change: throws `LeaseLost` unless nobody else can hold the release now. */
  confirm(): Promise<void>;
  /** As `confirm`, and notes in the Lease what is begun: a later holder knows by it whose a pending release is. */
  begin(work: Work): Promise<void>;
  /** Helm's record is in order: what was begun is over. Never throws. */
  settled(): Promise<void>;
  /** With `later`, once the namespace exists. */
  acquireNow(): Promise<void>;
}

/** What a flow acts through that changes a release. */
export interface ReleaseContext extends RolloutContext {
  /** The mark of this process (see adapters/system/processes). */
  process: string;
  /** Names this run in a label (see core/lock/holder). */
  run: string;
  helm: ReleaseHelm;
  rollbackHelm: RollbackHelm;
  sha256: Sha256;
  storage: ReleaseStorage;
  lease: Lease;
  request: ReleaseRequest;
  /** Objects that were there before this run, or before one that died; see core/release/preexisting. Flows add to it. */
  preexisting: KeptObject[];
}

/** What a flow acts through that deploys a chart. */
export interface DeployContext extends ReleaseContext {
  helm: Helm;
  request: DeployRequest;
}

/** What a deploy is begun with: the lease is the first that it acquires. */
export type DeployStart = Omit<DeployContext, 'lease' | 'process' | 'run' | 'preexisting'> &
  LeaseContext & { request: DeployRequest };

/** Ends the flow when the step was cancelled meanwhile. */
export function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TaskError('Cancelled', 'The step was cancelled.');
}

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

/** What a plan is made through. Nothing of it is used to change anything. */
export type ReleasePlanContext = Pick<
  ReleaseContext,
  'agent' | 'cluster' | 'namespace' | 'signal' | 'rollbackHelm' | 'sha256' | 'storage'
> & { request: { releaseName: string } };
