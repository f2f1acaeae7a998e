import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { TaskError, type FailureReason } from '../../core/failure';
import { loginFiles, repositoryCache } from '../../core/helm/helmLogins';
import {
  hasLogin,
  registryConfig,
  registryLogin,
  repositoriesFile,
  repositoryLogin,
  repositoryName,
  type ChartLogins,
  type RegistryLogin,
  type RepositoryLogin,
} from '../../core/inputs/chartLogins';
import type { PrivateFolder } from '../agent/privateFolder';
import { requiredConnection, type TaskEnvironment } from '../agent/taskEnvironment';
import { download, type DownloadLimits } from './download';

interface ChartLoginOptions {
  environment: TaskEnvironment;
  folder: PrivateFolder;
  signal: AbortSignal;
  onSecret: (secret: string) => void;
  /** The certificate authorities for the repository, of `--ca-file`. */
  caFile?: string;
  /** The registry of the chart in Azure, if the connection to the cluster can sign in there. */
  azureRegistry?: AzureRegistry | undefined;
}

export interface AzureRegistry {
  host: string;
  signIn: () => Promise<RegistryLogin>;
}

/**
 * Writes a private home for Helm, with the logins of the connections beside those of earlier steps. Returns the
 * variables by which Helm finds it. The charts of `repository` are then in the repository `repositoryName`.
 */
export async function prepareChartLogins(
  logins: ChartLogins,
  options: ChartLoginOptions,
): Promise<Record<string, string>> {
  return {
    ...(await registryVariables(logins.registry, options)),
    ...(logins.repository === undefined ? {} : await privateRepositories(logins.repository, options)),
  };
}

async function registryVariables(id: string | undefined, options: ChartLoginOptions): Promise<Record<string, string>> {
  const { environment, folder, onSecret, azureRegistry } = options;
  const file = loginFiles(process.platform, environment.childEnvironment, homeOf(environment)).registries[0] ?? '';
  const existing = textOf(file);
  const login = id === undefined ? await azureLogin(azureRegistry, existing) : connectionLogin(environment, id);
  if (login === undefined) return {};
  onSecret(login.password);
  return { HELM_REGISTRY_CONFIG: folder.write('registry.json', registryConfig(existing, login)) };
}

function connectionLogin(environment: TaskEnvironment, id: string): RegistryLogin {
  const login = registryLogin(requiredConnection(environment, id, 'containerRegistry'));
  if ('problem' in login) throw unusable('containerRegistry', login.problem);
  return login;
}

/** A login of an earlier step wins. */
function azureLogin(registry: AzureRegistry | undefined, existing: string | undefined) {
  return registry === undefined || hasLogin(existing, registry.host) ? undefined : registry.signIn();
}

async function privateRepositories(id: string, options: ChartLoginOptions): Promise<Record<string, string>> {
  const { environment, folder, caFile } = options;
  const login = repositoryLogin(requiredConnection(environment, id, 'chartRepositoryConnection'));
  if ('problem' in login) throw unusable('chartRepositoryConnection', login.problem);
  options.onSecret(login.password);
  const index = await readIndex(login, options);
  const { childEnvironment } = environment;
  const existing = loginFiles(process.platform, childEnvironment, homeOf(environment)).repositories[0] ?? '';
  const config = folder.write('repositories.yaml', repositoriesFile(textOf(existing), login, caFile));
  folder.write(`${repositoryName}-index.yaml`, index);
  // Helm looks for the indexes of all repositories in one folder.
  const cache = repositoryCache(process.platform, childEnvironment, homeOf(environment));
  for (const name of namesIn(cache)) {
    if (name.endsWith('-index.yaml') && name !== `${repositoryName}-index.yaml`) {
      folder.link(name, path.join(cache, name));
    }
  }
  return { HELM_REPOSITORY_CONFIG: config, HELM_REPOSITORY_CACHE: folder.path };
}

/** The index of a large public repository has 20 MB. */
const indexLimits: DownloadLimits = { bytes: 128 * 1024 * 1024, tryMs: 120_000, tries: 3, redirects: 5 };

async function readIndex({ url, username, password }: RepositoryLogin, options: ChartLoginOptions): Promise<string> {
  const { environment, signal, caFile } = options;
  const address = new URL(`${url}/index.yaml`);
  address.username = encodeURIComponent(username);
  address.password = encodeURIComponent(password);
  const answer = await download(address.href, {
    what: 'the index of the chart repository',
    environment: {
      ...environment.childEnvironment,
      ...(caFile === undefined ? {} : { SSL_CERT_FILE: caFile }),
    },
    signal,
    limits: indexLimits,
  });
  if ('bytes' in answer) return answer.bytes.toString('utf8');
  const { problem, status } = answer;
  const message = `Input chartRepositoryConnection: reading ${url}/index.yaml failed: ${problem}${meaningOf(status)}. Nothing was changed.`;
  throw new TaskError(reasonOf(status), message, { facts: { inputs: 'chartRepositoryConnection' } });
}

function reasonOf(status: number | undefined): FailureReason {
  if (status === 401 || status === 403) return 'ChartAccessDenied';
  return status === 404 ? 'ChartNotFound' : 'ChartSourceUnreachable';
}

function meaningOf(status: number | undefined): string {
  switch (status) {
    case 401:
      return ': the user or the password is wrong';
    case 403:
      return ': this user may not read the repository';
    case 404:
      return ': there is no chart repository at this address';
    case 429:
      return ': too many requests';
    default:
      return '';
  }
}

function unusable(input: string, problem: string): TaskError {
  const message = `Input ${input}: the service connection cannot be used: ${problem}. Nothing was changed.`;
  return new TaskError('ConnectionInvalid', message, { facts: { inputs: input } });
}

function homeOf({ childEnvironment }: TaskEnvironment): string {
  return childEnvironment['HOME'] || homedir();
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
