import { TaskError } from '../failure';
import { isRecord } from '../kubernetes/json';
import type { Kubeconfig } from '../kubernetes/kubeconfig';

/** The application that AKS uses for all clusters with managed Entra ID. */
const aksServer = '6dae42f8-4368-4678-94ff-3960e28e3630';

/**
 * Returns the id of the application for whose tokens the API server asks; undefined if the kubeconfig holds credentials
 * of its own. Throws `ConnectionInvalid` if it asks for a program other than kubelogin: none is started.
 */
export function entraServerId(kubeconfig: Pick<Kubeconfig, 'user'>): string | undefined {
  const { exec, 'auth-provider': provider } = kubeconfig.user;
  if (isRecord(exec)) {
    const command = typeof exec['command'] === 'string' ? exec['command'] : '';
    if (!/(?:^|[/\\])kubelogin(?:\.exe)?$/i.test(command)) {
      throw new TaskError(
        'ConnectionInvalid',
        'The kubeconfig that Azure Resource Manager returned asks for a credential plug-in other than kubelogin. The task does not start it.',
      );
    }
    return serverIdOf(Array.isArray(exec['args']) ? (exec['args'] as unknown[]).map(String) : []);
  }
  if (isRecord(provider) && provider['name'] === 'azure') {
    const config = isRecord(provider['config']) ? provider['config'] : {};
    return typeof config['apiserver-id'] === 'string' ? config['apiserver-id'] : aksServer;
  }
  return undefined;
}

function serverIdOf(args: readonly string[]): string {
  const at = args.indexOf('--server-id');
  const joined = args.find((arg) => arg.startsWith('--server-id='))?.slice('--server-id='.length);
  return (at === -1 ? joined : args[at + 1]) || aksServer;
}
