import { base64 } from '../text/base64';
import { clipped } from '../text/foreignText';
import { differences, missingFields, type Difference } from '../kubernetes/fieldDifferences';
import { isItsOwn, ownersOf, type FieldOwner } from '../kubernetes/fieldOwners';
import { lastField, pathText, valueAt } from '../kubernetes/fieldPath';
import { isRecord } from '../kubernetes/json';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { helmFieldManager } from './fieldConflicts';
import { apiGroup, isSecret, objectName } from '../kubernetes/manifest';
import { leavesOutField, type DriftRule } from './driftRules';
import { isUnowned, otherOwner, type ReleaseName } from './mergeBase';

/*
 * Drift is the difference between the live objects and a dry run of a forced server-side apply of the declared objects.
 * The API server's defaults, units and list keys are on both sides of the comparison. Additions that nobody declared (a
 * sidecar, a field of another manager) are no drift, because no deploy would remove them.
 */

/** `declared` is from the manifest, `ref` is the place on the API server. */
export interface DeclaredObject {
  ref: ObjectRef;
  declared: KubeObject;
}

/** `missing` may be in deletion. `foreign` does not belong to this release. `unknown` could not be compared. */
export interface Drift {
  ref: ObjectRef;
  drift: 'missing' | 'foreign' | 'changed' | 'unknown';
  /** Filled for `changed`, and for `foreign` if the object differs as well. */
  fields: readonly DriftedField[];
  /** Set for `foreign` if no release owns the object. */
  isUnowned?: boolean;
  /** A sentence without values of a Secret. Of other objects, it has only numbers, booleans and images. */
  message: string;
}

export interface DriftedField {
  /** For example `spec.template.spec.containers[name=web].image`. */
  path: string;
  /** `is 5, not 2`, `differs`, `is gone` or `was added`. */
  message: string;
  /** Undefined if the field does not exist. A value of a Secret is replaced by `hiddenValue`. */
  live: unknown;
  /** As the API server would store it. */
  declared: unknown;
  /** The field managers that set the field last. A name may be any text. */
  owners: readonly FieldOwner[];
}

/** How an object is judged. */
export interface DriftOptions {
  release: ReleaseName;
  /** Differences that are no drift. */
  rules?: readonly DriftRule[];
}

export interface Comparison {
  drift: Drift | undefined;
  /** Sentences about differences that another manager may make, for example an autoscaler. */
  held: readonly string[];
}

const asDeclared: Comparison = { drift: undefined, held: [] };

/** The object with its namespace and Helm's marks (pkg/action/validate.go), without fields of the API server. */
export function asHelmSends({ ref, declared }: DeclaredObject, release: ReleaseName): KubeObject {
  const { status: _, ...object } = declared;
  const { name, labels, annotations, finalizers, ownerReferences } = declared.metadata;
  const optional = { finalizers, ownerReferences };
  const kept = Object.fromEntries(
    Object.entries(optional).filter(([, value]) => value !== undefined && value !== null),
  );
  return {
    ...object,
    apiVersion: ref.apiVersion,
    kind: declared.kind,
    metadata: {
      ...kept,
      name,
      ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
      labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: {
        ...annotations,
        'meta.helm.sh/release-name': release.name,
        'meta.helm.sh/release-namespace': release.namespace,
      },
    },
  };
}

/** Returns the fields that a release can declare. */
function content(object: KubeObject): Record<string, unknown> {
  const { status: _, metadata, ...rest } = object;
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  // The API server moves the stringData of a Secret into its data.
  const { stringData: __, ...fields } = rest as Record<string, unknown>;
  return { ...(isSecret(object) ? fields : rest), metadata: { labels, annotations, finalizers, ownerReferences } };
}

/** The controller of a Job with ttlSecondsAfterFinished removes it after its end. */
function removesItself(declared: KubeObject): boolean {
  const spec = declared['spec'];
  return (
    declared.kind === 'Job' &&
    apiGroup(declared.apiVersion) === 'batch' &&
    isRecord(spec) &&
    typeof spec['ttlSecondsAfterFinished'] === 'number'
  );
}

export function absence({ ref, declared }: DeclaredObject): Comparison {
  const name = nameOf(ref);
  if (removesItself(declared)) {
    return { drift: undefined, held: [`${name} is gone, because this Job removes itself after its end.`] };
  }
  return { drift: { ref, drift: 'missing', fields: [], message: `${name} does not exist.` }, held: [] };
}

