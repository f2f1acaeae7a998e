import type { DeployRequest, ReleaseRequest } from './inputs/deployRequest';
import { TaskError } from './failure';
import type { LeaseRecord, Work } from './lock/lease';
import type {
  Agent,
  Clock,
  Cluster,
  Guard,
  Helm,
  MetricsPort,
  ReleaseHelm,
  ReleaseStorage,
  RollbackHelm,
} from './ports';
import type { KeptObject } from './release/preexisting';
import type { Sha256 } from './rollbackPlan/model/types';
import type { ReportedPhase } from './report/report';
import type { RolloutRequest } from './inputs/rolloutRequest';
import type { Holder } from './lock/holder';
import type { AzureRun } from './approval/judgeApproval';
import type { ProvenApproval } from './approval/proven';
import type { OwnPlace } from './approval/place';
import type { PlanStore } from './rollbackPlan/document/keptPlan';
import type { RollbackTaskRequest } from './inputs/rollbackRequest';

/** `signal` aborts when the agent cancels the step. */
export interface RolloutContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  request: { rollout: RolloutRequest };
  namespace: string;
  signal: AbortSignal;
  /** The parts of the step up to now, for its report. Flows add to the list. */
  phases?: ReportedPhase[];
}

export interface LeaseContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  guard: Guard;
  namespace: string;
  signal: AbortSignal;
  holder: Holder;
  /** `mark` names a process (see adapters/system/processes). Returns false if its end is not known. */
  isProcessGone(mark: string): boolean;
  /** True if the Helm of an earlier process of this job has ended too. Otherwise it may outlive its process. */
  isHelmStopped?: boolean;
  request: Pick<ReleaseRequest, 'releaseName' | 'lock' | 'lockTimeoutSeconds'>;
}

/** The post-job phase has ended the earlier processes of its step, so it may take over their Lease. */
export type LeftEnded = Required<Pick<LeaseContext, 'isHelmStopped' | 'isProcessGone'>>;

/** The right to change a release, held from before the first change until after the last one. */
export interface Lease {
  /** `unlocked`: the lock is off or cannot be used. `later`: the namespace does not exist yet. */
  readonly state: 'held' | 'unlocked' | 'later';
  /** The record that this run found when it took the lease. */
  readonly previous: LeaseRecord | undefined;
  readonly lost: AbortSignal;
  /** Call right before a change. Throws `LeaseLost` unless certainly nobody else can hold the release now. */
  confirm(): Promise<void>;
  /** Confirms, and writes the work into the Lease, so that a later holder knows which run left a pending release. */
  begin(work: Work): Promise<void>;
  /** Clears the work, because Helm's record is in order. Never throws. */
  settled(): Promise<void>;
  /** Acquires a `later` lease once the namespace exists. */
  acquireNow(): Promise<void>;
}

export interface ReleaseContext extends RolloutContext {
  /** Names this process (see adapters/system/processes). */
  process: string;
  /** Names this run in a label (see core/lock/holder). */
  run: string;
  /** The page of this run, or empty. */
  link: string;
  helm: ReleaseHelm;
  rollbackHelm: RollbackHelm;
  sha256: Sha256;
  storage: ReleaseStorage;
  lease: Lease;
  request: ReleaseRequest;
  /** Objects from before this run or a run that died (see core/release/preexisting). Flows add to the list. */
  preexisting: KeptObject[];
}

export interface DeployContext extends ReleaseContext {
  helm: Helm;
  /** Set if the request has metrics. */
  metrics?: MetricsPort;
  request: DeployRequest;
  plans: PlanStore;
  newSalt: () => string;
}

/** A deploy acquires the lease itself. */
export type DeployStart = Omit<DeployContext, 'lease' | 'process' | 'run' | 'link' | 'preexisting'> &
  LeaseContext & { request: DeployRequest };

export function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TaskError('Cancelled', 'The step was cancelled.');
}

interface RollbackParts {
  request: RollbackTaskRequest;
  plans: PlanStore;
  azure: AzureRun;
  place: OwnPlace;
  sha256: Sha256;
  newSalt: () => string;
  /** Set only in the post-job phase, from the main phase of the same step. */
  proven?: ProvenApproval;
}

export type PlainStart = RolloutContext & LeaseContext & RollbackParts;

export type ReleaseRollbackStart = PlainStart & {
  storage: ReleaseStorage;
  helm: ReleaseHelm;
  rollbackHelm: RollbackHelm;
};

export type RollbackContext = ReleaseContext & RollbackParts & { deadline: Date };

/** A plan changes neither the release nor its objects, so this context can change neither. */
export type ReleasePlanContext = Pick<
  ReleaseContext,
  'agent' | 'cluster' | 'namespace' | 'signal' | 'rollbackHelm' | 'sha256' | 'storage'
> & { request: { releaseName: string } };
