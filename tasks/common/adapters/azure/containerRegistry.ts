import { TaskError } from '../../core/failure';
import type { RegistryLogin } from '../../core/inputs/chartLogins';
import { isRecord } from '../../core/kubernetes/json';
import { azureSignIn, type AzureHost, type AzureOptions } from './connection';
import type { AzureRequests } from './requests';

/** The user of a refresh token. */
const tokenUser = '00000000-0000-0000-0000-000000000000';

/**
 * Signs in at a registry in Azure with the identity of a connection to Azure Resource Manager. `host` may have a port.
 * Throws `ChartAccessDenied` or `ChartSourceUnreachable`, or as the connection to the cluster does.
 */
export async function azureRegistryLogin(
  host: AzureHost,
  wanted: { id: string; host: string },
  options: AzureOptions,
): Promise<RegistryLogin> {
  const { connection, requests, signIn: begin } = azureSignIn(host, wanted.id, options);
  try {
    const askToken = (await begin())(connection.resourceManagerScope, 'Azure Resource Manager');
    const { token } = await askToken();
    const password = await registryRefreshToken(requests, wanted.host, token);
    return { server: wanted.host, username: tokenUser, password };
  } finally {
    requests.close();
  }
}

/** Exchanges an access token of Entra ID for a refresh token of the registry, which is the password of a login. */
async function registryRefreshToken(requests: AzureRequests, host: string, accessToken: string): Promise<string> {
  const form = new URLSearchParams({ grant_type: 'access_token', service: host, access_token: accessToken });
  const answer = await requests.send({
    method: 'POST',
    url: `https://${host}/oauth2/exchange`,
    attempt: { verb: 'get', target: `a login for ${host}`, service: 'the container registry' },
    body: form.toString(),
    contentType: 'application/x-www-form-urlencoded',
  });
  const token = answer.status === 200 ? tokenIn(answer.body.toString('utf8')) : undefined;
  if (token !== undefined) return token;
  const isRefused = answer.status === 401 || answer.status === 403;
  const means = isRefused
    ? 'it does not know the identity of azureSubscription; give it the role AcrPull on the registry, or name a login in containerRegistry'
    : 'this is no answer of a registry in Azure';
  const message = `Signing in at ${host} for the chart failed: it answered ${answer.status}, ${means}. Nothing was changed.`;
  throw new TaskError(isRefused ? 'ChartAccessDenied' : 'ChartSourceUnreachable', message);
}

function tokenIn(body: string): string | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const token = isRecord(value) ? value['refresh_token'] : undefined;
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    return undefined;
  }
}
