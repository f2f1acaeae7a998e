import type { KubeObject } from '../kubernetes/object';
import { at, listAt, numberAt, textAt } from '../kubernetes/read';

/** How far a container has come, as its pod tells. */
export interface ContainerRun {
  container: string;
  /** From 1; 0 before the first run. */
  number: number;
  /** The newest run is over. */
  hasEnded: boolean;
  /** Its node is known, so that it may start at any moment. */
  isPlaced: boolean;
}

/** Of all containers of a pod, init containers first. */
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
