import type { KubeObject, ObjectRef } from '../core/kubernetes';
import { manifestObjects } from '../core/manifest';
import type { Cluster, FollowQuery } from '../core/ports';
import { wanted, type WantedObject } from '../core/readiness';

/** Where the API server keeps a manifest's object; undefined when it serves no such kind (any more). */
export async function liveRef(cluster: Cluster, object: KubeObject, namespace: string): Promise<ObjectRef | undefined> {
  const { apiVersion, kind, metadata } = object;
  const resource = await cluster.resource(apiVersion, kind);
  if (resource === undefined) return undefined;
  const { name } = metadata;
  return resource.namespaced
    ? { apiVersion, kind, namespace: metadata.namespace || namespace, name }
    : { apiVersion, kind, name };
}

/** The objects of a manifest with their place in the cluster; those of kinds that are not served keep the release's namespace. */
export async function wantedObjects(cluster: Cluster, manifest: string, namespace: string): Promise<WantedObject[]> {
  return Promise.all(
    manifestObjects(manifest).map(async (object) => {
      const ref = await liveRef(cluster, object, namespace);
      const { apiVersion, kind } = object;
      return wanted(ref ?? { apiVersion, kind, namespace, name: object.metadata.name }, object);
    }),
  );
}

/** One query per kind and namespace, whatever the number of objects. */
export function followQueries(objects: readonly WantedObject[]): FollowQuery[] {
  const groups = new Map<string, { ref: ObjectRef; names: Set<string> }>();
  for (const { ref } of objects) {
    const key = `${ref.apiVersion} ${ref.kind} ${ref.namespace ?? ''}`;
    const group = groups.get(key) ?? { ref, names: new Set() };
    group.names.add(ref.name);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ ref, names }) => followQuery(ref, names));
}

function followQuery(ref: ObjectRef, names: ReadonlySet<string>): FollowQuery {
  const { apiVersion, kind, namespace } = ref;
  const [only] = names;
  return {
    apiVersion,
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    ...(names.size === 1 && only !== undefined ? { fieldSelector: `metadata.name=${only}` } : {}),
    keep: (object) => names.has(object.metadata.name),
  };
}
