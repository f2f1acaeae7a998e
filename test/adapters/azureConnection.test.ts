import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { codeOfPart, repository } from '../../scripts/build';
import { createAgent, type TaskAgent } from '../../tasks/common/adapters/agent/agent';
import { azureRegistryLogin } from '../../tasks/common/adapters/azure/containerRegistry';
import { openAzureConnection } from '../../tasks/common/adapters/azure/connection';
import { createCluster } from '../../tasks/common/adapters/kubernetes/cluster';
import type { ClusterConnection } from '../../tasks/common/adapters/kubernetes/connection';
import type { AzureCluster } from '../../tasks/common/core/azure/azureCluster';
import { TaskError } from '../../tasks/common/core/failure';
import { endpointEnvironment, toEndpoint } from '../support/agent/endpoint';
import type { ServiceConnection } from '../support/agent';
import {
  clientId,
  entraKubeconfig,
  serverId,
  startAzure,
  tenant,
  type Azure,
  type AzureScheme,
} from '../support/azure';
import { reply, startStubApiServer, type StubApiServer } from '../support/stubApiServer';

const timing = { connectMs: 2_000, responseMs: 2_000, totalMs: 4_000, retryUnknownMs: 300, retryKnownMs: 4_000 };
const schemes: readonly AzureScheme[] = ['secret', 'certificate', 'federated', 'systemIdentity', 'userIdentity'];

