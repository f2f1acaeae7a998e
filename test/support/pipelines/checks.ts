import { parseDuration } from '../../../tasks/common/core/inputs/duration';
import { parseExpression, pathsIn, PipelineError } from './expression';
import type { Job, Pipeline, Stage, Step } from './model';
import { productTask } from './tasks';

/** Where an expression stands: it decides how an output variable is called. */
export type Level = 'stage' | 'job';

/**
 * The key of an output variable in `outputs[...]`, by the documented table: a stage names the job before the step, and a
 * deployment job (runOnce, hook deploy) puts its name, or `Deploy_<resource>`, before the step once more.
 */
export function outputKey(
  job: Pick<Job, 'name' | 'kind' | 'resource'>,
  step: string,
  output: string,
  level: Level,
): string {
  const prefix = job.kind === 'deployment' ? [job.resource === undefined ? job.name : `Deploy_${job.resource}`] : [];
  return [...(level === 'stage' ? [job.name] : []), ...prefix, step, output].join('.');
}

/** The tasks that Azure Pipelines runs on the server. */
const serverTasks = [/^ManualValidation@[01]$/, /^Delay@1$/, /^InvokeRESTAPI@1$/, /^AzureFunction@1$/];
const jobLimitMinutes = 43_200;
const jobsOfAStage = 256;

/** All that is wrong with an expanded pipeline and that a schema cannot see, as sentences. */
export function pipelineProblems(pipeline: Pipeline): string[] {
  return [
    ...repeated(
      pipeline.stages.map(({ name }) => name),
      'the stage',
    ),
    ...pipeline.stages.flatMap((stage) => stageProblems(pipeline, stage)),
  ];
}

function repeated(names: readonly string[], what: string): string[] {
  const seen = new Set<string>();
  return names.flatMap((name) => {
    const isNew = !seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    return isNew ? [] : [`${what} ${name} is there twice`];
  });
}

function stageProblems(pipeline: Pipeline, stage: Stage): string[] {
  const at = (problem: string): string => `stage ${stage.name}: ${problem}`;
  const before = pipeline.stages.slice(0, pipeline.stages.indexOf(stage)).map(({ name }) => name);
  const missing = stage.dependsOn.filter((name) => !before.includes(name));
  const place: Place = { pipeline, stage, job: undefined };
  return [
    ...(/^\w+$/.test(stage.name) ? [] : ['its name may have letters, digits and _ only']),
    ...missing.map((name) => `it depends on ${name}, which is no stage before it`),
    ...(stage.jobs.length > jobsOfAStage ? [`it has ${stage.jobs.length} jobs, but a stage has at most 256`] : []),
    ...(stage.jobs.length === 0 ? ['it has no job'] : []),
    ...repeated(
      stage.jobs.map(({ name }) => name),
      'the job',
    ),
    ...conditionProblems(stage.condition, place),
    ...variableProblems(stage.variables, place),
    ...stage.jobs.flatMap((job) => jobProblems(pipeline, stage, job)),
  ].map(at);
}

/** `job` is undefined in the condition and the variables of a stage. */
interface Place {
  pipeline: Pipeline;
  stage: Stage;
  job: Job | undefined;
}

function jobProblems(pipeline: Pipeline, stage: Stage, job: Job): string[] {
  const before = stage.jobs.slice(0, stage.jobs.indexOf(job)).map(({ name }) => name);
  const place = { pipeline, stage, job };
  return [
    ...(/^\w+$/.test(job.name) ? [] : ['its name may have letters, digits and _ only']),
    ...job.dependsOn
      .filter((name) => !before.includes(name))
      .map((name) => `it depends on ${name}, which is no job before it`),
    ...conditionProblems(job.condition, place),
    ...variableProblems(job.variables, place),
    ...timeProblems(job),
    ...repeated(
      [...job.steps, ...job.hookSteps].flatMap(({ name }) => name ?? []),
      'the step',
    ),
    ...job.steps.flatMap((step, index) => stepProblems(place, step, job.steps.slice(0, index))),
    // A hook gets no output of another one.
    ...job.hookSteps.flatMap((step, index) => stepProblems(place, step, job.hookSteps.slice(0, index))),
  ].map((problem) => `job ${job.name}: ${problem}`);
}

