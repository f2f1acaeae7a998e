import { assertionFailure } from '../../core/azure/signInFailure';
import { isRecord } from '../../core/kubernetes/json';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import { snippet, type Answer } from '../kubernetes/errors';
import type { AzureRequests } from './requests';

interface FederatedTokenOptions {
  environment: TaskEnvironment;
  requests: AzureRequests;
  connectionId: string;
  onSecret: (secret: string) => void;
}

/** Asks Azure DevOps for a token that proves the connection to Entra ID. It is valid for about ten minutes. */
export async function federatedToken(options: FederatedTokenOptions): Promise<string> {
  const { environment, requests, connectionId, onSecret } = options;
  const token =
    environment.serviceConnection('SYSTEMVSSCONNECTION')?.authorization('AccessToken') ??
    environment.variable('System.AccessToken');
  if (!token) throw assertionFailure('the agent gave this step no access token of the job (System.AccessToken).');
  const answer = await requests.send({
    method: 'POST',
    url: `${oidcAddress(environment)}?api-version=7.1&serviceConnectionId=${encodeURIComponent(connectionId)}`,
    attempt: {
      verb: 'get',
      target: 'a token for the connection of the input azureSubscription',
      service: 'Azure DevOps',
    },
    body: '',
    contentType: 'application/json',
    // Without the second header, Azure DevOps answers a rejected token with a page to sign in.
    headers: { Authorization: `Bearer ${token}`, 'X-TFS-FedAuthRedirect': 'Suppress' },
  });
  const found = tokenIn(answer);
  if (found === undefined) throw assertionFailure(refusal(answer));
  onSecret(found);
  return found;
}

/** Older servers do not hand over System.OidcRequestUri, but have its address. */
function oidcAddress(environment: TaskEnvironment): string {
  const given = environment.variable('System.OidcRequestUri');
  if (given !== undefined && /^https?:\/\//i.test(given) && URL.canParse(given)) return given.split('?')[0] ?? given;
  const names = ['System.TeamProjectId', 'System.HostType', 'System.PlanId', 'System.JobId'];
  const [project, hub, plan, job] = names.map((name) => encodeURIComponent(environment.variable(name) ?? ''));
  const collection = environment.variable('System.CollectionUri');
  if (!collection || !URL.canParse(collection) || !project || !hub || !plan || !job) {
    throw assertionFailure('the agent did not name the address to ask (System.OidcRequestUri).');
  }
  const base = collection.replace(/(?<!\/)\/+$/, '');
  return `${base}/${project}/_apis/distributedtask/hubs/${hub}/plans/${plan}/jobs/${job}/oidctoken`;
}

function tokenIn({ status, body }: Answer): string | undefined {
  if (status !== 200) return undefined;
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    const token = isRecord(parsed) ? parsed['oidcToken'] : undefined;
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    return undefined;
  }
}

function refusal(answer: Answer): string {
  const { status } = answer;
  const text = snippet(answer);
  const answered = text === '' ? `it answered ${status}` : `it answered ${status}: ${text}`;
  if (status === 200 || (status >= 300 && status < 400) || status === 401) {
    return `${answered}. The job's access token was not accepted; the token of a job is valid only while the job runs.`;
  }
  if (status === 403 || status === 404) {
    return `${answered}. Check that the pipeline may use the service connection (its page, Security), and that it still exists.`;
  }
  return `${answered}. Run the step again later.`;
}
