import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isSecretAuthorizationParameter, createSecretMasker } from './masking';
import { systemConnection, toEndpoint } from './endpoint';
import type { Endpoint, ServiceConnection } from './endpoint';
import { findTask } from './extension';
import type { Extension } from './extension';
import { jobIdentity, systemVariables } from './identity';
import type { AgentFolders, JobIdentity } from './identity';
import type { SecureFile } from './inputs';
import { lineKind } from './log';
import type { AgentLogLine } from './log';
import { killOrphans, lookupVariable, processesMarked, runningProcesses } from './orphans';
import type { FoundProcess } from './orphans';
import type { TaskProcess } from './process';
import type { Issue, StepRun, Violation } from './records';
import { AgentLost, conditionHolds, runStep } from './step';
import type { StepHost, StepSpec } from './step';
import { addIssue, newStepRecord } from './stepContext';
import type { JobContext, StepContext } from './stepContext';
import type { Restrictions, Stage, TaskDefinition } from './taskDefinition';
import { worstResult } from './taskResult';
import type { TaskResult } from './taskResult';
import { createVariables } from './variables';
import type { Variables } from './variables';

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

interface PlannedStep {
  readonly spec: StepSpec;
  readonly task: TaskDefinition;
  readonly id: string;
  readonly name: string;
  readonly taskVariables: Variables;
}

type CancelReason = 'canceled' | 'agent shutdown';

const realCancelTimeoutMs = 6 * 60_000;

