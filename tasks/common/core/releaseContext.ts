import type { DeployRequest } from './deployRequest';
import { TaskError } from './failure';
import type { Agent, Clock, Cluster, Helm, ReleaseStorage } from './ports';
import type { RolloutRequest } from './rolloutRequest';

/** What a flow acts through that follows objects. `signal` aborts when the agent cancels the step. */
export interface RolloutContext {
  agent: Agent;
  cluster: Cluster;
  clock: Clock;
  request: { rollout: RolloutRequest };
  namespace: string;
  signal: AbortSignal;
}

/** What a flow acts through that changes a release. */
export interface ReleaseContext extends RolloutContext {
  helm: Helm;
  storage: ReleaseStorage;
  request: DeployRequest;
}

/** Ends the flow when the step was cancelled meanwhile. */
export function stopIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw new TaskError('Cancelled', 'The step was cancelled.');
}
