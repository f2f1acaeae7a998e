import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpProxyAgent, HttpsProxyAgent } from 'hpagent';
import type { Credentials, CredentialSource } from './credentialSource';
import { cancelled, codeOf, connectionFailure, notUnderstood, type Answer, type Attempt } from './errors';
import type { ClusterAccess } from './kubeconfig';
import { proxyFor } from './proxy';
import { redactedRefusal } from './redactedMessages';
import { proxyTrust, trustedAuthorities } from '../system/authorities';
import { TaskError } from '../../core/failure';
import type { Redact } from '../../core/text/secrets';

export interface Timing {
  /** The connection must be made within this time, TLS included. */
  connectMs: number;
  /** The answer must begin within this time, and each chunk must follow within it. */
  responseMs: number;
  /** The whole answer must arrive within this time. */
  totalMs: number;
  /** Applies while the server has never answered. It is short, so that a wrong address is reported soon. */
  retryUnknownMs: number;
  /** A server that has answered before is probably restarting. */
  retryKnownMs: number;
}

export const defaultTiming: Timing = {
  connectMs: 10_000,
  responseMs: 30_000,
  totalMs: 120_000,
  retryUnknownMs: 1_500,
  retryKnownMs: 30_000,
};

export interface Exchange {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path includes the query, for example `/api/v1/pods`. */
  path: string;
  attempt: Attempt;
  /** Bytes are sent unchanged, anything else as JSON. */
  body?: unknown;
  contentType?: string;
  accept?: string;
  /** They never replace the credentials. */
  headers?: Readonly<Record<string, string>>;
  /** A longer answer is an error. */
  maxBytes?: number;
  /** `idempotent`: even if the request may have reached the server. `unsent`: only if it surely was not executed. */
  retry: 'idempotent' | 'unsent' | 'never';
  signal?: AbortSignal;
}

export interface Transport {
  /** Messages show this origin. */
  server: string;
  /** Redacts all text from the server. */
  redact: Redact;
  /** Reads the whole answer, whatever its status is. Throws TaskError if no answer comes. */
  send(exchange: Exchange): Promise<Answer>;
  /** Sends once and streams an answer of 200, which the caller must destroy or read to its end. */
  open(exchange: Exchange): Promise<{ stream: http.IncomingMessage } | { answer: Answer }>;
  /** Streams every status. It retries, as `retry` allows, only while no answer comes at all. */
  pass(exchange: Exchange): Promise<{ stream: http.IncomingMessage } | { answer: Answer }>;
  close(): void;
}

interface TransportOptions {
  access: ClusterAccess;
  credentials: CredentialSource;
  environment: NodeJS.ProcessEnv;
  timing: Timing;
  /** Redacts the text of a refusal. */
  redact?: Redact | undefined;
  /** Aborting ends every request. */
  signal: AbortSignal | undefined;
}

const unredacted: Redact = (text) => text;

const defaultMaxBytes = 256 * 1024 * 1024;
/** A restarted server may not know its users and their permissions yet. */
const afterLossMs = 10_000;
const retryAfterMaxMs = 30_000;

type Result = { answer: Answer } | { failure: unknown };

