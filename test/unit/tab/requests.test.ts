import assert from 'node:assert/strict';
import { createRequests, RequestFailed } from '../../../tab/host/requests';

interface Sent {
  url: string;
  authorization: string;
}

function urlOf(input: string | URL | Request): string {
  return input instanceof Request ? input.url : input.toString();
}

function requestsOver(answers: readonly (() => Response)[]) {
  const sent: Sent[] = [];
  const slept: number[] = [];
  let tokens = 0;
  const requests = createRequests({
    base: 'https://dev.example/org/',
    token: () => Promise.resolve(`token ${++tokens}`),
    now: () => 0,
    sleep: (seconds) => {
      slept.push(seconds);
      return Promise.resolve();
    },
    fetch: (input, init) => {
      const headers = init?.headers as Record<string, string>;
      sent.push({ url: urlOf(input), authorization: headers['Authorization'] ?? '' });
      const answer = answers[sent.length - 1] ?? answers.at(-1);
      return answer === undefined ? Promise.reject(new TypeError('Failed to fetch')) : Promise.resolve(answer());
    },
  });
  return { requests, sent, slept };
}

const ok = (text: string) => () => new Response(text);
const status =
  (code: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('', { status: code, headers });

describe('the requests of the tab', () => {
  it('go to the organization with the token of the frame', async () => {
    const { requests, sent } = requestsOver([ok('[]')]);
    assert.equal(await requests.get('p/x', 'application/json'), '[]');
    assert.deepEqual(sent, [{ url: 'https://dev.example/org/p/x', authorization: 'Bearer token 1' }]);
  });

  for (const [title, answers, expected, tries, waits] of [
    ['404 means that there is none', [status(404)], undefined, 1, []],
    ['429 is obeyed', [status(429, { 'Retry-After': '17' }), ok('x')], 'x', 2, [17]],
    ['503 is tried again', [status(503), ok('x')], 'x', 2, [5]],
    ['401 is tried again with a new token, once', [status(401), ok('x')], 'x', 2, []],
  ] as const) {
    it(title, async () => {
      const { requests, sent, slept } = requestsOver(answers);
      assert.equal(await requests.get('p', '*/*'), expected);
      assert.deepEqual([sent.length, slept], [tries, waits]);
    });
  }

  for (const [title, answers, message, tries] of [
    ['429 without end', [status(429)], /answered 429/, 4],
    ['401 without end', [status(401)], /answered 401/, 2],
    ['403', [status(403)], /answered 403/, 1],
    ['no server', [], /could not be reached/, 1],
    ['a body of 17 MB', [ok('x'.repeat(17 * 1024 * 1024))], /larger than 16 MB/, 1],
  ] as const) {
    it(`${title} is a failure in words`, async () => {
      const { requests, sent } = requestsOver(answers);
      await assert.rejects(requests.get('p', '*/*'), (error) => {
        assert.ok(error instanceof RequestFailed);
        assert.match(error.message, message);
        return true;
      });
      assert.equal(sent.length, tries);
    });
  }

  it('are at most six at once, whatever is asked', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const requests = createRequests({
      base: 'https://dev.example/',
      token: () => Promise.resolve('t'),
      fetch: async () => {
        most = Math.max(most, ++open);
        await new Promise<void>((resolve) => waiting.push(resolve));
        open -= 1;
        return new Response('x');
      },
    });
    const all = Array.from({ length: 40 }, (_, index) => requests.get(String(index), '*/*'));
    const state = { isDone: false };
    void Promise.all(all).then(() => (state.isDone = true));
    while (!state.isDone) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(most, 6);
  });

  it('wait together while the server asks for a pause', async () => {
    const order: string[] = [];
    let release: () => void = () => undefined;
    const requests = createRequests({
      base: '',
      token: () => Promise.resolve('t'),
      now: () => 0,
      sleep: () => new Promise((resolve) => (release = resolve)),
      fetch: (input) => {
        order.push(urlOf(input));
        return Promise.resolve(order.length === 1 ? status(429, { 'Retry-After': '3' })() : new Response('x'));
      },
    });
    const first = requests.get('first', '*/*');
    await new Promise((resolve) => setImmediate(resolve));
    const second = requests.get('second', '*/*');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(order, ['first']);
    release();
    await Promise.all([first, second]);
    assert.equal(order.length, 3);
  });
});
