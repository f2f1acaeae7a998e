import { readFileSync } from 'node:fs';
import { programAuthorities } from '../system/authorities';
import type { PrivateFolder } from './privateFolder';
import type { TaskEnvironment } from './taskEnvironment';

interface AuthoritiesHost {
  environment: TaskEnvironment;
  privateFolder: PrivateFolder;
  log: (text: string) => void;
}

/**
 * Lets our own connections, Helm and its plug-ins trust the certificate authorities of the agent (Agent.CAInfo) beside
 * those that they trust anyway. On Windows and macOS, programs written in Go ask the store of the system instead.
 */
export function trustAgentAuthorities(host: AuthoritiesHost): void {
  const { environment, privateFolder } = host;
  const file = environment.variable('Agent.CAInfo');
  if (!file) return;
  const { childEnvironment } = environment;
  try {
    const bundle = `${programAuthorities(childEnvironment)}\n${readFileSync(file, 'utf8')}`;
    childEnvironment['SSL_CERT_FILE'] = privateFolder.write('authorities.pem', bundle);
  } catch {
    // In a container job, the file may be on the host only.
    host.log(`The certificate authorities of the agent, ${file} (Agent.CAInfo), cannot be read and are not used.`);
  }
}
