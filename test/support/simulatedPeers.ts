import { isRecord } from '../../tasks/common/core/kubernetes/json';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { at, textAt } from '../../tasks/common/core/kubernetes/read';

/** The rules of another tool, for one rollout: is it failed now? It is asked every half second to every second. */
export type Peer = () => (objects: readonly KubeObject[], second: number) => boolean;

type Status = Readonly<Record<string, unknown>>;

function statusesOf(pod: KubeObject): Status[] {
  const lists = [at(pod, 'status', 'initContainerStatuses'), at(pod, 'status', 'containerStatuses')];
  return lists.flatMap((list) => (Array.isArray(list) ? list.filter(isRecord) : []));
}

function newPodsOf(objects: readonly KubeObject[]): KubeObject[] {
  return objects.filter(({ kind, metadata }) => kind === 'Pod' && metadata.deletionTimestamp === undefined);
}

/** The pods of a simulated workload have its name before the first hyphen. */
function ownerOf({ metadata }: KubeObject): string {
  return metadata.name.split('-')[0] ?? '';
}

function waiting(status: Status): { reason: string; message: string } {
  const holder = status as unknown as KubeObject;
  const text = (field: string): string => textAt(holder, 'state', 'waiting', field);
  return { reason: text('reason'), message: text('message') };
}

const cacheOfKubelet = /failed to sync (?:configmap|secret) cache/i;

/** `Container#doom_reason` in lib/krane/kubernetes_resource/pod.rb, but for what no simulated container says. */
function isDoomed(status: Status): boolean {
  const { reason, message } = waiting(status);
  if (reason === 'CrashLoopBackOff') return true;
  if (reason === 'ErrImagePull') return /not found/i.test(message);
  return reason === 'CreateContainerConfigError' && !cacheOfKubelet.test(message);
}

/** Krane 278ce51 polls every 3 s. A workload has failed when all its new pods are doomed. */
export const krane: Peer = () => {
  let polledAt = -Infinity;
  return (objects, second) => {
    if (second - polledAt < 3) return false;
    polledAt = second;
    const pods = newPodsOf(objects);
    const ofWorkload = (pod: KubeObject): KubeObject[] => pods.filter((other) => ownerOf(other) === ownerOf(pod));
    return pods.some((pod) => ofWorkload(pod).every((each) => statusesOf(each).some(isDoomed)));
  };
};

const podErrors = ['ImagePullBackOff', 'ErrImagePull', 'CrashLoopBackOff', 'ErrImageNeverPull'];

/**
 * Kubedog ed58edf (tracker/pod/status.go) counts each update of a pod that shows an error. Nelm 15bd6ad allows as many
 * as there are replicas. The kubelet turns ErrImagePull into ImagePullBackOff some 15 s later, which is an update too.
 */
export const kubedog: Peer = () => {
  const seen = new Map<string, { text: string; changedAt: number }>();
  const errors = new Map<string, number>();
  return (objects, second) => {
    const pods = newPodsOf(objects);
    for (const pod of pods) {
      const reasons = statusesOf(pod).map((status) => waiting(status).reason);
      const text = JSON.stringify(pod['status']);
      const before = seen.get(pod.metadata.name);
      const isPull = reasons.includes('ErrImagePull');
      const isUpdate = before?.text !== text || (isPull && second - before.changedAt >= 15);
      if (!isUpdate) continue;
      seen.set(pod.metadata.name, { text, changedAt: second });
      const owner = ownerOf(pod);
      if (reasons.some((reason) => podErrors.includes(reason))) errors.set(owner, (errors.get(owner) ?? 0) + 1);
    }
    return [...errors].some(([owner, count]) => count > pods.filter((pod) => ownerOf(pod) === owner).length);
  };
};