export function unserved(ref: ObjectRef): Comparison {
  const message = `${nameOf(ref)} does not exist: the API server serves no ${ref.kind} of ${ref.apiVersion}.`;
  return { drift: { ref, drift: 'missing', fields: [], message }, held: [] };
}

/** `why` is a sentence. */
export function notKnown(ref: ObjectRef, why: string): Comparison {
  const message = `It is not known whether ${nameOf(ref)} is as declared: ${why}`;
  return { drift: { ref, drift: 'unknown', fields: [], message }, held: [] };
}

/** `answer` is that of the dry run. */
export function compare(
  wanted: DeclaredObject,
  live: KubeObject,
  answer: KubeObject,
  options: DriftOptions,
): Comparison {
  if (live.metadata.deletionTimestamp !== undefined) return deletion(wanted.ref);
  const found = differences(content(live), content(answer), content(wanted.declared));
  return judged(wanted.ref, { live, declared: answer }, found, options);
}

/**
 * Compares without a dry run, by the declared fields and the field managers. A difference may be another spelling of
 * the same value. `because` is a sentence.
 */
export function compareAlone(
  wanted: DeclaredObject,
  live: KubeObject,
  options: DriftOptions,
  because: string,
): Comparison {
  if (live.metadata.deletionTimestamp !== undefined) return deletion(wanted.ref);
  const declared = spelledAsKept(wanted.declared);
  const found = missingFields(content(declared), content(live)).filter((each) => !isAsHelmLeftIt(live, each));
  return judged(wanted.ref, { live, declared }, found, { ...options, because });
}

/** The API server, or a webhook of it, has changed the value that Helm wrote. */
function isAsHelmLeftIt(live: KubeObject, difference: Difference): boolean {
  if (isOneOfTwins(live, difference)) return false;
  const owners = setters(live, difference);
  return owners.length > 0 && owners.every(({ manager }) => manager === helmFieldManager);
}

/** Of items with the same key, which only their place tells apart, the field managers do not say whose they are. */
function isOneOfTwins(live: KubeObject, { path }: Difference): boolean {
  return path.some((step, index) => typeof step === 'number' && isRecord(valueAt(live, path.slice(0, index + 1))));
}

/** Reports drift of a field that the API server refuses to change. */
export function refusedChange(ref: ObjectRef, because: string): Comparison {
  const message = `${nameOf(ref)} cannot be changed to its declaration, because a field is immutable (${because}).`;
  return { drift: { ref, drift: 'changed', fields: [], message }, held: [] };
}

function deletion(ref: ObjectRef): Comparison {
  return { drift: { ref, drift: 'missing', fields: [], message: `${nameOf(ref)} is being deleted.` }, held: [] };
}

function nameOf(ref: ObjectRef): string {
  return ref.namespace === undefined ? objectName(ref) : `${objectName(ref)} in namespace ${ref.namespace}`;
}

/** Moves the `stringData` of a Secret into its data, as the API server does. */
function spelledAsKept(declared: KubeObject): KubeObject {
  const texts = declared['stringData'];
  if (!isSecret(declared) || !isRecord(texts)) return declared;
  const data = isRecord(declared['data']) ? declared['data'] : {};
  const encoded = Object.entries(texts).map(([name, value]): [string, unknown] => [name, base64(String(value))]);
  return { ...declared, data: { ...data, ...Object.fromEntries(encoded) } };
}

const ownershipMarks = new Set([
  'metadata.labels["app.kubernetes.io/managed-by"]',
  'metadata.annotations["meta.helm.sh/release-name"]',
  'metadata.annotations["meta.helm.sh/release-namespace"]',
]);

/** A value of a Secret. */
export const hiddenValue = '(not shown)';

