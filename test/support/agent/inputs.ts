import path from 'node:path';
import type { Endpoint } from './endpoint';
import type { TaskDefinition, TaskInput } from './taskDefinition';
import { expandMacros } from './variables';
import type { Variables } from './variables';

export interface SecureFile {
  readonly id: string;
  readonly name: string;
  readonly ticket: string;
}

export interface InputScope {
  readonly variables: Variables;
  /** The agent's own environment. `$(HOME)` in an input is expanded from it. */
  readonly agentEnvironment: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
  readonly sourcesFolder: string;
}

export interface ResolvedInputs {
  /** The inputs by canonical name. */
  readonly values: ReadonlyMap<string, string>;
  /** The connections that `connectedService:*` inputs name. */
  readonly endpoints: readonly Endpoint[];
  /** The ids that `secureFile` inputs name. */
  readonly secureFileIds: readonly string[];
}

/**
 * The inputs as a task gets them: defaults, then the values of the pipeline, trimmed and with `$(name)` expanded. Names
 * of connections become ids, as on the server. Throws an Error where the pipeline would be refused before it runs.
 */
export function resolveInputs(
  task: TaskDefinition,
  given: Readonly<Record<string, string>>,
  scope: InputScope,
): ResolvedInputs {
  refuseUnknown(task, given);
  const values = new Map<string, string>();
  const endpoints: Endpoint[] = [];
  const secureFileIds: string[] = [];
  for (const input of task.inputs) {
    const value = expand((givenValue(given, input.name) ?? input.defaultValue).trim(), scope);
    const named = isConnection(input) ? namedEndpoints(input, value, scope.endpoints) : [];
    endpoints.push(...named);
    if (input.type === 'secureFile') secureFileIds.push(...listed(value));
    values.set(input.name, isConnection(input) ? named.map(({ id }) => id).join(',') : translated(input, value, scope));
  }
  return { values, endpoints, secureFileIds };
}

function givenValue(given: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.entries(given).find(([key]) => key.trim().toLowerCase() === name.toLowerCase())?.[1];
}

function refuseUnknown(task: TaskDefinition, given: Readonly<Record<string, string>>): void {
  const known = new Set(task.inputs.map((input) => input.name.toLowerCase()));
  const unknown = Object.keys(given).filter((key) => !known.has(key.trim().toLowerCase()));
  if (unknown.length > 0) throw new Error(`${task.name} has no input ${unknown.join(', ')}.`);
}

function expand(value: string, scope: InputScope): string {
  return expandMacros(scope.variables.expand(value), (name) => scope.agentEnvironment[name]);
}

function isConnection(input: TaskInput): boolean {
  return input.type.toLowerCase().startsWith('connectedservice:');
}

function listed(value: string): string[] {
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function namedEndpoints(input: TaskInput, value: string, endpoints: readonly Endpoint[]): Endpoint[] {
  const type = input.type.slice('connectedService:'.length).toLowerCase();
  return listed(value).map((reference) => {
    const name = reference.toLowerCase();
    const found = endpoints.find((endpoint) => endpoint.id === name || endpoint.name.toLowerCase() === name);
    if (found === undefined) {
      throw new Error(
        `The input ${input.name} references the service connection "${reference}", which does not exist.`,
      );
    }
    if (found.type !== '' && found.type.toLowerCase() !== type) {
      throw new Error(`The service connection "${reference}" is of type ${found.type}; ${input.name} needs ${type}.`);
    }
    return found;
  });
}

// The agent makes every filePath input absolute, so an empty one becomes the sources folder.
function translated(input: TaskInput, value: string, scope: InputScope): string {
  return input.type.toLowerCase() === 'filepath' ? path.resolve(scope.sourcesFolder, value) : value;
}
