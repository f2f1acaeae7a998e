import { causes, type CauseCode } from '../../tasks/common/core/rollout/causes';
import { images } from '../../scripts/cluster/images';

/** Namespaces of the scenarios. Each has the settings that make its pods fail. */
export const places = {
  plain: '',
  quota: `
apiVersion: v1
kind: ResourceQuota
metadata: {name: small}
spec: {hard: {pods: "0"}}
`,
  strictQuota: `
apiVersion: v1
kind: ResourceQuota
metadata: {name: memory}
spec: {hard: {limits.memory: 1Gi}}
`,
  limits: `
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, max: {cpu: 100m}}]}
`,
  tight: `
apiVersion: v1
kind: ResourceQuota
metadata: {name: two}
spec: {hard: {pods: "2"}}
`,
  restricted: '',
  policy: '',
  webhook: '',
  lostWebhook: '',
} as const;

export type Place = keyof typeof places;

/** A workload that cannot become healthy, and the expected report of the packaged task. */
export interface BrokenWorkload {
  readonly incident: string;
  readonly code: CauseCode;
  readonly place: Place;
  /** The workload in the form of the input `workloads`. */
  readonly workload: string;
  readonly manifest: object;
  /** The earlier state, until `applied` shows that it is reached. The manifest is then a change of it. */
  readonly before?: readonly Step[];
  readonly graceSeconds: number;
  /** The longest time to the verdict, instead of the grace with some latitude. */
  readonly withinSeconds?: number;
  /** Text that the message must contain. */
  readonly message?: RegExp;
  /** The decisive log line, which the evidence must contain. */
  readonly evidence?: RegExp;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly timedOut: boolean;
  /** An event about its pod, written in place of a component that the test cluster does not have. */
  readonly said?: PodEvent;
}

export interface PodEvent {
  readonly source: string;
  readonly reason: string;
  readonly message: string;
}

export interface Step {
  readonly manifest: object;
  /** JSONPath and value, in the form of `kubectl wait`. */
  readonly until: readonly [object: string, condition: string];
}

type Json = Readonly<Record<string, unknown>>;

interface Options {
  readonly place?: Place;
  readonly graceSeconds?: number;
  readonly withinSeconds?: number;
  readonly message?: RegExp;
  readonly evidence?: RegExp;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly before?: readonly Step[];
  readonly timedOut?: boolean;
  readonly said?: PodEvent;
}

export function metadata(name: string): Json {
  return { name, labels: { app: name } };
}

export function workloadOf(kind: string, name: string, pod: Json, more: Json = {}): Json {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: metadata(name),
    spec: {
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { terminationGracePeriodSeconds: 0, ...pod } },
      ...more,
    },
  };
}

export function shell(script: string, more: Json = {}): Json {
  return { name: 'app', image: images.busybox, command: ['sh', '-c', script], ...more };
}

const serving = 'exec httpd -f -p 8080';
const httpGet = (at: string): Json => ({ httpGet: { path: at, port: 8080 }, periodSeconds: 1, failureThreshold: 2 });

function broken(
  incident: string,
  code: CauseCode,
  workload: string,
  manifest: object,
  options: Options = {},
): BrokenWorkload {
  const { grace } = causes[code];
  const timedOut = options.graceSeconds === undefined && grace === 'timeout';
  return {
    incident,
    code,
    place: 'plain',
    workload,
    manifest,
    timedOut,
    graceSeconds: grace === 'timeout' ? 0 : grace,
    // On a busy node the pod needs some time to reach this state.
    ...(timedOut ? { inputs: { timeout: '60s' }, graceSeconds: 60 } : {}),
    ...options,
  };
}

function deployment(
  incident: string,
  code: CauseCode,
  name: string,
  pod: Json,
  options: Options & { more?: Json } = {},
): BrokenWorkload {
  const { more, ...rest } = options;
  return broken(incident, code, `deployment/${name}`, workloadOf('Deployment', name, pod, more), rest);
}

function pulling(image: string): Json {
  return { containers: [{ name: 'app', image }] };
}

function job(name: string, script: string, more: Json): Json {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(name),
    spec: {
      ...more,
      template: {
        metadata: { labels: { app: name } },
        spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers: [shell(script)] },
      },
    },
  };
}

