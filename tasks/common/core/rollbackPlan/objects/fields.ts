import { apiGroup, isSecret } from '../../kubernetes/manifest';
import { leavesOf, type Difference, type Leaf } from '../../kubernetes/fieldDifferences';
import { pathText } from '../../kubernetes/fieldPath';
import { canonicalJson } from '../model/comparable';
import { withoutInjected, workloadOf } from './content';
import type { ObjectStates } from './hiddenSecrets';
import type { FieldChange, FieldValue, ObjectFate, Seal, Sha256 } from '../model/types';

/** For one object; enough to name the changes, and few enough for a thousand objects. */
const changesKept = 100;
const fieldsKept = 400;

/** The values of Secrets in `states` are hidden; `secretKeys` lists their changes. */
export function fieldChanges({ live }: ObjectStates, changes: readonly Difference[]): FieldChange[] {
  return changes
    .filter(({ path }) => live === undefined || !isSecret(live) || path[0] !== 'data')
    .slice(0, changesKept)
    .map(({ path, before, after }) => ({ path: pathText(path), from: shown(before), becomes: shown(after) }));
}

/** Returns JSON, or an empty text if the value is absent. */
export function shown(value: unknown): string {
  return value === undefined ? '' : JSON.stringify(value);
}

interface Circumstances {
  changes: readonly Difference[];
  fate: ObjectFate;
  seal: Seal | undefined;
  sha256: Sha256;
  /** These states contain the values of Secrets. */
  bare: ObjectStates;
}

/** A refusal can name the field that has changed since the plan. Of a Secret, only sealed digests are kept. */
export function fieldValues(states: ObjectStates, { changes, fate, seal, sha256, bare }: Circumstances): FieldValue[] {
  if (states.live === undefined) return [];
  const digest = (value: unknown): string => (seal ?? sha256)(canonicalJson(value)).slice(0, digestLength);
  const isHidden = ({ path }: Leaf): boolean =>
    isSecret(states.live ?? { apiVersion: '', kind: '' }) && path[0] === 'data';
  const fields = fate === 'deleted' ? deletedFields(bare) : keptFields(states, changes);
  return fields
    .filter((leaf) => seal !== undefined || !isHidden(leaf))
    .slice(0, fieldsKept)
    .map((leaf) => ({
      path: pathText(leaf.path),
      value: isHidden(leaf) ? '' : shown(leaf.value),
      valueDigest: digest(leaf.value),
    }));
}

const digestLength = 12;

function deletedFields({ live }: ObjectStates): Leaf[] {
  if (live === undefined) return [];
  const { apiVersion: _, kind: __, ...content } = withoutInjected(live) as Record<string, unknown>;
  return leavesOf(content);
}

/** The present values of overwritten fields, and the other fields of a workload. */
function keptFields(states: ObjectStates, changes: readonly Difference[]): Leaf[] {
  const written = changes.map(({ path }) => pathText(path));
  const isWritten = ({ path }: Leaf): boolean => {
    const text = pathText(path);
    return written.some((each) => text.startsWith(each));
  };
  const isWorkload = apiGroup(states.live?.apiVersion ?? '') === 'apps';
  return [
    ...changes.flatMap(({ path, before }) => leavesOf(before, path)),
    ...(isWorkload ? leavesOf({ spec: workloadOf(states) ?? {} }).filter((leaf) => !isWritten(leaf)) : []),
  ];
}
