import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import spawn from 'cross-spawn';
import { TaskError } from '../../core/failure';
import type { Redact } from '../../core/text/secrets';
import { isExecutable } from '../agent/inputFiles';
import { findCommand, uniformEnvironment } from '../system/platform';
import { closeAfterExit } from '../system/process';
import type { Credentials, CredentialSource } from './credentialSource';
import type { ClusterAccess, ExecPlugin, UserAccess } from './kubeconfig';
import { openIdToken, type OpenIdToken } from './openIdToken';

export interface AccessToken {
  token: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** Milliseconds since 1970: some time before a token expires, or half of the time that it has left if that is later. */
export function renewalTime({ expiresAt }: AccessToken, beforeMs: number, now: number): number {
  return expiresAt - Math.min(beforeMs, (expiresAt - now) / 2);
}

/** Asks for a token that is valid for at least some minutes, if such are issued. `isFresh` does not take one that was given before. Throws TaskError. */
export type AskToken = (options?: { isFresh?: boolean }) => Promise<AccessToken>;

interface CredentialOptions {
  /** The task signs in itself; the credentials of the kubeconfig are for Helm. */
  askToken?: AskToken | undefined;
  /** The kubeconfig may contain a new token by now. */
  reread: () => ClusterAccess;
  environment: NodeJS.ProcessEnv;
  /** Called as soon as a token or key is read. */
  onSecret: (secret: string) => void;
  /** Redacts the error output of a credential plug-in. */
  redact?: Redact | undefined;
  now: () => number;
  /** Aborting ends a running plug-in. */
  signal: AbortSignal | undefined;
}

/** Kubelet renews a projected token long before it expires. client-go reads the file again after the same time. */
const tokenFileMaxAgeMs = 60_000;
/** Credentials must not expire during a request. */
const expiryMarginMs = 10_000;
/** The library for Azure gives no token that is closer to its end. */
const renewBeforeMs = 5 * 60_000;
const execTimeoutMs = 60_000;
const execOutputMaxBytes = 1024 * 1024;

interface Held {
  credentials: Credentials;
  /** Milliseconds since 1970; absent if the credentials do not expire. */
  expiresAt?: number;
}

/** Keeps the credentials until they expire or are rejected. */
export function credentialSource(initial: ClusterAccess, options: CredentialOptions): CredentialSource {
  let access = initial;
  let held: Held | undefined;
  let pending: Promise<Held> | undefined;

  const obtain = (isFresh: boolean): Promise<Held> => {
    pending ??= obtainCredentials(access, options, isFresh).finally(() => {
      pending = undefined;
    });
    return pending;
  };

  const current = async (isFresh = false): Promise<Credentials> => {
    if (held !== undefined && !isOver(held, options.now())) return held.credentials;
    const fresh = await obtain(isFresh);
    const known = held?.credentials;
    held = known !== undefined && areEqual(known, fresh.credentials) ? { ...fresh, credentials: known } : fresh;
    return held.credentials;
  };

  return {
    current: () => current(),
    async renew(rejected) {
      if (held !== undefined && held.credentials !== rejected) return true;
      access = options.reread();
      held = undefined;
      const fresh = await current(true);
      return !areEqual(fresh, rejected);
    },
  };
}

function isOver(held: Held, now: number): boolean {
  return held.expiresAt !== undefined && held.expiresAt - expiryMarginMs <= now;
}

function areEqual(one: Credentials, other: Credentials): boolean {
  return fingerprint(one) === fingerprint(other);
}

function fingerprint({ headers, certificate, key }: Credentials): string {
  return JSON.stringify([headers, certificate?.toString(), key?.toString()]);
}

async function obtainCredentials(access: ClusterAccess, options: CredentialOptions, isFresh: boolean): Promise<Held> {
  const { user } = access;
  const base = { ...(user.certificate && { certificate: user.certificate }), ...(user.key && { key: user.key }) };
  if (user.key !== undefined) options.onSecret(user.key.toString('utf8'));
  const bearer = (token: string, expiresAt?: number): Held => {
    options.onSecret(token);
    const headers = { ...user.impersonation, Authorization: `Bearer ${token}` };
    return { credentials: { ...base, headers }, ...(expiresAt === undefined ? {} : { expiresAt }) };
  };

  if (options.askToken !== undefined) {
    const given = await options.askToken({ isFresh });
    return bearer(given.token, renewalTime(given, renewBeforeMs, options.now()) + expiryMarginMs);
  }
  if (user.tokenFile !== undefined) {
    return bearer(await readTokenFile(user.tokenFile), options.now() + tokenFileMaxAgeMs + expiryMarginMs);
  }
  if (user.token !== undefined) return bearer(user.token.trim());
  if (user.exec !== undefined) return execCredentials({ user, plugin: user.exec, access, options });
  if (user.authProvider !== undefined) {
    const given = await providerToken(user.authProvider, options);
    return bearer(given.token, given.expiresAt);
  }
  if (user.username !== undefined) {
    const pair = `${user.username}:${user.password ?? ''}`;
    const encoded = Buffer.from(pair).toString('base64');
    if (user.password) options.onSecret(user.password);
    options.onSecret(encoded);
    return { credentials: { ...base, headers: { ...user.impersonation, Authorization: `Basic ${encoded}` } } };
  }
  return { credentials: { ...base, headers: user.impersonation } };
}

async function readTokenFile(file: string): Promise<string> {
  try {
    const token = (await readFile(file, 'utf8')).trim();
    if (token !== '') return token;
  } catch (error) {
    throw new TaskError('CredentialsRejected', `The token file ${file} of the kubeconfig cannot be read.`, {
      cause: error,
    });
  }
  throw new TaskError('CredentialsRejected', `The token file ${file} of the kubeconfig is empty.`);
}

/** client-go removed `gcp` and `azure` in 1.26, so Helm cannot use them either. */
function providerToken(
  provider: NonNullable<UserAccess['authProvider']>,
  options: CredentialOptions,
): Promise<OpenIdToken> {
  if (provider.name !== 'oidc') {
    const message =
      `The kubeconfig uses the auth-provider "${provider.name}", which Helm and kubectl no longer know. ` +
      'Use a credential plug-in instead (for AKS: kubelogin convert-kubeconfig).';
    throw new TaskError('CredentialsRejected', message);
  }
  return openIdToken(provider.config, options);
}

interface ExecCall {
  user: UserAccess;
  plugin: ExecPlugin;
  access: ClusterAccess;
  options: CredentialOptions;
}

async function execCredentials(call: ExecCall): Promise<Held> {
  const { user, plugin, options } = call;
  if (plugin.command === '') {
    throw new TaskError('CredentialsRejected', 'The kubeconfig names no command for its credential plug-in.');
  }
  const status = parseExecCredential(await runPlugin(call), plugin);
  const { token, clientCertificateData: certificate, clientKeyData: key, expirationTimestamp } = status;
  if (token !== undefined) options.onSecret(token);
  if (key !== undefined) options.onSecret(key);
  const headers = {
    ...user.impersonation,
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
  const expiresAt = Date.parse(expirationTimestamp ?? '');
  return {
    credentials: {
      headers,
      ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    },
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}

interface ExecStatus {
  token?: string;
  clientCertificateData?: string;
  clientKeyData?: string;
  expirationTimestamp?: string;
}

function parseExecCredential(output: string, plugin: ExecPlugin): ExecStatus {
  const reject = (what: string): TaskError =>
    new TaskError('CredentialsRejected', `The credential plug-in ${plugin.command} ${what}.`);
  let parsed: { kind?: unknown; status?: ExecStatus } | null;
  try {
    parsed = JSON.parse(output) as typeof parsed;
  } catch {
    // The output may be a credential, and the parser's message quotes it.
    throw reject('printed something that is not JSON');
  }
  const status = parsed?.status;
  if (parsed?.kind !== 'ExecCredential' || typeof status !== 'object') throw reject('printed no ExecCredential');
  const fields: ExecStatus = {};
  for (const name of ['token', 'clientCertificateData', 'clientKeyData', 'expirationTimestamp'] as const) {
    const value: unknown = status[name];
    if (typeof value === 'string' && value !== '') fields[name] = value;
  }
  if (fields.token === undefined && fields.clientCertificateData === undefined) {
    throw reject('gave neither a token nor a certificate');
  }
  return fields;
}

/** Without a terminal and stdin, a plug-in that asks a person fails instead of hanging. */
function runPlugin({ plugin, access, options }: ExecCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let size = 0;
    const child = startPlugin(plugin, options.signal, {
      ...options.environment,
      ...uniformEnvironment(process.platform, Object.fromEntries(plugin.env.map(({ name, value }) => [name, value]))),
      KUBERNETES_EXEC_INFO: JSON.stringify(execInfo(plugin, access)),
    });
    if (child instanceof Error) {
      reject(pluginFailure(plugin, child));
      return;
    }
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size <= execOutputMaxBytes) into.push(chunk);
    };
    child.stdout?.on('data', collect(stdout));
    child.stderr?.on('data', collect(stderr));
    closeAfterExit(child);
    child.once('error', (error) => {
      reject(pluginFailure(plugin, error));
    });
    child.once('close', (code, killedBy) => {
      if (code === 0) {
        resolve(Buffer.concat(stdout).toString('utf8'));
        return;
      }
      const whole = Buffer.concat(stderr).toString('utf8').trim();
      const output = (options.redact?.(whole) ?? whole).slice(-2000);
      const ending = killedBy === null ? `ended with exit code ${String(code)}` : `was ended by ${killedBy}`;
      reject(new TaskError('CredentialsRejected', `The credential plug-in ${plugin.command} ${ending}: ${output}`));
    });
  });
}

