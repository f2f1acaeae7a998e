import type { FailureReason } from '../failure';
import type { KubeObject } from './object';

export interface ListQuery {
  apiVersion: string;
  kind: string;
  /** Absent: cluster-scoped kind, or all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Nothing but `metadata` is asked for and kept: what a Secret holds then never reaches this process. */
  metadataOnly?: boolean;
  /** Keeps `metadata.managedFields` of a list, which are often half of an object. */
  withManagers?: boolean;
}

/**
 * What is followed: the objects of a query that `keep` wants; the rest is dropped on arrival. Name the kinds that own
 * others first: `keep` is asked in that order, and asked again for an object when one that it belongs to comes later.
 */
export interface FollowQuery extends ListQuery {
  keep(object: KubeObject): boolean;
  /** What is held of an object that this query keeps, if not all of it; another that keeps it too may want all. */
  trim?(object: KubeObject): KubeObject;
}

/** One reading of all that is followed. An object that is not in it was not there at that reading. */
export interface FollowSnapshot {
  /** By `objectKey`. */
  objects: ReadonlyMap<string, KubeObject>;
  /** Queries that could not be read, with why: their objects are unknown, not absent. */
  unread: readonly { query: ListQuery; reason: FailureReason; message: string }[];
}
