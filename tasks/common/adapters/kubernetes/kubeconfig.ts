import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { TaskError } from '../../core/failure';

/** See client.authentication.k8s.io. */
export interface ExecPlugin {
  apiVersion: string;
  command: string;
  args: readonly string[];
  env: readonly { name: string; value: string }[];
  provideClusterInfo: boolean;
  installHint: string | undefined;
}

/** Several may be set; a token wins, as in client-go. */
export interface UserAccess {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  certificate?: Buffer;
  key?: Buffer;
  exec?: ExecPlugin;
  authProvider?: { name: string; config: Record<string, string> };
  impersonation: Readonly<Record<string, string | string[]>>;
}

/** One context of a kubeconfig. Its files have been read, and its paths are absolute. */
export interface ClusterAccess {
  context: string;
  /** Has no slash at the end, but may contain a path (Rancher). */
  server: string;
  ca?: Buffer;
  skipTlsVerify: boolean;
  tlsServerName?: string;
  proxyUrl?: string;
  namespace?: string;
  user: UserAccess;
}

type Fields = Record<string, unknown>;

interface Entry {
  fields: Fields;
  folder: string;
}

interface Config {
  clusters: Map<string, Entry>;
  users: Map<string, Entry>;
  contexts: Map<string, Entry>;
  currentContext: string | undefined;
}

/**
 * Reads a kubeconfig, or several as in KUBECONFIG. Throws `ConnectionMissing` if the file or context does not exist,
 * and `InputInvalid` if it cannot be parsed. No message quotes the content, because it contains credentials.
 */
export function readKubeconfig(location: string, contextName?: string): ClusterAccess {
  const files = configFiles(location);
  const config = merged(files.map((file) => ({ file, fields: readConfigFile(file) })));
  const name = contextName || config.currentContext;
  if (name === undefined) {
    throw new TaskError('ConnectionMissing', `The kubeconfig ${location} has no current-context.`);
  }
  const context = entry(config.contexts, name, 'context', location).fields;
  const cluster = entry(config.clusters, text(context['cluster']) ?? '', 'cluster', location);
  const user = text(context['user']);
  const access = clusterAccess(name, cluster, location);
  const namespace = text(context['namespace']);
  return {
    ...access,
    ...(namespace === undefined ? {} : { namespace }),
    user: user === undefined ? { impersonation: {} } : userAccess(entry(config.users, user, 'user', location)),
  };
}

function configFiles(location: string): string[] {
  if (existsSync(location)) return [path.resolve(location)];
  const files = location.split(path.delimiter).filter((file) => file !== '' && existsSync(file));
  if (files.length > 0) return files.map((file) => path.resolve(file));
  throw new TaskError('ConnectionMissing', `There is no kubeconfig at ${location}.`);
}

function readConfigFile(file: string): Fields {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TaskError('ConnectionMissing', `The kubeconfig ${file} cannot be read: ${codeOf(error)}.`, {
      cause: error,
    });
  }
  const document = parseDocument(content, { logLevel: 'silent', prettyErrors: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    const where = line === undefined ? '' : ` in line ${line}`;
    throw new TaskError('InputInvalid', `The kubeconfig ${file} is not valid YAML: ${problem.code}${where}.`);
  }
  const value = document.toJS() as unknown;
  if (isFields(value)) return value;
  throw new TaskError('InputInvalid', `The kubeconfig ${file} is not a mapping of clusters, users and contexts.`);
}

function merged(files: readonly { file: string; fields: Fields }[]): Config {
  const config: Config = { clusters: new Map(), users: new Map(), contexts: new Map(), currentContext: undefined };
  for (const { file, fields } of files) {
    const folder = path.dirname(file);
    collect(config.clusters, fields['clusters'], 'cluster', folder);
    collect(config.users, fields['users'], 'user', folder);
    collect(config.contexts, fields['contexts'], 'context', folder);
    config.currentContext ??= text(fields['current-context']);
  }
  return config;
}

function collect(into: Map<string, Entry>, list: unknown, key: string, folder: string): void {
  if (!Array.isArray(list)) return;
  for (const item of list as unknown[]) {
    if (!isFields(item)) continue;
    const name = text(item['name']);
    if (name === undefined || into.has(name)) continue;
    const fields = item[key];
    into.set(name, { fields: isFields(fields) ? fields : {}, folder });
  }
}

function entry(entries: Map<string, Entry>, name: string, kind: string, location: string): Entry {
  const found = entries.get(name);
  if (found !== undefined) return found;
  const known = [...entries.keys()].map((each) => `"${each}"`).join(', ') || 'none';
  throw new TaskError('ConnectionMissing', `The kubeconfig ${location} has no ${kind} "${name}" (it has: ${known}).`);
}

