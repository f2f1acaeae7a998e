import { base64 } from './base64';

/**
 * Returns the credentials in the userinfo of an address, in every form in which they are sent. Malformed addresses are
 * searched too. A userinfo without a colon is itself the credential.
 */
export function userinfoSecrets(address: string): string[] {
  const rest = address.trim().replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  const authority = /^[^/?#\s]*/.exec(rest)?.[0] ?? '';
  // A slash in a password ends the authority too early. The text after the colon is then not the number of a port.
  const isBroken = !authority.includes('@') && /:\d*[^\d]/.test(authority);
  const end = isBroken ? rest.lastIndexOf('@') : authority.lastIndexOf('@');
  if (end <= 0) return [];
  const userinfo = rest.slice(0, end);
  const colon = userinfo.indexOf(':');
  const password = userinfo.slice(colon + 1);
  if (password === '') return [];
  const secrets = [userinfo, password, decoded(password)];
  return colon === -1 ? secrets : [...secrets, base64(decoded(userinfo))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Returns the credentials of all addresses in a text. A user without a password is no credential here. */
export function userinfoSecretsIn(text: string): string[] {
  return text.split(/\s+/).flatMap((word) => {
    const upToHost = word.slice(0, word.lastIndexOf('@') + 1);
    const start = /:\/\/[^/?#@:]*:/.exec(upToHost)?.index;
    return start === undefined ? [] : userinfoSecrets(`any${upToHost.slice(start)}`);
  });
}

const privateKey = /private[-_]?key/i;
const placeOrKind = /(?:file|path|dir|directory|folder|url|uri|type|id|expiry|name|algorithm)$/i;

/** Returns true if the name is that of a credential, and not that of its place (`AZURE_FEDERATED_TOKEN_FILE`). */
export function namesSecret(name: string): boolean {
  if (/secret[-_]?id$/i.test(name)) return true;
  const isCredential = privateKey.test(name) || /secret|token|passw|credential|access[-_]?key|api[-_]?key/i.test(name);
  return isCredential && !placeOrKind.test(name);
}

/** The ends of the names of variables that hold a secret. `TOKEN_TTL` or `SECRETS_BACKEND` only mention one. */
const secretVariable =
  /(?:SECRET(?:_?ID|_?KEY)?|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|ACCESS_?KEY|API_?KEY|ACCOUNT_?KEY|STORAGE_?KEY|AGE_?KEY|CONNECTION_?STRING)$/i;

/** Values that are never secrets, whatever the name of the variable: switches, short numbers, paths. */
const noSecret = /^(?:true|false|yes|no|on|off|none|null|\d{1,5}|[a-z]:[\\/].*|\/.*)$/is;

export function isSecretVariable(name: string, value: string): boolean {
  const holds = secretVariable.test(name) || (privateKey.test(name) && !placeOrKind.test(name));
  return holds && value.trim() !== '' && !noSecret.test(value.trim());
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the values of secret variables and the credentials in the addresses of proxies. */
export function environmentSecrets(environment: Environment): string[] {
  return Object.entries(environment).flatMap(([name, value = '']) => {
    if (isSecretVariable(name, value)) return [value];
    return /_PROXY$/i.test(name) ? userinfoSecrets(value) : [];
  });
}

/** Variables with the place of a credential, or with a folder of a tool that keeps credentials in it. */
const credentialPlace =
  /(?:TOKEN|CREDENTIALS?|KEY)_?FILE$|^(?:GOOGLE_APPLICATION_CREDENTIALS|AWS_CONFIG_FILE|AZURE_CONFIG_DIR|CLOUDSDK_CONFIG|DOCKER_CONFIG|HELM_REGISTRY_CONFIG|HELM_REPOSITORY_CONFIG|NETRC|SSH_AUTH_SOCK)$/i;

/** Returns the environment for a program that must find no credential, of the cluster or any other. */
export function withoutCredentials<E extends Environment>(environment: E): E {
  return Object.fromEntries(
    Object.entries(withoutSecretVariables(environment)).filter(([name]) => !credentialPlace.test(name)),
  ) as E;
}

/** Returns the environment for a child process that needs no credentials. */
export function withoutSecretVariables<E extends Environment>(environment: E): E {
  return Object.fromEntries(
    Object.entries(environment).filter(([name, value = '']) => !isSecretVariable(name, value)),
  ) as E;
}

/** Returns the environment for a Helm that needs no key of sops. Other credentials may be those of the cluster. */
export function withoutSopsKey<E extends Environment>(environment: E): E {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^SOPS_AGE_KEY$/i.test(name))) as E;
}
