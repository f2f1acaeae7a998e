import { TaskError } from '../failure';
import { readGoYaml } from './goYaml';
import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './object';

/** `apps` for `apps/v1`, and the empty string for `v1`. */
export function apiGroup(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** The key has no version, because the API server holds the same object under every version. */
export function objectKey(ref: ObjectRef): string {
  return `${apiGroup(ref.apiVersion)}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

export function refOf(object: KubeObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace } = metadata;
  return namespace === undefined ? { apiVersion, kind, name } : { apiVersion, kind, namespace, name };
}

/** A custom resource may have the kind Secret in another group. */
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

/** Any value with `items` is a list, as in apimachinery (pkg/apis/meta/v1/unstructured/helpers.go). */
function flatten(value: unknown): KubeObject[] {
  if (!isRecord(value) || !Array.isArray(value['items'])) return isObject(value) ? [value] : [];
  const { apiVersion, kind, items } = value;
  const itemKind = typeof kind === 'string' && kind !== 'List' ? kind.replace(/List$/, '') : '';
  return items.flatMap((item: unknown) => {
    const isBare = isRecord(item) && !item['kind'] && itemKind !== '';
    return flatten(isBare ? { ...item, apiVersion, kind: itemKind } : item);
  });
}

/** Returns the objects in the order and form in which Helm stores them. They are frozen. */
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

/** Returns undefined if the manifest cannot be read. Helm has accepted it, so there is no error to report. */
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

/** The key of an object with the release's namespace as its default, also for cluster-scoped objects. */
export function manifestKey(object: KubeObject, releaseNamespace: string): string {
  const { name, namespace } = object.metadata;
  return objectKey({ ...object, name, namespace: namespace || releaseNamespace });
}

/** If an object is declared twice, its last declaration counts (measured with 4.1.4; Helm 3 refuses most). */
export function desiredFromManifest(manifest: string, releaseNamespace: string): KubeObject[] {
  return declarations(manifest, releaseNamespace).flatMap((each) => each.at(-1) ?? []);
}

/** Returns all declarations of each object. Any may be the last to apply: Helm 4 installs a kind's objects at once. */
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