function judged(
  ref: ObjectRef,
  states: { live: KubeObject; declared: KubeObject },
  found: readonly Difference[],
  { release, rules = [], because = '' }: DriftOptions & { because?: string },
): Comparison {
  const { live } = states;
  const owner = otherOwner(live, release);
  const isLeftOut = ({ path }: Difference): boolean => leavesOutField(rules, ref, path, Object.values(states));
  const all = found
    .filter((each) => !isLeftOut(each))
    .map((difference) => ({ difference, path: pathText(difference.path), owners: setters(live, difference) }));
  const isHeld = ({ path, owners }: (typeof all)[number]): boolean =>
    owners.length > 0 && owners.every((each) => isItsOwn(each, path));
  const held = all.filter(isHeld).map((each) => {
    const { path, owners } = each;
    return `${nameOf(ref)}: ${path} ${differenceText(ref, each.difference)}, which ${names(owners)} may set.`;
  });
  const fields = all
    .filter((each) => !isHeld(each) && !(owner !== undefined && ownershipMarks.has(each.path)))
    .map(({ difference, path, owners }) => ({
      path,
      message: differenceText(ref, difference),
      live: shownField(ref, difference.before),
      declared: shownField(ref, difference.after),
      owners,
    }));
  if (owner !== undefined) {
    const rest = fields.length === 0 ? '' : `, and ${wording(fields)}`;
    const message = `${nameOf(ref)} belongs to ${owner}${rest}.`;
    const unowned = isUnowned(live) ? { isUnowned: true } : {};
    return { drift: { ref, drift: 'foreign', fields, ...unowned, message }, held };
  }
  if (fields.length === 0) return { ...asDeclared, held };
  const how =
    because === ''
      ? ''
      : ` (compared without a dry run, so this may be another spelling of the same value: ${because})`;
  return { drift: { ref, drift: 'changed', fields, message: `${nameOf(ref)}: ${wording(fields)}${how}.` }, held };
}

function shownField(ref: ObjectRef, value: unknown): unknown {
  return value === undefined || !isSecret(ref) ? value : hiddenValue;
}

/** Nobody records who moved the items of a list that is merged by keys. */
function setters(live: KubeObject, { path, order }: Difference): FieldOwner[] {
  return order === 'items' ? [] : ownersOf(live, path);
}

/** Further fields are only counted. */
const namedAtMost = 8;

function wording(fields: readonly DriftedField[]): string {
  const phrases = fields.slice(0, namedAtMost).map(({ path, message, owners }) => {
    const managers = [...new Set(owners.map(({ manager }) => shortName(manager)))];
    return `${path} ${message}${managers.length === 0 ? '' : ` (set by ${managers.join(', ')})`}`;
  });
  const rest = fields.length > namedAtMost ? ` and ${fields.length - namedAtMost} more fields differ` : '';
  return phrases.join(', ') + rest;
}

function shortName(manager: string): string {
  return clipped(manager, 64);
}

function names(owners: readonly FieldOwner[]): string {
  return [...new Set(owners.map(({ manager }) => shortName(manager)))].join(' and ');
}

function differenceText(ref: ObjectRef, { path, before: live, after: wanted, order }: Difference): string {
  if (order !== undefined) return 'is in another order';
  if (live === undefined) return 'is gone';
  if (wanted === undefined) return 'was added';
  const isShown = !isSecret(ref) && [live, wanted].every((value) => isHarmless(value, lastField(path)));
  return isShown ? `is ${shownValue(live)}, not ${shownValue(wanted)}` : 'differs';
}

/** A chart may put a password into any text. An image is shown, because people look for it first. */
function isHarmless(value: unknown, field: string): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || (field === 'image' && typeof value === 'string');
}

function shownValue(value: unknown): string {
  return typeof value === 'string' ? clipped(value, 200) : JSON.stringify(value);
}

/** The paths of fields that the API server does not know (structured-merge-diff, typed/validate.go). */
export function unknownFields(message: string): string[] {
  return [...message.matchAll(/(?<![\w$\][.-])((?:\.[\w$-]+|\[[^\][]*\])+): field not declared in schema/g)].map(
    (match) => (match[1] ?? '').replace(/\[[^\][]*\]/g, '').slice(1),
  );
}

/** Removes these fields in all items of the lists along the path. */
export function withoutFields(object: KubeObject, paths: readonly string[]): KubeObject {
  return paths.reduce((rest: unknown, path) => without(rest, path.split('.')), object) as KubeObject;
}

function without(value: unknown, path: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => without(item, path));
  const [field, ...below] = path;
  if (!isRecord(value) || field === undefined || !Object.hasOwn(value, field)) return value;
  const { [field]: found, ...others } = value;
  return below.length === 0 ? others : { ...others, [field]: without(found, below) };
}

/** Returns true if the API server refused a change of an immutable field. */
export function isImmutable(message: string): boolean {
  return /immutable|may not be? ?changed?|may not change|cannot change|cannot be changed|updates to .{0,300} (are )?forbidden|Forbidden: (spec|field|pod updates)/i.test(
    message,
  );
}
