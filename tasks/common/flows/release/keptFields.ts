import { desiredFromManifest, objectKey, refOf } from '../../core/kubernetes/manifest';
import type { KubeObject } from '../../core/kubernetes/object';
import {
  cutReplicasWords,
  declaresReplicas,
  isClaim,
  keptField,
  scaleTarget,
  type KeptField,
} from '../../core/release/keptFields';
import { otherOwner } from '../../core/release/mergeBase';
import type { ReleaseContext } from '../../core/releaseContext';
import { desiredObjects, liveRef } from './desiredObjects';

type KeptContext = Pick<ReleaseContext, 'cluster' | 'namespace'> & { request: { releaseName: string } };

interface Kept {
  kept: readonly KeptField[];
  /** Sentences on the replicas that Helm takes from an autoscaler. */
  cut: readonly string[];
}

/** The live fields that Helm must leave when it applies a manifest. What may not be read is left out. */
export async function readKeptFields(context: KeptContext, manifest: string): Promise<Kept> {
  const { cluster, namespace } = context;
  const declared = desiredFromManifest(manifest, namespace);
  const scaled = declared.some(declaresReplicas) ? await scaledKeys(context, manifest) : new Set<string>();
  const found = declared
    .filter((object) => isClaim(object) || (scaled.size > 0 && declaresReplicas(object)))
    .map(async (object): Promise<Kept> => {
      const ref = await liveRef(cluster, object, namespace);
      const isAutoscaled = ref !== undefined && scaled.has(objectKey(ref));
      if (ref === undefined || !(isAutoscaled || isClaim(object))) return { kept: [], cut: [] };
      const [live, resource] = await Promise.all([
        cluster.get(ref).catch(() => undefined),
        cluster.resource(ref.apiVersion, ref.kind),
      ]);
      if (live === undefined || resource === undefined) return { kept: [], cut: [] };
      const field = keptField(object, live, isAutoscaled);
      const cut = isAutoscaled ? cutReplicasWords(object, live) : undefined;
      return {
        kept: field === undefined ? [] : [{ ...field, ref, resource: resource.plural }],
        cut: cut === undefined ? [] : [cut],
      };
    });
  const all = await Promise.all(found);
  return { kept: all.flatMap(({ kept }) => kept), cut: all.flatMap(({ cut }) => cut) };
}

/** The keys of what autoscalers scale. An autoscaler of the release that the manifest lacks is about to be deleted. */
async function scaledKeys(
  { cluster, namespace, request }: KeptContext,
  manifest: string,
): Promise<ReadonlySet<string | undefined>> {
  const autoscalers = await cluster
    .list({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', namespace })
    .catch((): KubeObject[] => []);
  if (autoscalers.length === 0) return new Set();
  const declared = new Set((await desiredObjects(cluster, manifest, namespace)).map(({ key }) => key));
  const release = { name: request.releaseName, namespace };
  const stays = (one: KubeObject): boolean =>
    otherOwner(one, release) !== undefined || declared.has(objectKey(refOf(one)));
  return new Set(autoscalers.filter(stays).map(scaleTarget));
}
