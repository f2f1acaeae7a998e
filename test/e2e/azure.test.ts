import assert from 'node:assert/strict';
import { request } from '../../scripts/cluster/api';
import { adminApiServer, trustIssuers } from '../../scripts/cluster/cluster';
import { waitFor } from '../../scripts/cluster/wait';
import { entraKubeconfig, objectId, serverId, startAzure, type Azure, type AzureScheme } from '../support/azure';
import type { AgentOptions } from '../support/agent';
import { runCheck } from '../support/product';
import { cluster as testCluster } from '../support/cluster';
import { assertOutcome, bare, fake, helms, scenes, type Scene, type SceneDeploy } from './scenes';

const stuck = [...fake, 'nodeSelector.none=z', 'progressDeadlineSeconds=1'];
const username = `aad:${objectId}`;

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
      assertOutcome(await s.deploy(spec(s, scheme, { helm, set: fake }), agent()), 'deployed');
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

  scene('a token that expires in the middle of a deploy is renewed, with a fresh proof of identity', async (s) => {
    await allowGroup(s);
    const proofs = () => azure.requests.filter(({ path }) => path.endsWith('/oidctoken')).length;
    const before = proofs();
    const inputs = { stableFor: '12s', kubernetesCluster: 'short' };
    assertOutcome(await s.deploy(spec(s, 'federated', { set: fake, inputs }), agent()), 'deployed');
    assert.ok(proofs() - before >= 4, String(proofs() - before));
  });

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
