import type { AzureIdentity } from '../../core/azure/azureIdentity';
import { signInFailure } from '../../core/azure/signInFailure';
import { TaskError } from '../../core/failure';
import type { AskToken } from '../kubernetes/credentials';
import type { MsalIdentity, MsalSend } from './msal';
import type { AzureRequests } from './requests';

interface SignInOptions {
  identity: AzureIdentity;
  requests: AzureRequests;
  /** Gets a fresh proof of identity from Azure DevOps. */
  assertion: () => Promise<string>;
  /** Called as soon as a token is received. */
  onSecret: (secret: string) => void;
}

/** Returns a function that asks for a token of the identity. `what` names in messages what the token is for. */
export type SignIn = (scope: string, what: string) => AskToken;

/** Loads the library for Azure, so call it only for a connection that needs it. */
export async function createSignIn(options: SignInOptions): Promise<SignIn> {
  const { msalSignIn } = await import('./msal');
  const acquire = msalSignIn(msalIdentity(options), sender(options));
  return (scope, what) =>
    async ({ isFresh = false } = {}) => {
      const answer = await acquire(scope, isFresh);
      if ('refusal' in answer) {
        const { kind } = options.identity;
        throw signInFailure(answer.refusal, { kind, what, now: new Date().toISOString() });
      }
      options.onSecret(answer.token);
      return answer;
    };
}

function msalIdentity({ identity, assertion }: SignInOptions): MsalIdentity {
  if (identity.kind === 'managedIdentity') return identity;
  const { authority, clientId } = identity;
  const base = { kind: 'application', authority, clientId } as const;
  switch (identity.kind) {
    case 'secret':
      return { ...base, secret: identity.secret };
    case 'certificate':
      return { ...base, pem: identity.pem };
    case 'federated':
      return { ...base, assertion };
  }
}

function sender({ identity, requests }: SignInOptions): MsalSend {
  const isLocal = identity.kind === 'managedIdentity';
  const attempt = {
    verb: 'get',
    target: 'a token for the connection of the input azureSubscription',
    service: isLocal ? 'the metadata service of the machine' : 'the sign-in server',
  } as const;
  return async ({ headers, ...request }) => {
    const answer = await requests
      .send({ ...request, headers, attempt, isLocal, ...contentType(headers) })
      .catch((thrown: unknown) => {
        throw isLocal ? withoutMetadata(thrown) : thrown;
      });
    const retryAfter = answer.retryAfterMs === undefined ? {} : { 'Retry-After': String(answer.retryAfterMs / 1000) };
    return { status: answer.status, headers: retryAfter, body: answer.body.toString('utf8') };
  };
}

function contentType(headers: Readonly<Record<string, string>>): { contentType?: string } {
  const [, type] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type') ?? [];
  return type === undefined ? {} : { contentType: type };
}

function withoutMetadata(thrown: unknown): unknown {
  if (!(thrown instanceof TaskError) || thrown.reason !== 'ClusterUnreachable') return thrown;
  const message = `${thrown.message} A managed identity exists only on machines of Azure: run the job on an agent that has one, or use another scheme for the service connection.`;
  return new TaskError('CredentialsRejected', message, { cause: thrown });
}
