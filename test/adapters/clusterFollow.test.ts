import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import {
  createCluster,
  type ClusterConnection,
  type ClusterOptions,
} from '../../tasks/common/adapters/kubernetes/cluster';
import { restAfter } from '../../tasks/common/adapters/kubernetes/newsBoard';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { Follower } from '../../tasks/common/core/ports';
import {
  eventually,
  reply,
  startStubApiServer,
  status,
  type Collection,
  type Handler,
  type StubApiServer,
  type StubRequest,
} from '../support/stubApiServer';
import type { FollowQuery } from '../../tasks/common/core/kubernetes/queries';

const timing = { connectMs: 2000, responseMs: 1000, totalMs: 4000, retryUnknownMs: 300, retryKnownMs: 300 };
const all = (): boolean => true;
const pods: FollowQuery = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', keep: all };

describe('following objects', () => {
  let stub: StubApiServer;
  let served: Collection;
  let stop: AbortController;
  const open: ClusterConnection[] = [];

  beforeEach(async () => {
    stub = await startStubApiServer();
    served = stub.collection('pods', 'Pod');
    served.put({ metadata: { name: 'a' } });
    served.put({ metadata: { name: 'b' } });
    stop = new AbortController();
  });

  afterEach(async () => {
    stop.abort();
    for (const cluster of open.splice(0)) cluster.close();
    await stub.close();
  });

  const connect = async (kubeconfig?: string, options: ClusterOptions = {}): Promise<ClusterConnection> => {
    const file = kubeconfig ?? (await stub.kubeconfig());
    const cluster = await createCluster(file, { environment: {}, timing, ...options });
    open.push(cluster);
    return cluster;
  };
  const follow = async (queries: FollowQuery[] = [pods], options?: ClusterOptions): Promise<Follower> =>
    (await connect(undefined, options)).follow(queries, stop.signal);
  const on = (handler: Handler): void => {
    stub.handlers.push(handler);
  };
  const isWatch = (request: StubRequest): boolean => request.query.get('watch') === 'true';
  const lists = (): StubRequest[] =>
    stub.requests.filter((request) => request.path === served.path && !isWatch(request));
  const watches = (): StubRequest[] =>
    stub.requests.filter((request) => request.path === served.path && isWatch(request));
  const names = (follower: Follower): string[] =>
    [...follower.snapshot().objects.values()].map(({ metadata }) => metadata.name).sort();
  const sees = (follower: Follower, ...expected: string[]): Promise<void> =>
    eventually(`the follower sees ${expected.join(' ')}`, () => names(follower).join(' ') === expected.join(' '));
  const isUnread = (follower: Follower): boolean => follower.snapshot().unread.length > 0;
  const isWatching = (count = 1): Promise<void> => eventually('a watch is open', () => served.watches() === count);

  it('one list and one watch show existing objects and every later change', async () => {
    const follower = await follow();
    assert.deepEqual(names(follower), ['a', 'b']);
    assert.deepEqual(follower.snapshot().unread, []);
    served.put({ metadata: { name: 'c', managedFields: [{ manager: 'kubelet' }] } });
    await sees(follower, 'a', 'b', 'c');
    served.put({ metadata: { name: 'a' }, status: { phase: 'Running' } });
    served.remove('b');
    await sees(follower, 'a', 'c');
    const objects = follower.snapshot().objects;
    assert.deepEqual(objects.get('/Pod/shop/a')?.['status'], { phase: 'Running' });
    assert.equal(objects.get('/Pod/shop/c')?.metadata['managedFields'], undefined);
    assert.equal(lists().length, 1);
    assert.equal(watches().length, 1);
    assert.equal(watches()[0]?.query.get('allowWatchBookmarks'), 'true');
  });

  it('a snapshot does not change when objects change later', async () => {
    const follower = await follow();
    const before = follower.snapshot();
    served.put({ metadata: { name: 'c' } });
    await sees(follower, 'a', 'b', 'c');
    assert.equal(before.objects.size, 2);
  });

  it('changes are given once: what is new, what is other, and what is gone', async () => {
    const follower = await follow();
    const changed = (): string[] =>
      [...follower.changes().objects]
        .map(([key, object]) => `${key} ${object === undefined ? 'gone' : 'there'}`)
        .sort();
    assert.deepEqual(changed(), ['/Pod/shop/a there', '/Pod/shop/b there']);
    assert.deepEqual(changed(), []);
    served.put({ metadata: { name: 'c' } });
    served.remove('b');
    await sees(follower, 'a', 'c');
    assert.deepEqual(changed(), ['/Pod/shop/b gone', '/Pod/shop/c there']);
  });

  it('two queries for the same kind share their list and watch', async () => {
    const only = (name: string): FollowQuery => ({ ...pods, keep: (object) => object.metadata.name === name });
    const follower = await follow([only('a'), only('b')]);
    assert.deepEqual(names(follower), ['a', 'b']);
    await isWatching();
    assert.equal(lists().length + watches().length, 2);
  });

  it('a query that is added later gets objects that were dropped before', async () => {
    const follower = await follow([{ ...pods, keep: ({ metadata }) => metadata.name === 'a' }]);
    assert.deepEqual(names(follower), ['a']);
    await isWatching();
    await follower.add([pods]);
    assert.deepEqual(names(follower), ['a', 'b']);
    await eventually('one watch has replaced the other', () => watches().length === 2 && served.watches() === 1);
  });

  it('objects that no query matches are dropped, also when they stop matching', async () => {
    const follower = await follow([{ ...pods, keep: ({ metadata }) => metadata.labels?.['app'] === 'x' }]);
    assert.deepEqual(names(follower), []);
    served.put({ metadata: { name: 'a', labels: { app: 'x' } } });
    await sees(follower, 'a');
    served.put({ metadata: { name: 'a', labels: { app: 'y' } } });
    await sees(follower);
  });

  it('a pod is not lost when it arrives before the ReplicaSet that makes it match', async () => {
    const sets = stub.collection('replicasets', 'ReplicaSet', 'apps/v1');
    const owners = new Set<string>();
    const keepSet = ({ metadata }: KubeObject): boolean => owners.add(metadata.uid ?? '').size > 0;
    const keepPod = ({ metadata }: KubeObject): boolean =>
      (metadata.ownerReferences ?? []).some(({ uid }) => owners.has(uid));
    const follower = await follow([
      { ...pods, apiVersion: 'apps/v1', kind: 'ReplicaSet', keep: keepSet },
      { ...pods, keep: keepPod },
    ]);
    await eventually('both are watched', () => sets.watches() + served.watches() === 2);
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'set', uid: 'set-uid' }];
    served.put({ metadata: { name: 'owned', ownerReferences } });
    served.put({ metadata: { name: 'foreign', ownerReferences: [{ ...ownerReferences[0], uid: 'other' }] } });
    // The watch is ordered. Once the bookmark is used for the next watch, both pods have been seen.
    served.bookmark();
    served.endWatches();
    await eventually('the watch is renewed', () => watches().length === 2);
    assert.deepEqual(names(follower), []);
    sets.put({ metadata: { name: 'set', uid: 'set-uid' } });
    await sees(follower, 'owned', 'set');
  });

  it('a watch that the server ends is resumed at its last version, without a new list', async () => {
    const follower = await follow();
    await isWatching();
    served.bookmark();
    served.endWatches();
    await eventually('the watch is renewed', () => watches().length === 2 && served.watches() === 1);
    assert.equal(watches()[1]?.query.get('resourceVersion'), '103');
    served.put({ metadata: { name: 'c' } });
    await sees(follower, 'a', 'b', 'c');
    assert.equal(lists().length, 1);
    assert.equal(isUnread(follower), false);
  });

  it('when an event reports a version that is too old, a new list removes deleted objects', async () => {
    const follower = await follow();
    await isWatching();
    served.objects.delete('b');
    served.send(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old resource version') })}\n`);
    await sees(follower, 'a');
    assert.equal(lists().length, 2);
  });

  it('when an answer reports a version that is too old, a new list is made', async () => {
    let left = 1;
    on((request, response) => isWatch(request) && left-- > 0 && reply(response, 410, status(410, 'Expired', 'old')));
    const follower = await follow();
    await isWatching();
    assert.equal(lists().length, 2);
    assert.deepEqual(names(follower), ['a', 'b']);
  });

  it('after too many requests the watch waits as long as the server asked', async () => {
    let refusedAt = 0;
    on((request, response) => {
      if (!isWatch(request) || refusedAt > 0) return false;
      refusedAt = performance.now();
      return reply(response, 429, status(429, 'TooManyRequests', 'later'), { 'Retry-After': '1' });
    });
    const follower = await follow();
    await eventually('it is told as unread', () => isUnread(follower));
    assert.deepEqual(names(follower), ['a', 'b']);
    await isWatching();
    assert.ok(performance.now() - refusedAt >= 1000);
    await eventually('it is read again', () => !isUnread(follower));
    assert.equal(watches().length, 2);
  });

  it('while the API server restarts no object counts as absent, and deleted objects are gone afterwards', async () => {
    const follower = await follow();
    await isWatching();
    await stub.stop();
    await eventually('it is told as unread', () => isUnread(follower));
    assert.deepEqual(names(follower), ['a', 'b']);
    const [unread] = follower.snapshot().unread;
    assert.equal(unread?.reason, 'ClusterUnreachable');
    assert.deepEqual(unread.query, { apiVersion: 'v1', kind: 'Pod', namespace: 'shop' });
    served.remove('b');
    await stub.start();
    await sees(follower, 'a');
    await eventually('it is read again', () => !isUnread(follower));
    await isWatching();
  });

  it('a server that restarts without rights and versions is followed again', async () => {
    const follower = await follow();
    await isWatching();
    await stub.stop();
    let left = 2;
    on((request, response) => isWatch(request) && left-- > 0 && reply(response, 403, status(403, 'Forbidden', 'no')));
    await stub.start();
    served.put({ metadata: { name: 'c' } });
    await sees(follower, 'a', 'b', 'c');
    assert.equal(lists().length, 1, 'a watch that was possible before is not given up for polling');
  });

  it('a token that expires during a watch is renewed once, and the watch goes on', async () => {
    let valid = 'first-token';
    const file = await stub.kubeconfig({ token: valid });
    on((request, response) => {
      if (request.headers.authorization === `Bearer ${valid}`) return false;
      return reply(response, 401, status(401, 'Unauthorized', 'Unauthorized'));
    });
    const follower = await (await connect(file)).follow([pods], stop.signal);
    await isWatching();
    valid = 'second-token';
    await writeFile(file, JSON.stringify(await renamed(file, 'first-token', 'second-token')));
    served.endWatches();
    await eventually('the watch is renewed', () => watches().length === 3 && served.watches() === 1);
    served.put({ metadata: { name: 'c' } });
    await sees(follower, 'a', 'b', 'c');
    assert.equal(isUnread(follower), false);
  });

  it('a forbidden list is reported as unread, with the right to grant', async () => {
    on((_request, response) => reply(response, 403, status(403, 'Forbidden', 'pods is forbidden')));
    const follower = await follow();
    const [unread] = follower.snapshot().unread;
    assert.equal(unread?.reason, 'PermissionDenied');
    assert.match(unread.message, /Grant the verb "list" on resource "pods"/);
    assert.equal(follower.snapshot().objects.size, 0);
  });

  it('where only the watch is forbidden, repeated lists replace it and a notice says so', async () => {
    const notices: string[] = [];
    on((request, response) => isWatch(request) && reply(response, 403, status(403, 'Forbidden', 'cannot watch')));
    const follower = await follow([pods], { onNotice: (notice) => notices.push(notice) });
    served.put({ metadata: { name: 'c' } });
    await sees(follower, 'a', 'b', 'c');
    served.remove('a');
    await sees(follower, 'b', 'c');
    assert.equal(watches().length, 1);
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /may not watch pods in namespace shop.*every 2 s/);
  });

  it('a kind whose definition this deploy installs is read as soon as it is served', async () => {
    const widgets = stub.collection('widgets', 'Widget', 'example.com/v1');
    widgets.put({ metadata: { name: 'w' } });
    let isServed = false;
    on((request, response) => {
      if (!request.path.startsWith('/apis/example.com')) return false;
      if (!isServed) {
        response.writeHead(404, { 'Content-Type': 'text/plain' });
        response.end('404 page not found\n');
        return true;
      }
      if (request.path !== '/apis/example.com/v1') return false;
      return reply(response, 200, { resources: [{ name: 'widgets', kind: 'Widget', namespaced: true }] });
    });
    const follower = await follow([{ ...pods, apiVersion: 'example.com/v1', kind: 'Widget' }, pods]);
    assert.deepEqual(
      follower.snapshot().unread.map(({ reason }) => reason),
      ['KindNotServed'],
    );
    isServed = true;
    await sees(follower, 'a', 'b', 'w');
    assert.equal(isUnread(follower), false);
  });

  describe('hostile watch streams', () => {
    it('a character that arrives in two parts is read whole', async () => {
      const follower = await follow();
      await isWatching();
      const object = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'a', namespace: 'shop', resourceVersion: '200' },
      };
      const line = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: { ...object, note: 'grün €' } })}\n`);
      const cut = line.indexOf(0xe2) + 1;
      served.send(line.subarray(0, cut));
      await new Promise(setImmediate);
      served.send(line.subarray(cut));
      await eventually('it is seen', () => follower.snapshot().objects.get('/Pod/shop/a')?.['note'] === 'grün €');
    });

    it('several events in one chunk are all seen', async () => {
      const follower = await follow();
      await isWatching();
      const event = (name: string, version: number): string =>
        JSON.stringify({
          type: 'ADDED',
          object: {
            kind: 'Pod',
            apiVersion: 'v1',
            metadata: { name, namespace: 'shop', resourceVersion: String(version) },
          },
        });
      served.send(`${event('x', 200)}\n\n${event('y', 201)}\n`);
      await sees(follower, 'a', 'b', 'x', 'y');
    });

    it('a line that is cut off is not used, and its object is read again', async () => {
      const follower = await follow();
      await isWatching();
      served.send('{"type":"DELETED","object":{"kind":"Pod","metadata":{"name":"a"');
      served.endWatches();
      await eventually('the watch is renewed', () => watches().length === 2);
      assert.deepEqual(names(follower), ['a', 'b']);
      assert.equal(watches()[1]?.query.get('resourceVersion'), '102');
    });

    it('an endless line is not buffered for ever', async () => {
      const follower = await follow();
      await isWatching();
      const piece = Buffer.alloc(1024 * 1024, 'x');
      for (let count = 0; count < 17; count++) served.send(piece);
      await eventually('it is told as unread', () => isUnread(follower), 20);
      assert.match(follower.snapshot().unread[0]?.message ?? '', /a line of over \d+ bytes/);
      assert.deepEqual(names(follower), ['a', 'b']);
    }).timeout(30_000);

    for (const junk of [
      '<html>',
      '{"type":"ADDED","object":{}}',
      '{"type":"NEWS","object":{"metadata":{"name":"z"}}}',
      'null',
    ]) {
      it(`${junk} is no event: the query is reported as unread, and followed again afterwards`, async () => {
        const follower = await follow();
        await isWatching();
        served.send(`${junk}\n`);
        await eventually('it is told as unread', () => isUnread(follower));
        assert.match(follower.snapshot().unread[0]?.message ?? '', /does not answer like a Kubernetes API server/);
        await eventually('it is read again', () => !isUnread(follower));
        served.put({ metadata: { name: 'c' } });
        await sees(follower, 'a', 'b', 'c');
      });
    }
  });

  describe('keeping only a part of each object', () => {
    const trim = ({ apiVersion, kind, metadata }: KubeObject): KubeObject => ({ apiVersion, kind, metadata });
    const noteOf = (follower: Follower, name: string): unknown =>
      follower.snapshot().objects.get(`/Pod/shop/${name}`)?.['note'];

    it('reduces listed and watched objects', async () => {
      served.put({ metadata: { name: 'a' }, note: 'listed' });
      const follower = await follow([{ ...pods, trim }]);
      await isWatching();
      served.put({ metadata: { name: 'c' }, note: 'came' });
      await sees(follower, 'a', 'b', 'c');
      assert.deepEqual([noteOf(follower, 'a'), noteOf(follower, 'c')], [undefined, undefined]);
    });

    it('keeps an object whole when another query needs it whole', async () => {
      served.put({ metadata: { name: 'a' }, note: 'listed' });
      const whole = { ...pods, keep: ({ metadata }: KubeObject) => metadata.name === 'c' };
      const follower = await follow([{ ...pods, trim }, whole]);
      await isWatching();
      served.put({ metadata: { name: 'c' }, note: 'came' });
      await sees(follower, 'a', 'b', 'c');
      assert.deepEqual([noteOf(follower, 'a'), noteOf(follower, 'c')], [undefined, 'came']);
    });
  });

  describe('waiting for changes', () => {
    it('resolves at the next change, once for several changes', async () => {
      const follower = await follow();
      await follower.changed(0, stop.signal);
      const change = follower.changed(5000, stop.signal);
      for (let count = 0; count < 50; count++) served.put({ metadata: { name: 'a' }, count });
      await change;
      await eventually('all are seen', () => follower.snapshot().objects.get('/Pod/shop/a')?.['count'] === 49);
      await follower.changed(0, stop.signal);
      const startedAt = performance.now();
      await follower.changed(100, stop.signal);
      assert.ok(performance.now() - startedAt >= 95, 'nothing has changed since');
    });

    it('wakes up less often for thousands of pods, but never late', () => {
      assert.deepEqual([0, 1, 3, 5000].map(restAfter), [20, 60, 180, 250]);
    });

    it('does not miss a change between two calls', async () => {
      const follower = await follow();
      await isWatching();
      await follower.changed(0, stop.signal);
      served.put({ metadata: { name: 'c' } });
      await sees(follower, 'a', 'b', 'c');
      const startedAt = performance.now();
      await follower.changed(5000, stop.signal);
      assert.ok(performance.now() - startedAt < 4500);
    });

    it('an object that becomes unread is a change', async () => {
      const follower = await follow();
      await isWatching();
      await follower.changed(0, stop.signal);
      const change = follower.changed(10_000, stop.signal);
      await stub.stop();
      await change;
      assert.equal(isUnread(follower), true);
    });

    it('an abort ends the wait', async () => {
      const follower = await follow();
      await follower.changed(0, stop.signal);
      const waiting = new AbortController();
      const change = follower.changed(60_000, waiting.signal);
      waiting.abort();
      await change;
    });
  });

  describe('the end of following', () => {
    it('after stop no watch is open, and the snapshot is reported as old', async () => {
      const follower = await follow();
      await isWatching();
      follower.stop();
      await eventually('the watch is closed', () => served.watches() === 0);
      assert.deepEqual(
        follower.snapshot().unread.map(({ reason }) => reason),
        ['Cancelled'],
      );
      assert.deepEqual(names(follower), ['a', 'b']);
    });

    it('follow returns when it is aborted during the first list', async () => {
      on(() => true);
      const following = follow();
      await eventually('the list is under way', () => stub.requests.length === 1);
      stop.abort();
      assert.equal(isUnread(await following), true);
    });

    it('a process that stopped following exits by itself', async () => {
      const adapters = fileURLToPath(new URL('../../tasks/common/adapters/kubernetes/cluster.ts', import.meta.url));
      const kubeconfig = await stub.kubeconfig();
      const script = path.join(path.dirname(kubeconfig), 'exits.mts');
      await writeFile(
        script,
        `import { createCluster } from ${JSON.stringify(adapters)};
        const cluster = await createCluster(${JSON.stringify(kubeconfig)}, { environment: {} });
        const follower = await cluster.follow([{ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', keep: () => true }], new AbortController().signal);
        console.log(follower.snapshot().objects.size);
        follower.stop();`,
      );
      const child = spawn(process.execPath, ['--import', 'tsx', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>]);
      assert.equal(output, '2\n');
      assert.equal(code, 0);
      await rm(script);
    }).timeout(60_000);
  });
});

async function renamed(file: string, from: string, to: string): Promise<unknown> {
  const { readFile } = await import('node:fs/promises');
  return JSON.parse((await readFile(file, 'utf8')).replaceAll(from, to));
}
