import { isCustomResource } from '../kubernetes/groups';
import { objectKey } from '../kubernetes/manifest';
import type { ObjectRef } from '../kubernetes/object';
import type { Drift } from './drift';
import type { FieldConflict } from './fieldConflicts';

/*
 * An upgrade restores this by itself (measured with 3.14.0, 3.17.3, 3.22.0, 4.1.4 and 4.3.2). With client-side apply:
 * every declared field of a built-in kind, missing objects and Helm's marks, but no field of a custom resource that is
 * the same in both manifests. With server-side apply: nothing that another manager has set, unless it is forced.
 */

/** Fields that an upgrade sets although somebody else has set them. */
export interface Correction {
  drifts: readonly Drift[];
  /** Server-side apply would be refused, only because of fields that drift or of objects that are taken over. */
  forcesConflicts: boolean;
}

/** Returns true if the conflict is about a field that drifts, or about a part of one. */
export function isDrift(drifts: readonly Drift[], ref: ObjectRef, { field }: FieldConflict): boolean {
  const wanted = asConflictsSpell(field);
  return drifts
    .filter((drift) => objectKey(drift.ref) === objectKey(ref))
    .flatMap(({ fields }) => fields.map(({ path }) => asConflictsSpell(path)))
    .some((path) => isWithin(wanted, path) || isWithin(path, wanted));
}

/** Conflicts name the field of a map after a dot, whatever its name. */
function asConflictsSpell(path: string): string {
  return path.replace(/\["((?:[^"\\]|\\.)*)"\]/g, '.$1');
}

function isWithin(path: string, whole: string): boolean {
  return path === whole || (path.startsWith(whole) && /^[.[]/.test(path.slice(whole.length)));
}

/** Returns true if Helm leaves a field out because it is the same in both manifests; see `mergeBase`. */
export function needsBase({ drifts }: Correction, isServerSide: boolean): boolean {
  return !isServerSide && drifts.some(({ drift, ref }) => drift === 'changed' && isUntyped(ref));
}

function isUntyped(ref: ObjectRef): boolean {
  return isCustomResource(ref) || ref.kind === 'CustomResourceDefinition';
}
