/** What has to be true of the source of a package before it is published for everybody. */
export interface PublicationFacts {
  version: string;
  /** The address in package.json. */
  repository: string | undefined;
  changelog: string;
  /** Inputs and outputs that are not in tasks/frozen.json. */
  unfrozen: readonly string[];
  /** All version tags of the repository, such as `v1.2.0`. */
  tags: readonly string[];
  /** The tags of the commit that is checked out. */
  tagsHere: readonly string[];
  hasChanges: boolean;
}

/** One sentence for each problem, with what to do. */
export function publicationProblems(facts: PublicationFacts): string[] {
  const { version, repository, changelog, unfrozen, tags, tagsHere, hasChanges } = facts;
  const heading = `## ${version} `;
  const line = changelog.split('\n').find((each) => each.startsWith(heading)) ?? '';
  const later = tags.filter((tag) => compareVersions(tag.slice(1), version) > 0);
  return [
    ...(repository === undefined
      ? ['The field repository of package.json is missing: the links of the Marketplace page are made from it.']
      : []),
    ...(/ \(\d{4}-\d{2}-\d{2}\)$/.test(line) ? [] : [`CHANGELOG.md has no heading «${heading}(YYYY-MM-DD)».`]),
    ...(unfrozen.length === 0 ? [] : [`Run «npm run freeze»: ${unfrozen.join(', ')} is not in tasks/frozen.json.`]),
    ...later.map((tag) => `The version ${version} is lower than the tag ${tag}: versions may only rise.`),
    ...(tagsHere.includes(`v${version}`) ? [] : [`The commit that is checked out has no tag v${version}.`]),
    ...(hasChanges ? ['There are changes that are not committed: the package could not be built again.'] : []),
  ];
}

function compareVersions(one: string, other: string): number {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  for (const index of [0, 1, 2]) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
