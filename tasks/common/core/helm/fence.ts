import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';
import type { WriteRefusal, WriteVerb } from './rehearsal';

export interface FenceWrite {
  verb: WriteVerb;
  apiVersion: string;
  /** The name in the path of the API, for example `deployments`. */
  resource: string;
  namespace?: string;
  /** Absent for a deletion of all objects, or if the body has no readable name (as Helm's own record). */
  name?: string;
  subresource?: string;
  /** The write is to Helm's own record of a revision. */
  isStorage: boolean;
  /** True if the object was created through this fence. */
  isMadeHere: boolean;
  /** SHA-256 in hexadecimal. */
  bodyDigest: string;
  /** The body, if it is JSON. It may hold values of a Secret. */
  sent?: unknown;
  /** The user agent. */
  client: string;
}

/** Decides which writes the gateway passes on. The gateway asks once for each write. */
export interface FencePolicy {
  /** A deletion that may not be done is answered as if it had been done. */
  mayDelete(write: FenceWrite): boolean;
  /** A write that may not be done is refused. Without this function, all writes are passed on. */
  mayWrite?(write: FenceWrite): boolean;
  /**
   * Returns a function that gets the result of a dry run of the write, and returns why the write is refused, as a
   * clause, or undefined. Returns undefined for a write that needs no dry run.
   */
  comparing?(write: FenceWrite): ((wouldBe: KubeObject) => string | undefined) | undefined;
  /** A change that returns true is answered with the live object. A missing object is created all the same. */
  isLeft?(write: FenceWrite): boolean;
}

export interface FencedWrite {
  verb: WriteVerb;
  /** `kind` and `name` may be empty. */
  ref: ObjectRef;
  resource: string;
  subresource?: string;
  /** The uid of the object that was written or kept. */
  uid?: string;
  /** Present if the API server or this task refused the write. */
  refusal?: WriteRefusal;
  isOfCollection?: true;
  client: string;
}

/** The requests that the fence has answered, in their order. */
export interface FenceRecord {
  /** Writes that the API server did or refused. */
  forwarded: readonly FencedWrite[];
  /** Deletions that were answered as done, of objects that still exist. */
  heldBack: readonly FencedWrite[];
  /** Writes that the policy refused, or that came after the lease was lost. */
  refused: readonly FencedWrite[];
  requests: { reads: number; writes: number };
}

export interface NamedObject {
  ref: Pick<ObjectRef, 'apiVersion' | 'namespace' | 'name'>;
  resource: string;
}

/** Passes on the deletions of these objects, in any API version, and every other write. */
export function onlyDeletionsOf(objects: readonly NamedObject[]): FencePolicy {
  const allowed = new Set(objects.map(({ ref, resource }) => keyOf(ref.apiVersion, resource, ref.namespace, ref.name)));
  return {
    mayDelete: ({ apiVersion, resource, namespace, name }) =>
      name !== undefined && allowed.has(keyOf(apiVersion, resource, namespace, name)),
  };
}

export const passesAll: FencePolicy = { mayDelete: () => true };

/** Leaves these objects unchanged, and passes on everything else. */
export function leavingAlone(objects: readonly NamedObject[]): FencePolicy {
  const left = onlyDeletionsOf(objects);
  return { mayDelete: (write) => !left.mayDelete(write), isLeft: (write) => left.mayDelete(write) };
}

function keyOf(apiVersion: string, resource: string, namespace: string | undefined, name: string): string {
  return [apiGroup(apiVersion), resource, namespace ?? '', name].join('/');
}
