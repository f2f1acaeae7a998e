import type { KubeObject } from '../kubernetes/object';
import { isTrue, numberAt, textAt } from '../kubernetes/read';
import type { ObjectStatus } from '../status/objectStatus';
import { counted } from '../text/counted';
import { someNames } from '../text/someNames';
import type { Family, Index } from './family';

export const nodesLost = 'NodesLost';

/**
 * A DaemonSet whose pods on ready nodes all have the new template and are ready is done, although pods on lost nodes
 * are missing: its controller counts them until the nodes are removed.
 */
export function withoutLostNodes(
  object: KubeObject,
  status: ObjectStatus,
  family: Family | undefined,
  { nodes }: Index,
): ObjectStatus {
  if (object.kind !== 'DaemonSet' || status.status !== 'InProgress' || family?.isRevisionKnown !== true) return status;
  if (numberAt(object, 'status', 'observedGeneration') < numberAt(object, 'metadata', 'generation')) return status;
  const lost = [...nodes.values()].filter((node) => !isTrue(node, 'Ready')).map(({ metadata: { name } }) => name);
  const isOnLostNode = (pod: KubeObject): boolean => lost.includes(textAt(pod, 'spec', 'nodeName'));
  const good = family.pods.filter((pod) => !isOnLostNode(pod) && isTrue(pod, 'Ready'));
  const others = [...family.pods, ...family.oldPods, ...family.leaving].filter((pod) => !good.includes(pod));
  const missing = numberAt(object, 'status', 'desiredNumberScheduled') - good.length;
  if (good.length === 0 || missing > lost.length || !others.every(isOnLostNode)) return status;
  const message = `${counted(good.length, 'pod on a ready node is', 'pods on ready nodes are')} ready; ${missing} on lost nodes are not waited for: ${someNames(lost)}.`;
  return { status: 'Current', reason: nodesLost, message };
}
