import path from 'node:path';
import { endpointEnvironment } from './endpoint';
import type { Endpoint } from './endpoint';
import type { SecureFile } from './inputs';
import { environmentName } from './variables';
import type { Variables } from './variables';

export interface EnvironmentSources {
  readonly agentEnvironment: Readonly<Record<string, string>>;
  /** `env:` of the step, already expanded. */
  readonly stepEnvironment: Readonly<Record<string, string>>;
  readonly variables: Variables;
  readonly taskVariables: Variables;
  readonly inputs: ReadonlyMap<string, string>;
  readonly endpoints: readonly Endpoint[];
  readonly secureFiles: readonly SecureFile[];
  readonly prependPath: readonly string[];
}

/** The whole environment of a task's process. Later sources win, so a pipeline variable wins over the step's `env:`. */
export function taskEnvironment(sources: EnvironmentSources): Record<string, string> {
  const environment = {
    ...sources.agentEnvironment,
    ...sources.stepEnvironment,
    ...variableEnvironment(sources.variables),
    ...prefixed('INPUT_', sources.inputs),
    ...Object.assign({}, ...sources.endpoints.map(endpointEnvironment)),
    ...secureFileEnvironment(sources.secureFiles),
    ...taskVariableEnvironment(sources.taskVariables),
    TF_BUILD: 'True',
  } as Record<string, string>;
  if (sources.prependPath.length === 0) return environment;
  const before = sources.variables.get('PATH') ?? environment['PATH'] ?? '';
  return { ...environment, PATH: [...sources.prependPath].reverse().concat(before).join(path.delimiter) };
}

function variableEnvironment(variables: Variables): Record<string, string> {
  const environment: Record<string, string> = {};
  const names: Record<'public' | 'secret', string[]> = { public: [], secret: [] };
  for (const variable of variables.all()) {
    const name = environmentName(variable.name, variable.preserveCase);
    environment[variable.secret ? `SECRET_${name}` : name] = variable.value;
    names[variable.secret ? 'secret' : 'public'].push(variable.name);
    // The job status exists a second time, under its unformatted name.
    if (variable.name.toLowerCase() === 'agent.jobstatus') environment[variable.name] = variable.value;
  }
  environment['VSTS_PUBLIC_VARIABLES'] = JSON.stringify(names.public);
  environment['VSTS_SECRET_VARIABLES'] = JSON.stringify(names.secret);
  return environment;
}

function prefixed(prefix: string, values: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...values].map(([name, value]) => [`${prefix}${environmentName(name)}`, value]));
}

function taskVariableEnvironment(variables: Variables): Record<string, string> {
  return Object.fromEntries(
    variables
      .all()
      .map(({ name, value, preserveCase }) => [`VSTS_TASKVARIABLE_${environmentName(name, preserveCase)}`, value]),
  );
}

function secureFileEnvironment(files: readonly SecureFile[]): Record<string, string> {
  return Object.fromEntries(
    files.flatMap(({ id, name, ticket }) => [
      [`SECUREFILE_NAME_${id}`, name],
      [`SECUREFILE_TICKET_${id}`, ticket],
    ]),
  );
}
