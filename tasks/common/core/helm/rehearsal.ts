import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';

/** `apply` is a server-side apply (Helm 4), `patch` any other patch (Helm 3). Evicting a pod is deleting it. */
export type WriteVerb = 'create' | 'update' | 'patch' | 'apply' | 'delete';

/** Why the API server (or we) would not do a write. `message` may quote the object, but never a Secret's values. */
export interface WriteRefusal {
  /** HTTP. */
  status: number;
  /** `Forbidden`, `Invalid`, `Conflict`, ...; empty when it gave none. */
  reason: string;
  message: string;
}

/** One write that a Helm has asked for, and what the API server's dry run made of it. */
export interface RehearsedWrite {
  verb: WriteVerb;
  /**
   * What is written, in the version that was asked for. `kind` is empty when the API server told none; `name` is
   * empty when a creation was refused whose body we cannot read.
   */
  ref: ObjectRef;
  /** As in the API's path, for example `deployments`. */
  resource: string;
  /** `status`, `scale`, `eviction`, ... */
  subresource?: string;
  /** `refused`: the real write would fail just so. */
  effect: 'created' | 'changed' | 'deleted' | 'refused';
  /** The object that exists now, or of a creation the one that the dry run made up. */
  uid?: string;
  /**
   * The object as it would be stored, without managedFields; only of what was created or changed. A Secret holds its
   * values: for comparing in memory, never for showing or writing down. What the API server makes up anew each time
   * (uid, creationTimestamp, clusterIP, node ports) is made up here as well.
   */
  object?: KubeObject;
  refusal?: WriteRefusal;
  /** SHA-256 of the request's body, in hexadecimal: the execution sends the very same. */
  bodyDigest?: string;
  /**
   * The dry run could not know of an earlier write of the same rehearsal: `object` is what was sent, without defaults
   * (in a namespace that would have been made), or lacks what an earlier patch would have done to it.
   */
  isAssumed?: true;
  /** It came in a request that deletes all of a kind at a time. */
  isOfCollection?: true;
  /** The program that asked, as it names itself: `Helm/3.17.3`, `kubectl/v1.35.2`, `curl/8.5.0`. */
  client: string;
}

/** A write to Helm's own records of the release, which was played in memory. */
export interface StorageWrite {
  verb: WriteVerb;
  /** Of the Secret or ConfigMap. */
  name: string;
  refusal?: WriteRefusal;
}

/** How many requests a rehearsal made at the API server. */
export interface RehearsalRequests {
  /** Passed on as they were: objects, lists, discovery. */
  reads: number;
  /** Writes sent as dry runs, those of Helm's records too. */
  dryRuns: number;
}

/** What `helm rollback` of the very binary would do, from a run of it that changed nothing. */
export interface Rehearsal {
  /** `failed`: Helm ended with an error; what it wrote until then is in `writes`, and the real one would end there too. */
  outcome: 'completed' | 'failed' | 'timedOut' | 'cancelled';
  /** Helm's last word when it did not complete, neutralised; else empty. */
  message: string;
  exitCode: number | undefined;
  /** In the order in which they were asked for, Helm's own records left out. */
  writes: readonly RehearsedWrite[];
  storage: readonly StorageWrite[];
  /** The revision that Helm would have made; undefined when it did not come so far. */
  revision: number | undefined;
  /** What the API server warned of, such as deprecated versions; each sentence once. */
  warnings: readonly string[];
  requests: RehearsalRequests;
  durationMs: number;
}

/** Writes to objects themselves: those of a status or a scale tell nothing of what will be there. */
function objectWrites(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ subresource }) => subresource === undefined || subresource === 'eviction');
}

/** Of each object the last write that would be done, by `objectKey`. Refused ones are left out. */
export function lastWrites(rehearsal: Rehearsal): Map<string, RehearsedWrite> {
  const last = new Map<string, RehearsedWrite>();
  for (const write of objectWrites(rehearsal)) {
    if (write.effect !== 'refused') last.set(objectKey(write.ref), write);
  }
  return last;
}

/** What would be gone at the end, one write per object: what is deleted and then made again is not among it. */
export function rehearsedDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  return [...lastWrites(rehearsal).values()].filter(({ effect }) => effect === 'deleted');
}

/** What would be deleted at some time, even if it is made again later: volumes, addresses and pods would not survive it. */
export function passingDeletions(rehearsal: Rehearsal): RehearsedWrite[] {
  const last = lastWrites(rehearsal);
  return objectWrites(rehearsal).filter(
    ({ effect, ref }) => effect === 'deleted' && last.get(objectKey(ref))?.effect !== 'deleted',
  );
}

/** What the API server would refuse, in order. */
export function rehearsedRefusals(rehearsal: Rehearsal): RehearsedWrite[] {
  return rehearsal.writes.filter(({ effect }) => effect === 'refused');
}
