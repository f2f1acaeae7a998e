import { parseAllDocuments, type Tags } from 'yaml';
import { TaskError } from './failure';
import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './kubernetes';

/**
 * Helm reads YAML 1.1 through sigs.k8s.io/yaml: `yes` is a boolean and `0644` is octal, but times and base 60 numbers
 * are not known to it.
 */
const notInGo = new Set(['tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:binary', 'tag:yaml.org,2002:omap']);

function goTags(tags: Tags): Tags {
  return tags.filter((tag) => {
    if (typeof tag === 'string') return true;
    return !notInGo.has(tag.tag) && !('format' in tag && tag.format === 'TIME');
  });
}

/** The API group of `apps/v1` is `apps`, that of `v1` is the empty string. */
export function apiGroup(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** What is the same object to the API server, whatever version it is asked for: group, kind, namespace and name. */
export function objectKey(ref: ObjectRef): string {
  return `${apiGroup(ref.apiVersion)}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

export function refOf(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace } = metadata;
  return namespace === undefined ? { apiVersion, kind, name } : { apiVersion, kind, namespace, name };
}

/** `Kind/name`, as messages name an object. */
export function objectName(ref: { kind: string; name: string }): string {
  return `${ref.kind}/${ref.name}`;
}

function isObject(value: unknown): value is KubeObject {
  if (!isRecord(value) || typeof value['apiVersion'] !== 'string' || typeof value['kind'] !== 'string') return false;
  return isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

/** A `List` stands for its items (kubectl and Helm flatten it). */
function flatten(value: unknown): KubeObject[] {
  if (isRecord(value) && Array.isArray(value['items']) && String(value['kind']).endsWith('List')) {
    return value['items'].flatMap(flatten);
  }
  return isObject(value) ? [value] : [];
}

/** The objects of a manifest as Helm stores it, in its order, as they stand there. */
export function manifestObjects(manifest: string): KubeObject[] {
  const documents = parseAllDocuments(manifest, {
    version: '1.1',
    merge: true,
    customTags: goTags,
    logLevel: 'silent',
  });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const error = document.errors[0];
    if (error !== undefined) {
      throw new TaskError('ChartInvalid', `A manifest in Helm's record cannot be read as YAML: ${error.code}.`);
    }
    return flatten(document.toJS({ maxAliasCount: 1000 }));
  });
}

/**
 * Names a manifest's object among those of its release. An object that names no namespace lies in the release's one;
 * that this is said of cluster-scoped objects too does no harm, since a kind is one or the other.
 */
export function manifestKey(object: KubeObject, releaseNamespace: string): string {
  const { name, namespace } = object.metadata;
  return objectKey({ ...object, name, namespace: namespace || releaseNamespace });
}
