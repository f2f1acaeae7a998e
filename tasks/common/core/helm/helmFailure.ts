import { objectName } from '../kubernetes/manifest';
import { clipped } from '../text/foreignText';
import type { FailureReason } from '../failure';
import { ownWords } from '../text/foreignWords';
import type { ObjectRef } from '../kubernetes/object';

export interface HelmFailure {
  reason: FailureReason;
  message: string;
}

/** A request that a network failure cut off. */
const cutRequest =
  /(Get|Post|Put|Patch|Delete) "https?:[^"\n]{0,2000}": [^\n]{0,300}(EOF|connection reset|TLS handshake timeout|broken pipe|i\/o timeout|http2: |stream error)/;

/**
 * The reasons for Helm's last words, which are all that Helm offers. Every row matches the deciding line of a real run
 * (test/unit/fixtures/helm). The first match counts, so rows for text that may quote anything come first.
 */
export const helmFailurePatterns: readonly (readonly [RegExp, FailureReason])[] = [
  [/^another operation \(install\/upgrade\/rollback\) is in progress/i, 'ReleasePending'],

  // words of the chart's author or of a program
  [/execution error at /i, 'ChartInvalid'],
  [/values don't meet the specifications of the schema/i, 'ValuesInvalid'],
  [/^error while (running post render|parsing post rendered output)/i, 'PostRendererFailed'],

  // the right must be granted, whether a template, a hook or Helm needs it
  [/is forbidden: user "/i, 'PermissionDenied'],

  // the signature of the chart
  [/^could not load provenance file |^unpacked charts cannot be verified/i, 'ChartNotVerified'],
  [/^openpgp: |^sha256 sum does not match for |^failed to load keyring: /i, 'ChartNotVerified'],

  // the source of the chart, before similar problems with the cluster
  [/is not a valid chart repository or cannot be reached/i, 'ChartNotFound'],
  [/not found in (\S+ index|(repo )?http\S*)/i, 'ChartNotFound'],
  [/^repo \S+ not found/i, 'ChartNotFound'],
  [/^no repository definition for |^no cached repo/i, 'ChartNotFound'],
  [/^could not download /i, 'ChartNotFound'],
  [/^directory \S+ not found/i, 'ChartNotFound'],
  [/^failed to fetch \S+ : \d/i, 'ChartNotFound'],
  [/^Get "https?:\/\/[^"\s]+\.tgz(\?[^"\s]*)?": /i, 'ChartNotFound'],
  [/failed to perform "\w+" on source/i, 'ChartNotFound'],
  [/^failed to do request: /i, 'ChartNotFound'],
  [/^unexpected status from \w+ request to /i, 'ChartNotFound'],
  [/^pull access denied/i, 'ChartNotFound'],
  [/^GET "\S+\/tags\/list"/i, 'ChartNotFound'],
  [/could not locate a version matching/i, 'ChartNotFound'],
  [/^[^\s/]+\/[^\s:]+:\S+: not found/i, 'ChartNotFound'],
  [/^path ".*" not found/i, 'ChartNotFound'],
  [/non-absolute URLs should be in form of/i, 'ChartNotFound'],
  [/does not appear to be a gzipped archive/i, 'ChartNotFound'],
  [/Chart\.yaml file is missing/i, 'ChartNotFound'],
  [/^unable to detect chart at /i, 'ChartNotFound'],
  [/^scheme "\w+" not supported/i, 'ChartNotFound'],

  // may be gone a minute later
  [/the server is currently unable to handle the request|apiserver is shutting down/i, 'TransientFailure'],
  [/too many requests/i, 'TransientFailure'],
  [/unable to return a response in the time allotted|request did not complete within/i, 'TransientFailure'],
  [/etcdserver: (leader changed|request timed out|no leader|too many requests)/i, 'TransientFailure'],
  [/rpc error: code = (Unavailable|DeadlineExceeded|ResourceExhausted)/, 'TransientFailure'],
  [cutRequest, 'TransientFailure'],
  [/error when reading response body/i, 'TransientFailure'],

  [/failed (pre|post)-(install|upgrade|rollback|delete): /i, 'HookFailed'],
  [/(pre|post)-(install|upgrade|rollback|delete) hooks failed: /i, 'HookFailed'],
  [/^job \S+ failed: /i, 'HookFailed'],
  [/^pod \S+ failed$/i, 'HookFailed'],
  [/^resource (Job|Pod)\/\S+ not ready\. status: Failed/i, 'HookFailed'],

  [/etcdserver: mvcc: database space exceeded/i, 'ApplyRejected'],
  [/failed calling webhook/i, 'ApplyRejected'],
  [/denied (the )?request:/, 'ApplyRejected'],
  [/x509: |tls: failed to verify certificate/i, 'CertificateRejected'],
  [
    /the server has asked for the client to provide credentials|^Unauthorized$|: Unauthorized$/im,
    'CredentialsRejected',
  ],
  [/getting credentials: /, 'CredentialsRejected'],
  [/auth plugin has been removed/i, 'ConnectionInvalid'],
  [/^Kubernetes cluster unreachable/i, 'ClusterUnreachable'],
  [/: dial tcp[: ]/, 'ClusterUnreachable'],
  [/an error on the server \("/i, 'TransientFailure'],

  [/^failed parsing --set/i, 'ValuesInvalid'],
  [/^failed to parse \S+: /i, 'ValuesInvalid'],
  [/^open .*: no such file or directory/i, 'ValuesInvalid'],
  [/^unknown (shorthand )?flag: /i, 'InputInvalid'],
  [/^invalid argument "/i, 'InputInvalid'],
  [/^release name is invalid/i, 'InputInvalid'],

  [/no matches for kind /i, 'KindNotServed'],
  [/parse error at /i, 'ChartInvalid'],
  [/executing "[^"]*" at </i, 'ChartInvalid'],
  [/YAML parse error on /i, 'ChartInvalid'],
  [/resource name may not be empty/i, 'ChartInvalid'],
  [/unable to build kubernetes objects/i, 'ChartInvalid'],
  [/chart requires kubeVersion/i, 'ChartInvalid'],
  [/missing in charts\/ directory/i, 'ChartInvalid'],
  [/^the lock file \(\S+\) is out of sync/i, 'ChartInvalid'],
  [/^validation: /i, 'ChartInvalid'],
  [/^library charts are not installable/i, 'ChartInvalid'],

  // Helm's own record
  [/"sh\.helm\.release\.v1\.[^"]{1,80}" is invalid: .{0,80}Too long: /i, 'RecordTooLarge'],
  [/failed to (create|update): (request entity too large|etcdserver: request is too large)/i, 'RecordTooLarge'],
  [/^release: already exists/i, 'Conflict'],

  [/namespaces "[^"]*" not found/i, 'NamespaceMissing'],
  [/cannot be imported into the current release/i, 'ApplyRejected'],
  [/the object has been modified/i, 'Conflict'],
  [/ is forbidden: /i, 'ApplyRejected'],
  [/ is invalid: /i, 'ApplyRejected'],
  [/ cannot be handled as a /i, 'ApplyRejected'],
  [/Apply failed with \d+ conflicts?: /, 'FieldConflict'],
  [/^(?:no|original object) \w+ with the name ".*" (?:not )?found/i, 'ApplyRejected'],
  [/server-side apply failed for object/i, 'ApplyRejected'],
  [/failed to create typed patch object|failed to convert new object/i, 'ApplyRejected'],
  [/ already exists$/im, 'ApplyRejected'],
  [/request entity too large|request is too large/i, 'ApplyRejected'],

  [/release has no \S+ version/i, 'RollbackTargetMissing'],
  [/release: not found/i, 'RollbackTargetMissing'],
  [/context deadline exceeded|would exceed context deadline|timed out waiting/i, 'TimedOut'],
  [/^context canceled/i, 'Cancelled'],
];

/** Warnings before the error do not count. */
export function helmFailureReason(stderr: string): FailureReason {
  const own = ownWords(lastWords(stderr));
  const reason = helmFailurePatterns.find(([pattern]) => pattern.test(own))?.[1] ?? 'HelmFailed';
  return reason === 'ChartNotFound' ? chartReason(own) : reason;
}

/** The server of a chart does not know the login, or refuses it. Addresses may have any number in them. */
const accessDenied =
  / : 40[13] |: 40[13] (?:Unauthorized|Forbidden)|status code:? 40[13]\b|credential not found|credential required|no basic auth credentials|authorization failed|unauthorized: /i;
const unreachable =
  / : (?:429|5\d\d) |: (?:429|5\d\d) [A-Z]|status code:? (?:429|5\d\d)\b|toomanyrequests|x509: |tls: |dial tcp|no such host|connection re(?:fused|set)|i\/o timeout|TLS handshake timeout|: EOF|Client\.Timeout|proxyconnect/i;

function chartReason(own: string): FailureReason {
  if (accessDenied.test(own)) return 'ChartAccessDenied';
  return unreachable.test(own) ? 'ChartSourceUnreachable' : 'ChartNotFound';
}

/** Returns true if Helm could not render the chart or read the rendered manifests. */
export function isOfRendering(message: string): boolean {
  return /(^|: )(execution error at |parse error at |YAML parse error on |template: )|executing "[^"]*" at </m.test(
    message,
  );
}

/** Texts of Helm and the API server that name the kind and the name of the failed object. */
const objectPatterns: readonly RegExp[] = [
  / object [^\s()/]*\/(?<name>[^\s()/]+) \S*, Kind=(?<kind>\w+)/,
  / object \((?:[^/;()]*\/)?(?<name>[^/;()]+); [^;()]*, Kind=(?<kind>\w+)\)/,
  /cannot patch "(?<name>[^"]+)" with kind (?<kind>\w+)/,
  /\b(?<kind>\w+) "(?<name>[^"]+)" in namespace "[^"]*" exists and cannot be imported/,
  /information about the resource (?<kind>\w+) "(?<name>[^"]+)"/,
  /resource mapping not found for name: "(?<name>[^"]+)".{0,1000}no matches for kind "(?<kind>\w+)"/,
  /(?:^no|original object) (?<kind>\w+) with the name "(?<name>[^"]+)"(?: not)? found/,
  /(?:^|: |\* )(?<kind>[A-Z]\w{0,80})(?:\.[\w.-]{1,200})? "(?<name>[^"]+)" is invalid: /m,
];

