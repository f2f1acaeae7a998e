import { TaskError } from '../failure';

/** How a service connection signs in. Secrets of it are masked already. */
export type AzureIdentity = AzureApplication | { kind: 'managedIdentity'; clientId?: string };

export type AzureApplication = {
  /** An https origin with the tenant, for example `https://login.microsoftonline.com/<tenant>`. */
  authority: string;
  clientId: string;
} & (
  | { kind: 'secret'; secret: string }
  /** PEM with the private key and the certificate. */
  | { kind: 'certificate'; pem: string }
  /** Azure DevOps vouches for the connection with this id. */
  | { kind: 'federated'; connectionId: string }
);

export interface AzureConnection {
  identity: AzureIdentity;
  /** An https origin. */
  resourceManager: string;
  /** What a token for Azure Resource Manager is asked for. */
  resourceManagerScope: string;
  /** The audience of a token for a key vault, where the connection names it. */
  vaultResource?: string;
  /** Absent for connections to a management group. */
  subscription?: string;
}

/** What the agent hands over of a service connection. */
export interface ConnectionFacts {
  id: string;
  url: string | undefined;
  scheme: string | undefined;
  authorization(key: string): string | undefined;
  data(key: string): string | undefined;
}

interface Cloud {
  signIn: string;
  resourceManager: string;
}

/** The names are those of the field `environment` of a service connection. */
const clouds: Readonly<Record<string, Cloud>> = {
  azurecloud: { signIn: 'https://login.microsoftonline.com', resourceManager: 'https://management.azure.com' },
  azureusgovernment: {
    signIn: 'https://login.microsoftonline.us',
    resourceManager: 'https://management.usgovcloudapi.net',
  },
  azurechinacloud: { signIn: 'https://login.chinacloudapi.cn', resourceManager: 'https://management.chinacloudapi.cn' },
};

/** Throws `ConnectionInvalid`. */
export function readAzureConnection(facts: ConnectionFacts): AzureConnection {
  const cloud = clouds[(facts.data('environment') ?? 'AzureCloud').toLowerCase()];
  const resourceManager = httpsOrigin(facts.url || cloud?.resourceManager, 'of Azure Resource Manager');
  const resource = facts.data('activeDirectoryServiceEndpointResourceId');
  const isKnownCloud = cloud !== undefined;
  const subscription = facts.data('subscriptionId');
  const vaultResource = facts.data('AzureKeyVaultServiceEndpointResourceId')?.replace(/\/$/, '');
  return {
    identity: readIdentity(facts, cloud),
    resourceManager,
    resourceManagerScope: `${isKnownCloud || !resource ? resourceManager : resource.replace(/(?<!\/)\/+$/, '')}/.default`,
    ...(vaultResource ? { vaultResource } : {}),
    ...(subscription ? { subscription } : {}),
  };
}

function readIdentity(facts: ConnectionFacts, cloud: Cloud | undefined): AzureIdentity {
  const scheme = (facts.scheme ?? 'ServicePrincipal').toLowerCase();
  switch (scheme) {
    case 'managedserviceidentity': {
      const clientId = facts.data('msiClientId') ?? facts.authorization('msiClientId');
      return { kind: 'managedIdentity', ...(clientId ? { clientId } : {}) };
    }
    case 'workloadidentityfederation':
      return { ...application(facts, cloud), kind: 'federated', connectionId: facts.id };
    case 'serviceprincipal':
      return servicePrincipal(facts, cloud);
    default:
      throw invalid(
        `its authorization scheme "${facts.scheme ?? ''}" cannot sign in to a cluster; service principals (secret or certificate), workload identity federation and managed identities can`,
      );
  }
}

function servicePrincipal(facts: ConnectionFacts, cloud: Cloud | undefined): AzureIdentity {
  const pem = facts.authorization('servicePrincipalCertificate');
  const isCertificate = /^spnCertificate$/i.test(facts.authorization('authenticationType') ?? '');
  if (isCertificate || (pem !== undefined && facts.authorization('servicePrincipalKey') === undefined)) {
    if (pem === undefined || !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem) || !pem.includes('BEGIN CERTIFICATE')) {
      throw invalid('it holds no certificate with its private key in PEM (-----BEGIN ...)');
    }
    return { ...application(facts, cloud), kind: 'certificate', pem };
  }
  const secret = facts.authorization('servicePrincipalKey');
  if (secret === undefined) throw invalid('it holds no secret of its service principal');
  return { ...application(facts, cloud), kind: 'secret', secret };
}

function application(facts: ConnectionFacts, cloud: Cloud | undefined): { authority: string; clientId: string } {
  const tenant = facts.authorization('tenantId') ?? facts.data('tenantId');
  const clientId = facts.authorization('servicePrincipalId') ?? facts.data('servicePrincipalId');
  if (!tenant || !/^[\w.-]{1,255}$/.test(tenant)) throw invalid('it holds no tenant');
  if (!clientId) throw invalid('it holds no client id of its identity');
  const given = facts.data('activeDirectoryAuthority') ?? facts.data('environmentAuthorityUrl');
  if (/^adfs$/i.test(tenant) || /^https:\/\/[^/]+\/adfs\b/i.test(given ?? '')) throw invalid(adfs);
  // The old host of the public cloud. MSAL knows the new one without asking.
  const host = given !== undefined && !/^https:\/\/login\.windows\.net\/?$/i.test(given) ? given : cloud?.signIn;
  const environment =
    cloud === undefined ? ` (activeDirectoryAuthority) for its environment "${facts.data('environment') ?? ''}"` : '';
  return { authority: `${httpsOrigin(host, `to sign in at${environment}`)}/${tenant}`, clientId };
}

const adfs =
  'it signs in at Active Directory Federation Services (Azure Stack Hub without Entra ID), which this task cannot. Put the kubeconfig of the cluster into a Kubernetes service connection, and name that in kubernetesServiceConnection';

function httpsOrigin(address: string | undefined, what: string): string {
  const url = address !== undefined && URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:') return url.origin;
  throw invalid(`it holds no https address ${what}`);
}

function invalid(problem: string): TaskError {
  return new TaskError(
    'ConnectionInvalid',
    `Reading the service connection of the input azureSubscription: ${problem}.`,
  );
}
