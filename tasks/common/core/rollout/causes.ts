/** The list is closed, because pipelines branch on these words. */
export type CauseCode =
  | 'ImageInvalidName'
  | 'ImageNotFound'
  | 'ImagePullDenied'
  | 'ImageRegistryUnreachable'
  | 'ConfigMissing'
  | 'StartError'
  | 'OutOfMemory'
  | 'InitContainerFailed'
  | 'CrashLoop'
  | 'StartupProbeFailed'
  | 'LivenessProbeFailed'
  | 'ReadinessProbeFailed'
  | 'PodSecurityDenied'
  | 'LimitRangeViolated'
  | 'QuotaExceeded'
  | 'AdmissionDenied'
  | 'PermissionDenied'
  | 'VolumeNotBound'
  | 'VolumeMountFailed'
  | 'AutoscalerCannotHelp'
  | 'AutoscalerScalingUp'
  | 'Unschedulable'
  | 'NodeLost'
  | 'Evicted'
  | 'HookFailed'
  | 'JobDeadlineExceeded'
  | 'JobFailed'
  | 'StatefulSetStuck'
  | 'CustomResourceFailed'
  | 'ObjectMissing'
  | 'NotObserved'
  | 'ProgressDeadlineExceeded'
  | 'SchedulingGated'
  | 'InitContainerRunning'
  | 'ReadinessGateNotMet'
  | 'PodEnding'
  | 'LoadBalancerPending'
  | 'TimedOut';

/**
 * These causes lie in what the revision declares or runs. Others pass without a change of the revision: a lost node, a
 * full quota, a registry that is away. `TimedOut` says too little.
 */
const ownCauses: ReadonlySet<string> = new Set<CauseCode>([
  'ImageInvalidName',
  'ImageNotFound',
  'ConfigMissing',
  'StartError',
  'OutOfMemory',
  'InitContainerFailed',
  'CrashLoop',
  'StartupProbeFailed',
  'LivenessProbeFailed',
  'ReadinessProbeFailed',
  'PodSecurityDenied',
  'LimitRangeViolated',
  'AdmissionDenied',
  'HookFailed',
  'JobDeadlineExceeded',
  'JobFailed',
  'CustomResourceFailed',
]);

/** True if the revision itself is to blame. `reason`: a `CauseCode` or any other reason of an ending. */
export function isOwnCause(reason: string): boolean {
  return ownCauses.has(reason);
}

/** The six groups that self-healing pipelines know, and `other`. */
export type ReasonGroup = 'quota' | 'readiness' | 'image' | 'permissions' | 'limitRange' | 'runtimeConfig' | 'other';

/** `timeout`: the cause may disappear at any moment, so only the rollout's timeout ends the wait. */
export type Grace = number | 'timeout';

interface CauseRule {
  group: ReasonGroup;
  /** Seconds; 0 if the cause cannot disappear. */
  grace: Grace;
  why: string;
  recognisedBy: string;
  whoActs: string;
  nextStep: string;
}

