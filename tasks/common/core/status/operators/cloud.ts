import type { DocumentedRules } from './documentedRules';

/** Resources of clouds and clusters: Crossplane, ACK, Config Connector, Azure Service Operator, Cluster API. */
export const cloud: readonly DocumentedRules[] = [
  {
    source: 'https://docs.crossplane.io/latest/managed-resources/managed-resources/#conditions',
    rules: `
*.crossplane.io: suspended condition Synced=False reason ReconcilePaused; current condition Ready, condition Synced
*.upbound.io: suspended condition Synced=False reason ReconcilePaused; current condition Ready, condition Synced
ProviderConfig|ClusterProviderConfig|ProviderConfigUsage|StoreConfig.*.crossplane.io: current always
ProviderConfig|ClusterProviderConfig|ProviderConfigUsage|StoreConfig.*.upbound.io: current always
CompositeResourceDefinition.apiextensions.crossplane.io: current condition Established, not condition Offered=False
Composition|CompositionRevision|EnvironmentConfig|Usage.apiextensions.crossplane.io: current always
*.stacks.crossplane.io: current condition Ready in status.conditionedStatus.conditions
Operation.ops.crossplane.io: failed condition Succeeded=False; current condition Succeeded
CronOperation|WatchOperation.ops.crossplane.io: suspended spec.suspend=true; current condition Synced
Usage|ClusterUsage.protection.crossplane.io: current condition Ready`,
  },
  {
    source: 'https://docs.crossplane.io/latest/packages/providers/#provider-conditions',
    rules: `
Provider|Configuration|Function.pkg.crossplane.io: suspended spec.revisionActivationPolicy=Manual; current condition Installed, condition Healthy
ProviderRevision|ConfigurationRevision|FunctionRevision.pkg.crossplane.io: suspended spec.desiredState=Inactive; current has status.conditions, not condition Healthy=False|Unknown, not condition RevisionHealthy=False|Unknown, not condition RuntimeHealthy=False|Unknown
ControllerConfig|DeploymentRuntimeConfig|ImageConfig|Lock.pkg.crossplane.io: current always`,
  },
  {
    source: 'https://aws-controllers-k8s.github.io/community/docs/user-docs/resource-crud/',
    rules: `
*.services.k8s.aws: failed condition ACK.Terminal; current condition ACK.ResourceSynced
AdoptedResource.services.k8s.aws: failed condition ACK.Terminal; current condition ACK.Adopted
FieldExport.services.k8s.aws: current not condition ACK.Recoverable
IAMRoleSelector.services.k8s.aws: current always`,
  },
  {
    source: 'https://cloud.google.com/config-connector/docs/how-to/monitoring-your-resources',
    rules: `
*.cnrm.cloud.google.com: current condition Ready
*.core.cnrm.cloud.google.com: current status.healthy=true`,
  },
  {
    source: 'https://azure.github.io/azure-service-operator/design/resource-states/',
    rules: `
*.azure.com: failed condition Ready=False reason Failed|FatalError; current condition Ready`,
  },
  {
    source: 'https://github.com/SAP/sap-btp-service-operator#service-instance-properties',
    rules: `
ServiceInstance|ServiceBinding.services.cloud.sap.com: failed condition Failed; current condition Ready, condition Succeeded`,
  },
  {
    source: 'https://karpenter.sh/docs/concepts/nodeclaims/',
    // Before version 0.37 a NodePool has no Ready.
    rules: `
NodeClaim.karpenter.sh: current condition Ready
*.karpenter.sh: current not condition Ready=False|Unknown
*.karpenter.k8s.aws: current not condition Ready=False|Unknown`,
  },
  {
    source: 'https://kubevirt.io/user-guide/user_workloads/lifecycle/',
    rules: `
VirtualMachine.kubevirt.io: suspended spec.running=false, spec.runStrategy=Halted|Manual, status.printableStatus=Stopped|Paused; current condition Ready
VirtualMachineInstance.kubevirt.io: failed status.phase=Failed; current status.phase=Running|Succeeded
DataVolume.cdi.kubevirt.io: failed status.phase=Failed; suspended status.phase=WaitForFirstConsumer|PendingPopulation|Paused; current status.phase=Succeeded`,
  },
  {
    source: 'https://cluster-api.sigs.k8s.io/reference/api/crd-reference',
    rules: `
Cluster.cluster.x-k8s.io: failed status.phase=Failed, has status.failureReason; suspended spec.paused=true; current status.phase=Provisioned, not condition Ready=False|Unknown, not condition Available=False|Unknown, not status.infrastructureReady=false, not status.controlPlaneReady=false
Machine.cluster.x-k8s.io: failed status.phase=Failed; current status.phase=Running, not condition Ready=False
MachineDeployment|MachineSet|MachinePool.cluster.x-k8s.io: failed status.phase=Failed; suspended spec.paused=true; current not status.phase=ScalingUp|ScalingDown|Provisioning|Pending, status.readyReplicas>=spec.replicas, not condition Ready=False, not condition Available=False
MachineHealthCheck.cluster.x-k8s.io: current status.currentHealthy>=status.expectedMachines
ClusterResourceSet.addons.cluster.x-k8s.io: current condition ResourcesApplied
KubeadmControlPlane.controlplane.cluster.x-k8s.io: current status.readyReplicas>=spec.replicas, not condition Ready=False, not condition Available=False`,
  },
];
