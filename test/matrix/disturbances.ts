import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../support/agent';
import { cluster as openCluster, type TestCluster } from '../support/cluster';
import type { Disturbance } from './cases';
import { changingHelm, isAlive, kill, rehearsingHelm } from './processTable';

/** The disturbed process and its surroundings. */
export interface Victim {
  readonly job: Job;
  readonly cluster: TestCluster;
  readonly stage: 'main' | 'post-job';
  readonly pid: number;
}

/** The time for which the API server was away. */
export interface Outage {
  readonly from: Date;
  readonly to: Date;
}

const stoppedMs = 20_000;

/** Does the disturbance. Resolves when it is over. */
export async function disturb(disturbance: Disturbance, victim: Victim): Promise<Outage | undefined> {
  const { job, cluster, stage, pid } = victim;
  switch (disturbance) {
    case 'cancel':
      // A user cannot cancel a post-job phase, but its step can time out, and then it gets the same signals.
      if (stage === 'main') job.cancel();
      else await signalsOfAgent(pid);
      return undefined;
    case 'sigterm':
      kill(pid, 'SIGTERM');
      return undefined;
    case 'container-cancel':
      // The job runs in a container: the task gets no signal, and post-job runs beside it.
      job.cancel();
      return undefined;
    case 'agent-shutdown':
      job.shutDownAgent();
      return undefined;
    case 'kill-task':
      kill(pid, 'SIGKILL');
      return undefined;
    case 'kill-task-and-helm':
      killWithHelm(pid);
      return undefined;
    case 'agent-lost':
      // The child processes live on, and nothing reads their output.
      job.loseAgent();
      return undefined;
    case 'machine-lost':
      loseMachine(job);
      return undefined;
    case 'orphan-kill':
      // The agent dies with the task: there is no post-job, but the end of the job kills the remaining processes.
      job.shutDownAgent();
      kill(pid, 'SIGKILL');
      return undefined;
    case 'api-stopped':
      return outage(cluster, stoppedMs);
    case 'api-restarted':
      return outage(cluster, 0);
  }
}

/** Both are killed at once, so that neither notices the death of the other. */
export function killWithHelm(pid: number): void {
  const helm = changingHelm(pid) ?? rehearsingHelm(pid);
  killTogether(helm === undefined ? [pid] : [pid, helm]);
}

/** Every process of the job ends at once, as when its machine dies. */
export function loseMachine(job: Job): void {
  job.loseAgent();
  for (let left = job.processes(); left.length > 0; left = job.processes()) killTogether(left.map(({ pid }) => pid));
}

/** A stopped process notices nothing, and other processes do not notice it. */
function killTogether(pids: readonly number[]): void {
  for (const pid of pids) kill(pid, 'SIGSTOP');
  for (const pid of pids) kill(pid, 'SIGKILL');
}

/**
 * Afterwards every client of the API server is restarted. Otherwise controllers and kubelet would pause for up to half
 * a minute, in which the node counts as lost. That is Kubernetes' own behaviour and not tested here.
 */
async function outage(cluster: TestCluster, milliseconds: number): Promise<Outage> {
  const from = new Date();
  await cluster.stopApiServer();
  await delay(milliseconds);
  await openCluster({ name: cluster.name });
  return { from, to: new Date() };
}

async function signalsOfAgent(pid: number): Promise<void> {
  kill(pid, 'SIGINT');
  if (await endsWithin(pid, 7_500)) return;
  kill(pid, 'SIGTERM');
  if (await endsWithin(pid, 2_500)) return;
  kill(pid, 'SIGKILL');
}

async function endsWithin(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (isAlive(pid) && performance.now() < deadline) await delay(20);
  return !isAlive(pid);
}
