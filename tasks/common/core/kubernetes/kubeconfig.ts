import { base64, fromBase64 } from '../text/base64';
import { isRecord } from './json';
import { parseDocument } from 'yaml';
import { TaskError } from '../failure';
import { namesSecret, userinfoSecrets } from '../text/secretSources';

type Fields = Record<string, unknown>;

export interface KubeconfigSource {
  text: string;
  /** Names this source in messages, for example `the service connection`. */
  origin: string;
  /** The folder for relative paths. */
  folder?: string;
}

/** Access to files by absolute paths. */
export interface KubeconfigFiles {
  isAbsolute(path: string): boolean;
  join(folder: string, path: string): string;
  /** Throws when the file cannot be read. */
  read(path: string): Uint8Array;
}

export interface KubeconfigWishes {
  context?: string;
  namespace?: string;
  acceptUntrustedCerts?: boolean;
  /** These fields replace those of the cluster and of the user. */
  cluster?: Fields;
  user?: Fields;
}

/** One cluster, one user, one context. It refers only to plug-ins and token files, by absolute paths. */
export interface Kubeconfig {
  /** JSON, which is also YAML. */
  text: string;
  server: string;
  cluster: Fields;
  user: Fields;
  /** The requested namespace, or else that of the context. */
  namespace?: string;
  /** Every credential, also decoded and line by line. Mask them before you do anything else. */
  secrets: readonly string[];
}

/** The data of a service connection of the kinds ServiceAccount and AzureSubscription. */
interface ServiceAccountConnection {
  origin: string;
  server: string;
  /** Base64, as in the account's Secret. */
  token: string;
  /** Base64 of PEM; may be empty. */
  certificate: string;
  namespace?: string;
  acceptUntrustedCerts: boolean;
}

export function serviceAccountKubeconfig(connection: ServiceAccountConnection): Kubeconfig {
  const { origin, server, namespace, acceptUntrustedCerts } = connection;
  const token = decodeToken(connection.token.trim(), origin);
  const authority = connection.certificate.trim();
  const trust: Fields =
    authority === '' ? {} : { 'certificate-authority-data': pemBase64(authority, 'certificate', origin) };
  return written({
    origin,
    cluster: trusting({ server, ...trust }, acceptUntrustedCerts),
    user: { token },
    namespace,
    secrets: [connection.token.trim(), token],
  });
}

/**
 * Makes one context of a kubeconfig stand alone. The first source of a name wins, as with the variable KUBECONFIG.
 * Throws `ConnectionInvalid` with a message that does not quote the content.
 */
export function standaloneKubeconfig(
  sources: readonly KubeconfigSource[],
  wishes: KubeconfigWishes,
  files: KubeconfigFiles,
): Kubeconfig {
  const config = merge(sources.map(parseSource));
  const origin = sources.map((source) => source.origin).join(', ');
  const { name, fields: context } = chooseContext(config, wishes.context, origin);
  const cluster = namedEntry(config.clusters, context['cluster'], { origin, context: name, kind: 'cluster' });
  const user = isText(context['user'])
    ? namedEntry(config.users, context['user'], { origin, context: name, kind: 'user' })
    : { fields: {}, source: cluster.source };
  const inlinedCluster = { ...inlineCluster(cluster, files), ...wishes.cluster };
  const inlinedUser = { ...inlineUser(user, files), ...wishes.user };
  return written({
    origin,
    cluster: trusting(inlinedCluster, wishes.acceptUntrustedCerts === true),
    user: inlinedUser,
    namespace: wishes.namespace ?? textOf(context['namespace']),
    secrets: userSecrets(inlinedUser),
  });
}

/** The same cluster and namespace with another user. */
export function kubeconfigForUser({ cluster, namespace }: Kubeconfig, user: Fields, origin: string): Kubeconfig {
  return written({ origin, cluster, user, namespace, secrets: userSecrets(user) });
}

interface Entry {
  fields: Fields;
  source: KubeconfigSource;
}

interface Config {
  clusters: Map<string, Entry>;
  users: Map<string, Entry>;
  contexts: Map<string, Entry>;
  currentContext: string | undefined;
}

function parseSource(source: KubeconfigSource): Config {
  const parsed = parseYaml(source);
  if (!isRecord(parsed))
    throw invalid(source.origin, 'it is not a kubeconfig: it is not a mapping with clusters, users and contexts');
  return {
    clusters: entries(parsed['clusters'], 'cluster', source),
    users: entries(parsed['users'], 'user', source),
    contexts: entries(parsed['contexts'], 'context', source),
    currentContext: textOf(parsed['current-context']),
  };
}

function parseYaml(source: KubeconfigSource): unknown {
  const document = parseDocument(source.text.replace(/^\ufeff/, ''), { uniqueKeys: false, logLevel: 'silent' });
  const [error] = document.errors;
  const [at] = error?.linePos ?? [];
  if (error !== undefined) {
    throw invalid(source.origin, `it is not YAML${at === undefined ? '' : ` at line ${at.line}`} (${error.code})`);
  }
  try {
    return document.toJS() as unknown;
  } catch {
    throw invalid(source.origin, 'it refers to a YAML anchor that it does not have');
  }
}

