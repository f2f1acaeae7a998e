import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { loginFiles, registrySecrets, repositorySecrets } from '../../core/helm/helmLogins';

/** The secrets in Helm's own login files for repositories and registries. Helm's output may quote them. */
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
