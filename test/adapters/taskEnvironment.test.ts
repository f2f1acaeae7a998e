import assert from 'node:assert/strict';
import { exemptServer } from '../../tasks/common/adapters/agent/agentProxy';
import { takeTaskEnvironment } from '../../tasks/common/adapters/agent/taskEnvironment';

const id = '7b1f0000-0000-4000-8000-000000000001';

describe('the environment that the agent gives to the task', () => {
  it('a service connection is read from its JSON where it has no variables of its own', () => {
    const environment = takeTaskEnvironment({
      [`ENDPOINT_URL_${id}`]: 'https://k8s.example:6443',
      [`ENDPOINT_AUTH_${id}`]: JSON.stringify({
        scheme: 'Token',
        parameters: { apitoken: 'dG9rZW4=', namespace: 'shop' },
      }),
      [`ENDPOINT_DATA_${id}`]: JSON.stringify({ authorizationType: 'ServiceAccount' }),
    });
    const connection = environment.serviceConnection(id.toUpperCase());
    assert.equal(connection?.url, 'https://k8s.example:6443');
    assert.equal(connection.authorization('apitoken'), 'dG9rZW4=');
    assert.equal(connection.data('authorizationType'), 'ServiceAccount');
    assert.deepEqual(environment.secrets, ['dG9rZW4=']);
    assert.deepEqual(environment.serviceConnections, [id]);
  });

  it('the variable of a parameter wins over the JSON, and ids with underscores are read correctly', () => {
    const environment = takeTaskEnvironment({
      ENDPOINT_URL_my_cluster: 'https://k8s.example',
      ENDPOINT_AUTH_my_cluster: '{"scheme":"Kubernetes","parameters":{"kubeconfig":"old"}}',
      ENDPOINT_AUTH_SCHEME_my_cluster: 'Kubernetes',
      ENDPOINT_AUTH_PARAMETER_my_cluster_KUBECONFIG: 'new',
      ENDPOINT_AUTH_PARAMETER_my_cluster_PASSWORD: 'hunter22',
      ENDPOINT_URL_SYSTEMVSSCONNECTION: 'https://dev.azure.com/o/',
      ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN: 'job-token',
    });
    assert.deepEqual(environment.serviceConnections, ['my_cluster']);
    assert.equal(environment.serviceConnection('my_cluster')?.authorization('kubeconfig'), 'new');
    assert.deepEqual([...environment.secrets].sort(), ['hunter22', 'job-token']);
  });

  it('variables with names of secrets, and userinfo of proxies and repositories, are secret', () => {
    const environment = takeTaskEnvironment({
      VAULT_SECRET_ID: 'vault-1',
      SSH_PRIVATE_KEY: 'key-1',
      HTTPS_PROXY: 'http://me:proxy-1@proxy:3128',
      INPUT_CHARTREPOSITORY: 'https://me:repo-1@charts.example',
      INPUT_METRICSSERVER: 'https://me:metrics-1@prometheus.example',
      PATH: '/bin',
    });
    for (const secret of ['vault-1', 'key-1', 'proxy-1', 'repo-1', 'metrics-1']) {
      assert.ok(environment.secrets.includes(secret), secret);
    }
    // Helm and its plug-ins may need this variable.
    assert.equal(environment.childEnvironment['VAULT_SECRET_ID'], 'vault-1');
  });

  it('connections to Azure and to registries are not taken for the Kubernetes resource of a deployment job', () => {
    const environment = takeTaskEnvironment({
      ENDPOINT_URL_resource: 'https://k8s.example',
      ENDPOINT_AUTH_resource: '{"scheme":"Kubernetes","parameters":{"kubeconfig":"k"}}',
      ENDPOINT_URL_azure: 'https://management.azure.com/',
      ENDPOINT_AUTH_SCHEME_azure: 'WorkloadIdentityFederation',
      ENDPOINT_URL_registry: 'https://index.docker.io/v1/',
      ENDPOINT_AUTH_registry: '{"scheme":"UsernamePassword","parameters":{"password":"registry-1"}}',
    });
    assert.deepEqual(environment.serviceConnections, ['resource']);
    assert.equal(environment.serviceConnection('azure')?.scheme, 'WorkloadIdentityFederation');
    assert.equal(environment.serviceConnection('registry')?.scheme, 'UsernamePassword');
  });

  it('children find the proxy of the agent with its user, and not for the hosts that the agent exempts', () => {
    const { childEnvironment, secrets } = takeTaskEnvironment({
      AGENT_PROXYURL: 'http://proxy.example:3128',
      AGENT_PROXYUSERNAME: 'me',
      SECRET_AGENT_PROXYPASSWORD: 'proxy geheim',
      AGENT_PROXYBYPASSLIST: JSON.stringify(['^https?://charts\\.example', '.*\\.corp\\.example$', '10\\.0\\.\\d+']),
      no_proxy: '169.254.169.254',
    });
    const proxy = 'http://me:proxy%20geheim@proxy.example:3128/';
    assert.equal(childEnvironment['HTTPS_PROXY'], proxy);
    assert.equal(childEnvironment['HTTP_PROXY'], proxy);
    assert.equal(childEnvironment['NO_PROXY'], '169.254.169.254,charts.example,.corp.example');
    for (const secret of ['proxy geheim', 'proxy%20geheim']) assert.ok(secrets.includes(secret), secret);
  });

  it('a proxy of the environment wins over that of the agent', () => {
    const { childEnvironment } = takeTaskEnvironment({ AGENT_PROXYURL: 'http://agent:1', https_proxy: 'http://own:2' });
    assert.equal(childEnvironment['HTTPS_PROXY'], undefined);
    assert.equal(childEnvironment['https_proxy'], 'http://own:2');
  });

  it('a rule that NO_PROXY cannot express still exempts the API server', () => {
    const { childEnvironment, variable } = takeTaskEnvironment({
      AGENT_PROXYURL: 'proxy.example:3128',
      AGENT_PROXYBYPASSLIST: '["10\\\\.0\\\\.\\\\d+", "("]',
    });
    exemptServer('https://10.1.0.4:6443', variable, childEnvironment);
    assert.equal(childEnvironment['NO_PROXY'], '');
    exemptServer('https://10.0.0.4:6443', variable, childEnvironment);
    assert.equal(childEnvironment['NO_PROXY'], '10.0.0.4');
    assert.equal(childEnvironment['HTTPS_PROXY'], 'http://proxy.example:3128/');
  });

  it('invalid JSON does not stop the task', () => {
    const environment = takeTaskEnvironment({
      ENDPOINT_URL_a: 'x',
      ENDPOINT_AUTH_a: '{"scheme":',
      ENDPOINT_DATA_a: '[]',
    });
    assert.equal(environment.serviceConnection('a')?.authorization('apitoken'), undefined);
  });

  it('children get none of the connection', () => {
    const given = {
      PATH: '/bin',
      SECRET_X: 's',
      INPUT_SET: 'a=s',
      [`ENDPOINT_AUTH_${id}`]: '{}',
      VSTS_SECRET_VARIABLES: '[]',
    };
    const environment = takeTaskEnvironment(given);
    assert.deepEqual(environment.childEnvironment, { PATH: '/bin' });
    assert.deepEqual(given, { PATH: '/bin' });
  });

  it('children on Windows get names in capitals, and the names of connections stay as they are', () => {
    const environment = takeTaskEnvironment(
      { Path: 'C:\\bin', helm_driver: 'configmap', [`ENDPOINT_URL_${id}`]: 'https://k8s.example:6443' },
      'win32',
    );
    assert.deepEqual(environment.childEnvironment, { PATH: 'C:\\bin', HELM_DRIVER: 'configmap' });
    assert.deepEqual(environment.serviceConnections, [id]);
  });
});
