import { base64 } from './secrets';

/**
 * What proves who asks in an address of its own, for example of a proxy: `user:password`, the password alone, and both as
 * they are sent; where there is no password, the user is the credential. Also of an address that is none for whoever
 * wrote it in a hurry.
 */
export function userinfoSecrets(address: string): string[] {
  const rest = address.trim().replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  const authority = /^[^/?#\s]*/.exec(rest)?.[0] ?? '';
  // A slash in a password ends the authority too early, in the middle of what is no port then.
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

/** The userinfo of all addresses in a text that may hold several; a user without a password is a name there. */
export function userinfoSecretsIn(text: string): string[] {
  return text.split(/\s+/).flatMap((word) => {
    const upToHost = word.slice(0, word.lastIndexOf('@') + 1);
    const start = /:\/\/[^/?#@:]*:/.exec(upToHost)?.index;
    return start === undefined ? [] : userinfoSecrets(`any${upToHost.slice(start)}`);
  });
}

const privateKey = /private[-_]?key/i;
const placeOrKind = /(?:file|path|dir|directory|folder|url|uri|type|id|expiry|name|algorithm)$/i;

/** Names of things that hold a credential, not of the place of one (`AZURE_FEDERATED_TOKEN_FILE`, `token-url`). */
export function namesSecret(name: string): boolean {
  if (/secret[-_]?id$/i.test(name)) return true;
  const isCredential = privateKey.test(name) || /secret|token|passw|credential|access[-_]?key|api[-_]?key/i.test(name);
  return isCredential && !placeOrKind.test(name);
}

/** Words that end the name of a variable that holds a secret; others only speak of one (`TOKEN_TTL`, `SECRETS_BACKEND`). */
const secretVariable =
  /(?:SECRET(?:_?ID|_?KEY)?|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|ACCESS_?KEY|API_?KEY|ACCOUNT_?KEY|STORAGE_?KEY|AGE_?KEY|CONNECTION_?STRING)$/i;

/** Values that are none, whatever the name says: switches, numbers that are counted with, places. */
const noSecret = /^(?:true|false|yes|no|on|off|none|null|\d{1,5}|[a-z]:[\\/].*|\/.*)$/is;

/** Whether a variable of the environment holds a secret, by its name. */
export function isSecretVariable(name: string, value: string): boolean {
  const holds = secretVariable.test(name) || (privateKey.test(name) && !placeOrKind.test(name));
  return holds && value.trim() !== '' && !noSecret.test(value.trim());
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What of an environment is secret: by the names of its variables, and in the addresses of proxies. */
export function environmentSecrets(environment: Environment): string[] {
  return Object.entries(environment).flatMap(([name, value = '']) => {
    if (isSecretVariable(name, value)) return [value];
    return /_PROXY$/i.test(name) ? userinfoSecrets(value) : [];
  });
}

/** The environment for a child that has nothing to prove to anybody. */
export function withoutSecretVariables<E extends Environment>(environment: E): E {
  return Object.fromEntries(
    Object.entries(environment).filter(([name, value = '']) => !isSecretVariable(name, value)),
  ) as E;
}
