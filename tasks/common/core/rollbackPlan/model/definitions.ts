import type { KubeObject } from '../../kubernetes/object';
import { apiGroup, objectName } from '../../kubernetes/manifest';
import { listAt, textAt } from '../../kubernetes/read';
import type { ListQuery } from '../../kubernetes/queries';

/** The objects of the kind that a CustomResourceDefinition defines, which go with it; `unread` where nobody may look. */
export type Instances = readonly KubeObject[] | 'unread';

export function isDefinition({ apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  return kind === 'CustomResourceDefinition' && apiGroup(apiVersion) === 'apiextensions.k8s.io';
}

/** All objects of its kind, in all namespaces; undefined where no version of it is served. */
export function instancesQuery(definition: KubeObject): ListQuery | undefined {
  const served = listAt(definition, 'spec', 'versions').find((version) => version['served'] === true);
  const [group, kind] = [textAt(definition, 'spec', 'group'), textAt(definition, 'spec', 'names', 'kind')];
  const version = textAt(served, 'name');
  if (group === '' || kind === '' || version === '') return undefined;
  return { apiVersion: `${group}/${version}`, kind, metadataOnly: true };
}

/** So many are named in a plan. */
export const instancesNamed = 1000;

/** `Toy/one in namespace shop`, in the order of the names. */
export function instanceNames(instances: Instances | undefined, definition: KubeObject | undefined): string[] {
  if (instances === undefined || instances === 'unread') return [];
  const kind = textAt(definition, 'spec', 'names', 'kind');
  return instances
    .map(({ metadata: { name, namespace } }) => instanceName(kind, name, namespace))
    .sort()
    .slice(0, instancesNamed);
}

function instanceName(kind: string, name: string, namespace: string | undefined): string {
  return `${objectName({ kind, name })}${namespace === undefined || namespace === '' ? '' : ` in namespace ${namespace}`}`;
}

/** `3 objects that go with it`. */
export function objectCount(count: number): string {
  return count === 1 ? '1 object' : `${count} objects`;
}

/** What tells one of the objects from another one that was made under its name. */
export function instanceUids(instances: Instances | undefined): string[] {
  return instances === undefined || instances === 'unread'
    ? []
    : instances.map(({ metadata }) => metadata.uid ?? '').sort();
}
