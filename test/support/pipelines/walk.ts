import { createHash, randomUUID } from 'node:crypto';
import type { Agent, ServiceConnection } from '../agent';
import {
  approvalJson,
  timelineRecords,
  type AzureDevOps,
  type IdentityJson,
  type Result as RecordResult,
  type StageSpec,
  type TimelineRecordJson,
} from '../azureDevOps';
import type { Pipeline, Step } from './model';
import { runPipeline, type JobEnd, type JobStart, type RunEnd } from './run';

export interface Walk {
  readonly agent: Agent;
  readonly azure: AzureDevOps;
  readonly connections: readonly ServiceConnection[];
  /** What the person at a gate, or at the check of an environment, decides. The default is to approve. */
  readonly decide?: 'approve' | 'reject' | 'time out';
  readonly approver?: IdentityJson;
  /** A walk that ended earlier, of which this stage and all after it run again. */
  readonly again?: { readonly run: RunEnd; readonly stage: string };
}

export interface Walked {
  readonly run: RunEnd;
  /** The lines of each job on an agent, by stage. */
  readonly logs: Readonly<Record<string, string>>;
  /** The instructions that the gate has shown. */
  readonly instructions: string;
}

/** One stage of the run's timeline, with real times. */
interface Part {
  readonly spec: StageSpec;
  readonly from: string;
  readonly to: string | undefined;
}

/**
 * Runs a pipeline job by job on the stand-in for the agent, as Azure Pipelines does: it evaluates conditions, passes outputs
 * and keeps the run's timeline. A gate is decided at once.
 */
export async function walkPipeline(pipeline: Pipeline, walk: Walk): Promise<Walked> {
  const parts: Part[] = [];
  const logs: Record<string, string> = {};
  let instructions = '';
  const show = (): void => {
    walk.azure.run.records = parts.flatMap(recordsOf);
  };
  const run = await runPipeline(pipeline, {
    ...(walk.again === undefined ? {} : { again: walk.again }),
    play: async (start) => {
      const from = new Date().toISOString();
      if (start.job.kind === 'server') {
        instructions = expanded(start.job.steps[0]?.inputs['instructions'] ?? '', start.variables);
        const end = gateEnd(walk);
        parts.push(gatePart(start, end.result === 'Succeeded' ? 'succeeded' : 'failed', from));
        show();
        return end;
      }
      if (start.job.environment?.endsWith('-rollback') === true) {
        const refused = askEnvironment(start, walk, parts);
        if (refused) return { result: 'Failed' };
      } else parts.push({ spec: stageSpec(start), from, to: undefined });
      show();
      const end = await runOnAgent(start, walk);
      const last = parts.pop();
      if (last !== undefined) {
        const result: RecordResult = end.end.result === 'Succeeded' ? 'succeeded' : 'failed';
        parts.push({ ...last, spec: { ...last.spec, to: '00:00', result }, to: new Date().toISOString() });
      }
      show();
      logs[start.stage.name] = `${logs[start.stage.name] ?? ''}${end.log}`;
      return end.end;
    },
  });
  return { run, logs, instructions };
}

function recordsOf({ spec, from, to }: Part): TimelineRecordJson[] {
  return timelineRecords(spec).map((record) => ({ ...record, startTime: from, finishTime: to ?? null }));
}

function jobId({ stage, job }: JobStart): string {
  const hash = createHash('sha256').update(`${stage.name}/${job.name}`).digest('hex');
  return `0e1f2a3b-4c5d-4e6f-8a9b-${hash.slice(0, 12)}`;
}

function stageSpec(start: JobStart): StageSpec {
  const { stage, job, attempt } = start;
  return { name: stage.name, attempt, from: '00:00', jobs: [{ name: job.name, id: jobId(start), from: '00:00' }] };
}

function gateEnd({ decide = 'approve' }: Walk): JobEnd {
  return { result: decide === 'approve' ? 'Succeeded' : 'Failed' };
}

function gatePart({ stage, job, attempt }: JobStart, result: RecordResult, from: string): Part {
  const span = { from: '00:00', to: '00:00', result };
  const spec = { name: stage.name, attempt, ...span, jobs: [{ name: job.name, ...span, gates: [span] }] };
  return { spec, from, to: new Date().toISOString() };
}

/** Returns true if the check of the environment was not approved: then no job of the stage starts. */
function askEnvironment(start: JobStart, { azure, decide = 'approve', approver }: Walk, parts: Part[]): boolean {
  const id = randomUUID();
  const at = new Date().toISOString();
  const isApproved = decide === 'approve';
  const check = { id, from: '00:00', to: '00:00', result: isApproved ? 'succeeded' : 'failed' } as const;
  parts.push({ spec: { ...stageSpec(start), checks: [check] }, from: at, to: undefined });
  const status = { approve: 'approved', reject: 'rejected', 'time out': 'timedOut' }[decide];
  const approval = approvalJson(id, status, [{ at: '00:00', ...(approver && { by: approver }) }]);
  const times = { createdOn: at, lastModifiedOn: at };
  const steps = approval.steps.map((step) => ({ ...step, initiatedOn: at, lastModifiedOn: at }));
  azure.run.approvals = [...azure.run.approvals, { ...approval, ...times, steps }];
  return !isApproved;
}

async function runOnAgent(start: JobStart, walk: Walk): Promise<{ end: JobEnd; log: string }> {
  const { stage, job, attempt, variables } = start;
  const { collectionUri, projectId, buildId, token, project } = walk.azure;
  const done = await walk.agent.runJob({
    endpoints: walk.connections,
    variables,
    identity: {
      collectionUri,
      project,
      projectId,
      buildId,
      accessToken: token,
      jobId: jobId(start),
      stageName: stage.name,
      stageAttempt: String(attempt),
      jobAttempt: String(attempt),
      phaseName: job.name,
    },
    // The stand-in knows only the tasks of the extension.
    steps: job.steps.filter(({ kind }) => kind === 'task').map(stepSpec),
  });
  for (const { type, name, content } of done.steps.flatMap(({ attachments }) => attachments)) {
    walk.azure.run.attachments.push({ type, name, content: String(content) });
  }
  const result = done.result === 'Abandoned' ? 'Failed' : done.result;
  return { end: { result, outputs: done.outputs }, log: done.log.map(({ text }) => `${text}\n`).join('') };
}

function stepSpec({ what, name, inputs, condition, continueOnError }: Step) {
  return {
    task: what,
    inputs,
    continueOnError,
    ...(name === undefined ? {} : { name }),
    ...(condition === undefined ? {} : { condition }),
  };
}

/** As the service does in a job of the server: it replaces the variables of the job. */
function expanded(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\((\w+)\)/g, (macro, name: string) => variables[name] ?? macro);
}
