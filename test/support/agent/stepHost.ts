import type { SecureFile } from './inputs';
import type { ProcessTimings, TaskProcess } from './process';
import type { TaskResult } from './taskResult';

/** One step of the pipeline. */
export interface StepSpec {
  /** `HelmSafeDeploy@1`. */
  readonly task: string;
  /** The name by which outputs are read, unique in the job. The default is made from the task's name. */
  readonly name?: string;
  readonly displayName?: string;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: succeeded(). */
  readonly condition?: string;
  readonly continueOnError?: boolean;
  readonly timeoutInMinutes?: number;
  /** For tests. It wins over timeoutInMinutes. */
  readonly timeoutMs?: number;
  readonly retryCountOnTaskFailure?: number;
  /** `target:` of the step: restrictions in addition to those of task.json. */
  readonly target?: { readonly commands?: 'any' | 'restricted'; readonly settableVariables?: readonly string[] };
}

export interface AgentTimings extends ProcessTimings {
  /** The time from `task.complete ...;done=true` until the agent goes on without the process. */
  readonly doneGraceMs: number;
  /** The pause after the given attempt (0 is the first) and before the next one. */
  readonly retryDelayMs: (attempt: number) => number;
}

/** The parts of the agent and the job that a step needs. */
export interface StepHost {
  readonly nodes: Readonly<Partial<Record<'20' | '24', string>>>;
  readonly useNode24: boolean;
  readonly agentEnvironment: Readonly<Record<string, string>>;
  readonly timings: AgentTimings;
  readonly sourcesFolder: string;
  readonly secureFiles: readonly SecureFile[];
  readonly isContainer: boolean;
  /** Rejects with AgentLost when the agent dies. */
  readonly lost: Promise<never>;
  jobStatus(): TaskResult;
  isJobCanceled(): boolean;
  processStarted(process: TaskProcess): void;
}

/** The agent has died, so nothing more happens in its name. */
export class AgentLost extends Error {}
/** The step's own time is over, or the job was stopped. */
export class StepAborted extends Error {}

/** The pipeline cannot run as it is written. The server would have refused it before the run. */
export class PipelineRefused extends Error {}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