/** The Job's pod is deleted at the deadline and takes some time to end. */
function endlessJob(name: string, script: string): Json {
  const plain = job(name, script, { activeDeadlineSeconds: 5 });
  const spec = plain['spec'] as { template: { spec: Json } };
  const template = { ...spec.template, spec: { ...spec.template.spec, terminationGracePeriodSeconds: 20 } };
  return { ...plain, spec: { ...spec, template } };
}

/** The Job's pods restart, and the Job's controller deletes them when the Job has failed. */
function restartingJob(name: string, script: string): Json {
  const plain = job(name, script, { backoffLimit: 2 });
  const spec = plain['spec'] as { template: { spec: Json } };
  const template = { ...spec.template, spec: { ...spec.template.spec, restartPolicy: 'OnFailure' } };
  return { ...plain, spec: { ...spec, template } };
}

function claim(name: string, storageClassName: string): Json {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: metadata(name),
    spec: { storageClassName, accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
  };
}

function widget(name: string, status: Json): Json {
  return { apiVersion: 'broken.example.com/v1', kind: 'Widget', metadata: metadata(name), spec: {}, status };
}

export const widgetDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.broken.example.com' },
  spec: {
    group: 'broken.example.com',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** Two runs are enough. The log of the first one is missed if it is too short, so it may take three. */
const alike = { graceSeconds: 0, withinSeconds: 30 };

/**
 * Nodes count when they are two minutes old, and the test cluster may have just started. The message shows that the
 * verdict is the proof and not the end of the longer grace.
 */
const noNode = { graceSeconds: 15, withinSeconds: 120 + 45 };

const healthySet = workloadOf('StatefulSet', 'stuck', { containers: [shell(serving)] });

/** An «ends healthy» case of the same test proves these causes: their grace lets the rollout recover. */
export const healingCodes: readonly CauseCode[] = ['AutoscalerScalingUp'];

/** Each cause that a real node shows within four minutes with the default graces. `registry` is `localhost:PORT`. */
export function brokenWorkloads(registry: string): readonly BrokenWorkload[] {
  return [
    deployment(
      'no node has so much memory',
      'Unschedulable',
      'huge',
      {
        containers: [shell(serving, { resources: { requests: { memory: '999Ti' } } })],
      },
      { message: /Insufficient memory.*None of the \d+ nodes can ever take it/, ...noNode },
    ),
    deployment(
      'every node that fits is tainted',
      'Unschedulable',
      'tainted',
      {
        nodeSelector: { type: 'kwok' },
        containers: [shell(serving)],
      },
      { message: /untolerated taint/ },
    ),
    deployment(
      'the autoscaler says that no group of nodes fits',
      'AutoscalerCannotHelp',
      'unhelped',
      { nodeSelector: { gpu: 'yes' }, containers: [shell(serving)] },
      {
        said: {
          source: 'cluster-autoscaler',
          reason: 'NotTriggerScaleUp',
          message: "pod didn't trigger scale-up: 2 node(s) didn't match Pod's node affinity/selector",
        },
        message: /didn't trigger scale-up/,
      },
    ),
    deployment(
      'no node has the label',
      'Unschedulable',
      'choosy',
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: ['nvme'] }] }],
            },
          },
        },
        containers: [shell(serving)],
      },
      { message: /affinity.*None of the \d+ nodes can ever take it/, ...noNode },
    ),
    broken(
      'the storage class of the claim does not exist',
      'VolumeNotBound',
      'statefulset/unbound',
      workloadOf(
        'StatefulSet',
        'unbound',
        { containers: [shell(serving, { volumeMounts: [{ name: 'data', mountPath: '/data' }] })] },
        {
          volumeClaimTemplates: [claim('data', 'gold')],
        },
      ),
      { message: /gold/ },
    ),
    deployment(
      'the path on the node does not exist',
      'VolumeMountFailed',
      'pathless',
      {
        volumes: [{ name: 'data', hostPath: { path: '/none/such', type: 'Directory' } }],
        containers: [shell(serving, { volumeMounts: [{ name: 'data', mountPath: '/data' }] })],
      },
      { message: /\/none\/such/ },
    ),
    deployment('the registry answers 503', 'ImageRegistryUnreachable', 'r503', pulling(`${registry}/broken/app:1`), {
      message: /503/,
    }),
    deployment('the registry hangs up', 'ImageRegistryUnreachable', 'rhangup', pulling('localhost:1/app:1'), {
      message: /refused/,
    }),
    broken(
      'its controller has not looked at the present generation',
      'NotObserved',
      'widget.broken.example.com/unseen',
      { ...widget('unseen', { observedGeneration: 1 }), spec: { colour: 'red' } },
      {
        before: [
          {
            manifest: widget('unseen', { observedGeneration: 1 }),
            until: ['widget.broken.example.com/unseen', 'jsonpath={.status.observedGeneration}=1'],
          },
        ],
      },
    ),
    deployment('the registry asks for a login', 'ImagePullDenied', 'r401', pulling(`${registry}/private/app:1`)),
    deployment('the registry answers 403', 'ImagePullDenied', 'r403', pulling(`${registry}/forbidden/app:1`)),
    deployment('the registry answers 429', 'ImagePullDenied', 'r429', pulling(`${registry}/limited/app:1`), {
      message: /429|rate limit/i,
    }),
    deployment(
      'the environment wants a key that the ConfigMap does not have',
      'ConfigMissing',
      'keyless',
      {
        containers: [
          shell(serving, {
            env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'kube-root-ca.crt', key: 'port' } } }],
          }),
        ],
      },
      { message: /key port in ConfigMap/ },
    ),
    deployment(
      'a volume wants a Secret that is not there',
      'ConfigMissing',
      'secretless',
      {
        volumes: [{ name: 'tls', secret: { secretName: 'tls' } }],
        containers: [shell(serving, { volumeMounts: [{ name: 'tls', mountPath: '/tls' }] })],
      },
      { message: /secret "tls" not found/, graceSeconds: 75 },
    ),
    deployment(
      'the quota has no room',
      'QuotaExceeded',
      'crowded',
      { containers: [shell(serving)] },
      {
        place: 'quota',
        message: /exceeded quota: small.*Quota small allows pods=0/,
        graceSeconds: 0,
        withinSeconds: 30,
      },
    ),
    deployment(
      'the liveness probe fails',
      'LivenessProbeFailed',
      'dying',
      {
        containers: [shell(`echo "cannot reach the ledger"; ${serving}`, { livenessProbe: httpGet('/healthz') })],
      },
      { message: /404/, evidence: /cannot reach the ledger/ },
    ),
    deployment(
      'the startup probe fails',
      'StartupProbeFailed',
      'slow',
      {
        containers: [shell(`echo "still loading 900 MB of rules"; ${serving}`, { startupProbe: httpGet('/started') })],
      },
      { message: /404/, evidence: /still loading/ },
    ),
    deployment(
      'the webhook cannot be called',
      'AdmissionDenied',
      'unasked',
      { containers: [shell(serving)] },
      { place: 'lostWebhook', message: /failed calling webhook/, graceSeconds: 90 },
    ),
    deployment(
      'an init container fails',
      'InitContainerFailed',
      'initial',
      {
        initContainers: [shell('echo "migration 42 failed: no column total"; exit 4', { name: 'migrate' })],
        containers: [shell(serving)],
      },
      { message: /migrate.*exit code 4/, evidence: /no column total/ },
    ),
    deployment(
      'an init container ends twice in the same way',
      'InitContainerFailed',
      'unset',
      {
        initContainers: [shell('echo "unknown key: colour"; exit 4', { name: 'settings' })],
        containers: [shell(serving)],
      },
      { message: /settings.*exit code 4/, evidence: /unknown key/, ...alike },
    ),
    deployment(
      'the program does not know a flag of the pod',
      'StartError',
      'flagged',
      {
        containers: [
          shell('', {
            command: [
              'sh',
              '-c',
              'echo "flag provided but not defined: -colour"; echo "Usage of app:"; exit 2',
              '-colour',
            ],
          }),
        ],
      },
      { message: /not defined: -colour/, ...alike },
    ),
    deployment(
      'a crash at start with the reason in the middle of the log',
      'CrashLoop',
      'crashing',
      {
        containers: [
          shell(
            'echo starting; echo "FATAL: DB_URL is not an URL"; for i in 1 2 3 4 5; do echo "  at frame $i"; done; exit 3',
          ),
        ],
      },
      { message: /exit code 3/, evidence: /DB_URL is not an URL/, ...alike },
    ),
    deployment(
      "the application's own 403 is a crash, not a refusal by the cluster",
      'CrashLoop',
      'forbidden',
      {
        containers: [shell('echo "pods is forbidden: User \\"web\\" cannot list resource" >&2; exit 1')],
      },
      { evidence: /User "web" cannot list/ },
    ),
    deployment(
      'a pod without probes crashes 5 s after its start',
      'CrashLoop',
      'late',
      {
        containers: [shell('echo serving; sleep 5; echo "lost the broker"; exit 7')],
      },
      { message: /exit code 7/, evidence: /lost the broker/ },
    ),
    deployment(
      'the second container of three crashes',
      'CrashLoop',
      'sidecar',
      {
        containers: [
          shell(serving),
          shell('echo "proxy: no upstream"; exit 12', { name: 'proxy' }),
          shell('exec sleep 1000', { name: 'idle' }),
        ],
      },
      { message: /proxy.*exit code 12/, evidence: /no upstream/ },
    ),
    broken(
      'a StatefulSet crashes at start',
      'CrashLoop',
      'sts/ordered',
      workloadOf('StatefulSet', 'ordered', { containers: [shell('echo "bad magic"; exit 9')] }, { replicas: 2 }),
      {
        message: /exit code 9/,
        evidence: /bad magic/,
        ...alike,
      },
    ),
    broken(
      'a DaemonSet ends with 0 though it should run',
      'CrashLoop',
      'ds/ending',
      workloadOf('DaemonSet', 'ending', { containers: [shell('echo "nothing to do"')] }),
      {
        message: /exit code 0/,
        evidence: /nothing to do/,
      },
    ),
    deployment(
      'the service account does not exist',
      'PermissionDenied',
      'nobody',
      { serviceAccountName: 'ghost', containers: [shell(serving)] },
      { message: /ghost/ },
    ),
    broken(
      'its controller says that it has stalled',
      'CustomResourceFailed',
      'widget.broken.example.com/stalled',
      widget('stalled', {
        observedGeneration: 1,
        conditions: [
          { type: 'Ready', status: 'False', reason: 'Stuck', message: 'the cable is cut' },
          { type: 'Stalled', status: 'True', reason: 'Stuck', message: 'the cable is cut' },
        ],
      }),
      { message: /the cable is cut/ },
    ),
    deployment(
      'the image may not be pulled and is not there',
      'ImageNotFound',
      'unpulled',
      {
        containers: [{ name: 'app', image: 'localhost/none:1', imagePullPolicy: 'Never' }],
      },
      { graceSeconds: 30 },
    ),
    deployment(
      'it needs more memory than it may have',
      'OutOfMemory',
      'hungry',
      {
        containers: [
          {
            name: 'app',
            image: images.app,
            env: [{ name: 'HOG_MIB', value: '200' }],
            resources: { limits: { memory: '32Mi' } },
          },
        ],
      },
      { message: /OOMKilled/, ...alike },
    ),
    deployment('the registry does not have the image', 'ImageNotFound', 'r404', pulling(`${registry}/gone/app:1`), {
      message: /not found/,
    }),
    deployment('the image name has capitals', 'ImageInvalidName', 'capitals', pulling('localhost/App:1')),
    deployment(
      'the command does not exist',
      'StartError',
      'commandless',
      {
        containers: [{ name: 'app', image: images.busybox, command: ['nonesuch'] }],
      },
      { message: /"nonesuch": executable file not found/, graceSeconds: 0 },
    ),
    deployment(
      'the image runs as root and must not',
      'StartError',
      'rooted',
      {
        securityContext: { runAsNonRoot: true },
        containers: [shell(serving)],
      },
      { message: /runAsNonRoot/, graceSeconds: 0 },
    ),
    deployment(
      'the limit is above that of the LimitRange',
      'LimitRangeViolated',
      'greedy',
      {
        containers: [shell(serving, { resources: { limits: { cpu: '1' } } })],
      },
      { place: 'limits', message: /maximum cpu usage per Container/ },
    ),
    deployment(
      'the namespace wants limits that the pod does not name',
      'QuotaExceeded',
      'limitless',
      { containers: [shell(serving)] },
      {
        place: 'strictQuota',
        message: /must specify limits.memory/,
        graceSeconds: 0,
      },
    ),
    deployment(
      'a privileged pod in a restricted namespace',
      'PodSecurityDenied',
      'privileged',
      {
        containers: [shell(serving, { securityContext: { privileged: true } })],
      },
      { place: 'restricted', message: /violates PodSecurity "restricted/ },
    ),
    deployment(
      'a policy refuses the pod',
      'AdmissionDenied',
      'unlabelled',
      { containers: [shell(serving)] },
      {
        place: 'policy',
        message: /pods need a cost centre/,
        graceSeconds: 0,
      },
    ),
    deployment(
      'a webhook refuses the pod',
      'AdmissionDenied',
      'refused',
      { containers: [shell(serving)] },
      {
        place: 'webhook',
        message: /not on a Friday/,
        graceSeconds: 0,
      },
    ),
    broken(
      'a Job has used up its tries',
      'JobFailed',
      'job/migrate',
      job('migrate', 'echo "table orders is locked"; exit 1', { backoffLimit: 0 }),
      {
        message: /BackoffLimitExceeded/,
        evidence: /table orders is locked/,
      },
    ),
    broken(
      'a Job whose pod restarts in place, and is deleted with its log when the tries are used up',
      'JobFailed',
      'job/restarting',
      restartingJob('restarting', 'sleep 3; echo "no lock on ledger"; exit 3'),
      { message: /BackoffLimitExceeded/, evidence: /no lock on ledger/ },
    ),
    broken(
      'a Job is slower than its deadline',
      'JobDeadlineExceeded',
      'job/endless',
      endlessJob('endless', 'echo "row 1 of 9999"; exec sleep 1000'),
      { evidence: /row 1 of 9999/ },
    ),
    broken(
      'a pod that its node refuses',
      'Evicted',
      'pod/misplaced',
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: metadata('misplaced'),
        spec: { nodeName: 'real-1', nodeSelector: { none: 'such' }, containers: [shell(serving)] },
      },
      { graceSeconds: 0, message: /NodeAffinity/ },
    ),
    deployment(
      'a readiness gate that nobody opens, and a short progress deadline',
      'ProgressDeadlineExceeded',
      'gated',
      {
        readinessGates: [{ conditionType: 'example.com/go' }],
        containers: [shell(serving)],
      },
      { more: { progressDeadlineSeconds: 8 }, message: /example.com\/go is not set.*progressDeadlineSeconds: 8/ },
    ),
    deployment(
      'a readiness gate that nobody opens',
      'ReadinessGateNotMet',
      'waiting',
      { readinessGates: [{ conditionType: 'example.com/go' }], containers: [shell(serving)] },
      { message: /example.com\/go is not set/ },
    ),
    deployment(
      'a scheduling gate that nobody removes',
      'SchedulingGated',
      'blocked',
      { schedulingGates: [{ name: 'example.com/quota' }], containers: [shell(serving)] },
      { message: /example.com\/quota/ },
    ),
    deployment(
      'an init container that waits for ever',
      'InitContainerRunning',
      'preparing',
      {
        initContainers: [shell('echo "waiting for the ledger"; exec sleep 1000', { name: 'wait' })],
        containers: [shell(serving)],
      },
      { message: /Init container wait/, evidence: /waiting for the ledger/ },
    ),
    broken('a Job that runs and runs', 'TimedOut', 'job/silent', job('silent', 'exec sleep 1000', {}), {
      timedOut: true,
      inputs: { timeout: '60s' },
      graceSeconds: 60,
    }),
    deployment(
      'the readiness probe fails',
      'ReadinessProbeFailed',
      'unready',
      {
        containers: [shell(`echo "waiting for licence server"; ${serving}`, { readinessProbe: httpGet('/readyz') })],
      },
      { message: /404/, evidence: /waiting for licence server/ },
    ),
    deployment(
      'a registry that accepts the connection and never answers',
      'ImageRegistryUnreachable',
      'rsilent',
      pulling(`${registry}/silent/app:1`),
      {
        inputs: { timeout: '60s' },
        graceSeconds: 60,
        timedOut: true,
      },
    ),
    broken(
      'the pod of a bad revision stands in the way of the good one',
      'StatefulSetStuck',
      'statefulset/stuck',
      healthySet,
      {
        before: [
          { manifest: healthySet, until: ['pod/stuck-0', 'jsonpath={.status.phase}=Running'] },
          {
            manifest: workloadOf('StatefulSet', 'stuck', {
              containers: [shell(serving, { image: 'localhost/Bad:1' })],
            }),
            until: ['pod/stuck-0', 'jsonpath={.status.containerStatuses[0].state.waiting.reason}=InvalidImageName'],
          },
        ],
        graceSeconds: 10,
        message: /stuck-0/,
      },
    ),
  ];
}