export function createTransport(options: TransportOptions): Transport {
  const { access, credentials, timing } = options;
  const base = new URL(access.server);
  const server = base.origin;
  const agents = agentPool(options, base);
  let hasAnswered = false;
  let lostAt = -Infinity;
  let rolesMissedAt: number | undefined;

  const exchangeOnce = async (exchange: Exchange): Promise<http.IncomingMessage | Answer> => {
    const current = await credentials.current();
    const response = await request({ exchange, credentials: current, agent: agents.agentFor(current), base, options });
    hasAnswered = true;
    if (response.statusCode !== 401) return response;
    const rejection = await readAnswer(response, exchange, { server, options });
    if (!(await credentials.renew(current))) return rejection;
    const renewed = await credentials.current();
    return request({ exchange, credentials: renewed, agent: agents.agentFor(renewed), base, options });
  };

  const tryOnce = async (exchange: Exchange): Promise<Result> => {
    try {
      const response = await exchangeOnce(exchange);
      return { answer: isAnswer(response) ? response : await readAnswer(response, exchange, { server, options }) };
    } catch (failure) {
      if (isConnectionLoss(failure)) lostAt = performance.now();
      return { failure };
    }
  };

  const pauseBefore = (result: Result, exchange: Exchange, tries: number, elapsedMs: number): number | undefined => {
    if (exchange.retry === 'never') return undefined;
    const budget = hasAnswered ? timing.retryKnownMs : timing.retryUnknownMs;
    const now = performance.now();
    if (missesRoles(result)) rolesMissedAt ??= now;
    const sinceLossMs = now - Math.max(lostAt, missesRoles(result) ? (rolesMissedAt ?? now) : -Infinity);
    if (!isWorthRetry(result, exchange.retry, sinceLossMs)) return undefined;
    const pause = ('answer' in result ? result.answer.retryAfterMs : undefined) ?? backoffMs(tries);
    return elapsedMs + pause > budget ? undefined : pause;
  };

  return {
    server,
    redact: options.redact ?? unredacted,
    async send(exchange) {
      const startedAt = performance.now();
      for (let tries = 0; ; tries++) {
        throwIfAborted(exchange, options);
        const result = await tryOnce(exchange);
        throwIfAborted(exchange, options);
        const pause = pauseBefore(result, exchange, tries, performance.now() - startedAt);
        if (pause === undefined) {
          if ('answer' in result) return result.answer;
          throw connectionFailure(result.failure, exchange.attempt, server);
        }
        await abortableDelay(pause, [exchange.signal, options.signal]);
      }
    },
    async open(exchange) {
      throwIfAborted(exchange, options);
      try {
        const response = await exchangeOnce(exchange);
        if (isAnswer(response)) return { answer: response };
        if (response.statusCode === 200) return { stream: response };
        return { answer: await readAnswer(response, exchange, { server, options }) };
      } catch (failure) {
        throwIfAborted(exchange, options);
        if (isConnectionLoss(failure)) lostAt = performance.now();
        throw connectionFailure(failure, exchange.attempt, server);
      }
    },
    async pass(exchange) {
      const startedAt = performance.now();
      for (let tries = 0; ; tries++) {
        throwIfAborted(exchange, options);
        try {
          const response = await exchangeOnce(exchange);
          return isAnswer(response) ? { answer: response } : { stream: response };
        } catch (failure) {
          throwIfAborted(exchange, options);
          if (isConnectionLoss(failure)) lostAt = performance.now();
          const pause = pauseBefore({ failure }, exchange, tries, performance.now() - startedAt);
          if (pause === undefined) throw connectionFailure(failure, exchange.attempt, server);
          await abortableDelay(pause, [exchange.signal, options.signal]);
        }
      }
    },
    close() {
      agents.close();
    },
  };
}

function throwIfAborted(exchange: Exchange, options: TransportOptions): void {
  if (exchange.signal?.aborted || options.signal?.aborted) throw cancelled(exchange.attempt);
}

/** Ends early and without an error if one of the signals aborts. */
export async function abortableDelay(
  milliseconds: number,
  signals: readonly (AbortSignal | undefined)[],
): Promise<void> {
  const given = signals.filter((signal) => signal !== undefined);
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort();
  };
  for (const signal of given) signal.addEventListener('abort', onAbort, { once: true });
  if (given.some((signal) => signal.aborted)) stop.abort();
  await delay(milliseconds, undefined, { signal: stop.signal }).catch(() => undefined);
  for (const signal of given) signal.removeEventListener('abort', onAbort);
}

/** 125 to 250 ms, doubled each time up to 2 s, and random, so that many clients do not retry at once. */
export function backoffMs(tries: number): number {
  const ceiling = Math.min(250 * 2 ** tries, 2_000);
  return ceiling * (0.5 + Math.random() / 2);
}

