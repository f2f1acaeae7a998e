import type { RolloutRequest } from './rolloutRequest';
import type { ValueArguments } from './setValues';
import type { ValuePath } from './strvals';

/** The source of the chart; `kind` is the way in which Helm finds it. */
export type ChartSource =
  /**
   * A folder or an archive on the agent; `reference` is its absolute path. `isSecret`: no command line may show the
   * path.
   */
  | { kind: 'path'; reference: string; isSecret?: true }
  /** `name/chart` from a repository that an earlier step added, or the name of a chart in `repository`. */
  | { kind: 'repository'; reference: string; repository?: string }
  | { kind: 'oci'; reference: string }
  /** The address of an archive. */
  | { kind: 'url'; reference: string };

/** An absolute path or an address. If it holds a secret, the task reads the file and gives Helm a private copy. */
export type ValuesFile = string | { kind: 'address' | 'path'; reference: string; input: string };

export type ConnectionRequest =
  | { type: 'kubernetesServiceConnection'; id: string }
  /** KUBECONFIG, the kubeconfig in the home folder, or the service account of the pod in which the agent runs. */
  | { type: 'none' };

/** Inputs that every change of a release needs. */
export interface ReleaseRequest {
  connection: ConnectionRequest;
  /** Absent: the namespace of the connection. */
  namespace?: string;
  releaseName: string;
  /** The timeout of a rollback. */
  rollbackTimeoutSeconds: number;
  /** Works as Helm's `--history-max`: 0 means no limit. */
  historyMax: number;
  rollout: RolloutRequest;
  /** An absolute path. Absent: `helm` on PATH. */
  helmPath?: string;
  /**
   * Says if a Lease keeps other runs away: `preferred` if the connection may use Leases, `required` always, `off`
   * never.
   */
  lock: 'preferred' | 'required' | 'off';
  /** The longest time to wait for another run. */
  lockTimeoutSeconds: number;
}

/** Inputs that the post-job phase needs if the main phase was interrupted. */
export interface RepairRequest extends ReleaseRequest {
  onInterrupted: 'rollback' | 'keep';
  /** The timeout of the whole post-job phase. */
  cleanupTimeoutSeconds: number;
}

/** The request of the pipeline's author, checked as far as possible without a cluster. */
export interface DeployRequest extends RepairRequest {
  createNamespace: boolean;
  chart: ChartSource;
  /** An exact version or a range; Helm gets it unchanged. */
  chartVersion?: string;
  dependencyUpdate: boolean;
  /** In the order of precedence: later files override earlier ones. */
  valueFiles: readonly ValuesFile[];
  values: ValueArguments;
  /** The paths of all values that the inputs give; undefined if a values file is an address, which only Helm reads. */
  givenPaths: readonly ValuePath[] | undefined;
  /** Inputs that the author may have meant differently, one sentence each. */
  warnings: readonly string[];
  /** Flags of the user; the task owns none of them. */
  extraArguments: readonly string[];
  /** The timeout of the deploy until its verdict. */
  timeoutSeconds: number;
  onFailure: 'rollback' | 'keep';
  /** A release that another program left pending counts as abandoned at this age. */
  assumeAbandonedAfterSeconds: number;
  /** If true, a first install that died is removed and installed again. */
  recreateFailedInstall: boolean;
  /** If true, the task makes a new revision even if nothing would change. */
  forceUpgrade: boolean;
}
