import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { boundedLines } from '../../tasks/common/adapters/kubernetes/lines';
import { TaskError } from '../../tasks/common/core/failure';
import type { FollowLogOptions, LogEnd } from '../../tasks/common/core/ports';
import { eventually, reply, startStubApiServer, status, type StubApiServer } from '../support/stubApiServer';

const container = { namespace: 'shop', name: 'web', container: 'app' };
const timing = { connectMs: 2000, responseMs: 400, totalMs: 4000, retryUnknownMs: 300, retryKnownMs: 300 };
const stamp = (second: number, nanos = 0): string =>
  `2026-03-01T12:00:${String(second).padStart(2, '0')}.${String(nanos).padStart(9, '0')}Z`;

describe('following the log of a container', () => {
  let stub: StubApiServer;
  let cluster: ClusterConnection;
  let stop: AbortController;
  let lines: string[];
  /**
   * The log that the kubelet holds, and the kubelet's answers in the order of the requests. The last answer is
   * repeated.
   */
  let log: string[];
  let answers: ((response: ServerResponse, text: string) => void)[];

  beforeEach(async () => {
    stub = await startStubApiServer();
    cluster = await createCluster(await stub.kubeconfig(), { environment: {}, timing });
    stop = new AbortController();
    lines = [];
    log = [];
    answers = [];
    stub.handlers.push(({ path, query }, response) => {
      if (path !== '/api/v1/namespaces/shop/pods/web/log') return false;
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      const since = Math.floor(Date.parse(query.get('sinceTime') ?? '1970-01-01T00:00:00Z') / 1000) * 1000;
      const wanted = log.filter((line) => !(Date.parse(line.split(' ')[0] ?? '') < since));
      answer?.(response, wanted.join('\n'));
      return true;
    });
  });

  afterEach(async () => {
    stop.abort();
    cluster.close();
    await stub.close();
  });

  const follow = (options: Partial<FollowLogOptions> = {}): Promise<LogEnd> =>
    cluster.followPodLog(container, { onLine: (line) => lines.push(line), ...options }, stop.signal);
  const whole = (response: ServerResponse, text: string): void => {
    response.end(`${text}\n`);
  };
  const cut = (response: ServerResponse, text: string): void => {
    response.writeHead(200);
    response.write(text, () => response.destroy());
  };

  it('a log that has ended is read once, although its end is requested twice', async () => {
    log = [`${stamp(1)} one`, `${stamp(1)} same time`, `${stamp(2)} `, `${stamp(3)} four`];
    answers = [whole];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['one', 'same time', '', 'four']);
    assert.equal(stub.requests.length, 2);
    assert.equal(stub.requests[0]?.query.get('follow'), 'true');
  });

  it('a connection that is cut in the middle of a line loses and repeats nothing', async () => {
    log = [`${stamp(1, 5)} one`, `${stamp(2, 7)} two`, `${stamp(2, 6)} out of order`, `${stamp(4)} fo`];
    answers = [
      (response, text) => {
        cut(response, text);
        log = [...log.slice(0, 3), `${stamp(4)} four`, `${stamp(5)} five`];
      },
      whole,
    ];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['one', 'two', 'out of order', 'four', 'five']);
    assert.equal(stub.requests[1]?.query.get('sinceTime'), '2026-03-01T12:00:01.000Z');
  });

  it('a stream that a stopping API server ends cleanly does not count as the end of the log', async () => {
    log = [`${stamp(1)} one`];
    const polite = (response: ServerResponse, text: string): void => {
      log.push(`${stamp(9)} after the restart`);
      response.end(`${text}\n${stamp(9)} after th`);
    };
    answers = [polite, whole];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['one', 'after the restart']);
  });

  it('a container that is silent for longer than the time limit of an answer is waited for', async () => {
    log = [`${stamp(1)} at last`];
    answers = [() => undefined, () => undefined, whole];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['at last']);
  });

  it('a kubelet that is away is waited for', async () => {
    log = [`${stamp(1)} back`];
    const away = (response: ServerResponse): void => {
      reply(response, 500, status(500, 'InternalError', 'dial tcp 10.0.0.1:10250: connect: connection refused'));
    };
    answers = [away, away, whole];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['back']);
  });

  it('reading resumes where an earlier reading ended and gives only new lines', async () => {
    log = [`${stamp(1)} one`];
    answers = [whole];
    const { position } = await follow();
    log.push(`${stamp(1, 9)} two`);
    await follow({ from: position });
    assert.deepEqual(lines, ['one', 'two']);
  });

  it('an endless line is cut, and characters stay whole', async () => {
    log = [`${stamp(1)} ${'€'.repeat(5000)}`, `${stamp(2)} two`];
    answers = [whole];
    await follow({ maxLineBytes: 40 });
    assert.deepEqual(lines, ['€€€', 'two']);
  });

  it('a last line without a line feed is given at the end', async () => {
    log = [`${stamp(1)} one`, `${stamp(2)} dying wor`];
    answers = [(response, text) => response.end(text)];
    await follow();
    assert.deepEqual(lines, ['one', 'dying wor']);
  });

  it('lines without timestamps are given, and their log is not read again', async () => {
    log = ['no times here'];
    answers = [whole];
    assert.equal((await follow()).end, 'ended');
    assert.deepEqual(lines, ['no times here']);
    assert.equal(stub.requests.length, 1);
  });

  it('a container that waits to start and a missing pod are distinguished', async () => {
    const said = 'container "app" in pod "web" is waiting to start: ContainerCreating';
    answers = [(response) => reply(response, 400, status(400, 'BadRequest', said))];
    assert.equal((await follow()).end, 'waiting');
    answers = [(response) => reply(response, 404, status(404, 'NotFound', 'pods "web" not found', { name: 'web' }))];
    assert.equal((await follow()).end, 'gone');
  });

  it('a forbidden log names the missing right', async () => {
    answers = [(response) => reply(response, 403, status(403, 'Forbidden', 'no'))];
    const error: unknown = await follow().catch((thrown: unknown) => thrown);
    assert.ok(error instanceof TaskError);
    assert.equal(error.reason, 'PermissionDenied');
    assert.match(error.message, /Grant the verb "get" on resource "pods\/log"/);
  });

  it('an abort ends the reading at once', async () => {
    log = [`${stamp(1)} one`];
    answers = [(response, text) => response.writeHead(200).write(`${text}\n`)];
    const ended = follow();
    await eventually('the first line is there', () => lines.length === 1);
    stop.abort();
    assert.equal((await ended).end, 'aborted');
    await eventually('its connection is closed', () => stub.connections() === 0);
  });
});

describe('splitting bytes into lines', () => {
  const linesOf = async (...chunks: string[]): Promise<string[]> => {
    const lines: string[] = [];
    const stream = (async function* () {
      for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
    })();
    for await (const { text, isWhole } of boundedLines(stream, 8)) lines.push(isWhole ? text : `${text}…`);
    return lines;
  };

  it('gives the same lines for chunks of any size', async () => {
    assert.deepEqual(await linesOf('a\nb', 'c\n', '\n', 'd'), ['a', 'bc', '', 'd…']);
    assert.deepEqual(await linesOf('1234', '5678', '9', '\nx\n'), ['12345678', 'x']);
    assert.deepEqual(await linesOf('a\n'), ['a']);
  });
});
