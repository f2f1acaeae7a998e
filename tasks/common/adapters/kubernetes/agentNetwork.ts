import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { TaskError } from '../../core/failure';
import { agentProxy } from '../agent/agentProxy';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import type { ClusterAccess } from './kubeconfig';
import { proxyFor } from './proxy';

/** Uses the proxy, the certificate authorities and the trust of the agent. */
export function serverAccess(server: string, environment: TaskEnvironment): ClusterAccess {
  const inherited = { environment: environment.childEnvironment, proxyUrl: undefined };
  const proxy = agentProxy(new URL(server), environment.variable) ?? proxyFor(new URL(server), inherited)?.href;
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
