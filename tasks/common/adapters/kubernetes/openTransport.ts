import { setMaxListeners } from 'node:events';
import type { Redact } from '../../core/text/secrets';
import { credentialSource, type AskToken } from './credentials';
import { readKubeconfig, type ClusterAccess } from './kubeconfig';
import { createTransport, defaultTiming, type Timing, type Transport } from './transport';

export interface TransportChoices {
  /** Ends every request with `Cancelled`. Leave it out if a cancelled task must still read. */
  signal?: AbortSignal;
  /** Called as soon as a token, password or key is read. */
  onSecret?: (secret: string) => void;
  /** Redacts all text from the API server and from credential plug-ins. */
  redact?: Redact;
  /** For proxies and credential plug-ins; the default is the environment of the process. */
  environment?: NodeJS.ProcessEnv;
  timing?: Partial<Timing>;
  /** Signs in without the credentials of the kubeconfig. */
  askToken?: AskToken | undefined;
}

/** Sends no request yet. Throws `ConnectionInvalid` if the kubeconfig cannot be used. */
export function openTransport(
  kubeconfigPath: string,
  choices: TransportChoices,
): { transport: Transport; access: ClusterAccess; timing: Timing } {
  const environment = choices.environment ?? process.env;
  const { signal, redact } = choices;
  const access = readKubeconfig(kubeconfigPath);
  // Many simultaneous requests listen to one signal, which is no leak.
  if (signal !== undefined) setMaxListeners(0, signal);
  const credentials = credentialSource(access, {
    askToken: choices.askToken,
    reread: () => readKubeconfig(kubeconfigPath),
    environment,
    onSecret: choices.onSecret ?? (() => undefined),
    now: () => Date.now(),
    redact,
    signal,
  });
  const timing = { ...defaultTiming, ...choices.timing };
  return { transport: createTransport({ access, credentials, environment, timing, redact, signal }), access, timing };
}
