import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';

/**
 * `apply` is a server-side apply (Helm 4), `patch` is any other patch (Helm 3). The eviction of a pod counts as
 * `delete`.
 */
export type WriteVerb = 'create' | 'update' | 'patch' | 'apply' | 'delete';

/**
 * Why the API server (or this task) refused a write. `message` may quote the object, but never the values of a Secret.
 */
export interface WriteRefusal {
  /** The HTTP status. */
  status: number;
  /** `Forbidden`, `Invalid`, `Conflict`, ... Empty if the API server gave none. */
  reason: string;
  message: string;
}

/** One write that Helm asked for, with the result of the API server's dry run. */
export interface RehearsedWrite {
  verb: WriteVerb;
  /**
   * The object of the write, in the requested version. `kind` is empty if the API server returned none. `name` is empty
   * if a creation was refused and its body cannot be read.
   */
  ref: ObjectRef;
  /** The name in the path of the API, for example `deployments`. */
  resource: string;
  /** `status`, `scale`, `eviction`, ... */
  subresource?: string;
  /** `refused` means that the real write would fail in the same way. */
  effect: 'created' | 'changed' | 'deleted' | 'refused';
  /** The uid of the object that exists now. For a creation, the uid that the dry run made up. */
  uid?: string;
  /**
   * The object that would be stored, without managedFields. Present only if the object was created or changed. A Secret
   * holds its values here: compare them in memory, and never log or store them. Values that the API server generates
   * for each request (uid, creationTimestamp, clusterIP, node ports) are made up here as well.
   */
  object?: KubeObject;
  refusal?: WriteRefusal;
  /** SHA-256 of the request's body, in hexadecimal. The execution sends exactly this body. */
  bodyDigest?: string;
  /**
   * True if the dry run did not know about an earlier write of the same rehearsal. Then `object` is the object that was
   * sent, without defaults (in a namespace that would have been created), or it lacks the changes of an earlier patch.
   */
  isAssumed?: true;
  /** True if the request deletes all objects of a kind at once. */
  isOfCollection?: true;
  /** The client that sent the write, as it names itself: `Helm/3.17.3`, `kubectl/v1.35.2`, `curl/8.5.0`. */
  client: string;
}

/** A write to Helm's own records of the release. The rehearsal only simulates this write in memory. */
export interface StorageWrite {
  verb: WriteVerb;
  /** The name of the Secret or ConfigMap. */
  name: string;
  refusal?: WriteRefusal;
}

/** The number of requests that a rehearsal sent to the API server. */
export interface RehearsalRequests {
  /** Requests that were passed on unchanged: objects, lists, discovery. */
  reads: number;
  /** Writes that were sent as dry runs, also those of Helm's records. */
  dryRuns: number;
}

/** What `helm rollback` of this binary would do, taken from a run that changed nothing. */
export interface Rehearsal {
  /**
   * `failed` means that Helm ended with an error. `writes` has everything up to that error, and the real run would end
   * at the same place.
   */
  outcome: 'completed' | 'failed' | 'timedOut' | 'cancelled';
  /** Helm's last words if it did not complete, neutralised. Otherwise empty. */
  message: string;
  exitCode: number | undefined;
  /** The writes in the order of the requests, without Helm's own records. */
  writes: readonly RehearsedWrite[];
  storage: readonly StorageWrite[];
  /** The revision that Helm would have made. Undefined if Helm did not get that far. */
  revision: number | undefined;
  /** Warnings of the API server, for example about deprecated versions, each sentence once. */
  warnings: readonly string[];
  requests: RehearsalRequests;
  durationMs: number;
}

/** Returns the writes to objects themselves. Writes to a status or a scale do not show what will exist afterwards. */
function objectWrites(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ subresource }) => subresource === undefined || subresource === 'eviction');
}

/** Returns the last write to each object that would be done, keyed by `objectKey`. Refused writes are left out. */
export function lastWrites(rehearsal: Rehearsal): Map<string, RehearsedWrite> {
  const last = new Map<string, RehearsedWrite>();
  for (const write of objectWrites(rehearsal)) {
    if (write.effect !== 'refused') last.set(objectKey(write.ref), write);
  }
  return last;
}

/**
 * Returns one write for each object that would be gone at the end. An object that is deleted and then created again is
 * not included.
 */
export function rehearsedDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  return [...lastWrites(rehearsal).values()].filter(({ effect }) => effect === 'deleted');
}

/**
 * Returns the deletions of objects that are created again later. Volumes, addresses and pods would not survive such a
 * deletion.
 */
export function passingDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  const last = lastWrites(rehearsal);
  return objectWrites(rehearsal).filter(
    ({ effect, ref }) => effect === 'deleted' && last.get(objectKey(ref))?.effect !== 'deleted',
  );
}

/** Returns the writes that the API server would refuse, in order. */
export function rehearsedRefusals(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ effect }) => effect === 'refused');
}
