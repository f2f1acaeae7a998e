import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { taskEnvironment } from './environment';
import { evaluateCondition } from './condition';
import { processLine } from './commands';
import { systemConnectionId } from './endpoint';
import { resolveInputs } from './inputs';
import type { ResolvedInputs, SecureFile } from './inputs';
import { startTaskProcess } from './process';
import type { ProcessEnd, ProcessTimings, TaskProcess } from './process';
import type { ProcessRun } from './records';
import { addIssue, writeDebug, writeLog, writeOutput } from './stepContext';
import type { StepContext } from './stepContext';
import { preferredHandler } from './taskDefinition';
import type { Handler } from './taskDefinition';
import { worstResult } from './taskResult';
import type { TaskResult } from './taskResult';
import { expandMacros } from './variables';

/** One step of the pipeline. */
export interface StepSpec {
  /** `HelmSafeDeploy@1`. */
  readonly task: string;
  /** By which outputs are read; unique in the job. Made from the task's name unless given. */
  readonly name?: string;
  readonly displayName?: string;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: succeeded(). */
  readonly condition?: string;
  readonly continueOnError?: boolean;
  readonly timeoutInMinutes?: number;
  /** For tests: wins over timeoutInMinutes. */
  readonly timeoutMs?: number;
  readonly retryCountOnTaskFailure?: number;
  /** `target:` of the step: restrictions on top of those of task.json. */
  readonly target?: { readonly commands?: 'any' | 'restricted'; readonly settableVariables?: readonly string[] };
}

export interface AgentTimings extends ProcessTimings {
  /** From `task.complete ...;done=true` to going on without the process. */
  readonly doneGraceMs: number;
  /** Before the attempt after the given one (0 is the first). */
  readonly retryDelayMs: (attempt: number) => number;
}

/** What a step needs of its agent and its job. */
export interface StepHost {
  readonly nodes: Readonly<Partial<Record<'20' | '24', string>>>;
  readonly useNode24: boolean;
  readonly agentEnvironment: Readonly<Record<string, string>>;
  readonly timings: AgentTimings;
  readonly sourcesFolder: string;
  readonly secureFiles: readonly SecureFile[];
  /** Rejects with AgentLost when the agent dies. */
  readonly lost: Promise<never>;
  jobStatus(): TaskResult;
  isJobCanceled(): boolean;
  processStarted(process: TaskProcess): void;
}

export class AgentLost extends Error {}
class StepAborted extends Error {}

const retryLimit = 10;

/** Evaluates the step's condition and runs one stage of it; sets `step.record`. */
export async function runStep(
  step: StepContext,
  spec: StepSpec,
  host: StepHost,
  abort: AbortController,
): Promise<void> {
  const { record, job } = step;
  const startedAt = performance.now();
  record.startedAt = new Date();
  job.variables.recalculate();
  try {
    if (!mayRun(step, spec, host)) return;
    writeLog(step, `##[section]Starting: ${record.displayName}`);
    await runWithTimeout(step, spec, host, abort);
    if (step.commandResult !== undefined) step.result = worstResult(step.result, step.commandResult);
    if (step.result === 'Failed' && spec.continueOnError === true) step.result = 'SucceededWithIssues';
    writeLog(step, `##[section]Finishing: ${record.displayName}`);
  } finally {
    record.result = step.result ?? 'Succeeded';
    record.durationMs = performance.now() - startedAt;
  }
}

/** Whether the step's condition holds; without one it runs unless an earlier step failed. Post-job always runs. */
export function conditionHolds(step: StepContext, spec: StepSpec, host: StepHost): boolean {
  if (step.record.stage === 'post-job') return true;
  return evaluateCondition(spec.condition ?? 'succeeded()', {
    jobStatus: host.jobStatus(),
    variable: (name) => step.job.variables.get(name),
  });
}

function mayRun(step: StepContext, spec: StepSpec, host: StepHost): boolean {
  try {
    if (conditionHolds(step, spec, host)) return true;
    writeOutput(step, 'Skipping step due to condition evaluation.');
    step.result = 'Skipped';
  } catch (error) {
    addIssue(step, 'error', messageOf(error));
    step.result = 'Failed';
  }
  return false;
}

