import { differences, missingFields, type Difference } from '../kubernetes/fieldDifferences';
import { isItsOwn, ownersOf, type FieldOwner } from '../kubernetes/fieldOwners';
import { lastField, pathText } from '../kubernetes/fieldPath';
import { isRecord } from '../kubernetes/json';
import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { apiGroup, isSecret, objectName } from '../kubernetes/manifest';
import { isUnowned, otherOwner } from './mergeBase';

/*
 * The difference between the live objects and the objects that a release declares.
 *
 * The task asks the API server itself: it sends the declared object as a forced server-side apply in a dry run, and the
 * answer is the object that the server would store. Every difference to the live object is drift. Defaults, units and
 * list keys of the server are on both sides of the comparison, so this code needs no knowledge of them. Additions that
 * nobody declared (a sidecar, a field of another manager) are no drift, because no deploy would remove them.
 */

export interface ReleaseName {
  name: string;
  namespace: string;
}

/** An object of a release: `declared` is from the manifest, `ref` is its place on the API server. */
export interface DeclaredObject {
  ref: ObjectRef;
  declared: KubeObject;
}

/**
 * `missing`: the object does not exist, or is being deleted. `foreign`: it exists, but does not belong to this release.
 * `changed`: it differs from its declaration. `unknown`: it could not be compared, so nobody may claim that it has no
 * drift.
 */
export interface Drift {
  ref: ObjectRef;
  drift: 'missing' | 'foreign' | 'changed' | 'unknown';
  /** Filled for `changed`, and for `foreign` if the object differs as well. */
  fields: readonly DriftedField[];
  /** Set for `foreign` if no release owns the object, so that nobody loses it. */
  isUnowned?: boolean;
  /** A sentence. It has no value of a Secret, and of other objects only numbers, booleans and images. */
  message: string;
}

export interface DriftedField {
  /** For example `spec.template.spec.containers[name=web].image`. */
  path: string;
  /** `is 5, not 2`, `differs`, `is gone`, `was added`. */
  message: string;
  /** The field managers that set the field last, as the API server records them. A name may be any text. */
  managers: readonly string[];
}

export interface Comparison {
  drift: Drift | undefined;
  /**
   * Sentences about differences that are no drift, because another manager may make them, for example an autoscaler.
   */
  held: readonly string[];
}

const asDeclared: Comparison = { drift: undefined, held: [] };

/**
 * Returns the object as Helm sends it: in its namespace, and with the marks of its release, which the manifest lacks
 * (pkg/action/validate.go, setMetadataVisitor). Fields that only the API server may write are left out.
 */
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
  // The API server moves the stringData of a Secret into its data, so the data shows these texts.
  const { stringData: __, ...fields } = rest as Record<string, unknown>;
  return { ...(isSecret(object) ? fields : rest), metadata: { labels, annotations, finalizers, ownerReferences } };
}

/**
 * Returns true for a Job with ttlSecondsAfterFinished: its controller removes the Job after its end, and this is no
 * drift.
 */
function removesItself(declared: KubeObject): boolean {
  const spec = declared['spec'];
  return (
    declared.kind === 'Job' &&
    apiGroup(declared.apiVersion) === 'batch' &&
    isRecord(spec) &&
    typeof spec['ttlSecondsAfterFinished'] === 'number'
  );
}

/** Judges a declared object that does not exist. */
export function absence({ ref, declared }: DeclaredObject): Comparison {
  const name = nameOf(ref);
  if (removesItself(declared)) {
    return { drift: undefined, held: [`${name} is gone: a Job that removes itself after its end.`] };
  }
  return { drift: { ref, drift: 'missing', fields: [], message: `${name} does not exist.` }, held: [] };
}

/** Judges an object of a kind that the API server does not serve. */
export function unserved(ref: ObjectRef): Comparison {
  const message = `${nameOf(ref)} does not exist: the API server serves no ${ref.kind} of ${ref.apiVersion}.`;
  return { drift: { ref, drift: 'missing', fields: [], message }, held: [] };
}

/** Judges an object that could not be read. `why` is a sentence. */
export function notKnown(ref: ObjectRef, why: string): Comparison {
  const message = `Whether ${nameOf(ref)} is as declared is not known: ${why}`;
  return { drift: { ref, drift: 'unknown', fields: [], message }, held: [] };
}

/** Compares the live object with the answer of the dry run. `wanted.declared` is the object that was sent. */
export function compare(
  wanted: DeclaredObject,
  live: KubeObject,
  answer: KubeObject,
  release: ReleaseName,
): Comparison {
  if (live.metadata.deletionTimestamp !== undefined) return deletion(wanted.ref);
  const found = differences(content(live), content(answer), content(wanted.declared));
  return judged(wanted.ref, live, found, release, '');
}

/**
 * Compares the live object with the declared object alone, if the API server refused the dry run. `because` is a
 * sentence that says why. If nothing is found, there is surely no drift. A difference that is found may be another
 * spelling of the same value.
 */
export function compareAlone(
  wanted: DeclaredObject,
  live: KubeObject,
  release: ReleaseName,
  because: string,
): Comparison {
  if (live.metadata.deletionTimestamp !== undefined) return deletion(wanted.ref);
  const found = missingFields(content(spelledAsKept(wanted.declared)), content(live));
  return judged(wanted.ref, live, found, release, because);
}

