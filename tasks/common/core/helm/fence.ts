import type { KubeObject, ObjectRef } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';
import type { WriteRefusal, WriteVerb } from './rehearsal';

/** A write that a Helm behind the fence asks for. */
export interface FenceWrite {
  verb: WriteVerb;
  /** `apps/v1`. */
  apiVersion: string;
  /** As in the API's path, for example `deployments`. */
  resource: string;
  /** Absent: cluster-scoped. */
  namespace?: string;
  /** Absent: of all, or of a creation whose body says none that can be read (Helm's own record is sent so). */
  name?: string;
  subresource?: string;
  /** Helm's own record of a revision of the release. */
  isStorage: boolean;
  /** What is written was made through this fence. */
  isMadeHere: boolean;
  /** SHA-256 of the request's body, in hexadecimal. */
  bodyDigest: string;
  /** The body, where it is JSON. It may hold values of a Secret. */
  sent?: unknown;
  /** The program that asked, as it names itself. */
  client: string;
}

/** Which writes are passed on. It is asked once for each, and must answer at once. */
export interface FencePolicy {
  /** A deletion that is not passed on is answered as if it had been done. */
  mayDelete(write: FenceWrite): boolean;
  /** Any other write is refused when it may not be passed on; without this, all are. */
  mayWrite?(write: FenceWrite): boolean;
  /**
   * Undefined for a write that may be done as it is. Else the write is sent as a dry run first, and what the answer gives
   * decides about the object that it would make: a clause why the write is refused, or undefined.
   */
  comparing?(write: FenceWrite): ((wouldBe: KubeObject) => string | undefined) | undefined;
  /** A change that is answered with the object as it is, and not done. What is not there is made all the same. */
  isLeft?(write: FenceWrite): boolean;
}

export interface FencedWrite {
  verb: WriteVerb;
  /** `kind` is empty when the API server told none; `name` where a refused creation told none. */
  ref: ObjectRef;
  resource: string;
  subresource?: string;
  /** Of the object written, or of the one that was kept. */
  uid?: string;
  /** Only of a write that was passed on, or that we refused. */
  refusal?: WriteRefusal;
  isOfCollection?: true;
  client: string;
}

/** What happened at the fence, each list in the order of the requests. */
export interface FenceRecord {
  /** Done, or refused by the API server. */
  forwarded: readonly FencedWrite[];
  /** Deletions answered as done, of objects that are still there. */
  heldBack: readonly FencedWrite[];
  /** Refused by us: by the policy, or because the release is no longer ours. */
  refused: readonly FencedWrite[];
  requests: { reads: number; writes: number };
}

/** What a policy may name: a RehearsedWrite is one. */
export interface NamedObject {
  ref: Pick<ObjectRef, 'apiVersion' | 'namespace' | 'name'>;
  resource: string;
}

/** Passes on the deletions of these objects, in whatever version, and every other write. */
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
