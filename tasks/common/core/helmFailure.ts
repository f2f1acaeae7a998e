import type { FailureReason } from './failure';
import type { ObjectRef } from './kubernetes';

/**
 * What Helm's last words mean. Helm offers only text here, so this is the one place that searches it; every row is
 * the deciding one of a real run of Helm 3 or 4 (test/unit/fixtures/helm). The first row that matches counts: what may
 * quote anything (a chart's own words, another server's answer) stands before what searches for a word.
 * Only the first letters of these texts differ between the two majors.
 */
export const helmFailurePatterns: readonly (readonly [RegExp, FailureReason])[] = [
  [/another operation \(install\/upgrade\/rollback\) is in progress/i, 'ReleasePending'],

  // in the words of the chart's author
  [/execution error at /i, 'ChartInvalid'],
  [/values don't meet the specifications of the schema/i, 'ValuesInvalid'],

  // a missing right is best granted, whoever came upon it: a template, a hook, Helm itself
  [/is forbidden: user "/i, 'PermissionDenied'],

  [/failed (pre|post)-(install|upgrade|rollback|delete): /i, 'HookFailed'],
  [/(pre|post)-(install|upgrade|rollback|delete) hooks failed: /i, 'HookFailed'],
  [/^job \S+ failed: /i, 'HookFailed'],
  [/^resource Job\/\S+ not ready\. status: Failed/i, 'HookFailed'],

  // where the chart should have come from: not the cluster, whose troubles look the same further down
  [/is not a valid chart repository or cannot be reached/i, 'ChartNotFound'],
  [/not found in (\S+ index|(repo )?http\S*)/i, 'ChartNotFound'],
  [/^repo \S+ not found/i, 'ChartNotFound'],
  [/^failed to fetch \S+ : \d/i, 'ChartNotFound'],
  [/failed to perform "\w+" on source/i, 'ChartNotFound'],
  [/^failed to do request: /i, 'ChartNotFound'],
  [/^unexpected status from \w+ request to /i, 'ChartNotFound'],
  [/^pull access denied/i, 'ChartNotFound'],
  [/^GET "\S+\/tags\/list"/i, 'ChartNotFound'],
  [/could not locate a version matching/i, 'ChartNotFound'],
  [/^\S+\/\S+:\S+: not found/i, 'ChartNotFound'],
  [/^path ".*" not found/i, 'ChartNotFound'],
  [/non-absolute URLs should be in form of/i, 'ChartNotFound'],
  [/does not appear to be a gzipped archive/i, 'ChartNotFound'],
  [/Chart\.yaml file is missing/i, 'ChartNotFound'],
  [/^unable to detect chart at /i, 'ChartNotFound'],
  [/^scheme "\w+" not supported/i, 'ChartNotFound'],

  [/failed calling webhook/i, 'ApplyRejected'],
  [/x509: |tls: failed to verify certificate/i, 'CertificateRejected'],
  [/the server has asked for the client to provide credentials/i, 'CredentialsRejected'],
  [/^Kubernetes cluster unreachable/i, 'ClusterUnreachable'],

  [/^failed parsing --set/i, 'ValuesInvalid'],
  [/^failed to parse \S+: /i, 'ValuesInvalid'],
  [/^open .*: no such file or directory/i, 'ValuesInvalid'],
  [/^unknown (shorthand )?flag: /i, 'InputInvalid'],
  [/^release name is invalid/i, 'InputInvalid'],

  [/no matches for kind /i, 'KindNotServed'],
  [/parse error at /i, 'ChartInvalid'],
  [/executing "[^"]*" at </i, 'ChartInvalid'],
  [/YAML parse error on /i, 'ChartInvalid'],
  [/unable to build kubernetes objects/i, 'ChartInvalid'],
  [/chart requires kubeVersion/i, 'ChartInvalid'],
  [/missing in charts\/ directory/i, 'ChartInvalid'],
  [/^validation: /i, 'ChartInvalid'],
  [/^library charts are not installable/i, 'ChartInvalid'],

  [/namespaces "[^"]*" not found/i, 'NamespaceMissing'],
  [/cannot be imported into the current release/i, 'ApplyRejected'],
  [/ is forbidden: /i, 'ApplyRejected'],
  [/ is invalid: /i, 'ApplyRejected'],
  [/ cannot be handled as a /i, 'ApplyRejected'],
  [/conflict occurred while applying/i, 'ApplyRejected'],
  [/^(?:no|original object) \w+ with the name ".*" (?:not )?found/i, 'ApplyRejected'],
  [/server-side apply failed for object/i, 'ApplyRejected'],

  [/release has no \S+ version/i, 'RollbackTargetMissing'],
  [/release: not found/i, 'RollbackTargetMissing'],
  [/context deadline exceeded|would exceed context deadline|timed out waiting/i, 'TimedOut'],
  [/^context canceled/i, 'Cancelled'],
];

/** The reason behind a failed Helm run, from what it printed to stderr. Warnings before the error do not count. */
export function helmFailureReason(stderr: string): FailureReason {
  const said = lastWords(stderr);
  return helmFailurePatterns.find(([pattern]) => pattern.test(said))?.[1] ?? 'Internal';
}

/** How Helm 3 and 4 name the object that they were at, each with the kind and the name. */
const objectPatterns: readonly RegExp[] = [
  / (?:applying|failed for) object \S*\/(?<name>\S+) \S*, Kind=(?<kind>\w+)/,
  /cannot patch "(?<name>[^"]+)" with kind (?<kind>\w+)/,
  /(?<kind>\w+) "(?<name>[^"]+)" in namespace "[^"]*" exists and cannot be imported/,
  /resource mapping not found for name: "(?<name>[^"]+)".*no matches for kind "(?<kind>\w+)"/,
  /^no (?<kind>\w+) with the name "(?<name>[^"]+)" found/,
  /^(?:\s*\* )?(?<kind>[A-Z]\w+)(?:\.[\w.-]+)? "(?<name>[^"]+)" is invalid: /m,
];