/** The API server names a refused object by its plural. */
const refusedResource =
  /(?<![\w.-])(?<plural>[a-z]+)(?:\.[\w.-]+)? "(?<name>[^"]+)"(?: is forbidden: | already exists|: the object has been modified)/;

/** Policy engines use words of their own, so the name counts only if the chart declares such an object. */
const deniedResource = /\bresource (?<kind>\w+)\/[\w.-]+\/(?<name>[\w.-]+) was blocked/;

/** This message does not name the object. */
const refusedKind = /\b(?<kind>[A-Z]\w+) in version "[^"]*" cannot be handled as a /;

const blaming: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'FieldConflict',
  'ApplyRejected',
  'KindNotServed',
  'Conflict',
]);

/** Returns `Kind/name` of the refused object, or an empty text. `declared` are the objects of the chart. */
export function blamedObject({ reason, message }: HelmFailure, declared: readonly DeclaredName[] = []): string {
  if (!blaming.has(reason)) return '';
  const own = ownWords(message);
  for (const pattern of objectPatterns) {
    const { kind, name } = pattern.exec(own)?.groups ?? {};
    if (kind !== undefined && name !== undefined) return `${kind}/${name}`;
  }
  const refused = declaredObject(message, own, declared);
  return refused === undefined ? '' : objectName(refused);
}

