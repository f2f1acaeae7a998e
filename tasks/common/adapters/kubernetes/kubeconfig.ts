import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';
import { standaloneKubeconfig, type KubeconfigFiles, type KubeconfigSource } from '../../core/kubernetes/kubeconfig';
import { writeNew, type PrivateFolder } from '../agent/privateFolder';

/** A credential plug-in of a kubeconfig (client.authentication.k8s.io). */
export interface ExecPlugin {
  apiVersion: string;
  command: string;
  args: readonly string[];
  env: readonly { name: string; value: string }[];
  provideClusterInfo: boolean;
  installHint: string | undefined;
}

/** The ways in which a user of a kubeconfig authenticates. Several may be set; a token wins, as in client-go. */
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

/** One context of a kubeconfig with everything that a request needs. Its paths are absolute. */
export interface ClusterAccess {
  /** Has no slash at the end, but may contain a path (Rancher). */
  server: string;
  ca?: Buffer;
  skipTlsVerify: boolean;
  tlsServerName?: string;
  proxyUrl?: string;
  namespace?: string;
  user: UserAccess;
}

type Fields = Readonly<Record<string, unknown>>;

export const kubeconfigFiles: KubeconfigFiles = {
  isAbsolute: (file) => path.isAbsolute(file),
  join: (folder, file) => path.resolve(folder, file),
  read: (file) => readFileSync(file),
};

/** The texts of kubeconfigs that lie in memory only, by path. */
const unseen = new Map<string, string>();

/**
 * Keeps a kubeconfig in memory only, until the returned function is called. This process still reads it. A kubeconfig
 * outside of `folder` is not ours and stays.
 */
export function hideKubeconfig(file: string, folder: PrivateFolder): () => void {
  if (path.dirname(file) !== folder.path || unseen.has(file)) return () => undefined;
  const text = readFileSync(file, 'utf8');
  unseen.set(file, text);
  rmSync(file);
  return () => {
    // The folder is gone if the step has ended meanwhile.
    if (existsSync(folder.path)) writeNew(file, text);
    unseen.delete(file);
  };
}

/** Throws `ConnectionInvalid` if the file cannot be read. */
export function kubeconfigSource(file: string): KubeconfigSource {
  const source = { origin: `the kubeconfig ${file}`, folder: path.dirname(path.resolve(file)) };
  try {
    return { ...source, text: unseen.get(file) ?? readFileSync(file, 'utf8') };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `Reading ${source.origin}: it cannot be read (${code ?? 'unknown'}).`;
    throw new TaskError('ConnectionInvalid', message, { cause });
  }
}

/** Reads the current context of a kubeconfig. Throws `ConnectionInvalid`. No message quotes the content. */
export function readKubeconfig(file: string): ClusterAccess {
  const { server, namespace, cluster, user } = standaloneKubeconfig([kubeconfigSource(file)], {}, kubeconfigFiles);
  return {
    server: server.replace(/(?<!\/)\/+$/, ''),
    skipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    user: userAccess(user),
    ...given('ca', bytes(cluster['certificate-authority-data'])),
    ...given('tlsServerName', text(cluster['tls-server-name'])),
    ...given('proxyUrl', text(cluster['proxy-url'])),
    ...given('namespace', namespace),
  };
}

function userAccess(user: Fields): UserAccess {
  const username = text(user['username']);
  const [exec, provider] = [user['exec'], user['auth-provider']];
  return {
    impersonation: impersonation(user),
    ...given('token', text(user['token'])),
    ...given('tokenFile', text(user['tokenFile'])),
    ...(username === undefined ? {} : { username, password: text(user['password']) ?? '' }),
    ...given('certificate', bytes(user['client-certificate-data'])),
    ...given('key', bytes(user['client-key-data'])),
    ...(isRecord(exec) ? { exec: execPlugin(exec) } : {}),
    ...(isRecord(provider)
      ? { authProvider: { name: text(provider['name']) ?? '', config: texts(provider['config']) } }
      : {}),
  };
}

function execPlugin(fields: Fields): ExecPlugin {
  return {
    apiVersion: text(fields['apiVersion']) ?? 'client.authentication.k8s.io/v1',
    command: text(fields['command']) ?? '',
    args: list(fields['args']).map(String),
    env: list(fields['env'])
      .filter(isRecord)
      .map((each) => ({ name: text(each['name']) ?? '', value: text(each['value']) ?? '' })),
    provideClusterInfo: fields['provideClusterInfo'] === true,
    installHint: text(fields['installHint']),
  };
}

function impersonation(fields: Fields): Record<string, string | string[]> {
  const extra = Object.entries(isRecord(fields['as-user-extra']) ? fields['as-user-extra'] : {});
  const groups = list(fields['as-groups']).map(String);
  return {
    ...given('Impersonate-User', text(fields['as'])),
    ...given('Impersonate-Uid', text(fields['as-uid'])),
    ...(groups.length === 0 ? {} : { 'Impersonate-Group': groups }),
    ...Object.fromEntries(
      extra.flatMap(([name, values]) =>
        list(values).length === 0 ? [] : [[`Impersonate-Extra-${encodeURIComponent(name)}`, list(values).map(String)]],
      ),
    ),
  };
}

function given<Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: Value });
}

function bytes(base64: unknown): Buffer | undefined {
  const encoded = text(base64);
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64');
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Accepts numbers, because YAML reads a token or name that consists of digits as a number. */
function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]): [string, string][] => {
      const known = text(each);
      return known === undefined ? [] : [[name, known]];
    }),
  );
}
