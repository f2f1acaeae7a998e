import { TaskError, type FailureReason } from '../../core/failure';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** A request in the words of an error message. */
export interface Attempt {
  verb: Verb;
  /** For example `Deployment/web in namespace shop`. */
  target: string;
  /** The right that RBAC must grant. Absent if nobody can grant it (discovery). */
  resource?: { group: string; plural: string; namespace?: string | undefined };
  /** Who is asked. Absent: the API server. */
  service?: string;
}

export interface Answer {
  status: number;
  contentType: string;
  body: Buffer;
  /** The date header gives the server's own time. */
  date?: string;
  /** The Retry-After header gives this time. */
  retryAfterMs?: number;
}

const verbWords: Record<Verb, string> = {
  get: 'read',
  list: 'list',
  watch: 'watch',
  create: 'create',
  update: 'update',
  patch: 'change',
  delete: 'delete',
};

const quotedMaxLength = 1000;

/** The keys are Node's names of OpenSSL's verdicts. */
const certificateProblems: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate was issued by an authority that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate was issued by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate was issued by an authority that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate was issued by an authority that is not trusted',
  CERT_UNTRUSTED: 'its certificate was issued by an authority that is not trusted',
  CERT_SIGNATURE_FAILURE: 'its certificate was not signed by the authority given',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate is revoked',
  CERT_REJECTED: 'its certificate is rejected',
  INVALID_PURPOSE: 'its certificate is not one for servers',
  INVALID_CA: 'the authority of its certificate is not one',
  HOSTNAME_MISMATCH: 'its certificate is for another name',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

/** Clauses about a server. The keys are Node's error codes. */
export const connectionProblems: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ENOTFOUND: 'its name is not known to the DNS of the agent',
  EAI_AGAIN: 'the DNS of the agent did not answer',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'its network cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  EPROTO: 'it does not speak TLS as expected',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS (an http address given as https?)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS (an http address given as https?)',
};

export function attempted({ verb, target }: Attempt): string {
  return `${verbWords[verb]} ${target}`;
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** The status with which a proxy refused the tunnel. hpagent gives it only in its message. */
export function proxyAnswer(error: unknown): string | undefined {
  return /^Bad response: (\d+)$/.exec(error instanceof Error ? error.message : '')?.[1];
}

/** `server` is the origin, without credentials. */
export function connectionFailure(error: unknown, attempt: Attempt, server: string): TaskError {
  if (error instanceof TaskError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const could = `Could not ${attempted(attempt)}`;
  const { service = 'the API server' } = attempt;
  const make = (reason: FailureReason, why: string): TaskError =>
    new TaskError(reason, `${could}: ${why}`, { cause: error, facts: { server, ...(code && { code }) } });

  const certificate = certificateProblems[code];
  if (certificate !== undefined) {
    return make('CertificateRejected', `${service} ${server} is not trusted, ${certificate} (${code}).`);
  }
  if (/ALERT_|BAD_CERTIFICATE|CERTIFICATE_REQUIRED/.test(code) && /cert/i.test(`${code} ${message}`)) {
    return make('CredentialsRejected', `${service} ${server} refused the client certificate (${code}).`);
  }
  if (/^ERR_OSSL|^ERR_CRYPTO|^ERR_SSL_(NO_START_LINE|KEY_VALUES_MISMATCH)/.test(code)) {
    return make('CredentialsRejected', `a certificate or key of the connection cannot be used (${code}).`);
  }
  const answered = proxyAnswer(error);
  if (answered !== undefined) {
    return make('ClusterUnreachable', `the proxy on the way to ${server} answered ${answered}.`);
  }
  const problem = connectionProblems[code] ?? (code === '' ? message : `${message} (${code})`);
  return make('ClusterUnreachable', `${service} ${server} cannot be reached, ${problem}.`);
}

/** For an answer that does not come from Kubernetes: a login page, a proxy's error page, an incomplete body. */
export function notUnderstood(attempt: Attempt, server: string, what: string, cause?: unknown): TaskError {
  const message = `Could not ${attempted(attempt)}: ${server} does not answer like a Kubernetes API server, ${what}.`;
  return new TaskError('ClusterUnreachable', message, { cause, facts: { server } });
}

export function cancelled(attempt: Attempt): TaskError {
  return new TaskError('Cancelled', `Cancelled before the task could ${attempted(attempt)}.`);
}

interface Status {
  message: string;
  reason: string;
  code: number;
  details: { name?: string; kind?: string };
}

/** Undefined if the answer is no Status. */
export function statusOf(answer: Pick<Answer, 'body'>): Status | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.body.toString('utf8'));
  } catch {
    return undefined;
  }
  return asStatus(parsed);
}

