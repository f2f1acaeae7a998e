import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { objectKey } from '../../kubernetes/manifest';
import type { Rehearsal, RehearsedWrite } from '../../helm/rehearsal';
import { isSame } from '../../kubernetes/sameValue';
import type { Candidate } from './candidates';
import { changesOf, isAsDeclared, isMadeUpAnew, pathText, valueAt, type Change } from '../model/changes';
import { comparable } from '../model/comparable';

/**
 * Finds fields that a manipulated Helm sets in its rehearsal: a field that nobody declares, or fields of another
 * revision than the target. Each rehearsed write is compared with the target. If the manifests alone do not explain a
 * field, a dry run of the target shows what the API server adds: defaults and the changes of admission.
 */

/** A rehearsed write that the manifests do not explain completely. */
export interface Suspect {
  key: string;
  ref: ObjectRef;
  /** The object as the target declares it, for a dry run. */
  declared: KubeObject;
  written: KubeObject;
  /** The unexplained fields; undefined if the whole object is new. */
  changes: readonly Change[] | undefined;
}

/**
 * Examines each write on its own, because the dry run of a later write does not include the effects of earlier writes.
 */
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
  // The assumed result of creating an object is the object that was sent, without defaults.
  if (live === undefined) return isAssumed === true ? undefined : { ...found, changes: undefined };
  if (live.apiVersion !== object.apiVersion) return undefined;
  const changes = changesOf(comparable(live, isAutoscaled), found.written).filter(
    (change) => !isExplained(change, candidate),
  );
  return changes.length === 0 ? undefined : { ...found, changes };
}

/** Returns true if the target declares the value, or if a passed revision declared a field that the target does not. */
function isExplained({ path, after }: Change, { target, last, base, earlier }: Candidate): boolean {
  const declared = valueAt(target, path);
  if (declared !== undefined) return isAsDeclared(declared, after);
  return isHelmsMark(path) || [last, base, earlier].some((passed) => isTakenBack(passed, target, path));
}

/**
 * Returns true if a passed revision declared the field, or a parent of the field, that the target does not have at all.
 * The API server then fills in a default.
 */
function isTakenBack(passed: KubeObject | undefined, target: KubeObject | undefined, path: Change['path']): boolean {
  return path.some((_, index) => {
    const part = path.slice(0, index + 1);
    return valueAt(passed, part) !== undefined && valueAt(target, part) === undefined;
  });
}

function isHelmsMark(path: Change['path']): boolean {
  const [top, kind, name] = path;
  if (top !== 'metadata') return false;
  // `name` is undefined if the whole map is new.
  const isName = (text: string): boolean => text.startsWith('meta.helm.sh/') || text === 'app.kubernetes.io/managed-by';
  return (
    (kind === 'annotations' || kind === 'labels') && (name === undefined || (typeof name === 'string' && isName(name)))
  );
}

const fieldsTold = 3;

/**
 * The fields of a suspect that the dry run of the target does not explain either, as a part of a sentence; undefined if
 * there are none.
 */
export function strayFields({ changes, written }: Suspect, reference: KubeObject): string | undefined {
  const would = comparable(reference, false);
  const strays =
    changes === undefined
      ? changesOf(would, written).filter(({ path }) => !isHelmsMark(path) && !isMadeUpAnew(path, written.kind))
      : changes.filter(({ path, after }) => !isSame(valueAt(would, path), after));
  if (strays.length === 0) return undefined;
  const told = strays.slice(0, fieldsTold).map(({ path }) => pathText(path) || 'the whole object');
  return told.join(', ') + (strays.length > fieldsTold ? ` and ${strays.length - fieldsTold} more` : '');
}
