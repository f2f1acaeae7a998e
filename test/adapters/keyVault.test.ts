import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { createAgent, type TaskAgent } from '../../tasks/common/adapters/agent/agent';
import { openVaultIdentity } from '../../tasks/common/adapters/azure/vaultIdentity';
import { decryptValues } from '../../tasks/common/adapters/helm/secretValues';
import { TaskError } from '../../tasks/common/core/failure';
import { endpointEnvironment, toEndpoint } from '../support/agent/endpoint';
import { clientId, startAzure, type Azure, type AzureScheme } from '../support/azure';
import { openForwardProxy, type ForwardProxy } from '../support/forwardProxy';
import { openKeyVault, vaultEncryptedFile, type KeyVault } from '../support/keyVault';
import { sops } from '../support/sops';

describe('values whose key is in Azure Key Vault', function () {
  this.timeout(900_000);
  let azure: Azure;
  let vault: KeyVault;
  let proxy: ForwardProxy;
  let sopsPath = '';
  let folder = '';

  before(async () => {
    sopsPath = await sops();
    azure = await startAzure();
    vault = await openKeyVault('127.0.0.1', clientId);
    proxy = await openForwardProxy('me', 'geheim', { [vault.target]: `127.0.0.1:${vault.port}` });
  });
  after(async () => {
    vault.close();
    await Promise.all([proxy.close(), azure.close()]);
  });
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'vault-'));
    azure.reset();
    vault.tokens.length = 0;
    vault.isAllowed = true;
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function agentWith(scheme: AzureScheme, more: NodeJS.ProcessEnv = {}): TaskAgent {
    const authorities = path.join(folder, 'authorities.pem');
    writeFileSync(authorities, `${azure.ca}\n${readFileSync(vault.authority, 'utf8')}`);
    const environment = {
      ...endpointEnvironment(toEndpoint(azure.connection(scheme))),
      ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: azure.state.jobToken,
      ENDPOINT_URL_SYSTEMVSSCONNECTION: azure.origin,
      SYSTEM_OIDCREQUESTURI: `${azure.origin}/shop/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken`,
      AGENT_TEMPDIRECTORY: folder,
      AGENT_CAINFO: authorities,
      AGENT_PROXYURL: proxy.address,
      AGENT_PROXYUSERNAME: 'me',
      SECRET_AGENT_PROXYPASSWORD: 'geheim',
      AGENT_PROXYBYPASSLIST: '["127\\\\.0\\\\.0\\\\.1"]',
      PATH: process.env['PATH'],
      HOME: folder,
      // An earlier step has left another identity.
      AZURE_CLIENT_ID: 'other',
      AZURE_TENANT_ID: 'other',
      AZURE_CLIENT_SECRET: 'other',
      ...more,
    };
    return createAgent({ environment, write: () => undefined });
  }

  const signal = new AbortController().signal;
  const openVault = (agent: TaskAgent) => openVaultIdentity(agent, azure.connection('secret').id ?? '', { signal });

  function encrypted(): Promise<string> {
    const address = new URL(proxy.address);
    Object.assign(address, { username: 'me', password: 'geheim' });
    const token = azure.clusterToken('https://vault.azure.net');
    const file = path.join(folder, 'prod.yaml');
    return vaultEncryptedFile(file, 'password: hunter22\n', { vault, proxy: address.href, token });
  }

  async function decrypt(file: string, agent: TaskAgent, isAzure = true): Promise<string> {
    const files = [{ path: file, input: 'secretValueFiles, line 1', format: 'yaml', hasVaultKey: true } as const];
    const values = await decryptValues(
      { files, paths: [], sopsPath },
      {
        environment: agent.environment.childEnvironment,
        toolsFolder: undefined,
        ...(isAzure && { openVault: () => openVault(agent) }),
        workingDirectory: folder,
        folder: agent.privateFolder,
        signal,
        redact: agent.redact,
        onSecret: () => undefined,
      },
    );
    agent.privateFolder.remove();
    assert.ok('stdin' in values);
    return values.stdin;
  }

  for (const scheme of ['secret', 'certificate', 'federated'] as const) {
    it(`${scheme}: sops gets a token for the vault, for the identity of the connection and no other`, async () => {
      const file = await encrypted();
      assert.deepEqual(JSON.parse(await decrypt(file, agentWith(scheme))), { password: 'hunter22' });
      const identities = new Set(vault.tokens.map(({ aud, appid }) => `${String(aud)} ${String(appid)}`));
      assert.deepEqual([...identities], [`https://vault.azure.net ${clientId}`]);
    });
  }

  async function failureOf(work: Promise<unknown>): Promise<TaskError> {
    const error: unknown = await work.then(() => undefined, (thrown: unknown) => thrown); // prettier-ignore
    assert.ok(error instanceof TaskError, String(error));
    return error;
  }

  it('an identity that may not use the key: the message names the role', async () => {
    const file = await encrypted();
    vault.isAllowed = false;
    const { reason, message } = await failureOf(decrypt(file, agentWith('secret')));
    assert.equal(reason, 'InputInvalid');
    assert.match(
      message,
      /the key vault answered 403: .* Key Vault Crypto User .* sops says: .*shop\.vault\.azure\.net/,
    );
  });

  it('a sign-in that fails is the failure of the input', async () => {
    const file = await encrypted();
    azure.state.isSecretExpired = true;
    const { reason, message } = await failureOf(decrypt(file, agentWith('secret')));
    assert.equal(reason, 'CredentialsRejected');
    assert.match(
      message,
      /^Input secretValueFiles, line 1: \S+prod\.yaml could not be decrypted: .*azureSubscription.*AADSTS7000222/,
    );
  });

  it('a step without a connection to Azure: the message says which identity sops would use', async () => {
    const file = await encrypted();
    const noIdentity = { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential', AZURE_CLIENT_SECRET: '' };
    const { message } = await failureOf(decrypt(file, agentWith('secret', noIdentity), false));
    assert.match(
      message,
      /none of the keys .* with the identity of azureSubscription, and this step has no connection/,
    );
    assert.deepEqual(vault.tokens, []);
  });

  it('a program without the pass, or with a wish for something else than a vault, gets no token', async () => {
    const agent = agentWith('secret');
    const identity = await openVault(agent);
    const { IDENTITY_ENDPOINT = '', IDENTITY_HEADER = '' } = identity.environment({});
    const ask = async (pass: string, resource: string): Promise<number> => {
      const answer = await fetch(`${IDENTITY_ENDPOINT}?resource=${encodeURIComponent(resource)}`, {
        headers: { 'X-IDENTITY-HEADER': pass },
      });
      return answer.status;
    };
    assert.equal(await ask(IDENTITY_HEADER, 'https://vault.azure.net'), 200);
    assert.equal(await ask(IDENTITY_HEADER.replace(/^./, 'x'), 'https://vault.azure.net'), 404);
    assert.equal(await ask('é'.repeat(IDENTITY_HEADER.length), 'https://vault.azure.net'), 404);
    assert.equal(await ask(IDENTITY_HEADER, 'https://management.azure.com'), 400);
    const { port } = new URL(IDENTITY_ENDPOINT);
    const socket = net.connect(Number(port), '127.0.0.1', () =>
      socket.write('GET // HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n'),
    );
    assert.match(await text(socket), /^HTTP\/1\.1 404 /);
    identity.close();
    await assert.rejects(ask(IDENTITY_HEADER, 'https://vault.azure.net'));
  });
});
