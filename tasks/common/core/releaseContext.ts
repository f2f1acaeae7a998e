import type { DeployRequest } from './deployRequest';
import { TaskError } from './failure';
import type { Agent, Clock, Cluster, Helm, ReleaseStorage } from './ports';

/** What a flow acts through, and for which release. `signal` aborts when the agent cancels the step. */
export interface ReleaseContext {
  agent: Agent;
  helm: Helm;
  storage: ReleaseStorage;
  cluster: Cluster;
  clock: Clock;
  request: DeployRequest;
  namespace: string;
  signal: AbortSignal;
}

/** Ends the flow when the step was cancelled meanwhile. */
export function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TaskError('Cancelled', 'The step was cancelled.');
}
