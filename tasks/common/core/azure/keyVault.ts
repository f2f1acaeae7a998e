/** The resources of Azure Key Vault and Managed HSM in the public cloud, US government and China. */
const vaultResources = ['azure.net', 'usgovcloudapi.net', 'azure.cn'].flatMap((cloud) => [
  `https://vault.${cloud}`,
  `https://managedhsm.${cloud}`,
]);

/** The resource for which a vault wants a token, without a slash at its end. Undefined if it is none of a vault. */
export function vaultResource(asked: string, ofConnection: string | undefined): string | undefined {
  const resource = asked.replace(/\/$/, '');
  return [...vaultResources, ofConnection].includes(resource) ? resource : undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables by which the libraries of Azure find an identity. Earlier steps may have left them. */
const identityVariable =
  /^(?:AZURE_(?:CLIENT|TENANT|FEDERATED|USERNAME|PASSWORD|TOKEN_CREDENTIALS|ADDITIONALLY_ALLOWED)\w*|IDENTITY_\w+|MSI_\w+|IMDS_ENDPOINT)$/i;

export function withoutAzureIdentity<E extends Environment>(environment: E): E {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !identityVariable.test(name))) as E;
}
