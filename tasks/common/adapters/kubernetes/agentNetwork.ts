import { agentProxy } from '../agent/agentProxy';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import type { ClusterAccess } from './kubeconfig';
import { proxyFor } from './proxy';

/** Uses the proxy of the agent, and skips the check of certificates where the agent does. */
export function serverAccess(server: string, environment: TaskEnvironment): ClusterAccess {
  const inherited = { environment: environment.childEnvironment, proxyUrl: undefined };
  const proxy = agentProxy(new URL(server), environment.variable) ?? proxyFor(new URL(server), inherited)?.href;
  return {
    server,
    skipTlsVerify: /^true$/i.test(environment.variable('Agent.SkipCertValidation') ?? ''),
    ...(proxy && { proxyUrl: proxy }),
    user: { impersonation: {} },
  };
}
