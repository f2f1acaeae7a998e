import os from 'node:os';
import path from 'node:path';

/**
 * The user's cache folder of this project. It holds programs and images by their pinned versions, and the state of
 * running clusters.
 */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME } = process.env;
  // The XDG specification requires that a relative path is ignored.
  const base = XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(os.homedir(), '.cache');
  return path.join(base, 'helm-safe-deploy');
}

export function toolsFolder(): string {
  return path.join(cacheFolder(), 'tools');
}

export function clustersFolder(): string {
  return path.join(cacheFolder(), 'clusters');
}

const namePattern = /^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/;

/** The state folder of one cluster. Throws if the name is not a DNS label of at most 32 characters. */
export function clusterFolder(name: string): string {
  if (!namePattern.test(name)) {
    throw new Error(
      `--name is "${name}"; expected are 1 to 32 lower-case letters, digits and "-", beginning and ending with a letter or digit.`,
    );
  }
  return path.join(clustersFolder(), name);
}
