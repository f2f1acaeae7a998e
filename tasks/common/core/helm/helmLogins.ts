import { readGoYaml } from '../kubernetes/goYaml';
import { isRecord } from '../kubernetes/json';
import { base64 } from '../text/base64';
import { userinfoSecrets } from '../text/secretSources';

type Texts = Readonly<Record<string, string | undefined>>;

/** The files in which Helm keeps logins. The first file of a list that exists counts. */
interface LoginFiles {
  repositories: readonly string[];
  registries: readonly string[];
}

/** Follows Helm's `helmpath` and `cli.New`. */
export function loginFiles(platform: string, environment: Texts, home: string): LoginFiles {
  const config = environment['HELM_CONFIG_HOME'] || `${configFolder(platform, environment, home)}/helm`;
  return {
    repositories: [environment['HELM_REPOSITORY_CONFIG'] || `${config}/repositories.yaml`],
    registries: [
      environment['HELM_REGISTRY_CONFIG'] || `${config}/registry/config.json`,
      `${environment['DOCKER_CONFIG'] || `${home}/.docker`}/config.json`,
    ],
  };
}

/** The folder with the indexes of repositories. Follows Helm's `helmpath` and `cli.New`. */
export function repositoryCache(platform: string, environment: Texts, home: string): string {
  const given = environment['HELM_REPOSITORY_CACHE'];
  if (given !== undefined && given !== '') return given;
  return `${environment['HELM_CACHE_HOME'] || `${cacheFolder(platform, environment, home)}/helm`}/repository`;
}

function cacheFolder(platform: string, environment: Texts, home: string): string {
  const given = environment['XDG_CACHE_HOME'];
  if (given !== undefined && given !== '') return given;
  if (platform === 'win32') return environment['TEMP'] || home;
  return platform === 'darwin' ? `${home}/Library/Caches` : `${home}/.cache`;
}

function configFolder(platform: string, environment: Texts, home: string): string {
  const given = environment['XDG_CONFIG_HOME'];
  if (given !== undefined && given !== '') return given;
  if (platform === 'win32') return environment['APPDATA'] || home;
  return platform === 'darwin' ? `${home}/Library/Preferences` : `${home}/.config`;
}

/** Returns the passwords in a `repositories.yaml`, also in the form in which they are sent. */
export function repositorySecrets(text: string): string[] {
  return entriesOf(valueOf(text), 'repositories').flatMap(({ username = '', password = '', url = '' }) => [
    ...(password === '' ? [] : [password, base64(`${username}:${password}`)]),
    ...userinfoSecrets(url),
  ]);
}

/** Returns the logins in a `config.json` of Helm or Docker. */
export function registrySecrets(text: string): string[] {
  return entriesOf(valueOf(text), 'auths').flatMap(
    ({ auth = '', password = '', identitytoken = '', registrytoken = '' }) =>
      [auth, passwordIn(auth), password, identitytoken, registrytoken].filter((secret) => secret !== ''),
  );
}

function passwordIn(auth: string): string {
  try {
    const userinfo = atob(auth);
    return userinfo.slice(userinfo.indexOf(':') + 1);
  } catch {
    return '';
  }
}

function valueOf(text: string): unknown {
  const [document] = readGoYaml(text);
  return document !== undefined && 'value' in document ? document.value : undefined;
}

function entriesOf(value: unknown, field: string): Texts[] {
  const found = isRecord(value) ? value[field] : undefined;
  const entries: unknown[] = Array.isArray(found) ? found : isRecord(found) ? Object.values(found) : [];
  return entries
    .filter(isRecord)
    .map((entry) =>
      Object.fromEntries(
        Object.entries(entry).flatMap(([name, each]) => (typeof each === 'string' ? [[name, each]] : [])),
      ),
    );
}