function entries(list: unknown, kind: 'cluster' | 'user' | 'context', source: KubeconfigSource): Map<string, Entry> {
  const found = new Map<string, Entry>();
  for (const item of Array.isArray(list) ? (list as unknown[]) : []) {
    if (!isRecord(item) || !isText(item['name']) || found.has(item['name'])) continue;
    const fields = item[kind];
    found.set(item['name'], { fields: isRecord(fields) ? fields : {}, source });
  }
  return found;
}

function merge(configs: readonly Config[]): Config {
  // In a Map, a later entry wins, so the first source comes last.
  const backwards = [...configs].reverse();
  return {
    clusters: new Map(backwards.flatMap((config) => [...config.clusters])),
    users: new Map(backwards.flatMap((config) => [...config.users])),
    contexts: new Map(backwards.flatMap((config) => [...config.contexts])),
    currentContext: configs.find((config) => config.currentContext !== undefined)?.currentContext,
  };
}

function chooseContext(config: Config, wished: string | undefined, origin: string): { name: string; fields: Fields } {
  const names = [...config.contexts.keys()];
  const name = wished ?? config.currentContext ?? (names.length === 1 ? names[0] : undefined);
  const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
  if (name === undefined) throw invalid(origin, `no context is chosen: it has no current-context (${known})`);
  const entry = config.contexts.get(name);
  if (entry === undefined) throw invalid(origin, `it has no context "${name}" (${known})`);
  return { name, fields: entry.fields };
}

function namedEntry(
  known: ReadonlyMap<string, Entry>,
  name: unknown,
  { origin, context, kind }: { origin: string; context: string; kind: 'cluster' | 'user' },
): Entry {
  if (!isText(name)) throw invalid(origin, `its context "${context}" names no ${kind}`);
  const entry = known.get(name);
  if (entry === undefined)
    throw invalid(origin, `its context "${context}" names the ${kind} "${name}", which it does not have`);
  return entry;
}

function inlineCluster({ fields, source }: Entry, files: KubeconfigFiles): Fields {
  return inlinePem(fields, source, files, { file: 'certificate-authority', data: 'certificate-authority-data' });
}

function inlineUser({ fields, source }: Entry, files: KubeconfigFiles): Fields {
  const certified = inlinePem(fields, source, files, { file: 'client-certificate', data: 'client-certificate-data' });
  const keyed = inlinePem(certified, source, files, { file: 'client-key', data: 'client-key-data' });
  return withTokenFile(withAbsolutePlugin(keyed, source, files), source, files);
}

function inlinePem(
  fields: Fields,
  source: KubeconfigSource,
  files: KubeconfigFiles,
  names: { file: string; data: string },
): Fields {
  const { [names.file]: file, ...rest } = fields;
  const data = textOf(fields[names.data]);
  // As in client-go, data takes precedence over the file.
  if (data !== undefined)
    return { ...rest, [names.data]: pemBase64(data.replace(/\s/g, ''), names.data, source.origin) };
  if (!isText(file)) return rest;
  const bytes = readNamed(file, names.file, source, files);
  return { ...rest, [names.data]: pemBase64(base64(bytes), names.file, source.origin) };
}

/** Helm reads the file again when the token changes. `token` is for programs that do not read the file. */
function withTokenFile(fields: Fields, source: KubeconfigSource, files: KubeconfigFiles): Fields {
  const file = fields['tokenFile'];
  if (!isText(file)) return fields;
  const token = new TextDecoder().decode(readNamed(file, 'tokenFile', source, files)).trim();
  if (token === '') throw invalid(source.origin, `the file that its tokenFile names is empty`);
  return { ...fields, tokenFile: absolute(file, 'tokenFile', source, files), token };
}

/** client-go starts a plug-in from the kubeconfig's folder if its command has a slash, and from PATH otherwise. */
function withAbsolutePlugin(fields: Fields, source: KubeconfigSource, files: KubeconfigFiles): Fields {
  const plugin = fields['exec'];
  if (!isRecord(plugin) || !isText(plugin['command']) || !/[/\\]/.test(plugin['command'])) return fields;
  return { ...fields, exec: { ...plugin, command: absolute(plugin['command'], 'exec.command', source, files) } };
}

function readNamed(file: string, field: string, source: KubeconfigSource, files: KubeconfigFiles): Uint8Array {
  const path = absolute(file, field, source, files);
  try {
    return files.read(path);
  } catch (cause) {
    throw new TaskError(
      'ConnectionInvalid',
      sentence(source.origin, `the file ${path} that its ${field} names cannot be read`),
      {
        cause,
      },
    );
  }
}

function absolute(file: string, field: string, source: KubeconfigSource, files: KubeconfigFiles): string {
  if (files.isAbsolute(file)) return file;
  if (source.folder !== undefined) return files.join(source.folder, file);
  throw invalid(
    source.origin,
    `its ${field} names a file by a relative path, but this kubeconfig has no folder; put the content into ${field}-data`,
  );
}