function timeProblems(job: Job): string[] {
  const { timeoutInMinutes: minutes, cancelTimeoutInMinutes: cancelMinutes, steps } = job;
  const long = minutes > jobLimitMinutes ? [`it may run ${minutes} minutes, but 43200 are the limit`] : [];
  const longSteps = steps
    .filter(({ timeoutInMinutes = 0 }) => timeoutInMinutes >= minutes)
    .map((step) => `the step ${step.what} may take ${String(step.timeoutInMinutes)} minutes, the job only ${minutes}`);
  return [...long, ...longSteps, ...steps.flatMap((step) => ownTimeProblems(step, minutes, cancelMinutes))];
}

function ownTimeProblems({ what, inputs, timeoutInMinutes }: Step, minutes: number, cancelMinutes: number): string[] {
  if (productTask(what) === undefined) return [];
  const given = (name: string): number => (parseDuration(inputs[name] ?? '') ?? 0) / 60;
  const cleanUp = inputs['cleanupTimeout'] === undefined ? 4 : given('cleanupTimeout');
  const rollback = what.startsWith('HelmSafeDeploy') && inputs['onFailure'] !== 'keep' ? given('timeout') : 0;
  const needed = given('timeout') + (given('rollbackTimeout') || rollback) + given('lockTimeout');
  const most = timeoutInMinutes ?? minutes;
  return [
    ...(needed > 0 && needed >= most ? [`${what} may need ${needed} minutes, and has ${most}`] : []),
    ...(cleanUp >= cancelMinutes
      ? [`${what} repairs up to ${cleanUp} minutes, the job ends after ${cancelMinutes}`]
      : []),
  ];
}

function stepProblems(place: Place, step: Step, before: readonly Step[]): string[] {
  const isOfServer = place.job?.kind === 'server';
  const isServerTask = serverTasks.some((task) => task.test(step.what));
  const texts = [...Object.values(step.inputs), ...(step.kind === 'task' ? [] : [step.what])];
  return [
    ...(isOfServer && !isServerTask ? [`${step.kind} ${step.what} cannot run on the server`] : []),
    ...(!isOfServer && isServerTask ? [`${step.what} runs only on the server`] : []),
    ...inputProblems(step),
    ...conditionProblems(step.condition, place, before),
    ...texts.flatMap((text) => macroProblems(text, place, before)),
  ];
}

function inputProblems({ what, inputs, kind }: Step): string[] {
  const task = productTask(what);
  if (task === undefined) {
    const isKnown =
      kind !== 'task' ||
      serverTasks.some((each) => each.test(what)) ||
      !/^(?:HelmSafeDeploy|RolloutHealthCheck|ApproveAndRollback)@/.test(what);
    return isKnown ? [] : [`${what} is no task of this extension`];
  }
  return Object.keys(inputs)
    .filter((name) => !task.inputs.some((input) => input.name === name))
    .map((name) => `${what} has no input ${name}`);
}

const predefined = /^(?:build|system|pipeline|environment)\./i;

/** A macro names a variable that is set here, or an output of an earlier step of this job. */
function macroProblems(text: string, { pipeline, stage, job }: Place, before: readonly Step[]): string[] {
  return [...text.matchAll(/\$\(([\w.]+)\)/g)].flatMap(([, name = '']) => {
    const variables = { ...pipeline.variables, ...stage.variables, ...job?.variables };
    const isSet = Object.keys(variables).some((each) => each.toLowerCase() === name.toLowerCase());
    if (isSet || predefined.test(name)) return [];
    if (/^agent\./i.test(name) && job?.kind !== 'server') return [];
    return isOutputOf(name, before) ? [] : [`$(${name}) is set nowhere`];
  });
}

function isOutputOf(name: string, steps: readonly Step[]): boolean {
  const [step = '', output = ''] = name.split('.');
  const found = steps.find((each) => each.name === step);
  // The outputs of tasks of others are not known.
  return found !== undefined && (productTask(found.what)?.outputs.includes(output) ?? true);
}

