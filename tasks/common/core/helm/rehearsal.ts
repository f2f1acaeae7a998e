import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';

/** `apply` is a server-side apply, `patch` any other patch. The eviction of a pod counts as `delete`. */
export type WriteVerb = 'create' | 'update' | 'patch' | 'apply' | 'delete';

/** `message` may quote the object, but never the values of a Secret. */
export interface WriteRefusal {
  /** The HTTP status. */
  status: number;
  /** For example `Forbidden`. May be empty. */
  reason: string;
  message: string;
}

/** A write of Helm with the result of the API server's dry run. */
export interface RehearsedWrite {
  verb: WriteVerb;
  /** The object in the requested version. `kind` and `name` may be empty. */
  ref: ObjectRef;
  resource: string;
  /** `status`, `scale`, `eviction` and others. */
  subresource?: string;
  /** `refused`: the real write would fail in the same way. */
  effect: 'created' | 'changed' | 'deleted' | 'refused';
  /** The uid of the live object. For a creation, the dry run invents one. */
  uid?: string;
  /**
   * The object that would be stored, without managedFields. A Secret holds its values here: never log or store them.
   * The dry run invents generated values (uid, creationTimestamp, clusterIP, node ports).
   */
  object?: KubeObject;
  refusal?: WriteRefusal;
  /** SHA-256 in hexadecimal. The execution sends exactly this body. */
  bodyDigest?: string;
  /** The dry run did not know an earlier write of this rehearsal, so `object` lacks defaults or changes of it. */
  isAssumed?: true;
  isOfCollection?: true;
  /** The user agent: `Helm/3.17.3`, `kubectl/v1.35.2`. */
  client: string;
}

/** A write to Helm's own records, which the rehearsal only simulates in memory. */
export interface StorageWrite {
  verb: WriteVerb;
  /** The name of the Secret or ConfigMap. */
  name: string;
  refusal?: WriteRefusal;
}

/** The number of requests to the API server. */
export interface RehearsalRequests {
  reads: number;
  /** Writes that were sent as dry runs, also those of Helm's records. */
  dryRuns: number;
}

/** The effects that `helm rollback` of this binary would have. */
export interface Rehearsal {
  /** `failed`: Helm ended with an error, and the real run would end at the same place. */
  outcome: 'completed' | 'failed' | 'timedOut' | 'cancelled';
  /** Helm's last words if it did not complete, neutralised. */
  message: string;
  exitCode: number | undefined;
  /** In the order of the requests, without Helm's own records. */
  writes: readonly RehearsedWrite[];
  storage: readonly StorageWrite[];
  /** The revision that Helm would create. */
  revision: number | undefined;
  /** Warnings of the API server, each once. */
  warnings: readonly string[];
  requests: RehearsalRequests;
  durationMs: number;
}

/** Writes to a status or a scale do not show what will exist afterwards. */
function objectWrites(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ subresource }) => subresource === undefined || subresource === 'eviction');
}

/** The last write to each object that is not refused, by `objectKey`. */
export function lastWrites(rehearsal: Rehearsal): Map<string, RehearsedWrite> {
  const last = new Map<string, RehearsedWrite>();
  for (const write of objectWrites(rehearsal)) {
    if (write.effect !== 'refused') last.set(objectKey(write.ref), write);
  }
  return last;
}

/** The deletions of objects that are created again. Volumes, addresses and pods would not survive them. */
export function passingDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  const last = lastWrites(rehearsal);
  return objectWrites(rehearsal).filter(
    ({ effect, ref }) => effect === 'deleted' && last.get(objectKey(ref))?.effect !== 'deleted',
  );
}

export function rehearsedRefusals(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ effect }) => effect === 'refused');
}
