import type { RolloutRequest } from './rolloutRequest';
import type { ValueArguments } from './setValues';
import type { ValuePath } from './strvals';

/** Where the chart comes from, by how Helm finds it. */
export type ChartSource =
  /** A folder or an archive on the agent; `reference` is its absolute path. `isSecret`: no command line may show it. */
  | { kind: 'path'; reference: string; isSecret?: true }
  /** `name/chart` of a repository that an earlier step added, or a chart's name in `repository`. */
  | { kind: 'repository'; reference: string; repository?: string }
  | { kind: 'oci'; reference: string }
  /** An archive behind an address. */
  | { kind: 'url'; reference: string };

/** An absolute path or an address; one that holds a secret is read by the task, and Helm gets a private copy. */
export type ValuesFile = string | { kind: 'address' | 'path'; reference: string; input: string };

export type ConnectionRequest =
  | { type: 'kubernetesServiceConnection'; id: string }
  /** KUBECONFIG, the home's kubeconfig, or the pod that the agent runs in. */
  | { type: 'none' };

/** What every change of a release needs to know. */
export interface ReleaseRequest {
  connection: ConnectionRequest;
  /** Absent: the connection's namespace. */
  namespace?: string;
  releaseName: string;
  /** Bounds a way back. */
  rollbackTimeoutSeconds: number;
  /** As Helm's `--history-max`: 0 is no limit. */
  historyMax: number;
  rollout: RolloutRequest;
  /** Absolute; absent: `helm` on PATH. */
  helmPath?: string;
  /** Whether a Lease keeps other runs away: wherever the connection may use one, always, or never. */
  lock: 'preferred' | 'required' | 'off';
  /** How long to wait for another run. */
  lockTimeoutSeconds: number;
}

/** What the post-job phase needs, when the main one was interrupted. */
export interface RepairRequest extends ReleaseRequest {
  onInterrupted: 'rollback' | 'keep';
  /** Bounds all that the post-job phase does. */
  cleanupTimeoutSeconds: number;
}

/** What the pipeline's author asked for, checked as far as it can be without a cluster. */
export interface DeployRequest extends RepairRequest {
  createNamespace: boolean;
  chart: ChartSource;
  /** Exact or a range, given to Helm as it is. */
  chartVersion?: string;
  dependencyUpdate: boolean;
  /** In the order in which they override each other. */
  valueFiles: readonly ValuesFile[];
  values: ValueArguments;
  /** What the value inputs give; undefined where a values file is an address that only Helm reads. */
  givenPaths: readonly ValuePath[] | undefined;
  /** What the inputs say that may be meant otherwise, a sentence each. */
  warnings: readonly string[];
  /** Flags of the user, none of which the task owns. */
  extraArguments: readonly string[];
  /** Bounds the deploy up to its verdict. */
  timeoutSeconds: number;
  onFailure: 'rollback' | 'keep';
  /** A release that another program left pending counts as left when it is this old. */
  assumeAbandonedAfterSeconds: number;
  /** A first install that died is removed and installed anew. */
  recreateFailedInstall: boolean;
  /** Makes a new revision also where nothing would change. */
  forceUpgrade: boolean;
}
