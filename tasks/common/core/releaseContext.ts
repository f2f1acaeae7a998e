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

/** The context of a flow that follows objects. `signal` aborts when the agent cancels the step. */
export interface RolloutContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  request: { rollout: RolloutRequest };
  namespace: string;
  signal: AbortSignal;
}

/** The context in which the lease of a release is acquired. */
export interface LeaseContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  guard: Guard;
  namespace: string;
  signal: AbortSignal;
  holder: Holder;
  /** Returns true if the process of a mark (see adapters/system/processes) has ended; false if that is not known. */
  isProcessGone(mark: string): boolean;
  /**
   * True if the Helm of an earlier process of the same job has ended too. Otherwise that Helm may outlive its process
   * by as long as a lease lasts.
   */
  isHelmStopped?: boolean;
  request: Pick<ReleaseRequest, 'releaseName' | 'lock' | 'lockTimeoutSeconds'>;
}

/** The post-job phase has ended the earlier processes of its step, so it may take over their Lease. */
export type LeftEnded = Required<Pick<LeaseContext, 'isHelmStopped' | 'isProcessGone'>>;

/** The right to change a release, held from before the first change until after the last one. */
export interface Lease {
  /**
   * `unlocked`: the input lock is off, or the connection may not use Leases. `later`: the namespace does not exist yet;
   * the lease is acquired after the namespace was created.
   */
  readonly state: 'held' | 'unlocked' | 'later';
  /** The record that this run found when it took the lease; undefined if there was none. */
  readonly previous: LeaseRecord | undefined;
  /** Aborts when another holder was seen. */
  readonly lost: AbortSignal;
  /** Call right before a change. Throws `LeaseLost` unless it is certain that nobody else can hold the release now. */
  confirm(): Promise<void>;
  /**
   * Confirms like `confirm`, and writes the begun work into the Lease. A later holder learns from it to which run a
   * pending release belongs.
   */
  begin(work: Work): Promise<void>;
  /** Clears the begun work, because Helm's record is in order. Never throws. */
  settled(): Promise<void>;
  /** Acquires a `later` lease once the namespace exists. */
  acquireNow(): Promise<void>;
}

/** The context of a flow that changes a release. */
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
  /**
   * Objects that existed before this run, or before a run that died; see core/release/preexisting. Flows add to this
   * list.
   */
  preexisting: KeptObject[];
}

/** The context of a flow that deploys a chart. */
export interface DeployContext extends ReleaseContext {
  helm: Helm;
  request: DeployRequest;
}

/** The context in which a deploy starts. The deploy acquires the lease first. */
export type DeployStart = Omit<DeployContext, 'lease' | 'process' | 'run' | 'preexisting'> &
  LeaseContext & { request: DeployRequest };

/** Ends the flow if the step was cancelled meanwhile. */
export function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TaskError('Cancelled', 'The step was cancelled.');
}

interface RollbackParts {
  request: RollbackTaskRequest;
  plans: PlanStore;
  azure: AzureRun;
  place: OwnPlace;
  sha256: Sha256;
  /** Makes a new random text for the `Seal` of a plan. */
  newSalt: () => string;
  /** The approval that the main phase of this step has proven; set only in the post-job phase. */
  proven?: ProvenApproval;
}

/** The context of a rollback step for plain workloads. */
export type PlainStart = RolloutContext & LeaseContext & RollbackParts;

/** The context of a rollback step for a release. */
export type ReleaseRollbackStart = PlainStart & {
  storage: ReleaseStorage;
  helm: ReleaseHelm;
  rollbackHelm: RollbackHelm;
};

/** The context of a rollback step for a release, under the lease. */
export type RollbackContext = ReleaseContext & RollbackParts;

/** The context in which a plan is made. Nothing in it is used to change anything. */
export type ReleasePlanContext = Pick<
  ReleaseContext,
  'agent' | 'cluster' | 'namespace' | 'signal' | 'rollbackHelm' | 'sha256' | 'storage'
> & { request: { releaseName: string } };
