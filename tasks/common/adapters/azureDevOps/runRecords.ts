import { codeOf, connectionProblems, proxyAnswer, snippet, type Answer } from '../kubernetes/errors';
import { authorityVariables } from '../system/authorities';
import { serverAccess } from '../kubernetes/agentNetwork';
import { createTransport, type Timing, type Transport } from '../kubernetes/transport';
import type { TaskEnvironment } from '../agent/taskEnvironment';
import type { Answered, AzureRun, RunAttachments } from '../../core/approval/judgeApproval';
import type { OwnPlace } from '../../core/approval/place';
import { parseApprovals, parseAttachments, parseBuild, parseTimeline } from '../../core/approval/runRecords';
import { oneLine } from '../../core/approval/words';
import { asTaskError, TaskError } from '../../core/failure';
import { isRecord } from '../../core/kubernetes/json';

export interface AzureDevOpsOptions {
  /** A waiting request then throws `Cancelled`. */
  signal?: AbortSignal;
  timing?: Partial<Timing>;
}

/** Reads with the token of the job. */
export interface AzureRunReader extends AzureRun, RunAttachments {
  close(): void;
}

/** Azure DevOps answers 503 for short periods, which must not refuse an urgent rollback. */
const defaultTiming: Timing = {
  connectMs: 10_000,
  responseMs: 30_000,
  totalMs: 60_000,
  retryUnknownMs: 10_000,
  retryKnownMs: 60_000,
};

/** A timeline record has about 1.5 KB, so no run comes near this limit. */
const answerMaxBytes = 64 * 1024 * 1024;
/** An id has 36 characters, and an address should have less than 2,000. */
const idsPerRequest = 40;
/** An error of the server is quoted with at most this number of characters. */
const quotedMaxLength = 300;

export function ownPlace(environment: Pick<TaskEnvironment, 'variable'>): OwnPlace {
  const read = (key: keyof OwnPlace, name: string): OwnPlace => {
    const value = environment.variable(name);
    return value ? { [key]: value } : {};
  };
  return {
    ...read('jobId', 'System.JobId'),
    ...read('stage', 'System.StageName'),
    ...read('phase', 'System.PhaseName'),
  };
}

/** Only sends GET, so it can never approve anything. Throws only `Cancelled`; other problems are answers. */
export function azureRun(environment: TaskEnvironment, options: AzureDevOpsOptions = {}): AzureRunReader {
  const access = runAccess(environment);
  if ('problem' in access) return unreadable(access.problem);
  let transport: Transport;
  try {
    transport = openTransport(environment, access, options);
  } catch (error) {
    return unreadable(`Azure DevOps cannot be asked about this run: ${asTaskError(error).message}`);
  }
  const reader: Reader = { transport, access, options };
  const { project, buildId } = access;
  return {
    timeline: () =>
      read(reader, {
        what: `the timeline of run ${buildId}`,
        right: 'View builds',
        paths: [`/${project}/_apis/build/builds/${buildId}/timeline?api-version=6.0`],
        parse: parseTimeline,
      }),
    build: () =>
      read(reader, {
        what: `run ${buildId}`,
        right: 'View builds',
        paths: [`/${project}/_apis/build/builds/${buildId}?api-version=6.0`],
        parse: parseBuild,
      }),
    approvals: async (ids) => {
      const answers = await Promise.all(chunks(ids, idsPerRequest).map((some) => readApprovals(reader, some)));
      const failed = answers.find((answer) => !answer.isKnown);
      if (failed !== undefined) return failed;
      return { isKnown: true, value: answers.flatMap((answer) => (answer.isKnown ? answer.value : [])) };
    },
    attachments: (type) =>
      read(reader, {
        what: `the attachments of run ${buildId}`,
        right: 'View builds',
        paths: versions(`/${project}/_apis/build/builds/${buildId}/attachments/${encodeURIComponent(type)}`),
        parse: parseAttachments,
        // Some servers say so of a type that no step has attached.
        ifMissing: [],
      }),
    attachment: (type, { name, timelineId, recordId }) =>
      read<unknown>(reader, {
        what: `the attachment ${oneLine(name, 80)} of run ${buildId}`,
        right: 'View builds',
        paths: versions(
          `/${project}/_apis/build/builds/${buildId}/${timelineId}/${recordId}/attachments/${encodeURIComponent(type)}/${encodeURIComponent(name)}`,
        ),
        parse: (value) => value,
      }),
    close: () => {
      transport.close();
    },
  };
}

