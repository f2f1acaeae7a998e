import type { KubeObject, ObjectRef } from './kubernetes';
import { objectKey, objectName } from './manifest';
import type { FollowSnapshot } from './ports';
import { objectStatus, type ObjectStatus } from './status';

/** One object of a release, as the manifest wants it and where the API server keeps it. */
export interface WantedObject {
  key: string;
  ref: ObjectRef;
  declared: KubeObject;
}

export interface ObjectReading {
  key: string;
  ref: ObjectRef;
  status: ObjectStatus['status'];
  reason: string;
  message: string;
}

export interface Readiness {
  state: 'healthy' | 'progressing' | 'failed';
  objects: readonly ObjectReading[];
  /** What decides `state`: the first failed one, else the first that is not current. */
  decisive: ObjectReading | undefined;
}

/** A generation that was there before the deploy: an object still at it has not been touched. */
export type Baseline = ReadonlyMap<string, { uid: string; generation: number }>;

export function baselineOf(snapshot: FollowSnapshot): Baseline {
  const entries = [...snapshot.objects].map(([key, object]) => [key, identityOf(object)] as const);
  return new Map(entries);
}

function identityOf(object: KubeObject): { uid: string; generation: number } {
  return { uid: object.metadata.uid ?? '', generation: object.metadata.generation ?? 0 };
}

/**
 * Whether all wanted objects are there and ready. `untouched` leaves out what has not changed since that baseline, for
 * readings taken while Helm is still at work. Objects of queries that could not be read are `Unknown`, never absent.
 */
export function readiness(
  wanted: readonly WantedObject[],
  snapshot: FollowSnapshot,
  now: Date,
  untouched?: Baseline,
): Readiness {
  const objects = wanted
    .filter(
      (object) => untouched === undefined || isTouched(snapshot.objects.get(object.key), untouched.get(object.key)),
    )
    .map((object) => readingOf(object, snapshot, now));
  const failed = objects.find((object) => object.status === 'Failed');
  const waiting = objects.find((object) => object.status !== 'Current');
  if (failed !== undefined) return { state: 'failed', objects, decisive: failed };
  return { state: waiting === undefined ? 'healthy' : 'progressing', objects, decisive: waiting };
}

function isTouched(live: KubeObject | undefined, before: { uid: string; generation: number } | undefined): boolean {
  if (live === undefined) return false;
  const now = identityOf(live);
  return before === undefined || before.uid !== now.uid || before.generation !== now.generation;
}

function readingOf(wanted: WantedObject, snapshot: FollowSnapshot, now: Date): ObjectReading {
  const { key, ref } = wanted;
  const live = snapshot.objects.get(key);
  if (live !== undefined) return { key, ref, ...objectStatus(live, now) };
  const unread = snapshot.unread.find(({ query }) => isAbout(query, ref));
  if (unread !== undefined) {
    return { key, ref, status: 'Unknown', reason: unread.reason, message: unread.message };
  }
  if (removesItself(wanted.declared)) {
    return { key, ref, status: 'Current', reason: 'Removed', message: 'It has ended and its time to live is over.' };
  }
  return {
    key,
    ref,
    status: 'Failed',
    reason: 'ObjectMissing',
    message: `The manifest has ${objectName(ref)}, the cluster has not.`,
  };
}

function isAbout(query: { apiVersion: string; kind: string; namespace?: string }, ref: ObjectRef): boolean {
  return query.kind === ref.kind && query.apiVersion === ref.apiVersion && query.namespace === ref.namespace;
}

/** A Job with ttlSecondsAfterFinished is removed by its controller when it has ended, well or badly. */
function removesItself(declared: KubeObject): boolean {
  const spec = declared['spec'];
  return declared.kind === 'Job' && typeof spec === 'object' && spec !== null && 'ttlSecondsAfterFinished' in spec;
}

/** What was said of an object last, and what is new: one line of the log for each. */
export function changedReadings(
  before: ReadonlyMap<string, string>,
  readings: readonly ObjectReading[],
): readonly ObjectReading[] {
  return readings.filter((reading) => before.get(reading.key) !== wordOf(reading));
}

export function wordOf(reading: ObjectReading): string {
  return `${reading.status} ${reading.message}`;
}

export function wanted(ref: ObjectRef, declared: KubeObject): WantedObject {
  return { key: objectKey(ref), ref, declared };
}
