import type { KubeObject, ObjectRef } from '../kubernetes/object';
import type { CauseCode, Grace } from './causes';
import type { EventRecord } from './events';
import type { LogRequest, RunEnd } from './facts';
import { at, listAt, textAt } from '../kubernetes/read';

/** An observation on which a finding is based; `text` quotes the cluster. */
export interface Evidence {
  kind: 'condition' | 'containerState' | 'event' | 'object';
  ref: ObjectRef;
  container?: string;
  text: string;
  /** The time that the cluster gives, as ISO time. */
  at?: string;
  count?: number;
}

/** Something wrong in one snapshot. Its age decides if it makes the rollout hopeless. */
export interface Finding {
  code: CauseCode;
  /** Distinguishes kinds of one code: `resources`, `taints`, … */
  detail?: string;
  subject: ObjectRef;
  /** Identifies the object or container of the finding in all snapshots. */
  id: string;
  message: string;
  /** True if only another deploy can remove the cause. */
  isCertain: boolean;
  /** Replaces the grace of the code. */
  grace?: Grace;
  /** While true, the grace starts again, because an object that is being deleted may free what is missing. */
  isHeld?: boolean;
  /** True if the controller retries after delays that double with each attempt. */
  doublesWait?: boolean;
  /** The image that its registry does not have (yet). */
  image?: string;
  /** Only for containers that end repeatedly. */
  runs?: ContainerRuns;
  evidence: readonly Evidence[];
  logs: readonly LogRequest[];
}

interface ContainerRuns {
  ended: number;
  /** The number of ended runs from which on the container counts as a crash loop. */
  needed: number;
  isRunning: boolean;
  last: RunEnd;
  /** True if the container may be waiting for another workload. */
  mayWaitForOthers: boolean;
}

export function refTo(object: KubeObject): ObjectRef {
  const { name, namespace } = object.metadata;
  const ref = { apiVersion: object.apiVersion, kind: object.kind, name };
  return namespace === undefined ? ref : { ...ref, namespace };
}

export function nameOf(ref: { kind: string; name: string }): string {
  return `${ref.kind}/${ref.name}`;
}

export function eventEvidence(event: EventRecord, ref: ObjectRef): Evidence {
  return {
    kind: 'event',
    ref,
    text: `${event.reason}: ${event.message}`,
    ...(event.lastAt === 0 ? {} : { at: new Date(event.lastAt).toISOString() }),
    count: event.count,
  };
}

/**
 * Requests the logs of running containers without a finding: they may show what the container waits for, for example in
 * a Job that hangs.
 */
export function runningLogs(pods: readonly KubeObject[]): LogRequest[] {
  return pods.flatMap((pod) => {
    const { name, namespace = '' } = pod.metadata;
    return [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')]
      .filter((status) => at(status, 'state', 'running') !== undefined)
      .map((status) => ({ namespace, pod: name, container: textAt(status, 'name'), previous: false }));
  });
}
