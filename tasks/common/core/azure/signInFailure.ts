import { TaskError, type FailureReason } from '../failure';
import type { AzureIdentity } from './azureIdentity';
import { between, quoted } from './quoted';

/** The answer of Microsoft Entra ID or of the metadata service, redacted. */
export interface SignInRefusal {
  /** For example `invalid_client`. */
  code: string;
  message: string;
}

/** What to do next, by the number of the service's own code AADSTS<number>. */
const nextSteps: Readonly<Record<string, string>> = {
  '7000215':
    'The secret is wrong (often the id of the secret was pasted, and not its value). Put the value of a current secret into the service connection.',
  '7000222':
    'The secret has expired. Make a new one for the app registration and put it into the service connection, or convert the connection to workload identity federation, which has no secret.',
  '700016':
    'The tenant does not know this client id. Check tenant and client id of the service connection, and that the app registration was not deleted.',
  '90002': 'There is no such tenant. Check the tenant id of the service connection, and its cloud.',
  '900023': 'There is no such tenant. Check the tenant id of the service connection, and its cloud.',
  '65001':
    'An administrator of the tenant has to consent to the application (Enterprise applications, Permissions, Grant admin consent).',
  '650057':
    'An administrator of the tenant has to consent to the application (Enterprise applications, Permissions, Grant admin consent).',
  '500011':
    'The tenant does not know the application that the token is for. Check that the cluster and the service connection belong to the same tenant and cloud.',
  '70021':
    "No federated credential of the app registration has this issuer and subject. Copy both from the service connection's page.",
  '700211':
    "No federated credential of the app registration has this issuer. Copy issuer and subject from the service connection's page.",
  '700213':
    "No federated credential of the app registration has this subject. Copy issuer and subject from the service connection's page; the subject changes if the project or the connection is renamed.",
  '700212':
    "No federated credential of the app registration has this audience. It has to be api://AzureADTokenExchange, or that of the connection's cloud.",
  '700024':
    "The proof of identity was not valid at this time. Compare the agent's clock with the time above; the task asks for a fresh proof each time.",
  '700027':
    'The certificate of the service connection is not registered, or has expired. Upload its public part to the app registration, or renew both.',
  '7000112': 'The application is disabled in the tenant. Its owner has to enable it.',
  '700005': 'The tenant does not accept this identity. Check tenant and client id of the service connection.',
  '53003':
    'A Conditional Access policy of the tenant blocks the sign-in from this agent. The owner of the policy has to make an exception.',
  '7000229': 'The tenant has no service principal of this application. Create one (az ad sp create --id CLIENT_ID).',
};

const generalStep: Readonly<Record<AzureIdentity['kind'], string>> = {
  secret: 'Check the secret, the client id and the tenant of the service connection (Verify on its page).',
  certificate: 'Check the certificate, the client id and the tenant of the service connection (Verify on its page).',
  federated:
    'Check the federated credential of the app registration against issuer and subject of the service connection.',
  managedIdentity:
    'Check that the machine of the agent has this managed identity (Identity, System assigned or User assigned).',
};

/** `what` names what the token is for, `now` the time of the agent. */
export function signInFailure(
  refusal: SignInRefusal,
  { kind, what, now }: { kind: AzureIdentity['kind']; what: string; now: string },
): TaskError {
  const text = essence(refusal.message);
  const number = /AADSTS(\d+)/.exec(refusal.message)?.[1] ?? '';
  const step = nextSteps[number] ?? generalStep[kind];
  const clock = number === '700024' ? ` It is ${now} on the agent.` : '';
  const service = kind === 'managedIdentity' ? 'the metadata service of the machine' : 'Microsoft Entra ID';
  const words = text === '' ? refusal.code : text;
  const message = `Signing in for ${what} with the connection of the input azureSubscription: ${service} refused: ${words}.${clock} ${step}`;
  return new TaskError('CredentialsRejected', message, { facts: number === '' ? {} : { code: `AADSTS${number}` } });
}

/** Without the ids that follow, which differ each time. */
function essence(message: string): string {
  const start = Math.max(message.indexOf('AADSTS'), 0);
  // The library writes an answer of the metadata service with marks around it.
  return quoted(between(between(message.slice(start), 'Description: ', ' - Correlation ID'), '', 'Trace ID:'));
}

/** Azure DevOps gave no proof of identity for the connection. `what` is a clause about its answer. */
export function assertionFailure(what: string, reason: FailureReason = 'CredentialsRejected'): TaskError {
  return new TaskError(
    reason,
    `Signing in with workload identity federation: Azure DevOps gave no token for the connection of the input azureSubscription: ${what}`,
  );
}
