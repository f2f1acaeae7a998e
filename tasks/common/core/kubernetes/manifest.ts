import { TaskError } from '../failure';
import { readGoYaml } from './goYaml';
import { isRecord } from './json';
import type { KubeObject, ObjectRef } from './object';

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

/** Of these only Helm's own record is ever read whole; of all others the metadata is enough. */
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
 * Whatever has a list of items stands for these, be it called List or not; items without a kind have the list's
 * (apimachinery, pkg/apis/meta/v1/unstructured/helpers.go).
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

/** The objects of a manifest as Helm stores it, in its order, as they stand there. They are frozen. */
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

/** The object of a hook, as far as it can be read: Helm itself has taken it. */
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
 * Names a manifest's object among those of its release. An object that names no namespace lies in the release's one;
 * that this is said of cluster-scoped objects too does no harm, since a kind is one or the other.
 */
export function manifestKey(object: KubeObject, releaseNamespace: string): string {
  const { name, namespace } = object.metadata;
  return objectKey({ ...object, name, namespace: namespace || releaseNamespace });
}

/**
 * What a manifest wants to be there: of an object that it declares twice the last one, since Helm applies one after the
 * other (measured with 4.1.4; Helm 3 refuses most of them).
 */
export function wantedByManifest(manifest: string, releaseNamespace: string): KubeObject[] {
  return declarations(manifest, releaseNamespace).flatMap((each) => each.at(-1) ?? []);
}

/**
 * The objects of a manifest with all that it declares of each. Of an object that is declared twice any declaration may
 * have come last: Helm 4 installs objects of one kind at the same time.
 */
export function declarations(manifest: string, releaseNamespace: string): KubeObject[][] {
  const found = new Map<string, KubeObject[]>();
  for (const object of manifestObjects(manifest)) {
    const key = manifestKey(object, releaseNamespace);
    const earlier = found.get(key) ?? [];
    // An object has the place of its last declaration.
    found.delete(key);
    found.set(key, [...earlier, object]);
  }
  return [...found.values()];
}