/** Runs a job; throws at once if the pipeline names a task that is not there. */
export function startJob(host: JobHost, spec: JobSpec): Job {
  const identity = jobIdentity(spec.identity ?? {});
  const lookupId = `vsts_${randomUUID()}`;
  const startedAt = performance.now();
  const lines: AgentLogLine[] = [];
  const listeners = new Set<(line: AgentLogLine) => void>(host.onLine === undefined ? [] : [host.onLine]);
  const context = createJobContext(host, spec, identity, (line) => {
    lines.push(line);
    for (const listener of [...listeners]) listener(line);
  });
  const planned = planSteps(host.extension, spec, context);
  const stepRuns: StepRun[] = [];
  const processes: TaskProcess[] = [];
  let running: { step: StepContext; spec: StepSpec; abort: AbortController } | undefined;
  let result: TaskResult | undefined;
  let canceled: CancelReason | undefined;
  let cancelTimer: NodeJS.Timeout | undefined;
  let isOver = false;
  let lose: (error: AgentLost) => void = () => undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    lose = reject;
  });
  lost.catch(() => undefined);

  const setResult = (next: TaskResult): void => {
    result = next;
    context.variables.set('agent.jobstatus', next);
  };
  const stepHost: StepHost = {
    ...host.step,
    sourcesFolder: host.folders.sources,
    secureFiles: spec.secureFiles ?? [],
    lost,
    jobStatus: () => result ?? 'Succeeded',
    isJobCanceled: () => canceled !== undefined,
    processStarted: (process) => processes.push(process),
  };

  const stopJob = (reason: CancelReason): void => {
    if (canceled !== undefined || isOver) return;
    canceled = reason;
    setResult('Canceled');
    cancelTimer = setTimeout(loseAgent, spec.cancelTimeoutMs ?? realCancelTimeoutMs);
    if (running === undefined || (reason === 'canceled' && stillHolds(running.step, running.spec))) return;
    addIssue(running.step, 'error', 'The Operation will be canceled. The next steps may not contain expected logs.');
    running.abort.abort();
  };
  const stillHolds = (step: StepContext, stepSpec: StepSpec): boolean => {
    try {
      return conditionHolds(step, stepSpec, stepHost);
    } catch {
      return false;
    }
  };
  const loseAgent = (): void => {
    if (isOver) return;
    isOver = true;
    for (const process of processes) process.release();
    lose(new AgentLost('The agent was lost.'));
  };

  const runStage = async (step: PlannedStep, stage: Stage): Promise<void> => {
    if (step.task.handlers[stage].length === 0) return;
    const prefix = { 'pre-job': 'Pre-job: ', main: '', 'post-job': 'Post-job: ' }[stage];
    const record = newStepRecord(step.name, prefix + (step.spec.displayName ?? step.task.name), step.task, stage);
    const stepContext: StepContext = {
      job: context,
      task: step.task,
      restrictions: restrictionsOf(step),
      taskVariables: step.taskVariables,
      record,
      onDone: () => undefined,
      result: undefined,
      commandResult: undefined,
      isInGroup: false,
    };
    stepRuns.push(record);
    if (canceled === 'agent shutdown') {
      record.result = 'Skipped';
      return;
    }
    setTaskScope(context.variables, step, record.displayName);
    running = { step: stepContext, spec: step.spec, abort: new AbortController() };
    try {
      await runStep(stepContext, step.spec, stepHost, running.abort);
    } catch (error) {
      if (error instanceof AgentLost) record.result = 'Abandoned';
      throw error;
    } finally {
      running = undefined;
    }
    if (record.result === 'SucceededWithIssues' || record.result === 'Failed')
      setResult(worstResult(result, record.result));
  };

  const runSteps = async (): Promise<FoundProcess[]> => {
    prepareFolders(host.folders);
    agentLine('Initialize job', '##[section]Starting: Initialize job');
    const isTracking = context.variables.get('process.clean')?.toLowerCase() !== 'false';
    if (isTracking) context.variables.set(lookupVariable, lookupId);
    const before = runningProcesses();
    if (isTracking) agentLine('Initialize job', 'Start tracking orphan processes.');
    agentLine('Initialize job', '##[section]Finishing: Initialize job');
    try {
      for (const step of planned) await runStage(step, 'pre-job');
      for (const step of planned) await runStage(step, 'main');
      for (const step of [...planned].reverse()) await runStage(step, 'post-job');
    } catch (error) {
      if (!(error instanceof AgentLost)) finalize(before, isTracking);
      throw error;
    }
    return finalize(before, isTracking);
  };
  const finalize = (before: readonly FoundProcess[], isTracking: boolean): FoundProcess[] => {
    agentLine('Finalize Job', '##[section]Starting: Finalize Job');
    const orphans = isTracking ? killOrphans(lookupId, before) : [];
    for (const { pid, name } of orphans) agentLine('Finalize Job', `Terminate orphan process: pid (${pid}) (${name})`);
    agentLine('Finalize Job', '##[section]Finishing: Finalize Job');
    empty(host.folders.temp);
    return orphans;
  };
  const agentLine = (name: string, text: string): void => {
    context.append(name, 'agent', text);
  };

  const run = async (): Promise<JobResult> => {
    const timer = spec.timeoutMs === undefined ? undefined : setTimeout(stopJob, spec.timeoutMs, 'canceled');
    let orphans: FoundProcess[] = [];
    setResult('Succeeded');
    try {
      orphans = await Promise.race([runSteps(), lost]);
    } catch (error) {
      if (!(error instanceof AgentLost)) throw error;
      result = 'Abandoned';
    } finally {
      isOver = true;
      clearTimeout(timer);
      clearTimeout(cancelTimer);
      for (const process of processes) process.release();
    }
    const durationMs = performance.now() - startedAt;
    return jobResult({
      result: result ?? 'Succeeded',
      identity,
      lookupId,
      steps: stepRuns,
      log: lines,
      orphans,
      durationMs,
    });
  };
  const done = run().then((jobResult) => {
    if (jobResult.violations.length > 0 && spec.allowViolations !== true) throw new AgentViolationError(jobResult);
    return jobResult;
  });
  // A test may look at the log first and at the result later.
  done.catch(() => undefined);

  const currentProcess = (): TaskProcess | undefined => (running === undefined ? undefined : processes.at(-1));
  return {
    done,
    lookupId,
    identity,
    lines,
    cancel: () => {
      stopJob('canceled');
    },
    shutDownAgent: () => {
      stopJob('agent shutdown');
    },
    loseAgent,
    kill: (signal) => currentProcess()?.kill(signal) ?? false,
    pid: () => currentProcess()?.pid,
    waitForLine: (pattern, timeoutMs = 60_000) => waitForLine({ lines, listeners, done }, pattern, timeoutMs),
    processes: () => processesMarked(lookupId),
  };
}

function createJobContext(
  host: JobHost,
  spec: JobSpec,
  identity: JobIdentity,
  onLine: (line: AgentLogLine) => void,
): JobContext {
  const masker = createSecretMasker();
  const variables = createVariables(masker);
  for (const [name, value] of Object.entries(spec.variables ?? {})) variables.set(name, value);
  for (const [name, value] of Object.entries(spec.secrets ?? {})) {
    masker.addSecretVariable(value);
    variables.set(name, value, { secret: true });
  }
  for (const [name, value] of Object.entries(systemVariables(identity, host.folders, host))) {
    variables.set(name, value, { readOnly: true });
  }
  masker.addSecretVariable(identity.accessToken);
  variables.set('system.accessToken', identity.accessToken, { secret: true, readOnly: true });
  variables.set('agent.jobstatus', 'Succeeded', { readOnly: true });
  variables.recalculate();
  const endpoints = (spec.endpoints ?? []).map(toEndpoint);
  endpoints.push(systemConnection(identity.collectionUri, identity.accessToken));
  maskEndpoints(endpoints, masker.add);
  for (const { ticket } of spec.secureFiles ?? []) masker.add(ticket);
  let number = 0;
  const append = (step: string, stage: AgentLogLine['stage'], text: string): AgentLogLine => {
    number += 1;
    const line = { number, at: new Date(), step, stage, kind: lineKind(text), text };
    onLine(line);
    return line;
  };
  return { masker, variables, endpoints, prependPath: [...(spec.prependPath ?? [])], timeline: new Map(), append };
}

