/*
 * This code reads the environment without task-lib, because task-lib logs every value that it reads (kubeconfigs too)
 * and rewrites a key file that other processes need.
 */

import { TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';
import { environmentSecrets, userinfoSecretsIn } from '../../core/text/secretSources';
import { uniformEnvironment } from '../system/platform';
import { proxyVariables } from './agentProxy';

export interface ServiceConnection {
  id: string;
  url: string | undefined;
  /** For example `WorkloadIdentityFederation`. */
  scheme: string | undefined;
  authorization(key: string): string | undefined;
  data(key: string): string | undefined;
}

export interface TaskEnvironment {
  /** Returns the value as the agent sent it. */
  input: (name: string) => string | undefined;
  /** Finds secret variables too. */
  variable: (name: string) => string | undefined;
  /** Returns a value that an earlier phase of the step set. */
  taskVariable(name: string): string | undefined;
  serviceConnection: (id: string) => ServiceConnection | undefined;
  /** The ids leave out the job's own connection, and those that cannot be of a cluster. */
  serviceConnections: readonly string[];
  /** All secrets that came with the job. Those in kubeconfigs become known when the kubeconfigs are read. */
  secrets: readonly string[];
  /** Without any of the above, and with the proxy of the agent. On Windows all names are in capitals. */
  childEnvironment: NodeJS.ProcessEnv;
}

/** Throws `ConnectionMissing` if the agent handed over no connection with the id that the input holds. */
export function requiredConnection(
  { serviceConnection }: Pick<TaskEnvironment, 'serviceConnection'>,
  id: string,
  input: string,
): ServiceConnection {
  const connection = serviceConnection(id);
  if (connection !== undefined) return connection;
  throw new TaskError(
    'ConnectionMissing',
    `The agent handed over no service connection "${id}" for the input ${input}: it does not exist in this project, or the pipeline may not use it.`,
  );
}

const agentsOwnConnection = 'SYSTEMVSSCONNECTION';

/** The schemes of connections to Azure and to registries. */
const otherSchemes =
  /^(?:ServicePrincipal|WorkloadIdentityFederation|ManagedServiceIdentity|PublishProfile|UsernamePassword)$/i;

/** The agent treats these parameters as secret, but they only name or certify things. */
const publicParameters =
  /^(?:KUBECONFIG|CLUSTERCONTEXT|SERVICEACCOUNTCERTIFICATE|SERVICEACCOUNTNAME|SECRETNAME|ROLEBINDINGNAME|ISCREATEDFROMSECRETYAML|NAMESPACE|TENANTID|SERVICEPRINCIPALID|MSICLIENTID|WORKLOADIDENTITYFEDERATION\w*|AUTHENTICATIONTYPE|SCOPE|ROLE|ACCESSTOKENTYPE|ACCEPTUNTRUSTEDCERTS|REGISTRY|LOGINSERVER|EMAIL|AZURE(?:ENVIRONMENT|TENANTID|SUBSCRIPTION\w*))$/;

const handedOver = /^(?:INPUT_|ENDPOINT_|SECUREFILE_|SECRET_|VSTS_TASKVARIABLE_)|^VSTS_(?:PUBLIC|SECRET)_VARIABLES$/;

const addressInputs = ['CHART', 'CHARTREPOSITORY', 'VALUEFILES', 'HELMDOWNLOADURL', 'METRICS', 'METRICSSERVER'];

/** Removes from `environment` what no child process may see. */
export function takeTaskEnvironment(
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): TaskEnvironment {
  const all = { ...environment };
  const taken = Object.keys(all).filter((name) => handedOver.test(name));
  for (const name of taken) Reflect.deleteProperty(environment, name);

  const variable = (name: string): string | undefined => all[`SECRET_${formatted(name)}`] ?? all[formatted(name)];
  const inherited = uniformEnvironment(
    platform,
    Object.fromEntries(Object.entries(all).filter(([name]) => !handedOver.test(name))),
  );
  const childEnvironment = { ...inherited, ...proxyVariables(variable, inherited) };
  const ids = [...new Set(taken.flatMap((name) => connectionName.exec(name)?.[1] ?? []))];
  const connections = new Map(ids.map((id) => [id, connectionOf(all, id)]));
  return {
    input: (name) => all[`INPUT_${formatted(name)}`],
    variable,
    taskVariable: (name) => all[`VSTS_TASKVARIABLE_${formatted(name)}`],
    serviceConnection: (wanted) => {
      const id = ids.find((known) => known.toLowerCase() === wanted.toLowerCase());
      return id === undefined ? undefined : connections.get(id);
    },
    serviceConnections: ids.filter(
      (id) => id.toUpperCase() !== agentsOwnConnection && !otherSchemes.test(connections.get(id)?.scheme ?? ''),
    ),
    secrets: [
      ...taken.filter((name) => /^SECRET_|^SECUREFILE_TICKET_/.test(name)).flatMap((name) => all[name] || []),
      ...[...connections.values()].flatMap(({ secrets }) => secrets),
      ...addressInputs.flatMap((name) => userinfoSecretsIn(all[`INPUT_${name}`] ?? '')),
      ...environmentSecrets(childEnvironment),
    ],
    childEnvironment,
  };
}

const connectionName = /^ENDPOINT_(?:URL|AUTH_SCHEME|AUTH(?!_(?:SCHEME|PARAMETER)_))_(.+)$/;

/** The agent sends each parameter alone and all of them as JSON. Either is enough. */
function connectionOf(all: NodeJS.ProcessEnv, id: string): ServiceConnection & { secrets: readonly string[] } {
  const authorization = {
    ...jsonTexts(all[`ENDPOINT_AUTH_${id}`], 'parameters'),
    ...named(all, `ENDPOINT_AUTH_PARAMETER_${id}_`),
  };
  const data = { ...jsonTexts(all[`ENDPOINT_DATA_${id}`]), ...named(all, `ENDPOINT_DATA_${id}_`) };
  return {
    id,
    url: all[`ENDPOINT_URL_${id}`],
    scheme: all[`ENDPOINT_AUTH_SCHEME_${id}`] ?? jsonText(all[`ENDPOINT_AUTH_${id}`], 'scheme'),
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

/** By name in capitals. Empty if the JSON has no such object. */
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

function jsonText(json: string | undefined, field: string): string | undefined {
  return jsonTexts(json)[field.toUpperCase()];
}

function formatted(name: string): string {
  return name.replace(/[. ]/g, '_').toUpperCase();
}
