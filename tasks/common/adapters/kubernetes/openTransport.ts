import { setMaxListeners } from 'node:events';
import type { Redact } from '../../core/text/secrets';
import { credentialSource } from './credentials';
import { readKubeconfig, type ClusterAccess } from './kubeconfig';
import { createTransport, defaultTiming, type Timing, type Transport } from './transport';

export interface TransportChoices {
  /** A context of the kubeconfig other than its current one. */
  context?: string;
  /** Ends every request with `Cancelled`. Leave it out where a cancelled task still has to read. */
  signal?: AbortSignal;
  /** Told of every token, password and key at the moment it is read, so that it can be masked. */
  onSecret?: (secret: string) => void;
  /** For all that the API server and credential plug-ins say. */
  redact?: Redact;
  /** For proxies and credential plug-ins; the process's own if absent. */
  environment?: NodeJS.ProcessEnv;
  timing?: Partial<Timing>;
}

/**
 * The way to the API server of a kubeconfig (a path, or several as in KUBECONFIG). No request is made yet. Throws
 * `ConnectionMissing` or `InputInvalid` for a kubeconfig that cannot be used.
 */
export function openTransport(
  kubeconfigPath: string,
  choices: TransportChoices,
): { transport: Transport; access: ClusterAccess; timing: Timing } {
  const environment = choices.environment ?? process.env;
  const { signal, redact } = choices;
  const access = readKubeconfig(kubeconfigPath, choices.context);
  // Many requests at a time listen to one signal: that is no leak.
  if (signal !== undefined) setMaxListeners(0, signal);
  const credentials = credentialSource(access, {
    reread: () => readKubeconfig(kubeconfigPath, choices.context),
    environment,
    onSecret: choices.onSecret ?? (() => undefined),
    now: () => Date.now(),
    redact,
    signal,
  });
  const timing = { ...defaultTiming, ...choices.timing };
  return { transport: createTransport({ access, credentials, environment, timing, redact, signal }), access, timing };
}
