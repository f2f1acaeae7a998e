import type { KubeObject, ObjectRef } from '../kubernetes/object';
import type { CauseCode, Grace } from './causes';
import type { EventRecord } from './events';
import { at, listAt, textAt } from '../kubernetes/read';

/** What a finding rests on; `text` quotes the cluster. */
export interface Evidence {
  kind: 'condition' | 'containerState' | 'event' | 'object';
  ref: ObjectRef;
  container?: string;
  text: string;
  /** When the cluster says it was, as ISO time. */
  at?: string;
  count?: number;
}

/** A container log that is worth reading; `previous` is the run before the present one. */
export interface LogRequest {
  namespace: string;
  pod: string;
  container: string;
  previous: boolean;
}

/** Something wrong, seen in one reading. Whether it makes the rollout hopeless is decided with its age. */
export interface Finding {
  code: CauseCode;
  /** What tells kinds of one code apart: `resources`, `taints`, … */
  detail?: string;
  subject: ObjectRef;
  /** Tells this finding from the same one about another object or container, over all readings. */
  id: string;
  message: string;
  /** Cannot heal without another deploy. */
  isCertain: boolean;
  /** In place of the code's grace. */
  grace?: Grace;
  /** The clock starts anew as long as this is so: something that is about to end may free what is missing. */
  isHeld?: boolean;
  /** Whoever is held up tries again after a time that doubles with each try. */
  doublesWait?: boolean;
  /** For containers that end again and again. */
  runs?: ContainerRuns;
  evidence: readonly Evidence[];
  logs: readonly LogRequest[];
}

export interface ContainerRuns {
  /** How many runs have ended. */
  ended: number;
  /** How many must have ended before it is called a loop. */
  needed: number;
  isRunning: boolean;
  /** How long the last run that ended had lasted. */
  lastedSeconds: number;
  /** Another workload may be what it waits for. */
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

/** What runs without anything being wrong may say what it waits for: a Job that hangs, for one. */
export function runningLogs(pods: readonly KubeObject[]): LogRequest[] {
  return pods.flatMap((pod) => {
    const { name, namespace = '' } = pod.metadata;
    return [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')]
      .filter((status) => at(status, 'state', 'running') !== undefined)
      .map((status) => ({ namespace, pod: name, container: textAt(status, 'name'), previous: false }));
  });
}
