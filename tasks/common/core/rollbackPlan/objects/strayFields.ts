import { someNames } from '../../text/someNames';
import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { objectKey } from '../../kubernetes/manifest';
import type { Rehearsal, RehearsedWrite } from '../../helm/rehearsal';
import { isSame } from '../../kubernetes/sameValue';
import type { Candidate } from './candidates';
import { changesOf, type Difference } from '../../kubernetes/fieldDifferences';
import { pathText, valueAt } from '../../kubernetes/fieldPath';
import { isAsDeclared, isMadeUpAnew } from '../model/changes';
import { comparable } from '../model/comparable';

/**
 * A write whose fields the target does not declare, or not so. A dry run of the target then shows what the API server
 * adds; fields beyond that come from a manipulated Helm.
 */
export interface Suspect {
  key: string;
  ref: ObjectRef;
  /** The dry run sends this object. */
  declared: KubeObject;
  written: KubeObject;
  /** Undefined if the whole object is new. */
  changes: readonly Difference[] | undefined;
}

/** Each write is examined alone, because the dry run of a later write lacks the effects of earlier ones. */
export function suspectsOf(all: readonly Candidate[], { writes }: Pick<Rehearsal, 'writes'>): Suspect[] {
  return all.flatMap((candidate) =>
    writes
      .filter(({ ref, subresource }) => subresource === undefined && objectKey(ref) === candidate.key)
      .flatMap((write) => suspectOf(candidate, write) ?? []),
  );
}

function suspectOf(candidate: Candidate, { object, isAssumed }: RehearsedWrite): Suspect | undefined {
  const { key, ref, target, live, isAutoscaled } = candidate;
  if (target === undefined || object === undefined) return undefined;
  const found = { key, ref, declared: target, written: comparable(object, isAutoscaled) };
  // The assumed result of a creation is the object that was sent, without defaults.
  if (live === undefined) return isAssumed === true ? undefined : { ...found, changes: undefined };
  if (live.apiVersion !== object.apiVersion) return undefined;
  const changes = changesOf(comparable(live, isAutoscaled), found.written).filter(
    (change) => !isExplained(change, candidate),
  );
  return changes.length === 0 ? undefined : { ...found, changes };
}

function isExplained({ path, after }: Difference, { target, last, base, earlier }: Candidate): boolean {
  const declared = valueAt(target, path);
  if (declared !== undefined) return isAsDeclared(declared, after);
  return isHelmsMark(path) || [last, base, earlier].some((passed) => isTakenBack(passed, target, path));
}

/** The API server fills in a default where a passed revision declared the field and the target does not. */
function isTakenBack(
  passed: KubeObject | undefined,
  target: KubeObject | undefined,
  path: Difference['path'],
): boolean {
  return path.some((_, index) => {
    const part = path.slice(0, index + 1);
    return valueAt(passed, part) !== undefined && valueAt(target, part) === undefined;
  });
}

function isHelmsMark(path: Difference['path']): boolean {
  const [top, kind, name] = path;
  if (top !== 'metadata') return false;
  // The name is undefined if the whole map is new.
  const isName = (text: string): boolean => text.startsWith('meta.helm.sh/') || text === 'app.kubernetes.io/managed-by';
  return (
    (kind === 'annotations' || kind === 'labels') && (name === undefined || (typeof name === 'string' && isName(name)))
  );
}

const fieldsShown = 3;

/** A clause; undefined if the dry run of the target explains every field. */
export function strayFields({ changes, written }: Suspect, reference: KubeObject): string | undefined {
  const would = comparable(reference, false);
  const strays =
    changes === undefined
      ? changesOf(would, written).filter(({ path }) => !isHelmsMark(path) && !isMadeUpAnew(path, written.kind))
      : changes.filter(({ path, after }) => !isSame(valueAt(would, path), after));
  const names = strays.map(({ path }) => pathText(path) || 'the whole object');
  return names.length === 0 ? undefined : someNames(names, fieldsShown);
}