function clusterAccess(context: string, { fields, folder }: Entry, location: string): Omit<ClusterAccess, 'user'> {
  const server = (text(fields['server']) ?? '').replace(/(?<!\/)\/+$/, '');
  if (!/^https?:\/\/[^/]/i.test(server) || !URL.canParse(server)) {
    throw new TaskError('InputInvalid', `The server of context "${context}" in ${location} is not an http(s) address.`);
  }
  const ca = material(fields, 'certificate-authority', folder);
  const tlsServerName = text(fields['tls-server-name']);
  const proxyUrl = text(fields['proxy-url']);
  return {
    context,
    server,
    skipTlsVerify: fields['insecure-skip-tls-verify'] === true,
    ...(ca === undefined ? {} : { ca }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(proxyUrl === undefined ? {} : { proxyUrl }),
  };
}

function userAccess({ fields, folder }: Entry): UserAccess {
  const user: UserAccess = { impersonation: impersonation(fields) };
  const token = text(fields['token']);
  const tokenFile = text(fields['tokenFile']) ?? text(fields['token-file']);
  const username = text(fields['username']);
  const certificate = material(fields, 'client-certificate', folder);
  const key = material(fields, 'client-key', folder);
  if (token !== undefined) user.token = token;
  if (tokenFile !== undefined) user.tokenFile = path.resolve(folder, tokenFile);
  if (username !== undefined) {
    user.username = username;
    user.password = text(fields['password']) ?? '';
  }
  if (certificate !== undefined) user.certificate = certificate;
  if (key !== undefined) user.key = key;
  if (isFields(fields['exec'])) user.exec = execPlugin(fields['exec'], folder);
  const provider = fields['auth-provider'];
  if (isFields(provider)) {
    user.authProvider = { name: text(provider['name']) ?? '', config: texts(provider['config']) };
  }
  return user;
}

/** As in client-go, a command with a slash is relative to the kubeconfig, and any other is searched on PATH. */
function execPlugin(fields: Fields, folder: string): ExecPlugin {
  const command = text(fields['command']) ?? '';
  const env = Array.isArray(fields['env']) ? (fields['env'] as unknown[]) : [];
  return {
    apiVersion: text(fields['apiVersion']) ?? 'client.authentication.k8s.io/v1',
    command: /[\\/]/.test(command) ? path.resolve(folder, command) : command,
    args: Array.isArray(fields['args']) ? (fields['args'] as unknown[]).map(String) : [],
    env: env.filter(isFields).map((each) => ({ name: text(each['name']) ?? '', value: text(each['value']) ?? '' })),
    provideClusterInfo: fields['provideClusterInfo'] === true,
    installHint: text(fields['installHint']),
  };
}

function impersonation(fields: Fields): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const user = text(fields['as']);
  const uid = text(fields['as-uid']);
  if (user !== undefined) headers['Impersonate-User'] = user;
  if (uid !== undefined) headers['Impersonate-Uid'] = uid;
  if (Array.isArray(fields['as-groups'])) {
    headers['Impersonate-Group'] = (fields['as-groups'] as unknown[]).map(String);
  }
  const extra = fields['as-user-extra'];
  if (!isFields(extra)) return headers;
  for (const [name, values] of Object.entries(extra)) {
    if (!Array.isArray(values)) continue;
    headers[`Impersonate-Extra-${encodeURIComponent(name)}`] = (values as unknown[]).map(String);
  }
  return headers;
}

/** PEM from `X-data` (base64, which wins in client-go) or from the file in `X`. */
function material(fields: Fields, name: string, folder: string): Buffer | undefined {
  const data = text(fields[`${name}-data`]);
  if (data !== undefined) return Buffer.from(data, 'base64');
  const file = text(fields[name]);
  if (file === undefined) return undefined;
  const absolute = path.resolve(folder, file);
  try {
    return readFileSync(absolute);
  } catch (error) {
    const message = `The file ${absolute}, named as ${name} in the kubeconfig, cannot be read: ${codeOf(error)}.`;
    throw new TaskError('ConnectionMissing', message, { cause: error });
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** YAML reads a token or name of digits as a number. */
function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): Record<string, string> {
  if (!isFields(value)) return {};
  return Object.fromEntries(Object.entries(value).flatMap(([name, each]) => entryOf(name, text(each))));
}

function entryOf(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code ?? String(error);
}
