import type { KubeObject, ObjectRef } from '../kubernetes/object';
import type { CauseCode, Grace } from './causes';
import type { EventRecord } from './events';
import type { LogRequest, RunEnd } from './facts';
import { at, listAt, textAt } from '../kubernetes/read';

export interface Evidence {
  kind: 'condition' | 'containerState' | 'event' | 'object';
  ref: ObjectRef;
  container?: string;
  text: string;
  /** ISO time. */
  at?: string;
  count?: number;
}

/** Something wrong in one snapshot. */
export interface Finding {
  code: CauseCode;
  detail?: string;
  subject: ObjectRef;
  /** It is the same in all snapshots. */
  id: string;
  message: string;
  isCertain: boolean;
  grace?: Grace;
  /** While true, the grace starts again, because an object that is being deleted may free what is missing. */
  isHeld?: boolean;
  /** Its controller tries again after delays that double. */
  doublesWait?: boolean;
  /** The image that its registry does not have (yet). */
  image?: string;
  runs?: ContainerRuns;
  evidence: readonly Evidence[];
  logs: readonly LogRequest[];
}

interface ContainerRuns {
  ended: number;
  /** From this number of ended runs on, the container is in a crash loop. */
  needed: number;
  isRunning: boolean;
  last: RunEnd;
  mayWaitForOthers: boolean;
}

export function refTo(object: KubeObject): ObjectRef {
  const { name, namespace } = object.metadata;
  const ref = { apiVersion: object.apiVersion, kind: object.kind, name };
  return namespace === undefined ? ref : { ...ref, namespace };
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

/** They may show what a container without a finding waits for. */
export function runningLogs(pods: readonly KubeObject[]): LogRequest[] {
  return pods.flatMap((pod) => {
    const { name, namespace = '' } = pod.metadata;
    return [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')]
      .filter((status) => at(status, 'state', 'running') !== undefined)
      .map((status) => ({ namespace, pod: name, container: textAt(status, 'name'), previous: false }));
  });
}