/** Sorted by how much a cause explains: the first is the reason. */
export const causes: Readonly<Record<CauseCode, CauseRule>> = {
  ImageInvalidName: {
    group: 'image',
    grace: 0,
    why: 'A name that cannot be parsed never becomes valid.',
    recognisedBy: 'container waits with InvalidImageName',
    whoActs: 'application team',
    nextStep: 'Correct the image name in the chart or its values and deploy again.',
  },
  ImageNotFound: {
    group: 'image',
    grace: 0,
    why: 'The registry has answered that it does not have the image. An image that may only come from the node gets 30 s; one of a registry that replicates (azurecr.io and others) 60 s, unless an earlier revision has used it.',
    recognisedBy:
      'container waits with ErrImagePull or ImagePullBackOff, «not found» or «manifest unknown» from a registry that answered; ErrImageNeverPull',
    whoActs: 'application team',
    nextStep: 'Push the image under this name and tag, or correct the tag, and deploy again.',
  },
  ImagePullDenied: {
    group: 'image',
    grace: 60,
    why: 'Pull secrets are often made by a controller, and rate limits pass.',
    recognisedBy:
      'pull answered with 401, 403, 429, «unauthorized», «denied», «no basic auth credentials» or a rate limit',
    whoActs: 'platform team',
    nextStep: 'Give the pods a pull secret that may read this repository, or wait until the rate limit is over.',
  },
  ImageRegistryUnreachable: {
    group: 'image',
    grace: 120,
    why: 'The kubelet tries again after 10, 20 and 40 s; a registry that was away for 30 s is asked again after 70 s at the latest.',
    recognisedBy:
      'pull failed without an answer: no host, no connection, timeout, certificate, 5xx; or a pull that does not end',
    whoActs: 'platform team',
    nextStep: "Check the registry, its name and certificate, and the nodes' way to it; then deploy again.",
  },
  ConfigMissing: {
    group: 'runtimeConfig',
    grace: 60,
    why: 'A controller may make the Secret or ConfigMap after the pod; the kubelet looks again every 10 to 30 s. 75 s for a volume, whose mount is tried again 32 and 64 s after the first try. None where this revision declares the object without the key; 15 s where nobody makes it.',
    recognisedBy:
      'container waits with CreateContainerConfigError, or FailedMount, naming a ConfigMap, Secret or key that is not there',
    whoActs: 'application team',
    nextStep: 'Create the ConfigMap, Secret or key named above, or correct the reference, and deploy again.',
  },
  StartError: {
    group: 'runtimeConfig',
    grace: 30,
    why: 'None where the command does not exist, may not be run or is of another processor, the program does not know a flag of the pod, or the user is refused; the container runtime can have passing troubles, a sandbox even 120 s of them.',
    recognisedBy: 'RunContainerError, CreateContainerError, StartError, ContainerCannotRun, FailedCreatePodSandBox',
    whoActs: 'application team',
    nextStep: 'Correct the command, working directory, mounts or security context of the container and deploy again.',
  },
  OutOfMemory: {
    group: 'runtimeConfig',
    grace: 20,
    why: 'Three runs that were killed for their memory are no accident, and nothing that others do gives them more. None where two runs in a row were killed within 10 s.',
    recognisedBy: 'container ended with OOMKilled three times, or twice within 10 s',
    whoActs: 'application team',
    nextStep: "Raise the container's memory limit or make it need less, and deploy again.",
  },
  InitContainerFailed: {
    group: 'runtimeConfig',
    grace: 45,
    why: 'As CrashLoop.',
    recognisedBy: 'init container ended with an error four times, or twice in the same way',
    whoActs: 'application team',
    nextStep: 'Read the log of the init container above, correct what it says and deploy again.',
  },
  CrashLoop: {
    group: 'runtimeConfig',
    grace: 45,
    why: 'Applications exit until their database is up: three restarts are allowed, and up to 180 s while another workload of the same rollout is still starting; a dependency that has just become healthy gets one more restart. 90 s and four restarts where its own log says that it could not reach something. None for two short runs that ended alike and name nothing that may still come.',
    recognisedBy: 'container ended by itself four times, or twice in the same way',
    whoActs: 'application team',
    nextStep: 'Read the last lines of the container above, correct what they say and deploy again.',
  },
  StartupProbeFailed: {
    group: 'readiness',
    grace: 60,
    why: 'As CrashLoop: it was killed four times.',
    recognisedBy: 'event Killing «failed startup probe»',
    whoActs: 'application team',
    nextStep:
      'Make the application start within the time that its startup probe allows, or allow more, and deploy again.',
  },
  LivenessProbeFailed: {
    group: 'readiness',
    grace: 60,
    why: 'As CrashLoop: it was killed four times.',
    recognisedBy: 'event Killing «failed liveness probe»',
    whoActs: 'application team',
    nextStep: 'Find out why the liveness probe fails, or give the application a startup probe, and deploy again.',
  },
  ReadinessProbeFailed: {
    group: 'readiness',
    grace: 'timeout',
    why: 'An application that warms up for minutes looks the same until the moment when it is ready.',
    recognisedBy: 'event Unhealthy «Readiness probe failed», container runs and is not ready',
    whoActs: 'application team',
    nextStep:
      'Find out why the readiness probe fails, with the log of the container above; if it is merely slow, raise the timeout.',
  },
  PodSecurityDenied: {
    group: 'other',
    grace: 0,
    why: 'The namespace enforces a standard which the pod as written does not meet.',
    recognisedBy: 'FailedCreate or ReplicaFailure, «violates PodSecurity»',
    whoActs: 'application team',
    nextStep: "Give the pod the security context that the namespace's standard asks for, and deploy again.",
  },
  LimitRangeViolated: {
    group: 'limitRange',
    grace: 0,
    why: 'The pod as written is outside of the limits.',
    recognisedBy: 'FailedCreate or ReplicaFailure, «maximum / minimum … usage per», «limit to request ratio»',
    whoActs: 'application team',
    nextStep: "Bring the requests and limits within the namespace's LimitRange and deploy again.",
  },
  QuotaExceeded: {
    group: 'quota',
    grace: 60,
    why: 'Pods of the old revision free it; the clock starts again while any of them is still ending, and then as long again is given, since its controller tries in ever longer steps. None where the quota wants a request or limit that the pod does not name, or what stays in the namespace leaves less than one pod asks for.',
    recognisedBy: 'FailedCreate, ReplicaFailure or ReplicaSetCreateError, «exceeded quota» or «failed quota»',
    whoActs: 'platform team',
    nextStep:
      'Raise the quota of the namespace, ask for less, or let the strategy remove old pods first (maxUnavailable).',
  },
  AdmissionDenied: {
    group: 'other',
    grace: 60,
    why: 'None where a webhook or policy has said no or the pod is invalid; 90 s for a webhook that cannot be called: it may be about to start, and controllers try again 41 and 82 s after their first try.',
    recognisedBy:
      'FailedCreate or ReplicaFailure: denied by a webhook or ValidatingAdmissionPolicy, «failed calling webhook», otherwise forbidden or invalid',
    whoActs: 'application team',
    nextStep: 'Change what the policy named above refuses, or have the policy changed, and deploy again.',
  },
  PermissionDenied: {
    group: 'permissions',
    grace: 45,
    why: 'A service account may be created after the workload; controllers try again 20 and 41 s after their first try.',
    recognisedBy: 'FailedCreate or ReplicaFailure: service account not found, or creating pods is forbidden',
    whoActs: 'platform team',
    nextStep: 'Create the service account or grant the permission named above, and deploy again.',
  },
  VolumeNotBound: {
    group: 'other',
    grace: 120,
    why: 'Provisioners try again. Without an event that says so, a pending claim is only slow, and nothing but the timeout ends the wait.',
    recognisedBy: 'pod unschedulable for its claims, or claim pending with ProvisioningFailed or FailedBinding',
    whoActs: 'platform team',
    nextStep: 'Check that the claim is there, its storage class and its provisioner, or make a volume that fits.',
  },
  VolumeMountFailed: {
    group: 'other',
    grace: 135,
    why: 'A volume must leave its old node first, and mounts are tried again 64 and 128 s after the first try; 420 s where it is still attached to another one (Multi-Attach).',
    recognisedBy: 'events FailedMount, FailedAttachVolume, FailedMapVolume',
    whoActs: 'platform team',
    nextStep: 'Read the message of the volume above: the path, the driver, or the node that still holds it.',
  },
  AutoscalerCannotHelp: {
    group: 'other',
    grace: 60,
    why: 'The autoscaler looks every 10 s, and its «no» of the first look may be one about nodes that are about to come.',
    recognisedBy: 'pod unschedulable, newest event of the autoscaler NotTriggerScaleUp or FailedScaleUp',
    whoActs: 'platform team',
    nextStep: 'Make the pod fit a node group, or allow the autoscaler a group or size that fits the pod.',
  },
  AutoscalerScalingUp: {
    group: 'other',
    grace: 600,
    why: 'A node takes 2 to 4 minutes, sometimes more; the autoscaler says itself when it gives up.',
    recognisedBy: 'pod unschedulable, newest event of the autoscaler TriggeredScaleUp or Nominated',
    whoActs: 'platform team',
    nextStep: 'Find out why the node that the autoscaler has asked for does not come.',
  },
  Unschedulable: {
    group: 'other',
    grace: 120,
    why: 'Autoscalers speak within a minute, and old pods free their nodes; the clock starts again while any of them is still ending. 15 s where no node could ever take the pod, and nothing makes nodes.',
    recognisedBy: 'condition PodScheduled false, Unschedulable: resources, taints, affinity, volume zone',
    whoActs: 'platform team',
    nextStep: 'Add a node that fits, or change the requests, selector or tolerations of the pod.',
  },
  NodeLost: {
    group: 'other',
    grace: 360,
    why: 'Pods leave a lost node after 300 s and start elsewhere. A DaemonSet does not wait for its pods on nodes that are not ready, where nodes may be read.',
    recognisedBy:
      "pod's node not ready: event NodeNotReady, phase Unknown, or a pod not ready with all its containers ready",
    whoActs: 'platform team',
    nextStep: 'Look after the node named above.',
  },
  Evicted: {
    group: 'other',
    grace: 'timeout',
    why: 'An evicted pod is replaced, and its successor is judged. None for a pod that nothing replaces.',
    recognisedBy: 'pod failed with Evicted, Preempting, or refused by its node',
    whoActs: 'platform team',
    nextStep: 'Find out what the node was short of; give the pod requests that match its use.',
  },
  HookFailed: {
    group: 'other',
    grace: 0,
    why: 'A hook that has ended without success is not run again.',
    recognisedBy: 'Job or Pod of a hook failed',
    whoActs: 'application team',
    nextStep: 'Read the log of the hook above. Helm did nothing after that hook.',
  },
  JobDeadlineExceeded: {
    group: 'other',
    grace: 0,
    why: 'The Job controller has ended the Job.',
    recognisedBy: 'Job condition Failed or FailureTarget, DeadlineExceeded',
    whoActs: 'application team',
    nextStep: 'Find out why the Job is slow, or raise its activeDeadlineSeconds, and deploy again.',
  },
  JobFailed: {
    group: 'other',
    grace: 0,
    why: 'The Job controller has used up all tries.',
    recognisedBy: 'Job condition Failed or FailureTarget, or more failed pods than the backoffLimit of a plain Job',
    whoActs: 'application team',
    nextStep: 'Read the log of the last try above, correct what it says and deploy again.',
  },
  StatefulSetStuck: {
    group: 'other',
    grace: 60,
    why: 'The old pod might still become ready; with a cause that cannot heal it gets 10 s.',
    recognisedBy:
      'OrderedReady, a pod of another revision that is not ready and is not being replaced (kubernetes/kubernetes#67250)',
    whoActs: 'whoever may delete pods',
    nextStep: 'Delete the pod named above: the StatefulSet replaces it with the new revision and goes on.',
  },
  CustomResourceFailed: {
    group: 'other',
    grace: 30,
    why: 'Some controllers say Failed for a moment between two tries; one that is merely not ready is waited for to the timeout.',
    recognisedBy: 'custom resource whose conditions say Failed or Stalled, or do not say ready',
    whoActs: 'application team',
    nextStep: 'Read what its controller says above, correct the resource and deploy again.',
  },
  ObjectMissing: {
    group: 'other',
    grace: 5,
    why: 'Nothing makes an object of the manifest again; the moment is for readings that are behind.',
    recognisedBy: 'object that was to exist was looked for and is not there',
    whoActs: 'application team',
    nextStep: 'Deploy again, and find out who or what has removed the object.',
  },
  NotObserved: {
    group: 'other',
    grace: 90,
    why: 'A controller that restarts needs up to a minute to lead again.',
    recognisedBy: 'no status, or one about an earlier generation',
    whoActs: 'platform team',
    nextStep: 'Check that the controller of this kind is installed and runs.',
  },
  ProgressDeadlineExceeded: {
    group: 'other',
    grace: 0,
    why: 'The Deployment itself says how long it may make no progress.',
    recognisedBy: 'Deployment condition Progressing, ProgressDeadlineExceeded, not left over from before',
    whoActs: 'application team',
    nextStep: 'Look at the pods of the new ReplicaSet; if they are merely slow, raise progressDeadlineSeconds.',
  },
  SchedulingGated: {
    group: 'other',
    grace: 'timeout',
    why: 'Whoever has set the gate may remove it at any moment.',
    recognisedBy: 'condition PodScheduled false, SchedulingGated',
    whoActs: 'application team',
    nextStep: 'Find out who is to remove the scheduling gate named above, or take it out of the pod template.',
  },
  InitContainerRunning: {
    group: 'readiness',
    grace: 'timeout',
    why: 'An init container may wait or work for minutes.',
    recognisedBy: 'init container runs for 10 s or longer, and nothing else is wrong',
    whoActs: 'application team',
    nextStep:
      'Read the last lines of the init container above: what it waits for has to come, or it is slower than the timeout.',
  },
  ReadinessGateNotMet: {
    group: 'readiness',
    grace: 'timeout',
    why: 'The controller of the gate may set its condition at any moment.',
    recognisedBy: 'all containers ready, and a condition of the readiness gates not true',
    whoActs: 'platform team',
    nextStep: 'Find out why the controller of the readiness gate named above does not set its condition to True.',
  },
  PodEnding: {
    group: 'other',
    grace: 'timeout',
    why: 'A pod may take as long to end as it is allowed to.',
    recognisedBy: 'pod with a deletionTimestamp, and nothing else is wrong',
    whoActs: 'application team',
    nextStep:
      'Make the application end when it is told to (SIGTERM), or allow it less time (terminationGracePeriodSeconds).',
  },
  LoadBalancerPending: {
    group: 'other',
    grace: 'timeout',
    why: 'Load balancers take minutes, and their controllers try again.',
    recognisedBy: 'Service without an address, and a warning event about it',
    whoActs: 'platform team',
    nextStep: 'Mend what the event of the load balancer above says.',
  },
  TimedOut: {
    group: 'other',
    grace: 'timeout',
    why: 'Only where no other cause was seen.',
    recognisedBy: 'time is over',
    whoActs: 'application team',
    nextStep: 'If it was merely slow, raise the timeout; else look at the objects named above.',
  },
};

