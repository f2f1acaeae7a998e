import { images } from '../cluster/images';
import { places, shell, workloadOf } from '../../test/support/brokenWorkloads';
import { causes, type CauseCode } from '../../tasks/common/core/rollout/causes';

export type WorkloadKind = 'Deployment' | 'StatefulSet' | 'Job';

/** A workload that cannot become healthy. */
export interface VerdictCase {
  readonly incident: string;
  readonly code: CauseCode;
  readonly kind: WorkloadKind;
  readonly graceSeconds: number;
  /** The manifest of objects that must exist in the namespace first. */
  readonly surroundings: string;
  readonly manifest: object;
  /** Matches the JSON of the first object that shows the cause. */
  readonly shownBy: RegExp;
  /** True if the workload is a hook of a release. HelmSafeDeploy then finds the failure. */
  readonly isHook?: boolean;
}

/** Every case has its own namespace, so all can use the same name. */
export const workloadName = 'app';

type Json = Readonly<Record<string, unknown>>;
type Incident = Pick<VerdictCase, 'incident' | 'code' | 'shownBy'> & {
  readonly pod: Json;
  readonly graceSeconds?: number;
  readonly surroundings?: string;
};

const serving = 'exec httpd -f -p 8080';

/** `registry` is `localhost:PORT` of a registry that answers 404 for repositories under `gone`. */
function podIncidents(registry: string): readonly Incident[] {
  return [
    {
      incident: 'image not found',
      code: 'ImageNotFound',
      pod: { containers: [{ name: 'app', image: `${registry}/gone/app:1` }] },
      shownBy:
        /"reason":"(ErrImagePull|ImagePullBackOff|Failed)".*not found|not found.*"reason":"(ErrImagePull|Failed)"/,
    },
    {
      incident: 'command not found',
      code: 'StartError',
      graceSeconds: 0,
      pod: { containers: [{ name: 'app', image: images.busybox, command: ['nonesuch'] }] },
      shownBy: /executable file not found/,
    },
    {
      incident: 'above the limit range',
      code: 'LimitRangeViolated',
      surroundings: places.limits,
      pod: { containers: [shell(serving, { resources: { limits: { cpu: '1' } } })] },
      shownBy: /maximum cpu usage per Container/,
    },
    {
      incident: 'crash at start',
      code: 'CrashLoop',
      pod: { containers: [shell('echo "FATAL: DB_URL is not an URL"; exit 3')] },
      shownBy: /"exitCode":3/,
    },
    {
      incident: 'missing key of a ConfigMap',
      code: 'ConfigMissing',
      pod: {
        containers: [
          shell(serving, {
            env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'kube-root-ca.crt', key: 'port' } } }],
          }),
        ],
      },
      shownBy: /couldn't find key port/,
    },
    {
      incident: 'quota without room',
      code: 'QuotaExceeded',
      surroundings: places.quota,
      pod: { containers: [shell(serving)] },
      shownBy: /exceeded quota/,
    },
    {
      incident: 'out of memory',
      code: 'OutOfMemory',
      pod: {
        containers: [
          {
            name: 'app',
            image: images.app,
            env: [{ name: 'HOG_MIB', value: '200' }],
            resources: { limits: { memory: '32Mi' } },
          },
        ],
      },
      shownBy: /"reason":"OOMKilled"/,
    },
  ];
}

export function verdictCases(registry: string): readonly VerdictCase[] {
  const kinds = ['Deployment', 'StatefulSet'] as const;
  const workloads = podIncidents(registry).flatMap(({ pod, surroundings = '', graceSeconds, ...incident }) =>
    kinds.map((kind) => ({
      ...incident,
      kind,
      surroundings,
      graceSeconds: graceSeconds ?? graceOf(incident.code),
      manifest: workloadOf(kind, workloadName, pod),
    })),
  );
  return [...workloads, failingJob, refusingHook];
}

function graceOf(code: CauseCode): number {
  const { grace } = causes[code];
  return grace === 'timeout' ? 0 : grace;
}

const failingJob: VerdictCase = {
  incident: 'failing Job',
  code: 'JobFailed',
  kind: 'Job',
  graceSeconds: 0,
  surroundings: '',
  manifest: job({}),
  shownBy: /"exitCode":1/,
};

const refusingHook: VerdictCase = {
  incident: 'failing hook',
  code: 'HookFailed',
  kind: 'Job',
  graceSeconds: 0,
  surroundings: '',
  manifest: job({ annotations: { 'helm.sh/hook': 'pre-install,pre-upgrade' } }),
  shownBy: /"exitCode":1/,
  isHook: true,
};

function job(metadata: Json): Json {
  const pod = {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    containers: [shell('echo "table orders is locked"; exit 1')],
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: workloadName, ...metadata },
    spec: { backoffLimit: 0, template: { spec: pod } },
  };
}
