import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { loginFiles, registrySecrets, repositorySecrets } from '../../core/helm/helmLogins';

/** Helm's output may quote the secrets in its login files. */
export function helmLoginSecrets(environment: NodeJS.ProcessEnv): string[] {
  const { repositories, registries } = loginFiles(process.platform, environment, homedir());
  return [...textsOf(repositories).flatMap(repositorySecrets), ...textsOf(registries).flatMap(registrySecrets)];
}

function textsOf(files: readonly string[]): string[] {
  return files.flatMap((file) => {
    try {
      return [readFileSync(file, 'utf8')];
    } catch {
      // The file is missing, or Helm cannot read it either.
      return [];
    }
  });
}