type NextStep = Pick<CauseRule, 'whoActs' | 'nextStep'>;

const oldPodInPlace: NextStep = {
  whoActs: 'application team',
  nextStep:
    'Let the old pod end before the new one starts: strategy Recreate, or maxUnavailable 1 in the rolling update.',
};

/** These replace the step of a cause for a `detail`. */
export const steps: Readonly<Partial<Record<CauseCode, Readonly<Record<string, NextStep>>>>> = {
  ImageNotFound: {
    neverPulled: {
      whoActs: 'platform team',
      nextStep: 'Load the image onto the nodes, or let it be pulled (imagePullPolicy), and deploy again.',
    },
    platform: {
      whoActs: 'application team',
      nextStep: "Push the image for the nodes' platform too, or choose nodes that fit, and deploy again.",
    },
    format: {
      whoActs: 'application team',
      nextStep: "Build the image again in a format that the nodes' container runtime reads, and deploy again.",
    },
  },
  ImagePullDenied: {
    rateLimited: {
      whoActs: 'platform team',
      nextStep: 'Wait until the rate limit is over, or pull with an account or from a mirror that may pull more.',
    },
    secretMissing: {
      whoActs: 'platform team',
      nextStep: 'Create the pull secret named above in the namespace of the pods, and deploy again.',
    },
    signature: {
      whoActs: 'application team',
      nextStep: 'Sign the image as the policy of the nodes asks for it, and deploy again.',
    },
  },
  ImageRegistryUnreachable: {
    nodeDisk: {
      whoActs: 'platform team',
      nextStep: "Free space on the disk of the pod's node, or take the node away; then deploy again.",
    },
  },
  StartError: {
    sandbox: {
      whoActs: 'platform team',
      nextStep: "Look after the network plugin and the container runtime of the pod's node.",
    },
  },
  QuotaExceeded: {
    mustSpecify: {
      whoActs: 'application team',
      nextStep: 'Give each container the requests or limits named above, and deploy again.',
    },
  },
  AdmissionDenied: {
    webhookUnreachable: {
      whoActs: 'platform team',
      nextStep: 'Bring the service of the webhook named above up again; then deploy again.',
    },
    classMissing: {
      whoActs: 'platform team',
      nextStep: 'Create the class named above, or name one that exists, and deploy again.',
    },
    namespaceEnding: {
      whoActs: 'application team',
      nextStep: 'Wait until the namespace is gone, then deploy again; a deletion cannot be taken back.',
    },
    invalid: {
      whoActs: 'application team',
      nextStep: 'Correct the fields named above in the chart or its values and deploy again.',
    },
  },
  VolumeNotBound: { oldPodInPlace },
  VolumeMountFailed: { oldPodInPlace },
  Unschedulable: {
    oldPodInPlace,
    ports: {
      whoActs: 'application team',
      nextStep: 'Let no more pods want the host port than there are nodes: none, fewer replicas, or old pods first.',
    },
  },
  PodEnding: {
    node: {
      whoActs: 'platform team',
      nextStep: 'Bring the node named above back, or delete it, so that its pods can end.',
    },
    finalizer: {
      whoActs: 'platform team',
      nextStep: 'Find out why the controller of the finalizer named above does not remove it.',
    },
  },
  TimedOut: {
    warning: {
      whoActs: 'application team',
      nextStep: 'Mend what the warning above says; if it was merely slow, raise the timeout.',
    },
  },
  ObjectMissing: {
    halfApplied: {
      whoActs: 'application team',
      nextStep: 'Deploy again: Helm was not done with this revision, and may never have made the object.',
    },
  },
};

export function stepOf(code: CauseCode, detail: string | undefined): NextStep {
  const special = steps[code] ?? {};
  const { whoActs, nextStep } = causes[code];
  return (
    (detail !== undefined && Object.hasOwn(special, detail) ? special[detail] : undefined) ?? { whoActs, nextStep }
  );
}

export const waitingCodes: ReadonlySet<CauseCode> = new Set<CauseCode>([
  'SchedulingGated',
  'InitContainerRunning',
  'ReadinessGateNotMet',
  'PodEnding',
  'LoadBalancerPending',
]);

export const causeCodes = Object.keys(causes) as readonly CauseCode[];

/** A lower rank explains more. */
export function rankOf(code: CauseCode): number {
  return causeCodes.indexOf(code);
}