function versions(path: string): string[] {
  return [`${path}?api-version=6.0-preview.2`, `${path}?api-version=5.0-preview.2`];
}

function readApprovals(reader: Reader, ids: readonly string[]) {
  const path = `/${reader.access.project}/_apis/pipelines/approvals?approvalIds=${ids.map(encodeURIComponent).join(',')}&$expand=steps`;
  return read(reader, {
    what: `the approvals of run ${reader.access.buildId}`,
    right: 'View builds',
    // Azure DevOps Server 2022 offers this API only as a preview.
    paths: [`${path}&api-version=7.1`, `${path}&api-version=7.0-preview.1`],
    parse: parseApprovals,
  });
}

interface RunAccess {
  collection: string;
  token: string;
  /** It is encoded for a path. */
  project: string;
  buildId: string;
}

/** The token belongs to the address of the connection, so that address comes before the variable. */
function runAccess(environment: TaskEnvironment): RunAccess | { problem: string } {
  const variable = (name: string): string | undefined => environment.variable(name);
  const none = (why: string) => ({ problem: `Azure DevOps cannot be asked about this run: ${why}.` });
  const hostType = variable('System.HostType');
  if (hostType !== undefined && hostType !== '' && !/^build$/i.test(hostType)) {
    return none(`this is not a run of a YAML pipeline, but of a classic ${oneLine(hostType, 40)} pipeline`);
  }
  const connection = environment.serviceConnection('SYSTEMVSSCONNECTION');
  const token = connection?.authorization('AccessToken') ?? variable('System.AccessToken');
  if (!token) return none('the agent gave this step no access token of the job (System.AccessToken)');
  const addresses = [connection?.url, variable('System.CollectionUri'), variable('System.TeamFoundationCollectionUri')];
  const collection = addresses.find((address) => address);
  if (collection === undefined || !/^https?:\/\//i.test(collection) || !URL.canParse(collection)) {
    return none('the agent gave no address of Azure DevOps (System.CollectionUri)');
  }
  const project = variable('System.TeamProjectId') || variable('System.TeamProject');
  const buildId = variable('Build.BuildId');
  if (!project || !buildId) return none('the agent did not name this run (System.TeamProjectId, Build.BuildId)');
  return {
    collection: collection.replace(/(?<!\/)\/+$/, ''),
    token,
    project: encodeURIComponent(project),
    buildId: encodeURIComponent(buildId),
  };
}

function unreadable(problem: string): AzureRunReader {
  const answer = () => Promise.resolve({ isKnown: false, problem } as const);
  return {
    timeline: answer,
    build: answer,
    approvals: answer,
    attachments: answer,
    attachment: answer,
    close: () => undefined,
  };
}

function openTransport(environment: TaskEnvironment, { collection, token }: RunAccess, options: AzureDevOpsOptions) {
  const credentials = {
    // Without the second header, Azure DevOps answers a rejected token with a sign-in page.
    headers: { Authorization: `Bearer ${token}`, 'X-TFS-FedAuthRedirect': 'Suppress' },
  };
  return createTransport({
    access: serverAccess(collection, environment),
    credentials: { current: () => Promise.resolve(credentials), renew: () => Promise.resolve(false) },
    environment: authorityVariables(environment.childEnvironment),
    timing: { ...defaultTiming, ...options.timing },
    signal: options.signal,
  });
}

interface Reader {
  transport: Transport;
  access: RunAccess;
  options: AzureDevOpsOptions;
}

interface Question<Value> {
  /** For example `the timeline of run 42`. */
  what: string;
  /** The settings page calls the permission so. */
  right: string;
  /** Tried in turn while the server does not know the API version. */
  paths: readonly string[];
  parse(value: unknown): Value | undefined;
  /** The value where the server knows no such thing. */
  ifMissing?: Value;
}

