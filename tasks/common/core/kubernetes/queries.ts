import type { FailureReason } from '../failure';
import type { KubeObject } from './object';

export interface ListQuery {
  apiVersion: string;
  kind: string;
  /** Absent for a cluster-scoped kind, or for all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Requests and keeps only `metadata`, so that the values of a Secret never reach this process. */
  metadataOnly?: boolean;
  /** Keeps `metadata.managedFields` of the objects in a list. These fields are often half of an object. */
  withManagers?: boolean;
}

/**
 * Objects to follow: those of a query for which `keep` returns true. All others are dropped on arrival. List the kinds
 * that own others first: `keep` is called in this order, and again for an object if one of its owners arrives later.
 */
export interface FollowQuery extends ListQuery {
  keep(object: KubeObject): boolean;
  /**
   * Returns the part of a kept object that is stored. If another query keeps the object too, it may need the whole
   * object.
   */
  trim?(object: KubeObject): KubeObject;
}

/** One reading of all followed objects. An object that is missing did not exist at that reading. */
export interface FollowSnapshot {
  /** Keyed by `objectKey`. */
  objects: ReadonlyMap<string, KubeObject>;
  /** Queries that could not be read, with the reason. Their objects are unknown, not absent. */
  unread: readonly { query: ListQuery; reason: FailureReason; message: string }[];
}