/** Many plug-ins are batch files on Windows; cross-spawn quotes their arguments for the shell that they need. */
function startPlugin(
  plugin: ExecPlugin,
  signal: AbortSignal | undefined,
  environment: NodeJS.ProcessEnv,
): ChildProcess | NodeJS.ErrnoException {
  const file = findCommand(process.platform, plugin.command, environment, isExecutable);
  if (file === undefined) return Object.assign(new Error('not on PATH'), { code: 'ENOENT' });
  try {
    return spawn(file, plugin.args, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: execTimeoutMs,
      killSignal: 'SIGKILL',
      windowsHide: true,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

function pluginFailure(plugin: ExecPlugin, error: NodeJS.ErrnoException): TaskError {
  if (error.name === 'AbortError') return new TaskError('Cancelled', 'Cancelled while a credential plug-in ran.');
  const hint = plugin.installHint === undefined ? '' : ` ${plugin.installHint}`;
  const missing = error.code === 'ENOENT' ? 'is not installed on this agent' : `could not be started: ${error.message}`;
  const message = `The credential plug-in ${plugin.command} of the kubeconfig ${missing}.${hint}`;
  return new TaskError('CredentialsRejected', message, { cause: error });
}

function execInfo(plugin: ExecPlugin, access: ClusterAccess): unknown {
  const cluster = {
    server: access.server,
    ...(access.tlsServerName && { 'tls-server-name': access.tlsServerName }),
    ...(access.skipTlsVerify && { 'insecure-skip-tls-verify': true }),
    ...(access.ca && { 'certificate-authority-data': access.ca.toString('base64') }),
    ...(access.proxyUrl && { 'proxy-url': access.proxyUrl }),
  };
  return {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.provideClusterInfo && { cluster }) },
  };
}
