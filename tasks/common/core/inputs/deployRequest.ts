import type { BakeRequest } from './bakeRequest';
import type { ChartLogins } from './chartLogins';
import type { HelmDownload } from './helmVersionInput';
import type { DriftRequest } from './driftRequest';
import type { AzureCluster } from '../azure/azureCluster';
import type { OwnershipRequest } from './ownershipRequest';
import type { CrdsPolicy } from '../helm/crdChanges';
import type { NamespaceMetadata } from './namespaceMetadata';
import type { RolloutRequest } from './rolloutRequest';
import type { SecretValuesRequest } from './secretValues';
import type { SmokeTestRequest } from './smokeTestRequest';
import type { ValueArguments } from './setValues';
import type { ValuePath } from './strvals';

/** `kind` is the way in which Helm finds the chart. */
export type ChartSource =
  /** A folder or an archive on the agent, by its absolute path. `isSecret`: no command line may show it. */
  | { kind: 'path'; reference: string; isSecret?: true }
  /** `name/chart` from a repository that an earlier step added, or the name of a chart in `repository`. */
  | { kind: 'repository'; reference: string; repository?: string }
  /** The name of a chart in the repository of the connection `chartLogins.repository`. */
  | { kind: 'privateRepository'; reference: string }
  | { kind: 'oci'; reference: string }
  /** The address of an archive. */
  | { kind: 'url'; reference: string };

/** An absolute path or an address. If it holds a secret, Helm gets a private copy of the file. */
export type ValuesFile = string | { kind: 'address' | 'path'; reference: string; input: string };

/** An AKS cluster or a fleet, by a connection to Azure Resource Manager. */
export interface AzureConnectionRequest {
  type: 'azureResourceManager';
  id: string;
  cluster: AzureCluster;
  useClusterAdmin: boolean;
}

export type ConnectionRequest =
  | { type: 'kubernetesServiceConnection'; id: string }
  | AzureConnectionRequest
  /** KUBECONFIG, the kubeconfig in the home folder, or the service account of the agent's pod. */
  | { type: 'none' };

/** Inputs that every change of a release needs. */
export interface ReleaseRequest {
  connection: ConnectionRequest;
  /** Absent: the namespace of the connection. */
  namespace?: string;
  releaseName: string;
  rollbackTimeoutSeconds: number;
  /** 0 means no limit. */
  historyMax: number;
  rollout: RolloutRequest;
  /** An absolute path. It wins over `helmDownload`; without both, `helm` on PATH is taken. */
  helmPath?: string;
  helmDownload?: HelmDownload;
  /** If a Lease keeps other runs away. `preferred`: only if the connection may use Leases. */
  lock: 'preferred' | 'required' | 'off';
  /** The longest time to wait for another run. */
  lockTimeoutSeconds: number;
}

/** Inputs that the post-job phase needs. */
export interface RepairRequest extends ReleaseRequest {
  onInterrupted: 'rollback' | 'keep';
  /** The timeout of the whole post-job phase. */
  cleanupTimeoutSeconds: number;
  /** Absent: the step runs no tests. */
  smokeTest?: SmokeTestRequest;
  /** A healthy revision bakes before it is verified. */
  bakes?: true;
}

/** The request of the pipeline's author, checked as far as possible without a cluster. */
export interface DeployRequest extends RepairRequest {
  action: 'deploy' | 'plan';
  /** 64 hexadecimal digits. The deploy is refused if its plan is not this one any more. */
  planDigest?: string;
  maxPlanAgeSeconds: number;
  createNamespace: boolean;
  namespaceMetadata?: NamespaceMetadata;
  chart: ChartSource;
  /** Absent: Helm installs the definitions of crds/ at the first install, and never again. */
  crds?: CrdsPolicy;
  /** An exact version or a range. */
  chartVersion?: string;
  chartLogins: ChartLogins;
  /** Helm checks the chart's provenance file, with this keyring or that of GnuPG. */
  verify?: { keyring?: string };
  dependencyUpdate: boolean;
  /** Later files override earlier ones. */
  valueFiles: readonly ValuesFile[];
  /** They override `valueFiles`. */
  secretValues?: SecretValuesRequest;
  /** They override all files. */
  values: ValueArguments;
  /** The paths of all given values; undefined if a values file is an address, which only Helm reads. */
  givenPaths: readonly ValuePath[] | undefined;
  /** Sentences about inputs that the author may have meant differently. */
  warnings: readonly string[];
  /** Flags of the user; the task owns none of them. */
  extraArguments: readonly string[];
  /** The timeout of the deploy until its verdict. */
  timeoutSeconds: number;
  onFailure: 'rollback' | 'keep';
  /** A release that another program left pending counts as abandoned at this age. */
  assumeAbandonedAfterSeconds: number;
  /** A first install that died is removed and installed again. */
  recreateFailedInstall: boolean;
  /** Objects that may hold data and that the chart drops are deleted once the new revision is verified. */
  deleteData: boolean;
  /** Absent: the step does not bake. */
  bake?: BakeRequest;
  /** Absent: objects that exist and are not of this release end the deploy, unless Helm has the flag. */
  takeOwnership?: OwnershipRequest;
  /** Absent: the step does not look for drift. */
  drift?: DriftRequest;
  /** Objects that only failed upgrades have made are removed, also where nothing is rolled back. */
  cleanupOnFail: boolean;
  /** The task creates a revision even if nothing would change. */
  forceUpgrade: boolean;
}
