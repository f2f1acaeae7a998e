import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  verify,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { generate } from 'selfsigned';
import type { ServiceConnection } from './agent';
import { certificates, reply } from './stubApiServer';

/**
 * A stand-in for Microsoft Entra ID, the OIDC endpoint of Azure DevOps and Azure Resource Manager (one HTTPS server),
 * and for the metadata service of a machine (HTTP). Its tokens are real JWTs, and its answers have the form of the real
 * services.
 */
export interface Azure {
  readonly origin: string;
  /** The authority that issued the certificate, as PEM. */
  readonly ca: string;
  /** The issuer of the tokens; its keys can be discovered there. */
  readonly issuer: string;
  /** Value of AZURE_POD_IDENTITY_AUTHORITY_HOST. */
  readonly metadataAddress: string;
  /** A test may change it at any time. */
  readonly state: AzureState;
  /** Puts state, requests and handlers back to the beginning. */
  reset(): void;
  /** All received requests, oldest first. */
  readonly requests: readonly AzureCall[];
  /** These handlers come first, the last one before the others. A handler returns false to pass the request on. */
  readonly handlers: AzureCallHandler[];
  /** A connection of the type Azure Resource Manager, as the server hands it over. */
  connection(scheme: AzureScheme, change?: Partial<ServiceConnection>): ServiceConnection;
  /** A token for the API server of a cluster. */
  clusterToken(audience?: string): string;
  close(): Promise<void>;
}

export type AzureScheme = 'secret' | 'certificate' | 'federated' | 'systemIdentity' | 'userIdentity';

export interface AzureCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** The fields of a form; empty for others. */
  readonly form: URLSearchParams;
}

export type AzureCallHandler = (call: AzureCall, response: ServerResponse) => boolean;

export interface AzureState {
  secret: string;
  /** More secrets of the same application, as during a rotation. */
  otherSecrets: string[];
  isSecretExpired: boolean;
  /** The claims of Azure DevOps for the connection. */
  federation: { issuer: string; subject: string };
  /** The federated credential of the app registration; undefined: the same. */
  registered: { issuer: string; subject: string } | undefined;
  /** The token of the job, which Azure DevOps accepts. */
  jobToken: string;
  /** Lifetime of tokens, unless `lifetimes` has another one for what they are for. Unit: seconds. */
  lifetimeSeconds: number;
  lifetimes: Record<string, number>;
  /** Groups of the identity, as in its tokens. */
  groups: string[];
  /** Difference of the clock of Entra ID to that of this machine. Unit: seconds. */
  clockSkewSeconds: number;
  /** By name in lower case. */
  clusters: Map<string, AzureClusterState>;
  fleets: Map<string, AzureClusterState>;
}

export interface AzureClusterState {
  /** The text of the kubeconfig. */
  user: string;
  admin?: string;
  /** Local accounts are disabled. */
  isLocalOff?: boolean;
  /** False: the role is missing. */
  mayGet?: boolean;
  properties?: object;
}

export const tenant = '72f988bf-0000-4000-8000-000000000001';
export const clientId = 'c1111111-0000-4000-8000-000000000001';
export const objectId = '0b1ec700-0000-4000-8000-000000000001';
export const subscription = '5b5c0000-0000-4000-8000-000000000001';
export const serverId = '6dae42f8-4368-4678-94ff-3960e28e3630';

/** The kubeconfig of an AKS cluster with Entra ID. */
export function entraKubeconfig(server: string, ca: string, audience = serverId): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const args = ['get-token', '--environment', 'AzurePublicCloud', '--server-id', audience, '--client-id', 'any', '--tenant-id', tenant, '--login', 'devicecode']; // prettier-ignore
  const exec = { apiVersion: 'client.authentication.k8s.io/v1beta1', command: 'kubelogin', args, env: null };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'aks', cluster }],
    users: [{ name: 'clusterUser_shop_aks', user: { exec } }],
    contexts: [{ name: 'aks', context: { cluster: 'aks', user: 'clusterUser_shop_aks' } }],
    'current-context': 'aks',
  });
}

