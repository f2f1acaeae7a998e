import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { hookObject, manifestObjects, objectKey, refOf } from '../../kubernetes/manifest';
import type { Revision } from '../../release/release';
import type { ServedKinds } from './types';
import type { ListQuery } from '../../kubernetes/queries';

export function servedKey(kind: { apiVersion: string; kind: string }): string {
  return `${kind.apiVersion}/${kind.kind}`;
}

export interface Placed {
  key: string;
  ref: ObjectRef;
  object: KubeObject;
}

/** An object whose kind is not served gets the namespace of the release, because its scope is unknown. */
export function placed(object: KubeObject, namespace: string, served: ServedKinds): Placed {
  const { apiVersion, kind, metadata } = object;
  const { name } = metadata;
  const scope = served.get(servedKey(object));
  const isClusterScoped = scope?.isServed === true && !scope.namespaced;
  const ref = isClusterScoped
    ? { apiVersion, kind, name }
    : { apiVersion, kind, namespace: metadata.namespace || namespace, name };
  return { key: objectKey(ref), ref, object };
}

/** The plural as in the API's path; empty if the kind is not served. */
export function pluralOf(kind: { apiVersion: string; kind: string }, served: ServedKinds): string {
  const known = served.get(servedKey(kind));
  return known?.isServed === true ? known.plural : '';
}

/** Parses each manifest once for a plan, because parsing takes time. */
export type ManifestReader = (manifest: string) => readonly KubeObject[];

/** Throws TaskError `ChartInvalid` if the manifest is no YAML. */
export function manifestReader(): ManifestReader {
  const known = new Map<string, readonly KubeObject[]>();
  return (manifest) => {
    const objects = known.get(manifest) ?? manifestObjects(manifest);
    known.set(manifest, objects);
    return objects;
  };
}

/** By key. If a manifest declares an object twice, the last one counts. */
export function placedObjects(
  objects: readonly KubeObject[],
  namespace: string,
  served: ServedKinds,
): Map<string, Placed> {
  return new Map(
    objects.map((object) => {
      const place = placed(object, namespace, served);
      return [place.key, place];
    }),
  );
}

/** The kinds whose scope a plan must know, each once. */
export function kindsToResolve(revisions: readonly Revision[]): { apiVersion: string; kind: string }[] {
  const kinds = new Map<string, { apiVersion: string; kind: string }>();
  const hooks = revisions.flatMap((revision) => revision.hooks.flatMap(({ manifest }) => hookObject(manifest) ?? []));
  for (const { apiVersion, kind } of [...manifestsOf(revisions).flatMap(manifestObjects), ...hooks]) {
    kinds.set(servedKey({ apiVersion, kind }), { apiVersion, kind });
  }
  return [...kinds.values()];
}

/** One list per kind and namespace. An object is read in the API version of the first revision that declares it. */
export function liveQueries(revisions: readonly Revision[], namespace: string, served: ServedKinds): ListQuery[] {
  const versions = new Map<string, ObjectRef>();
  for (const object of manifestsOf(revisions).flatMap(manifestObjects)) {
    if (served.get(servedKey(object))?.isServed !== true) continue;
    const { key, ref } = placed(object, namespace, served);
    if (!versions.has(key)) versions.set(key, ref);
  }
  const queries = new Map<string, ListQuery>();
  for (const { apiVersion, kind, namespace: place } of versions.values()) {
    const query = { apiVersion, kind, ...(place === undefined ? {} : { namespace: place }) };
    queries.set(`${servedKey(query)} ${place ?? ''}`, query);
  }
  return [...queries.values()];
}

function manifestsOf(revisions: readonly Revision[]): string[] {
  return revisions.map(({ manifest }) => manifest);
}

/** The results of `liveQueries` by key. If an object was read in several versions, the first one counts. */
export function liveObjects(lists: readonly (readonly KubeObject[])[]): Map<string, KubeObject> {
  const live = new Map<string, KubeObject>();
  for (const object of lists.flat()) {
    const key = objectKey(refOf(object));
    if (!live.has(key)) live.set(key, object);
  }
  return live;
}
