import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { TaskError } from '../../core/failure';
import { asTaskError } from '../../core/failure';
import type { WriteRefusal, WriteVerb } from '../../core/helm/rehearsal';
import { notUnderstood, snippet, statusOf, type Answer, type Attempt, type Verb } from '../kubernetes/errors';
import { redactedRefusal } from '../kubernetes/redactedMessages';
import { builtInResources, groupVersionPath, parseResourceList } from '../kubernetes/resources';
import type { Exchange, Transport } from '../kubernetes/transport';
import { describeTarget, type ApiTarget } from './apiRequest';
import type { GatewayRequest } from './loopbackServer';
import type { Reply } from './reply';

/** The API server's answer, read to its end. */
export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

interface Question {
  method: Exchange['method'];
  /** With its query. */
  path: string;
  target: ApiTarget;
  verb: Verb;
  body?: Buffer;
  contentType?: string;
  accept?: string;
  /** For the audit log of the API server. */
  client?: string;
  retry: Exchange['retry'];
  signal?: AbortSignal;
}

/** The API server, called with the real credentials. */
export interface Upstream {
  /** Streams the answer. */
  passRead(request: GatewayRequest): Promise<Reply>;
  /** Throws TaskError if no answer comes. */
  ask(question: Question): Promise<Answered>;
  /** Empty if the API server does not list the resource. */
  kindOf(target: ApiTarget): Promise<string>;
  /** The reasons why the API server gave no answer, oldest first. If there are any, Helm did not cause its failure. */
  failures(): readonly TaskError[];
  close(): void;
}

/** A list of a whole namespace may be large. */
const answerMaxBytes = 256 * 1024 * 1024;

export function createUpstream(transport: Transport): Upstream {
  const failures: TaskError[] = [];
  const kinds = new Map<string, Promise<ReadonlyMap<string, string>>>();

  const pass = async (exchange: Exchange): Promise<{ stream: IncomingMessage } | { answer: Answer }> => {
    try {
      return await transport.pass(exchange);
    } catch (error) {
      const failure = asTaskError(error);
      if (failure.reason !== 'Cancelled') failures.push(failure);
      throw failure;
    }
  };

  const ask = async (question: Question): Promise<Answered> => {
    const { method, path, body, contentType, accept, retry, signal, client } = question;
    const attempt: Attempt = { verb: question.verb, target: describeTarget(question.target) };
    const passed = await pass({
      method,
      path,
      attempt,
      retry,
      accept: accept ?? 'application/json',
      ...(body === undefined || body.length === 0 ? {} : { body }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(client === undefined ? {} : { headers: { 'User-Agent': client } }),
      ...(signal && { signal }),
    });
    if ('answer' in passed) return answeredOf(passed.answer);
    const { stream } = passed;
    const status = stream.statusCode ?? 0;
    const answer = await readWhole(stream, attempt, transport.server);
    return {
      status,
      headers: stream.headers,
      body: status < 400 ? answer : redactedRefusal(answer, transport.redact),
    };
  };

  const discover = async (target: ApiTarget): Promise<ReadonlyMap<string, string>> => {
    const { apiVersion } = target;
    const { status, body } = await ask({
      method: 'GET',
      path: groupVersionPath(apiVersion),
      target,
      verb: 'get',
      retry: 'idempotent',
    });
    const resources = status === 200 ? parseResourceList(apiVersion, jsonOf(body)) : undefined;
    return new Map((resources ?? []).map(({ plural, kind }) => [plural, kind]));
  };

  return {
    async passRead(request) {
      const { method, pathname, query, body, headers, signal, asked } = request;
      const { accept, 'content-type': contentType, ...others } = headers;
      const passed = await pass({
        method,
        path: pathAndQuery(pathname, query),
        attempt: { verb: 'get', target: asked.target === undefined ? pathname : describeTarget(asked.target) },
        retry: 'idempotent',
        accept: accept ?? '*/*',
        headers: others,
        ...(contentType === undefined ? {} : { contentType }),
        ...(body.length === 0 ? {} : { body }),
        signal,
      });
      return 'answer' in passed ? answeredReply(answeredOf(passed.answer)) : passed;
    },
    ask,
    async kindOf(target) {
      const builtIn = builtInKinds.get(`${target.apiVersion}/${target.resource}`);
      if (builtIn !== undefined) return builtIn;
      let known = kinds.get(target.apiVersion);
      if (known === undefined) {
        known = discover(target).catch(() => new Map<string, string>());
        kinds.set(target.apiVersion, known);
      }
      return (await known).get(target.resource) ?? '';
    },
    failures: () => failures,
    close: () => {
      transport.close();
    },
  };
}

const builtInKinds = new Map(
  builtInResources().map(({ apiVersion, plural, kind }) => [`${apiVersion}/${plural}`, kind]),
);

export function pathAndQuery(pathname: string, query: URLSearchParams): string {
  return query.size === 0 ? pathname : `${pathname}?${query.toString()}`;
}

function answeredOf({ status, contentType, body, retryAfterMs }: Answer): Answered {
  const retryAfter = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
  return { status, body, headers: { 'content-type': contentType, ...retryAfter } };
}

async function readWhole(stream: IncomingMessage, attempt: Attempt, server: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > answerMaxBytes) throw notUnderstood(attempt, server, `its answer is over ${answerMaxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** Keeps the headers that describe the content, not those of the connection. */
export function answeredReply({ status, headers, body }: Answered): Reply {
  const kept: Record<string, string> = {};
  for (const name of ['content-type', 'retry-after', 'warning'] as const) {
    const value = headers[name];
    if (typeof value === 'string') kept[name] = value;
  }
  return { status, body, headers: kept };
}

export function isSuccess({ status }: { status: number }): boolean {
  return status >= 200 && status <= 299;
}

/** Undefined for other text; a parser's message would quote text that may be secret. */
export function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

export function refusalOf(answered: Pick<Answered, 'status' | 'body'>): WriteRefusal {
  const status = statusOf(answered);
  return {
    status: answered.status,
    reason: status?.reason ?? '',
    message: status?.message || snippet(answered),
  };
}

export function attemptVerb(verb: WriteVerb): Verb {
  return verb === 'apply' ? 'patch' : verb;
}