/** The API server has not read its roles yet, as right after its start. A missing role gives the same message. */
function missesRoles(result: Result): boolean {
  return (
    'answer' in result && result.answer.status === 403 && /RBAC: .{0,300} not found/.test(result.answer.body.toString())
  );
}

function isConnectionLoss(failure: unknown): boolean {
  return !(failure instanceof TaskError) && isTransient(codeOf(failure));
}

function isTransient(code: string): boolean {
  return ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(
    code,
  );
}

function isWorthRetry(result: Result, retry: Exchange['retry'], sinceLossMs: number): boolean {
  if ('failure' in result) {
    if (result.failure instanceof TaskError) return false;
    const code = codeOf(result.failure);
    if (code === 'ECONNREFUSED' || code === 'EAI_AGAIN') return true;
    return retry === 'idempotent' && isTransient(code);
  }
  const { status, retryAfterMs } = result.answer;
  if (status === 429) return true;
  if (status === 503 && retryAfterMs !== undefined) return true;
  if (retry !== 'idempotent') return false;
  if (status === 401 || status === 403) return sinceLossMs < afterLossMs;
  return status >= 500 && status !== 501 && status !== 505;
}

interface Call {
  exchange: Exchange;
  credentials: Credentials;
  agent: http.Agent;
  base: URL;
  options: TransportOptions;
}

function timeoutError(what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(what), { code: 'ETIMEDOUT' });
}

/** Resolves when the answer begins. Aborting also ends the answer. */
function request({ exchange, credentials, agent, base, options }: Call): Promise<http.IncomingMessage> {
  const { connectMs, responseMs } = options.timing;
  const body = bodyBytes(exchange.body);
  return new Promise((resolve, reject) => {
    const outgoing = (base.protocol === 'https:' ? https : http).request({
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || (base.protocol === 'https:' ? 443 : 80),
      path: base.pathname.replace(/\/$/, '') + exchange.path,
      method: exchange.method,
      agent,
      // Only hpagent uses this value, for the proxy's answer.
      timeout: connectMs,
      headers: requestHeaders(exchange, credentials, body),
    });
    const timer = setTimeout(() => {
      outgoing.destroy(timeoutError('no connection in time'));
    }, connectMs);
    const signals = [exchange.signal, options.signal].filter((signal) => signal !== undefined);
    const onAbort = (): void => {
      outgoing.destroy(new Error('aborted'));
    };
    for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true });
    const onConnected = (): void => {
      clearTimeout(timer);
      responseTimer = setTimeout(() => {
        outgoing.destroy(timeoutError('no answer in time'));
      }, responseMs);
    };
    let responseTimer: NodeJS.Timeout | undefined;
    outgoing.once('socket', (socket) => {
      const isSecure = base.protocol === 'https:';
      if (outgoing.reusedSocket || (!isSecure && !socket.connecting)) onConnected();
      else socket.once(isSecure ? 'secureConnect' : 'connect', onConnected);
    });
    outgoing.once('response', (response) => {
      clearTimeout(timer);
      clearTimeout(responseTimer);
      resolve(response);
    });
    outgoing.on('error', reject);
    outgoing.once('close', () => {
      clearTimeout(timer);
      clearTimeout(responseTimer);
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
      reject(Object.assign(new Error('the connection was cut'), { code: 'ECONNRESET' }));
    });
    outgoing.end(body);
  });
}

function bodyBytes(body: unknown): Uint8Array | undefined {
  if (body === undefined || body instanceof Uint8Array) return body;
  return Buffer.from(JSON.stringify(body));
}

function requestHeaders(
  { accept, contentType, headers }: Exchange,
  credentials: Credentials,
  body: Uint8Array | undefined,
): http.OutgoingHttpHeaders {
  return {
    Accept: accept ?? 'application/json',
    'User-Agent': 'helm-safe-deploy',
    ...headers,
    ...credentials.headers,
    ...(body === undefined ? {} : { 'Content-Type': contentType ?? 'application/json', 'Content-Length': body.length }),
  };
}

