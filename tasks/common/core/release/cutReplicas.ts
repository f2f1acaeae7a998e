import { objectKey, objectName, refOf } from '../kubernetes/manifest';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { at } from '../kubernetes/read';
import { counted } from '../text/counted';

/** The key of the object that an autoscaler scales; undefined if it does not say so. */
export function scaleTarget(autoscaler: KubeObject): string | undefined {
  const spec = autoscaler['spec'] as { scaleTargetRef?: Partial<ObjectRef> } | undefined;
  const { apiVersion, kind, name } = spec?.scaleTargetRef ?? {};
  const { namespace } = autoscaler.metadata;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string') return undefined;
  return objectKey({ apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) });
}

export function declaresReplicas(declared: KubeObject): boolean {
  return typeof at(declared, 'spec', 'replicas') === 'number';
}

/** A sentence on the replicas that Helm takes from an autoscaler; undefined if it takes none. */
export function cutReplicasWords(declared: KubeObject, live: KubeObject): string | undefined {
  const [wanted, now] = [declared, live].map((object) => at(object, 'spec', 'replicas'));
  if (typeof wanted !== 'number' || typeof now !== 'number' || now <= wanted) return undefined;
  return `An autoscaler holds ${objectName(refOf(live))} at ${counted(now, 'replica', 'replicas')}, and the manifest declares ${wanted}: that number applies until the autoscaler raises it again. Leave replicas out of the chart where an autoscaler is enabled.`;
}
