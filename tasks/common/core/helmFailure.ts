import type { FailureReason } from './failure';

/**
 * What Helm's last words mean. Helm offers only text here, so this is the one place that searches it; every row
 * has a fixture from a real run of Helm 3 or 4 (test/unit/helmFailure.test.ts). The first row that matches counts:
 * what says more stands before what says less.
 */
const patterns: readonly (readonly [RegExp, FailureReason])[] = [
  [/another operation \(install\/upgrade\/rollback\) is in progress/, 'ReleasePending'],
  [/x509: |tls: failed to verify certificate|certificate signed by unknown authority/, 'CertificateRejected'],
  [/\bUnauthorized\b|the server has asked for the client to provide credentials/, 'CredentialsRejected'],
  [/(pre|post)-(install|upgrade|rollback|delete) hooks? failed|warning: Hook /, 'HookFailed'],
  [/is forbidden: exceeded quota|violates PodSecurity|admission webhook|denied the request/, 'ApplyRejected'],
  [
    /is forbidden: (User|.*cannot (get|list|watch|create|update|patch|delete))|cannot (get|list|create|update|patch|delete) resource/,
    'PermissionDenied',
  ],
  [/namespaces? "[^"]*" not found/, 'NamespaceMissing'],
  [/Kubernetes cluster unreachable|connection refused|no route to host|i\/o timeout/, 'ClusterUnreachable'],
  [
    /failed parsing --set|failed to parse|error parsing value|key .* has no value|error unmarshaling JSON: while decoding JSON|cannot unmarshal .* into Go value of type map/,
    'ValuesInvalid',
  ],
  [/values don't meet the specifications of the schema/, 'ValuesInvalid'],
  [
    /path ".*" not found|non-absolute URLs should be in form|repo .* not found|not found in .*(index|repository)|no chart (name|version) found|chart .* not found|no cached repo found|no repositories configured|is not a valid chart repository|could not find protocol handler|manifest unknown|failed to fetch|failed to download|name unknown|improper constraint|failed to perform "FetchReference"|Chart\.yaml file is missing|unable to locate any tags|not found: not found/,
    'ChartNotFound',
  ],
  [
    /execution error at|parse error at|template: |YAML parse error|unable to build kubernetes objects|error validating|chart metadata|chart requires kubeVersion|missing in charts\/ directory|validation: |resource mapping not found|no matches for kind|unable to decode/,
    'ChartInvalid',
  ],
  [
    /cannot be imported into the current release|field is immutable|is invalid: |Forbidden: updates to|conflict with |conflicts? with|already exists|could not be patched|cannot patch|failed to create|no .* with the name .* found|original object/,
    'ApplyRejected',
  ],
  [/context deadline exceeded|timed out waiting/, 'TimedOut'],
  [/unknown flag|unknown shorthand flag/, 'InputInvalid'],
];

/** The reason behind a failed Helm run, from what it printed to stderr. */
export function helmFailureReason(stderr: string): FailureReason {
  return patterns.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'Internal';
}

/** Helm's last word: its `Error:` line with what belongs to it, without the warnings before it. */
export function helmMessage(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trimEnd());
  const start = lines.findLastIndex((line) => /^Error: /.test(line));
  const words = (start < 0 ? lines : lines.slice(start)).filter(
    (line) => line !== '' && !/^helm\.go:\d+: |^level=/.test(line),
  );
  const text = withoutObjects(words.join('\n').replace(/^Error: (UPGRADE FAILED: |INSTALLATION FAILED: )?/, ''));
  return text.length > maximumMessage ? `${text.slice(0, maximumMessage)} ...` : text;
}

const maximumMessage = 4000;

/** «Invalid value: "{...}"» quotes the whole object, which says nothing that the rest of the sentence does not. */
function withoutObjects(text: string): string {
  return text.replace(/(Invalid value: )"\{(?:[^"\\]|\\.){200,}"/g, '$1"{...}"');
}
