import { kubeconfigFiles, kubeconfigSource } from './kubeconfig';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { AzureConnectionRequest, ConnectionRequest } from '../../core/inputs/deployRequest';
import { TaskError } from '../../core/failure';
import {
  serviceAccountKubeconfig,
  standaloneKubeconfig,
  type Kubeconfig,
  type KubeconfigWishes,
} from '../../core/kubernetes/kubeconfig';
import type { ClusterIdentity } from './clusterIdentity';
import type { PrivateFolder } from '../agent/privateFolder';
import { requiredConnection, type ServiceConnection, type TaskEnvironment } from '../agent/taskEnvironment';

/** Helm and our own client share it. */
export interface ClusterConnection {
  /** The file lies in the private folder and has mode 0600. */
  kubeconfigPath: string;
  server: string;
  namespace?: string;
  /** Present if the kubeconfig holds no credential, and the task signs in. */
  identity?: ClusterIdentity;
  /** Removes the private folder. Synchronous and repeatable; also runs when the process exits. */
  close(): void;
}

export interface ConnectionHost {
  environment: TaskEnvironment;
  privateFolder: PrivateFolder;
  mask(secret: string): void;
}

/**
 * Masks every credential before anything is written. Throws `ConnectionMissing` if the inputs and the agent name no
 * cluster, and `ConnectionInvalid` if the connection cannot be used. A pod finds its service account in `podFolder`.
 */
export function openConnection(
  host: ConnectionHost,
  request: Exclude<ConnectionRequest, AzureConnectionRequest>,
  podFolder = '/var/run/secrets/kubernetes.io/serviceaccount',
): ClusterConnection {
  return writeConnection(host, readKubeconfig(request, host.environment, podFolder));
}

/** Masks every credential before anything is written. */
export function writeConnection(host: ConnectionHost, kubeconfig: Kubeconfig): ClusterConnection {
  for (const secret of kubeconfig.secrets) host.mask(secret);
  const close = (): void => {
    host.privateFolder.remove();
    process.removeListener('exit', close);
  };
  process.on('exit', close);
  const { text, server, namespace } = kubeconfig;
  const kubeconfigPath = host.privateFolder.write('kubeconfig', text);
  return { kubeconfigPath, server, ...(namespace === undefined ? {} : { namespace }), close };
}

function readKubeconfig(
  request: Exclude<ConnectionRequest, AzureConnectionRequest>,
  environment: TaskEnvironment,
  podFolder: string,
): Kubeconfig {
  switch (request.type) {
    case 'kubernetesServiceConnection':
      return serviceConnectionKubeconfig(request.id, environment);
    case 'none':
      return agentsKubeconfig(environment.childEnvironment, podFolder);
  }
}

function serviceConnectionKubeconfig(id: string, environment: TaskEnvironment): Kubeconfig {
  const connection = requiredConnection(environment, id, 'kubernetesServiceConnection');
  const { scheme = '' } = connection;
  if (/^(?:ServicePrincipal|WorkloadIdentityFederation|ManagedServiceIdentity)$/i.test(scheme)) {
    throw new TaskError(
      'ConnectionInvalid',
      `The service connection of the input kubernetesServiceConnection is one for Azure Resource Manager (its scheme is "${scheme}"). Set connectionType to azureResourceManager and name it in azureSubscription, or give a Kubernetes service connection.`,
    );
  }
  const type = connection.data('authorizationType') ?? 'Kubeconfig';
  switch (type.toLowerCase()) {
    case 'kubeconfig':
      return kubeconfigConnection(connection);
    case 'serviceaccount':
    case 'azuresubscription':
      return serviceAccountConnection(connection);
    default:
      throw new TaskError(
        'ConnectionInvalid',
        `Reading the service connection: its authorization type "${type}" is not known; Kubeconfig, ServiceAccount and AzureSubscription are.`,
      );
  }
}

const origin = 'the service connection';

function kubeconfigConnection(connection: ServiceConnection): Kubeconfig {
  const text = connection.authorization('kubeconfig');
  if (text === undefined) throw new TaskError('ConnectionInvalid', `Reading ${origin}: it holds no kubeconfig.`);
  const context = connection.authorization('clusterContext');
  const wishes: KubeconfigWishes = { ...(context === undefined ? {} : { context }), ...commonWishes(connection) };
  return standaloneKubeconfig([{ text, origin: `the kubeconfig of ${origin}` }], wishes, kubeconfigFiles);
}

