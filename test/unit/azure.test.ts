import assert from 'node:assert/strict';
import { entraServerId } from '../../tasks/common/core/azure/aksKubeconfig';
import { clusterPath, parseAzureCluster, parseResourceGroup } from '../../tasks/common/core/azure/azureCluster';
import { readAzureConnection, type ConnectionFacts } from '../../tasks/common/core/azure/azureIdentity';
import { vaultResource, withoutAzureIdentity } from '../../tasks/common/core/azure/keyVault';
import { signInFailure } from '../../tasks/common/core/azure/signInFailure';
import { stoppedFailure, unresolvedFailure } from '../../tasks/common/core/azure/resourceManagerFailure';
import { adviceFor } from '../../tasks/common/core/report/advice';
import { TaskError } from '../../tasks/common/core/failure';
import { connectionInputDefaults, readConnection } from '../../tasks/common/core/inputs/connectionInputs';
import { inputReader } from '../../tasks/common/core/inputs/inputs';
import { secretFinder } from '../../tasks/common/core/text/secrets';

const subscription = '5b5c0000-0000-4000-8000-000000000001';
const idOf = (kind: string, name = 'aks'): string =>
  `/subscriptions/${subscription}/resourceGroups/Shop_rg/providers/Microsoft.ContainerService/${kind}/${name}`;

function read(given: Readonly<Record<string, string>>, available: readonly string[] = []) {
  const context = { secrets: secretFinder([]), redact: (text: string) => text };
  const reader = inputReader(connectionInputDefaults, (name) => given[name], context);
  const connection = readConnection(reader, available);
  reader.finish();
  return connection;
}

describe('the inputs of a connection by Azure Resource Manager', () => {
  const least = {
    connectionType: 'azureResourceManager',
    azureSubscription: 'azure',
    azureResourceGroup: 'shop',
    kubernetesCluster: 'aks',
  };
  const plain = { type: 'azureResourceManager', id: 'azure', useClusterAdmin: false };
  const accepted: readonly [string, Record<string, string>, object][] = [
    ['names', {}, { ...plain, cluster: { resourceGroup: 'shop', name: 'aks' } }],
    [
      'the words of HelmDeploy@1',
      { connectionType: 'Azure Resource Manager' },
      { ...plain, cluster: { resourceGroup: 'shop', name: 'aks' } },
    ],
    [
      'the administrator',
      { useClusterAdmin: 'true' },
      { ...plain, cluster: { resourceGroup: 'shop', name: 'aks' }, useClusterAdmin: true },
    ],
    [
      'a resource id without a group',
      { azureResourceGroup: '', kubernetesCluster: idOf('managedClusters') },
      { ...plain, cluster: { kind: 'managedClusters', subscription, resourceGroup: 'Shop_rg', name: 'aks' } },
    ],
    [
      'the resource id of a fleet wins over the group',
      { kubernetesCluster: idOf('Fleets', 'hub') },
      { ...plain, cluster: { kind: 'fleets', subscription, resourceGroup: 'Shop_rg', name: 'hub' } },
    ],
    [
      'the resource id of a group in another subscription',
      { azureResourceGroup: `/subscriptions/${subscription}/resourceGroups/other` },
      { ...plain, cluster: { subscription, resourceGroup: 'other', name: 'aks' } },
    ],
  ];
  for (const [title, given, expected] of accepted) {
    it(`accepted: ${title}`, () => {
      assert.deepEqual(read({ ...least, ...given }), expected);
    });
  }

  const refused: readonly [string, Record<string, string>, RegExp][] = [
    [
      'no connection',
      { azureSubscription: '' },
      /^TaskError: Input azureSubscription is empty; expected the name of an Azure Resource Manager service connection/,
    ],
    [
      'no cluster',
      { kubernetesCluster: '' },
      /^TaskError: Input kubernetesCluster is empty; expected the name of an AKS cluster/,
    ],
    [
      'a name without a group',
      { azureResourceGroup: '' },
      /^TaskError: Input kubernetesCluster holds "aks"; .*a name also needs azureResourceGroup/,
    ],
    [
      'a group with a slash',
      { azureResourceGroup: 'a/b' },
      /^TaskError: Input azureResourceGroup holds "a\/b"; expected/,
    ],
    [
      'a cluster of another kind',
      { kubernetesCluster: idOf('managedClusters').replace('ContainerService', 'Kubernetes') },
      /^TaskError: Input kubernetesCluster holds "\/subscriptions/,
    ],
    ['a path in a name', { kubernetesCluster: '../../other' }, /^TaskError: Input kubernetesCluster holds/],
  ];
  for (const [title, given, message] of refused) {
    it(`refused: ${title}`, () => {
      assert.throws(() => read({ ...least, ...given }), message);
    });
  }

  it('no character of a name leaves its place in the address', () => {
    const place = parseResourceGroup('a (b).c') ?? parseResourceGroup('a(b).c');
    const cluster = parseAzureCluster('aks', place);
    assert.ok(cluster !== undefined);
    assert.equal(
      clusterPath(cluster, 'managedClusters', 'sub/../x'),
      '/subscriptions/sub%2F..%2Fx/resourceGroups/a(b).c/providers/Microsoft.ContainerService/managedClusters/aks',
    );
  });
});

