import { randomUUID } from 'node:crypto';
import { empty, prepareFolders } from './folders';
import { jobIdentity } from './identity';
import type { JobIdentity } from './identity';
import type { JobHost, JobResult, JobSpec } from './job';
import { createJobContext, planSteps, restrictionsOf, setTaskScope } from './jobSetup';
import type { PlannedStep } from './jobSetup';
import type { AgentLogLine } from './log';
import { killOrphans, lookupVariable, runningProcesses } from './orphans';
import type { FoundProcess } from './orphans';
import type { TaskProcess } from './process';
import type { StepRun } from './records';
import { conditionHolds, runStep } from './step';
import { AgentLost } from './stepHost';
import type { StepHost, StepSpec } from './stepHost';
import { addIssue, newStepRecord } from './stepContext';
import type { JobContext, StepContext } from './stepContext';
import type { Stage } from './taskDefinition';
import { worstResult } from './taskResult';
import type { TaskResult } from './taskResult';

export type StopReason = 'canceled' | 'agent shutdown';

interface RunningStep {
  readonly step: StepContext;
  readonly spec: StepSpec;
  readonly abort: AbortController;
}

// 5 minutes for the job, and the 60 s after which the agent's listener kills its worker.
const realCancelTimeoutMs = 6 * 60_000;

const stagePrefix: Readonly<Record<Stage, string>> = { 'pre-job': 'Pre-job: ', main: '', 'post-job': 'Post-job: ' };

/** The life of one job on the agent, from Initialize job to Finalize Job, or to the loss of the agent. */
export class JobRun {
  readonly identity: JobIdentity;
  readonly lookupId = `vsts_${randomUUID()}`;
  readonly lines: AgentLogLine[] = [];
  private readonly context: JobContext;
  private readonly planned: readonly PlannedStep[];
  private readonly listeners = new Set<(line: AgentLogLine) => void>();
  private readonly stepRuns: StepRun[] = [];
  private readonly processes: TaskProcess[] = [];
  private readonly lost: Promise<never>;
  private rejectLost: (error: AgentLost) => void = () => undefined;
  private running: RunningStep | undefined;
  private result: TaskResult = 'Succeeded';
  private stopped: StopReason | undefined;
  private cancelTimer: NodeJS.Timeout | undefined;
  private isOver = false;

  constructor(
    private readonly host: JobHost,
    private readonly spec: JobSpec,
  ) {
    this.identity = jobIdentity(spec.identity ?? {});
    if (host.onLine !== undefined) this.listeners.add(host.onLine);
    this.context = createJobContext(host, spec, this.identity, (line) => {
      this.lines.push(line);
      for (const listener of [...this.listeners]) listener(line);
    });
    this.planned = planSteps(host.extension, spec, this.context);
    this.lost = new Promise<never>((_resolve, reject) => {
      this.rejectLost = reject;
    });
    this.lost.catch(() => undefined);
  }

  /** The process of the running stage. */
  currentProcess(): TaskProcess | undefined {
    return this.running === undefined ? undefined : this.processes.at(-1);
  }

