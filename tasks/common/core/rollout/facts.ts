import type { KubeObject, ObjectRef } from '../kubernetes/object';

/** A container log that is worth reading. `previous`: the log of the run before the present one. */
export interface LogRequest {
  namespace: string;
  pod: string;
  container: string;
  previous: boolean;
}

/** Something to read because it may prove a finding. `key` names its answer in the facts. */
export type Question =
  | { about: 'log' | 'tail'; key: string; log: LogRequest }
  | { about: 'quota'; key: string; namespace: string }
  | { about: 'makers'; key: string; missing: ObjectRef & { namespace: string } }
  | { about: 'nodes' | 'release'; key: string };

/**
 * The answers to questions, as plain data. A missing answer proves nothing: the question was not asked yet, or the
 * connection may not read it.
 */
export interface Facts {
  /** The last lines of ended runs and of running containers, each with the kubelet's time before it. */
  logs: Readonly<Record<string, string>>;
  /** By namespace: its quotas, and all its pods. */
  quotas: Readonly<Record<string, { quotas: readonly KubeObject[]; pods: readonly KubeObject[] }>>;
  nodes?: NodeFacts;
  /**
   * By the key of the missing object: whether it is there now, and the custom resources of its namespace, which may be
   * the reason for which a controller makes it.
   */
  makers: Readonly<Record<string, { isThere: boolean; objects: readonly KubeObject[] }>>;
  release?: ReleaseFacts;
}

export interface ReleaseFacts {
  /** The objects of this revision. */
  declared: readonly KubeObject[];
  /** ConfigMaps and Secrets that earlier revisions refer to, as `Kind/name`; absent if there is no earlier revision. */
  references?: readonly string[];
  /** The images of earlier revisions. */
  images: readonly string[];
}

/** All nodes of the cluster, as far as the connection may read them. */
export interface NodeFacts {
  nodes: readonly KubeObject[];
  /** False if it is known that nothing in the cluster makes nodes. */
  mayGrow: boolean;
}

export const noFacts: Facts = { logs: {}, quotas: {}, makers: {} };

/** One ended run of a container. */
export interface RunEnd {
  /** Counts from 1. */
  number: number;
  exitCode: number;
  reason: string;
  seconds: number;
}

export function logKey(id: string, { number }: Pick<RunEnd, 'number'>): string {
  return `${id}#${number}`;
}

/** A proof shows that waiting cannot help. */
export interface Proof {
  /** Replaces the grace of the cause, in seconds. */
  grace: number;
  /** A sentence. */
  why: string;
}
