import type http from 'node:http';
import https from 'node:https';
import { HttpsProxyAgent } from 'hpagent';
import { TaskError } from '../../core/failure';
import { codeOf, connectionProblems, proxyAnswer } from '../kubernetes/errors';
import { proxyFor } from '../kubernetes/proxy';
import { abortableDelay, backoffMs } from '../kubernetes/transport';
import { proxyTrust, trustedAuthorities } from '../system/authorities';

export interface DownloadOptions {
  /** Completes the sentence «Cancelled while reading …». */
  what: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  limits: DownloadLimits;
}

export interface DownloadLimits {
  bytes: number;
  /** One try may take this time, from its start to its last byte. */
  tryMs: number;
  tries: number;
  redirects: number;
}

/** `host` is that of the last redirect. `problem` is a clause without a secret; `status` is set if a server answered. */
export type Download = { bytes: Buffer } | { host: string; problem: string; status?: number };

type Answer =
  { bytes: Buffer } | { redirect: string | undefined } | { problem: string; status?: number; isPassing: boolean };

/** Reads an https address, by the proxy of the environment. Throws only `Cancelled`. */
export async function download(address: string, options: DownloadOptions): Promise<Download> {
  const { limits } = options;
  let url = new URL(address);
  const authorization = authorizationOf(url);
  const { origin } = url;
  for (let redirects = 0; redirects <= limits.redirects; redirects += 1) {
    const headers = url.origin === origin && authorization !== undefined ? { Authorization: authorization } : {};
    const answer = await tryAgain(url, headers, options);
    const { host } = url;
    if ('bytes' in answer) return answer;
    if ('problem' in answer) {
      const { problem, status } = answer;
      return { host, problem, ...(status === undefined ? {} : { status }) };
    }
    const next =
      answer.redirect !== undefined && URL.canParse(answer.redirect, url.href)
        ? new URL(answer.redirect, url)
        : undefined;
    if (next === undefined) return { host, problem: 'it redirects without an address' };
    if (next.protocol !== 'https:') {
      return { host, problem: `it redirects to an address of ${next.protocol}//, and the task follows only https` };
    }
    url = next;
  }
  return { host: url.host, problem: `it redirected more than ${limits.redirects} times` };
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

async function tryAgain(url: URL, headers: http.OutgoingHttpHeaders, options: DownloadOptions): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await tryOnce(url, headers, options);
    if (options.signal.aborted) throw new TaskError('Cancelled', `Cancelled while reading ${options.what}.`);
    if (!('problem' in answer) || !answer.isPassing || tries >= options.limits.tries) return answer;
    await abortableDelay(backoffMs(tries), [options.signal]);
  }
}

function tryOnce(
  url: URL,
  headers: http.OutgoingHttpHeaders,
  { environment, signal, limits: { bytes, tryMs } }: DownloadOptions,
): Promise<Answer> {
  return new Promise((resolve) => {
    const agent = agentFor(url, environment);
    const end = (answer: Answer): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve(answer);
      request.destroy();
      agent.destroy();
    };
    const stop = (): void => {
      end({ problem: 'it was cancelled', isPassing: false });
    };
    const request = https.request({
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || 443,
      path: url.pathname + url.search,
      agent,
      // Only hpagent uses this value, for the proxy's answer.
      timeout: tryMs,
      headers: { Accept: '*/*', 'User-Agent': 'helm-safe-deploy', ...headers },
    });
    const timer = setTimeout(() => {
      end({ problem: `it did not answer within ${tryMs / 1000} s`, isPassing: true });
    }, tryMs);
    signal.addEventListener('abort', stop, { once: true });
    request.on('error', (error) => {
      end({ problem: connectionProblem(error), isPassing: passing.has(codeOf(error)) });
    });
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 300 && status < 400) end({ redirect: response.headers.location });
      else if (status === 200) void readBytes(response, bytes).then(end);
      else end({ problem: `it answered ${status}`, status, isPassing: status === 429 || status >= 500 });
    });
    request.end();
    if (signal.aborted) stop();
  });
}

async function readBytes(response: http.IncomingMessage, limit: number): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) return { problem: `it is longer than ${limit} bytes`, isPassing: false };
      chunks.push(chunk);
    }
  } catch (error) {
    return { problem: connectionProblem(error), isPassing: true };
  }
  return { bytes: Buffer.concat(chunks, size) };
}

const passing = new Set(['ECONNREFUSED', 'EAI_AGAIN', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

function connectionProblem(error: unknown): string {
  const code = codeOf(error);
  const proxy = proxyAnswer(error);
  if (proxy !== undefined) return `the proxy on the way answered ${proxy}`;
  if (/CERT|SELF_SIGNED|UNABLE_TO|INVALID_CA/.test(code)) {
    return `its certificate is not trusted (${code}); the authorities of the system, of the agent (Agent.CAInfo) and of SSL_CERT_FILE are`;
  }
  return connectionProblems[code] ?? `the connection failed (${code || 'no code'})`;
}

/** Uses the same proxy as Helm. */
function agentFor(url: URL, environment: NodeJS.ProcessEnv): https.Agent {
  const proxy = proxyFor(url, { environment, proxyUrl: undefined });
  const options = { ca: trustedAuthorities(environment), keepAlive: false };
  return proxy === undefined
    ? new https.Agent(options)
    : new HttpsProxyAgent({ ...options, ...proxyTrust(proxy, environment), proxy });
}