type DeclaredName = Pick<ObjectRef, 'kind' | 'name'>;

/** The object of the chart that the message names by its plural, by a policy's words or by its kind alone. */
function declaredObject(message: string, own: string, declared: readonly DeclaredName[]): DeclaredName | undefined {
  const resource = refusedResource.exec(own)?.groups ?? {};
  const denied = deniedResource.exec(message)?.groups ?? {};
  const { kind } = refusedKind.exec(own)?.groups ?? {};
  const ofKind = declared.filter((ref) => ref.kind === kind);
  return (
    declared.find((ref) => ref.name === resource['name'] && plurals(ref.kind).includes(resource['plural'] ?? '')) ??
    declared.find((ref) => ref.name === denied['name'] && ref.kind === denied['kind']) ??
    (ofKind.length === 1 ? ofKind[0] : undefined)
  );
}

/** Returns true if an object was refused while Helm created it, even if Helm does not name the object. */
export function isCreation({ reason, message }: HelmFailure, isInstall: boolean): boolean {
  return blaming.has(reason) && (isInstall || message.startsWith('failed to create resource: '));
}

function plurals(kind: string): string[] {
  const word = kind.toLowerCase();
  return [word, `${word}s`, `${word}es`, `${word.replace(/y$/, '')}ies`];
}

