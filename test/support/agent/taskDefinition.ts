import fs from 'node:fs';
import path from 'node:path';

export const stages = ['pre-job', 'main', 'post-job'] as const;
export type Stage = (typeof stages)[number];

export interface TaskInput {
  readonly name: string;
  readonly type: string;
  readonly defaultValue: string;
}

export interface Handler {
  readonly key: string;
  readonly target: string;
  readonly workingDirectory: string;
}

export interface Restrictions {
  readonly commandsMode: 'any' | 'restricted';
  /** Patterns of variable names. Undefined allows all. */
  readonly settableVariables: readonly string[] | undefined;
}

/** The parts of a task.json that the agent reads. */
export interface TaskDefinition {
  readonly folder: string;
  readonly id: string;
  readonly name: string;
  readonly friendlyName: string;
  readonly description: string;
  readonly author: string;
  readonly help: string;
  readonly version: { readonly major: number; readonly minor: number; readonly patch: number };
  readonly minimumAgentVersion: string;
  readonly inputs: readonly TaskInput[];
  readonly handlers: Readonly<Record<Stage, readonly Handler[]>>;
  readonly restrictions: Restrictions;
  readonly outputVariables: readonly string[];
}

export type Json = Readonly<Record<string, unknown>>;

export function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function asText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** Reads `task.json` in the folder. Throws an Error that names the file and the missing part. */
export function readTaskDefinition(folder: string): TaskDefinition {
  const file = path.join(folder, 'task.json');
  const json = readJson(file);
  const required = (key: string): string => {
    const text = asText(json[key]);
    if (text === '') throw new Error(`${file} has no "${key}".`);
    return text;
  };
  const handlers = {
    'pre-job': readHandlers(folder, json, 'prejobexecution'),
    main: readHandlers(folder, json, 'execution'),
    'post-job': readHandlers(folder, json, 'postjobexecution'),
  };
  if (handlers.main.length === 0) throw new Error(`${file} has no "execution".`);
  return {
    folder,
    id: required('id').toLowerCase(),
    name: required('name'),
    friendlyName: required('friendlyName'),
    description: asText(json['description']),
    author: asText(json['author']),
    help: asText(json['helpUrl']) || asText(json['helpMarkDown']),
    version: readVersion(file, json),
    minimumAgentVersion: asText(json['minimumAgentVersion']) || '0.0.0',
    inputs: asList(json['inputs']).map((input) => readInput(file, asObject(input))),
    handlers,
    restrictions: readRestrictions(asObject(json['restrictions'])),
    outputVariables: asList(json['outputVariables']).map((output) => asText(asObject(output)['name'])),
  };
}

export function readJson(file: string): Json {
  const text = fs.readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  try {
    return asObject(JSON.parse(text));
  } catch (error) {
    throw new Error(`${file} is not JSON: ${String(error)}`, { cause: error });
  }
}

function readVersion(file: string, json: Json): TaskDefinition['version'] {
  const version = asObject(json['version']);
  const parts = ['Major', 'Minor', 'Patch'].map((part) => asText(version[part]));
  if (!parts.every((part) => /^\d+$/.test(part))) {
    throw new Error(`${file} has no whole "version": Major, Minor and Patch are needed.`);
  }
  const [major = 0, minor = 0, patch = 0] = parts.map(Number);
  return { major, minor, patch };
}

function readInput(file: string, input: Json): TaskInput {
  const name = asText(input['name']).trim();
  if (name === '') throw new Error(`${file} has an input without a name.`);
  return { name, type: asText(input['type']), defaultValue: asText(input['defaultValue']) };
}

function readHandlers(folder: string, json: Json, section: string): Handler[] {
  return Object.entries(asObject(json[section])).map(([key, value]) => {
    const handler = asObject(value);
    const target = asText(handler['target']);
    if (target === '' || !fs.existsSync(path.join(folder, target))) {
      throw new Error(`${folder}: the target "${target}" of ${section}.${key} is not there.`);
    }
    return { key, target, workingDirectory: asText(handler['workingDirectory']) };
  });
}

function readRestrictions(json: Json): Restrictions {
  const allowed = asObject(json['settableVariables'])['allowed'];
  return {
    commandsMode: asText(asObject(json['commands'])['mode']).toLowerCase() === 'restricted' ? 'restricted' : 'any',
    settableVariables: Array.isArray(allowed) ? allowed.map(asText) : undefined,
  };
}

export function isSettable(restrictions: Restrictions, variable: string): boolean {
  const patterns = restrictions.settableVariables;
  return patterns === undefined || patterns.some((pattern) => matchesName(variable, pattern));
}

function matchesName(name: string, pattern: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'i').test(name);
}

// The lowest number is tried first. This agent does not know any other key and ignores it.
const handlerPriority: Readonly<Record<string, number>> = { Node24: 101, Node20_1: 102 };

/** The handler that the agent chooses for a stage, or undefined if it knows none of them. */
export function preferredHandler(task: TaskDefinition, stage: Stage): Handler | undefined {
  const known = task.handlers[stage].filter((handler) => handlerPriority[handler.key] !== undefined);
  const priority = (handler: Handler): number => handlerPriority[handler.key] ?? Number.MAX_SAFE_INTEGER;
  return [...known].sort((left, right) => priority(left) - priority(right))[0];
}
