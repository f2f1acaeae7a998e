import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import { objectKey, desiredFromManifest } from '../../core/kubernetes/manifest';
import type { Cluster } from '../../core/ports';
import { resourceFinder, servedResource, type ResourceFinder } from './servedVersions';

export interface DesiredObject {
  key: string;
  ref: ObjectRef;
  declared: KubeObject;
  purpose: 'object' | 'hook';
  /** The same as in FollowedRef. */
  halfApplied?: string;
}

/** Returns the object's place in a version that the API server serves, or undefined. `find` looks up the kind. */
export async function liveRef(
  cluster: Cluster,
  object: KubeObject,
  namespace: string,
  find: ResourceFinder = (wanted) => servedResource(cluster, wanted),
): Promise<ObjectRef | undefined> {
  const { kind, metadata } = object;
  const resource = await find(object);
  if (resource === undefined) return undefined;
  const { name } = metadata;
  const { apiVersion } = resource;
  return resource.namespaced
    ? { apiVersion, kind, namespace: metadata.namespace || namespace, name }
    : { apiVersion, kind, name };
}

/** Objects of kinds that are not served get the release's namespace. */
export async function desiredObjects(cluster: Cluster, manifest: string, namespace: string): Promise<DesiredObject[]> {
  const find = resourceFinder(cluster);
  return Promise.all(
    desiredFromManifest(manifest, namespace).map(async (object) => {
      const { apiVersion, kind } = object;
      const known = await liveRef(cluster, object, namespace, find);
      const ref = known ?? { apiVersion, kind, namespace, name: object.metadata.name };
      return { key: objectKey(ref), ref, declared: object, purpose: 'object' as const };
    }),
  );
}