function isAnswer(response: http.IncomingMessage | Answer): response is Answer {
  return 'body' in response;
}

async function readAnswer(
  response: http.IncomingMessage,
  exchange: Exchange,
  { server, options }: { server: string; options: TransportOptions },
): Promise<Answer> {
  const retryAfter = retryAfterMs(response.headers['retry-after'], Date.now());
  const status = response.statusCode ?? 0;
  const body = await readBody(response, exchange, { server, options });
  return {
    status,
    contentType: response.headers['content-type'] ?? '',
    date: response.headers.date ?? '',
    body: status < 400 ? body : redactedRefusal(body, options.redact ?? unredacted),
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
  };
}

async function readBody(
  response: http.IncomingMessage,
  exchange: Exchange,
  { server, options }: { server: string; options: TransportOptions },
): Promise<Buffer> {
  const maxBytes = exchange.maxBytes ?? defaultMaxBytes;
  const chunks: Buffer[] = [];
  let size = 0;
  const idle = setTimeout(() => {
    response.destroy(timeoutError('the answer stopped'));
  }, options.timing.responseMs);
  const total = setTimeout(() => {
    response.destroy(timeoutError('the answer took too long'));
  }, options.timing.totalMs);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      idle.refresh();
      size += chunk.length;
      if (size > maxBytes) throw notUnderstood(exchange.attempt, server, `its answer is over ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(idle);
    clearTimeout(total);
  }
  return Buffer.concat(chunks, size);
}

/** The header has seconds or an HTTP date. */
function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const value = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  if (Number.isNaN(value)) return undefined;
  return Math.min(Math.max(value, 0), retryAfterMaxMs);
}

interface AgentPool {
  agentFor(credentials: Credentials): http.Agent;
  close(): void;
}

/** The agent is replaced when the client certificate changes, because connections carry the certificate. */
function agentPool({ access, environment }: TransportOptions, base: URL): AgentPool {
  const proxy = proxyFor(base, { environment, proxyUrl: access.proxyUrl });
  if (proxy !== undefined && !/^https?:$/.test(proxy.protocol)) {
    const message = `The proxy for ${base.origin} is given as ${proxy.protocol}//, only http and https proxies can be used.`;
    throw new TaskError('InputInvalid', message);
  }
  let made: { agent: http.Agent; certificate: Credentials['certificate'] } | undefined;
  const old: http.Agent[] = [];
  // Node would read all authorities again for each connection, which takes 40 ms (measured, 300 authorities).
  const secureContext = ({ certificate: cert, key }: Credentials): tls.SecureContext =>
    tls.createSecureContext({ ca: access.ca ?? trustedAuthorities(environment), ...(cert && key && { cert, key }) });
  return {
    agentFor(credentials) {
      const { certificate } = credentials;
      if (made !== undefined && made.certificate === certificate) return made.agent;
      if (made !== undefined) old.push(made.agent);
      const options: AgentOptions = {
        keepAlive: true,
        rejectUnauthorized: !access.skipTlsVerify,
        ...(access.tlsServerName && { servername: access.tlsServerName }),
        ...(proxy && proxyTrust(proxy, environment)),
        ...(base.protocol === 'https:' && { secureContext: secureContext(credentials) }),
      };
      made = { agent: makeAgent(base, proxy, options), certificate };
      return made.agent;
    },
    close() {
      made?.agent.destroy();
      for (const agent of old) agent.destroy();
    },
  };
}

type AgentOptions = https.AgentOptions & ReturnType<typeof proxyTrust>;

function makeAgent(base: URL, proxy: URL | undefined, options: AgentOptions): http.Agent {
  const isSecure = base.protocol === 'https:';
  if (proxy === undefined) return isSecure ? new https.Agent(options) : new http.Agent({ keepAlive: true });
  return isSecure ? new HttpsProxyAgent({ ...options, proxy }) : new HttpProxyAgent({ ...options, proxy });
}