function trusting(cluster: Fields, acceptUntrustedCerts: boolean): Fields {
  if (!acceptUntrustedCerts && cluster['insecure-skip-tls-verify'] !== true) return cluster;
  // client-go refuses a config that has both.
  const { 'certificate-authority-data': _authority, ...rest } = cluster;
  return { ...rest, 'insecure-skip-tls-verify': true };
}

interface Parts {
  origin: string;
  cluster: Fields;
  user: Fields;
  namespace: string | undefined;
  secrets: readonly string[];
}

function written({ origin, cluster, user, namespace, secrets }: Parts): Kubeconfig {
  const server = checkedServer(textOf(cluster['server']), origin);
  const proxy = checkedProxy(textOf(cluster['proxy-url']), origin);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'helm-safe-deploy',
    clusters: [{ name: 'cluster', cluster: { ...cluster, server } }],
    users: [{ name: 'user', user }],
    contexts: [
      {
        name: 'helm-safe-deploy',
        context: { cluster: 'cluster', user: 'user', ...(namespace === undefined ? {} : { namespace }) },
      },
    ],
  };
  return {
    text: `${JSON.stringify(config, undefined, 2)}\n`,
    server,
    cluster,
    user,
    ...(namespace === undefined ? {} : { namespace }),
    secrets: [...new Set([...secrets, ...[server, proxy].flatMap(userinfoSecrets)].flatMap(withLines))],
  };
}

function checkedServer(server: string | undefined, origin: string): string {
  if (server === undefined) throw invalid(origin, 'it has no address of an API server');
  const trimmed = server.trim();
  // client-go assumes https.
  const address = /^[a-z]+:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw invalid(origin, 'its server is not an address; https://host:port is expected');
  }
  return address;
}

/** With an invalid address, Helm would print it with its credentials, and others would connect without the proxy. */
function checkedProxy(proxy: string | undefined, origin: string): string {
  if (proxy === undefined) return '';
  if (URL.canParse(proxy) && /^(?:https?|socks5):$/.test(new URL(proxy).protocol)) return proxy;
  throw invalid(origin, 'its proxy-url is not the address of a proxy; http://host:port is expected');
}

function decodeToken(token: string, origin: string): string {
  if (token === '') throw invalid(origin, 'it has no token');
  // The user pasted the token itself, and not the base64 from the Secret.
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  const plain = decoded(token)?.trim();
  if (plain !== undefined && /^[\x21-\x7e]+$/.test(plain)) return plain;
  throw invalid(
    origin,
    "its token is not base64 of a token; copy `data.token` of the service account's Secret unchanged",
  );
}

/** Returns base64 of PEM that may already be encoded. */
function pemBase64(text: string, field: string, origin: string): string {
  if (text.includes('-----BEGIN')) return base64(text);
  if (decoded(text)?.includes('-----BEGIN') === true) return text;
  throw invalid(origin, `its ${field} is not base64 of a PEM block (-----BEGIN ...)`);
}

function userSecrets(user: Fields): string[] {
  const { token, username, password } = user;
  const key = textOf(user['client-key-data']);
  const provider = user['auth-provider'];
  const providerConfig = isRecord(provider) && isRecord(provider['config']) ? provider['config'] : {};
  const plugin = user['exec'];
  return [
    ...[token, password].filter(isText),
    ...(isText(username) && isText(password) ? [base64(`${username}:${password}`)] : []),
    ...(key === undefined ? [] : [key, decoded(key) ?? '']),
    ...Object.entries(providerConfig).flatMap(([name, value]) => (namesSecret(name) && isText(value) ? [value] : [])),
    ...(isRecord(plugin) ? pluginSecrets(plugin) : []),
  ];
}

function pluginSecrets(plugin: Fields): string[] {
  const variables = Array.isArray(plugin['env']) ? (plugin['env'] as unknown[]) : [];
  const ofVariables = variables.flatMap((variable) => {
    if (!isRecord(variable) || !isText(variable['name']) || !isText(variable['value'])) return [];
    return namesSecret(variable['name']) ? [variable['value']] : [];
  });
  const words = Array.isArray(plugin['args']) ? (plugin['args'] as unknown[]).filter(isText) : [];
  const ofWords = words.flatMap((word, at) => {
    const [, flag, value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (flag === undefined || !namesSecret(flag)) return [];
    return [value ?? words[at + 1] ?? ''];
  });
  return [...ofVariables, ...ofWords];
}

/** Returns a credential and each of its lines. The first and last line of a PEM block are not secret. */
function withLines(secret: string): string[] {
  const lines = secret.split(/\r\n|\r|\n/).map((line) => line.trim());
  return [secret, ...lines].filter((line) => line !== '' && !(line.startsWith('-----') && !line.includes('\n')));
}

function decoded(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/\s]+=*$/.test(text.trimEnd())) return undefined;
  try {
    return fromBase64(text);
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function textOf(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

function invalid(origin: string, what: string): TaskError {
  return new TaskError('ConnectionInvalid', sentence(origin, what));
}

function sentence(origin: string, what: string): string {
  return `Reading ${origin}: ${what}.`;
}
