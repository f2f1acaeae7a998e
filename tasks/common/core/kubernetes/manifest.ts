import { TaskError } from '../failure';
import { readGoYaml } from './goYaml';
import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './object';

/** The API group of `apps/v1` is `apps`. The API group of `v1` is the empty string. */
export function apiGroup(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/**
 * Returns the key of an object: group, kind, namespace and name. The API server holds the same object under every
 * version, so the key has no version.
 */
export function objectKey(ref: ObjectRef): string {
  return `${apiGroup(ref.apiVersion)}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

export function refOf(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace } = metadata;
  return namespace === undefined ? { apiVersion, kind, name } : { apiVersion, kind, namespace, name };
}

/** Only the Secret of the core group counts. A custom resource may have the same kind. */
export function isSecret({ apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  return kind === 'Secret' && apiGroup(apiVersion) === '';
}

/** `Kind/name`, as messages name an object. */
export function objectName(ref: { kind: string; name: string }): string {
  return `${ref.kind}/${ref.name}`;
}

function isObject(value: unknown): value is KubeObject {
  if (!isRecord(value) || typeof value['apiVersion'] !== 'string' || typeof value['kind'] !== 'string') return false;
  return isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

/**
 * Treats any value with a list of `items` as these items, whether its kind is List or not. Items without a kind get the
 * kind of the list (apimachinery, pkg/apis/meta/v1/unstructured/helpers.go).
 */
function flatten(value: unknown): KubeObject[] {
  if (!isRecord(value) || !Array.isArray(value['items'])) return isObject(value) ? [value] : [];
  const { apiVersion, kind, items } = value;
  const itemKind = typeof kind === 'string' && kind !== 'List' ? kind.replace(/List$/, '') : '';
  return items.flatMap((item: unknown) => {
    const isBare = isRecord(item) && !item['kind'] && itemKind !== '';
    return flatten(isBare ? { ...item, apiVersion, kind: itemKind } : item);
  });
}

/** Returns the objects of a manifest in the order and in the form in which Helm stores them. The objects are frozen. */
export function manifestObjects(manifest: string): KubeObject[] {
  return readGoYaml(manifest).flatMap((document) => {
    if ('value' in document) return flatten(document.value);
    const source = sourceAt(manifest, document.line);
    throw new TaskError(
      'ChartInvalid',
      `The manifest${source === '' ? '' : ` of ${source}`} cannot be read as YAML: ${document.problem}` +
        (document.line === 0 ? '.' : ` at line ${document.line} of the rendered chart.`),
    );
  });
}

/**
 * Returns the object of a hook, or undefined if the manifest cannot be read. Helm itself has accepted this manifest, so
 * there is no error to report.
 */
export function hookObject(manifest = ''): KubeObject | undefined {
  try {
    return manifestObjects(manifest)[0];
  } catch {
    return undefined;
  }
}

/** Helm writes `# Source: chart/templates/name.yaml` before each template's part. */
function sourceAt(manifest: string, line: number): string {
  const before = manifest.split('\n').slice(0, line);
  return (
    before
      .findLast((text) => text.startsWith('# Source: '))
      ?.slice('# Source: '.length)
      .trim() ?? ''
  );
}

/**
 * Returns the key of an object among those of its release. An object without a namespace belongs to the release's
 * namespace. Cluster-scoped objects get this namespace too, which does no harm, because a kind is either namespaced or
 * cluster-scoped.
 */
export function manifestKey(object: KubeObject, releaseNamespace: string): string {
  const { name, namespace } = object.metadata;
  return objectKey({ ...object, name, namespace: namespace || releaseNamespace });
}

/**
 * Returns the desired objects of a manifest. If the manifest declares an object twice, the last declaration counts,
 * because Helm applies one after the other (measured with 4.1.4; Helm 3 refuses most of these manifests).
 */
export function wantedByManifest(manifest: string, releaseNamespace: string): KubeObject[] {
  return declarations(manifest, releaseNamespace).flatMap((each) => each.at(-1) ?? []);
}

/**
 * Returns all declarations of each object of a manifest. If an object is declared twice, each declaration may be the
 * one that was applied last, because Helm 4 installs objects of one kind at the same time.
 */
export function declarations(manifest: string, releaseNamespace: string): KubeObject[][] {
  const found = new Map<string, KubeObject[]>();
  for (const object of manifestObjects(manifest)) {
    const key = manifestKey(object, releaseNamespace);
    const earlier = found.get(key) ?? [];
    // An object takes the position of its last declaration.
    found.delete(key);
    found.set(key, [...earlier, object]);
  }
  return [...found.values()];
}
