/**
 * Reads what the agent hands to a task in its environment. This code does not use task-lib, because task-lib prints
 * every value that it reads as a debug command (kubeconfigs and values too) and rewrites a key file that other
 * processes need.
 */

import { isRecord } from '../../core/kubernetes/json';
import { environmentSecrets, userinfoSecretsIn } from '../../core/text/secretSources';
import { uniformEnvironment } from '../system/platform';

/** One service connection from the agent. */
export interface ServiceConnection {
  id: string;
  url: string | undefined;
  authorization(key: string): string | undefined;
  data(key: string): string | undefined;
}

export interface TaskEnvironment {
  /** The value as the agent sent it. Returns undefined if the agent sent none. */
  input: (name: string) => string | undefined;
  /** A variable of the job, secret or not. */
  variable(name: string): string | undefined;
  /** The value that an earlier phase of the same step set with `setTaskVariable`. */
  taskVariable(name: string): string | undefined;
  serviceConnection(id: string): ServiceConnection | undefined;
  /** Ids of the service connections of this step. The job's own connection is left out. */
  serviceConnections: readonly string[];
  /**
   * All secrets that came with the job, except whole kubeconfigs. Their credentials become known when they are read.
   */
  secrets: readonly string[];
  /** The environment for child processes, without any of the above. On Windows all names are in capitals. */
  childEnvironment: NodeJS.ProcessEnv;
}

const agentsOwnConnection = 'SYSTEMVSSCONNECTION';

/** Connection parameters that the agent treats as secret, but that only name or certify things. */
const publicParameters =
  /^(?:KUBECONFIG|CLUSTERCONTEXT|SERVICEACCOUNTCERTIFICATE|SERVICEACCOUNTNAME|SECRETNAME|ROLEBINDINGNAME|ISCREATEDFROMSECRETYAML|NAMESPACE|TENANTID|SERVICEPRINCIPALID|AUTHENTICATIONTYPE|SCOPE|ROLE|ACCESSTOKENTYPE|ACCEPTUNTRUSTEDCERTS|AZURE(?:ENVIRONMENT|TENANTID|SUBSCRIPTION\w*))$/;

const handedOver = /^(?:INPUT_|ENDPOINT_|SECUREFILE_|SECRET_|VSTS_TASKVARIABLE_)|^VSTS_(?:PUBLIC|SECRET)_VARIABLES$/;

/** These inputs may hold addresses that contain credentials. */
const addressInputs = ['CHART', 'CHARTREPOSITORY', 'VALUEFILES'];

/** Reads everything at once and removes from `environment` what no child process may see. */
export function takeTaskEnvironment(
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): TaskEnvironment {
  const all = { ...environment };
  const taken = Object.keys(all).filter((name) => handedOver.test(name));
  for (const name of taken) Reflect.deleteProperty(environment, name);

  const childEnvironment = uniformEnvironment(
    platform,
    Object.fromEntries(Object.entries(all).filter(([name]) => !handedOver.test(name))),
  );
  const ids = [...new Set(taken.flatMap((name) => connectionName.exec(name)?.[1] ?? []))];
  const connections = new Map(ids.map((id) => [id, connectionOf(all, id)]));
  return {
    input: (name) => all[`INPUT_${formatted(name)}`],
    variable: (name) => all[`SECRET_${formatted(name)}`] ?? all[formatted(name)],
    taskVariable: (name) => all[`VSTS_TASKVARIABLE_${formatted(name)}`],
    serviceConnection: (wanted) => {
      const id = ids.find((known) => known.toLowerCase() === wanted.toLowerCase());
      return id === undefined ? undefined : connections.get(id);
    },
    serviceConnections: ids.filter((id) => id.toUpperCase() !== agentsOwnConnection),
    secrets: [
      ...taken.filter((name) => /^SECRET_|^SECUREFILE_TICKET_/.test(name)).flatMap((name) => all[name] || []),
      ...[...connections.values()].flatMap(({ secrets }) => secrets),
      ...addressInputs.flatMap((name) => userinfoSecretsIn(all[`INPUT_${name}`] ?? '')),
      ...environmentSecrets(childEnvironment),
    ],
    childEnvironment,
  };
}

/** Only these names show where the id of a connection ends. */
const connectionName = /^ENDPOINT_(?:URL|AUTH_SCHEME|AUTH(?!_(?:SCHEME|PARAMETER)_))_(.+)$/;

/** The agent sets a variable for each parameter and also one variable with all of them as JSON. Either is enough. */
function connectionOf(all: NodeJS.ProcessEnv, id: string): ServiceConnection & { secrets: readonly string[] } {
  const authorization = {
    ...jsonTexts(all[`ENDPOINT_AUTH_${id}`], 'parameters'),
    ...named(all, `ENDPOINT_AUTH_PARAMETER_${id}_`),
  };
  const data = { ...jsonTexts(all[`ENDPOINT_DATA_${id}`]), ...named(all, `ENDPOINT_DATA_${id}_`) };
  return {
    id,
    url: all[`ENDPOINT_URL_${id}`],
    authorization: (key) => authorization[formatted(key)] || undefined,
    data: (key) => data[formatted(key)] || undefined,
    secrets: Object.entries(authorization).flatMap(([key, value]) =>
      publicParameters.test(key) || value === '' ? [] : [value],
    ),
  };
}

function named(all: NodeJS.ProcessEnv, prefix: string): Record<string, string> {
  const entries = Object.entries(all).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, value]) => [formatted(name.slice(prefix.length)), value ?? '']));
}

/**
 * The text fields of a JSON object, keyed by their names in capitals. Returns an empty object if the JSON has no such
 * object.
 */
function jsonTexts(json: string | undefined, field?: string): Record<string, string> {
  try {
    const whole: unknown = JSON.parse(json ?? '{}');
    const value = field === undefined || !isRecord(whole) ? whole : whole[field];
    const entries = Object.entries(isRecord(value) ? value : {});
    const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    return Object.fromEntries(texts.map(([key, text]) => [formatted(key), text]));
  } catch {
    return {};
  }
}

function formatted(name: string): string {
  return name.replace(/[. ]/g, '_').toUpperCase();
}