async function read<Value>(reader: Reader, question: Question<Value>): Promise<Answered<Value>> {
  const problem = (text: string): Answered<Value> => ({
    isKnown: false,
    problem: text.replaceAll(reader.access.token, '***'),
  });
  const could = `Azure DevOps could not be asked for ${question.what}`;
  try {
    const answer = await ask(reader, question);
    if (answer.status === 404 && question.ifMissing !== undefined) return { isKnown: true, value: question.ifMissing };
    const refused = refusalOf(answer, question);
    if (refused !== undefined) return problem(`${could}: ${refused}`);
    const value = question.parse(parseJson(answer));
    if (value !== undefined) return { isKnown: true, value };
    return problem(`${could}: the answer of ${reader.transport.server} is something else (${contentOf(answer)}).`);
  } catch (error) {
    const failure = asTaskError(error);
    if (failure.reason === 'Cancelled') {
      throw new TaskError('Cancelled', `Cancelled while asking Azure DevOps for ${question.what}.`);
    }
    return problem(`${could}: ${reader.transport.server} ${connectionProblem(failure)}.`);
  }
}

async function ask<Value>({ transport, options }: Reader, { paths, what }: Question<Value>): Promise<Answer> {
  let answer: Answer | undefined;
  for (const path of paths) {
    answer = await transport.send({
      method: 'GET',
      path,
      attempt: { verb: 'get', target: what },
      maxBytes: answerMaxBytes,
      retry: 'idempotent',
      ...(options.signal && { signal: options.signal }),
    });
    if (answer.status !== 400 || !/VersionOutOfRange|VersionNotSupported|PreviewVersion/i.test(bodyText(answer))) break;
  }
  if (answer === undefined) throw new TaskError('Internal', 'No request was sent.');
  return answer;
}

/** Returns a clause. */
function refusalOf(answer: Answer, { right }: Question<unknown>): string | undefined {
  const { status } = answer;
  const isPage = /html/i.test(answer.contentType);
  const quoted = errorText(answer);
  const answered = quoted === '' ? `${status}` : `${status}: ${quoted}`;
  if (status === 401 || (isPage && status < 400)) {
    const form = isPage ? `it answered ${status} with a page to sign in` : `it answered ${answered}`;
    return `it did not accept the job's access token, ${form}.`;
  }
  if (status >= 300 && status < 400) {
    return `it redirected (${status}), as it does for a token that it does not accept; the task did not send the token there.`;
  }
  if (status === 200) return undefined;
  if (status === 403) {
    return `the job's access token is not allowed to (${answered}). Give the build service of the project the permission «${right}».`;
  }
  if (status === 404) return `it has no such record, or does not show it to the job's access token (${answered}).`;
  if (status === 429)
    return `it limits the requests of this organization, even after the task has waited (${answered}).`;
  if (status >= 500) return `it failed (${answered}).`;
  return `it answered ${answered}, which is not understood.`;
}

/** Azure DevOps sends JSON with a message; a proxy in front of it sends a page. */
function errorText(answer: Answer): string {
  const fields = parseJson(answer);
  const message = isRecord(fields) ? fields['message'] : undefined;
  return oneLine(typeof message === 'string' ? message : snippet(answer), quotedMaxLength);
}

function contentOf(answer: Answer): string {
  const type = answer.contentType === '' ? 'no content type' : oneLine(answer.contentType, 80);
  const begin = oneLine(snippet(answer), 120);
  return begin === '' ? `${type}, empty` : `${type}: ${begin}`;
}

function bodyText({ body }: Answer): string {
  return body.subarray(0, 4096).toString('utf8');
}

function parseJson({ body }: Answer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function connectionProblem(failure: TaskError): string {
  const { cause } = failure;
  // An error without a cause means that the answer was too long: no other check fails while it is read.
  if (cause === undefined) return `answered with more than ${answerMaxBytes} bytes`;
  const code = codeOf(cause);
  const words = connectionProblems[code];
  if (words !== undefined) return `cannot be reached, ${words}`;
  const text = cause instanceof Error ? cause.message : 'for an unknown reason';
  const proxy = proxyAnswer(cause);
  if (proxy !== undefined) return `is behind a proxy that answered ${proxy}`;
  if (failure.reason === 'CertificateRejected') return `is not trusted: ${text} (${code}); see Agent.CAInfo`;
  return `cannot be reached: ${oneLine(text, quotedMaxLength)}${code === '' ? '' : ` (${code})`}`;
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}