export function asStatus(value: unknown): Status | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  if (fields['kind'] !== 'Status') return undefined;
  const details = (fields['details'] ?? {}) as Record<string, unknown>;
  return {
    message: typeof fields['message'] === 'string' ? fields['message'].slice(0, quotedMaxLength) : '',
    reason: typeof fields['reason'] === 'string' ? fields['reason'] : '',
    code: typeof fields['code'] === 'number' ? fields['code'] : 0,
    details: {
      ...(typeof details['name'] === 'string' && details['name'] !== '' ? { name: details['name'] } : {}),
      ...(typeof details['kind'] === 'string' ? { kind: details['kind'] } : {}),
    },
  };
}

export function refusal(answer: Answer, attempt: Attempt, server: string): TaskError {
  const status = statusOf(answer);
  const text = status?.message || snippet(answer);
  const could = `Could not ${attempted(attempt)}`;
  const answered = `the API server answered ${answer.status}${text === '' ? '' : `: ${text}`}`;
  const facts = {
    status: answer.status,
    ...(status?.reason && { statusReason: status.reason }),
    ...(answer.retryAfterMs !== undefined && { retryAfterMs: answer.retryAfterMs }),
  };
  const make = (reason: FailureReason, message: string): TaskError => new TaskError(reason, message, { facts });

  // A proxy on the way refuses with a page of its own; then no permission in Kubernetes helps.
  if (status === undefined && /html/i.test(answer.contentType)) {
    return notUnderstood(attempt, server, `it answered ${answer.status} with a web page: ${text}`);
  }
  if (answer.status === 401) {
    return make('CredentialsRejected', `${could}: the API server ${server} did not accept the credentials (401).`);
  }
  const reason = refusalReason(answer.status, attempt, status, text);
  return make(reason, `${could}: ${answered}${reason === 'PermissionDenied' ? `. ${grant(attempt)}` : ''}`);
}

function refusalReason(code: number, attempt: Attempt, status: Status | undefined, text: string): FailureReason {
  switch (code) {
    case 403:
      return isDeniedByAuthorizer(attempt, text) ? 'PermissionDenied' : 'ApplyRejected';
    case 404:
      return notFoundReason(attempt, status);
    case 405:
      return 'KindNotServed';
    case 409:
    case 410:
    case 412:
      return 'Conflict';
    case 400:
    case 413:
    case 422:
      return isWrite(attempt) ? 'ApplyRejected' : 'Internal';
    case 500:
      return isWrite(attempt) && status !== undefined ? 'ApplyRejected' : 'ClusterUnreachable';
    default:
      // Kubernetes uses no other status, so something on the way to it has answered.
      return 'ClusterUnreachable';
  }
}

/** Admission and quota also answer a write with 403, but only authorizers say what a user cannot do. */
function isDeniedByAuthorizer(attempt: Attempt, text: string): boolean {
  if (!isWrite(attempt) || text === '') return true;
  return /\bcannot \w+ (resource|path)\b/i.test(text) || /does not have (access|the permission)/i.test(text);
}

function notFoundReason(attempt: Attempt, status: Status | undefined): FailureReason {
  if (status?.details.name === undefined) return 'KindNotServed';
  if (attempt.verb === 'create' && status.details.kind === 'namespaces') return 'NamespaceMissing';
  return 'Conflict';
}

function isWrite({ verb }: Attempt): boolean {
  return verb === 'create' || verb === 'update' || verb === 'patch' || verb === 'delete';
}

/** The owner of the platform reads this sentence. */
function grant({ verb, resource }: Attempt): string {
  if (resource === undefined) return 'The identity of the connection must be allowed to do that.';
  const group = resource.group === '' ? 'the core API group' : `API group "${resource.group}"`;
  const where =
    resource.namespace === undefined ? 'with a ClusterRole' : `with a Role in namespace "${resource.namespace}"`;
  return `Grant the verb "${verb}" on resource "${resource.plural}" of ${group}, ${where}.`;
}

/** Returns one line. */
export function snippet({ body }: Pick<Answer, 'body'>): string {
  const text = body.subarray(0, 400).toString('utf8').replace(/\s+/g, ' ').trim();
  return text.slice(0, 200);
}
