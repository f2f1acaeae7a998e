import type { DocumentedRules } from './documentedRules';

/** Streams, batch work and models. */
export const compute: readonly DocumentedRules[] = [
  {
    source: 'https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-main/docs/custom-resource/reference/',
    rules: `
FlinkDeployment.flink.apache.org: failed status.lifecycleState=FAILED; suspended spec.job.state=suspended; current has status, not status.jobManagerDeploymentStatus=DEPLOYING|DEPLOYED_NOT_READY|MISSING|ERROR, not status.jobStatus.state=FAILED|FAILING|RESTARTING|INITIALIZING|CREATED`,
  },
  {
    source: 'https://github.com/kubeflow/spark-operator/blob/master/docs/api-docs.md',
    rules: `
SparkApplication.sparkoperator.k8s.io: failed status.applicationState.state=FAILED; suspended spec.suspend=true; current status.applicationState.state=RUNNING|COMPLETED
ScheduledSparkApplication.sparkoperator.k8s.io: failed status.scheduleState=FailedValidation; suspended spec.suspend=true; current status.scheduleState=Scheduled`,
  },
  {
    source: 'https://docs.ray.io/en/latest/cluster/kubernetes/references.html',
    rules: `
RayCluster.ray.io: failed status.state=failed; suspended status.state=suspended, spec.suspend=true; current status.state=ready
RayService.ray.io: current status.serviceStatus=Running, not condition Ready=False
RayJob.ray.io: failed status.jobDeploymentStatus=Failed, status.jobStatus=FAILED; suspended status.jobDeploymentStatus=Suspended, spec.suspend=true; current status.jobDeploymentStatus=Complete`,
  },
  {
    source: 'https://volcano.sh/en/docs/vcjob/',
    rules: `
Job.batch.volcano.sh: failed status.state.phase=Failed|Aborted|Terminated; current status.state.phase=Running|Completing|Completed`,
  },
  {
    source: 'https://kserve.github.io/website/latest/reference/api/',
    rules: `
InferenceService.serving.kserve.io: failed status.modelStatus.transitionStatus=BlockedByFailedLoad|InvalidSpec; suspended /metadata/annotations/serving.kserve.io~1stop=true; current condition Ready`,
  },
  {
    source: 'https://www.kubeflow.org/docs/components/notebooks/api-reference/notebook-v1/',
    rules: `
Notebook.kubeflow.org: suspended has /metadata/annotations/kubeflow-resource-stopped; current status.readyReplicas>=1`,
  },
  {
    source: 'https://camel.apache.org/camel-k/next/apis/camel-k.html',
    rules: `
Integration.camel.apache.org: failed status.phase=Error; current status.phase=Running`,
  },
  {
    source: 'https://www.jaegertracing.io/docs/1.76/deployment/operator/',
    rules: `
Jaeger.jaegertracing.io: failed status.phase=Failed; current status.phase=Running`,
  },
];
