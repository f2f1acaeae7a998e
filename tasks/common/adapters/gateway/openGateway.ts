import path from 'node:path';
import type { TaskError } from '../../core/failure';
import type { Redact } from '../../core/text/secrets';
import { openTransport } from '../kubernetes/openTransport';
import { privateFolder, type PrivateFolder } from '../agent/privateFolder';
import { listenOnLoopback, type GatewayRequest } from './loopbackServer';
import type { Reply } from './reply';
import { createUpstream, type Upstream } from './upstream';

export interface GatewayOptions {
  /** Path of the kubeconfig for the API server itself. */
  kubeconfig: string;
  namespace: string;
  /** The private folder of the step. The gateway makes its own folder beside it, so that its kubeconfig lies alone. */
  folder: PrivateFolder;
  /** Used for proxies and credential plug-ins of the connection to the API server. */
  environment: NodeJS.ProcessEnv;
  /** Called with every secret at the moment when it is read or made. */
  onSecret: (secret: string) => void;
  /** Redacts all text from the API server and Helm. */
  redact?: Redact;
}

export interface Gateway {
  /** Path of a kubeconfig that connects to the gateway. */
  kubeconfig: string;
  /**
   * Environment for a program that uses this kubeconfig. Its home folder contains no other kubeconfig, and its
   * discovery cache is removed with the gateway, because the address is used only once.
   */
  environment: Readonly<Record<string, string>>;
  /** Errors that kept the API server from answering, oldest first. */
  failures(): readonly TaskError[];
  /** Ends all connections and removes the files of the gateway. May be called several times. */
  close(): Promise<void>;
}

/**
 * Helm's own limit (5 requests a second, 100 at once) protects clusters that others use. Here Helm talks to our own
 * gateway, so the limit is lifted.
 */
export const unthrottled = { HELM_QPS: '1000', HELM_BURST_LIMIT: '2000' };

/** One webhook may take 30 s for a write, and several are called one after the other. */
const responseMs = 120_000;

/**
 * Opens a gateway whose requests `handler` answers. It lives as long as this process, listens on a port of 127.0.0.1,
 * and accepts only clients with the token of the kubeconfig that it writes.
 */
export async function openGateway(
  options: GatewayOptions,
  handler: (upstream: Upstream) => (request: GatewayRequest) => Promise<Reply>,
): Promise<Gateway> {
  const { kubeconfig, environment, onSecret, folder, namespace, redact } = options;
  const closed = new AbortController();
  const choices = { environment, onSecret, timing: { responseMs }, signal: closed.signal, ...(redact && { redact }) };
  const { transport } = openTransport(kubeconfig, choices);
  const upstream = createUpstream(transport);
  const server = await listenOnLoopback(handler(upstream));
  onSecret(server.token);
  const own = privateFolder(path.dirname(folder.path), () => undefined);
  let file: string | undefined;
  const close = async (): Promise<void> => {
    closed.abort();
    await server.close();
    transport.close();
    own.remove();
  };
  try {
    file = own.write('kubeconfig', server.kubeconfig(namespace));
  } catch (error) {
    await close();
    throw error;
  }
  const home = { HOME: own.path, USERPROFILE: own.path, KUBECACHEDIR: path.join(own.path, 'cache') };
  // Without these addresses a client cannot fall back to the service account of the agent's pod.
  const noPod = { KUBERNETES_SERVICE_HOST: '', KUBERNETES_SERVICE_PORT: '' };
  return { kubeconfig: file, environment: { ...home, ...noPod }, failures: () => upstream.failures(), close };
}
