import path from 'node:path';
import type { TaskError } from '../../core/failure';
import type { Redact } from '../../core/text/secrets';
import { openTransport } from '../kubernetes/openTransport';
import { privateFolder, type PrivateFolder } from '../agent/privateFolder';
import { listenOnLoopback, type GatewayRequest } from './loopbackServer';
import type { Reply } from './reply';
import { createUpstream, type Upstream } from './upstream';

export interface GatewayOptions {
  /** Leads to the API server itself. */
  kubeconfig: string;
  namespace: string;
  /** Of the step. The gateway has one of its own beside it, so that nothing else lies beside its kubeconfig. */
  folder: PrivateFolder;
  /** For proxies and credential plug-ins on the way to the API server. */
  environment: NodeJS.ProcessEnv;
  /** Told of every secret at the moment it is read or made. */
  onSecret: (secret: string) => void;
  /** For all that the API server and Helm say. */
  redact?: Redact;
}

export interface Gateway {
  /** Path of a kubeconfig that leads through the gateway. */
  kubeconfig: string;
  /**
   * For whoever uses that kubeconfig: a home in which no other kubeconfig lies. What is discovered behind an address that
   * is used once is not to be kept.
   */
  environment: Readonly<Record<string, string>>;
  /** What kept the API server from answering, oldest first. */
  failures(): readonly TaskError[];
  /** Ends all connections and removes its files. Repeatable. */
  close(): Promise<void>;
}

/** Helm's own limit (5 requests a second, 100 at once) is for clusters that others use; this is a proxy of our own. */
export const unthrottled = { HELM_QPS: '1000', HELM_BURST_LIMIT: '2000' };

/** A webhook may take 30 s for a write, and several are asked one after the other. */
const responseMs = 120_000;

/**
 * Opens a way to the API server that leads through `handler`. It exists while this process does, on a port of
 * 127.0.0.1, for whoever has the token in the kubeconfig that is written.
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
  // Without an address a client does not fall back on the account of the agent's pod.
  const noPod = { KUBERNETES_SERVICE_HOST: '', KUBERNETES_SERVICE_PORT: '' };
  return { kubeconfig: file, environment: { ...home, ...noPod }, failures: () => upstream.failures(), close };
}
