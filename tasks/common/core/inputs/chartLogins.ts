import { readGoYaml } from '../kubernetes/goYaml';
import { isRecord } from '../kubernetes/json';
import { base64 } from '../text/base64';
import type { InputReader } from './inputs';

/** The service connections with the logins of chart sources, by their ids. */
export interface ChartLogins {
  registry?: string;
  repository?: string;
}

export const chartLoginDefaults = { containerRegistry: '', chartRepositoryConnection: '' } as const;

export function readChartLogins(read: InputReader): ChartLogins {
  const registry = read.optionalText('containerRegistry');
  const repository = read.optionalText('chartRepositoryConnection');
  return { ...(registry === undefined ? {} : { registry }), ...(repository === undefined ? {} : { repository }) };
}

export interface Login {
  username: string;
  password: string;
}

export interface RegistryLogin extends Login {
  /** As in `auths` of a registry configuration: a host with its port, or the address of Docker Hub. */
  server: string;
}

/** The fields of a service connection. */
interface ConnectionFields {
  url: string | undefined;
  authorization(key: string): string | undefined;
}

/** Reads a connection of the type «Docker Registry». */
export function registryLogin(connection: ConnectionFields): RegistryLogin | { problem: string } {
  const field = (key: string): string => connection.authorization(key) ?? '';
  const server = serverOf(field('loginServer') || field('registry') || (connection.url ?? ''));
  if (server === undefined) return { problem: 'it names no registry' };
  const username = field('username') || field('servicePrincipalId');
  const password = field('password') || field('servicePrincipalKey');
  if (username !== '' && password !== '') return { server, username, password };
  const problem =
    'it holds no password: a registry whose connection signs in by a workload identity needs an earlier step that runs `helm registry login`';
  return { problem };
}

/** The host of an Azure container registry in an `oci://` address. */
export function azureRegistryHost(reference: string): string | undefined {
  return /^oci:\/\/([\w.-]+\.azurecr\.(?:io|cn|us))\//i.exec(reference)?.[1]?.toLowerCase();
}

/** Returns true if a registry configuration of earlier steps has a login for this server. */
export function hasLogin(existing: string | undefined, server: string): boolean {
  const { auths } = recordIn(existing);
  return isRecord(auths) && Object.hasOwn(auths, server);
}

const dockerHub = 'https://index.docker.io/v1/';

function serverOf(address: string): string | undefined {
  const complete = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`;
  if (!URL.canParse(complete)) return undefined;
  const { host } = new URL(complete);
  if (host === '') return undefined;
  return /(?:^|\.)docker\.(?:io|com)$/.test(host) ? dockerHub : host;
}

export interface RepositoryLogin extends Login {
  /** The address of the repository, without a slash at its end. */
  url: string;
}

/** Reads a connection of the type «Generic». */
export function repositoryLogin(connection: ConnectionFields): RepositoryLogin | { problem: string } {
  const url = (connection.url ?? '').trim();
  const [username, password] = ['username', 'password'].map((key) => connection.authorization(key) ?? '');
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') {
    return { problem: 'its address is no https:// address; a password is not sent without encryption' };
  }
  if (!username || !password) return { problem: 'it holds no user and password' };
  return { url: url.endsWith('/') ? url.slice(0, -1) : url, username, password };
}

/** Helm's registry configuration with one more login. `existing` is that of earlier steps. */
export function registryConfig(existing: string | undefined, { server, username, password }: RegistryLogin): string {
  const config = recordIn(existing);
  const auths = isRecord(config['auths']) ? config['auths'] : {};
  // With a store of credentials for all servers, Helm would not look at `auths`.
  const { credsStore: _store, ...rest } = config;
  return JSON.stringify({ ...rest, auths: { ...auths, [server]: { auth: base64(`${username}:${password}`) } } });
}

/** The name of the private repository. */
export const repositoryName = 'helm-safe-deploy';

/** Helm's list of repositories with one more. `existing` is that of earlier steps; `caFile` checks the new one. */
export function repositoriesFile(
  existing: string | undefined,
  login: RepositoryLogin,
  caFile: string | undefined,
): string {
  const file = recordIn(existing);
  const others = Array.isArray(file['repositories']) ? (file['repositories'] as unknown[]) : [];
  const entry = { name: repositoryName, ...login, ...(caFile === undefined ? {} : { caFile }) };
  return JSON.stringify({ apiVersion: 'v1', ...file, repositories: [...others, entry] });
}

function recordIn(text: string | undefined): Readonly<Record<string, unknown>> {
  const [document] = readGoYaml(text ?? '');
  return document !== undefined && 'value' in document && isRecord(document.value) ? document.value : {};
}
