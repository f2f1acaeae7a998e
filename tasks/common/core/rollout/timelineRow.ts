import { objectName } from '../kubernetes/manifest';
import { withoutRepeats } from '../text/sentence';
import type { KubeObject } from '../kubernetes/object';
import { numberAt } from '../kubernetes/read';
import type { WorkloadVerdict } from './model';
import { isRunner } from './runner';

export function hasRow({ ref, health }: WorkloadVerdict): boolean {
  return health !== 'healthy' || isRunner(ref);
}

/** `phase` separates its rows from those of another phase. */
export function timelineRow(
  workload: WorkloadVerdict,
  object: KubeObject | undefined,
  { isOver, phase }: { isOver: boolean; phase: string },
): TimelineRow {
  const { key, ref, status, cause, suspects } = workload;
  const telling = cause ?? suspects[0];
  const result = resultOf(workload, isOver);
  const name = phase === '' ? objectName(ref) : `${objectName(ref)} (${phase})`;
  const text =
    telling === undefined || result === 'Succeeded'
      ? status.message
      : `${telling.code}: ${withoutRepeats(telling.message)}`;
  const progress = result === 'Succeeded' ? 100 : progressOf(object);
  return {
    key: `${phase} ${key}`,
    name,
    type: ref.kind,
    ...(result === undefined ? { state: 'InProgress' } : { state: 'Completed', result }),
    ...(progress === undefined ? {} : { progress }),
    text,
  };
}

function resultOf({ health, isPreexisting }: WorkloadVerdict, isOver: boolean): TimelineRow['result'] {
  if (health === 'healthy') return 'Succeeded';
  if (isPreexisting) return isOver ? 'SucceededWithIssues' : undefined;
  if (health === 'failed') return 'Failed';
  return isOver ? 'Canceled' : undefined;
}

function progressOf(object: KubeObject | undefined): number | undefined {
  if (object === undefined) return undefined;
  const status = (name: string): number => numberAt(object, 'status', name);
  switch (object.kind) {
    case 'Deployment':
    case 'StatefulSet':
      return percent(
        Math.min(status('updatedReplicas'), status('readyReplicas')),
        numberAt(object, 'spec', 'replicas'),
      );
    case 'DaemonSet':
      return percent(
        Math.min(status('updatedNumberScheduled'), status('numberReady')),
        status('desiredNumberScheduled'),
      );
    case 'Job':
      return percent(status('succeeded'), numberAt(object, 'spec', 'completions'));
    default:
      return undefined;
  }
}

function percent(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : Math.min(99, Math.floor((100 * part) / whole));
}

export interface TimelineRow {
  key: string;
  name: string;
  type: string;
  state: 'InProgress' | 'Completed';
  /** Set only with `Completed`. */
  result?: 'Succeeded' | 'SucceededWithIssues' | 'Failed' | 'Canceled';
  /** In percent. */
  progress?: number;
  text: string;
}
