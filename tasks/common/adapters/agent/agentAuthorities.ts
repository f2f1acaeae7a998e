import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { programAuthorities } from '../system/authorities';
import { writeNew } from './privateFolder';
import type { TaskEnvironment } from './taskEnvironment';

interface AuthoritiesHost {
  environment: TaskEnvironment;
  tempFolder: string;
  log: (text: string) => void;
}

/**
 * Lets our own connections, Helm and its plug-ins trust the certificate authorities of the agent (Agent.CAInfo) beside
 * those that they trust anyway. On Windows and macOS, programs written in Go ask the store of the system instead.
 */
export function trustAgentAuthorities({ environment, tempFolder, log }: AuthoritiesHost): void {
  const file = environment.variable('Agent.CAInfo');
  if (!file) return;
  const { childEnvironment } = environment;
  try {
    const text = `${programAuthorities(childEnvironment)}\n${readFileSync(file, 'utf8')}`;
    // The private folder is removed with each connection, and this file has no secret.
    const bundle = path.join(tempFolder, `${randomUUID()}-authorities.pem`);
    writeNew(bundle, text);
    removeAtExit(bundle);
    childEnvironment['SSL_CERT_FILE'] = bundle;
  } catch (error) {
    // In a container job, the file may be on the host only.
    log(`The certificate authorities of the agent (Agent.CAInfo) are not used: ${(error as Error).message}.`);
  }
}

const bundles = new Set<string>();

function removeAtExit(bundle: string): void {
  if (bundles.size === 0) {
    process.once('exit', () => {
      for (const each of bundles) rmSync(each, { force: true });
    });
  }
  bundles.add(bundle);
}
