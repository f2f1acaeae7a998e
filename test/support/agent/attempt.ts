import path from 'node:path';
import { processLine } from './commands';
import { systemConnectionId } from './endpoint';
import { taskEnvironment } from './environment';
import type { ResolvedInputs } from './inputs';
import { startTaskProcess } from './process';
import type { ProcessEnd, ProcessStart, ProcessTimings, TaskProcess } from './process';
import type { ProcessRun } from './records';
import { addIssue, writeDebug } from './stepContext';
import type { StepContext } from './stepContext';
import { AgentLost, PipelineRefused, StepAborted } from './stepHost';
import type { StepHost, StepSpec } from './stepHost';
import type { Handler } from './taskDefinition';
import { expandMacros } from './variables';

/** Everything that one start of a task's process needs. */
export interface Attempt {
  readonly handler: Handler;
  readonly inputs: ResolvedInputs;
  readonly signal: AbortSignal;
}

/** Starts the task's process once and follows it to its end. Throws if that end fails or aborts the step. */
export async function runAttempt(step: StepContext, spec: StepSpec, host: StepHost, attempt: Attempt): Promise<void> {
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
  if (attempt.signal.aborted) throw new StepAborted();
  if (end === undefined) return;
  refuseExitCode(step, end, start);
}

function processStart(step: StepContext, spec: StepSpec, host: StepHost, { handler, inputs }: Attempt): ProcessStart {
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

// A Node24 handler runs on Node 20 unless the agent is set to use the handler data.
function nodeFor(handler: Handler, step: StepContext, host: StepHost): string {
  const knob = 'AGENT_USE_NODE24_WITH_HANDLER_DATA';
  const isOn =
    host.useNode24 || (step.job.variables.get(knob) ?? host.agentEnvironment[knob])?.toLowerCase() === 'true';
  const version = handler.key === 'Node24' && isOn ? '24' : '20';
  const node = host.nodes[version];
  if (node !== undefined) return node;
  throw new PipelineRefused(`This agent was given no Node ${version} for the handler ${handler.key}.`);
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
  let leave = (): void => undefined;
  const leftRunning = new Promise<'left running'>((resolve) => {
    leave = () => {
      resolve('left running');
    };
    step.onDone = () => {
      doneTimer ??= setTimeout(leave, host.timings.doneGraceMs);
    };
  });
  const cancel = (): void => {
    // Docker's client receives the signal and passes nothing on.
    if (host.isContainer) leave();
    else void child.cancel();
  };
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    const ended = await Promise.race([child.finished, leftRunning, host.lost]);
    if (ended === 'left running') {
      child.ignoreOutput();
      writeDebug(
        step,
        'The task said that it is done, or nobody can tell it to end, but its process goes on: it is left alone.',
      );
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
