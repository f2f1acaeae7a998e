import type { ConnectionRequest } from './deployRequest';
import type { RolloutRequest } from './rolloutRequest';
import { isBuiltIn } from '../kubernetes/groups';

/** A workload as the input names it: `deployment/web` or `certificate.cert-manager.io/web`. */
export interface WorkloadName {
  /** Kind, singular, plural or short name, lower case. */
  kind: string;
  /** Absent where only the kind was named. */
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

/** `kind/name` with the kind as kubectl takes it; undefined for what is not of that form. */
export function parseWorkloadName(text: string): WorkloadName | undefined {
  const match = /^([A-Za-z][A-Za-z0-9]*)((?:\.[A-Za-z0-9-]+)*)\/([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/.exec(text.trim());
  const [, kind, dotted, name] = match ?? [];
  if (kind === undefined || name === undefined) return undefined;
  const lower = kind.toLowerCase();
  // kubectl takes `deployments.v1.apps` too; the version makes no difference to what is looked at.
  const group = (dotted ?? '')
    .slice(1)
    .toLowerCase()
    .replace(/^v\d+((alpha|beta)\d+)?\.(?=.)/, '');
  // What a group of its own calls its kinds for short is known to the API server alone.
  const plain = isBuiltIn(group) ? (shortNames[lower] ?? lower) : lower;
  return group === '' ? { kind: plain, name } : { kind: plain, group, name };
}

export const workloadExpected = 'kind/name or kind.group/name, for example deployment/web';