interface Keys {
  signing: KeyObject;
  devOps: KeyObject;
  /** The certificate of the application with its key, as PEM. */
  application: string;
}

/** `host` is an address of this machine; the metadata service is always local. */
export async function startAzure(host = '127.0.0.1'): Promise<Azure> {
  const tls = await certificates({ ip: host });
  const pem = await generate([{ name: 'commonName', value: 'deployer' }], { keySize: 2048, algorithm: 'sha256' });
  const keys: Keys = {
    signing: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    devOps: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    application: `${pem.private}${pem.cert}`,
  };
  const state = {} as AzureState;
  const initial = (): AzureState => ({
    secret: 'geheim~Secret.value-1',
    otherSecrets: [],
    isSecretExpired: false,
    federation: { issuer: 'https://vstoken.dev.azure.com/0a0a', subject: 'sc://fabrikam/shop/azure' },
    registered: undefined,
    jobToken: 'job-token-of-this-run',
    lifetimeSeconds: 3600,
    lifetimes: {},
    groups: [],
    clockSkewSeconds: 0,
    clusters: new Map(),
    fleets: new Map(),
  });
  Object.assign(state, initial());
  const requests: AzureCall[] = [];
  const handlers: AzureCallHandler[] = [];
  const take = async (incoming: IncomingMessage): Promise<AzureCall> => {
    const url = new URL(incoming.url ?? '', 'https://any');
    const body = await buffer(incoming);
    const call = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      form: new URLSearchParams(body.toString('utf8')),
    };
    requests.push(call);
    return call;
  };
  const service: Service = { origin: '', issuer: '', state, keys };
  const server = https.createServer({ cert: tls.certificate, key: tls.key }, (incoming, response) => {
    void take(incoming).then((call) => {
      const isHandled = handlers.toReversed().some((handler) => handler(call, response));
      if (!isHandled) answer(service, call, response);
    });
  });
  const metadata = http.createServer((incoming, response) => {
    void take(incoming).then((call) => {
      const isHandled = handlers.toReversed().some((handler) => handler(call, response));
      if (!isHandled) answerMetadata(service, call, response);
    });
  });
  server.listen(0, host);
  metadata.listen(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(metadata, 'listening')]);
  const origin = `https://${host}:${String((server.address() as AddressInfo).port)}`;
  const issuer = `${origin}/${tenant}/v2.0`;
  Object.assign(service, { origin, issuer });
  return {
    origin,
    ca: tls.ca,
    issuer,
    metadataAddress: `http://127.0.0.1:${String((metadata.address() as AddressInfo).port)}`,
    state,
    reset: () => {
      Object.assign(state, initial());
      requests.length = 0;
      handlers.length = 0;
    },
    requests,
    handlers,
    connection: (scheme, change) => ({ ...serviceConnection(service, scheme), ...change }),
    clusterToken: (audience = serverId) => accessToken(service, audience),
    close: async () => {
      for (const each of [server, metadata]) {
        each.closeAllConnections();
        await new Promise((resolve) => each.close(resolve));
      }
    },
  };
}

interface Service {
  origin: string;
  issuer: string;
  state: AzureState;
  keys: Keys;
}

function serviceConnection({ origin, state, keys }: Service, scheme: AzureScheme): ServiceConnection {
  const data = {
    subscriptionId: subscription,
    subscriptionName: 'Shop',
    environment: 'AzureCloud',
    activeDirectoryAuthority: `${origin}/`,
    ...(scheme === 'userIdentity' ? { msiClientId: clientId } : {}),
  };
  const application = { tenantid: tenant, serviceprincipalid: clientId };
  const auth: Record<AzureScheme, Record<string, string>> = {
    secret: { ...application, authenticationType: 'spnKey', serviceprincipalkey: state.secret },
    certificate: {
      ...application,
      authenticationType: 'spnCertificate',
      servicePrincipalCertificate: keys.application,
    },
    federated: {
      ...application,
      workloadIdentityFederationSubject: state.federation.subject,
      workloadIdentityFederationIssuer: state.federation.issuer,
    },
    systemIdentity: { tenantid: tenant },
    userIdentity: { tenantid: tenant },
  };
  const schemes: Record<AzureScheme, string> = {
    secret: 'ServicePrincipal',
    certificate: 'ServicePrincipal',
    federated: 'WorkloadIdentityFederation',
    systemIdentity: 'ManagedServiceIdentity',
    userIdentity: 'ManagedServiceIdentity',
  };
  return {
    id: '2b2b2b2b-0000-4000-8000-00000000000a',
    name: 'azure',
    type: 'AzureRM',
    url: `${origin}/`,
    scheme: schemes[scheme],
    auth: auth[scheme],
    data,
  };
}

