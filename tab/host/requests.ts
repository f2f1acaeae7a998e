import { retryAfterSeconds } from '../model/pace';

/** A request that got no usable answer. The message is a clause. */
export class RequestFailed extends Error {}

export interface Requests {
  /** The text of the answer, or undefined for 404, by which some servers say that there is nothing. */
  get(path: string, accept: string): Promise<string | undefined>;
}

export interface RequestOptions {
  /** With a slash at its end. */
  base: string;
  token: () => Promise<string>;
  fetch?: typeof fetch;
  now?: () => number;
  sleep?: (seconds: number) => Promise<void>;
}

const mostAtOnce = 6;
const mostTries = 4;
const mostBytes = 16 * 1024 * 1024;
const timeoutMs = 30_000;

/** At most six requests at once. After 429, none is sent before the time that the server gives. */
export function createRequests(options: RequestOptions): Requests {
  const { base, token, now = Date.now, sleep = seconds } = options;
  const send = options.fetch ?? fetch.bind(globalThis);
  const waiting: (() => void)[] = [];
  let running = 0;
  let pause: Promise<void> | undefined;

  const inTurn = async <T>(act: () => Promise<T>): Promise<T> => {
    if (running >= mostAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await act();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };

  const once = async (path: string, accept: string): Promise<Response> => {
    try {
      return await send(`${base}${path}`, {
        headers: {
          Accept: accept,
          Authorization: `Bearer ${await token()}`,
          'X-TFS-FedAuthRedirect': 'Suppress',
        },
        credentials: 'omit',
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch {
      throw new RequestFailed('the server could not be reached');
    }
  };

  const tried = async (path: string, accept: string): Promise<string | undefined> => {
    for (let tries = 1; ; tries += 1) {
      while (pause !== undefined) await pause;
      const response = await once(path, accept);
      if (response.ok) return limitedText(response);
      if (response.status === 404) return undefined;
      const isBusy = response.status === 429 || response.status === 503;
      const isOld = response.status === 401 && tries === 1;
      if (tries === mostTries || !(isBusy || isOld)) {
        throw new RequestFailed(`the server answered ${response.status}`);
      }
      if (!isBusy) continue;
      const wait = sleep(retryAfterSeconds(response.headers.get('Retry-After'), now()));
      const own: Promise<void> = wait.then(() => {
        if (pause === own) pause = undefined;
      });
      pause = own;
    }
  };

  return { get: (path, accept) => inTurn(() => tried(path, accept)) };
}

async function limitedText(response: Response): Promise<string> {
  if (Number(response.headers.get('Content-Length')) > mostBytes) throw tooLarge();
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > mostBytes) {
      await reader.cancel();
      throw tooLarge();
    }
    text += decoder.decode(value, { stream: true });
  }
}

function tooLarge(): RequestFailed {
  return new RequestFailed(`it is larger than ${mostBytes / 1024 / 1024} MB`);
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