async function runWithTimeout(
  step: StepContext,
  spec: StepSpec,
  host: StepHost,
  abort: AbortController,
): Promise<void> {
  const minutes = spec.timeoutInMinutes ?? 0;
  const timeoutMs = spec.timeoutMs ?? (minutes > 0 ? minutes * 60_000 : undefined);
  const abortStep = (): void => {
    abort.abort();
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(abortStep, timeoutMs);
  try {
    await runTask(step, spec, host, abort.signal);
  } catch (error) {
    failStep(step, host, error);
  } finally {
    clearTimeout(timer);
  }
}

function failStep(step: StepContext, host: StepHost, error: unknown): void {
  if (error instanceof AgentLost || error instanceof PipelineRefused) throw error;
  if (!(error instanceof StepAborted)) {
    addIssue(step, 'error', messageOf(error));
    step.result = 'Failed';
    return;
  }
  const isCanceled = host.isJobCanceled();
  addIssue(step, 'error', isCanceled ? 'The operation was canceled.' : 'The task has timed out.');
  step.result = isCanceled ? 'Canceled' : 'Failed';
}

/** The pipeline cannot run as it is written: the server would have said so before the run. */
export class PipelineRefused extends Error {}

async function runTask(step: StepContext, spec: StepSpec, host: StepHost, signal: AbortSignal): Promise<void> {
  printMetadata(step);
  const handler = preferredHandler(step.task, step.record.stage);
  if (handler === undefined) throw new Error(`${step.task.name} has no handler that this agent knows.`);
  const inputs = inputsOf(step, spec, host);
  if (isForkWithoutSecrets(step) && inputs.endpoints.length + inputs.secureFileIds.length > 0) {
    step.result = 'Skipped';
    return;
  }
  const retries = Math.min(spec.retryCountOnTaskFailure ?? 0, retryLimit);
  for (let attempt = 0; ; attempt += 1) {
    if (await isOver(attempt < retries)) return;
    await pause(host, host.timings.retryDelayMs(attempt), signal);
  }

  async function isOver(mayRetry: boolean): Promise<boolean> {
    try {
      await runAttempt(step, spec, host, { handler: handler as Handler, inputs, signal });
      if (step.result !== 'Failed' || !mayRetry) return true;
      step.result = undefined;
    } catch (error) {
      if (error instanceof AgentLost || error instanceof StepAborted || !mayRetry) throw error;
      writeLog(step, `##[warning]${messageOf(error)}`);
    }
    addIssue(step, 'warning', 'The task has failed and is tried again.');
    return false;
  }
}

function inputsOf(step: StepContext, spec: StepSpec, host: StepHost): ResolvedInputs {
  const { job, task } = step;
  const { agentEnvironment, sourcesFolder } = host;
  try {
    const scope = { variables: job.variables, agentEnvironment, endpoints: job.endpoints, sourcesFolder };
    return resolveInputs(task, spec.inputs ?? {}, scope);
  } catch (error) {
    throw new PipelineRefused(messageOf(error), { cause: error });
  }
}

function isForkWithoutSecrets({ job }: StepContext): boolean {
  const isTrue = (name: string): boolean => job.variables.get(name)?.toLowerCase() === 'true';
  return isTrue('system.restrictSecrets') && isTrue('system.pullRequest.isFork');
}

async function pause(host: StepHost, milliseconds: number, signal: AbortSignal): Promise<void> {
  const aborted = delay(milliseconds, undefined, { signal }).catch(() => {
    throw new StepAborted();
  });
  await Promise.race([aborted, host.lost]);
}

interface Attempt {
  readonly handler: Handler;
  readonly inputs: ResolvedInputs;
  readonly signal: AbortSignal;
}

async function runAttempt(step: StepContext, spec: StepSpec, host: StepHost, attempt: Attempt): Promise<void> {
  const start = processStart(step, spec, host, attempt);
  writeDebug(step, `Using node path: ${start.node}`);
  const startedAt = new Date();
  const begun = performance.now();
  const child = await startTaskProcess(start);
  host.processStarted(child);
  const ended = await outcomeOf(step, host, child, attempt.signal);
  const end = ended === 'agent lost' || ended === 'left running' ? undefined : ended;
  const run: ProcessRun = {
    pid: child.pid,
    handler: attempt.handler.key,
    node: start.node,
    script: start.script,
    workingFolder: start.workingFolder,
    environment: start.environment,
    startedAt,
    durationMs: performance.now() - begun,
    exitCode: end === undefined ? undefined : end.exitCode,
    signal: end?.signal ?? null,
    signalsSent: child.signalsSent,
    stdioHeld: end?.stdioHeld ?? false,
    end: typeof ended === 'string' ? ended : 'ended',
  };
  step.record.processes.push(run);
  if (ended === 'agent lost') throw new AgentLost();
  if (end === undefined) return;
  if (attempt.signal.aborted) throw new StepAborted();
  refuseExitCode(step, end, start);
}

function processStart(
  step: StepContext,
  spec: StepSpec,
  host: StepHost,
  { handler, inputs }: Attempt,
): Parameters<typeof startTaskProcess>[0] {
  const { job, task, taskVariables } = step;
  const expand = (text: string): string =>
    expandMacros(job.variables.expand(text.trim()), (name) => host.agentEnvironment[name]);
  const stepEnvironment = Object.fromEntries(
    Object.entries(spec.env ?? {}).map(([key, value]) => [key.trim(), expand(value)]),
  );
  const system = job.endpoints.filter(({ id }) => id === systemConnectionId);
  const environment = taskEnvironment({
    agentEnvironment: host.agentEnvironment,
    stepEnvironment,
    variables: job.variables,
    taskVariables,
    inputs: inputs.values,
    endpoints: [...new Set([...inputs.endpoints, ...system])],
    secureFiles: host.secureFiles.filter(({ id }) => inputs.secureFileIds.includes(id)),
    prependPath: job.prependPath,
  });
  return {
    node: nodeFor(handler, step, host),
    script: path.join(task.folder, handler.target),
    workingFolder:
      expand(handler.workingDirectory) || job.variables.get('system.defaultWorkingDirectory') || host.sourcesFolder,
    environment,
    timings: timingsFor(step, host),
    onLine: (stream, line) => {
      step.record.raw.push({ at: new Date(), stream, line });
      processLine(step, line);
    },
  };
}

// A Node24 handler runs on Node 20 unless the agent is told to take handler data at its word.
function nodeFor(handler: Handler, step: StepContext, host: StepHost): string {
  const knob = 'AGENT_USE_NODE24_WITH_HANDLER_DATA';
  const isOn =
    host.useNode24 || (step.job.variables.get(knob) ?? host.agentEnvironment[knob])?.toLowerCase() === 'true';
  const version = handler.key === 'Node24' && isOn ? '24' : '20';
  const node = host.nodes[version];
  if (node === undefined)
    throw new PipelineRefused(`This agent was given no Node ${version} for the handler ${handler.key}.`);
  return node;
}

function timingsFor(step: StepContext, host: StepHost): ProcessTimings {
  const knob = (name: string, otherwise: number): number => {
    const value = Number.parseInt(step.job.variables.get(name) ?? host.agentEnvironment[name] ?? '', 10);
    return Number.isNaN(value) ? otherwise : value;
  };
  return {
    sigintMs: knob('PROCESS_SIGINT_TIMEOUT', host.timings.sigintMs),
    sigtermMs: knob('PROCESS_SIGTERM_TIMEOUT', host.timings.sigtermMs),
    stdioGraceMs: host.timings.stdioGraceMs,
  };
}

type Ended = ProcessEnd | 'left running' | 'agent lost';

async function outcomeOf(step: StepContext, host: StepHost, child: TaskProcess, signal: AbortSignal): Promise<Ended> {
  let doneTimer: NodeJS.Timeout | undefined;
  const leftRunning = new Promise<'left running'>((resolve) => {
    step.onDone = () => {
      doneTimer ??= setTimeout(() => {
        resolve('left running');
      }, host.timings.doneGraceMs);
    };
  });
  const cancel = (): void => {
    void child.cancel();
  };
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    const ended = await Promise.race([child.finished, leftRunning, host.lost]);
    if (ended === 'left running') {
      child.ignoreOutput();
      writeDebug(step, 'The task said that it is done, but its process goes on: it is left alone.');
    }
    return ended;
  } catch (error) {
    if (error instanceof AgentLost) return 'agent lost';
    throw error;
  } finally {
    clearTimeout(doneTimer);
    signal.removeEventListener('abort', cancel);
  }
}

const signalNumbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

function refuseExitCode(
  step: StepContext,
  { exitCode, signal }: ProcessEnd,
  start: { node: string; script: string },
): void {
  const code = exitCode ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0));
  if (code === 0) return;
  if (code === 137) addIssue(step, 'error', 'The process was killed (exit code 137): the host may be out of memory.');
  throw new Error(`Exit code ${code} returned from process: file name '${start.node}', arguments '"${start.script}"'.`);
}

function printMetadata(step: StepContext): void {
  const { task } = step;
  const { major, minor, patch } = task.version;
  const rule = '='.repeat(78);
  const rows = {
    Task: task.friendlyName,
    Description: task.description,
    Version: `${major}.${minor}.${patch}`,
    Author: task.author,
    Help: task.help,
  };
  writeLog(step, rule);
  for (const [label, value] of Object.entries(rows)) writeLog(step, `${label.padEnd(13)}: ${value}`);
  writeLog(step, rule);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
