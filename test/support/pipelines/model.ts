import { PipelineError } from './expression';
import type { Expanded } from './expand';

/** An expanded pipeline with the defaults that Azure Pipelines adds. */
export interface Pipeline {
  readonly variables: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

export interface Stage {
  readonly name: string;
  readonly dependsOn: readonly string[];
  /** `dependsOn` is in the YAML. */
  readonly isExplicit: boolean;
  readonly condition: string | undefined;
  readonly variables: Readonly<Record<string, string>>;
  readonly jobs: readonly Job[];
}

export interface Job {
  readonly name: string;
  readonly kind: 'agent' | 'server' | 'deployment';
  /** Of a deployment job, the resource type and name in its environment. */
  readonly resource: string | undefined;
  readonly environment: string | undefined;
  readonly dependsOn: readonly string[];
  readonly condition: string | undefined;
  readonly continueOnError: boolean;
  readonly variables: Readonly<Record<string, string>>;
  readonly timeoutInMinutes: number;
  readonly cancelTimeoutInMinutes: number;
  readonly steps: readonly Step[];
  /** Steps of the other hooks of a deployment job. */
  readonly hookSteps: readonly Step[];
}

export interface Step {
  /** `task`, or the name of a shortcut such as `script` or `checkout`. */
  readonly kind: string;
  /** The value of the key `kind`, for example `HelmSafeDeploy@1`. */
  readonly what: string;
  readonly name: string | undefined;
  readonly condition: string | undefined;
  readonly inputs: Readonly<Record<string, string>>;
  readonly timeoutInMinutes: number | undefined;
  readonly continueOnError: boolean;
}

/** The limits that Azure Pipelines takes where the YAML gives none. */
const defaultJobMinutes = 60;
const defaultCancelMinutes = 5;

export function pipelineOf(expanded: Expanded): Pipeline {
  const root = mapping(expanded);
  const variables = variablesOf(root['variables']);
  if (root['stages'] !== undefined) {
    const list = listOf(root['stages']).map(mapping);
    return { variables, stages: list.map((stage, index) => stageOf(stage, list[index - 1])) };
  }
  const jobs = root['jobs'] ?? [{ job: 'Job', steps: root['steps'] ?? [] }];
  return { variables, stages: [stageOf({ stage: '__default', jobs }, undefined)] };
}

type Fields = Readonly<Record<string, Expanded | undefined>>;

function mapping(node: Expanded | undefined): Fields {
  if (typeof node !== 'object' || Array.isArray(node))
    throw new PipelineError(`not a mapping: ${JSON.stringify(node)}`);
  return node as Fields;
}

function listOf(node: Expanded | undefined): readonly Expanded[] {
  if (node === undefined) return [];
  return Array.isArray(node) ? (node as readonly Expanded[]) : [node];
}

function text(node: Expanded | undefined): string | undefined {
  if (node !== undefined && typeof node !== 'string') throw new PipelineError(`not a text: ${JSON.stringify(node)}`);
  return node;
}

function textsOf(node: Expanded | undefined): string[] {
  return listOf(node).map((each) => text(each) ?? '');
}

function number(node: Expanded | undefined): number | undefined {
  return node === undefined ? undefined : Number(text(node));
}

function variablesOf(node: Expanded | undefined): Record<string, string> {
  if (node === undefined) return {};
  if (!Array.isArray(node)) return textFields(node);
  const entries = (node as readonly Expanded[]).map(mapping).filter(({ name }) => name !== undefined);
  return Object.fromEntries(entries.map(({ name, value }) => [text(name) ?? '', text(value) ?? '']));
}

function textFields(node: Expanded | undefined): Record<string, string> {
  if (node === undefined || node === '') return {};
  return Object.fromEntries(Object.entries(mapping(node)).map(([key, value]) => [key, text(value) ?? '']));
}

function isTrue(node: Expanded | undefined): boolean {
  return text(node)?.toLowerCase() === 'true';
}

function stageOf(stage: Fields, before: Fields | undefined): Stage {
  const name = text(stage['stage']);
  if (name === undefined) throw new PipelineError(`not a stage: ${Object.keys(stage).join(', ')}`);
  const isExplicit = stage['dependsOn'] !== undefined;
  const previous = text(before?.['stage']);
  return {
    name,
    isExplicit,
    dependsOn: isExplicit ? textsOf(stage['dependsOn']) : previous === undefined ? [] : [previous],
    condition: text(stage['condition']),
    variables: variablesOf(stage['variables']),
    jobs: listOf(stage['jobs']).map((job) => jobOf(mapping(job))),
  };
}

function jobOf(job: Fields): Job {
  const name = text(job['job'] ?? job['deployment']);
  if (name === undefined) throw new PipelineError(`not a job: ${Object.keys(job).join(', ')}`);
  const isDeployment = job['deployment'] !== undefined;
  const kind = isDeployment ? 'deployment' : job['pool'] === 'server' ? 'server' : 'agent';
  const environment = job['environment'];
  const place = typeof environment === 'object' ? mapping(environment) : { name: environment };
  const hooks = isDeployment ? hooksOf(job) : { deploy: listOf(job['steps']), others: [] };
  return {
    name,
    kind,
    environment: text(place['name']),
    resource: text(place['resourceName']),
    dependsOn: textsOf(job['dependsOn']),
    condition: text(job['condition']),
    continueOnError: isTrue(job['continueOnError']),
    variables: variablesOf(job['variables']),
    timeoutInMinutes: number(job['timeoutInMinutes']) ?? defaultJobMinutes,
    cancelTimeoutInMinutes: number(job['cancelTimeoutInMinutes']) ?? defaultCancelMinutes,
    steps: hooks.deploy.map((step) => stepOf(mapping(step))),
    hookSteps: hooks.others.map((step) => stepOf(mapping(step))),
  };
}

function hooksOf(job: Fields): { deploy: readonly Expanded[]; others: readonly Expanded[] } {
  const strategy = mapping(job['strategy']);
  const hooks = mapping(strategy['runOnce']);
  const { deploy, on, ...more } = hooks;
  const others = [...Object.values(more), ...(on === undefined ? [] : Object.values(mapping(on)))];
  return {
    deploy: listOf(mapping(deploy)['steps']),
    others: others.flatMap((hook) => listOf(mapping(hook)['steps'])),
  };
}

const stepKinds = ['task', 'script', 'bash', 'pwsh', 'powershell', 'checkout', 'download', 'publish'];

function stepOf(step: Fields): Step {
  const kind = stepKinds.find((each) => step[each] !== undefined);
  if (kind === undefined) throw new PipelineError(`not a step: ${Object.keys(step).join(', ')}`);
  return {
    kind,
    what: text(step[kind]) ?? '',
    name: text(step['name']),
    condition: text(step['condition']),
    inputs: textFields(step['inputs']),
    timeoutInMinutes: number(step['timeoutInMinutes']),
    continueOnError: isTrue(step['continueOnError']),
  };
}
