/*
 * This file and its library are a bundle of their own, which only a connection to Azure loads. It therefore imports
 * nothing else: classes such as TaskError would exist twice.
 */
import { createHash, X509Certificate } from 'node:crypto';
import {
  AuthError,
  ConfidentialClientApplication,
  ManagedIdentityApplication,
  type INetworkModule,
  type NetworkRequestOptions,
  type NetworkResponse,
  type NodeAuthOptions,
} from '@azure/msal-node';

export type MsalIdentity =
  | { kind: 'managedIdentity'; clientId?: string }
  | {
      kind: 'application';
      authority: string;
      clientId: string;
      /** Exactly one of them. `assertion` is called for each token. */
      secret?: string;
      pem?: string;
      assertion?: () => Promise<string>;
    };

/** Sends one request. Its failures reach the caller of `MsalSignIn` unchanged. */
export type MsalSend = (request: {
  method: 'GET' | 'POST';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}) => Promise<{ status: number; headers: Record<string, string>; body: string }>;

/** Asks for a token for the scope `<resource>/.default`. `isFresh` skips the tokens that are kept in memory. */
export type MsalSignIn = (
  scope: string,
  isFresh: boolean,
) => Promise<{ token: string; expiresAt: number } | { refusal: { code: string; message: string } }>;

/** The library hides why a request failed. It also keeps the network of the first managed identity of a process. */
const failures: Error[] = [];

export function msalSignIn(identity: MsalIdentity, send: MsalSend): MsalSignIn {
  const networkClient = network(send);
  const acquire =
    identity.kind === 'managedIdentity' ? managed(identity, networkClient) : application(identity, networkClient);
  return async (scope, isFresh) => {
    failures.length = 0;
    try {
      const result = await acquire(scope, isFresh);
      if (!result?.accessToken) return { refusal: { code: 'no_token', message: 'the answer holds no token' } };
      return { token: result.accessToken, expiresAt: result.expiresOn?.getTime() ?? 0 };
    } catch (error) {
      const failure = failures.at(-1);
      if (failure !== undefined) throw failure;
      if (!(error instanceof AuthError)) throw error;
      return { refusal: { code: error.errorCode, message: error.errorMessage } };
    }
  };
}

type Acquire = (scope: string, isFresh: boolean) => Promise<{ accessToken: string; expiresOn: Date | null } | null>;

function managed({ clientId }: { clientId?: string }, networkClient: INetworkModule): Acquire {
  const client = new ManagedIdentityApplication({
    ...(clientId === undefined ? {} : { managedIdentityIdParams: { userAssignedClientId: clientId } }),
    system: { networkClient, disableInternalRetries: true },
  });
  return (scope, isFresh) =>
    client.acquireToken({ resource: scope.replace(/\/\.default$/, ''), forceRefresh: isFresh });
}

function application(identity: Extract<MsalIdentity, { kind: 'application' }>, networkClient: INetworkModule): Acquire {
  const { authority, clientId, secret, pem, assertion } = identity;
  const proof: Partial<NodeAuthOptions> =
    secret !== undefined
      ? { clientSecret: secret }
      : pem !== undefined
        ? { clientCertificate: certificateOf(pem) }
        : { clientAssertion: assertion ?? (() => Promise.resolve('')) };
  const client = new ConfidentialClientApplication({
    // Without a known host, the library would ask the public cloud about it.
    auth: { clientId, authority, knownAuthorities: [new URL(authority).host], ...proof },
    system: { networkClient },
  });
  return (scope, isFresh) => client.acquireTokenByClientCredential({ scopes: [scope], skipCache: isFresh });
}

function certificateOf(pem: string) {
  const blocks = (pattern: RegExp): string[] => pem.match(pattern) ?? [];
  const [privateKey = ''] = blocks(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/);
  const [first = '', ...chain] = blocks(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  const thumbprintSha256 = createHash('sha256').update(new X509Certificate(first).raw).digest('hex');
  return { privateKey, thumbprintSha256, x5c: [first, ...chain].join('\n') };
}

function network(send: MsalSend): INetworkModule {
  const ask = async <T>(
    method: 'GET' | 'POST',
    url: string,
    { headers = {}, body }: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> => {
    try {
      const answer = await send({ method, url, headers, ...(body === undefined ? {} : { body }) });
      return { status: answer.status, headers: answer.headers, body: parsed(answer.body) as T };
    } catch (thrown) {
      failures.push(thrown instanceof Error ? thrown : new Error(String(thrown)));
      throw thrown;
    }
  };
  return {
    sendGetRequestAsync: (url, options) => ask('GET', url, options),
    sendPostRequestAsync: (url, options) => ask('POST', url, options),
  };
}

/** A proxy may answer with a page. The library then reports that the answer has no token. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return { error: 'no_json', error_description: body.slice(0, 200) };
  }
}
