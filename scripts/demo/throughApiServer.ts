import { credentialSource } from '../../tasks/common/adapters/kubernetes/credentials';
import { readKubeconfig } from '../../tasks/common/adapters/kubernetes/kubeconfig';
import { createTransport, defaultTiming } from '../../tasks/common/adapters/kubernetes/transport';
import { requestTimeoutMs, type Ask } from './client';

/**
 * Sends requests to pods through the API server (the subresource `proxy` of a pod), for clusters whose pods have no
 * address that this machine can reach. The connection to the API server is shared. The API server decides how it
 * connects to the pod.
 */
export function throughApiServer(kubeconfig: string, namespace: string): { ask: Ask; close: () => void } {
  const access = readKubeconfig(kubeconfig);
  const signal = undefined;
  const environment = process.env;
  const credentials = credentialSource(access, {
    reread: () => readKubeconfig(kubeconfig),
    environment,
    onSecret: () => undefined,
    now: () => Date.now(),
    signal,
  });
  const timing = {
    ...defaultTiming,
    connectMs: requestTimeoutMs,
    responseMs: requestTimeoutMs,
    totalMs: requestTimeoutMs,
  };
  const transport = createTransport({ access, credentials, environment, timing, signal });
  const ask: Ask = async ({ pod, port }) => {
    const answer = await transport.send({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy/`,
      attempt: { verb: 'get', target: `pod ${pod}` },
      accept: '*/*',
      retry: 'never',
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    return answer.status;
  };
  return {
    ask,
    close: () => {
      transport.close();
    },
  };
}
