import type { DocumentedRules } from './documentedRules';

/** Operators that install and run other things: Flux, Tekton, OLM, KEDA, Knative, the Prometheus operator. */
export const delivery: readonly DocumentedRules[] = [
  {
    source: 'https://fluxcd.io/flux/components/',
    // Stalled is read for every kind.
    rules: `
*.toolkit.fluxcd.io: suspended spec.suspend=true; current condition Ready
HelmRepository.source.toolkit.fluxcd.io: suspended spec.suspend=true, spec.type=oci; current condition Ready
Provider|Alert.notification.toolkit.fluxcd.io: current not condition Ready=False`,
  },
  {
    source: 'https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status',
    rules: `
TaskRun|PipelineRun|CustomRun|Run.tekton.dev: failed condition Succeeded=False; suspended spec.status=PipelineRunPending; current condition Succeeded
*.tekton.dev: current always
EventListener.triggers.tekton.dev: current condition Ready
*.operator.tekton.dev: current condition Ready`,
  },
  {
    source: 'https://olm.operatorframework.io/docs/concepts/crds/',
    rules: `
Subscription.operators.coreos.com: failed condition InstallPlanFailed, condition BundleUnpackFailed, status.state=UpgradeFailed; suspended condition InstallPlanPending reason RequiresApproval; current status.state=AtLatestKnown, not condition ResolutionFailed, not condition CatalogSourcesUnhealthy
ClusterServiceVersion.operators.coreos.com: failed status.phase=Failed; current status.phase=Succeeded
InstallPlan.operators.coreos.com: failed status.phase=Failed; suspended status.phase=RequiresApproval; current status.phase=Complete
CatalogSource.operators.coreos.com: current status.connectionState.lastObservedState=READY
OperatorGroup|OperatorCondition.operators.coreos.com: current always`,
  },
  {
    source: 'https://keda.sh/docs/latest/reference/scaledobject-spec/',
    rules: `
ScaledObject.keda.sh: suspended condition Paused, has /metadata/annotations/autoscaling.keda.sh~1paused, has /metadata/annotations/autoscaling.keda.sh~1paused-replicas; current condition Ready, not condition Fallback
ScaledJob.keda.sh: suspended condition Paused, /metadata/annotations/autoscaling.keda.sh~1paused=true; current condition Ready
TriggerAuthentication|ClusterTriggerAuthentication.keda.sh: current always`,
  },
  {
    source:
      'https://github.com/knative/specs/blob/main/specs/serving/knative-api-specification-1.0.md#error-signalling',
    rules: `
*.knative.dev: current condition Ready`,
  },
  {
    source: 'https://prometheus-operator.dev/docs/api-reference/api/',
    rules: `
Prometheus|PrometheusAgent|Alertmanager|ThanosRuler.monitoring.coreos.com: suspended spec.paused=true; current condition Available, condition Reconciled
*.monitoring.coreos.com: current not condition Accepted=False in status.bindings.*.conditions`,
  },
  {
    source: 'https://docs.victoriametrics.com/operator/api/',
    rules: `
VMAgent|VMAlert|VMAlertmanager|VMAuth|VMCluster|VMSingle|VLSingle|VLogs.operator.victoriametrics.com: failed status.updateStatus=failed; suspended status.updateStatus=paused; current status.updateStatus=operational`,
  },
  {
    source: 'https://grafana.github.io/grafana-operator/docs/api/',
    rules: `
Grafana.grafana.integreatly.org: current status.stage=complete, status.stageStatus=success
GrafanaDashboard|GrafanaDatasource|GrafanaFolder.grafana.integreatly.org: current has status.lastResync, not status.NoMatchingInstances=true, not condition NoMatchingInstance, not condition DashboardSynchronized=False, not condition DatasourceSynchronized=False, not condition FolderSynchronized=False`,
  },
  {
    source: 'https://kyverno.io/docs/crds/',
    rules: `
Policy|ClusterPolicy.kyverno.io: current has status, not condition Ready=False|Unknown, not status.ready=false`,
  },
  {
    source: 'https://openkruise.io/docs/user-manuals/cloneset',
    rules: `
CloneSet|StatefulSet.apps.kruise.io: suspended spec.updateStrategy.paused=true, spec.updateStrategy.partition>=1, spec.updateStrategy.rollingUpdate.partition>=1, spec.updateStrategy.rollingUpdate.paused=true; current status.updatedReadyReplicas>=spec.replicas
DaemonSet.apps.kruise.io: current has status, status.numberReady>=status.desiredNumberScheduled
Rollout.rollouts.kruise.io: suspended spec.disabled=true, spec.strategy.paused=true, status.canaryStatus.currentStepState=StepPaused, status.blueGreenStatus.currentStepState=StepPaused; current status.phase=Healthy
BroadcastJob.apps.kruise.io: failed status.phase=failed; suspended status.phase=paused; current status.phase=completed`,
  },
  {
    source: 'https://velero.io/docs/main/api-types/',
    rules: `
Backup|Restore.velero.io: failed status.phase=Failed|FailedValidation|PartiallyFailed|FinalizingPartiallyFailed; current status.phase=Completed
BackupStorageLocation.velero.io: current status.phase=Available
Schedule.velero.io: failed status.phase=FailedValidation; suspended spec.paused=true; current status.phase=Enabled`,
  },
];
