import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { codeOfPart, repository } from '../../scripts/build';
import { openClusterIdentity } from '../../tasks/common/adapters/kubernetes/clusterIdentity';
import { request } from '../../scripts/cluster/api';
import { adminApiServer, trustIssuers } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import {
  entraKubeconfig,
  objectId,
  serverId,
  startAzure,
  tenant,
  type Azure,
  type AzureScheme,
} from '../support/azure';
import type { AgentOptions } from '../support/agent';
import { loginConnection, openChartRepository } from '../support/chartSources';
import { openForwardProxy } from '../support/forwardProxy';
import { openHelmMirror } from '../support/helmMirror';
import { openKeyVault, vaultEncryptedFile } from '../support/keyVault';
import { runCheck } from '../support/product';
import { sops } from '../support/sops';
import { filesBelow, shownBy, watchProcesses } from '../support/traces';
import { cluster as testCluster } from '../support/cluster';
import { assertEnd, configMap, plan, release, rollBack, type Step } from './rollbackScenes';
import { app, assertOutcome, bare, fake, helms, scenes, type Scene, type SceneDeploy } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
const username = `aad:${objectId}`;

const execFileAsync = promisify(execFile);

/** A token of Entra ID or of Azure DevOps. */
const jwt = /eyJ[\w-]{20,}\.eyJ[\w-]{20,}\./;

