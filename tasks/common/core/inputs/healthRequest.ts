import type { BakeRequest } from './bakeRequest';
import type { ConnectionRequest } from './deployRequest';
import type { DriftRequest } from './driftRequest';
import type { RolloutRequest } from './rolloutRequest';
import { isBuiltIn } from '../kubernetes/groups';

/** `deployment/web` or `certificate.cert-manager.io/web`. */
export interface WorkloadName {
  /** Singular, plural or short name in lower case. */
  kind: string;
  /** Absent if the input names only the kind. */
  group?: string;
  name: string;
}

export interface HealthRequest {
  connection: ConnectionRequest;
  namespace?: string;
  workloads: readonly WorkloadName[];
  releaseName?: string;
  selector?: string;
  timeoutSeconds: number;
  rollout: RolloutRequest;
  onUnhealthy: 'fail' | 'succeed';
  markVerified: boolean;
  /** Absent: the check does not bake. */
  bake?: BakeRequest;
  /** Absent: the step does not look for drift. Needs `releaseName`. */
  drift?: DriftRequest<'report' | 'fail'>;
  /** Judge the clusters of a ring by their reports, and no cluster. */
  fleet?: { clusters: readonly string[]; tolerated: number; failedBefore: number };
}

const shortNames: Readonly<Record<string, string>> = {
  deploy: 'deployment',
  sts: 'statefulset',
  ds: 'daemonset',
  rs: 'replicaset',
  po: 'pod',
  cj: 'cronjob',
  pvc: 'persistentvolumeclaim',
  svc: 'service',
  ing: 'ingress',
  hpa: 'horizontalpodautoscaler',
  pdb: 'poddisruptionbudget',
  crd: 'customresourcedefinition',
  cm: 'configmap',
  sa: 'serviceaccount',
  ns: 'namespace',
  no: 'node',
  pv: 'persistentvolume',
  rc: 'replicationcontroller',
  netpol: 'networkpolicy',
  quota: 'resourcequota',
};

/** Parses `kind/name`, where kind is written as for kubectl. */
export function parseWorkloadName(text: string): WorkloadName | undefined {
  const match = /^([A-Za-z][A-Za-z0-9]*)((?:\.[A-Za-z0-9-]+)*)\/([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/.exec(text.trim());
  const [, kind, dotted, name] = match ?? [];
  if (kind === undefined || name === undefined) return undefined;
  const lower = kind.toLowerCase();
  // kubectl also accepts `deployments.v1.apps`. The version does not change which object is meant.
  const group = (dotted ?? '')
    .slice(1)
    .toLowerCase()
    .replace(/^v\d+((alpha|beta)\d+)?\.(?=.)/, '');
  // Only the API server knows the short names of a custom group.
  const plain = isBuiltIn(group) ? (shortNames[lower] ?? lower) : lower;
  return group === '' ? { kind: plain, name } : { kind: plain, group, name };
}

export const workloadExpected = 'kind/name or kind.group/name, for example deployment/web';
