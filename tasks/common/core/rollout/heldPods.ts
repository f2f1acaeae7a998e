import type { KubeObject } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';
import { at, numberAt, textAt } from '../kubernetes/read';

/** A setting that keeps a controller from replacing the pods of its workload when their template changes. */
export interface PodHold {
  /** A clause: `it is paused`. */
  why: string;
  path: readonly string[];
  isPartial: boolean;
  /** A JSON merge patch. */
  release: Readonly<Record<string, unknown>>;
}

export function podHold(workload: KubeObject | undefined): PodHold | undefined {
  if (workload === undefined || apiGroup(workload.apiVersion) !== 'apps') return undefined;
  if (at(workload, 'spec', 'replicas') === 0) return undefined;
  switch (workload.kind) {
    case 'Deployment':
      return at(workload, 'spec', 'paused') === true ? paused : undefined;
    case 'StatefulSet':
      return onDeleteHold(workload) ?? partitionHold(workload);
    case 'DaemonSet':
      return onDeleteHold(workload);
    default:
      return undefined;
  }
}

const paused: PodHold = {
  why: 'it is paused',
  path: ['spec', 'paused'],
  isPartial: false,
  release: { spec: { paused: null } },
};

function onDeleteHold(workload: KubeObject): PodHold | undefined {
  if (!updatesOnDelete(workload)) return undefined;
  return {
    why: 'its pods are replaced only when somebody deletes them (OnDelete)',
    path: ['spec', 'updateStrategy', 'type'],
    isPartial: false,
    release: { spec: { updateStrategy: { type: 'RollingUpdate' } } },
  };
}

function partitionHold(set: KubeObject): PodHold | undefined {
  const partition = numberAt(set, 'spec', 'updateStrategy', 'rollingUpdate', 'partition');
  if (partition === 0) return undefined;
  return {
    why: `its partition is ${partition}, so that pods with a lower number are not replaced`,
    path: ['spec', 'updateStrategy', 'rollingUpdate', 'partition'],
    isPartial: true,
    release: { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } },
  };
}

function updatesOnDelete(object: KubeObject | undefined): boolean {
  return textAt(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
}

export function isDeclaredHold({ path }: PodHold, declared: KubeObject): boolean {
  return at(declared, ...path) !== undefined;
}

/** The number of pods with an earlier template, by the status of the workload; 0 if no pods are held back. */
export function podsHeldBack(workload: KubeObject): number {
  if (podHold(workload) === undefined) return 0;
  const isDaemonSet = workload.kind === 'DaemonSet';
  const updated = numberAt(workload, 'status', isDaemonSet ? 'updatedNumberScheduled' : 'updatedReplicas');
  const all = numberAt(workload, 'status', isDaemonSet ? 'desiredNumberScheduled' : 'replicas');
  return Math.max(0, all - updated);
}
