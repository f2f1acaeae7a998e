import type { Endpoint } from './endpoint';
import { lineKind } from './log';
import type { AgentLogLine } from './log';
import type { SecretMasker } from './masking';
import type { GrowingStepRun, Issue, TimelineRecord } from './records';
import type { Restrictions, Stage, TaskDefinition } from './taskDefinition';
import type { TaskResult } from './taskResult';
import type { Variables } from './variables';

/** The state that the steps of a job share. */
export interface JobContext {
  readonly masker: SecretMasker;
  readonly variables: Variables;
  readonly endpoints: readonly Endpoint[];
  readonly prependPath: string[];
  /** Rows that the steps of the job have created. A later stage may update them. */
  readonly timeline: Map<string, TimelineRecord>;
  append(step: string, stage: AgentLogLine['stage'], text: string): AgentLogLine;
}

/** One stage of one step while it runs. */
export interface StepContext {
  readonly job: JobContext;
  readonly task: TaskDefinition;
  readonly restrictions: readonly Restrictions[];
  readonly taskVariables: Variables;
  readonly record: GrowingStepRun;
  /** Called when the task sends done=true. */
  onDone: () => void;
  result: TaskResult | undefined;
  /** The result of commands that could not be executed. It is merged at the end of the step. */
  commandResult: TaskResult | undefined;
  isInGroup: boolean;
}

const keptIssues = 10;

export function newStepRecord(name: string, displayName: string, task: TaskDefinition, stage: Stage): GrowingStepRun {
  return {
    name,
    displayName,
    task: `${task.name}@${task.version.major}`,
    stage,
    result: 'Succeeded',
    message: '',
    startedAt: new Date(),
    durationMs: 0,
    processes: [],
    issues: [],
    errorCount: 0,
    warningCount: 0,
    log: [],
    raw: [],
    outputs: {},
    variablesSet: [],
    taskVariablesSet: [],
    attachments: [],
    summaries: [],
    timeline: [],
    progress: [],
    prependedPaths: [],
    secretsSet: [],
    violations: [],
  };
}

/** Writes to the step's log. Only the first line of a longer text gets the tag. */
export function writeLog(step: StepContext, text: string): void {
  const { record, job } = step;
  for (const line of job.masker.mask(text).split(/\r\n|\r|\n/)) {
    record.log.push(job.append(record.displayName, record.stage, line));
  }
}

/** Plain output of the task, formatting tags included. */
export function writeOutput(step: StepContext, line: string): void {
  const kind = lineKind(line);
  if (kind === 'output' && line.startsWith('##[')) violation(step, line, 'The run page knows no such formatting tag.');
  if (kind === 'group' && step.isInGroup) violation(step, line, 'A group inside a group: the run page cannot show it.');
  if (kind === 'endgroup' && !step.isInGroup) violation(step, line, 'The end of a group that was not begun.');
  if (kind === 'group' || kind === 'endgroup') step.isInGroup = kind === 'group';
  writeLog(step, line);
}

export function writeDebug(step: StepContext, text: string): void {
  if (step.job.variables.get('system.debug')?.toLowerCase() === 'true') writeLog(step, `##[debug]${text}`);
}

/**
 * Adds an error or a warning to the step: always as a line, and as an issue if it is among the first ten of its type.
 */
export function addIssue(step: StepContext, type: Issue['type'], message: string, data: Issue['data'] = {}): void {
  const { record, job } = step;
  if (message !== '') writeLog(step, `##[${type}]${message}`);
  const count = type === 'error' ? record.errorCount : record.warningCount;
  if (count < keptIssues) record.issues.push({ type, message: job.masker.mask(message), data });
  if (type === 'error') record.errorCount += 1;
  else record.warningCount += 1;
}

export function violation(step: StepContext, line: string, message: string): void {
  const { record, job } = step;
  record.violations.push({ step: record.displayName, stage: record.stage, line: job.masker.mask(line), message });
}