function conditionProblems(condition: string | undefined, place: Place, before?: readonly Step[]): string[] {
  return condition === undefined ? [] : referenceProblems(condition, place, before);
}

function variableProblems(variables: Readonly<Record<string, string>>, place: Place): string[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    const inner = /^\$\[(.*)\]$/s.exec(value.trim())?.[1];
    if (inner === undefined) return [];
    return referenceProblems(inner, place).map((problem) => `variable ${name}: ${problem}`);
  });
}

function referenceProblems(text: string, place: Place, before?: readonly Step[]): string[] {
  try {
    return pathsIn(parseExpression(text)).flatMap((path) => pathProblem(path, place, before) ?? []);
  } catch (error) {
    if (error instanceof PipelineError) return [error.message];
    throw error;
  }
}

function pathProblem(path: readonly string[], place: Place, before?: readonly Step[]): string | undefined {
  const [root = '', ...rest] = path;
  const shown = path.join(' / ');
  switch (root) {
    case 'variables':
      return variableReference(rest[0] ?? '', place, before);
    case 'dependencies':
      if (before !== undefined) return `${shown} cannot be read in the condition of a step`;
      return place.job === undefined ? stageReference(rest, place, shown) : jobReference(rest, place, shown);
    case 'stageDependencies':
      if (before !== undefined) return `${shown} cannot be read in the condition of a step`;
      return stageJobReference(rest, place, shown);
    default:
      return `${shown} is not known`;
  }
}

function variableReference(
  name: string,
  { pipeline, stage, job }: Place,
  before: readonly Step[] = [],
): string | undefined {
  const variables = { ...pipeline.variables, ...stage.variables, ...job?.variables };
  if (name in variables || predefined.test(name) || isOutputOf(name, before)) return undefined;
  return `variables['${name}'] is set nowhere`;
}

/** In the condition of a stage: `dependencies.<stage>.result` or `dependencies.<stage>.outputs['<job>.<step>.<output>']`. */
function stageReference(
  [name = '', what, key = '']: readonly string[],
  place: Place,
  shown: string,
): string | undefined {
  const stage = place.pipeline.stages.find((each) => each.name === name);
  if (stage === undefined) return `${shown}: there is no stage ${name}`;
  if (!place.stage.dependsOn.includes(name) || !place.stage.isExplicit)
    return `${shown}: dependsOn does not name ${name}`;
  if (what === 'result') return undefined;
  const isKnown = stage.jobs.some((job) => keysOf(job, 'stage').includes(key));
  return what === 'outputs' && isKnown ? undefined : `${shown}: stage ${name} has no such output`;
}

/** In a job: `dependencies.<job>.result` or `dependencies.<job>.outputs['<step>.<output>']`. */
function jobReference([name = '', what, key = '']: readonly string[], place: Place, shown: string): string | undefined {
  const job = place.stage.jobs.find((each) => each.name === name);
  if (job === undefined) return `${shown}: there is no job ${name}`;
  if (!place.job?.dependsOn.includes(name)) return `${shown}: dependsOn does not name ${name}`;
  if (what === 'result') return undefined;
  return what === 'outputs' && keysOf(job, 'job').includes(key)
    ? undefined
    : `${shown}: job ${name} has no such output`;
}

function stageJobReference(
  [name = '', jobName = '', what, key = '']: readonly string[],
  place: Place,
  shown: string,
): string | undefined {
  const job = place.pipeline.stages.find((each) => each.name === name)?.jobs.find((each) => each.name === jobName);
  if (job === undefined) return `${shown}: there is no job ${jobName} in a stage ${name}`;
  if (!place.stage.isExplicit || !place.stage.dependsOn.includes(name))
    return `${shown}: dependsOn does not name ${name}`;
  if (what === 'result') return undefined;
  return what === 'outputs' && keysOf(job, 'job').includes(key)
    ? undefined
    : `${shown}: job ${jobName} has no such output`;
}

/** The keys by which others read the outputs of the job. */
function keysOf(job: Job, level: Level): string[] {
  return job.steps.flatMap((step) =>
    (productTask(step.what)?.outputs ?? []).map((output) => outputKey(job, step.name ?? '', output, level)),
  );
}
