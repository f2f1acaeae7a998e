import { setTimeout as delay } from 'node:timers/promises';
import { runAttempt } from './attempt';
import type { Attempt } from './attempt';
import { evaluateCondition } from './condition';
import { resolveInputs } from './inputs';
import type { ResolvedInputs } from './inputs';
import { addIssue, writeLog, writeOutput } from './stepContext';
import type { StepContext } from './stepContext';
import { AgentLost, messageOf, PipelineRefused, StepAborted } from './stepHost';
import type { StepHost, StepSpec } from './stepHost';
import { preferredHandler } from './taskDefinition';
import { worstResult } from './taskResult';

const retryLimit = 10;

/** Evaluates the step's condition, runs one stage of the step and sets `step.record`. */
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

/**
 * Returns true if the step's condition holds. Without a condition it runs unless an earlier step failed. Post-job
 * always runs.
 */
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
  const attempt = { handler, inputs, signal };
  for (let tried = 0; ; tried += 1) {
    if (await isOverAfterAttempt(step, spec, host, attempt, tried < retries)) return;
    await pause(host, host.timings.retryDelayMs(tried), signal);
  }
}

async function isOverAfterAttempt(
  step: StepContext,
  spec: StepSpec,
  host: StepHost,
  attempt: Attempt,
  mayRetry: boolean,
): Promise<boolean> {
  try {
    await runAttempt(step, spec, host, attempt);
    if (step.result !== 'Failed' || !mayRetry) return true;
    // A retry clears only a failure that the task itself reported. After a failing exit code the earlier reports stay.
    step.result = undefined;
    addIssue(step, 'warning', 'The task has failed and is tried again.');
  } catch (error) {
    if (error instanceof AgentLost || error instanceof StepAborted || !mayRetry) throw error;
    addIssue(step, 'warning', `The task has failed and is tried again: ${messageOf(error)}`);
  }
  return false;
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