function serviceAccountConnection(connection: ServiceConnection): Kubeconfig {
  const token = connection.authorization('apitoken');
  if (token === undefined) throw new TaskError('ConnectionInvalid', `Reading ${origin}: it holds no token.`);
  return serviceAccountKubeconfig({
    origin,
    server: connection.url ?? '',
    token,
    certificate: connection.authorization('serviceAccountCertificate') ?? '',
    ...commonWishes(connection),
  });
}

function commonWishes(connection: ServiceConnection): { acceptUntrustedCerts: boolean; namespace?: string } {
  const accept = connection.data('acceptUntrustedCerts') ?? connection.authorization('acceptUntrustedCerts');
  const namespace = (connection.data('namespace') ?? connection.authorization('namespace'))?.trim();
  return { acceptUntrustedCerts: /^true$/i.test(accept ?? ''), ...(namespace ? { namespace } : {}) };
}

/** Looks like client-go at KUBECONFIG, at the kubeconfig in the home folder, and at the pod's service account. */
function agentsKubeconfig(environment: NodeJS.ProcessEnv, podFolder: string): Kubeconfig {
  const named = (environment['KUBECONFIG'] ?? '').split(path.delimiter).filter((file) => file !== '');
  const home = environment['HOME'] || environment['USERPROFILE'] || homedir();
  const wanted = named.length > 0 ? named : [path.join(home, '.kube', 'config')];
  const sources = wanted.filter((file) => existsSync(file)).map(kubeconfigSource);
  const filled = sources.filter(({ text }) => text.trim() !== '');
  if (filled.length > 0) return standaloneKubeconfig(filled, helmWishes(environment), kubeconfigFiles);
  return podKubeconfig(environment, podFolder, wanted);
}

function podKubeconfig(environment: NodeJS.ProcessEnv, folder: string, tried: readonly string[]): Kubeconfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  const tokenFile = path.join(folder, 'token');
  if (!host || !port || !existsSync(tokenFile)) {
    throw new TaskError(
      'ConnectionMissing',
      `connectionType is none, but the agent has no cluster of its own: there is no ${tried.join(', no ')}, and it runs in no pod with a service account.`,
    );
  }
  const address = host.includes(':') ? `[${host}]` : host;
  const config = {
    clusters: [
      {
        name: 'pod',
        cluster: { server: `https://${address}:${port}`, 'certificate-authority': path.join(folder, 'ca.crt') },
      },
    ],
    users: [{ name: 'pod', user: { tokenFile } }],
    contexts: [
      { name: 'pod', context: { cluster: 'pod', user: 'pod', namespace: readIfThere(path.join(folder, 'namespace')) } },
    ],
    'current-context': 'pod',
  };
  const { context: _context, ...wishes } = helmWishes(environment);
  return standaloneKubeconfig(
    [{ text: JSON.stringify(config), origin: "the pod's service account" }],
    wishes,
    kubeconfigFiles,
  );
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Earlier steps may have left settings for Helm in HELM_ variables. Our kubeconfig replaces these variables. */
function helmWishes(environment: NodeJS.ProcessEnv): KubeconfigWishes {
  const given = (name: string): string | undefined => environment[`HELM_${name}`] || undefined;
  const authority = given('KUBECAFILE');
  const cluster = {
    server: given('KUBEAPISERVER'),
    'tls-server-name': given('KUBETLS_SERVER_NAME'),
    'insecure-skip-tls-verify': /^(?:1|t|true)$/i.test(given('KUBEINSECURE_SKIP_TLS_VERIFY') ?? '') || undefined,
    'certificate-authority-data': authority === undefined ? undefined : readFileSync(authority).toString('base64'),
  };
  const user = { token: given('KUBETOKEN'), as: given('KUBEASUSER'), 'as-groups': given('KUBEASGROUPS')?.split(',') };
  const context = given('KUBECONTEXT');
  const namespace = given('NAMESPACE');
  return {
    cluster: withoutAbsent(cluster),
    user: withoutAbsent(user),
    ...(context === undefined ? {} : { context }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

function withoutAbsent(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
