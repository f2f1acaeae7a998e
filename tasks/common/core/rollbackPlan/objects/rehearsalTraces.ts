import { isHand, isItsOwn, ownersOf, writersOf, type FieldOwner } from '../../kubernetes/fieldOwners';
import type { Path } from '../../kubernetes/fieldPath';
import type { KubeObject } from '../../kubernetes/object';
import { objectName } from '../../kubernetes/manifest';
import { lastWrites, type Rehearsal } from '../../helm/rehearsal';
import { changesOf, isMadeUpAnew, pathText, type Change, type Step } from '../model/changes';
import { comparable } from '../model/comparable';

/**
 * Finds changes to the release's objects, which a rehearsal must not cause. Resource version, generation and status
 * prove nothing, because controllers keep working during the rehearsal. So the contents are compared, and only
 * differences count that no working controller has written. The API server records only the manager's name of a write,
 * not its credentials. A Helm that uses the name of a controller is detected only in the pod template, because no
 * controller writes there.
 */

/** A clause about an object that was changed: «Deployment/web was deleted». */
type Trace = string;

export function tracesOf(
  before: ReadonlyMap<string, KubeObject>,
  after: ReadonlyMap<string, KubeObject>,
): readonly Trace[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const clause = traceOf(before.get(key), after.get(key));
    const object = after.get(key) ?? before.get(key);
    return clause === undefined || object === undefined ? [] : [`${objectName(namedOf(object))} ${clause}`];
  });
}

function namedOf({ kind, metadata }: KubeObject): { kind: string; name: string } {
  return { kind, name: metadata.name };
}

function traceOf(before: KubeObject | undefined, after: KubeObject | undefined): string | undefined {
  if (before === undefined) return after === undefined || isOfControllers(after) ? undefined : 'was made';
  // The deletion began before the rehearsal, or Kubernetes removes the object when its time has come.
  if (before.metadata.deletionTimestamp !== undefined || goesByItself(before)) return undefined;
  if (after === undefined) return 'was deleted';
  if (after.metadata.uid !== before.metadata.uid) return 'was deleted and made anew';
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

const fieldsTold = 3;

function changeOf(
  before: KubeObject,
  after: KubeObject,
  counts: (change: Change) => boolean = () => true,
): string | undefined {
  const changes = changesOf(comparable(before, false), comparable(after, false))
    .filter(counts)
    .flatMap(({ path }) => {
      const who = strangersAt(before, after, path);
      return who === undefined ? [] : [{ field: pathText(path) || 'the whole object', who }];
    });
  if (changes.length === 0) return undefined;
  const fields = changes.slice(0, fieldsTold).map(({ field }) => field);
  const more = changes.length > fieldsTold ? ` and ${changes.length - fieldsTold} more` : '';
  const names = [...new Set(changes.flatMap(({ who }) => who))];
  return `was changed: ${fields.join(', ')}${more}${names.length === 0 ? '' : ` (by ${names.join(', ')})`}`;
}

/** The recorded managers that wrote a field; undefined if it was a working controller. */
function strangersAt(before: KubeObject, after: KubeObject, path: readonly Step[]): string[] | undefined {
  const field = pathText(path);
  const owners = ownersOf(after, fieldPath(path));
  // A removed field has no owner. Then one of the managers that have written since has removed it.
  const writers = owners.length > 0 ? owners : writersOf(before, after);
  const isPodTemplate = field.startsWith('spec.template');
  const strangers = writers.filter((owner) => isPodTemplate || !isAtItsWork(before, owner, field));
  if (writers.length > 0 && strangers.length === 0) return undefined;
  return strangers.map(({ manager, subresource }) =>
    subresource === '' ? manager : `${manager} through ${subresource}`,
  );
}

/** An operator that had written to the object before may write again. A person's tool or Helm must not write here. */
function isAtItsWork(before: KubeObject, owner: FieldOwner, field: string): boolean {
  if (isItsOwn(owner, field)) return true;
  const wasThere = writersOf(undefined, before).some(
    ({ manager, operation }) => manager === owner.manager && operation === owner.operation,
  );
  return wasThere && !isHand(owner.manager);
}

function fieldPath(path: readonly Step[]): Path {
  return path.map((step) => {
    if (typeof step === 'string') return { field: step };
    if (typeof step === 'number') return { index: step };
    return { item: { [step.key]: step.is }, by: [step.key] };
  });
}

/**
 * The expected objects of the target after a rollback: as in the rehearsal, or as before if Helm does not write them.
 */
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

/**
 * The differences that no working controller explains, as a clause; undefined if there are none. Fields that the API
 * server chooses at each creation do not count.
 */
export function strangeChange(expected: KubeObject, live: KubeObject): string | undefined {
  return changeOf(expected, live, ({ path }) => !isMadeUpAnew(path, live.kind));
}
