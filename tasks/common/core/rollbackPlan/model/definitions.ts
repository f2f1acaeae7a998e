import type { KubeObject } from '../../kubernetes/object';
import { apiGroup, objectName } from '../../kubernetes/manifest';
import { listAt, textAt } from '../../kubernetes/read';
import type { ListQuery } from '../../kubernetes/queries';

/** The custom resources that are deleted with their definition; `unread` if the connection may not list them. */
export type Instances = readonly KubeObject[] | 'unread';

export function isDefinition({ apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  return kind === 'CustomResourceDefinition' && apiGroup(apiVersion) === 'apiextensions.k8s.io';
}

/** Undefined if no version of the defined kind is served. */
export function instancesQuery(definition: KubeObject): ListQuery | undefined {
  const served = listAt(definition, 'spec', 'versions').find((version) => version['served'] === true);
  const [group, kind] = [textAt(definition, 'spec', 'group'), textAt(definition, 'spec', 'names', 'kind')];
  const version = textAt(served, 'name');
  if (group === '' || kind === '' || version === '') return undefined;
  return { apiVersion: `${group}/${version}`, kind, metadataOnly: true };
}

export const instancesNamed = 1000;

/** For example `Toy/one in namespace shop`; sorted by name. */
export function instanceNames(instances: Instances | undefined, definition: KubeObject | undefined): string[] {
  if (instances === undefined || instances === 'unread') return [];
  const kind = textAt(definition, 'spec', 'names', 'kind');
  return instances
    .map(
      ({ metadata: { name, namespace } }) =>
        objectName({ kind, name }) + (namespace ? ` in namespace ${namespace}` : ''),
    )
    .sort()
    .slice(0, instancesNamed);
}

export function objectCount(count: number): string {
  return count === 1 ? '1 object' : `${count} objects`;
}

/** A uid distinguishes an object from a later one with the same name. */
export function instanceUids(instances: Instances | undefined): string[] {
  return instances === undefined || instances === 'unread'
    ? []
    : instances.map(({ metadata }) => metadata.uid ?? '').sort();
}
