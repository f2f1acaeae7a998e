import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '../support/agent';
import { cluster as openCluster, type TestCluster } from '../support/cluster';
import type { Disturbance } from './cases';
import { changingHelm, isAlive, kill, rehearsingHelm } from './processTable';

/** What is disturbed. */
export interface Victim {
  readonly job: Job;
  readonly cluster: TestCluster;
  readonly stage: 'main' | 'post-job';
  readonly pid: number;
}

/** For how long the API server was away. */
export interface Outage {
  readonly from: Date;
  readonly to: Date;
}

const stoppedMs = 20_000;

/** Does it; resolves when it is over. */
export async function disturb(disturbance: Disturbance, victim: Victim): Promise<Outage | undefined> {
  const { job, cluster, stage, pid } = victim;
  switch (disturbance) {
    case 'cancel':
      // Nobody cancels a post-job; but the step's own time may be over, and then the same signals are sent.
      if (stage === 'main') job.cancel();
      else await signalsOfAgent(pid);
      return undefined;
    case 'sigterm':
      kill(pid, 'SIGTERM');
      return undefined;
    case 'container-cancel':
      // The job is one of a container: nobody tells the task, and post-job runs beside it.
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
      // What it has started lives on, and nobody reads what that says.
      job.loseAgent();
      return undefined;
    case 'machine-lost':
      loseMachine(job);
      return undefined;
    case 'orphan-kill':
      // The agent goes and takes the task with it: no post-job, but the end of the job kills what is left.
      job.shutDownAgent();
      kill(pid, 'SIGKILL');
      return undefined;
    case 'api-stopped':
      return outage(cluster, stoppedMs);
    case 'api-restarted':
      return outage(cluster, 0);
  }
}

/** At once: neither is to learn of the other's death. */
export function killWithHelm(pid: number): void {
  const helm = changingHelm(pid) ?? rehearsingHelm(pid);
  killTogether(helm === undefined ? [pid] : [pid, helm]);
}

/** Everything of the job is gone at once, as with the machine that it ran on. */
export function loseMachine(job: Job): void {
  job.loseAgent();
  for (let left = job.processes(); left.length > 0; left = job.processes()) killTogether(left.map(({ pid }) => pid));
}

/** A stopped process notices nothing, and is none to be noticed. */
function killTogether(pids: readonly number[]): void {
  for (const pid of pids) kill(pid, 'SIGSTOP');
  for (const pid of pids) kill(pid, 'SIGKILL');
}

/**
 * Afterwards everything that talks to the API server is started anew: left alone, controllers and kubelet sit out pauses
 * of up to half a minute, in which the node counts as lost. That is Kubernetes' business, not what is shown here.
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
