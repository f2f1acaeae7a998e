import { someNames } from '../../text/someNames';
import { isHand, isItsOwn, ownersOf, writersOf, type FieldOwner } from '../../kubernetes/fieldOwners';
import { changesOf, type Difference } from '../../kubernetes/fieldDifferences';
import { pathText, type Path } from '../../kubernetes/fieldPath';
import type { KubeObject } from '../../kubernetes/object';
import { objectName, refOf } from '../../kubernetes/manifest';
import { lastWrites, type Rehearsal } from '../../helm/rehearsal';
import { isMadeUpAnew } from '../model/changes';
import { comparable } from '../model/comparable';

/*
 * A rehearsal must not change the cluster. Controllers keep working meanwhile, so only differences count that no
 * working controller has written. A Helm that uses the name of a controller is detected only in pod templates, because the API
 * server records a manager's name and not its credentials.
 */

/** Clauses, for example «Deployment/web was deleted». */
export function tracesOf(
  before: ReadonlyMap<string, KubeObject>,
  after: ReadonlyMap<string, KubeObject>,
): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const clause = traceOf(before.get(key), after.get(key));
    const object = after.get(key) ?? before.get(key);
    return clause === undefined || object === undefined ? [] : [`${objectName(refOf(object))} ${clause}`];
  });
}

function traceOf(before: KubeObject | undefined, after: KubeObject | undefined): string | undefined {
  if (before === undefined) return after === undefined || isOfControllers(after) ? undefined : 'was created';
  if (before.metadata.deletionTimestamp !== undefined || goesByItself(before)) return undefined;
  if (after === undefined) return 'was deleted';
  if (after.metadata.uid !== before.metadata.uid) return 'was deleted and created again';
  if (after.metadata.deletionTimestamp !== undefined) return 'is being deleted';
  return changeOf(before, after);
}

function goesByItself({ kind, ...object }: KubeObject): boolean {
  const { spec } = object as { spec?: { ttlSecondsAfterFinished?: number } };
  return kind === 'Job' && spec?.ttlSecondsAfterFinished !== undefined;
}

function isOfControllers(object: KubeObject): boolean {
  const writers = writersOf(undefined, object);
  return writers.length > 0 && writers.every((owner) => isItsOwn(owner, ''));
}

const fieldsShown = 3;

function changeOf(
  before: KubeObject,
  after: KubeObject,
  counts: (change: Difference) => boolean = () => true,
): string | undefined {
  const changes = changesOf(comparable(before, false), comparable(after, false))
    .filter(counts)
    .flatMap(({ path }) => {
      const who = strangersAt(before, after, path);
      return who === undefined ? [] : [{ field: pathText(path) || 'the whole object', who }];
    });
  if (changes.length === 0) return undefined;
  const fields = changes.map(({ field }) => field);
  const names = [...new Set(changes.flatMap(({ who }) => who))];
  return `was changed: ${someNames(fields, fieldsShown)}${names.length === 0 ? '' : ` (by ${names.join(', ')})`}`;
}

/** The managers that wrote a field; undefined if it was a working controller. */
function strangersAt(before: KubeObject, after: KubeObject, path: Path): string[] | undefined {
  const field = pathText(path);
  const owners = ownersOf(after, path);
  // A removed field has no owner, so any manager that has written since may have removed it.
  const writers = owners.length > 0 ? owners : writersOf(before, after);
  const isPodTemplate = field.startsWith('spec.template');
  const strangers = writers.filter((owner) => isPodTemplate || !isAtItsWork(before, owner, field));
  if (writers.length > 0 && strangers.length === 0) return undefined;
  return strangers.map(({ manager, subresource }) =>
    subresource === '' ? manager : `${manager} through ${subresource}`,
  );
}

/** An operator that has written to the object before may write again; a person's tool or Helm may not. */
function isAtItsWork(before: KubeObject, owner: FieldOwner, field: string): boolean {
  if (isItsOwn(owner, field)) return true;
  const wasThere = writersOf(undefined, before).some(
    ({ manager, operation }) => manager === owner.manager && operation === owner.operation,
  );
  return wasThere && !isHand(owner.manager);
}

/** The objects as in the rehearsal, or as before if Helm does not write them. */
export function expectedAfter(
  live: ReadonlyMap<string, KubeObject>,
  rehearsal: Rehearsal,
): ReadonlyMap<string, KubeObject> {
  const expected = new Map(live);
  for (const [key, { effect, object, isAssumed }] of lastWrites(rehearsal)) {
    const managers = live.get(key)?.metadata.managedFields;
    const known = managers === undefined ? {} : { managedFields: managers };
    if (effect === 'deleted' || object === undefined || isAssumed === true) expected.delete(key);
    else expected.set(key, { ...object, metadata: { ...object.metadata, ...known } });
  }
  return expected;
}

/** A clause; undefined if working controllers and the API server explain every difference. */
export function strangeChange(expected: KubeObject, live: KubeObject): string | undefined {
  return changeOf(expected, live, ({ path }) => !isMadeUpAnew(path, live.kind));
}
