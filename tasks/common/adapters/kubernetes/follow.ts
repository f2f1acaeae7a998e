import { setMaxListeners } from 'node:events';
import { asTaskError } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import type { Follower } from '../../core/ports';
import type { Requests } from './requests';
import type { FollowChanges, FollowQuery, FollowSnapshot, ListQuery } from '../../core/kubernetes/queries';
import {
  type FollowOptions,
  type Following,
  type Group,
  type Unread,
  armFirst,
  groupKey,
  listQuery,
  markUnread,
  newGroup,
} from './followedGroup';
import { newsBoard } from './newsBoard';
import { live } from './followLoop';

const defaultSilenceMs = 90_000;

const defaultPollMs = 2_000;

const defaultMaxLineBytes = 16 * 1024 * 1024;

/** Resolves when every query has been read or has failed. */
export async function follow(
  requests: Requests,
  queries: readonly FollowQuery[],
  options: FollowOptions,
): Promise<Follower> {
  const follower = createFollower(requests, options);
  await follower.add(queries);
  return follower;
}

function createFollower(requests: Requests, options: FollowOptions): Follower {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const onAbort = (): void => {
    end();
  };
  const outer = [options.signal, options.clusterSignal].filter((signal) => signal !== undefined);
  const end = (): void => {
    for (const signal of outer) signal.removeEventListener('abort', onAbort);
    stop.abort();
  };
  for (const signal of outer) signal.addEventListener('abort', onAbort, { once: true });
  if (outer.some((signal) => signal.aborted)) end();

  const news = newsBoard();
  const following: Following = {
    requests,
    options: {
      silenceMs: defaultSilenceMs,
      pollMs: defaultPollMs,
      maxLineBytes: defaultMaxLineBytes,
      ...options,
    },
    stop,
    groups: new Map(),
    touched: new Set(),
    changed: () => {
      news.post();
    },
  };
  let snapshot: { version: number; value: FollowSnapshot } | undefined;

  return {
    snapshot() {
      if (snapshot?.version !== news.version()) snapshot = { version: news.version(), value: read(following) };
      return snapshot.value;
    },
    changes: () => changesOf(following),
    changed: (milliseconds, signal) => news.wait(milliseconds, [signal, stop.signal]),
    add: (queries) => addQueries(following, queries),
    stop: end,
  };
}

function read(following: Following): FollowSnapshot {
  const objects = new Map<string, KubeObject>();
  for (const group of following.groups.values()) {
    for (const [key, object] of group.objects) objects.set(key, newer(objects.get(key), object));
  }
  return { objects, unread: unreadOf(following) };
}

function changesOf(following: Following): FollowChanges {
  const objects = new Map<string, KubeObject | undefined>();
  const groups = [...following.groups.values()];
  for (const key of following.touched) {
    const known = groups.flatMap((group) => group.objects.get(key) ?? []);
    objects.set(key, known.length === 0 ? undefined : known.reduce(newer));
  }
  following.touched.clear();
  return { objects, unread: unreadOf(following) };
}

function unreadOf({ groups, stop }: Following): FollowSnapshot['unread'] {
  return [...groups.values()].flatMap(({ query, unread }) => {
    const why = unread ?? (stop.signal.aborted ? stopped(query) : undefined);
    return why === undefined ? [] : [{ query, ...why }];
  });
}

function stopped(query: ListQuery): Unread {
  return { reason: 'Cancelled', message: `${query.kind} objects are no longer followed.` };
}

/** Two queries may hold the same object in different states. */
function newer(known: KubeObject | undefined, object: KubeObject): KubeObject {
  const one = known?.metadata.resourceVersion;
  const other = object.metadata.resourceVersion;
  if (known === undefined || one === undefined || other === undefined) return object;
  return one.length > other.length || (one.length === other.length && one > other) ? known : object;
}

async function addQueries(following: Following, queries: readonly FollowQuery[]): Promise<void> {
  const touched = new Set<Group>();
  for (const each of queries) {
    const query = listQuery(each);
    const key = groupKey(query);
    let group = following.groups.get(key);
    if (group === undefined) {
      group = newGroup(query);
      following.groups.set(key, group);
    } else if (!touched.has(group)) {
      // Only a new list brings back the objects that the other queries did not want.
      armFirst(group);
      group.restart.abort();
    }
    group.keepers.push(each);
    touched.add(group);
  }
  let before: Promise<void> = Promise.resolve();
  for (const group of touched) {
    startGroup(following, group, before);
    before = group.first;
  }
  await Promise.all([...touched].map((group) => group.first));
}

/** The filter of this group may depend on the owners, which the previous group reads in `before`. */
function startGroup(following: Following, group: Group, before: Promise<void>): void {
  const life = new AbortController();
  setMaxListeners(0, life.signal);
  const onStop = (): void => {
    life.abort();
  };
  following.stop.signal.addEventListener('abort', onStop, { once: true });
  if (following.stop.signal.aborted) life.abort();
  group.restart = life;
  void live({ following, group, signal: life.signal, before })
    .catch((error: unknown) => {
      markUnread({ following, group, signal: life.signal, before }, asTaskError(error));
    })
    .finally(() => {
      following.stop.signal.removeEventListener('abort', onStop);
      if (group.restart === life) group.settleFirst();
    });
}
