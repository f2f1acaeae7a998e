import { isTrue, numberAt } from '../kubernetes/read';
import { partOf } from '../text/counted';
import type { Reading } from './model';

const countedKinds: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

/** A sentence on the ready pods of the new version, and of the old one while it still has some. */
export function podCounts({ followed: { object }, family }: Reading): string | undefined {
  if (object === undefined || !countedKinds.has(object.kind) || family?.isRevisionKnown !== true) return undefined;
  const wanted =
    object.kind === 'DaemonSet'
      ? numberAt(object, 'status', 'desiredNumberScheduled')
      : numberAt(object, 'spec', 'replicas');
  const ready = family.pods.filter((pod) => isTrue(pod, 'Ready')).length;
  const old = family.oldPods.filter((pod) => isTrue(pod, 'Ready')).length;
  return `${partOf(ready, wanted, 'pod')} ready${old === 0 ? '' : `; the old version serves with ${old}`}.`;
}