const maximumLines = 8;
const maximumLine = 1000;

/** Returns Helm's error for people, without whole objects and limited to some lines. */
export function helmMessage(stderr: string): string {
  const lines = withoutObjects(lastWords(stderr))
    .split('\n')
    .map((line) => clipped(line, maximumLine));
  const more = lines.length - maximumLines;
  return (more <= 0 ? lines : [...lines.slice(0, maximumLines), `... and ${more} more lines`]).join('\n');
}

const brieflyLimit = 800;

/** Shortens Helm's words to one line for a sentence. */
export function briefly(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim();
  if (line.length <= brieflyLimit) return line;
  return `${line.slice(0, brieflyLimit).replace(/\S*$/, '').trimEnd() || line.slice(0, brieflyLimit)} ...`;
}

/** Helm 4 logs the error of an upgrade as a warning before it prints the error. */
export function isEchoOfError(line: string): boolean {
  return /^(time=\S+ )?level=WARN msg="upgrade failed" name=\S+ error=/.test(line);
}

/** Returns the text from the `Error:` line on, or everything. Leaves out the stack trace of `--debug`. */
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

/** «Invalid value: {...}» quotes a whole object, and the answer of a proxy a whole page. */
export function withoutObjects(text: string): string {
  const mark = 'Invalid value: ';
  const [first = '', ...parts] = text.split(mark);
  const bare = [first, ...parts.map(withoutLeadingObject)].join(mark);
  // An unclosed quote matches up to the end of its line, so that no quote in it is tried again.
  return bare.replace(/"(?:[^"\\\n]|\\.?)*(?:"|$)/gm, (quoted) =>
    quoted.length > longestQuote ? `"${quoted.slice(1, 80)}..."` : quoted,
  );
}

function withoutLeadingObject(text: string): string {
  const closing = { '{': '}', '[': ']' }[text.charAt(0)];
  if (closing === undefined) return text.replace(/^"\{(?:[^"\\]|\\.){200,}"/, '"{...}"');
  const end = endOfJson(text);
  return end > longestQuote ? `${text.charAt(0)}...${closing}${text.slice(end)}` : text;
}

/** Returns the end of the JSON value at the start of `text`, or 0 if it has none. */
function endOfJson(text: string): number {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.?)*(?:"|$)|[[{}\]]/g)) {
    if (token === '{' || token === '[') depth += 1;
    if (token === '}' || token === ']') depth -= 1;
    if (depth === 0) return index + token.length;
  }
  return 0;
}
