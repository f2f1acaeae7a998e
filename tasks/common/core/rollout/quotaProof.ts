import type { KubeObject } from '../kubernetes/object';
import { quantity } from '../kubernetes/quantity';
import { at, isTrue, listAt, textAt, timeAt } from '../kubernetes/read';
import type { Facts, Proof } from './facts';
import type { Family } from './family';
import type { Finding } from './finding';
import type { Reading } from './model';

/** A pod of another workload is taken for one that stays if it has been ready for so long. */
const settledMilliseconds = 600_000;

/**
 * Proves that a quota has no room even for one pod more, whatever ends: what stays, and what the pod asks for, is more
 * than the quota allows. The used amounts of the quota itself are not read, because they lag behind.
 */
export function quotaProof(
  { subject: { namespace = '' }, message }: Finding,
  readings: readonly Reading[],
  { quotas }: Facts,
  now: Date,
): Proof | undefined {
  const [, name = '', asked = ''] =
    /pods "[^"]*" is forbidden: exceeded quota: ([^,\s]+), requested: (\S+),/.exec(message) ?? [];
  const found = quotas[namespace];
  const quota = found?.quotas.find(({ metadata }) => metadata.name === name);
  if (found === undefined || quota === undefined) return undefined;
  const isScoped = listLength(quota, 'scopes') > 0 || at(quota, 'spec', 'scopeSelector') !== undefined;
  const own = podsOf(readings);
  const staying = isScoped ? [] : found.pods.filter((pod) => stays(pod, own, now));
  const requests = asked.split(',').map((part) => part.split('='));
  const full = requests.find(([resource = '', text]) => isFull(quota, staying, resource, quantity(text)));
  if (full === undefined) return undefined;
  const [resource = '', text = ''] = full;
  const hard = String(at(quota, 'spec', 'hard', resource));
  const why = `Quota ${name} allows ${resource}=${hard}; what stays in the namespace leaves less than the ${text} of one pod.`;
  return { grace: 0, why };
}

function isFull(quota: KubeObject, staying: readonly KubeObject[], resource: string, requested?: number): boolean {
  const limit = quantity(at(quota, 'spec', 'hard', resource));
  // A quota that was changed a moment ago is not in force yet.
  if (limit === undefined || requested === undefined) return false;
  if (limit !== quantity(at(quota, 'status', 'hard', resource))) return false;
  return staying.reduce((sum, pod) => sum + amountOf(pod, resource), 0) + requested > limit;
}

function listLength(quota: KubeObject, field: string): number {
  const list = at(quota, 'spec', field);
  return Array.isArray(list) ? list.length : 0;
}

const steadyOwners: ReadonlySet<string> = new Set(['ReplicaSet', 'StatefulSet', 'DaemonSet']);

interface OwnPods {
  fresh: ReadonlySet<string | undefined>;
  old: ReadonlySet<string | undefined>;
}

/** The uids of the pods of this rollout. */
function podsOf(readings: readonly Reading[]): OwnPods {
  const uids = (pods: readonly KubeObject[]): (string | undefined)[] => pods.map(({ metadata }) => metadata.uid);
  const families = readings.flatMap(({ family }) => family ?? []);
  const isKnown = ({ isRevisionKnown }: Family): boolean => isRevisionKnown;
  const replaced = families.flatMap((family) => [...family.oldPods, ...(isKnown(family) ? [] : family.pods)]);
  return { fresh: new Set(uids(families.filter(isKnown).flatMap(({ pods }) => pods))), old: new Set(uids(replaced)) };
}

function stays(pod: KubeObject, own: OwnPods, now: Date): boolean {
  const { uid, deletionTimestamp, ownerReferences = [] } = pod.metadata;
  if (deletionTimestamp !== undefined || ['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'))) return false;
  if (!ownerReferences.some(({ kind, controller }) => controller === true && steadyOwners.has(kind))) return false;
  if (own.old.has(uid)) return false;
  if (own.fresh.has(uid)) return true;
  const madeAt = timeAt(pod, 'metadata', 'creationTimestamp');
  return isTrue(pod, 'Ready') && madeAt > 0 && now.getTime() - madeAt > settledMilliseconds;
}

/** At least what the pod counts for in a quota; 0 for resources that are not known. */
export function amountOf(pod: KubeObject, resource: string): number {
  if (resource === 'pods' || resource === 'count/pods') return 1;
  const [, field = 'requests', name = ''] =
    /^(?:(requests|limits)\.)?(cpu|memory|ephemeral-storage)$/.exec(resource) ?? [];
  return listAt(pod, 'spec', 'containers').reduce(
    (sum, container) => sum + (quantity(at(container, 'resources', field, name)) ?? 0),
    0,
  );
}
