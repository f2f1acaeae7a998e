import type { TaskError } from '../../core/failure';
import { type FailureReason } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import type { Requests } from './requests';
import type { FollowQuery, ListQuery } from '../../core/kubernetes/queries';

export interface FollowOptions {
  signal: AbortSignal;
  clusterSignal?: AbortSignal;
  onNotice: (notice: string) => void;
  /** The longest time until an API server begins an answer. */
  responseMs: number;
  /** A silent watch is renewed after this time. The API server sends a bookmark about every minute. */
  silenceMs?: number;
  pollMs?: number;
  maxLineBytes?: number;
}

export interface Unread {
  reason: FailureReason;
  message: string;
}

/** A group has one LIST and one WATCH. */
export interface Group {
  query: ListQuery;
  /** An object is kept if at least one of these wants it. */
  keepers: Pick<FollowQuery, 'keep' | 'trim'>[];
  objects: Map<string, KubeObject>;
  limbo: Map<string, { object: KubeObject; belongsTo: readonly string[]; until: number }>;
  unread: Unread | undefined;
  hasWatched: boolean;
  /** Ends the current loop, so that the group is listed again. */
  restart: AbortController;
  /** Settles when the first reading since the (re)start succeeds or fails. */
  first: Promise<void>;
  settleFirst: () => void;
}

export interface Following {
  requests: Requests;
  options: Required<Omit<FollowOptions, 'clusterSignal' | 'signal'>>;
  stop: AbortController;
  groups: Map<string, Group>;
  /** Keys of objects that have changed since the last call of `changes`. */
  touched: Set<string>;
  changed: () => void;
}

export function listQuery(query: FollowQuery): ListQuery {
  const { apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly } = query;
  return {
    apiVersion,
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(metadataOnly === true ? { metadataOnly } : {}),
  };
}

export function groupKey(query: ListQuery): string {
  const { apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly } = query;
  const parts = [apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly === true];
  return JSON.stringify(parts.map((part) => part ?? null));
}

export function newGroup(query: ListQuery): Group {
  const group: Group = {
    query,
    keepers: [],
    objects: new Map(),
    limbo: new Map(),
    unread: { reason: 'ClusterUnreachable', message: `${query.kind} objects have not been read yet.` },
    hasWatched: false,
    restart: new AbortController(),
    first: Promise.resolve(),
    settleFirst: () => undefined,
  };
  armFirst(group);
  return group;
}

export function armFirst(group: Group): void {
  const settleEarlier = group.settleFirst;
  group.first = new Promise((resolve) => {
    group.settleFirst = () => {
      settleEarlier();
      resolve();
    };
  });
}

export interface Life {
  following: Following;
  group: Group;
  signal: AbortSignal;
  before: Promise<void>;
}

export function markRead({ group, following }: Life): void {
  if (group.unread === undefined) return;
  group.unread = undefined;
  following.changed();
}

export function markUnread({ group, following, signal }: Life, failure: TaskError): void {
  if (signal.aborted) return;
  const { reason, message } = failure;
  if (group.unread?.reason === reason && group.unread.message === message) return;
  group.unread = { reason, message };
  following.changed();
}