function maskEndpoints(endpoints: readonly Endpoint[], add: (value: string) => void): void {
  for (const { auth } of endpoints) {
    for (const [name, value] of Object.entries(auth)) if (isSecretAuthorizationParameter(name)) add(value);
  }
}

function planSteps(extension: Extension, spec: JobSpec, context: JobContext): PlannedStep[] {
  const names = new Set<string>();
  return spec.steps.map((step, index) => {
    const task = findTask(extension, step.task);
    const name = step.name ?? (names.has(task.name) ? `${task.name}${index}` : task.name);
    if (names.has(name)) throw new Error(`Two steps of the job have the name ${name}.`);
    names.add(name);
    return { spec: step, task, id: randomUUID(), name, taskVariables: createVariables(context.masker) };
  });
}

function restrictionsOf({ spec, task }: PlannedStep): Restrictions[] {
  const { target } = spec;
  if (target === undefined) return [task.restrictions];
  return [task.restrictions, { commandsMode: target.commands ?? 'any', settableVariables: target.settableVariables }];
}

function setTaskScope(variables: Variables, { id, task }: PlannedStep, displayName: string): void {
  const scope = {
    'task.displayName': displayName,
    'task.publishTelemetry': 'False',
    'system.taskDisplayName': displayName,
    'system.taskInstanceId': id,
    'system.taskInstanceName': task.name,
  };
  for (const [name, value] of Object.entries(scope)) variables.set(name, value, { readOnly: true });
}

function prepareFolders(folders: AgentFolders): void {
  empty(folders.temp);
  for (const folder of Object.values(folders) as string[]) fs.mkdirSync(folder, { recursive: true });
}

function empty(folder: string): void {
  if (!fs.existsSync(folder)) return;
  for (const entry of fs.readdirSync(folder)) fs.rmSync(path.join(folder, entry), { recursive: true, force: true });
}

function jobResult(parts: Omit<JobResult, 'issues' | 'outputs' | 'secretOutputs' | 'violations' | 'step'>): JobResult {
  const { steps } = parts;
  const outputs: Record<string, string> = {};
  const secretOutputs: string[] = [];
  for (const step of steps) {
    for (const { name, value, output, secret } of step.variablesSet) {
      if (!output) continue;
      outputs[`${step.name}.${name}`] = value;
      if (secret) secretOutputs.push(`${step.name}.${name}`);
    }
  }
  return {
    ...parts,
    issues: steps.flatMap(({ issues }) => issues),
    outputs,
    secretOutputs,
    violations: steps.flatMap(({ violations }) => violations),
    step: (name, stage = 'main') => {
      const found = steps.find((step) => step.name === name && step.stage === stage);
      if (found === undefined) throw new Error(`The job ran no ${stage} stage of a step "${name}".`);
      return found;
    },
  };
}

interface Watched {
  readonly lines: readonly AgentLogLine[];
  readonly listeners: Set<(line: AgentLogLine) => void>;
  readonly done: Promise<unknown>;
}

async function waitForLine(
  { lines, listeners, done }: Watched,
  pattern: RegExp,
  timeoutMs: number,
): Promise<AgentLogLine> {
  const matches = (line: AgentLogLine): boolean => line.text.search(pattern) >= 0;
  const seen = lines.find(matches);
  if (seen !== undefined) return seen;
  return new Promise((resolve, reject) => {
    const listener = (line: AgentLogLine): void => {
      if (!matches(line)) return;
      stop();
      resolve(line);
    };
    const giveUp = (why: string): void => {
      stop();
      const tail = lines.slice(-20).map(({ text }) => `  ${text}`);
      reject(new Error(`${why} without a line like ${String(pattern)}. The last lines:\n${tail.join('\n')}`));
    };
    const timer = setTimeout(giveUp, timeoutMs, `${timeoutMs} ms have passed`);
    const stop = (): void => {
      clearTimeout(timer);
      listeners.delete(listener);
    };
    const ended = (): void => {
      giveUp('The job has ended');
    };
    listeners.add(listener);
    done.then(ended, ended);
  });
}
