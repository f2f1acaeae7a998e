import { desiredFromManifest, objectKey } from '../../core/kubernetes/manifest';
import { cutReplicasWords, declaresReplicas, scaleTarget } from '../../core/release/cutReplicas';
import type { ReleaseContext } from '../../core/releaseContext';
import { liveRef } from '../release/desiredObjects';

/**
 * Returns a sentence for each workload whose autoscaler has set more replicas than the manifest declares. What may not be
 * read is left out.
 */
export async function cutReplicas({ cluster, namespace }: ReleaseContext, manifest: string): Promise<string[]> {
  const declared = desiredFromManifest(manifest, namespace).filter(declaresReplicas);
  if (declared.length === 0) return [];
  const autoscalers = await cluster
    .list({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace })
    .catch(() => []);
  const scaled = new Set(autoscalers.map(scaleTarget));
  if (scaled.size === 0) return [];
  const words = declared.map(async (object) => {
    const ref = await liveRef(cluster, object, namespace);
    if (ref === undefined || !scaled.has(objectKey(ref))) return [];
    const live = await cluster.get(ref).catch(() => undefined);
    return (live && cutReplicasWords(object, live)) ?? [];
  });
  return (await Promise.all(words)).flat();
}
