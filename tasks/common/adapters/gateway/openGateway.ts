import path from 'node:path';
import type { TaskError } from '../../core/failure';
import type { Redact } from '../../core/text/secrets';
import type { AskToken } from '../kubernetes/credentials';
import { openTransport } from '../kubernetes/openTransport';
import { privateFolder, type PrivateFolder } from '../agent/privateFolder';
import type { KeptField } from '../../core/release/keptFields';
import { keepFields } from './keepFields';
import { listenOnLoopback, type GatewayRequest } from './loopbackServer';
import type { Reply } from './reply';
import { createUpstream, type Upstream } from './upstream';

export interface GatewayOptions {
  /** The path of the kubeconfig for the API server. */
  kubeconfig: string;
  /** Signs in without the credentials of the kubeconfig. */
  askToken?: AskToken | undefined;
  namespace: string;
  /** The gateway makes its own folder beside it, so that its kubeconfig lies alone. */
  folder: PrivateFolder;
  /** For proxies and credential plug-ins. */
  environment: NodeJS.ProcessEnv;
  /** Called as soon as a secret is read or made. */
  onSecret: (secret: string) => void;
  redact?: Redact;
  /** Fields that no write through the gateway changes. */
  kept?: readonly KeptField[] | undefined;
}

export interface Gateway {
  /** The path of a kubeconfig that connects to the gateway. */
  kubeconfig: string;
  /** For a program that uses this kubeconfig: a home and a temporary folder without another kubeconfig, and a discovery cache of its own. */
  environment: Readonly<Record<string, string>>;
  /** The reasons why the API server gave no answer, oldest first. */
  failures(): readonly TaskError[];
  /** May be called several times. */
  close(): Promise<void>;
}

/** Helm's own limit (5 requests a second, 100 at once) protects clusters; here Helm talks to our gateway. */
export const unthrottled = { HELM_QPS: '1000', HELM_BURST_LIMIT: '2000' };

/** A webhook may take 30 s for a write, and several are called one after the other. */
const responseMs = 120_000;

/** Listens on 127.0.0.1 and accepts only clients with the token of the kubeconfig that it writes. */
export async function openGateway(
  options: GatewayOptions,
  handler: (upstream: Upstream) => (request: GatewayRequest) => Promise<Reply>,
): Promise<Gateway> {
  const { kubeconfig, askToken, environment, onSecret, folder, namespace, redact, kept = [] } = options;
  const closed = new AbortController();
  const choices = {
    askToken,
    environment,
    onSecret,
    timing: { responseMs },
    signal: closed.signal,
    ...(redact && { redact }),
  };
  const { transport } = openTransport(kubeconfig, choices);
  const upstream = createUpstream(transport);
  const handle = handler(upstream);
  const server = await listenOnLoopback((request) => handle(keepFields(request, kept)));
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
  const places = ['HOME', 'USERPROFILE', 'AGENT_TEMPDIRECTORY', 'TMPDIR', 'TEMP', 'TMP'];
  const home = Object.fromEntries(places.map((name): [string, string] => [name, own.path]));
  const cache = { KUBECACHEDIR: path.join(own.path, 'cache') };
  // Without these addresses a client cannot fall back to the service account of the agent's pod.
  const noPod = { KUBERNETES_SERVICE_HOST: '', KUBERNETES_SERVICE_PORT: '' };
  return { kubeconfig: file, environment: { ...home, ...cache, ...noPod }, failures: () => upstream.failures(), close };
}
