import type { DocumentedRules } from './documentedRules';

/** Argo and Flagger. */
export const argo: readonly DocumentedRules[] = [
  {
    source: 'https://argo-rollouts.readthedocs.io/en/stable/features/specification/',
    // Before version 1.0 a Rollout has no phase, so its counts and conditions are read too.
    rules: `
Rollout.argoproj.io: failed status.phase=Degraded, status.abort=true, condition InvalidSpec, condition Progressing=False reason ProgressDeadlineExceeded|RolloutAborted; suspended status.phase=Paused, spec.paused=true, status.controllerPause=true, has status.pauseConditions; current has status.currentPodHash, not status.phase=Progressing|Unknown, status.updatedReplicas>=spec.replicas, status.availableReplicas>=spec.replicas, not condition Progressing=True reason ReplicaSetUpdated|NewReplicaSetCreated|FoundNewReplicaSet, status.workloadObservedGeneration==/metadata/annotations/rollout.argoproj.io~1workload-generation
AnalysisRun|Experiment.argoproj.io: failed status.phase=Failed|Error; current status.phase=Successful
AnalysisTemplate|ClusterAnalysisTemplate.argoproj.io: current always`,
  },
  {
    source: 'https://argo-workflows.readthedocs.io/en/latest/fields/',
    rules: `
Workflow.argoproj.io: failed status.phase=Failed|Error; suspended spec.suspend=true; current status.phase=Succeeded
CronWorkflow.argoproj.io: failed condition SpecError; suspended spec.suspend=true; current not condition SubmissionError
WorkflowTemplate|ClusterWorkflowTemplate|WorkflowEventBinding.argoproj.io: current always`,
  },
  {
    source: 'https://argo-cd.readthedocs.io/en/stable/operator-manual/health/',
    // Without an automated sync, a person brings the objects of an Application.
    rules: `
Application.argoproj.io: suspended status.health.status=Suspended, status.health.status=Missing & not has spec.syncPolicy.automated; current status.health.status=Healthy, not status.operationState.phase=Running|Terminating
ApplicationSet.argoproj.io: current not condition ErrorOccurred, condition ResourcesUpToDate, not condition RolloutProgressing
AppProject.argoproj.io: current always
*.promoter.argoproj.io: current condition Ready`,
  },
  {
    source: 'https://argoproj.github.io/argo-events/APIs/',
    rules: `
EventBus.argoproj.io: current condition Deployed, not condition Configured=False
EventSource.argoproj.io: current condition Deployed, not condition SourcesProvided=False
Sensor.argoproj.io: current condition Deployed, not condition DependenciesProvided=False, not condition TriggersProvided=False`,
  },
  {
    source: 'https://docs.flagger.app/usage/how-it-works#canary-status',
    rules: `
Canary.flagger.app: failed status.phase=Failed; suspended spec.suspend=true; current status.phase=Initialized|Succeeded
MetricTemplate|AlertProvider.flagger.app: current always`,
  },
];
