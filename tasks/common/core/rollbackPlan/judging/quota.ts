import { apiGroup, objectName } from '../../kubernetes/manifest';
import type { KubeObject } from '../../kubernetes/object';
import { quantity } from '../../kubernetes/quantity';
import { at, listAt, numberAt, textAt } from '../../kubernetes/read';
import { amountOf } from '../../rollout/quotaProof';
import { finding, type PlanFinding } from '../model/findings';
import { afterOf } from '../objects/objects';
import type { Judged } from './judge';

/** The demands of a workload on a quota: its pods before and after a change, and those that exist beside them meanwhile. */
interface Demand {
  namespace: string;
  before: { pod: KubeObject; count: number } | undefined;
  after: { pod: KubeObject; count: number } | undefined;
  surge: number;
}

/** Computes the future use of each quota. Quotas change on their own, so the digest does not cover these findings. */
export function quotaFindings(judged: readonly Judged[], quotas: readonly KubeObject[]): PlanFinding[] {
  const demands = judged.flatMap(demandOf);
  return quotas.filter((quota) => !isScoped(quota)).flatMap((quota) => findingsOf(quota, demands));
}

function isScoped(quota: KubeObject): boolean {
  const scopes = at(quota, 'spec', 'scopes');
  return (Array.isArray(scopes) && scopes.length > 0) || at(quota, 'spec', 'scopeSelector') !== undefined;
}

function demandOf({ candidate, object }: Judged): Demand[] {
  const { live, target, isAutoscaled } = candidate;
  const isGone = object.fate === 'deleted';
  const then = isGone ? undefined : target && (afterOf(candidate, object.isRehearsed) ?? target);
  const before = live && podsOf(live);
  const after =
    isAutoscaled && live !== undefined && then !== undefined ? podsOf(withReplicas(then, live)) : then && podsOf(then);
  if (before === undefined && after === undefined) return [];
  const surge = object.restartsPods && then !== undefined && after !== undefined ? surgeOf(then, after.count) : 0;
  return [{ namespace: object.namespace, before, after, surge }];
}

function withReplicas(object: KubeObject, live: KubeObject): KubeObject {
  return { ...object, spec: { ...(object['spec'] as object), replicas: at(live, 'spec', 'replicas') } };
}

const replicated = new Set(['apps/Deployment', 'apps/StatefulSet', 'apps/ReplicaSet', '/ReplicationController']);

/** Undefined for a kind without a known number of pods, for example a new DaemonSet. */
function podsOf(object: KubeObject): { pod: KubeObject; count: number } | undefined {
  const kind = `${apiGroup(object.apiVersion)}/${object.kind}`;
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '' }, spec: at(object, 'spec', 'template', 'spec') };
  if (listAt(pod, 'spec', 'containers').length === 0) return undefined;
  if (replicated.has(kind)) return { pod, count: countAt(object, 'replicas') };
  if (kind === 'batch/Job') return { pod, count: isEnded(object) ? 0 : countAt(object, 'parallelism') };
  if (kind !== 'apps/DaemonSet') return undefined;
  const count = numberAt(object, 'status', 'desiredNumberScheduled');
  return count === 0 ? undefined : { pod, count };
}

function countAt(object: KubeObject, field: string): number {
  const declared = at(object, 'spec', field);
  return typeof declared === 'number' ? declared : 1;
}

function isEnded(job: KubeObject): boolean {
  return listAt(job, 'status', 'conditions').some(
    ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
  );
}

/** The API server's default is 25%, rounded up. */
function surgeOf(object: KubeObject, count: number): number {
  if (object.kind !== 'Deployment' || textAt(object, 'spec', 'strategy', 'type') === 'Recreate') return 0;
  const surge = at(object, 'spec', 'strategy', 'rollingUpdate', 'maxSurge') ?? '25%';
  if (typeof surge === 'number') return surge;
  const percent = typeof surge === 'string' ? /^(\d+)%$/.exec(surge)?.[1] : undefined;
  return percent === undefined ? 0 : Math.ceil((count * Number(percent)) / 100);
}

function findingsOf(quota: KubeObject, demands: readonly Demand[]): PlanFinding[] {
  const { name, namespace = '' } = quota.metadata;
  const own = demands.filter((demand) => demand.namespace === namespace);
  const hard = at(quota, 'status', 'hard') ?? at(quota, 'spec', 'hard');
  return Object.entries((hard ?? {}) as Record<string, unknown>).flatMap(([resource, text]) => {
    const limit = quantity(text);
    const used = quantity(at(quota, 'status', 'used', resource)) ?? 0;
    const change = sum(own, ({ before, after }) => amount(after, resource) - amount(before, resource));
    const peak = sum(own, ({ after, surge }) => (after === undefined ? 0 : surge * amountOf(after.pod, resource)));
    if (limit === undefined || (change === 0 && peak === 0)) return [];
    const then = rounded(used + change);
    const most = rounded(then + peak);
    const meanwhile = most > then ? `, and ${most} while pods are replaced` : '';
    const object = objectName({ kind: quota.kind, name });
    const message = `${object} in namespace ${namespace} allows ${rounded(limit)} of ${resource}: ${rounded(used)} are used, ${then} after the deploy${meanwhile}.`;
    const code = most > limit && change + peak > 0 ? 'QuotaExceeded' : 'QuotaUse';
    return [finding(code, message, { object, isMomentary: true })];
  });
}

function amount(pods: Demand['before'], resource: string): number {
  return pods === undefined ? 0 : pods.count * amountOf(pods.pod, resource);
}

function sum(demands: readonly Demand[], of: (demand: Demand) => number): number {
  return demands.reduce((total, demand) => total + of(demand), 0);
}

function rounded(amount: number): number {
  return Number(amount.toPrecision(6));
}