/** As the API server names an object whose creation it refuses: by its resource, in the plural. */
const refusedResource = /\b(?<plural>[a-z]+)(?:\.[\w.-]+)? "(?<name>[^"]+)" (?:is forbidden: |already exists)/;

/**
 * `Kind/name` of the object of the chart that was refused; empty where Helm does not say, or where it is no object.
 * `declared` are those of the chart.
 */
export function blamedObject(
  { reason, message }: { reason: FailureReason; message: string },
  declared: readonly Pick<ObjectRef, 'kind' | 'name'>[] = [],
): string {
  if (reason !== 'ApplyRejected' && reason !== 'KindNotServed') return '';
  for (const pattern of objectPatterns) {
    const { kind, name } = pattern.exec(message)?.groups ?? {};
    if (kind !== undefined && name !== undefined) return `${kind}/${name}`;
  }
  const { plural = '', name } = refusedResource.exec(message)?.groups ?? {};
  const refused = declared.find((ref) => ref.name === name && plurals(ref.kind).includes(plural));
  return refused === undefined ? '' : `${refused.kind}/${refused.name}`;
}

/** How the resource of a kind may be called: pods, ingresses, networkpolicies, endpoints. */
function plurals(kind: string): string[] {
  const word = kind.toLowerCase();
  return [word, `${word}s`, `${word}es`, `${word.replace(/y$/, '')}ies`];
}

const maximumLines = 8;
const maximumLine = 1000;

/** Helm's last words for a person: its error with what belongs to it, without whole objects; some lines at most. */
export function helmMessage(stderr: string): string {
  const lines = withoutObjects(lastWords(stderr)).split('\n').map(shortened);
  const more = lines.length - maximumLines;
  return (more <= 0 ? lines : [...lines.slice(0, maximumLines), `... and ${more} more lines`]).join('\n');
}

function shortened(line: string): string {
  return line.length > maximumLine ? `${line.slice(0, maximumLine).replace(/[\ud800-\udbff]$/, '')} ...` : line;
}

/** The `Error:` with its further lines; all lines where there is none. With `--debug` Helm 3 has a stack trace follow. */
function lastWords(stderr: string): string {
  const lines = stderr.split(/\r?\n/).map((line) => line.trimEnd());
  const start = lines.findLastIndex((line) => line.startsWith('Error: '));
  const words = start < 0 ? lines : lines.slice(start);
  const trace = words.findIndex((line) => /^helm\.go:\d+: /.test(line));
  return (trace < 0 ? words : words.slice(0, trace))
    .filter((line) => line !== '' && !/^(time=\S+ )?level=|^[WIE]\d{4} /.test(line))
    .join('\n')
    .replace(/^Error: (UPGRADE FAILED: |INSTALLATION FAILED: )?/, '')
    .replace(/(^|: )1 error occurred:\n\t\* /, '$1');
}

const longestQuote = 200;

/**
 * «Invalid value: {...}» quotes the whole object, and a proxy's answer a whole page: neither says anything that the
 * rest of the sentence does not.
 */
export function withoutObjects(text: string): string {
  const mark = 'Invalid value: ';
  const [first = '', ...parts] = text.split(mark);
  const bare = [first, ...parts.map(withoutLeadingObject)].join(mark);
  // An unclosed quote is matched too, to the end of its line: else every quote in it would be tried again.
  return bare.replace(/"(?:[^"\\\n]|\\.)*(?:"|$)/gm, (quoted) =>
    quoted.length > longestQuote ? `"${quoted.slice(1, 80)}..."` : quoted,
  );
}

function withoutLeadingObject(text: string): string {
  const closing = { '{': '}', '[': ']' }[text.charAt(0)];
  if (closing === undefined) return text.replace(/^"\{(?:[^"\\]|\\.){200,}"/, '"{...}"');
  const end = endOfJson(text);
  return end > longestQuote ? `${text.charAt(0)}...${closing}${text.slice(end)}` : text;
}

/** Where the JSON value that `text` starts with ends; 0 where it does not. */
function endOfJson(text: string): number {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*(?:"|$)|[[{}\]]/g)) {
    if (token === '{' || token === '[') depth += 1;
    if (token === '}' || token === ']') depth -= 1;
    if (depth === 0) return index + token.length;
  }
  return 0;
}
