import type { FailureReason } from '../failure';
import type { KubeObject } from './object';

export interface ListQuery {
  apiVersion: string;
  kind: string;
  /** Absent for a cluster-scoped kind, or for all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Reads only `metadata`, so that the values of a Secret never reach this process. */
  metadataOnly?: boolean;
  /** Keeps `metadata.managedFields`, which are often half of an object. */
  withManagers?: boolean;
}

/** List the kinds that own others first: `keep` is called in this order, and again if an owner arrives later. */
export interface FollowQuery extends ListQuery {
  keep(object: KubeObject): boolean;
  /** Returns the part of an object that is stored, unless another query needs the whole object. */
  trim?(object: KubeObject): KubeObject;
}

export interface FollowSnapshot {
  /** Keyed by `objectKey`. */
  objects: ReadonlyMap<string, KubeObject>;
  /** The objects of these queries are unknown, not absent. */
  unread: readonly { query: ListQuery; reason: FailureReason; message: string }[];
}

/** What has changed since the last call. */
export interface FollowChanges extends Pick<FollowSnapshot, 'unread'> {
  /** Keyed by `objectKey`. An object that is gone is undefined. */
  objects: ReadonlyMap<string, KubeObject | undefined>;
}
