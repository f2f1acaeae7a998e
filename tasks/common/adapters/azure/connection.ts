import { isIP } from 'node:net';
import path from 'node:path';
import { entraServerId } from '../../core/azure/aksKubeconfig';
import { readAzureConnection, type AzureConnection } from '../../core/azure/azureIdentity';
import { stoppedFailure, unresolvedFailure } from '../../core/azure/resourceManagerFailure';
import { TaskError } from '../../core/failure';
import type { AzureConnectionRequest } from '../../core/inputs/deployRequest';
import {
  kubeconfigForUser,
  standaloneKubeconfig,
  type Kubeconfig,
  type KubeconfigFiles,
} from '../../core/kubernetes/kubeconfig';
import type { Redact } from '../../core/text/secrets';
import { requiredConnection, type ServiceConnection } from '../agent/taskEnvironment';
import { openClusterIdentity } from '../kubernetes/clusterIdentity';
import { writeConnection, type ClusterConnection, type ConnectionHost } from '../kubernetes/connection';
import { codeOf } from '../kubernetes/errors';
import { proxyFor } from '../kubernetes/proxy';
import type { Timing } from '../kubernetes/transport';
import { federatedToken } from './federatedToken';
import { createAzureRequests, type AzureRequests } from './requests';
import { createResourceManager } from './resourceManager';
import { createSignIn, type SignIn } from './signIn';

export interface AzureHost extends ConnectionHost {
  redact: Redact;
  log(text: string): void;
}

export interface AzureOptions {
  /** Aborting ends every request. */
  signal: AbortSignal;
  timing?: Partial<Timing>;
  /** The credential plug-in; see `ClusterIdentity`. */
  program?: string;
}

/**
 * Signs in, gets the cluster's kubeconfig from Azure Resource Manager and writes one that holds no token of Entra ID.
 * Throws `ConnectionMissing`, `ConnectionInvalid`, `CredentialsRejected`, `PermissionDenied`, `InputInvalid` or
 * `ClusterUnreachable`. `close` also ends the sign-in.
 */
export async function openAzureConnection(
  host: AzureHost,
  request: AzureConnectionRequest,
  options: AzureOptions,
): Promise<ClusterConnection> {
  const { connection, requests, signIn: begun } = azureSignIn(host, request.id, options);
  try {
    const signIn = await begun();
    const askToken = signIn(connection.resourceManagerScope, 'Azure Resource Manager');
    const manager = createResourceManager({ ...request, connection, requests, askToken });
    const [text, cluster] = await Promise.all([manager.kubeconfig(), manager.facts()]);
    if (cluster?.isStopped === true) throw stoppedFailure(request.cluster);
    const given = readGiven(text);
    await refuseUnresolved(host, request, given, cluster?.isPrivate === true);
    return await withIdentity(host, { given, signIn, requests, program: options.program });
  } catch (error) {
    requests.close();
    throw error;
  }
}

interface AzureSignIn {
  connection: AzureConnection;
  /** To be closed by the caller, also if the sign-in fails. */
  requests: AzureRequests;
  signIn: () => Promise<SignIn>;
}

/** Throws as `openAzureConnection` does. */
export function azureSignIn(host: AzureHost, id: string, options: AzureOptions): AzureSignIn {
  const facts = azureFacts(host, id);
  const connection = readAzureConnection(facts);
  maskPem(host, facts);
  const requests = createAzureRequests({ ...options, environment: host.environment, redact: host.redact });
  return { connection, requests, signIn: () => signInWith(host, connection, requests) };
}

function azureFacts({ environment }: AzureHost, id: string): ServiceConnection {
  const facts = requiredConnection(environment, id, 'azureSubscription');
  const { scheme = '' } = facts;
  if (/^(?:Kubernetes|Token|None)$/i.test(scheme) || facts.authorization('kubeconfig') !== undefined) {
    throw new TaskError(
      'ConnectionInvalid',
      `The service connection of the input azureSubscription is of another type (its scheme is "${scheme}"). Give one of the type Azure Resource Manager, or set connectionType to kubernetesServiceConnection and name it in kubernetesServiceConnection.`,
    );
  }
  return facts;
}

/** A log shows a key line by line. */
function maskPem(host: AzureHost, facts: ServiceConnection): void {
  const lines = (facts.authorization('servicePrincipalCertificate') ?? '').split(/\r?\n/);
  for (const line of lines) if (line.trim() !== '' && !line.includes('-----')) host.mask(line.trim());
}

function signInWith(host: AzureHost, { identity }: AzureConnection, requests: AzureRequests): Promise<SignIn> {
  const onSecret = (secret: string): void => {
    host.mask(secret);
  };
  const assertion = (): Promise<string> => {
    if (identity.kind !== 'federated') return Promise.resolve('');
    return federatedToken({ environment: host.environment, requests, connectionId: identity.connectionId, onSecret });
  };
  return createSignIn({ identity, requests, assertion, onSecret });
}

const origin = 'the kubeconfig from Azure Resource Manager';

/** It came over the network, so it may name no file of the agent. */
const noFiles: KubeconfigFiles = {
  isAbsolute: (file) => path.isAbsolute(file),
  join: (folder, file) => path.join(folder, file),
  read: () => {
    throw new Error('not read');
  },
};

function readGiven(text: string): Kubeconfig {
  return standaloneKubeconfig([{ text, origin }], {}, noFiles);
}

/** The name of a private cluster is known in its own network only. A proxy looks names up by itself. */
async function refuseUnresolved(
  { environment }: AzureHost,
  { cluster }: AzureConnectionRequest,
  { server, cluster: { 'proxy-url': proxyUrl } }: Kubeconfig,
  isPrivate: boolean,
): Promise<void> {
  const url = new URL(server);
  const hasProxy = typeof proxyUrl === 'string';
  const inherited = { environment: environment.childEnvironment, proxyUrl: undefined };
  if (hasProxy || isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0 || proxyFor(url, inherited) !== undefined) return;
  // Other connections do not load it.
  const { lookup } = await import('node:dns/promises');
  try {
    await lookup(url.hostname);
  } catch (error) {
    if (codeOf(error) === 'ENOTFOUND') throw unresolvedFailure(cluster, url.hostname, isPrivate);
  }
}

interface Signed {
  given: Kubeconfig;
  signIn: SignIn;
  requests: AzureRequests;
  program: string | undefined;
}

async function withIdentity(host: AzureHost, { given, signIn, requests, program }: Signed): Promise<ClusterConnection> {
  const serverId = entraServerId(given);
  if (serverId === undefined) {
    requests.close();
    return writeConnection(host, kubeconfigForUser(given, given.user, origin));
  }
  const askToken = signIn(`${serverId}/.default`, 'the API server of the cluster');
  // A sign-in that does not work must be reported here, and not by Helm.
  await askToken();
  const onSecret = (secret: string): void => {
    host.mask(secret);
  };
  const identity = await openClusterIdentity({ askToken, onSecret, ...(program === undefined ? {} : { program }) });
  const connection = writeConnection(host, kubeconfigForUser(given, { exec: identity.exec }, origin));
  return {
    ...connection,
    identity,
    close: () => {
      identity.close();
      requests.close();
      connection.close();
    },
  };
}
