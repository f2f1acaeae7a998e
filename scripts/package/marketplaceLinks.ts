/** The fields of package.json that the package needs. */
export interface PackageJson {
  version: string;
  /** The public place of the source. Absent as long as there is none. */
  repository?: { type: string; url: string };
}

/**
 * The links of the Marketplace page, all made from the one address in package.json. Empty without an address, because a
 * link to a place that does not exist is worse than none; such a package cannot be published for everybody.
 */
export function marketplaceLinks(repository: PackageJson['repository'], version: string): Record<string, unknown> {
  if (repository === undefined) return {};
  const home = repository.url.replace(/^git\+/, '').replace(/(?:\.git)?\/?$/, '');
  const file = (name: string): { uri: string } => ({ uri: `${home}/blob/v${version}/${name}` });
  return {
    repository: { type: 'git', uri: home },
    links: {
      home: { uri: home },
      getstarted: file('overview.md'),
      learn: file('docs/tasks/HelmSafeDeploy.md'),
      support: { uri: `${home}/issues` },
      issues: { uri: `${home}/issues` },
      license: file('LICENSE'),
      privacypolicy: file('docs/privacy.md'),
    },
  };
}
