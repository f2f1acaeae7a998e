import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { TaskError } from '../../core/failure';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import type { ClusterAccess } from './kubeconfig';
import { proxyFor } from './proxy';

/** Uses the proxy, the certificate authorities and the trust of the agent. */
export function serverAccess(server: string, environment: TaskEnvironment): ClusterAccess {
  const inherited = { environment: environment.childEnvironment, proxyUrl: undefined };
  const proxy = agentProxy(new URL(server), environment) ?? proxyFor(new URL(server), inherited)?.href;
  const authorities = environment.variable('Agent.CAInfo');
  return {
    server,
    skipTlsVerify: /^true$/i.test(environment.variable('Agent.SkipCertValidation') ?? ''),
    // As in the agent, these authorities are added to those of Node.
    ...(authorities && { ca: Buffer.from([...tls.rootCertificates, readAuthorities(authorities)].join('\n')) }),
    ...(proxy && { proxyUrl: proxy }),
    user: { impersonation: {} },
  };
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TaskError(
      'ConnectionInvalid',
      `the agent's certificate authorities ${file} (Agent.CAInfo) cannot be read.`,
      {
        cause: error,
      },
    );
  }
}

/** '' if the agent bypasses its proxy for this server; undefined if it has no proxy. */
export function agentProxy(server: URL, environment: TaskEnvironment): string | undefined {
  const address = environment.variable('Agent.ProxyUrl');
  if (!address) return undefined;
  if (bypasses(environment.variable('Agent.ProxyBypassList')).some((rule) => rule.test(server.href))) return '';
  const proxy = URL.canParse(address) ? new URL(address) : new URL(`http://${address}`);
  proxy.username = encodeURIComponent(environment.variable('Agent.ProxyUsername') ?? '') || proxy.username;
  proxy.password = encodeURIComponent(environment.variable('Agent.ProxyPassword') ?? '') || proxy.password;
  return proxy.href;
}

/** A JSON list of regular expressions. As in the agent, invalid ones are ignored. */
function bypasses(list: string | undefined): RegExp[] {
  let rules: unknown;
  try {
    rules = JSON.parse(list || '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(rules)) return [];
  return (rules as unknown[]).flatMap((rule) => {
    try {
      return typeof rule === 'string' && rule !== '' ? [new RegExp(rule, 'i')] : [];
    } catch {
      return [];
    }
  });
}
