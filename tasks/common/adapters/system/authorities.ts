import { existsSync, readFileSync } from 'node:fs';
import tls from 'node:tls';

/** Go, and so Helm, uses the first of these files that exists on Linux, unless SSL_CERT_FILE names another one. */
const systemFiles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The certificate authorities that our own connections trust, as PEM: of Node, of the system and of its variables. */
export function trustedAuthorities(environment: NodeJS.ProcessEnv): Buffer {
  const files = [environment['SSL_CERT_FILE'], environment['NODE_EXTRA_CA_CERTS'], systemFiles.find(isThere)];
  return Buffer.from([...tls.rootCertificates, ...files.flatMap((file) => (file ? contentOf(file) : []))].join('\n'));
}

/** The variables that name authorities, for connections that must not find a proxy in the environment. */
export function authorityVariables({ SSL_CERT_FILE, NODE_EXTRA_CA_CERTS }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { SSL_CERT_FILE, NODE_EXTRA_CA_CERTS };
}

/** For a proxy that is itself reached by https. */
export function proxyTrust(proxy: URL, environment: NodeJS.ProcessEnv): { proxyRequestOptions?: { ca: string[] } } {
  if (proxy.protocol !== 'https:') return {};
  return { proxyRequestOptions: { ca: [trustedAuthorities(environment).toString()] } };
}

/** The authorities that a program of this environment trusts on Linux, as PEM. Empty if there is no such file. */
export function programAuthorities(environment: NodeJS.ProcessEnv): string {
  const file = environment['SSL_CERT_FILE'] || systemFiles.find(isThere);
  return file === undefined ? '' : contentOf(file).join('');
}

function isThere(file: string): boolean {
  return existsSync(file);
}

function contentOf(file: string): string[] {
  try {
    return [readFileSync(file, 'utf8')];
  } catch {
    return [];
  }
}
