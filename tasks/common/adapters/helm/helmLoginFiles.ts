import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { loginFiles, registrySecrets, repositorySecrets } from '../../core/helm/helmLogins';

/** What Helm's own files hold of logins to repositories and registries: its output may quote them. */
export function helmLoginSecrets(environment: NodeJS.ProcessEnv): string[] {
  const { repositories, registries } = loginFiles(process.platform, environment, homedir());
  return [...textsOf(repositories).flatMap(repositorySecrets), ...textsOf(registries).flatMap(registrySecrets)];
}

function textsOf(files: readonly string[]): string[] {
  return files.flatMap((file) => {
    try {
      return [readFileSync(file, 'utf8')];
    } catch {
      // There is none, or Helm cannot read it either.
      return [];
    }
  });
}
