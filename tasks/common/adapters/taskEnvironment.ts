/**
 * What the agent hands to a task by its environment. Read by ourselves and not by task-lib, which prints every value it
 * reads as a debug command (kubeconfigs and values too) and rewrites a key file that other processes depend on.
 */

/** One service connection as the agent handed it over. */
export interface ServiceConnection {
  id: string;
  url: string | undefined;
  authorization(key: string): string | undefined;
  data(key: string): string | undefined;
}

export interface TaskEnvironment {
  /** As the agent sent it; undefined when it sent none. */
  input: (name: string) => string | undefined;
  /** A variable of the job, secret or not. */
  variable(name: string): string | undefined;
  /** What an earlier phase of the same step left with `setTaskVariable`. */
  taskVariable(name: string): string | undefined;
  serviceConnection(id: string): ServiceConnection | undefined;
  /** Ids of the service connections of this step, without the job's own. */
  serviceConnections: readonly string[];
  /** Everything secret that came with the job, but whole kubeconfigs: their credentials are told when they are read. */
  secrets: readonly string[];
  /** What a child may inherit: nothing of the above. */
  childEnvironment: NodeJS.ProcessEnv;
}

const agentsOwnConnection = 'SYSTEMVSSCONNECTION';

/** Parameters of connections that the agent calls secret with the others, but that name or certify things. */
const publicParameters =
  /^(?:KUBECONFIG|CLUSTERCONTEXT|SERVICEACCOUNTCERTIFICATE|SERVICEACCOUNTNAME|SECRETNAME|ROLEBINDINGNAME|ISCREATEDFROMSECRETYAML|NAMESPACE|TENANTID|SERVICEPRINCIPALID|AUTHENTICATIONTYPE|SCOPE|ROLE|ACCESSTOKENTYPE|ACCEPTUNTRUSTEDCERTS|AZURE(?:ENVIRONMENT|TENANTID|SUBSCRIPTION\w*))$/;

const handedOver = /^(?:INPUT_|ENDPOINT_|SECUREFILE_|SECRET_|VSTS_TASKVARIABLE_)|^VSTS_(?:PUBLIC|SECRET)_VARIABLES$/;

/** Takes everything at once and removes from `environment` what no child shall see. */
export function takeTaskEnvironment(environment: NodeJS.ProcessEnv): TaskEnvironment {
  const all = { ...environment };
  const taken = Object.keys(all).filter((name) => handedOver.test(name));
  for (const name of taken) Reflect.deleteProperty(environment, name);

  const ids = [...new Set(taken.flatMap((name) => /^ENDPOINT_(?:URL|AUTH_SCHEME)_([^_]+)$/.exec(name)?.[1] ?? []))];
  return {
    input: (name) => all[`INPUT_${formatted(name)}`],
    variable: (name) => all[`SECRET_${formatted(name)}`] ?? all[formatted(name)],
    taskVariable: (name) => all[`VSTS_TASKVARIABLE_${formatted(name)}`],
    serviceConnection: (wanted) => {
      const id = ids.find((known) => known.toLowerCase() === wanted.toLowerCase());
      if (id === undefined) return undefined;
      return {
        id,
        url: all[`ENDPOINT_URL_${id}`],
        authorization: (key) => all[`ENDPOINT_AUTH_PARAMETER_${id}_${formatted(key)}`] || undefined,
        data: (key) => all[`ENDPOINT_DATA_${id}_${formatted(key)}`] || undefined,
      };
    },
    serviceConnections: ids.filter((id) => id.toUpperCase() !== agentsOwnConnection),
    secrets: taken.filter(isSecret).flatMap((name) => all[name] || []),
    childEnvironment: Object.fromEntries(Object.entries(all).filter(([name]) => !handedOver.test(name))),
  };
}

function formatted(name: string): string {
  return name.replace(/[. ]/g, '_').toUpperCase();
}

function isSecret(name: string): boolean {
  if (/^SECRET_|^SECUREFILE_TICKET_/.test(name)) return true;
  const parameter = /^ENDPOINT_AUTH_PARAMETER_[^_]+_(.+)$/.exec(name)?.[1];
  return parameter !== undefined && !publicParameters.test(parameter);
}
