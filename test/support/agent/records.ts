import type { AgentLogLine } from './log';
import type { SentSignal, StreamName } from './process';
import type { Stage } from './taskDefinition';
import type { TaskResult } from './taskResult';

export interface Issue {
  readonly type: 'error' | 'warning';
  readonly message: string;
  /** Properties of the command: code, sourcepath, linenumber and so on. Empty for an issue of the agent itself. */
  readonly data: Readonly<Record<string, string>>;
}

export interface SetVariable {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
  readonly output: boolean;
  readonly readOnly: boolean;
}

/** A file that a step handed over. The content is what was on disk when the command was read. */
export interface Attachment {
  readonly type: string;
  readonly name: string;
  readonly file: string;
  readonly content: Buffer;
}

export interface TimelineRecord {
  readonly id: string;
  readonly parentId?: string;
  readonly name?: string;
  readonly type?: string;
  readonly order?: number;
  readonly percentComplete?: number;
  readonly currentOperation?: string;
  readonly startTime?: Date;
  readonly finishTime?: Date;
  readonly state?: 'Pending' | 'InProgress' | 'Completed';
  readonly result?: TaskResult;
}

export interface Progress {
  readonly percent: number;
  readonly currentOperation: string;
}

/** Commands that the agent would not understand, refuse or ignore. */
export interface Violation {
  readonly step: string;
  readonly stage: Stage;
  readonly line: string;
  readonly message: string;
}

export interface RawLine {
  readonly at: Date;
  readonly stream: StreamName;
  /** The line as the process wrote it, without masking. */
  readonly line: string;
}

/** One process of a step. A retried step has several. */
export interface ProcessRun {
  readonly pid: number;
  readonly handler: string;
  readonly node: string;
  readonly script: string;
  readonly workingFolder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly startedAt: Date;
  readonly durationMs: number;
  /** Undefined if the agent went on without the process (done=true) or was lost. */
  readonly exitCode: number | null | undefined;
  readonly signal: NodeJS.Signals | null;
  readonly signalsSent: readonly SentSignal[];
  readonly stdioHeld: boolean;
  readonly end: 'ended' | 'left running' | 'agent lost';
}

/** One stage of a step as on the run page. */
export interface StepRun {
  /** The name by which other steps and jobs read its outputs. */
  readonly name: string;
  readonly displayName: string;
  readonly task: string;
  readonly stage: Stage;
  readonly result: TaskResult;
  /** The text of the last `task.complete`. */
  readonly message: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly processes: readonly ProcessRun[];
  /** The first ten errors and the first ten warnings. */
  readonly issues: readonly Issue[];
  readonly errorCount: number;
  readonly warningCount: number;
  readonly log: readonly AgentLogLine[];
  readonly raw: readonly RawLine[];
  /** The outputs without the step's name as a prefix. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly variablesSet: readonly SetVariable[];
  readonly taskVariablesSet: readonly SetVariable[];
  readonly attachments: readonly Attachment[];
  /** Markdown of each `task.uploadsummary`. */
  readonly summaries: readonly string[];
  readonly timeline: readonly TimelineRecord[];
  readonly progress: readonly Progress[];
  readonly prependedPaths: readonly string[];
  readonly secretsSet: readonly string[];
  readonly violations: readonly Violation[];
}

/** A step's record while it grows. */
export type GrowingStepRun = { -readonly [Key in keyof StepRun]: Growing<StepRun[Key]> };
type Growing<Value> = Value extends readonly (infer Item)[]
  ? Item[]
  : Value extends Readonly<Record<string, string>>
    ? Record<string, string>
    : Value;
