import { TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';
import type { Redact } from '../../core/text/secrets';
import { anonymous } from './credentialSource';
import type { Answer } from './errors';
import { createTransport, defaultTiming } from './transport';

export interface OpenIdOptions {
  environment: NodeJS.ProcessEnv;
  redact?: Redact | undefined;
  signal: AbortSignal | undefined;
  /** Called for a refresh token that the provider gave. */
  onSecret: (secret: string) => void;
  now: () => number;
}

export interface OpenIdToken {
  token: string;
  /** Milliseconds since 1970; absent if the token does not say it. */
  expiresAt?: number;
}

/** An answer of a provider is a small JSON document. */
const answerMaxBytes = 1024 * 1024;

/**
 * The token of the auth-provider `oidc` of a kubeconfig, renewed by its refresh token if it has expired. `config` keeps
 * what the provider gave, since a refresh token may be valid once only. Throws `CredentialsRejected`.
 */
export async function openIdToken(config: Record<string, string>, options: OpenIdOptions): Promise<OpenIdToken> {
  const token = config['id-token'] ?? '';
  const expiresAt = expiryOf(token);
  if (token !== '' && (expiresAt ?? Infinity) > options.now()) return { token, ...(expiresAt && { expiresAt }) };
  for (const field of ['idp-issuer-url', 'client-id', 'refresh-token']) {
    if (!config[field]) throw rejected(`it is missing or expired, and the kubeconfig has no ${field} to renew it`);
  }
  const renewed = await renew(config, options);
  if (renewed['refresh-token'] !== undefined) options.onSecret(renewed['refresh-token']);
  Object.assign(config, renewed);
  const until = expiryOf(renewed['id-token']);
  return { token: renewed['id-token'], ...(until && { expiresAt: until }) };
}

/** Section 12 of OpenID Connect Core 1.0, and section 4 of OpenID Connect Discovery 1.0. */
async function renew(
  config: Record<string, string>,
  options: OpenIdOptions,
): Promise<{ 'id-token': string; 'refresh-token'?: string }> {
  const issuer = (config['idp-issuer-url'] ?? '').replace(/(?<!\/)\/+$/, '');
  const found = await ask(`${issuer}/.well-known/openid-configuration`, config, options);
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: config['refresh-token'] ?? '' });
  const { 'client-id': id = '', 'client-secret': secret = '' } = config;
  const ways = found['token_endpoint_auth_methods_supported'];
  const takesBasic = !Array.isArray(ways) || ways.includes('client_secret_basic');
  const isBasic = secret !== '' && takesBasic;
  if (!isBasic) form.set('client_id', id);
  if (!isBasic && secret !== '') form.set('client_secret', secret);
  const pair = [id, secret].map(encodeURIComponent).join(':');
  const headers = isBasic ? { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` } : {};
  const answer = await ask(String(found['token_endpoint']), config, options, { body: form.toString(), headers });
  const { id_token: token, refresh_token: next } = answer;
  if (typeof token !== 'string' || token === '') throw rejected('the answer of the provider holds no id_token');
  return { 'id-token': token, ...(typeof next === 'string' && next !== '' ? { 'refresh-token': next } : {}) };
}

interface Form {
  body: string;
  headers: Record<string, string>;
}

async function ask(url: string, config: Record<string, string>, options: OpenIdOptions, form?: Form) {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw rejected('its provider has no https address');
  const { origin, pathname, search } = new URL(url);
  const ca = config['idp-certificate-authority-data'];
  const transport = createTransport({
    access: {
      server: origin,
      skipTlsVerify: false,
      user: { impersonation: {} },
      ...(ca ? { ca: Buffer.from(ca, 'base64') } : {}),
    },
    credentials: anonymous,
    environment: options.environment,
    timing: defaultTiming,
    redact: options.redact,
    signal: options.signal,
  });
  try {
    const answer = await transport.send({
      method: form === undefined ? 'GET' : 'POST',
      path: `${pathname}${search}`,
      attempt: { verb: 'get', target: 'the OpenID token of the kubeconfig', service: 'the OpenID provider' },
      maxBytes: answerMaxBytes,
      // A refresh token may be valid once only.
      retry: form === undefined ? 'idempotent' : 'unsent',
      ...(form === undefined ? {} : { body: Buffer.from(form.body), headers: form.headers }),
      ...(form === undefined ? {} : { contentType: 'application/x-www-form-urlencoded' }),
    });
    return fieldsOf(answer, origin);
  } finally {
    transport.close();
  }
}

function fieldsOf({ status, body }: Answer, origin: string): Record<string, unknown> {
  const fields = parsed(body);
  if (status === 200 && fields !== undefined) return fields;
  const code = typeof fields?.['error'] === 'string' ? ` (${fields['error'].slice(0, 100)})` : '';
  throw rejected(`${origin} answered ${String(status)}${code}`);
}

function parsed(body: Buffer): Record<string, unknown> | undefined {
  try {
    const fields: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(fields) ? fields : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds since 1970. */
function expiryOf(token: string): number | undefined {
  const [, payload = ''] = token.split('.');
  const expiry = parsed(Buffer.from(payload, 'base64url'))?.['exp'];
  return typeof expiry === 'number' ? expiry * 1000 : undefined;
}

function rejected(why: string): TaskError {
  return new TaskError('CredentialsRejected', `The OpenID token of the kubeconfig cannot be used: ${why}.`);
}
