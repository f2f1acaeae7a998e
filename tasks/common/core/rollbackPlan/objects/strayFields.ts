import type { KubeObject, ObjectRef } from '../../kubernetes/object';
import { objectKey } from '../../kubernetes/manifest';
import type { Rehearsal, RehearsedWrite } from '../../helm/rehearsal';
import { isSame } from '../../kubernetes/sameValue';
import type { Candidate } from './candidates';
import { changesOf, isAsDeclared, isMadeUpAnew, pathText, valueAt, type Change } from '../model/changes';
import { comparable } from '../model/comparable';

/*
 * A Helm that was tampered with may do in its rehearsal what it does in earnest: set a field that nobody declares, or
 * return to another revision than it was told. So what a rehearsed write comes out at is compared with the target. Where
 * the manifests alone do not explain a field, the API server tells by a dry run of the target what it adds by itself, its
 * defaults and what admission sets.
 */

/** A rehearsed write of which the manifests do not explain everything. */
export interface Suspect {
  key: string;
  ref: ObjectRef;
  /** As the target declares it: of this a dry run is made. */
  declared: KubeObject;
  written: KubeObject;
  /** The fields in question; undefined where all of the object is new. */
  changes: readonly Change[] | undefined;
}

/** Each write is looked at by itself: what the API server makes of it shows nothing of those before. */
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
  // What is assumed of a new object is what was sent, without defaults.
  if (live === undefined) return isAssumed === true ? undefined : { ...found, changes: undefined };
  if (live.apiVersion !== object.apiVersion) return undefined;
  const changes = changesOf(comparable(live, isAutoscaled), found.written).filter(
    (change) => !isExplained(change, candidate),
  );
  return changes.length === 0 ? undefined : { ...found, changes };
}

/** The target declares it so, or a revision that the rollback leaves behind had declared it. */
function isExplained({ path, after }: Change, { target, last, base, earlier }: Candidate): boolean {
  const declared = valueAt(target, path);
  if (declared !== undefined) return isAsDeclared(declared, after);
  return isHelmsMark(path) || [last, base, earlier].some((passed) => isTakenBack(passed, target, path));
}

/** The field, or something that it is part of and that the target does not have at all: the API server fills in a default. */
function isTakenBack(passed: KubeObject | undefined, target: KubeObject | undefined, path: Change['path']): boolean {
  return path.some((_, index) => {
    const part = path.slice(0, index + 1);
    return valueAt(passed, part) !== undefined && valueAt(target, part) === undefined;
  });
}

function isHelmsMark(path: Change['path']): boolean {
  const [top, kind, name] = path;
  if (top !== 'metadata') return false;
  // All of them, where there was none before.
  const isName = (text: string): boolean => text.startsWith('meta.helm.sh/') || text === 'app.kubernetes.io/managed-by';
  return (
    (kind === 'annotations' || kind === 'labels') && (name === undefined || (typeof name === 'string' && isName(name)))
  );
}

const fieldsTold = 3;

/** What of a suspect the dry run of the target does not explain either, as part of a sentence; undefined for nothing. */
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
