import type { FailureReason } from '../../tasks/common/core/failure';

/** What a reader of the page of failures needs in addition to the advice of the code. */
interface ReasonText {
  what: string;
  /** The usual ways to get there. */
  why: string;
}

export const reasonTexts: Readonly<Record<FailureReason, ReasonText>> = {
  InputInvalid: {
    what: 'An input has a value that the task cannot use. All such inputs are named at once, and nothing was changed.',
    why: 'A required input is empty, a duration or a number is mistyped, two inputs exclude each other, or a pipeline variable in an input was not set.',
  },
  ConnectionMissing: {
    what: 'The step has no service connection to reach the cluster.',
    why: 'The input is empty, or the agent did not hand the connection over.',
  },
  NamespaceMissing: {
    what: 'The namespace does not exist.',
    why: 'Its name is mistyped, the connection leads to another cluster, or nobody has created it yet.',
  },
  ChartNotFound: {
    what: 'Helm finds no chart under the name, version and repository of the inputs.',
    why: 'The chart is not in the folder or registry, or no version matches the range. A registry may also hide a chart from a login without the right to it.',
  },
  ChartAccessDenied: {
    what: 'The server of the chart answered that there is no login, a wrong one, or one without the right to read the chart (401, 403).',
    why: 'No connection is named, the password was changed or has expired, or the login of an earlier step is not there on this agent.',
  },
  ChartSourceUnreachable: {
    what: 'The server of the chart gave no answer that can be used.',
    why: 'Its name is not known, nothing listens there, its certificate is of an authority that the agent does not know, or it allows no more requests now (429).',
  },
  ChartNotVerified: {
    what: 'Helm could not prove who signed the chart. This happens only with verify.',
    why: 'The archive has no .prov file, the key that signed it is not in the keyring, or the archive was changed. A folder cannot be verified.',
  },
  ValuesInvalid: {
    what: 'The values of the chart cannot be used.',
    why: 'A value file is missing or is not YAML, the values do not fit the schema of the chart, or a template requires a value that nobody gives.',
  },
  ConnectionInvalid: {
    what: 'The service connection or the kubeconfig cannot be used as it is.',
    why: 'The kubeconfig is not YAML, names a context that it does not have, or a certificate in it cannot be read.',
  },
  CredentialsRejected: {
    what: 'The API server answered that it does not know who is asking (401).',
    why: 'The token or certificate of the connection is expired or revoked, or belongs to another cluster.',
  },
  CertificateRejected: {
    what: 'The certificate of the API server is not trusted.',
    why: 'The certificate authority of the connection is missing or is that of another cluster, or the address is not in the certificate.',
  },
  PermissionDenied: {
    what: 'The API server refuses a right (403). The message names the verb, the resource and the namespace.',
    why: 'The role of the service account lacks a rule. The page about rights has roles that are ready to apply.',
  },
  ClusterUnreachable: {
    what: 'No connection to the API server can be made.',
    why: 'The address is wrong, a firewall or proxy is in between, the agent is in another network, or the cluster is stopped.',
  },
  TransientFailure: {
    what: 'The API server, or the network on the way to it, failed for a moment.',
    why: 'The control plane restarts or is overloaded, or a connection was cut.',
  },
  HelmMissing: {
    what: 'There is no Helm program to run.',
    why: 'The agent has no Helm on its PATH, or helmPath names a file that is not there or may not be run.',
  },
  HelmDownloadFailed: {
    what: 'The Helm of the input helmVersion cannot be had, or it is not the file that its checksum names.',
    why: 'There is no such version, the place of the download cannot be reached from the agent, or the file was changed on the way.',
  },
  HelmUnsupported: {
    what: 'The Helm of the agent is too old.',
    why: 'It is older than 3.14.',
  },
  StorageUnsupported: {
    what: 'Helm keeps its records where the task cannot read them.',
    why: 'The variable HELM_DRIVER is sql or memory.',
  },
  KindNotServed: {
    what: 'The API server does not know a kind of object.',
    why: 'The CustomResourceDefinition is not installed, its API version was removed from this version of Kubernetes, or an API service does not answer.',
  },
  TempFolderUnusable: {
    what: 'The task cannot write to the temporary folder of the agent.',
    why: 'The disk is full, or the folder belongs to another user.',
  },
  RecordUnreadable: {
    what: 'A record of Helm in the cluster cannot be decoded.',
    why: 'Somebody has edited it, or it was cut by a backup tool.',
  },
  ChartInvalid: {
    what: 'The chart cannot be rendered.',
    why: 'A template has an error, Chart.yaml is not valid, or a dependency of the chart is missing.',
  },
  RecordTooLarge: {
    what: 'The record of the revision is larger than the cluster stores.',
    why: 'The chart contains large files, or it renders very many objects.',
  },
  PostRendererFailed: {
    what: 'The post-renderer of the input arguments failed.',
    why: 'The program is missing on the agent, or it ended with an error.',
  },
  ReleasePending: {
    what: 'Another program is still changing the release, or was killed while it did.',
    why: 'Somebody runs Helm by hand, another tool deploys the same release, or a run of another tool was killed not long ago.',
  },
  ReleaseLocked: {
    what: 'Another run of these tasks holds the lock of the release for longer than lockTimeout.',
    why: 'Two pipelines, or two runs of one pipeline, deploy the same release at the same time.',
  },
  ReleaseMissing: {
    what: 'There is no release with this name in the namespace.',
    why: 'The name or the namespace is mistyped, or the release was uninstalled.',
  },
  WorkloadMissing: {
    what: 'A workload that the inputs name does not exist, or the selector selects nothing.',
    why: 'A name, a label or the namespace is mistyped, or the workload was removed.',
  },
  ClustersFailed: {
    what: 'More clusters of a ring have failed than the pipeline tolerates, so the next ring does not start.',
    why: 'The deploy to a cluster failed, or its job did not run or ended without a report.',
  },
  HookFailed: {
    what: 'A hook of the chart failed.',
    why: 'A migration or a test that the chart runs as a hook ended with an error.',
  },
  SmokeTestFailed: {
    what: 'A test of the chart (helm test) did not pass, after everything was ready. The log of the test is shown above the reason.',
    why: 'The new version starts and does not work as its test expects, the test reaches something outside that does not answer, or the test itself is wrong.',
  },
  MetricsFailed: {
    what: 'A metric of the input metrics broke its condition while the new revision was baking. Everything else was ready.',
    why: 'The new version makes more errors or is slower, or the condition does not fit what is normal for the application.',
  },
  MetricsInconclusive: {
    what: 'The metrics said too little: there was no data, no number, an error, or no answer. This is never taken for healthy.',
    why: 'The metric starts later than initialDelay, there is no traffic, the labels of the query fit nothing, or the server stopped meanwhile.',
  },
  MetricsUnavailable: {
    what: 'The metrics server could not be asked before the deploy, so nothing was changed.',
    why: 'Its address is wrong, the agent cannot reach it, it refuses the credentials, or the connection may not use services/proxy.',
  },
  ApplyRejected: {
    what: 'The API server refused an object of the chart.',
    why: 'A field is not valid or cannot be changed, a policy or a webhook says no, or a quota is exceeded.',
  },
  FieldConflict: {
    what: 'Another manager owns a field that the chart sets, and Helm was not told to take it.',
    why: 'An operator or a person with kubectl has set the field. Replicas that an autoscaler has set are kept.',
  },
  DriftFound: {
    what: 'Live objects are not as the serving revision declares them, and `drift: fail` was asked for.',
    why: 'Somebody has changed or deleted them by hand, or a controller sets fields that the chart sets too.',
  },
  ObjectOwned: {
    what: 'The chart declares an object of another release that still lives.',
    why: '`takeOwnership` takes objects of nobody and of releases that are gone; others only from releases that `takeOwnershipFrom` names.',
  },
  DefinitionRefused: {
    what: 'A CustomResourceDefinition of the chart cannot replace the one in the cluster (input crds). Nothing was changed.',
    why: 'It no longer has a version in which objects are stored or served, or has another scope, or the old one is being deleted.',
  },
  HelmFailed: {
    what: 'Helm failed with words that the task does not know.',
    why: 'A plug-in, a new version of Helm or a rare error.',
  },
  RollbackTargetMissing: {
    what: 'There is no revision to roll back to.',
    why: 'The release has no earlier revision that was seen healthy, or the named revision is no longer in the history.',
  },
  ProofFailed: {
    what: 'After the rollback, objects still differ from the target.',
    why: 'A controller or a webhook sets them again, or the API server refuses the correction.',
  },
  PlanMissing: {
    what: 'There is no plan with the digest that the step was given.',
    why: 'No step with action: plan ran before, planDigest is empty or of another release, or the kept plan was deleted.',
  },
  PlanExpired: {
    what: 'The plan is older than maxPlanAge.',
    why: 'The approval came late.',
  },
  PlanChanged: {
    what: 'The rollback or the deploy would no longer do what was planned. The differences are named, and nothing was changed.',
    why: 'Somebody has deployed, edited an object by hand, or changed the chart, the inputs or the Helm of the step after the plan was made.',
  },
  PlanRefused: {
    what: 'The plan has at least one refusal.',
    why: 'The rollback would lose data, or the rollback or the deploy could not succeed. The page about findings explains each code.',
  },
  ApprovalMissing: {
    what: 'No approval is proven for the plan.',
    why: 'The gate is missing, came before the plan, was rejected, or Azure DevOps does not tell who approved.',
  },
  Cancelled: {
    what: 'Somebody cancelled the run.',
    why: 'A person or the timeout of the job ended it.',
  },
  TimedOut: {
    what: 'The time that the inputs allow was over before the work was done.',
    why: 'The work is slow, or it waits for something that does not come.',
  },
  LeaseLost: {
    what: 'The lock of the release passed to another run while this one worked.',
    why: 'The agent was cut off from the cluster for so long that the lock ran out, or somebody deleted the Lease.',
  },
  Conflict: {
    what: 'Somebody else changed the same object at the same moment.',
    why: 'A controller, another pipeline or a person wrote between two requests of the task.',
  },
  Internal: {
    what: 'The task itself failed.',
    why: 'A fault of this extension.',
  },
};
