import { outputKey, type Level } from './checks';
import { evaluate, isTrue, parseExpression, textOf, type Expression, type Value } from './expression';
import type { Job, Pipeline, Stage } from './model';

export type Result = 'Succeeded' | 'SucceededWithIssues' | 'Failed' | 'Canceled' | 'Skipped';

/** How a job ended. Its outputs are named `step.output`. */
export interface JobEnd {
  readonly result: Result;
  readonly outputs?: Readonly<Record<string, string>>;
}

export interface StageEnd {
  readonly result: Result;
  readonly attempt: number;
  readonly jobs: Readonly<Record<string, JobEnd>>;
}

/** The ends of the stages by name, in the order in which they ended. */
export type RunEnd = Readonly<Record<string, StageEnd>>;

export interface JobStart {
  readonly stage: Stage;
  readonly job: Job;
  readonly attempt: number;
  /** The variables of the pipeline, the stage and the job, with the values of their expressions. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** Runs a job whose condition holds. */
  readonly play: (start: JobStart) => Promise<JobEnd> | JobEnd;
  /** A person cancels the run while this stage runs. */
  readonly cancelledIn?: string;
  /** An earlier attempt of the run, of which this stage and all stages after it run again. */
  readonly again?: { readonly run: RunEnd; readonly stage: string };
}

/**
 * Runs the stages one after the other by the documented rules of Azure Pipelines: conditions, results, outputs of stages
 * and jobs that `dependsOn` names, and reruns.
 */
export async function runPipeline(pipeline: Pipeline, options: RunOptions): Promise<RunEnd> {
  const ended: Record<string, StageEnd> = {};
  let isCancelled = false;
  for (const stage of pipeline.stages) {
    const before = options.again?.run[stage.name];
    if (before !== undefined && !isAfter(pipeline, stage, options.again?.stage ?? '')) {
      ended[stage.name] = before;
      continue;
    }
    const attempt = (before?.attempt ?? 0) + 1;
    const context = { pipeline, stage, ended, isCancelled };
    if (!holds(stage.condition, stageScope(context))) {
      ended[stage.name] = { result: 'Skipped', attempt, jobs: {} };
      continue;
    }
    const jobs = await runJobs(context, attempt, options);
    isCancelled ||= options.cancelledIn === stage.name;
    ended[stage.name] = { result: isCancelled ? 'Canceled' : worst(Object.values(jobs)), attempt, jobs };
  }
  return ended;
}

interface Context {
  readonly pipeline: Pipeline;
  readonly stage: Stage;
  readonly ended: RunEnd;
  readonly isCancelled: boolean;
}

function isAfter(pipeline: Pipeline, stage: Stage, first: string): boolean {
  if (stage.name === first) return true;
  return stage.dependsOn.some((name) => {
    const before = pipeline.stages.find((each) => each.name === name);
    return before !== undefined && isAfter(pipeline, before, first);
  });
}

async function runJobs(context: Context, attempt: number, { play }: RunOptions): Promise<Record<string, JobEnd>> {
  const jobs: Record<string, JobEnd> = {};
  for (const job of context.stage.jobs) {
    const scope = jobScope(context, job, jobs);
    if (!holds(job.condition, scope)) {
      jobs[job.name] = { result: 'Skipped' };
      continue;
    }
    const variables = variablesFor(context, job, scope);
    const end = await play({ stage: context.stage, job, attempt, variables });
    const isForgiven = job.continueOnError && end.result === 'Failed';
    jobs[job.name] = isForgiven ? { ...end, result: 'SucceededWithIssues' } : end;
  }
  return jobs;
}

function variablesFor({ pipeline, stage }: Context, job: Job, scope: ConditionScope): Record<string, string> {
  const all = { ...pipeline.variables, ...stage.variables, ...job.variables };
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => {
      const inner = /^\$\[(.*)\]$/s.exec(value.trim())?.[1];
      return [name, inner === undefined ? value : textOf(evaluate(parsed(inner), scope))];
    }),
  );
}

const order: readonly Result[] = ['Failed', 'Canceled', 'SucceededWithIssues', 'Succeeded'];

function worst(ends: readonly JobEnd[]): Result {
  return order.find((result) => ends.some((end) => end.result === result)) ?? 'Skipped';
}

interface ConditionScope {
  readonly names: Readonly<Record<string, Value>>;
  readonly functions: Readonly<Record<string, (args: readonly Value[]) => Value>>;
}

/** Without a condition, `succeeded()` decides. */
function holds(condition: string | undefined, scope: ConditionScope): boolean {
  return isTrue(evaluate(parsed(condition ?? 'succeeded()'), scope));
}

const cache = new Map<string, Expression>();

function parsed(text: string): Expression {
  const known = cache.get(text) ?? parseExpression(text);
  cache.set(text, known);
  return known;
}

