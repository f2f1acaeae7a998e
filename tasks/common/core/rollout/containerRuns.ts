import type { KubeObject } from '../kubernetes/object';
import { at, listAt, numberAt, textAt } from '../kubernetes/read';

export interface ContainerRun {
  container: string;
  /** Counts from 1; 0 before the first run. */
  number: number;
  hasEnded: boolean;
  /** True if the pod has a node, so that the container may start at any moment. */
  isPlaced: boolean;
}

/** Init containers come first. */
export function containerRuns(pod: KubeObject): ContainerRun[] {
  const isPlaced = textAt(pod, 'spec', 'nodeName') !== '';
  return (['initContainer', 'container'] as const).flatMap((sort) => {
    const statuses = new Map(
      listAt(pod, 'status', `${sort}Statuses`).map((status) => [textAt(status, 'name'), status]),
    );
    return listAt(pod, 'spec', `${sort}s`).map((declared) => {
      const container = textAt(declared, 'name');
      return { container, isPlaced, ...runOf(statuses.get(container)) };
    });
  });
}

function runOf(status: unknown): Pick<ContainerRun, 'number' | 'hasEnded'> {
  const isRunning = at(status, 'state', 'running') !== undefined;
  const hasEnded =
    at(status, 'state', 'terminated') !== undefined || at(status, 'lastState', 'terminated') !== undefined;
  const number = isRunning || hasEnded ? numberAt(status, 'restartCount') + 1 : 0;
  return { number, hasEnded: hasEnded && !isRunning };
}