function answer(service: Service, call: AzureCall, response: ServerResponse): void {
  const { origin, issuer, keys } = service;
  const { path } = call;
  if (path === `/${tenant}/oauth2/v2.0/token`) {
    answerToken(service, call, response);
  } else if (path.endsWith('/.well-known/openid-configuration')) {
    if (!path.startsWith(`/${tenant}/`)) {
      const text = `AADSTS90002: Tenant '${path.split('/')[1] ?? ''}' not found. Check to make sure you have the correct tenant ID. Trace ID: ${randomUUID()}`;
      reply(response, 400, { error: 'invalid_tenant', error_description: text, error_codes: [90002] });
      return;
    }
    reply(response, 200, {
      issuer,
      token_endpoint: `${origin}/${tenant}/oauth2/v2.0/token`,
      authorization_endpoint: `${origin}/${tenant}/oauth2/v2.0/authorize`,
      end_session_endpoint: `${origin}/${tenant}/oauth2/v2.0/logout`,
      jwks_uri: `${origin}/${tenant}/discovery/v2.0/keys`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
  } else if (path === '/common/discovery/instance') {
    reply(response, 200, {
      tenant_discovery_endpoint: `${issuer}/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [],
    });
  } else if (path === `/${tenant}/discovery/v2.0/keys`) {
    const jwk = createPublicKey(keys.signing).export({ format: 'jwk' });
    reply(response, 200, { keys: [{ ...jwk, kid: keyId, use: 'sig', alg: 'RS256' }] });
  } else if (path.endsWith('/oidctoken')) {
    answerOidc(service, call, response);
  } else if (path.startsWith('/subscriptions/')) {
    answerResource(service, call, response);
  } else {
    reply(response, 404, { message: 'no such path' });
  }
}

const keyId = 'key-1';

/** A refusal of Entra ID. */
function refuse(response: ServerResponse, number: number, text: string, error = 'invalid_client'): void {
  const description = `AADSTS${String(number)}: ${text} Trace ID: ${randomUUID()} Correlation ID: ${randomUUID()} Timestamp: 2026-11-30 00:00:00Z`;
  const status = error === 'invalid_client' ? 401 : 400;
  reply(response, status, { error, error_description: description, error_codes: [number], trace_id: randomUUID() });
}

function answerToken(service: Service, { form }: AzureCall, response: ServerResponse): void {
  const { state } = service;
  const scope = form.get('scope') ?? '';
  const resource = /^(\S+)\/\.default/.exec(scope)?.[1];
  if (form.get('client_id') !== clientId) {
    const text = `Application with identifier '${form.get('client_id') ?? ''}' was not found in the directory 'Fabrikam'.`;
    refuse(response, 700016, text, 'unauthorized_client');
    return;
  }
  if (form.get('grant_type') !== 'client_credentials' || resource === undefined) {
    refuse(response, 900144, 'The request body must contain the parameters.', 'invalid_request');
    return;
  }
  const assertion = form.get('client_assertion');
  const secret = form.get('client_secret');
  if (secret !== null && ![state.secret, ...state.otherSecrets].includes(secret)) {
    refuse(
      response,
      7000215,
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${clientId}'.`,
    );
  } else if (secret !== null && state.isSecretExpired) {
    refuse(response, 7000222, `The provided client secret keys for app '${clientId}' are expired.`);
  } else if (secret === null && !isProven(service, assertion ?? '', response)) {
    return;
  } else {
    sendToken(service, resource, response);
  }
}

/** Entra ID tolerates small differences of clocks. */
const leewaySeconds = 300;

/** Answers with the refusal if the assertion proves nothing. */
function isProven({ keys, state, origin }: Service, assertion: string, response: ServerResponse): boolean {
  const { header, claims, isSignedBy } = readJwt(assertion);
  const now = Date.now() / 1000 + state.clockSkewSeconds;
  if (Number(claims['exp']) + leewaySeconds < now || Number(claims['nbf']) - leewaySeconds > now) {
    refuse(
      response,
      700024,
      `Client assertion is not within its valid time range. Current time: ${new Date(now * 1000).toISOString()}.`,
    );
    return false;
  }
  if (header['x5t#S256'] !== undefined || header['x5t'] !== undefined) {
    const certificate = new X509Certificate(keys.application.slice(keys.application.indexOf('-----BEGIN CERT')));
    const thumbprint = createHash('sha256').update(certificate.raw).digest('base64url');
    const isOurs = header['x5t#S256'] === thumbprint && claims['aud'] === `${origin}/${tenant}/oauth2/v2.0/token`;
    if (isOurs && isSignedBy(certificate.publicKey)) return true;
    refuse(
      response,
      700027,
      'The certificate with identifier used to sign the client assertion is not registered on application.',
    );
    return false;
  }
  if (!isSignedBy(createPublicKey(keys.devOps)) || claims['aud'] !== 'api://AzureADTokenExchange') {
    refuse(response, 700212, 'No matching federated identity record found for presented assertion audience.');
    return false;
  }
  const { issuer, subject } = state.registered ?? state.federation;
  if (claims['iss'] !== issuer || claims['sub'] !== subject) {
    refuse(
      response,
      700213,
      `No matching federated identity record found for presented assertion subject '${String(claims['sub'])}'.`,
      'invalid_request',
    );
    return false;
  }
  return true;
}

function sendToken(service: Service, resource: string, response: ServerResponse): void {
  const seconds = lifetimeOf(service, resource);
  reply(response, 200, {
    token_type: 'Bearer',
    expires_in: seconds,
    ext_expires_in: seconds,
    access_token: accessToken(service, resource),
  });
}

function lifetimeOf({ state }: Service, resource: string): number {
  return state.lifetimes[resource] ?? state.lifetimeSeconds;
}

function accessToken(service: Service, resource: string): string {
  const { issuer, state, keys } = service;
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: resource,
    iss: issuer,
    iat: now,
    nbf: now,
    exp: now + lifetimeOf(service, resource),
    appid: clientId,
    oid: objectId,
    sub: objectId,
    tid: tenant,
    groups: state.groups,
    uti: randomUUID(),
  };
  return jwt(claims, keys.signing);
}

function answerOidc({ state, keys }: Service, call: AzureCall, response: ServerResponse): void {
  const { headers, query } = call;
  if (headers['x-tfs-fedauthredirect'] !== 'Suppress' || headers.authorization !== `Bearer ${state.jobToken}`) {
    response.writeHead(302, { Location: 'https://spsprodeus.vssps.visualstudio.com/_signin' });
    response.end();
    return;
  }
  if (call.method !== 'POST' || query.get('api-version') !== '7.1' || query.get('serviceConnectionId') === null) {
    reply(response, 400, { message: 'The request is not understood.' });
    return;
  }
  const now = Math.floor(Date.now() / 1000);
  const { issuer, subject } = state.federation;
  const claims = {
    iss: issuer,
    sub: subject,
    aud: 'api://AzureADTokenExchange',
    iat: now,
    nbf: now,
    exp: now + 600,
    jti: randomUUID(),
  };
  reply(response, 200, { oidcToken: jwt(claims, keys.devOps) });
}

const resourcePath =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.ContainerService\/(managedClusters|fleets)\/([^/]+)(?:\/(\w+))?$/i;

function answerResource({ origin, state, keys }: Service, call: AzureCall, response: ServerResponse): void {
  const fail = (status: number, code: string, message: string): void => {
    reply(response, status, { error: { code, message } });
  };
  const { claims, isSignedBy } = readJwt((call.headers.authorization ?? '').replace('Bearer ', ''));
  if (
    claims['aud'] !== origin ||
    Number(claims['exp']) * 1000 < Date.now() ||
    !isSignedBy(createPublicKey(keys.signing))
  ) {
    fail(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
    return;
  }
  const [, sub, group = '', kind, name = '', action] = resourcePath.exec(call.path) ?? [];
  if (sub !== subscription) {
    fail(404, 'SubscriptionNotFound', `The subscription '${String(sub)}' could not be found.`);
    return;
  }
  if (group.toLowerCase() !== 'shop') {
    fail(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`);
    return;
  }
  const isFleet = kind?.toLowerCase() === 'fleets';
  const found = (isFleet ? state.fleets : state.clusters).get(name.toLowerCase());
  if (found === undefined) {
    fail(
      404,
      'ResourceNotFound',
      `The Resource 'Microsoft.ContainerService/${String(kind)}/${name}' under resource group '${group}' was not found.`,
    );
  } else if (action === undefined) {
    reply(response, 200, { name, properties: found.properties ?? {} });
  } else if (found.mayGet === false) {
    fail(
      403,
      'AuthorizationFailed',
      `The client '${objectId}' with object id '${objectId}' does not have authorization to perform action 'Microsoft.ContainerService/managedClusters/${action}/action' over scope '${call.path}'.`,
    );
  } else if (action === 'listClusterAdminCredential' && found.isLocalOff === true) {
    fail(
      400,
      'BadRequest',
      'Getting static credential is not allowed because this cluster is set to disable local accounts.',
    );
  } else {
    const text = action === 'listClusterAdminCredential' ? (found.admin ?? found.user) : found.user;
    reply(response, 200, { kubeconfigs: [{ name: 'clusterUser', value: Buffer.from(text).toString('base64') }] });
  }
}

function answerMetadata(service: Service, { path, query, headers }: AzureCall, response: ServerResponse): void {
  if (!/^\/metadata\/identity\/oauth2\/token\/?$/.test(path) || headers['metadata'] !== 'true') {
    reply(response, 400, { error: 'invalid_request', error_description: 'Required metadata header not specified' });
    return;
  }
  const wanted = query.get('client_id');
  if (wanted !== null && wanted !== clientId) {
    reply(response, 400, { error: 'invalid_request', error_description: 'Identity not found' });
    return;
  }
  const { lifetimeSeconds } = service.state;
  reply(response, 200, {
    access_token: accessToken(service, query.get('resource') ?? ''),
    expires_in: String(lifetimeSeconds),
    expires_on: String(Math.floor(Date.now() / 1000) + lifetimeSeconds),
    resource: query.get('resource'),
    token_type: 'Bearer',
  });
}

function jwt(claims: object, key: KeyObject): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = `${part({ alg: 'RS256', typ: 'JWT', kid: keyId })}.${part(claims)}`;
  return `${head}.${sign('sha256', Buffer.from(head), key).toString('base64url')}`;
}

interface Jwt {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
  isSignedBy: (key: KeyObject) => boolean;
}

function readJwt(text: string): Jwt {
  const [head = '', body = '', signature = ''] = text.split('.');
  const part = (encoded: string): Record<string, unknown> => {
    try {
      return JSON.parse(Buffer.from(encoded, 'base64url').toString()) as Record<string, unknown>;
    } catch {
      return {};
    }
  };
  const header = part(head);
  const isPss = header['alg'] === 'PS256';
  return {
    header,
    claims: part(body),
    isSignedBy: (key) =>
      verify(
        'sha256',
        Buffer.from(`${head}.${body}`),
        isPss ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : key,
        Buffer.from(signature, 'base64url'),
      ),
  };
}
