import { withoutKeyNames } from '../../kubernetes/fieldPath';
import { apiGroup } from '../../kubernetes/manifest';
import type { FieldValue, PlannedObject } from '../model/types';

interface ChangedField {
  path: string;
  /** The JSON is empty if the field is absent or must not be shown. */
  was: string;
  is: string;
  isShown: boolean;
}

/** Empty if a plan keeps no fields. */
export function changedFields(before: PlannedObject, now: PlannedObject): ChangedField[] {
  if (!tells(before) || !tells(now)) return [];
  const [was, is] = [byPath(before), byPath(now)];
  const paths = [...new Set([...was.keys(), ...is.keys()])];
  return paths.flatMap((key) => {
    const [one, other] = [was.get(key), is.get(key)];
    if (one?.valueDigest === other?.valueDigest) return [];
    const path = other?.path ?? one?.path ?? key;
    const shown = { was: one?.value ?? becomes(now, key), is: other?.value ?? becomes(before, key) };
    const isSameText = shown.was === shown.is && one !== undefined && other !== undefined;
    return [{ path, ...shown, isShown: !isSameText && ![one, other].some((field) => field?.value === '') }];
  });
}

/** A plan of an earlier version has no fields, and a long plan is kept without them. */
function tells({ fate, apiVersion, fields }: PlannedObject): boolean {
  return fields.length > 0 || (fate === 'kept' && apiGroup(apiVersion) !== 'apps');
}

/** A plan of an earlier version names the items of lists without their keys. */
function byPath({ fields }: PlannedObject): Map<string, FieldValue> {
  return new Map(fields.map((field) => [withoutKeyNames(field.path), field]));
}

/** If only one plan overwrites a field, the other plan found the field as the target declares it. */
function becomes({ changes }: PlannedObject, key: string): string {
  return changes.find(({ path }) => withoutKeyNames(path) === key)?.becomes ?? '';
}
