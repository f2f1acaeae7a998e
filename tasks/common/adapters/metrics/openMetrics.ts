import { readFileSync } from 'node:fs';
import { TaskError } from '../../core/failure';
import type { MetricsRequest } from '../../core/inputs/bakeRequest';
import type { ConnectionRequest } from '../../core/inputs/deployRequest';
import { azureMonitorScope, metricsLogin, type MetricsLogin } from '../../core/metrics/login';
import type { MetricsPort } from '../../core/ports';
import type { TaskAgent } from '../agent/agent';
import { requiredConnection } from '../agent/taskEnvironment';
import { azureSignIn } from '../azure/connection';
import { serverAccess } from '../kubernetes/agentNetwork';
import { credentialSource, type AskToken } from '../kubernetes/credentials';
import type { ClusterAccess } from '../kubernetes/kubeconfig';
import { createTransport, defaultTiming, type Transport } from '../kubernetes/transport';
import { authorityVariables, trustedAuthorities } from '../system/authorities';
import { createMetrics } from './metrics';

interface MetricsHost {
  agent: TaskAgent;
  signal: AbortSignal;
  connection: ConnectionRequest;
  /** The API server. */
  cluster: Transport;
}

export interface OpenMetrics extends MetricsPort {
  close(): void;
}

interface Access {
  login: MetricsLogin | undefined;
  azure: { origin: string; askToken: AskToken } | undefined;
  close(): void;
}

/**
 * Opens the way to the metrics servers. Throws `ConnectionMissing`, `ConnectionInvalid` or `InputInvalid`, and for a
 * workspace of Azure Monitor also what its sign-in throws.
 */
export async function openMetrics(host: MetricsHost, request: MetricsRequest): Promise<OpenMetrics> {
  const login = loginOf(host, request);
  const server = login === undefined ? request.server : ({ kind: 'address', url: login.url } as const);
  const access = { login, ...(await azureOf(host, request)) };
  const open = new Map<string, Transport>();
  const transportTo = (origin: string): Transport => {
    const transport = open.get(origin) ?? openTransportTo(origin, host, request, access);
    open.set(origin, transport);
    return transport;
  };
  return {
    ...createMetrics({ server, transportTo, cluster: host.cluster, redact: host.agent.redact }),
    close: () => {
      for (const transport of open.values()) transport.close();
      access.close();
    },
  };
}

function loginOf({ agent }: MetricsHost, { connection, server }: MetricsRequest): MetricsLogin | undefined {
  if (connection === undefined) return undefined;
  const login = metricsLogin(requiredConnection(agent.environment, connection, 'metricsConnection'), server);
  if (!('problem' in login)) return login;
  const message = `Input metricsConnection: the service connection cannot be used: ${login.problem}. Nothing was changed.`;
  throw new TaskError('ConnectionInvalid', message, { facts: { inputs: 'metricsConnection' } });
}

/** A workspace of Azure Monitor is asked with the identity of the connection to the cluster. */
async function azureOf(
  { agent, signal, connection }: MetricsHost,
  { connection: own, server }: MetricsRequest,
): Promise<Pick<Access, 'azure' | 'close'>> {
  const scope = azureMonitorScope(server);
  const isOurs = own === undefined && connection.type === 'azureResourceManager';
  if (scope === undefined || server?.kind !== 'address' || !isOurs) return { azure: undefined, close: () => undefined };
  const { requests, signIn } = azureSignIn(agent, connection.id, { signal });
  const close = (): void => {
    requests.close();
  };
  try {
    const askToken = (await signIn())(scope, 'Azure Monitor');
    await askToken();
    return { azure: { origin: new URL(server.url).origin, askToken }, close };
  } catch (error) {
    close();
    throw error;
  }
}

function openTransportTo(
  origin: string,
  { agent, signal }: MetricsHost,
  { caFile }: MetricsRequest,
  { login, azure }: Access,
): Transport {
  const trust = authorityVariables(agent.environment.childEnvironment);
  const access = serverAccess(origin, agent.environment);
  const isLogin = login !== undefined && new URL(login.url).origin === origin;
  const user = { impersonation: {}, ...(isLogin ? login.user : {}) };
  const ca =
    caFile === undefined ? {} : { ca: Buffer.concat([trustedAuthorities(trust), newline, readFileSync(caFile)]) };
  const known: ClusterAccess = { ...access, ...ca, user };
  const credentials = credentialSource(known, {
    askToken: azure?.origin === origin ? azure.askToken : undefined,
    reread: () => known,
    environment: {},
    onSecret: (secret) => {
      agent.mask(secret);
    },
    redact: agent.redact,
    now: () => Date.now(),
    signal,
  });
  return createTransport({
    access: known,
    credentials,
    environment: trust,
    timing: { ...defaultTiming, connectMs: 5_000 },
    redact: agent.redact,
    signal,
  });
}

const newline = Buffer.from('\n');
