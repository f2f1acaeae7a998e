import assert from 'node:assert/strict';
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
      PATH: '/bin',
    });
    for (const secret of ['vault-1', 'key-1', 'proxy-1', 'repo-1']) {
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