function stageScope({ pipeline, stage, ended, isCancelled }: Context): ConditionScope {
  const results = Object.fromEntries(stage.dependsOn.map((name) => [name, ended[name]?.result ?? 'Skipped']));
  const dependencies = Object.fromEntries(
    stage.dependsOn.map((name) => [
      name,
      { result: results[name] ?? null, outputs: stageOutputs(pipeline, ended, name) },
    ]),
  );
  return { names: { dependencies }, functions: statusFunctions(results, isCancelled) };
}

function stageOutputs(pipeline: Pipeline, ended: RunEnd, name: string): Record<string, string> {
  const stage = pipeline.stages.find((each) => each.name === name);
  const all = (stage?.jobs ?? []).map((job) => outputsOf(job, ended[name]?.jobs[job.name], 'stage'));
  return Object.fromEntries(all.flatMap((outputs) => Object.entries(outputs)));
}

function outputsOf(job: Job, end: JobEnd | undefined, level: Level): Record<string, string> {
  return Object.fromEntries(
    Object.entries(end?.outputs ?? {}).map(([name, value]) => {
      const [step = '', output = ''] = name.split('.');
      return [outputKey(job, step, output, level), value];
    }),
  );
}

function jobScope(context: Context, job: Job, jobs: Readonly<Record<string, JobEnd>>): ConditionScope {
  const { stage, pipeline, ended, isCancelled } = context;
  const results = Object.fromEntries(job.dependsOn.map((name) => [name, jobs[name]?.result ?? 'Skipped']));
  const dependencies = Object.fromEntries(
    stage.jobs
      .filter(({ name }) => job.dependsOn.includes(name))
      .map((each) => [
        each.name,
        { result: results[each.name] ?? null, outputs: outputsOf(each, jobs[each.name], 'job') },
      ]),
  );
  const stageDependencies = Object.fromEntries(
    pipeline.stages
      .filter(({ name }) => stage.dependsOn.includes(name))
      .map((each) => [each.name, jobsOf(each, ended[each.name])]),
  );
  return { names: { dependencies, stageDependencies }, functions: statusFunctions(results, isCancelled) };
}

function jobsOf(stage: Stage, end: StageEnd | undefined): Value {
  return Object.fromEntries(
    stage.jobs.map((job) => {
      const own = end?.jobs[job.name];
      return [job.name, { result: own?.result ?? 'Skipped', outputs: outputsOf(job, own, 'job') }];
    }),
  );
}

/** The status functions look at what `dependsOn` names, or at what their arguments name. */
function statusFunctions(results: Readonly<Record<string, Result>>, isCancelled: boolean): ConditionScope['functions'] {
  const of = (names: readonly Value[]): Result[] =>
    names.length === 0 ? Object.values(results) : names.map((name) => results[textOf(name)] ?? 'Skipped');
  const isGood = (result: Result): boolean => result === 'Succeeded' || result === 'SucceededWithIssues';
  return {
    always: () => true,
    canceled: () => isCancelled,
    failed: (names) => !isCancelled && of(names).includes('Failed'),
    succeeded: (names) => !isCancelled && of(names).every(isGood),
    succeededorfailed: (names) => !isCancelled && of(names).every((result) => isGood(result) || result === 'Failed'),
  };
}

/**
 * Runs the pipeline once for each combination of ends of the jobs that run. `endsOf` gives the possible ends of a job.
 */
export async function everyRun(
  pipeline: Pipeline,
  endsOf: (stage: Stage) => readonly JobEnd[],
  cancelledIn?: string,
): Promise<{ run: RunEnd; played: Readonly<Record<string, JobEnd>> }[]> {
  const runs: { run: RunEnd; played: Record<string, JobEnd> }[] = [];
  let choices: { taken: number; of: number }[] = [];
  do {
    let next = 0;
    const played: Record<string, JobEnd> = {};
    const run = await runPipeline(pipeline, {
      ...(cancelledIn === undefined ? {} : { cancelledIn }),
      play: ({ stage }) => {
        const ends = endsOf(stage);
        const choice = (choices[next] ??= { taken: 0, of: ends.length });
        next += 1;
        const end = ends[choice.taken] ?? { result: 'Failed' };
        played[stage.name] = end;
        return end;
      },
    });
    runs.push({ run, played });
    choices = following(choices.slice(0, next));
  } while (choices.length > 0);
  return runs;
}

function following(choices: readonly { taken: number; of: number }[]): { taken: number; of: number }[] {
  const last = choices.findLastIndex(({ taken, of }) => taken + 1 < of);
  if (last < 0) return [];
  const changed = choices[last];
  return [...choices.slice(0, last), { taken: (changed?.taken ?? 0) + 1, of: changed?.of ?? 0 }];
}
