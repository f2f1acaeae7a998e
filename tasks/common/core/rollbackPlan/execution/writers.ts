import { ownersOf, type FieldOwner } from '../../kubernetes/fieldOwners';
import { leavesOf } from '../../kubernetes/fieldDifferences';
import { pathText, withoutKeyNames, type Path } from '../../kubernetes/fieldPath';
import type { KubeObject } from '../../kubernetes/object';

/** For example `by kubectl-edit at 2026-08-20T03:12:05Z`; empty if the API server has recorded no manager. */
export function writerWords(live: KubeObject, field: string): string {
  const path = pathOf(live, field);
  const owner = newest(path === undefined ? [] : ownersOf(live, path));
  if (owner !== undefined) return `by ${owner.manager} at ${owner.time}`;
  const last = newest(allWriters(live));
  return last === undefined ? '' : `last written by ${last.manager} at ${last.time}`;
}

function newest(owners: readonly FieldOwner[]): FieldOwner | undefined {
  return owners
    .filter(({ manager, time }) => manager !== '' && time !== '')
    .toSorted((one, other) => Date.parse(one.time) - Date.parse(other.time))
    .at(-1);
}

/** Without the writers of the status, which the object's own controller writes. */
function allWriters({ metadata }: KubeObject): FieldOwner[] {
  return (metadata.managedFields ?? [])
    .filter(({ subresource = '' }) => subresource !== 'status')
    .map(({ manager = '', operation = '', subresource = '', time = '' }) => ({
      manager,
      operation,
      subresource,
      time,
    }));
}

/** Finds a path, as a plan spells it, in the live object. */
function pathOf(live: KubeObject, text: string): Path | undefined {
  const wanted = withoutKeyNames(text);
  return leavesOf(live)
    .filter(({ path }) => withoutKeyNames(pathText(path)).startsWith(wanted))
    .flatMap(({ path }) => path.map((_, index) => path.slice(0, index + 1)))
    .find((path) => withoutKeyNames(pathText(path)) === wanted);
}
