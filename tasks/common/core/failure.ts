/** Why a task could not know or act, grouped by who must act. A failed rollout is an outcome and not in this list. */
export type FailureReason =
  // For the author of the pipeline.
  | 'InputInvalid'
  | 'ConnectionMissing'
  | 'NamespaceMissing'
  | 'ChartNotFound'
  | 'ChartAccessDenied'
  | 'ChartSourceUnreachable'
  | 'ChartNotVerified'
  | 'ValuesInvalid'
  // For the owner of the platform.
  | 'ConnectionInvalid'
  | 'CredentialsRejected'
  | 'CertificateRejected'
  | 'PermissionDenied'
  | 'ClusterUnreachable'
  | 'TransientFailure'
  | 'HelmMissing'
  | 'HelmDownloadFailed'
  | 'HelmUnsupported'
  | 'StorageUnsupported'
  | 'KindNotServed'
  | 'TempFolderUnusable'
  | 'RecordUnreadable'
  // For the team of the application.
  | 'ChartInvalid'
  | 'RecordTooLarge'
  | 'PostRendererFailed'
  | 'ReleasePending'
  | 'ReleaseLocked'
  | 'ReleaseMissing'
  | 'WorkloadMissing'
  | 'ClustersFailed'
  | 'HookFailed'
  | 'SmokeTestFailed'
  | 'MetricsFailed'
  | 'MetricsInconclusive'
  | 'MetricsUnavailable'
  | 'ApplyRejected'
  | 'FieldConflict'
  | 'DriftFound'
  | 'ObjectOwned'
  | 'DefinitionRefused'
  | 'HelmFailed'
  | 'RollbackTargetMissing'
  | 'ProofFailed'
  // For the person who plans or approves a rollback.
  | 'PlanMissing'
  | 'PlanExpired'
  | 'PlanChanged'
  | 'PlanRefused'
  | 'ApprovalMissing'
  // For nobody: the stop was intended.
  | 'Cancelled'
  | 'TimedOut'
  | 'LeaseLost'
  // For the maintainers of this extension.
  | 'Conflict'
  | 'Internal';

