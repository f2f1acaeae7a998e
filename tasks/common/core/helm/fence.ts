import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';
import type { WriteRefusal, WriteVerb } from './rehearsal';

/** A write that Helm, behind the fence, asks for. */
export interface FenceWrite {
  verb: WriteVerb;
  /** For example `apps/v1`. */
  apiVersion: string;
  /** The name in the path of the API, for example `deployments`. */
  resource: string;
  /** Absent for a cluster-scoped object. */
  namespace?: string;
  /**
   * Absent if the write concerns all objects, or if the body of a creation has no readable name (Helm sends its own
   * record in such a form).
   */
  name?: string;
  subresource?: string;
  /** True for Helm's own record of a revision of the release. */
  isStorage: boolean;
  /** True if the object was created through this fence. */
  isMadeHere: boolean;
  /** SHA-256 of the request's body, in hexadecimal. */
  bodyDigest: string;
  /** The body, if it is JSON. The body may hold values of a Secret. */
  sent?: unknown;
  /** The client that sent the write, as it names itself. */
  client: string;
}

/**
 * Decides which writes the gateway passes on. The gateway asks once for each write, and the policy must answer at once.
 */
export interface FencePolicy {
  /** If a deletion is not passed on, the gateway answers as if the object had been deleted. */
  mayDelete(write: FenceWrite): boolean;
  /**
   * If another write is not passed on, the gateway refuses it. Without this function, all other writes are passed on.
   */
  mayWrite?(write: FenceWrite): boolean;
  /**
   * Returns undefined if the write may be sent as it is. Otherwise the gateway sends the write as a dry run first, and
   * calls the returned function with the object that the write would make. That function returns a clause that says why
   * the write is refused, or undefined.
   */
  comparing?(write: FenceWrite): ((wouldBe: KubeObject) => string | undefined) | undefined;
  /**
   * Returns true for a change that is not done. The gateway answers the change with the live object. An object that
   * does not exist is created all the same.
   */
  isLeft?(write: FenceWrite): boolean;
}

export interface FencedWrite {
  verb: WriteVerb;
  /** `kind` is empty if the API server returned none. `name` is empty if a refused creation had none. */
  ref: ObjectRef;
  resource: string;
  subresource?: string;
  /** The uid of the object that was written, or of the object that was kept. */
  uid?: string;
  /** Present only if the write was passed on and refused there, or if we refused it. */
  refusal?: WriteRefusal;
  isOfCollection?: true;
  client: string;
}

/** Everything that happened at the fence. Each list is in the order of the requests. */
export interface FenceRecord {
  /** Writes that the API server did or refused. */
  forwarded: readonly FencedWrite[];
  /** Deletions that were answered as done, of objects that still exist. */
  heldBack: readonly FencedWrite[];
  /** Writes that we refused, because of the policy or because the release is no longer ours. */
  refused: readonly FencedWrite[];
  requests: { reads: number; writes: number };
}

/** An object that a policy can name, for example a RehearsedWrite. */
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

/** Leaves these objects as they are, and passes on everything else. */
export function leavingAlone(objects: readonly NamedObject[]): FencePolicy {
  const left = onlyDeletionsOf(objects);
  return { mayDelete: (write) => !left.mayDelete(write), isLeft: (write) => left.mayDelete(write) };
}

function keyOf(apiVersion: string, resource: string, namespace: string | undefined, name: string): string {
  return [apiGroup(apiVersion), resource, namespace ?? '', name].join('/');
}