function kubeconfigOf(server: string, ca: string, user: object): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return JSON.stringify({
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

describe('deploys to AKS by Azure Resource Manager', () => {
  let azure: Azure;
  let clusterName = '';

  before(async function () {
    this.timeout(1_800_000);
    const cluster = await testCluster();
    clusterName = cluster.name;
    azure = await startAzure(cluster.hostAddress);
    azure.state.groups = ['deployers'];
    const { url, ca } = adminApiServer(cluster.name);
    azure.state.clusters.set('aks', { user: entraKubeconfig(url, ca) });
    azure.state.clusters.set('short', { user: entraKubeconfig(url, ca, 'short-lived') });
    azure.state.lifetimes['short-lived'] = 8;
    trustIssuers(cluster.name, [
      {
        issuer: {
          url: azure.issuer,
          audiences: [serverId, 'short-lived'],
          audienceMatchPolicy: 'MatchAny',
          certificateAuthority: azure.ca,
        },
        claimMappings: { username: { claim: 'oid', prefix: 'aad:' }, groups: { claim: 'groups', prefix: 'aad:' } },
      },
    ]);
    const token = azure.clusterToken();
    const isTrusted = async () =>
      (await request({ url, ca, token }, 'GET', '/api/v1/namespaces/default')).status === 403;
    await waitFor('the API server to trust the issuer', isTrusted, { timeoutSeconds: 90 });
  });

  after(async () => {
    trustIssuers(clusterName, []);
    await azure.close();
  });

  const { scene } = scenes();

  /** Gives the group all rights in the namespace of the scene. */
  async function allowGroup(s: Scene): Promise<void> {
    await s.create('/apis/rbac.authorization.k8s.io/v1/namespaces/$ns/rolebindings', {
      metadata: { name: 'deployers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'aad:deployers' }],
    });
  }

  const azureInputs = {
    connectionType: 'azureResourceManager',
    kubernetesServiceConnection: '',
    azureSubscription: 'azure',
    azureResourceGroup: 'shop',
    kubernetesCluster: 'aks',
  };

  function variables(s: Scene): Record<string, string> {
    return { 'agent.cainfo': s.file('azure-ca.pem', azure.ca) };
  }

  const agent = (): Partial<AgentOptions> => ({
    environment: { AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.metadataAddress },
  });

  function spec(s: Scene, scheme: AzureScheme, more: SceneDeploy = {}): SceneDeploy {
    return {
      ...more,
      connection: azure.connection(scheme),
      variables: variables(s),
      inputs: { ...azureInputs, ...more.inputs },
      job: { identity: { collectionUri: `${azure.origin}/fabrikam/`, accessToken: azure.state.jobToken } },
    };
  }

  for (const [major, scheme] of [
    ['3', 'federated'],
    ['4', 'certificate'],
  ] as const) {
    scene(`Helm ${major}, ${scheme}: a group of Entra ID deploys, upgrades and rolls back`, async (s) => {
      await allowGroup(s);
      const helm = helms(s.cluster)[major];
      const since = new Date();
      const dump = s.file('environment.txt', '');
      const wrapper = s.file('helm', `#!/bin/sh\nenv >>${dump}\nexec ${helm} "$@"\n`);
      assertOutcome(await s.deploy(spec(s, scheme, { helm: wrapper, set: fake }), agent()), 'deployed');
      const dumped = fs.readFileSync(dump, 'utf8');
      assert.match(dumped, /^HELM_SAFE_DEPLOY_CREDENTIAL=\d+\.[0-9a-f]{64}$/m);
      // A JWT starts with eyJ.
      for (const secret of ['eyJ', azure.state.secret, azure.state.jobToken, 'PRIVATE KEY', 'AZURE_']) {
        const allowed = dumped.replaceAll(/^AZURE_POD_IDENTITY_AUTHORITY_HOST=.*$/gm, '');
        assert.ok(!allowed.includes(secret), secret);
      }
      const end = await s.deploy(spec(s, scheme, { helm, set: stuck }), agent());
      assertOutcome(end, 'rolledBack');
      assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed');
      const events = await s.cluster.auditEvents({ since, namespace: s.namespace, userAgent: /Helm|helm/ });
      const users = new Set(events.map(({ user }) => user.username));
      assert.deepEqual([...users], [username]);
      const agents = events.map(({ userAgent = '' }) => userAgent.split('/')[0]);
      assert.ok(agents.includes('Helm') && agents.includes('helm-safe-deploy'), [...new Set(agents)].join());
    });
  }

  for (const major of ['3', '4'] as const) {
    scene(
      `@real-node Helm ${major} asks for a new token when its own expires, and an uninstall that outlives the task has one`,
      async (s) => {
        await allowGroup(s);
        let asked = 0;
        let audience = 'short-lived';
        const askToken = () => {
          asked++;
          const seconds = azure.state.lifetimes[audience] ?? azure.state.lifetimeSeconds;
          return Promise.resolve({ token: azure.clusterToken(audience), expiresAt: Date.now() + seconds * 1000 });
        };
        const program = s.file('credential.js', await codeOfPart(repository, 'credential.js'));
        const identity = await openClusterIdentity({ askToken, onSecret: () => undefined, program });
        const { url, ca } = adminApiServer(clusterName);
        const { exec } = identity;
        const text = kubeconfigOf(url, ca, { exec });
        const kubeconfig = s.file('exec.kubeconfig', text);
        const helm = (...args: string[]) => {
          const pass = identity.lend();
          const env = { PATH: process.env['PATH'], HOME: '/nonexistent', ...pass.environment };
          const run = execFileAsync(
            helms(s.cluster)[major],
            [...args, '--namespace', s.namespace, '--kubeconfig', kubeconfig],
            { env },
          );
          return { run, pass };
        };
        const values = [
          '--set',
          'web=false',
          '--set',
          'hooks.post-install=sleep 9',
          '--set',
          'hooks.pre-delete=sleep 3',
        ];
        await helm('install', 'web', app, ...values).run;
        assert.equal(await s.history(), '1 deployed');
        assert.ok(asked >= 2, String(asked));
        audience = serverId;
        const uninstall = helm('uninstall', 'web');
        const hook = '/apis/batch/v1/namespaces/$ns/jobs/web-pre-delete';
        await s.until('the hook runs', async () => (await s.live(hook)) !== undefined);
        uninstall.pass.end();
        identity.close();
        await uninstall.run;
        assert.equal(await s.history(), '');
        await assert.rejects(helm('list').run, /Command failed/);
      },
    );
  }

  scene('a token that expires in the middle of a deploy is renewed, with a fresh proof of identity', async (s) => {
    await allowGroup(s);
    const proofs = () => azure.requests.filter(({ path }) => path.endsWith('/oidctoken')).length;
    const before = proofs();
    const inputs = { stableFor: '12s', kubernetesCluster: 'short' };
    assertOutcome(await s.deploy(spec(s, 'federated', { set: fake, inputs }), agent()), 'deployed');
    assert.ok(proofs() - before >= 4, String(proofs() - before));
  });

  scene(
    'a secret that is revoked in the middle of a deploy: the step says so and leaves the release as it is',
    async (s) => {
      await allowGroup(s);
      const key = `rotated~${randomBytes(9).toString('hex')}`;
      azure.state.otherSecrets.push(key);
      const { auth } = azure.connection('secret');
      const inputs = { stableFor: '40s', kubernetesCluster: 'short' };
      const deploy = { ...spec(s, 'secret', { set: fake, inputs }), connection: azure.connection('secret', { auth: { ...auth, serviceprincipalkey: key } }) }; // prettier-ignore
      const running = s.start(deploy, agent());
      await s.until('the release is deployed', async () => (await s.history()) === '1 deployed');
      azure.state.otherSecrets.splice(0);
      const end = await running.end;
      assertOutcome(end, 'failed', 'CredentialsRejected');
      assert.match(end.log, /AADSTS7000215/);
      assert.doesNotMatch(end.log, /Nothing was changed|CertificateRejected/);
      assert.equal(await s.history(), '1 deployed');
    },
  );

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: an approved rollback runs behind the fence, with tokens that expire meanwhile`, async (s) => {
      await allowGroup(s);
      const helm = helms(s.cluster)[major];
      await release(s, helm, 'text=one');
      await release(s, helm, 'text=two');
      const { connection, job, inputs } = spec(s, 'federated', { inputs: { kubernetesCluster: 'short' } });
      const step: Step = {
        helm,
        variables: variables(s),
        inputs: { ...inputs, toRevision: '1', stableFor: '5s' },
        ...(connection === undefined ? {} : { connection }),
        ...(job === undefined ? {} : { job }),
      };
      const since = new Date();
      const planned = await plan(s, step);
      assertEnd(planned, 'planned');
      assertEnd(await rollBack(s, planned, step), 'rolledBack');
      assert.equal(await s.history(), '1 superseded, 2 superseded, 3 deployed');
      assert.equal(await s.field(configMap('web'), 'data.text'), 'one');
      const events = await s.cluster.auditEvents({ since, namespace: s.namespace, userAgent: /Helm|helm/ });
      assert.deepEqual([...new Set(events.map(({ user }) => user.username))], [username]);
    });
  }

  scene(
    'an identity without the group: the message names verb, resource and namespace, nothing is changed',
    async (s) => {
      const end = await s.deploy(spec(s, 'secret', { set: bare }), agent());
      assertOutcome(end, 'failed', 'PermissionDenied');
      assert.match(end.log, new RegExp(`namespace "${s.namespace}"`));
      assert.equal(await s.history(), '');
    },
  );

  scene('SIGKILL while Helm runs: post-job signs in anew and rolls back', async (s) => {
    await allowGroup(s);
    assertOutcome(await s.deploy(spec(s, 'federated', { set: fake }), agent()), 'deployed');
    const running = s.start(
      spec(s, 'federated', { set: [...fake, 'nodeSelector.none=z', 'text=two', 'hooks.post-upgrade=echo'] }),
      agent(),
    );
    await running.job.waitForLine(/Deployment\/web {2}/);
    running.job.kill('SIGKILL');
    const end = await running.end;
    assert.equal(await s.history(), '1 superseded, 2 failed, 3 deployed', end.log);
    assert.deepEqual(end.job.orphans, []);
  });

  scene(
    '@real-node a proxy with a password and a private authority: all but the exempt cluster goes through it',
    async (s) => {
      await allowGroup(s);
      const [helm, host = ''] = [helms(s.cluster)['4'], s.cluster.hostAddress];
      const password = `canary:${randomBytes(9).toString('hex')}@/ä b`;
      const vault = await openKeyVault(host, tenant);
      const proxy = await openForwardProxy('me@corp', password, { [vault.target]: `${host}:${vault.port}` });
      const mirror = await openHelmMirror(host);
      const repository = await openChartRepository(helm, [app], host);
      const watch = watchProcesses(['--decrypt', 'guard.js', 'credential.js', helm]);
      try {
        mirror.publish('4.1.4', Buffer.from(`#!/bin/sh\nexec ${helm} "$@"\n`));
        const hostOf = (url: string): string => new URL(url).host;
        const server = hostOf(adminApiServer(clusterName).url);
        const others = [...[azure.origin, mirror.address, repository.address].map(hostOf), vault.target];
        const authorities = [mirror, repository, vault].map(({ authority }) => fs.readFileSync(authority, 'utf8'));
        const network = {
          'agent.cainfo': s.file('authorities.pem', [azure.ca, ...authorities].join('\n')),
          'agent.proxyurl': proxy.address,
          'agent.proxyusername': 'me@corp',
        };
        const bypass = { 'agent.proxybypasslist': JSON.stringify([`^https://${server.replaceAll('.', '\\.')}`]) };
        const address = new URL(proxy.address);
        Object.assign(address, { username: 'me@corp', password });
        const token = azure.clusterToken('https://vault.azure.net');
        const inputs = {
          helmPath: '',
          helmVersion: '4.1.4',
          helmDownloadUrl: mirror.address,
          chart: 'app',
          chartRepositoryConnection: 'charts',
          sopsPath: await sops(),
          secretValueFiles: await vaultEncryptedFile(s.file('vault.yaml', ''), 'marker: the word is hunter24\n', {
            vault,
            proxy: address.href,
            token,
          }),
        };
        proxy.tunnels.length = 0;
        const { connection, job } = spec(s, 'federated', { inputs });
        const connections = [connection, loginConnection('charts', 'Generic', repository.address)];
        const root = path.dirname(s.file('agent', ''));
        const deployBehind = (variables: Record<string, string>, set: readonly string[]) =>
          s.deploy(
            {
              ...spec(s, 'federated', { inputs, set }),
              variables: { ...variables, 'system.debug': 'true' },
              secrets: { 'agent.proxypassword': password },
              job: { ...job, endpoints: connections.filter((each) => each !== undefined) },
            },
            { root },
          );
        assertOutcome(await deployBehind({ ...network, ...bypass }, bare), 'deployed');
        assert.deepEqual([...new Set(proxy.tunnels)].sort(), others.sort());
        const end = await deployBehind(network, [...bare, 'text=two']);
        assertOutcome(end, 'deployed');
        assert.ok(proxy.tunnels.includes(server));
        assert.deepEqual(proxy.refused, []);
        const { commandLines, environments } = watch.stop();
        const forms = [password, encodeURIComponent(password), Buffer.from(`me@corp:${password}`).toString('base64')];
        const places: (readonly [string, string])[] = [
          ...shownBy(end.job),
          ...filesBelow(root),
          ...[...commandLines].map((line) => ['a command line', line] as const),
        ];
        for (const [place, text] of places) {
          assert.ok(!forms.some((form) => text.includes(form)), place);
          assert.doesNotMatch(text, jwt, place);
        }
        // Helm and sops need the proxy, and get no token of Azure.
        assert.deepEqual([...environments.keys()].sort(), ['--decrypt', 'credential.js', 'guard.js', helm].sort());
        for (const [program, texts] of environments) {
          for (const text of texts) {
            assert.doesNotMatch(text, jwt, program);
            assert.ok(!text.includes(azure.state.jobToken), program);
          }
        }
      } finally {
        watch.stop();
        for (const site of [vault, mirror, repository]) site.close();
        await proxy.close();
      }
    },
  );

  scene('the credentials of the administrator are used as they are, and shown nowhere', async (s) => {
    const { url, ca, token } = adminApiServer(clusterName);
    const admin = kubeconfigOf(url, ca, { token });
    azure.state.clusters.set('local', { user: entraKubeconfig(url, ca), admin });
    const root = path.dirname(s.file('agent', ''));
    const helm = helms(s.cluster)['3'];
    const watch = watchProcesses([helm, 'guard.js']);
    const inputs = { kubernetesCluster: 'local', useClusterAdmin: 'true' };
    const deploy = spec(s, 'secret', { helm, set: bare, inputs });
    const options = { ...agent(), root };
    const end = await s
      .deploy({ ...deploy, variables: { ...deploy.variables, 'system.debug': 'true' } }, options)
      .finally(() => watch.stop());
    assertOutcome(end, 'deployed');
    const { commandLines, environments } = watch.stop();
    assert.deepEqual([...environments.keys()].sort(), [helm, 'guard.js'].sort());
    const places: (readonly [string, string])[] = [
      ...shownBy(end.job),
      ...filesBelow(root),
      ...[...commandLines].map((line) => ['a command line', line] as const),
      ...[...environments].flatMap(([name, texts]) => [...texts].map((text) => [name, text] as const)),
    ];
    const secrets = [token, azure.state.secret].flatMap((secret) => [secret, Buffer.from(secret).toString('base64')]);
    assert.ok(token !== '');
    for (const [place, text] of places) assert.ok(!secrets.some((secret) => text.includes(secret)), place);
  });

  scene(
    'a managed identity: RolloutHealthCheck reads, and a wrong cluster name is a mistake of the inputs',
    async (s) => {
      await allowGroup(s);
      assertOutcome(await s.deploy(spec(s, 'systemIdentity', { set: fake }), agent()), 'deployed');
      const { connection, job } = spec(s, 'systemIdentity');
      const check = (inputs: Record<string, string>) =>
        runCheck(
          {
            cluster: s.cluster,
            namespace: s.namespace,
            variables: variables(s),
            inputs: { ...azureInputs, releaseName: 'web', ...inputs },
            ...(connection === undefined ? {} : { connection }),
            ...(job === undefined ? {} : { job }),
          },
          agent(),
        );
      assert.equal((await check({})).outputs['health'], 'healthy');
      const wrong = await check({ kubernetesCluster: 'aks2' });
      assert.match(wrong.log, /Input kubernetesCluster holds "aks2"; there is no cluster and no fleet of this name/);
    },
  );
});