describe('service connections of Azure Resource Manager', () => {
  const application = { tenantid: 'tenant-1', serviceprincipalid: 'client-1' };

  function facts(
    scheme: string,
    auth: Readonly<Record<string, string>>,
    data: Readonly<Record<string, string>> = {},
    url = 'https://management.azure.com/',
  ): ConnectionFacts {
    const lookUp = (fields: Readonly<Record<string, string>>) => (key: string) => fields[key.toLowerCase()];
    return { id: 'id-1', url: url === '' ? undefined : url, scheme, authorization: lookUp(auth), data: lookUp(data) };
  }

  const identities: readonly [string, ConnectionFacts, object][] = [
    [
      'a secret',
      facts('ServicePrincipal', { ...application, serviceprincipalkey: 's' }),
      { kind: 'secret', secret: 's' },
    ],
    [
      'a certificate',
      facts('ServicePrincipal', {
        ...application,
        authenticationtype: 'spnCertificate',
        serviceprincipalcertificate: pem(),
      }),
      { kind: 'certificate', pem: pem() },
    ],
    [
      'a federated identity',
      facts('WorkloadIdentityFederation', application),
      { kind: 'federated', connectionId: 'id-1' },
    ],
  ];
  for (const [title, given, expected] of identities) {
    it(title, () => {
      assert.deepEqual(readAzureConnection(given).identity, {
        authority: 'https://login.microsoftonline.com/tenant-1',
        clientId: 'client-1',
        ...expected,
      });
    });
  }

  it('managed identities of the system and of a user', () => {
    assert.deepEqual(readAzureConnection(facts('ManagedServiceIdentity', {})).identity, { kind: 'managedIdentity' });
    const user = facts('ManagedServiceIdentity', {}, { msiclientid: 'client-2' });
    assert.deepEqual(readAzureConnection(user).identity, { kind: 'managedIdentity', clientId: 'client-2' });
  });

  const clouds: readonly [string, Record<string, string>, string, [string, string, string]][] = [
    [
      'public',
      { environment: 'AzureCloud' },
      'https://management.azure.com/',
      [
        'https://login.microsoftonline.com/tenant-1',
        'https://management.azure.com',
        'https://management.azure.com/.default',
      ],
    ],
    [
      'the old host of the public cloud',
      { environmentauthorityurl: 'https://login.windows.net/' },
      'https://management.azure.com/',
      [
        'https://login.microsoftonline.com/tenant-1',
        'https://management.azure.com',
        'https://management.azure.com/.default',
      ],
    ],
    [
      'US government',
      { environment: 'AzureUSGovernment' },
      '',
      [
        'https://login.microsoftonline.us/tenant-1',
        'https://management.usgovcloudapi.net',
        'https://management.usgovcloudapi.net/.default',
      ],
    ],
    [
      'China',
      { environment: 'AzureChinaCloud' },
      'https://management.chinacloudapi.cn/',
      [
        'https://login.chinacloudapi.cn/tenant-1',
        'https://management.chinacloudapi.cn',
        'https://management.chinacloudapi.cn/.default',
      ],
    ],
    [
      'a custom authority and a stack',
      {
        environment: 'AzureStack',
        activedirectoryauthority: 'https://login.stack.example:8443/',
        activedirectoryserviceendpointresourceid: 'https://management.fabrikam.example/guid',
      },
      'https://management.stack.example/',
      [
        'https://login.stack.example:8443/tenant-1',
        'https://management.stack.example',
        'https://management.fabrikam.example/guid/.default',
      ],
    ],
  ];
  for (const [title, data, url, expected] of clouds) {
    it(`cloud: ${title}`, () => {
      const given = readAzureConnection(facts('WorkloadIdentityFederation', application, data, url));
      const authority = 'authority' in given.identity ? given.identity.authority : '';
      assert.deepEqual([authority, given.resourceManager, given.resourceManagerScope], expected);
    });
  }

  const invalid: readonly [string, ConnectionFacts, RegExp][] = [
    ['no secret', facts('ServicePrincipal', application), /it holds no secret of its service principal/],
    ['no tenant', facts('WorkloadIdentityFederation', { serviceprincipalid: 'c' }), /it holds no tenant/],
    [
      'a tenant with a path',
      facts('WorkloadIdentityFederation', { ...application, tenantid: 'a/b' }),
      /it holds no tenant/,
    ],
    ['no client id', facts('WorkloadIdentityFederation', { tenantid: 't' }), /it holds no client id/],
    [
      'a certificate without its key',
      facts('ServicePrincipal', {
        ...application,
        authenticationtype: 'spnCertificate',
        serviceprincipalcertificate: 'x',
      }),
      /holds no certificate with its private key in PEM/,
    ],
    ['a publish profile', facts('PublishProfile', {}), /scheme "PublishProfile" cannot sign in/],
    [
      'http to sign in',
      facts('WorkloadIdentityFederation', application, { activedirectoryauthority: 'http://login.example' }),
      /no https address to sign in at/,
    ],
    [
      'an unknown cloud without addresses',
      facts('WorkloadIdentityFederation', application, { environment: 'Moon' }),
      /no https address to sign in at \(activeDirectoryAuthority\) for its environment "Moon"/,
    ],
    [
      'Azure Stack with AD FS, by its tenant',
      facts('WorkloadIdentityFederation', { ...application, tenantid: 'adfs' }, { environment: 'AzureStack' }),
      /Active Directory Federation Services .*, which this task cannot\..* kubernetesServiceConnection/,
    ],
    [
      'Azure Stack with AD FS, by its authority',
      facts('WorkloadIdentityFederation', application, { activedirectoryauthority: 'https://adfs.stack.example/adfs' }),
      /Active Directory Federation Services/,
    ],
  ];
  for (const [title, given, message] of invalid) {
    it(`invalid: ${title}`, () => {
      assert.throws(
        () => readAzureConnection(given),
        (error) => {
          assert.ok(error instanceof TaskError && error.reason === 'ConnectionInvalid');
          assert.match(error.message, /service connection of the input azureSubscription/);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});

describe('kubeconfigs of AKS', () => {
  const known = '6dae42f8-4368-4678-94ff-3960e28e3630';
  const users: readonly [string, Record<string, unknown>, string | undefined][] = [
    ['kubelogin', { exec: { command: 'kubelogin', args: ['get-token', '--server-id', 'server-1'] } }, 'server-1'],
    ['kubelogin with =', { exec: { command: '/usr/bin/kubelogin', args: ['--server-id=server-1'] } }, 'server-1'],
    ['kubelogin without a server', { exec: { command: 'C:\\bin\\kubelogin.exe', args: null } }, known],
    ['the old format', { 'auth-provider': { name: 'azure', config: { 'apiserver-id': 'server-1' } } }, 'server-1'],
    ['a client certificate', { 'client-certificate-data': 'x', token: 't' }, undefined],
  ];
  for (const [title, user, expected] of users) {
    it(title, () => {
      assert.equal(entraServerId({ user }), expected);
    });
  }

  it('no other program is started', () => {
    for (const command of ['kubelogin.sh', 'sh', 'evilkubelogin', '']) {
      assert.throws(() => entraServerId({ user: { exec: { command } } }), /other than kubelogin/);
    }
  });
});

describe('refusals of Entra ID', () => {
  it('the code is quoted with a next step, without the ids that differ each time', () => {
    const message =
      'invalid_client: 7000222 - [2026-11-30 23:00:00Z]: AADSTS7000222: The keys are\nexpired. Trace ID: 1 Correlation ID: 2';
    const failure = signInFailure(
      { code: 'invalid_client', message },
      { kind: 'secret', what: 'the API server', now: 'now' },
    );
    assert.equal(
      failure.message,
      'Signing in for the API server with the connection of the input azureSubscription: Microsoft Entra ID refused: AADSTS7000222: The keys are expired. The secret has expired. Make a new one for the app registration and put it into the service connection, or convert the connection to workload identity federation, which has no secret.',
    );
    assert.deepEqual(failure.facts, { code: 'AADSTS7000222' });
  });

  it('an unknown code is quoted too, and a long text is cut', () => {
    const failure = signInFailure(
      { code: 'x', message: `AADSTS999999: ${'y'.repeat(5000)}` },
      { kind: 'federated', what: 'the API server', now: 'now' },
    );
    assert.match(failure.message, /AADSTS999999: y+ \.\.\.\. Check the federated credential/);
    assert.ok(failure.message.length < 800);
  });
});

describe('the advice after a failed connection to Azure', () => {
  const aks = { resourceGroup: 'shop', name: 'aks' };
  const refused = { kind: 'secret', what: 'the API server', now: 'now' } as const;
  const untrusted =
    'Could not read a token: the sign-in server https://login.example is not trusted, its certificate is self-signed (X).';
  const cases: readonly [string, TaskError, RegExp][] = [
    ['a refusal', signInFailure({ code: 'x', message: 'AADSTS700024: x' }, refused), /^Do what the message above says/],
    ['a stopped cluster', stoppedFailure(aks), /^Do what the message above says/],
    ['a private cluster', unresolvedFailure(aks, 'aks.example', true), /^Do what the message above says/],
    ['an authority of the network', new TaskError('CertificateRejected', untrusted), /Agent\.CAInfo/],
  ];
  for (const [title, { reason, message }, expected] of cases) {
    it(`${title}: it does not contradict the message`, () => {
      assert.match(adviceFor(reason, message), expected);
    });
  }
});

function pem(): string {
  return '-----BEGIN PRIVATE KEY-----\nQQ==\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n';
}

describe('the identity for keys in Azure Key Vault', () => {
  it('has tokens for vaults of every cloud and for that of the connection, and for nothing else', () => {
    const own = 'https://vault.stack.example';
    for (const asked of ['https://vault.azure.net', 'https://vault.azure.cn/', 'https://managedhsm.azure.net', own]) {
      assert.equal(vaultResource(asked, own), asked.replace(/\/$/, ''));
    }
    for (const asked of ['', 'https://management.azure.com', 'https://vault.azure.net.example', 'https://azure.net']) {
      assert.equal(vaultResource(asked, own), undefined);
    }
    assert.equal(vaultResource('', undefined), undefined);
  });

  it('is the only one that the program finds', () => {
    const left = { AZURE_CLIENT_ID: 'a', azure_tenant_id: 'b', AZURE_FEDERATED_TOKEN_FILE: 'c', MSI_ENDPOINT: 'd' };
    const kept = { PATH: '/bin', AZURE_CONFIG_DIR: '/home/me/.azure', SOPS_AGE_KEY_FILE: '/key' };
    assert.deepEqual(withoutAzureIdentity({ ...left, ...kept }), kept);
  });
});