/** One sentence per reason for the person who must act. */
export const advice: Record<FailureReason, string> = {
  InputInvalid: 'Correct the inputs named above in the pipeline and run it again.',
  ConnectionMissing:
    'Give the step a Kubernetes service connection that this pipeline may use, or set connectionType to none.',
  NamespaceMissing: 'Create the namespace, correct its name, or set createNamespace to true.',
  ChartNotFound:
    'Check chart, chartRepository and chartVersion; a repository in the form name/chart must have been added by an earlier step.',
  ChartAccessDenied:
    'Give the login in containerRegistry or chartRepositoryConnection, or renew it; the login of an earlier step may have expired.',
  ChartSourceUnreachable:
    'Check the address of the chart, and the proxy and the network between the agent and its server.',
  ChartNotVerified:
    'Give a chart archive with its .prov file, and name in keyring the public keys that may sign it; nothing was changed.',
  ValuesInvalid: 'Correct the values named above; `helm template` with the same values shows the same error.',
  ConnectionInvalid:
    'Correct the service connection (or the kubeconfig) as described above, in the project settings under service connections.',
  CredentialsRejected:
    'Renew the credentials of the service connection: its token or certificate is expired or revoked.',
  CertificateRejected:
    "Put the certificate authority of the API server into the service connection or give it to the agent (Agent.CAInfo), or correct the server's address.",
  PermissionDenied: 'Grant the permission named above to the identity of the service connection.',
  ClusterUnreachable: "Check the server's address, the proxy settings of the agent and the network between the two.",
  TransientFailure:
    'Run the step again: the API server, or the network on the way to it, failed for a moment. If this happens again and again, the owner of the cluster has to look at its control plane.',
  HelmMissing:
    'Name a version in helmVersion, install Helm on the agent in an earlier step, or name the binary in helmPath.',
  HelmDownloadFailed:
    'Correct helmVersion or helmDownloadUrl as described above, or the proxy and the certificate authorities of the agent. The task takes no other Helm instead.',
  HelmUnsupported: 'Use Helm 3.14 or later.',
  StorageUnsupported: 'Use the storage driver secret or configmap (the variable HELM_DRIVER).',
  KindNotServed:
    'Install the CustomResourceDefinition or API service of the kind named above, or correct its apiVersion; `kubectl get apiservices` shows an API service that does not answer.',
  TempFolderUnusable:
    'Make room in the temporary folder of the agent, or correct its rights; the message above says what is wrong with it.',
  RecordUnreadable:
    'Restore the object named above from a backup, or delete it if that revision is not needed: Helm cannot read it either.',
  ChartInvalid: 'Correct the chart or its values; `helm template` with the same arguments shows the same error.',
  RecordTooLarge:
    'Make the chart smaller. Helm keeps the chart with all its files, the values and the rendered manifests, compressed, in one Secret of at most 1 MiB: name files that no template needs in .helmignore, keep large data out of the chart, or split the chart into several releases.',
  PostRendererFailed: "Correct the post-renderer that the input arguments names; Helm's error quotes its output.",
  ReleasePending:
    'Find out whether the run that left the release pending is still alive before you change the release.',
  ReleaseLocked:
    'Wait until the run named above has ended, then run this one again; raise lockTimeout if such runs usually take longer.',
  ReleaseMissing: 'Check the name of the release and the namespace.',
  WorkloadMissing: 'Check the names of the workloads, the selector and the namespace.',
  ClustersFailed:
    'Look at the jobs of the clusters that are named above. When they are repaired, run the failed jobs again.',
  HookFailed: 'Read the log of the hook above. Helm did nothing after that hook.',
  SmokeTestFailed:
    'Read the log of the test above: the chart was deployed and ready, and its own test (helm test) did not pass.',
  MetricsFailed:
    'Look at the samples of the metric above: the version was ready, and its metrics break the condition. Correct the version, or the condition if it is too strict.',
  MetricsInconclusive:
    'Find out why the metric above has no usable value (initialDelay, the query, the server), then run the step again. The input onInconclusive says what happens in such a case.',
  MetricsUnavailable:
    'Correct metricsServer, or the credentials in metricsConnection, or the network between the agent and the server. The query was tried before anything was changed.',
  ApplyRejected: 'The API server refused an object of the chart; its answer above names the object and the reason.',
  DefinitionRefused:
    'Deploy a chart whose definitions still have the versions named above, or first move all objects to a version that stays and remove the old one from status.storedVersions (the Kubernetes documentation describes it under «Upgrade existing objects to a new stored version»). `crds: create` leaves definitions that exist as they are.',
  FieldConflict:
    'Remove the field from the chart if its manager should set it, add --force-conflicts to the input arguments if the chart should set it, or set it back to the value of the chart with kubectl.',
  DriftFound:
    'Find out who made the changes above and why. Then take them into the chart, or set them back, or deploy with drift: correct, which restores them; name in driftIgnore what others may change.',
  ObjectOwned:
    'Give the object another name in one of the two charts, or take it out of the chart of the other release and deploy that one first. If this release is to take it away, name the other one in takeOwnershipFrom.',
  HelmFailed: "Helm failed for a reason that this task does not know; Helm's error is in the log above.",
  RollbackTargetMissing: 'Name a revision that exists, or deploy a version known to work.',
  ProofFailed:
    'Look at the objects named above: they still differ from the target, and this task could not correct them.',
  PlanMissing:
    'Run the step with action: plan first, and give its output planDigest to this step, with the same other inputs.',
  PlanExpired: 'Make a new plan and have it approved: the cluster may have changed since an approver saw this one.',
  PlanChanged: 'Make a new plan, look at what has changed, and have it approved.',
  PlanRefused: 'Read the refusals above. If you accept the risk, name in the input allow those that it accepts.',
  ApprovalMissing: 'Have the plan approved in the way that the input approval asks for, then run this stage again.',
  Cancelled: 'Run the pipeline again when you are ready.',
  TimedOut: 'Raise the timeout if the work was merely slow; the log above says what it was waiting for.',
  LeaseLost:
    'Another run works on the release now and repairs what this run left unfinished. Look at that run, then run this one again if you still need it.',
  Conflict: 'Somebody else changed the same object at the same time; run the step again.',
  Internal: 'This is a fault of the task: please report it with the log of the step.',
};

export function isFailureReason(word: string): word is FailureReason {
  return Object.hasOwn(advice, word);
}

/** Names for the report; never values or secrets. */
type FailureFacts = Readonly<Record<string, string | number>>;

/** Stops a task. `message` says what was being done, on which object, and what came back. */
export class TaskError extends Error {
  readonly reason: FailureReason;
  readonly facts: FailureFacts;

  constructor(reason: FailureReason, message: string, options: { cause?: unknown; facts?: FailureFacts } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'TaskError';
    this.reason = reason;
    this.facts = options.facts ?? {};
  }
}

/** Anything but a TaskError is a fault of this extension: `Internal`. */
export function asTaskError(thrown: unknown): TaskError {
  if (thrown instanceof TaskError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new TaskError('Internal', message, { cause: thrown });
}
