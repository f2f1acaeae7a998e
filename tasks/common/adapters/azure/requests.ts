import type { Redact } from '../../core/text/secrets';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import { serverAccess } from '../kubernetes/agentNetwork';
import { anonymous, type CredentialSource } from '../kubernetes/credentialSource';
import type { Answer, Attempt } from '../kubernetes/errors';
import type { ClusterAccess } from '../kubernetes/kubeconfig';
import { authorityVariables } from '../system/authorities';
import { createTransport, type Timing, type Transport } from '../kubernetes/transport';

export interface AzureRequest {
  method: 'GET' | 'POST';
  /** The whole address. */
  url: string;
  attempt: Attempt;
  body?: string;
  contentType?: string;
  headers?: Readonly<Record<string, string>>;
  /** Gives the headers that authenticate. */
  credentials?: CredentialSource;
  /** The metadata service answers on the machine itself, and never through a proxy. */
  isLocal?: boolean;
}

/** All requests of one step to Azure and to Azure DevOps that are not requests to a cluster. */
export interface AzureRequests {
  /** Retries what is worth it. Throws TaskError if no answer comes. */
  send(request: AzureRequest): Promise<Answer>;
  close(): void;
}

export interface AzureRequestsOptions {
  environment: TaskEnvironment;
  redact: Redact;
  signal: AbortSignal;
  timing?: Partial<Timing>;
}

/** Entra ID and Azure Resource Manager answer 429 and 503 for short periods. */
const patientTiming: Timing = {
  connectMs: 10_000,
  responseMs: 30_000,
  totalMs: 60_000,
  retryUnknownMs: 10_000,
  retryKnownMs: 60_000,
};
const answerMaxBytes = 4 * 1024 * 1024;

export function createAzureRequests(options: AzureRequestsOptions): AzureRequests {
  const { environment, redact, signal } = options;
  const open: { origin: string; credentials: CredentialSource; transport: Transport }[] = [];
  const transportTo = ({ url, credentials = anonymous, isLocal = false }: AzureRequest): Transport => {
    const { origin } = new URL(url);
    const known = open.find((each) => each.origin === origin && each.credentials === credentials);
    if (known !== undefined) return known.transport;
    const transport = createTransport({
      access: isLocal ? localAccess(origin) : serverAccess(origin, environment),
      credentials,
      environment: authorityVariables(environment.childEnvironment),
      timing: { ...patientTiming, ...options.timing },
      redact,
      signal,
    });
    open.push({ origin, credentials, transport });
    return transport;
  };
  return {
    async send(request) {
      const { method, attempt, body, contentType, headers } = request;
      const { pathname, search } = new URL(request.url);
      return transportTo(request).send({
        method,
        path: `${pathname}${search}`,
        attempt,
        maxBytes: answerMaxBytes,
        // None of these requests changes anything.
        retry: 'idempotent',
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        ...(contentType === undefined ? {} : { contentType }),
        ...(headers === undefined ? {} : { headers }),
      });
    },
    close() {
      for (const { transport } of open) transport.close();
    },
  };
}

function localAccess(server: string): ClusterAccess {
  return { server, skipTlsVerify: false, user: { impersonation: {} } };
}