  async run(): Promise<JobResult> {
    const startedAt = performance.now();
    const { timeoutMs } = this.spec;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            this.stop('canceled');
          }, timeoutMs);
    let orphans: FoundProcess[] = [];
    try {
      orphans = await this.runStages();
    } catch (error) {
      if (!(error instanceof AgentLost)) throw error;
      this.result = 'Abandoned';
    } finally {
      this.isOver = true;
      clearTimeout(timer);
      clearTimeout(this.cancelTimer);
      for (const process of this.processes) process.release();
    }
    return this.resultOf(orphans, performance.now() - startedAt);
  }

  /** Ends the running step, except on a cancel by the user when the step's condition still holds. */
  stop(reason: StopReason): void {
    if (this.isOver) return;
    const isFirst = this.stopped === undefined;
    // A second stop signals nothing, but after a shutdown no other step begins.
    if (isFirst || reason === 'agent shutdown') this.stopped = reason;
    if (!isFirst) return;
    this.setResult('Canceled');
    this.cancelTimer = setTimeout(() => {
      this.lose();
    }, this.spec.cancelTimeoutMs ?? realCancelTimeoutMs);
    const { running } = this;
    if (running === undefined || (reason === 'canceled' && this.stillHolds(running))) return;
    addIssue(running.step, 'error', 'The Operation will be canceled. The next steps may not contain expected logs.');
    running.abort.abort();
  }

  lose(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const process of this.processes) process.release();
    this.rejectLost(new AgentLost('The agent was lost.'));
  }

  async waitForLine(pattern: RegExp, timeoutMs: number, done: Promise<unknown>): Promise<AgentLogLine> {
    const { lines, listeners } = this;
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

  private async runStages(): Promise<FoundProcess[]> {
    const before = this.initialize();
    try {
      for (const step of this.planned) await this.runStage(step, 'pre-job');
      for (const step of this.planned) await this.runStage(step, 'main');
      for (const step of [...this.planned].reverse()) await this.runStage(step, 'post-job');
    } catch (error) {
      if (!(error instanceof AgentLost)) this.finalize(before);
      throw error;
    }
    return this.finalize(before);
  }

  private initialize(): FoundProcess[] {
    prepareFolders(this.host.folders);
    this.append('Initialize job', '##[section]Starting: Initialize job');
    if (this.tracksOrphans()) {
      this.context.variables.set(lookupVariable, this.lookupId);
      this.append('Initialize job', 'Start tracking orphan processes.');
    }
    this.append('Initialize job', '##[section]Finishing: Initialize job');
    return runningProcesses();
  }

  private finalize(before: readonly FoundProcess[]): FoundProcess[] {
    this.append('Finalize Job', '##[section]Starting: Finalize Job');
    const orphans = this.tracksOrphans() ? killOrphans(this.lookupId, before) : [];
    for (const { pid, name } of orphans)
      this.append('Finalize Job', `Terminate orphan process: pid (${pid}) (${name})`);
    this.append('Finalize Job', '##[section]Finishing: Finalize Job');
    empty(this.host.folders.temp);
    return orphans;
  }

  private tracksOrphans(): boolean {
    return this.context.variables.get('process.clean')?.toLowerCase() !== 'false';
  }

  private append(name: string, text: string): void {
    this.context.append(name, 'agent', text);
  }

  private async runStage(step: PlannedStep, stage: Stage): Promise<void> {
    if (step.task.handlers[stage].length === 0) return;
    if (this.isOver) throw new AgentLost();
    const context = this.stepContext(step, stage);
    const { record } = context;
    this.stepRuns.push(record);
    if (this.stopped === 'agent shutdown') {
      record.result = 'Skipped';
      return;
    }
    setTaskScope(this.context.variables, step, record.displayName);
    this.running = { step: context, spec: step.spec, abort: new AbortController() };
    try {
      await runStep(context, step.spec, this.stepHost(), this.running.abort);
    } catch (error) {
      if (error instanceof AgentLost) record.result = 'Abandoned';
      throw error;
    } finally {
      this.running = undefined;
    }
    if (record.result === 'SucceededWithIssues' || record.result === 'Failed') {
      this.setResult(worstResult(this.result, record.result));
    }
  }

  private stepContext(step: PlannedStep, stage: Stage): StepContext {
    const displayName = stagePrefix[stage] + (step.spec.displayName ?? step.task.name);
    return {
      job: this.context,
      task: step.task,
      restrictions: restrictionsOf(step),
      taskVariables: step.taskVariables,
      record: newStepRecord(step.name, displayName, step.task, stage),
      onDone: () => undefined,
      result: undefined,
      commandResult: undefined,
      isInGroup: false,
    };
  }

  private stepHost(): StepHost {
    return {
      ...this.host.step,
      sourcesFolder: this.host.folders.sources,
      secureFiles: this.spec.secureFiles ?? [],
      isContainer: this.spec.isContainer ?? false,
      lost: this.lost,
      jobStatus: () => this.result,
      isJobCanceled: () => this.stopped !== undefined,
      processStarted: (process) => this.processes.push(process),
    };
  }

  private stillHolds({ step, spec }: RunningStep): boolean {
    try {
      return conditionHolds(step, spec, this.stepHost());
    } catch {
      return false;
    }
  }

  private setResult(result: TaskResult): void {
    this.result = result;
    this.context.variables.set('agent.jobstatus', result);
  }

  private resultOf(orphans: readonly FoundProcess[], durationMs: number): JobResult {
    const { identity, lookupId, result, stepRuns, lines } = this;
    const outputs = stepRuns.flatMap((step) =>
      step.variablesSet
        .filter(({ output }) => output)
        .map(({ name, value, secret }) => ({ name: `${step.name}.${name}`, value, secret })),
    );
    return {
      result,
      identity,
      lookupId,
      steps: stepRuns,
      log: lines,
      issues: stepRuns.flatMap(({ issues }) => issues),
      outputs: Object.fromEntries(outputs.map(({ name, value }) => [name, value])),
      secretOutputs: outputs.filter(({ secret }) => secret).map(({ name }) => name),
      violations: stepRuns.flatMap(({ violations }) => violations),
      orphans,
      durationMs,
      holdsSecret: (text) => this.context.masker.finds(text),
      step: (name, stage = 'main') => {
        const found = stepRuns.find((step) => step.name === name && step.stage === stage);
        if (found === undefined) throw new Error(`The job ran no ${stage} stage of a step "${name}".`);
        return found;
      },
    };
  }
}
