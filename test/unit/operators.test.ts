import assert from 'node:assert/strict';
import { parse } from 'yaml';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { objectStatus, parseStatusRules } from '../../tasks/common/core/status/objectStatus';
import { operatorRules, operators } from '../../tasks/common/core/status/operators/operatorRules';
import { ruleFor, type StatusRule } from '../../tasks/common/core/status/rules/rules';

const now = new Date('2026-03-01T12:00:00Z');

/** `+A -B ?C` are conditions that are true, false and unknown; `A/Why` has a reason. */
const has = (text: string): string => `conditions: [${text.split(' ').map(condition).join(', ')}]`;
const status = (text: string): string => `status: {${text}}`;
const all = (text: string): string => status(has(text));
const inList = (list: string, ...items: readonly string[]): string =>
  status(`${list}: [${items.map((item) => `{${has(item)}}`).join(', ')}]`);

function condition(text: string): string {
  const [type = '', reason = ''] = text.slice(1).split('/');
  const statuses: Readonly<Record<string, string>> = { '+': 'True', '-': 'False', '?': 'Unknown' };
  return `{type: ${type}, status: "${statuses[text.charAt(0)] ?? ''}", reason: "${reason}"}`;
}

/** The states of a kind as its operator documents them: [fields, expected status]. */
const states: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'Rollout.argoproj.io': [
    ['spec: {replicas: 2}', 'InProgress'],
    [
      'spec: {replicas: 2}, status: {phase: Healthy, currentPodHash: a, updatedReplicas: 2, availableReplicas: 2}',
      'Current',
    ],
    [
      'spec: {replicas: 2}, status: {phase: Progressing, currentPodHash: a, updatedReplicas: 2, availableReplicas: 2}',
      'InProgress',
    ],
    ['spec: {replicas: 2}, status: {currentPodHash: a, updatedReplicas: 1, availableReplicas: 2}', 'InProgress'],
    [
      'spec: {replicas: 2}, status: {phase: Paused, currentPodHash: a, updatedReplicas: 1, availableReplicas: 2}',
      'Current',
    ],
    [status('phase: Degraded, abort: true'), 'Failed'],
    [all('+Available -Progressing/ProgressDeadlineExceeded'), 'Failed'],
    [all('+InvalidSpec'), 'Failed'],
  ],
  'OpenSearchCluster.opensearch.opster.io': [
    [status('phase: PENDING'), 'InProgress'],
    [status('phase: RUNNING, health: yellow'), 'Current'],
    [status('phase: RUNNING, health: red'), 'InProgress'],
  ],
  'AnalysisRun.argoproj.io': [
    [status('phase: Running'), 'InProgress'],
    [status('phase: Successful'), 'Current'],
    [status('phase: Error'), 'Failed'],
  ],
  'Workflow.argoproj.io': [
    [status('phase: Pending'), 'InProgress'],
    [status('phase: Running'), 'InProgress'],
    [status('phase: Succeeded'), 'Current'],
    [status('phase: Error'), 'Failed'],
    [`spec: {suspend: true}, ${status('phase: Running')}`, 'Current'],
  ],
  'CronWorkflow.argoproj.io': [
    ['spec: {schedule: x}', 'Current'],
    [all('+SubmissionError'), 'InProgress'],
    [all('+SpecError'), 'Failed'],
  ],
  'WorkflowTemplate.argoproj.io': [['spec: {}', 'Current']],
  'AnalysisTemplate.argoproj.io': [['spec: {}', 'Current']],
  'AppProject.argoproj.io': [['spec: {}', 'Current']],
  'Application.argoproj.io': [
    [status('health: {status: Healthy}'), 'Current'],
    [status('health: {status: Suspended}'), 'Current'],
    [status('health: {status: Degraded}'), 'InProgress'],
    [`spec: {syncPolicy: {automated: {prune: true}}}, ${status('health: {status: Missing}')}`, 'InProgress'],
    [status('health: {status: Missing}'), 'Current'],
    [status('health: {status: Healthy}, operationState: {phase: Running}'), 'InProgress'],
  ],
  'ApplicationSet.argoproj.io': [
    [all('-ErrorOccurred +ResourcesUpToDate'), 'Current'],
    [all('+ErrorOccurred -ResourcesUpToDate'), 'InProgress'],
    [all('-ErrorOccurred +ResourcesUpToDate +RolloutProgressing'), 'InProgress'],
  ],
  'PromotionStrategy.promoter.argoproj.io': [
    [all('+Ready'), 'Current'],
    [all('+Other'), 'InProgress'],
  ],
  'EventBus.argoproj.io': [
    [all('+Deployed +Configured'), 'Current'],
    [all('+Deployed -Configured'), 'InProgress'],
  ],
  'EventSource.argoproj.io': [
    [all('+Deployed +SourcesProvided'), 'Current'],
    [all('-Deployed'), 'InProgress'],
  ],
  'Sensor.argoproj.io': [
    [all('+Deployed +TriggersProvided'), 'Current'],
    [all('+Deployed -TriggersProvided'), 'InProgress'],
  ],
  'Canary.flagger.app': [
    [status('phase: Initializing'), 'InProgress'],
    [status('phase: Initialized'), 'Current'],
    [status('phase: WaitingPromotion'), 'InProgress'],
    [status('phase: Succeeded'), 'Current'],
    [status('phase: Failed'), 'Failed'],
  ],
  'MetricTemplate.flagger.app': [['spec: {}', 'Current']],
  'Certificate.cert-manager.io': [
    ['spec: {}', 'InProgress'],
    [all('+Ready'), 'Current'],
    [all('-Ready/DoesNotExist +Issuing'), 'InProgress'],
    [all('-Ready -Issuing/Failed'), 'Failed'],
  ],
  'Certificate.certmanager.k8s.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'Issuer.cert-manager.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready/ErrRegisterACMEAccount'), 'InProgress'],
  ],
  'Issuer.certmanager.k8s.io': [
    [all('+Ready'), 'Current'],
    ['spec: {}', 'InProgress'],
  ],
  'CertificateRequest.cert-manager.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready/Pending'), 'InProgress'],
    [all('-Ready/Denied +Denied'), 'Failed'],
  ],
  'Order.acme.cert-manager.io': [
    [status('state: pending'), 'InProgress'],
    [status('state: valid'), 'Current'],
    [status('state: invalid'), 'Failed'],
  ],
  'Bundle.trust.cert-manager.io': [
    [all('+Synced'), 'Current'],
    [all('-Synced/SourceNotFound'), 'InProgress'],
  ],
  'ExternalSecret.external-secrets.io': [
    [all('+Ready/SecretSynced'), 'Current'],
    [all('-Ready/SecretSyncedError'), 'InProgress'],
    ['spec: {}', 'InProgress'],
  ],
  'Password.generators.external-secrets.io': [['spec: {}', 'Current']],
  'SealedSecret.bitnami.com': [
    [all('+Synced'), 'Current'],
    [all('-Synced'), 'InProgress'],
    ['metadata: {creationTimestamp: "2026-03-01T11:59:00Z"}', 'InProgress'],
  ],
  'Keycloak.k8s.keycloak.org': [
    [all('+Ready -HasErrors'), 'Current'],
    [all('-Ready -HasErrors +RollingUpdate'), 'InProgress'],
  ],
  'KeycloakRealmImport.k8s.keycloak.org': [
    [all('+Done'), 'Current'],
    [all('+Started -Done'), 'InProgress'],
    [all('-Done +HasErrors'), 'Failed'],
  ],
  'OnePasswordItem.onepassword.com': [
    [all('+Ready'), 'Current'],
    ['spec: {}', 'InProgress'],
  ],
  'Bucket.s3.aws.crossplane.io': [
    [all('+Ready +Synced'), 'Current'],
    [all('+Synced'), 'InProgress'],
    [all('+Ready -Synced/ReconcileError'), 'InProgress'],
    [all('+Ready -Synced/ReconcilePaused'), 'Current'],
  ],
  'Bucket.s3.aws.upbound.io': [
    [all('+Ready +Synced'), 'Current'],
    [all('-Ready/Creating +Synced'), 'InProgress'],
  ],
  'ProviderConfig.aws.upbound.io': [
    ['spec: {}', 'Current'],
    [status('users: 3'), 'Current'],
  ],
  'ProviderConfig.aws.crossplane.io': [['spec: {}', 'Current']],
  'Provider.pkg.crossplane.io': [
    [all('+Installed +Healthy'), 'Current'],
    [all('+Installed -Healthy/UnhealthyPackageRevision'), 'InProgress'],
  ],
  'ProviderRevision.pkg.crossplane.io': [
    [all('+RevisionHealthy +RuntimeHealthy'), 'Current'],
    [all('+RevisionHealthy -RuntimeHealthy'), 'InProgress'],
  ],
  'DeploymentRuntimeConfig.pkg.crossplane.io': [['spec: {}', 'Current']],
  'CompositeResourceDefinition.apiextensions.crossplane.io': [
    [all('+Established +Offered'), 'Current'],
    [all('-Established'), 'InProgress'],
  ],
  'Composition.apiextensions.crossplane.io': [['spec: {}', 'Current']],
  'Operation.ops.crossplane.io': [
    [all('+Succeeded'), 'Current'],
    [all('?Succeeded'), 'InProgress'],
    [all('-Succeeded'), 'Failed'],
  ],
  'CronOperation.ops.crossplane.io': [
    [all('+Synced'), 'Current'],
    [all('-Synced'), 'InProgress'],
  ],
  'Usage.protection.crossplane.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'Bucket.s3.services.k8s.aws': [
    [all('+ACK.ResourceSynced'), 'Current'],
    [status('ackResourceMetadata: {region: a}'), 'InProgress'],
    [all('-ACK.ResourceSynced +ACK.Terminal'), 'Failed'],
  ],
  'AdoptedResource.services.k8s.aws': [
    [all('+ACK.Adopted'), 'Current'],
    [all('-ACK.Adopted'), 'InProgress'],
  ],
  'FieldExport.services.k8s.aws': [
    ['spec: {}', 'Current'],
    [all('+ACK.Recoverable'), 'InProgress'],
  ],
  'IAMRoleSelector.services.k8s.aws': [['spec: {}', 'Current']],
  'StorageBucket.storage.cnrm.cloud.google.com': [
    [all('+Ready/UpToDate'), 'Current'],
    [all('-Ready/UpdateFailed'), 'InProgress'],
  ],
  'ConfigConnector.core.cnrm.cloud.google.com': [
    [status('healthy: true'), 'Current'],
    [status('healthy: false'), 'InProgress'],
  ],
  'ResourceGroup.resources.azure.com': [
    [all('+Ready/Succeeded'), 'Current'],
    [all('-Ready/Reconciling'), 'InProgress'],
    [all('-Ready/Failed'), 'Failed'],
  ],
  'NodeClaim.karpenter.sh': [
    [all('+Launched +Ready'), 'Current'],
    [all('+Launched'), 'InProgress'],
  ],
  'NodePool.karpenter.sh': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'EC2NodeClass.karpenter.k8s.aws': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'VirtualMachine.kubevirt.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready/GuestNotRunning'), 'InProgress'],
    [`spec: {runStrategy: Halted}, ${all('-Ready')}`, 'Current'],
  ],
  'VirtualMachineInstance.kubevirt.io': [
    [status('phase: Scheduling'), 'InProgress'],
    [status('phase: Running'), 'Current'],
    [status('phase: Failed'), 'Failed'],
  ],
  'DataVolume.cdi.kubevirt.io': [
    [status('phase: ImportInProgress'), 'InProgress'],
    [status('phase: Succeeded'), 'Current'],
    [status('phase: WaitForFirstConsumer'), 'Current'],
  ],
  'Cluster.cluster.x-k8s.io': [
    [status(`phase: Provisioned, ${has('+Ready')}`), 'Current'],
    [status('phase: Provisioning'), 'InProgress'],
    [status('phase: Provisioned, controlPlaneReady: false'), 'InProgress'],
    [status('phase: Failed'), 'Failed'],
    [`spec: {paused: true}, ${all('-Ready')}`, 'Current'],
  ],
  'Machine.cluster.x-k8s.io': [
    [status('phase: Running'), 'Current'],
    [status('phase: Provisioned'), 'InProgress'],
    [status('phase: Failed'), 'Failed'],
  ],
  'MachineDeployment.cluster.x-k8s.io': [
    ['spec: {replicas: 2}, status: {phase: Running, readyReplicas: 2}', 'Current'],
    ['spec: {replicas: 2}, status: {phase: ScalingUp, readyReplicas: 1}', 'InProgress'],
  ],
  'MachineHealthCheck.cluster.x-k8s.io': [
    [status('currentHealthy: 2, expectedMachines: 2'), 'Current'],
    [status('currentHealthy: 1, expectedMachines: 2'), 'InProgress'],
  ],
  'ClusterResourceSet.addons.cluster.x-k8s.io': [
    [all('+ResourcesApplied'), 'Current'],
    [all('-ResourcesApplied'), 'InProgress'],
  ],
  'KubeadmControlPlane.controlplane.cluster.x-k8s.io': [
    ['spec: {replicas: 3}, status: {readyReplicas: 3}', 'Current'],
    ['spec: {replicas: 3}, status: {readyReplicas: 2}', 'InProgress'],
  ],
  'Cluster.postgresql.cnpg.io': [
    ['spec: {instances: 3}, status: {phase: Cluster in healthy state, readyInstances: 3}', 'Current'],
    ['spec: {instances: 3}, status: {phase: Setting up primary}', 'InProgress'],
    ['spec: {instances: 3}, status: {phase: Cluster in healthy state, readyInstances: 2}', 'InProgress'],
    [status('phase: Cluster is unrecoverable and needs manual intervention'), 'Failed'],
    [
      'metadata: {annotations: {cnpg.io/hibernation: "on"}}, spec: {instances: 3}, status: {phase: Cluster in healthy state}',
      'Current',
    ],
  ],
  'Backup.postgresql.cnpg.io': [
    [status('phase: running'), 'InProgress'],
    [status('phase: completed'), 'Current'],
    [status('phase: failed'), 'Failed'],
  ],
  'Pooler.postgresql.cnpg.io': [
    ['spec: {instances: 2}, status: {instances: 2}', 'Current'],
    ['spec: {instances: 2}, status: {instances: 1}', 'InProgress'],
  ],
  'Database.postgresql.cnpg.io': [
    [status('applied: true'), 'Current'],
    [status('applied: false, message: no role'), 'InProgress'],
  ],
  'ScheduledBackup.postgresql.cnpg.io': [['spec: {}', 'Current']],
  'postgresql.acid.zalan.do': [
    [status('PostgresClusterStatus: Creating'), 'InProgress'],
    [status('PostgresClusterStatus: Running'), 'Current'],
    [status('PostgresClusterStatus: SyncFailed'), 'Failed'],
  ],
  'OperatorConfiguration.acid.zalan.do': [['configuration: {}', 'Current']],
  'PerconaXtraDBCluster.pxc.percona.com': [
    [status('state: initializing'), 'InProgress'],
    [status('state: ready'), 'Current'],
    [status('state: paused'), 'Current'],
    [status('state: error'), 'InProgress'],
  ],
  'PerconaServerMongoDB.psmdb.percona.com': [
    [status('state: stopping'), 'InProgress'],
    [status('state: ready'), 'Current'],
  ],
  'PerconaServerMySQL.ps.percona.com': [
    [status('state: initializing'), 'InProgress'],
    [status('state: ready'), 'Current'],
  ],
  'PerconaPGCluster.pgv2.percona.com': [
    [status('state: initializing'), 'InProgress'],
    [status('state: ready'), 'Current'],
  ],
  'PerconaXtraDBClusterBackup.pxc.percona.com': [
    [status('state: Running'), 'InProgress'],
    [status('state: Succeeded'), 'Current'],
    [status('state: Failed'), 'Failed'],
  ],
  'PerconaServerMongoDBBackup.psmdb.percona.com': [
    [status('state: running'), 'InProgress'],
    [status('state: ready'), 'Current'],
    [status('state: error'), 'Failed'],
  ],
  'MariaDB.k8s.mariadb.com': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
    [`spec: {suspend: true}, ${all('-Ready')}`, 'Current'],
  ],
  'Backup.k8s.mariadb.com': [
    [all('+Complete/JobComplete'), 'Current'],
    [all('-Complete/JobRunning'), 'InProgress'],
    [all('-Complete/JobFailed'), 'Failed'],
    [`spec: {schedule: {cron: x}}, ${all('-Complete')}`, 'Current'],
  ],
  'MariaDB.mariadb.mmontes.io': [
    [all('+Ready'), 'Current'],
    [status('revision: 0'), 'InProgress'],
  ],
  'Backup.mariadb.mmontes.io': [
    [all('+Complete'), 'Current'],
    [all('-Complete'), 'InProgress'],
  ],
  'Tenant.minio.min.io': [
    [status('currentState: Initialized'), 'Current'],
    [status('currentState: Waiting for Pods to be ready'), 'InProgress'],
    [status('currentState: Initialized, healthStatus: red'), 'InProgress'],
  ],
  'MinIOJob.job.min.io': [
    [status('phase: Success'), 'Current'],
    [status('phase: Running'), 'InProgress'],
    [status('phase: Error'), 'Failed'],
  ],
  'PolicyBinding.sts.min.io': [['spec: {}', 'Current']],
  'CephCluster.ceph.rook.io': [
    [status('phase: Ready, state: Created, ceph: {health: HEALTH_OK}'), 'Current'],
    [status('phase: Ready, state: Created, ceph: {health: HEALTH_ERR}'), 'InProgress'],
    [status('phase: Progressing'), 'InProgress'],
    [status('phase: Failure'), 'Failed'],
  ],
  'CephBlockPool.ceph.rook.io': [
    [status('phase: Ready'), 'Current'],
    [status('phase: Progressing'), 'InProgress'],
  ],
  'ObjectBucketClaim.objectbucket.io': [
    [status('phase: Bound'), 'Current'],
    [status('phase: Pending'), 'InProgress'],
  ],
  'Kafka.kafka.strimzi.io': [
    [all('+Ready'), 'Current'],
    [all('+NotReady/Creating'), 'InProgress'],
    [all('+ReconciliationPaused'), 'Current'],
    ['spec: {}', 'InProgress'],
  ],
  'KafkaNodePool.kafka.strimzi.io': [
    [status('nodeIds: [0]'), 'Current'],
    [all('+NotReady'), 'InProgress'],
  ],
  'KafkaRebalance.kafka.strimzi.io': [
    [all('+Ready'), 'Current'],
    [all('+PendingProposal'), 'InProgress'],
    [all('+ProposalReady'), 'Current'],
  ],
  'StrimziPodSet.core.strimzi.io': [
    [status('pods: 2, readyPods: 2, currentPods: 2'), 'Current'],
    [status('pods: 2, readyPods: 1, currentPods: 2'), 'InProgress'],
  ],
  'RabbitmqCluster.rabbitmq.com': [
    [all('+AllReplicasReady +ClusterAvailable -NoWarnings +ReconcileSuccess'), 'Current'],
    [all('-AllReplicasReady +ClusterAvailable +ReconcileSuccess'), 'InProgress'],
    [all('+AllReplicasReady +ClusterAvailable -ReconcileSuccess'), 'InProgress'],
  ],
  'Queue.rabbitmq.com': [
    [all('+Ready'), 'Current'],
    [all('-Ready/FailedCreateOrUpdate'), 'InProgress'],
  ],
  'ClickHouseInstallation.clickhouse.altinity.com': [
    [status('status: InProgress'), 'InProgress'],
    [status('status: Completed'), 'Current'],
    [status('status: Aborted'), 'Failed'],
  ],
  'ClickHouseKeeperInstallation.clickhouse-keeper.altinity.com': [
    [status('status: InProgress'), 'InProgress'],
    [status('status: Completed'), 'Current'],
  ],
  'VolumeSnapshot.snapshot.storage.k8s.io': [
    [status('readyToUse: false'), 'InProgress'],
    [status('readyToUse: true'), 'Current'],
  ],
  'SolrCloud.solr.apache.org': [
    ['spec: {replicas: 2}, status: {readyReplicas: 2, upToDateNodes: 2}', 'Current'],
    ['spec: {replicas: 2}, status: {readyReplicas: 2, upToDateNodes: 1}', 'InProgress'],
  ],
  'Elasticsearch.elasticsearch.k8s.elastic.co': [
    [status('phase: Ready, health: green'), 'Current'],
    [status('phase: ApplyingChanges, health: green'), 'InProgress'],
    [status('phase: Ready, health: yellow'), 'InProgress'],
    [status('phase: Invalid'), 'Failed'],
  ],
  'Kibana.kibana.k8s.elastic.co': [
    [status('health: green, availableNodes: 1'), 'Current'],
    [status('health: red'), 'InProgress'],
  ],
  'StackConfigPolicy.stackconfigpolicy.k8s.elastic.co': [
    [status('phase: Ready'), 'Current'],
    [status('phase: ApplyingChanges'), 'InProgress'],
  ],
  'ElasticsearchAutoscaler.autoscaling.k8s.elastic.co': [
    [all('+Active +Healthy'), 'Current'],
    [all('+Active -Healthy'), 'InProgress'],
  ],
  'Kustomization.kustomize.toolkit.fluxcd.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready/BuildFailed'), 'InProgress'],
    [all('-Ready +Stalled'), 'Failed'],
    [`spec: {suspend: true}, ${all('-Ready')}`, 'Current'],
  ],
  'GitRepository.source.toolkit.fluxcd.io': [
    ['metadata: {generation: 2}, spec: {suspend: true}, status: {observedGeneration: 1}', 'Current'],
    ['metadata: {generation: 2}, spec: {suspend: false}, status: {observedGeneration: 1}', 'InProgress'],
  ],
  'HelmRepository.source.toolkit.fluxcd.io': [
    ['spec: {type: oci}', 'Current'],
    ['spec: {}', 'InProgress'],
    [all('+Ready'), 'Current'],
  ],
  'Provider.notification.toolkit.fluxcd.io': [
    ['spec: {}', 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'PipelineRun.tekton.dev': [
    [all('?Succeeded/Running'), 'InProgress'],
    [all('+Succeeded'), 'Current'],
    [all('-Succeeded/Failed'), 'Failed'],
    ['spec: {status: PipelineRunPending}', 'Current'],
  ],
  'Task.tekton.dev': [['spec: {}', 'Current']],
  'EventListener.triggers.tekton.dev': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'TektonConfig.operator.tekton.dev': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'Subscription.operators.coreos.com': [
    [status(`state: AtLatestKnown, ${has('-CatalogSourcesUnhealthy')}`), 'Current'],
    [status('state: UpgradePending'), 'InProgress'],
    [status(`state: UpgradePending, ${has('+InstallPlanPending/RequiresApproval')}`), 'Current'],
    [all('+ResolutionFailed'), 'InProgress'],
    [all('+BundleUnpackFailed'), 'Failed'],
  ],
  'ClusterServiceVersion.operators.coreos.com': [
    [status('phase: Installing'), 'InProgress'],
    [status('phase: Succeeded'), 'Current'],
    [status('phase: Failed'), 'Failed'],
  ],
  'InstallPlan.operators.coreos.com': [
    [status('phase: Installing'), 'InProgress'],
    [status('phase: Complete'), 'Current'],
    [status('phase: RequiresApproval'), 'Current'],
  ],
  'CatalogSource.operators.coreos.com': [
    [status('connectionState: {lastObservedState: READY}'), 'Current'],
    [status('connectionState: {lastObservedState: CONNECTING}'), 'InProgress'],
  ],
  'OperatorGroup.operators.coreos.com': [['spec: {}', 'Current']],
  'ScaledObject.keda.sh': [
    [all('+Ready -Active -Fallback'), 'Current'],
    [all('-Ready'), 'InProgress'],
    [all('+Ready +Fallback'), 'InProgress'],
    [all('?Ready +Paused'), 'Current'],
  ],
  'ScaledJob.keda.sh': [
    [all('+Ready -Active'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'TriggerAuthentication.keda.sh': [['spec: {}', 'Current']],
  'Service.serving.knative.dev': [
    [all('+Ready'), 'Current'],
    [all('?Ready'), 'InProgress'],
    ['spec: {}', 'InProgress'],
  ],
  'Prometheus.monitoring.coreos.com': [
    [all('+Available +Reconciled'), 'Current'],
    [all('-Available/NoPodReady +Reconciled'), 'InProgress'],
    [all('+Available -Reconciled'), 'InProgress'],
    ['spec: {paused: true}', 'Current'],
  ],
  'ServiceMonitor.monitoring.coreos.com': [
    ['spec: {}', 'Current'],
    [inList('bindings', '-Accepted'), 'InProgress'],
  ],
  'VMAgent.operator.victoriametrics.com': [
    [status('updateStatus: expanding'), 'InProgress'],
    [status('updateStatus: operational'), 'Current'],
    [status('updateStatus: failed'), 'Failed'],
  ],
  'Grafana.grafana.integreatly.org': [
    [status('stage: complete, stageStatus: success'), 'Current'],
    [status('stage: deployment, stageStatus: success'), 'InProgress'],
  ],
  'GrafanaDashboard.grafana.integreatly.org': [
    [status('lastResync: a'), 'Current'],
    [status(`lastResync: a, ${has('-DashboardSynchronized')}`), 'InProgress'],
  ],
  'ClusterPolicy.kyverno.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
  ],
  'CloneSet.apps.kruise.io': [
    ['spec: {replicas: 2}, status: {updatedReadyReplicas: 2}', 'Current'],
    ['spec: {replicas: 2}, status: {updatedReadyReplicas: 1}', 'InProgress'],
    ['spec: {replicas: 2, updateStrategy: {partition: 1}}, status: {updatedReadyReplicas: 1}', 'Current'],
  ],
  'DaemonSet.apps.kruise.io': [
    [status('numberReady: 2, desiredNumberScheduled: 2'), 'Current'],
    [status('numberReady: 1, desiredNumberScheduled: 2'), 'InProgress'],
  ],
  'BroadcastJob.apps.kruise.io': [
    [status('phase: running'), 'InProgress'],
    [status('phase: completed'), 'Current'],
    [status('phase: failed'), 'Failed'],
  ],
  'Backup.velero.io': [
    [status('phase: InProgress'), 'InProgress'],
    [status('phase: Completed'), 'Current'],
    [status('phase: PartiallyFailed'), 'Failed'],
  ],
  'BackupStorageLocation.velero.io': [
    [status('phase: Available'), 'Current'],
    [status('phase: Unavailable'), 'InProgress'],
  ],
  'Schedule.velero.io': [
    [status('phase: Enabled'), 'Current'],
    [status('phase: New'), 'InProgress'],
    [status('phase: FailedValidation'), 'Failed'],
  ],
  'GatewayClass.gateway.networking.k8s.io': [
    [all('+Accepted'), 'Current'],
    [all('?Accepted/Pending'), 'InProgress'],
  ],
  'Gateway.gateway.networking.k8s.io': [
    [all('+Accepted +Programmed'), 'Current'],
    [all('?Accepted/Pending ?Programmed/Pending'), 'InProgress'],
    [all('+Accepted -Programmed/AddressNotAssigned'), 'InProgress'],
    [
      status(`${has('+Accepted +Programmed')}, listeners: [{${has('-ResolvedRefs/InvalidCertificateRef')}}]`),
      'InProgress',
    ],
  ],
  'HTTPRoute.gateway.networking.k8s.io': [
    ['spec: {}', 'InProgress'],
    [inList('parents', '+Accepted +ResolvedRefs'), 'Current'],
    [inList('parents', '+Accepted', '-Accepted/NoMatchingParent'), 'InProgress'],
    [inList('parents', '+Accepted -ResolvedRefs/BackendNotFound'), 'InProgress'],
  ],
  'BackendTLSPolicy.gateway.networking.k8s.io': [
    [inList('ancestors', '+Accepted'), 'Current'],
    [inList('ancestors', '-Accepted'), 'InProgress'],
  ],
  'ReferenceGrant.gateway.networking.k8s.io': [['spec: {}', 'Current']],
  'VirtualService.networking.istio.io': [
    ['spec: {}', 'Current'],
    [all('-Reconciled'), 'InProgress'],
  ],
  'IstioOperator.install.istio.io': [
    [status('status: HEALTHY'), 'Current'],
    [status('status: RECONCILING'), 'InProgress'],
    [status('status: ERROR'), 'Failed'],
  ],
  'Istio.sailoperator.io': [
    [all('+Ready +Reconciled'), 'Current'],
    [all('-Ready +Reconciled'), 'InProgress'],
  ],
  'HTTPProxy.projectcontour.io': [
    [all('+Valid'), 'Current'],
    [all('-Valid'), 'InProgress'],
    [status('currentStatus: NotReconciled'), 'InProgress'],
  ],
  'ExtensionService.projectcontour.io': [
    [all('+Valid'), 'Current'],
    [all('-Valid'), 'InProgress'],
  ],
  'VirtualService.gateway.solo.io': [
    [status('state: 1'), 'Current'],
    [status('state: 3'), 'InProgress'],
    [status('statuses: {a: {state: Rejected}}'), 'Failed'],
  ],
  'Upstream.gloo.solo.io': [
    [status('statuses: {a: {state: 1}}'), 'Current'],
    [status('statuses: {a: {state: 3}}'), 'InProgress'],
    [status('state: 2'), 'Failed'],
  ],
  'Route.route.openshift.io': [
    [inList('ingress', '+Admitted'), 'Current'],
    [inList('ingress', '-Admitted/HostAlreadyClaimed'), 'InProgress'],
  ],
  'KongConsumer.configuration.konghq.com': [
    ['spec: {}', 'Current'],
    [all('-Programmed'), 'InProgress'],
  ],
  'FlinkDeployment.flink.apache.org': [
    [status('jobManagerDeploymentStatus: READY, jobStatus: {state: RUNNING}'), 'Current'],
    [status('jobManagerDeploymentStatus: DEPLOYING'), 'InProgress'],
    [status('jobManagerDeploymentStatus: READY, jobStatus: {state: FAILED}'), 'InProgress'],
    ['spec: {job: {state: suspended}}, status: {jobManagerDeploymentStatus: MISSING}', 'Current'],
    [status('lifecycleState: FAILED'), 'Failed'],
  ],
  'SparkApplication.sparkoperator.k8s.io': [
    [status('applicationState: {state: SUBMITTED}'), 'InProgress'],
    [status('applicationState: {state: RUNNING}'), 'Current'],
    [status('applicationState: {state: FAILED}'), 'Failed'],
  ],
  'ScheduledSparkApplication.sparkoperator.k8s.io': [
    [status('scheduleState: Scheduled'), 'Current'],
    [status('scheduleState: Validating'), 'InProgress'],
  ],
  'RayCluster.ray.io': [
    [status('state: ready'), 'Current'],
    [status('state: unhealthy'), 'InProgress'],
    [status('state: failed'), 'Failed'],
    [status('state: suspended'), 'Current'],
  ],
  'RayService.ray.io': [
    [status('serviceStatus: Running'), 'Current'],
    [status(`serviceStatus: Running, ${has('-Ready')}`), 'InProgress'],
  ],
  'RayJob.ray.io': [
    [status('jobDeploymentStatus: Running'), 'InProgress'],
    [status('jobDeploymentStatus: Complete, jobStatus: SUCCEEDED'), 'Current'],
    [status('jobDeploymentStatus: Complete, jobStatus: FAILED'), 'Failed'],
  ],
  'Job.batch.volcano.sh': [
    [status('state: {phase: Pending}'), 'InProgress'],
    [status('state: {phase: Running}'), 'Current'],
    [status('state: {phase: Aborted}'), 'Failed'],
  ],
  'InferenceService.serving.kserve.io': [
    [all('+Ready'), 'Current'],
    [all('-Ready'), 'InProgress'],
    [status(`${has('+Ready')}, modelStatus: {transitionStatus: BlockedByFailedLoad}`), 'Failed'],
    [`metadata: {annotations: {serving.kserve.io/stop: "true"}}, ${all('-Ready/Stopped')}`, 'Current'],
  ],
  'Notebook.kubeflow.org': [
    [status('readyReplicas: 1'), 'Current'],
    [status('readyReplicas: 0'), 'InProgress'],
  ],
  'Integration.camel.apache.org': [
    [status('phase: Building Kit'), 'InProgress'],
    [status('phase: Running'), 'Current'],
    [status('phase: Error'), 'Failed'],
  ],
  'Jaeger.jaegertracing.io': [
    ['spec: {}', 'InProgress'],
    [status('phase: Running'), 'Current'],
    [status('phase: Failed'), 'Failed'],
  ],
  'MongoDBCommunity.mongodbcommunity.mongodb.com': [
    [status('phase: Pending'), 'InProgress'],
    [status('phase: Running'), 'Current'],
    [status('phase: Failed'), 'Failed'],
  ],
  'MongoDB.mongodb.com': [
    [status('phase: Reconciling'), 'InProgress'],
    [status('phase: Running'), 'Current'],
  ],
  'InnoDBCluster.mysql.oracle.com': [
    [status('cluster: {status: ONLINE}'), 'Current'],
    [status('cluster: {status: INITIALIZING}'), 'InProgress'],
  ],
  'CassandraDatacenter.cassandra.datastax.com': [
    [status(`cassandraOperatorProgress: Ready, ${has('+Ready')}`), 'Current'],
    [status('cassandraOperatorProgress: Updating'), 'InProgress'],
  ],
  'ClusterStackInstall.stacks.crossplane.io': [
    [status(`conditionedStatus: {${has('+Ready')}}`), 'Current'],
    [status(`conditionedStatus: {${has('-Ready')}}`), 'InProgress'],
  ],
  'ServiceInstance.services.cloud.sap.com': [
    [all('+Ready +Succeeded'), 'Current'],
    [all('-Ready -Succeeded'), 'InProgress'],
    [all('+Failed'), 'Failed'],
  ],
  'Rollout.rollouts.kruise.io': [
    [status('phase: Healthy'), 'Current'],
    [status('phase: Progressing'), 'InProgress'],
    [status('phase: Progressing, canaryStatus: {currentStepState: StepPaused}'), 'Current'],
  ],
  'IngressRoute.traefik.io': [['spec: {}', 'Current']],
  'IngressRoute.traefik.containo.us': [['spec: {}', 'Current']],
};

const splitName = (name: string): [string, string] => [
  name.slice(0, name.indexOf('.')),
  name.slice(name.indexOf('.') + 1),
];
const textOf = ({ current, failed, suspended, waitSeconds }: StatusRule): string =>
  JSON.stringify({ current, failed, suspended, waitSeconds });

describe('the kinds of operators', () => {
  for (const [name, rows] of Object.entries(states)) {
    const [kind, group] = splitName(name);
    for (const [fields, expected] of rows) {
      it(`${name} with ${fields}: ${expected}`, () => {
        const object = parse(`{apiVersion: ${group}/v1, kind: ${kind}, ${fields}}`) as KubeObject;
        const metadata = { name: 'a', ...(object.metadata as object | undefined) };
        const answer = objectStatus({ ...object, metadata }, now);
        assert.equal(answer.status, expected, JSON.stringify(answer));
      });
    }
  }
});

describe('the rules for operators', () => {
  for (const { source, rules } of operators) {
    it(`can be read and name their source: ${source}`, () => {
      assert.match(source, /^https:\/\/[^\s]+$/);
      assert.deepEqual(parseStatusRules(rules).problems, []);
    });
  }

  it('each rule is tried in a state that it calls Current and in one that it does not', () => {
    const tried = new Map<string, Set<string>>();
    for (const [name, rows] of Object.entries(states)) {
      const [kind, group] = splitName(name);
      const rule = ruleFor(operatorRules, group, kind);
      const key = rule === undefined ? name : `${rule.group} ${textOf(rule)}`;
      const seen = tried.get(key) ?? new Set();
      tried.set(key, seen);
      for (const [, expected] of rows) seen.add(expected === 'Current' ? 'Current' : 'not');
    }
    const untried = operatorRules.filter((rule) => {
      const needed = rule.current?.length === 0 ? 1 : 2;
      return (tried.get(`${rule.group} ${textOf(rule)}`)?.size ?? 0) < needed;
    });
    assert.deepEqual(
      untried.map(({ kind, group }) => `${kind}.${group}`),
      [],
    );
  });
});
