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
  /** Folders first in PATH, as an earlier installer step would have left them. */
  readonly prependPath?: readonly string[];
  /** The timeout of the job. When it is over, the job is cancelled. */
  readonly timeoutMs?: number;
  /**
   * The time from a cancel to the loss of the agent's worker, if the job has not ended by then. Default: 5 min and 60
   * s.
   */
  readonly cancelTimeoutMs?: number;
  /**
   * The steps run in a container: a signal ends docker's client, and the task in the container is not informed and goes
   * on.
   */
  readonly isContainer?: boolean;
  /** Violations are then in the result and do not reject it. */
  readonly allowViolations?: boolean;
}

export interface JobResult {
  /** Abandoned if the agent was lost. */
  readonly result: TaskResult;
  readonly identity: JobIdentity;
  /** The mark that all processes of the job have in VSTS_PROCESS_LOOKUP_ID. */
  readonly lookupId: string;
  /** The stages in the order in which they ran: pre-job, main, post-job. */
  readonly steps: readonly StepRun[];
  /** The run page: all shown lines, masked. */
  readonly log: readonly AgentLogLine[];
  readonly issues: readonly Issue[];
  /** `step.name` -> value, which later jobs read as `dependencies.Job.outputs[...]`. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly secretOutputs: readonly string[];
  readonly violations: readonly Violation[];
  /** The processes that Finalize Job killed. */
  readonly orphans: readonly FoundProcess[];
  readonly durationMs: number;
  /** Returns true if a text that the job left somewhere contains a value that its log masks. */
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
  /** The user cancels the run: conditions are evaluated again, `always()` steps and post-job run. */
  cancel(): void;
  /** The agent shuts down: the task is signalled, and nothing else runs. */
  shutDownAgent(): void;
  /** The agent dies: no signal, no further step, no post-job, no orphan kill. Its ends of the pipes close. */
  loseAgent(): void;
  /** Signals the running task's own process from outside. Returns false if none runs. */
  kill(signal: NodeJS.Signals): boolean;
  /** The running task's process id, or undefined. */
  pid(): number | undefined;
  /** The first line of the whole log whose text matches. Rejects if the job ends without one. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<AgentLogLine>;
  /** The processes on this machine with this job's mark. */
  processes(): FoundProcess[];
}

/** The log of a job contained something that the agent would not understand. */
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

/** Runs a job. Throws at once if the pipeline names a task that does not exist. */
export function startJob(host: JobHost, spec: JobSpec): Job {
  const run = new JobRun(host, spec);
  const done = run.run().then((result) => {
    if (result.violations.length > 0 && spec.allowViolations !== true) throw new AgentViolationError(result);
    return result;
  });
  // A test may read the log first and the result later.
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