/** Reports certain drift without naming a field: the API server refuses to make the object as declared. */
export function refusedChange(ref: ObjectRef, because: string): Comparison {
  const message = `${nameOf(ref)} cannot be made as declared: what differs may not be changed (${because}).`;
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

function base64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

const ownershipMarks = new Set([
  'metadata.labels["app.kubernetes.io/managed-by"]',
  'metadata.annotations["meta.helm.sh/release-name"]',
  'metadata.annotations["meta.helm.sh/release-namespace"]',
]);

function judged(
  ref: ObjectRef,
  live: KubeObject,
  found: readonly Difference[],
  release: ReleaseName,
  because: string,
): Comparison {
  const owner = otherOwner(live, release);
  const told = found.map((difference) => ({ difference, path: pathText(difference.path) }));
  const sorted = told.map((each) => ({ ...each, owners: setters(live, each.difference) }));
  const isHeld = ({ path, owners }: (typeof sorted)[number]): boolean =>
    owners.length > 0 && owners.every((each) => isItsOwn(each, path));
  const held = sorted.filter(isHeld).map((each) => {
    const { path, owners } = each;
    return `${nameOf(ref)}: ${path} ${saying(ref, each.difference)}, which is for ${names(owners)} to set.`;
  });
  const fields = sorted
    .filter((each) => !isHeld(each) && !(owner !== undefined && ownershipMarks.has(each.path)))
    .map(({ difference, path, owners }) => ({
      path,
      message: saying(ref, difference),
      managers: [...new Set(owners.map(({ manager }) => manager))],
    }));
  if (owner !== undefined) {
    const rest = fields.length === 0 ? '' : `, and ${wording(fields)}`;
    const message = `${nameOf(ref)} belongs to ${owner}${rest}.`;
    const unowned = isUnowned(live) ? { isUnowned: true } : {};
    return { drift: { ref, drift: 'foreign', fields, ...unowned, message }, held };
  }
  if (fields.length === 0) return { ...asDeclared, held };
  const how =
    because === '' ? '' : ` (compared without a dry run, so this may be another spelling of the same: ${because})`;
  return { drift: { ref, drift: 'changed', fields, message: `${nameOf(ref)}: ${wording(fields)}${how}.` }, held };
}

/** Nobody records who moved the items of a list that is merged by keys. */
function setters(live: KubeObject, { path, order }: Difference): FieldOwner[] {
  return order === 'items' ? [] : ownersOf(live, path);
}

/** At most this many fields of an object are named. The rest is counted. */
const namedAtMost = 8;

function wording(fields: readonly DriftedField[]): string {
  const phrases = fields.slice(0, namedAtMost).map(({ path, message, managers }) => {
    return `${path} ${message}${managers.length === 0 ? '' : ` (set by ${managers.map(shortened).join(', ')})`}`;
  });
  const rest = fields.length > namedAtMost ? ` and ${fields.length - namedAtMost} more fields differ` : '';
  return phrases.join(', ') + rest;
}

function names(owners: readonly FieldOwner[]): string {
  return [...new Set(owners.map(({ manager }) => shortened(manager)))].join(' and ');
}

function shortened(text: string): string {
  return text.length > 64 ? `${text.slice(0, 63)}…` : text;
}

function saying(ref: ObjectRef, { path, live, wanted, order }: Difference): string {
  if (order !== undefined) return 'is in another order';
  if (live === undefined) return 'is gone';
  if (wanted === undefined) return 'was added';
  const isShown = !isSecret(ref) && [live, wanted].every((value) => isHarmless(value, lastField(path)));
  return isShown ? `is ${shownValue(live)}, not ${shownValue(wanted)}` : 'differs';
}

/** A chart may put a password into any text. The name of an image is shown, because people look for it first. */
function isHarmless(value: unknown, field: string): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || (field === 'image' && typeof value === 'string');
}

function shownValue(value: unknown): string {
  return typeof value === 'string' ? shortenedImage(value) : JSON.stringify(value);
}

function shortenedImage(image: string): string {
  return image.length > 200 ? `${image.slice(0, 199)}…` : image;
}

/**
 * Returns the paths of fields that the API server does not know («.spec.foo: field not declared in schema»,
 * structured-merge-diff, typed/validate.go). The API server drops such fields when Helm 3 sends them, and refuses to
 * apply them.
 */
export function unknownFields(message: string): string[] {
  return [...message.matchAll(/(?<![\w$\][.-])((?:\.[\w$-]+|\[[^\][]*\])+): field not declared in schema/g)].map(
    (match) => (match[1] ?? '').replace(/\[[^\][]*\]/g, '').slice(1),
  );
}

/** Removes these fields from the object, in all items of the lists along the path. */
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

/** Returns true if the API server refused a change because an existing field is immutable. */
export function isImmutable(message: string): boolean {
  return /immutable|may not be? ?changed?|may not change|cannot change|cannot be changed|updates to .{0,300} (are )?forbidden|Forbidden: (spec|field|pod updates)/i.test(
    message,
  );
}