describe('connections by Azure Resource Manager', () => {
  let azure: Azure;
  let api: StubApiServer;
  let folder = '';
  let temp = '';
  let program = '';
  const open: ClusterConnection[] = [];

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'azure-program-'));
    program = path.join(folder, 'credential.js');
    writeFileSync(program, await codeOfPart(repository, 'credential.js'));
    api = await startStubApiServer();
    azure = await startAzure();
    // MSAL reads it once in the life of a process.
    process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] = azure.metadataAddress;
  });
  after(async () => {
    delete process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'];
    await Promise.all([api.close(), azure.close()]);
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    temp = mkdtempSync(path.join(tmpdir(), 'azure-'));
    azure.reset();
    const kubeconfig = JSON.parse(readFileSync(await api.kubeconfig(), 'utf8')) as {
      clusters: { cluster: { 'certificate-authority-data': string } }[];
    };
    const ca = Buffer.from(kubeconfig.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64').toString();
    azure.state.clusters.set('aks', { user: entraKubeconfig(api.address, ca), admin: adminKubeconfig(api.address) });
  });
  afterEach(() => {
    for (const connection of open.splice(0)) connection.close();
    api.handlers.length = 0;
    rmSync(temp, { recursive: true, force: true });
  });

  interface Given {
    scheme?: AzureScheme;
    change?: Partial<ServiceConnection>;
    cluster?: Partial<AzureCluster>;
    useClusterAdmin?: boolean;
    environment?: NodeJS.ProcessEnv;
  }

  function hostFor({ scheme = 'secret', change, environment }: Given): { agent: TaskAgent; lines: string[] } {
    const lines: string[] = [];
    const authorities = path.join(temp, 'authorities.pem');
    writeFileSync(authorities, azure.ca);
    const all = {
      ...endpointEnvironment(toEndpoint(azure.connection(scheme, change))),
      ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: azure.state.jobToken,
      ENDPOINT_URL_SYSTEMVSSCONNECTION: azure.origin,
      SYSTEM_OIDCREQUESTURI: `${azure.origin}/shop/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken`,
      AGENT_TEMPDIRECTORY: temp,
      AGENT_CAINFO: authorities,
      ...environment,
    };
    return { agent: createAgent({ environment: all, write: (line) => lines.push(line.trimEnd()) }), lines };
  }

  async function connect(
    given: Given = {},
  ): Promise<{ connection: ClusterConnection; agent: TaskAgent; lines: string[] }> {
    const { agent, lines } = hostFor(given);
    const cluster = { resourceGroup: 'shop', name: 'aks', ...given.cluster };
    const { id = '' } = azure.connection('secret');
    const request = {
      type: 'azureResourceManager',
      id,
      cluster,
      useClusterAdmin: given.useClusterAdmin === true,
    } as const;
    const connection = await openAzureConnection(agent, request, {
      signal: new AbortController().signal,
      timing,
      program,
    });
    open.push(connection);
    return { connection, agent, lines };
  }

  async function failureOf(given: Given): Promise<TaskError> {
    try {
      await connect(given);
    } catch (error) {
      assert.ok(error instanceof TaskError, String(error));
      return error;
    }
    throw new Error('The connection was opened.');
  }

  function claimsOf(token: string): Record<string, unknown> {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  }

  for (const scheme of schemes) {
    it(`${scheme}: the task signs in to the API server by itself, and neither kubeconfig nor folder holds a secret`, async () => {
      const { connection, agent } = await connect({ scheme });
      const token = await connection.identity?.askToken();
      assert.deepEqual(
        [claimsOf(token?.token ?? '')['aud'], claimsOf(token?.token ?? '')['appid']],
        [serverId, clientId],
      );
      const files = readdirSync(agent.privateFolder.path).map((name) =>
        readFileSync(path.join(agent.privateFolder.path, name), 'utf8'),
      );
      for (const secret of [azure.state.secret, token?.token ?? 'none', azure.state.jobToken, 'PRIVATE KEY']) {
        assert.ok(files.every((content) => !content.includes(secret)));
      }
      connection.close();
      assert.ok(readdirSync(temp).every((name) => name.endsWith('authorities.pem')));
    });
  }

  for (const scheme of ['secret', 'federated', 'systemIdentity'] as const) {
    it(`${scheme}: a registry in Azure gives a login for the identity of the connection`, async () => {
      azure.handlers.push(({ path: asked, form }, response) => {
        if (asked !== '/oauth2/exchange') return false;
        const token = claimsOf(form.get('access_token') ?? '');
        const isKnown = form.get('grant_type') === 'access_token' && form.get('service') === new URL(azure.origin).host;
        reply(response, isKnown && token['appid'] === clientId ? 200 : 401, { refresh_token: 'a-refresh-token' });
        return true;
      });
      assert.deepEqual(await registryLogin(scheme), {
        server: new URL(azure.origin).host,
        username: '00000000-0000-0000-0000-000000000000',
        password: 'a-refresh-token',
      });
    });
  }

  for (const [status, reason, words] of [
    [401, 'ChartAccessDenied', /answered 401, .*AcrPull.*containerRegistry/],
    [403, 'ChartAccessDenied', /answered 403/],
    [404, 'ChartSourceUnreachable', /answered 404, this is no answer of a registry in Azure/],
    [200, 'ChartSourceUnreachable', /answered 200/],
  ] as const) {
    it(`a registry in Azure that answers ${status} without a token gives no login`, async () => {
      azure.handlers.push(({ path: asked }, response) => {
        if (asked === '/oauth2/exchange') reply(response, status, {});
        return asked === '/oauth2/exchange';
      });
      await assert.rejects(registryLogin('secret'), { reason, message: words });
    });
  }

  function registryLogin(scheme: AzureScheme) {
    const { id = '' } = azure.connection('secret');
    const wanted = { id, host: new URL(azure.origin).host };
    return azureRegistryLogin(hostFor({ scheme }).agent, wanted, { signal: new AbortController().signal, timing });
  }

  it('what is secret on the way is masked: the tokens, the assertion, the pass of a Helm', async () => {
    const { connection, agent, lines } = await connect({ scheme: 'federated' });
    const pass = connection.identity?.lend().environment['HELM_SAFE_DEPLOY_CREDENTIAL']?.split('.')[1] ?? '';
    const token = await connection.identity?.askToken();
    const assertion = azure.requests.flatMap(({ form }) => form.get('client_assertion') ?? []).at(-1) ?? '';
    for (const secret of [pass, token?.token ?? '', assertion]) {
      assert.ok(secret.length > 20 && lines.includes(`##vso[task.setsecret]${secret}`));
      assert.equal(agent.redact(`x ${secret}`), 'x ***');
    }
  });

  it('our own requests carry the token, and a 401 gets a fresh one', async () => {
    const { connection } = await connect({ scheme: 'federated' });
    const seen: string[] = [];
    api.handlers.push(({ headers, path: asked }, response) => {
      if (!asked.endsWith('/namespaces/shop')) return false;
      seen.push(headers.authorization ?? '');
      if (seen.length === 1) return reply(response, 401, {});
      return reply(response, 200, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    });
    const cluster = await createCluster(connection.kubeconfigPath, { askToken: connection.identity?.askToken });
    await cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: 'shop' });
    cluster.close();
    assert.equal(new Set(seen).size, 2);
    assert.ok(seen.every((each) => claimsOf(each)['aud'] === serverId));
    // Each token of Entra ID needs a proof of its own: one for Azure Resource Manager, two for the cluster.
    const assertions = azure.requests.flatMap(({ form }) => form.get('client_assertion') ?? []);
    assert.equal(new Set(assertions).size, 3);
  });

  it('a token that expires while the task runs is renewed, with a fresh proof of identity', async () => {
    azure.state.lifetimeSeconds = 2;
    const { connection } = await connect({ scheme: 'federated' });
    const first = await connection.identity?.askToken();
    const second = await connection.identity?.askToken();
    assert.notEqual(first?.token, second?.token);
    const leftMs = (first?.expiresAt ?? 0) - Date.now();
    // The library counts in whole seconds.
    assert.ok(leftMs > 0 && leftMs <= 3000, String(leftMs));
  });

  it('an issuer and a subject that are replaced meanwhile are proven by the next assertion', async () => {
    azure.state.lifetimeSeconds = 2;
    const { connection } = await connect({ scheme: 'federated' });
    azure.state.federation = { issuer: 'https://login.microsoftonline.com/new/v2.0', subject: '/eid1/c/pub/t/new' };
    const token = await connection.identity?.askToken({ isFresh: true });
    assert.ok((token?.expiresAt ?? 0) > Date.now());
    // Entra ID knows the new federation only, so an assertion of before would have been refused.
    const proofs = azure.requests.flatMap(({ form }) => form.get('client_assertion') ?? []);
    assert.equal(new Set(proofs.map((proof) => claimsOf(proof)['sub'])).size, 2);
  });

  it('a secret that is revoked meanwhile: the next token fails with the code of Entra ID', async () => {
    azure.state.lifetimeSeconds = 2;
    const { connection } = await connect();
    azure.state.secret = 'the next one';
    await assert.rejects(async () => connection.identity?.askToken({ isFresh: true }), {
      reason: 'CredentialsRejected',
      message: /AADSTS7000215/,
    });
  });

  async function runPlugin(connection: ClusterConnection, environment: Readonly<Record<string, string>>) {
    const exec = connection.identity?.exec as { command: string; args: string[] };
    const child = spawn(exec.command, exec.args, { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'close') as Promise<[number]>;
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { stdout, stderr, code };
  }

  it('Helm asks as often as it needs while it runs, and gets nothing when it has ended', async () => {
    const { connection } = await connect();
    const pass = connection.identity?.lend();
    const environment = pass?.environment ?? {};
    for (const _ of [1, 2]) {
      const { stdout, code } = await runPlugin(connection, environment);
      assert.equal(code, 0);
      const { kind, status } = JSON.parse(stdout) as {
        kind: string;
        status: { token: string; expirationTimestamp: string };
      };
      assert.equal(kind, 'ExecCredential');
      assert.equal(claimsOf(status.token)['aud'], serverId);
      assert.ok(Date.parse(status.expirationTimestamp) > Date.now() + 58 * 60_000);
    }
    pass?.end();
    const late = await runPlugin(connection, environment);
    assert.deepEqual([late.code, late.stdout], [1, '']);
    assert.match(late.stderr, /gave no token|cannot be asked/);
    const without = await runPlugin(connection, {});
    assert.equal(without.code, 1);
    assert.match(without.stderr, /works only for its Helm/);
  });

  it('a program that guesses a pass gets nothing, and Helm learns at once why a sign-in fails', async () => {
    const { connection } = await connect();
    const environment = connection.identity?.lend().environment ?? {};
    const [port = ''] = Object.values(environment).map((value) => value.split('.')[0] ?? '');
    const guess = await runPlugin(connection, { HELM_SAFE_DEPLOY_CREDENTIAL: `${port}.${'0'.repeat(64)}` });
    assert.deepEqual([guess.code, guess.stdout], [1, '']);
  });

  it('Helm learns at once why a sign-in fails', async () => {
    azure.state.lifetimeSeconds = 100;
    const { connection } = await connect();
    azure.state.isSecretExpired = true;
    const failed = await runPlugin(connection, connection.identity?.lend().environment ?? {});
    assert.deepEqual([failed.code, failed.stdout], [1, '']);
    assert.match(failed.stderr, /AADSTS7000222: .*Make a new one/);
  });

  it('the credentials of a cluster with local accounts, or of its administrator, are used as they are', async () => {
    azure.state.clusters.set('local', { user: adminKubeconfig(api.address) });
    for (const given of [{ cluster: { name: 'local' } }, { useClusterAdmin: true }]) {
      const { connection } = await connect(given);
      assert.equal(connection.identity, undefined);
      assert.match(readFileSync(connection.kubeconfigPath, 'utf8'), /"token": "admin-token-of-aks"/);
      connection.close();
    }
  });

  it('a fleet is found by its name and by its resource id, a cluster in any case', async () => {
    azure.state.fleets.set('hub', { user: entraKubeconfig(api.address, azure.ca) });
    for (const cluster of [
      { name: 'hub' },
      { kind: 'fleets', name: 'hub' },
      { name: 'AKS', resourceGroup: 'Shop' },
    ] as const) {
      const { connection } = await connect({ cluster });
      assert.ok(connection.identity !== undefined);
      connection.close();
    }
  });

  for (const [shape, federation] of Object.entries({
    old: { issuer: 'https://vstoken.dev.azure.com/0a0a', subject: 'sc://fabrikam/shop/azure' },
    new: {
      issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
      subject: '/eid1/c/pub/t/v4j5cvGGr0GRqy180BHbRw/a/QMrDSZ/sc/9e2b0000/8b2b0000',
    },
  })) {
    it(`issuer and subject of the ${shape} shape sign in`, async () => {
      azure.state.federation = federation;
      const { connection } = await connect({ scheme: 'federated' });
      assert.ok(connection.identity !== undefined);
    });
  }

  it('429 and 503 with Retry-After are waited for', async () => {
    const times = new Map<string, number>();
    azure.handlers.push(({ path: asked }, response) => {
      const isFirst = !times.has(asked) && /token$|Credential$/.test(asked);
      times.set(asked, (times.get(asked) ?? 0) + 1);
      return isFirst && reply(response, asked.endsWith('Credential') ? 429 : 503, {}, { 'Retry-After': '1' });
    });
    const { connection } = await connect({ scheme: 'federated' });
    assert.ok(connection.identity !== undefined);
  });

  it('Azure is asked through the proxy of the agent, and not where its list exempts the host', async () => {
    const proxy = { AGENT_PROXYURL: 'http://127.0.0.1:9' };
    const failure = await failureOf({ environment: proxy });
    assert.match(failure.message, /the sign-in server .* cannot be reached/);
    const { connection } = await connect({
      environment: { ...proxy, AGENT_PROXYBYPASSLIST: '["127\\\\.0\\\\.0\\\\.1"]' },
    });
    assert.ok(connection.identity !== undefined);
  });

  interface Refused {
    title: string;
    given?: Given | (() => Given);
    arrange?: () => void;
    reason: string;
    message: RegExp;
  }

  const auth = (change: Record<string, string>): Partial<ServiceConnection> => ({
    auth: { ...azure.connection('secret').auth, ...change },
  });

  const refused: readonly Refused[] = [
    {
      title: 'a wrong secret',
      given: () => ({ change: auth({ serviceprincipalkey: 'other' }) }),
      reason: 'CredentialsRejected',
      message: /AADSTS7000215.*Put the value of a current secret into the service connection/,
    },
    {
      title: 'an expired secret',
      arrange: () => (azure.state.isSecretExpired = true),
      reason: 'CredentialsRejected',
      message:
        /azureSubscription.*AADSTS7000222: The provided client secret keys for app .* are expired\. The secret has expired\. Make a new one/,
    },
    {
      title: 'a tenant that does not exist',
      given: () => ({ change: auth({ tenantid: '00000000-0000-4000-8000-00000000000f' }) }),
      reason: 'CredentialsRejected',
      message: /There is no such tenant|tenant/,
    },
    {
      title: 'an application of another tenant',
      given: () => ({ change: auth({ serviceprincipalid: 'c2222222-0000-4000-8000-000000000002' }) }),
      reason: 'CredentialsRejected',
      message: /AADSTS700016.*The tenant does not know this client id/,
    },
    {
      title: 'missing consent',
      arrange: () =>
        azure.handlers.push(
          ({ path: asked }, response) =>
            asked.endsWith('/token') &&
            reply(response, 400, {
              error: 'invalid_grant',
              error_description:
                'AADSTS65001: The user or administrator has not consented to use the application. Trace ID: 1',
            }),
        ),
      reason: 'CredentialsRejected',
      message:
        /AADSTS65001: The user or administrator has not consented to use the application\. An administrator of the tenant has to consent/,
    },
    {
      title: 'a subject that the app registration does not know',
      given: { scheme: 'federated' },
      arrange: () => (azure.state.registered = { issuer: azure.issuer, subject: '/eid1/c/pub/t/abc/a/def/sc/other' }),
      reason: 'CredentialsRejected',
      message: /AADSTS700213.*Copy issuer and subject/,
    },
    {
      title: 'a clock that differs',
      given: { scheme: 'federated' },
      arrange: () => (azure.state.clockSkewSeconds = 3600),
      reason: 'CredentialsRejected',
      message: /AADSTS700024.*Current time: .*It is 20.*Z on the agent\. .*Compare the agent's clock/,
    },
    {
      title: 'a certificate of a clock that differs',
      given: { scheme: 'certificate' },
      arrange: () => (azure.state.clockSkewSeconds = -3600),
      reason: 'CredentialsRejected',
      message: /AADSTS700024/,
    },
    {
      title: 'a token of the job that Azure DevOps does not accept',
      given: { scheme: 'federated', environment: { ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: 'old' } },
      reason: 'CredentialsRejected',
      message: /Azure DevOps gave no token.*it answered 302.*was not accepted/,
    },
    {
      title: 'a connection that the pipeline may not use',
      given: { scheme: 'federated' },
      arrange: () =>
        azure.handlers.push(
          ({ path: asked }, response) => asked.endsWith('/oidctoken') && reply(response, 403, { message: 'no access' }),
        ),
      reason: 'CredentialsRejected',
      message: /it answered 403.*Check that the pipeline may use the service connection/,
    },
    {
      title: 'an identity that the machine does not have',
      given: () => ({
        scheme: 'userIdentity',
        change: { data: { ...azure.connection('userIdentity').data, msiClientId: 'other' } },
      }),
      reason: 'CredentialsRejected',
      message: /metadata service of the machine refused.*Check that the machine of the agent has this managed identity/,
    },
    {
      title: 'a managed identity on a machine outside of Azure',
      // The library keeps the tokens of identities that earlier tests have used.
      given: () => ({
        scheme: 'userIdentity',
        change: { data: { ...azure.connection('userIdentity').data, msiClientId: 'c3' } },
      }),
      arrange: () =>
        azure.handlers.push(({ path: asked }, response) => {
          if (asked.startsWith('/metadata')) response.destroy();
          return asked.startsWith('/metadata');
        }),
      reason: 'CredentialsRejected',
      message: /metadata service.*A managed identity exists only on machines of Azure/,
    },
    {
      title: 'a missing role',
      arrange: () => Object.assign(azure.state.clusters.get('aks') ?? {}, { mayGet: false }),
      reason: 'PermissionDenied',
      message:
        /403 \(AuthorizationFailed: .*Give the identity of the service connection the role «Azure Kubernetes Service Cluster User Role»/,
    },
    {
      title: 'an unknown cluster',
      given: { cluster: { name: 'aksx' } },
      reason: 'InputInvalid',
      message:
        /^Input kubernetesCluster holds "aksx"; there is no cluster and no fleet of this name in the resource group shop.*404 \(ResourceNotFound: .*Nothing was changed\.$/,
    },
    {
      title: 'an unknown resource group',
      given: { cluster: { resourceGroup: 'shopx' } },
      reason: 'InputInvalid',
      message: /^Input azureResourceGroup holds "shopx"; there is no such resource group/,
    },
    {
      title: 'a subscription without access',
      given: { cluster: { subscription: 'ffffffff-0000-4000-8000-000000000001' } },
      reason: 'InputInvalid',
      message: /sees no such subscription/,
    },
    {
      title: 'disabled local accounts',
      given: { useClusterAdmin: true },
      arrange: () => Object.assign(azure.state.clusters.get('aks') ?? {}, { isLocalOff: true }),
      reason: 'InputInvalid',
      message:
        /^Input useClusterAdmin holds "true", but the cluster aks has no local accounts.*Set useClusterAdmin to false/,
    },
    {
      title: "a fleet's administrator",
      given: { useClusterAdmin: true, cluster: { kind: 'fleets' } },
      reason: 'InputInvalid',
      message: /a fleet has no administrator's credentials/,
    },
    {
      title: 'a stopped cluster',
      arrange: () =>
        Object.assign(azure.state.clusters.get('aks') ?? {}, { properties: { powerState: { code: 'Stopped' } } }),
      reason: 'ClusterUnreachable',
      message: /The cluster aks is stopped.*az aks start --resource-group shop --name aks/,
    },
    {
      title: 'a private cluster whose name is not known',
      given: { cluster: { name: 'private' } },
      arrange: () =>
        azure.state.clusters.set('private', {
          user: entraKubeconfig('https://aks.privatelink.invalid', azure.ca),
          properties: { apiServerAccessProfile: { enablePrivateCluster: true } },
        }),
      reason: 'ClusterUnreachable',
      message: /does not know aks\.privatelink\.invalid.*is private\. Run the job on an agent in its virtual network/,
    },
    {
      title: 'a kubeconfig with a program of its own',
      arrange: () =>
        azure.state.clusters.set('aks', {
          user: entraKubeconfig(api.address, azure.ca).replace('kubelogin', '/bin/evil'),
        }),
      reason: 'ConnectionInvalid',
      message: /asks for a credential plug-in other than kubelogin/,
    },
    {
      title: 'a proxy that answers with a page',
      arrange: () =>
        azure.handlers.push(({ path: asked }, response) => {
          if (!asked.endsWith('Credential')) return false;
          response.writeHead(200, { 'Content-Type': 'text/html' });
          response.end('<html>');
          return true;
        }),
      reason: 'ConnectionInvalid',
      message: /answered without a kubeconfig for aks \(text\/html\)/,
    },
    {
      title: 'a fault of Azure',
      arrange: () =>
        azure.handlers.push(
          ({ path: asked }, response) =>
            asked.endsWith('Credential') &&
            reply(response, 500, { error: { code: 'InternalServerError', message: 'oops' } }),
        ),
      reason: 'ConnectionInvalid',
      message: /500 \(InternalServerError: oops\)\. Azure has a fault; run the step again later/,
    },
    {
      title: 'a Kubernetes connection in azureSubscription',
      given: { change: { scheme: 'Kubernetes', auth: { kubeconfig: 'x' } } },
      reason: 'ConnectionInvalid',
      message:
        /azureSubscription is of another type \(its scheme is "Kubernetes"\).*set connectionType to kubernetesServiceConnection/,
    },
    {
      title: 'a publish profile',
      given: { change: { scheme: 'PublishProfile' } },
      reason: 'ConnectionInvalid',
      message: /its authorization scheme "PublishProfile" cannot sign in to a cluster/,
    },
    {
      title: 'an authority that is not trusted',
      given: { environment: { AGENT_CAINFO: '' } },
      reason: 'CertificateRejected',
      message: /the sign-in server https:\/\/127.*is not trusted/,
    },
  ];

  for (const { title, given = {}, arrange, reason, message } of refused) {
    it(`refused with its own message: ${title}`, async () => {
      arrange?.();
      const failure = await failureOf(typeof given === 'function' ? given() : given);
      assert.match(failure.message, message);
      assert.equal(failure.reason, reason);
      assert.ok(
        !failure.message.includes(azure.state.secret) && !failure.message.includes(tenant.slice(0, 0) || '\u0000'),
      );
      assert.ok(readdirSync(temp).every((name) => name.endsWith('authorities.pem')));
    });
  }
});

function adminKubeconfig(server: string): string {
  return JSON.stringify({
    clusters: [{ name: 'aks', cluster: { server } }],
    users: [{ name: 'clusterAdmin_shop_aks', user: { token: 'admin-token-of-aks' } }],
    contexts: [{ name: 'aks-admin', context: { cluster: 'aks', user: 'clusterAdmin_shop_aks' } }],
    'current-context': 'aks-admin',
  });
}
