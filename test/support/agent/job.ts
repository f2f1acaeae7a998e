import type { Extension } from './extension';
import type { ServiceConnection } from './endpoint';
import type { AgentFolders } from './folders';
import type { JobIdentity } from './identity';
import type { SecureFile } from './inputs';
import { JobRun } from './jobRun';
import type { AgentLogLine } from './log';
import { processesMarked } from './orphans';
import type { FoundProcess } from './orphans';
import type { Issue, StepRun, Violation } from './records';
import type { StepHost, StepSpec } from './stepHost';
import type { Stage } from './taskDefinition';
import type { TaskResult } from './taskResult';

/** One job of a pipeline. */
export interface JobSpec {
  readonly steps: readonly StepSpec[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly endpoints?: readonly ServiceConnection[];
  readonly secureFiles?: readonly SecureFile[];
  readonly identity?: Partial<JobIdentity>;
  /** Folders in front of PATH, as an installer step before would have left them. */
  readonly prependPath?: readonly string[];
  /** The job's own timeout: when it is over, the job is cancelled. */
  readonly timeoutMs?: number;
  /** From cancel to the loss of the agent's worker, if the job has not ended by then. Default: 5 min and 60 s. */
  readonly cancelTimeoutMs?: number;
  /** The steps run in a container: a signal ends docker's client, the task in the container is not told and goes on. */
  readonly isContainer?: boolean;
  /** Violations are then in the result instead of rejecting it. */
  readonly allowViolations?: boolean;
}

export interface JobResult {
  /** Abandoned if the agent was lost. */
  readonly result: TaskResult;
  readonly identity: JobIdentity;
  /** The mark that all processes of the job carry in VSTS_PROCESS_LOOKUP_ID. */
  readonly lookupId: string;
  /** In the order in which they ran: pre-job, main, post-job. */
  readonly steps: readonly StepRun[];
  /** The run page: everything shown, masked. */
  readonly log: readonly AgentLogLine[];
  readonly issues: readonly Issue[];
  /** `step.name` -> value: what `dependencies.Job.outputs[...]` gives in later jobs. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly secretOutputs: readonly string[];
  readonly violations: readonly Violation[];
  /** What Finalize Job killed. */
  readonly orphans: readonly FoundProcess[];
  readonly durationMs: number;
  /** Whether a text that the job has left somewhere holds what its log masks. */
  holdsSecret(text: string): boolean;
  /** Throws if the step has no such stage. */
  step(name: string, stage?: Stage): StepRun;
}

/** A running job. */
export interface Job {
  readonly done: Promise<JobResult>;
  readonly lookupId: string;
  readonly identity: JobIdentity;
  readonly lines: readonly AgentLogLine[];
  /** The user cancels the run: conditions are asked again, `always()` steps and post-job run. */
  cancel(): void;
  /** The agent is told to stop: the task is signalled, nothing else runs. */
  shutDownAgent(): void;
  /** The agent dies: no signal, no further step, no post-job, no orphan kill; its ends of the pipes close. */
  loseAgent(): void;
  /** Signals the running task's own process from outside. False if none runs. */
  kill(signal: NodeJS.Signals): boolean;
  /** The running task's process id, or undefined. */
  pid(): number | undefined;
  /** The first line, from the beginning on, whose text matches; rejects if the job ends without one. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<AgentLogLine>;
  /** What runs on this machine with this job's mark. */
  processes(): FoundProcess[];
}

/** The log of a job did something that the agent would not understand. */
export class AgentViolationError extends Error {
  constructor(readonly job: JobResult) {
    const list = job.violations.map(({ step, message, line }) => `- ${step}: ${message}\n  ${line}`);
    super(`The agent would not understand this job:\n${list.join('\n')}`);
  }
}

export interface JobHost {
  readonly extension: Extension;
  readonly folders: AgentFolders;
  readonly name: string;
  readonly version: string;
  readonly step: Pick<StepHost, 'nodes' | 'useNode24' | 'agentEnvironment' | 'timings'>;
  readonly onLine: ((line: AgentLogLine) => void) | undefined;
}

/** Runs a job; throws at once if the pipeline names a task that is not there. */
export function startJob(host: JobHost, spec: JobSpec): Job {
  const run = new JobRun(host, spec);
  const done = run.run().then((result) => {
    if (result.violations.length > 0 && spec.allowViolations !== true) throw new AgentViolationError(result);
    return result;
  });
  // A test may look at the log first and at the result later.
  done.catch(() => undefined);
  return {
    done,
    lookupId: run.lookupId,
    identity: run.identity,
    lines: run.lines,
    cancel: () => {
      run.stop('canceled');
    },
    shutDownAgent: () => {
      run.stop('agent shutdown');
    },
    loseAgent: () => {
      run.lose();
    },
    kill: (signal) => run.currentProcess()?.kill(signal) ?? false,
    pid: () => run.currentProcess()?.pid,
    waitForLine: (pattern, timeoutMs = 60_000) => run.waitForLine(pattern, timeoutMs, done),
    processes: () => processesMarked(run.lookupId),
  };
}
