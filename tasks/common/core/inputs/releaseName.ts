/** Helm's limit (pkg/chart/common/util/validate_name.go). */
const longestReleaseName = 53;
const longestNamespace = 63;

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const releaseNamePattern = new RegExp(`^${label}(?:\\.${label})*$`);
const namespacePattern = new RegExp(`^${label}$`);

export const releaseNameExpected = `a release name: 1 to ${longestReleaseName} lower-case letters, digits, "-" and ".", each part beginning and ending with a letter or digit`;
export const namespaceExpected = `a namespace name: 1 to ${longestNamespace} lower-case letters, digits and "-", beginning and ending with a letter or digit`;

export function parseReleaseName(text: string): string | undefined {
  return text.length <= longestReleaseName && releaseNamePattern.test(text) ? text : undefined;
}

export function parseNamespace(text: string): string | undefined {
  return text.length <= longestNamespace && namespacePattern.test(text) ? text : undefined;
}
