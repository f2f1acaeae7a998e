import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asTaskError, TaskError, type FailureReason } from '../../core/failure';
import type { KubeObject } from '../../core/kubernetes/object';
import { objectKey, refOf } from '../../core/kubernetes/manifest';
import type { Follower } from '../../core/ports';
import { asStatus, connectionFailure, notUnderstood, refusal, type Answer, type Attempt } from './errors';
import { byteLines } from './lines';
import { withRedactedMessages } from './redactedMessages';
import { acceptFor, asKubeObject, listAttempt, withoutManagedFields, type Requests } from './requests';
import { resourcePath } from './resources';
import { abortableDelay, backoffMs } from './transport';
import type { FollowQuery, FollowSnapshot, ListQuery } from '../../core/kubernetes/queries';

interface FollowOptions {
  signal: AbortSignal;
  clusterSignal?: AbortSignal;
  onNotice: (notice: string) => void;
  /** The longest time until an API server begins an answer. */
  responseMs: number;
  /** A silent watch is renewed after this time. The API server sends a bookmark about every minute. */
  silenceMs?: number;
  pollMs?: number;
  maxLineBytes?: number;
}

const defaultSilenceMs = 90_000;
const defaultPollMs = 2_000;
const defaultMaxLineBytes = 16 * 1024 * 1024;
/** Changes within this time are reported together. */
const coalesceMs = 20;
/** The longest pause between snapshots, so that the end of a rollout is seen at once even with many objects. */
const longestRestMs = 150;
/** A first reading that fails for a passing reason is retried for this time. */
const firstReadingMs = 15_000;
/** An object may arrive before its owner, so that many objects are kept back for this time. */
const limboMs = 10_000;
const limboMaxSize = 200;
/** The owner of a younger object may have been created after the owners were listed. */
const youngMs = 60_000;
/** A watch that ends sooner and without an event counts as a failure, so that it is not repeated in a tight loop. */
const quietWatchMs = 5_000;
/** After so many failures in a row, everything is listed again. */
const resumeTries = 5;

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

interface Unread {
  reason: FailureReason;
  message: string;
}

/** One LIST and one WATCH. */
interface Group {
  query: ListQuery;
  /** An object is kept if at least one of these wants it. */
  keepers: Pick<FollowQuery, 'keep' | 'trim'>[];
  objects: Map<string, KubeObject>;
  limbo: Map<string, { object: KubeObject; belongsTo: readonly string[]; until: number }>;
  unread: Unread | undefined;
  hasWatched: boolean;
  /** Ends the current loop, so that the group is listed again. */
  restart: AbortController;
  /** Settles when the first reading since the (re)start succeeds or fails. */
  first: Promise<void>;
  settleFirst: () => void;
}

interface Following {
  requests: Requests;
  options: Required<Omit<FollowOptions, 'clusterSignal' | 'signal'>>;
  stop: AbortController;
  groups: Map<string, Group>;
  changed: () => void;
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
    changed: (milliseconds, signal) => news.wait(milliseconds, [signal, stop.signal]),
    add: (queries) => addQueries(following, queries),
    stop: end,
  };
}

/** After a snapshot of thousands of pods, the caller rests twice as long, so that it takes a third of a processor. */
export function restAfter(lookedMs: number): number {
  return Math.max(coalesceMs, Math.min(2 * lookedMs, longestRestMs));
}

interface NewsBoard {
  post(): void;
  version(): number;
  wait(milliseconds: number, signals: readonly AbortSignal[]): Promise<void>;
}

function newsBoard(): NewsBoard {
  let version = 0;
  let seen = 0;
  let lookingSince: number | undefined;
  const waiting = new Set<AbortController>();
  return {
    post() {
      version++;
      for (const wake of waiting) wake.abort();
    },
    version: () => version,
    async wait(milliseconds, signals) {
      const lookedMs = lookingSince === undefined ? 0 : performance.now() - lookingSince;
      const wake = new AbortController();
      waiting.add(wake);
      if (version === seen) await abortableDelay(milliseconds, [...signals, wake.signal]);
      waiting.delete(wake);
      if (version !== seen) await abortableDelay(restAfter(lookedMs), signals);
      seen = version;
      lookingSince = performance.now();
    },
  };
}

function read({ groups, stop }: Following): FollowSnapshot {
  const objects = new Map<string, KubeObject>();
  const unread: { query: ListQuery; reason: FailureReason; message: string }[] = [];
  for (const group of groups.values()) {
    for (const [key, object] of group.objects) objects.set(key, newer(objects.get(key), object));
    const why = group.unread ?? (stop.signal.aborted ? stopped(group.query) : undefined);
    if (why !== undefined) unread.push({ query: group.query, ...why });
  }
  return { objects, unread };
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

function listQuery(query: FollowQuery): ListQuery {
  const { apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly } = query;
  return {
    apiVersion,
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(metadataOnly === true ? { metadataOnly } : {}),
  };
}

function groupKey(query: ListQuery): string {
  const { apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly } = query;
  const parts = [apiVersion, kind, namespace, labelSelector, fieldSelector, metadataOnly === true];
  return JSON.stringify(parts.map((part) => part ?? null));
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

function newGroup(query: ListQuery): Group {
  const group: Group = {
    query,
    keepers: [],
    objects: new Map(),
    limbo: new Map(),
    unread: { reason: 'ClusterUnreachable', message: `${query.kind} objects have not been read yet.` },
    hasWatched: false,
    restart: new AbortController(),
    first: Promise.resolve(),
    settleFirst: () => undefined,
  };
  armFirst(group);
  return group;
}

function armFirst(group: Group): void {
  const settleEarlier = group.settleFirst;
  group.first = new Promise((resolve) => {
    group.settleFirst = () => {
      settleEarlier();
      resolve();
    };
  });
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

interface Life {
  following: Following;
  group: Group;
  signal: AbortSignal;
  before: Promise<void>;
}

type Next =
  | { next: 'resume'; resourceVersion: string; progressed: boolean }
  /** The version is too old or unknown. */
  | { next: 'relist' }
  /** The permission to watch is missing. */
  | { next: 'poll' };

async function live(life: Life): Promise<void> {
  const { group, signal, following } = life;
  const startedAt = performance.now();
  let failures = 0;
  let resourceVersion: string | undefined;
  let isPolling = false;
  while (!isOver(signal)) {
    try {
      if (resourceVersion === undefined || isPolling) {
        resourceVersion = await relist(life);
        markRead(life);
        group.settleFirst();
      }
      if (isPolling) {
        failures = 0;
        await abortableDelay(following.options.pollMs, [signal]);
        continue;
      }
      const next = await watch(life, resourceVersion);
      isPolling = next.next === 'poll';
      resourceVersion = next.next === 'resume' ? next.resourceVersion : undefined;
      if (next.next === 'resume' && next.progressed) failures = 0;
      else await abortableDelay(backoffMs(failures++), [signal]);
    } catch (error) {
      if (isOver(signal)) return;
      const failure = asTaskError(error);
      markUnread(life, failure);
      const isLasting = lastingReasons.has(failure.reason);
      if (isLasting || performance.now() - startedAt > firstReadingMs) group.settleFirst();
      await abortableDelay(pauseAfter(failure, group, failures++), [signal]);
      // The API server cannot continue from this version, for example after a restore from a backup.
      if (failures > resumeTries) resourceVersion = undefined;
    }
  }
}

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** They do not pass within seconds, but a permission can be granted and a kind installed. */
const lastingReasons: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'PermissionDenied',
  'CredentialsRejected',
  'CertificateRejected',
  'KindNotServed',
  'Internal',
]);

function pauseAfter({ reason, facts }: TaskError, group: Group, failures: number): number {
  const asked = facts['retryAfterMs'];
  if (typeof asked === 'number') return Math.max(asked, backoffMs(failures));
  const isRefused = reason === 'PermissionDenied' || reason === 'CredentialsRejected';
  // An API server that has just started does not know the users' permissions yet.
  return isRefused && !group.hasWatched ? Math.min(1_000 * 2 ** failures, 30_000) : backoffMs(failures);
}

function markRead({ group, following }: Life): void {
  if (group.unread === undefined) return;
  group.unread = undefined;
  following.changed();
}

function markUnread({ group, following, signal }: Life, failure: TaskError): void {
  if (signal.aborted) return;
  const { reason, message } = failure;
  if (group.unread?.reason === reason && group.unread.message === message) return;
  group.unread = { reason, message };
  following.changed();
}

function noticePolling({ group, following }: Life, plural: string): void {
  const where = group.query.namespace === undefined ? '' : ` in namespace ${group.query.namespace}`;
  following.options.onNotice(
    `The connection may not watch ${plural}${where}: they are listed every ${following.options.pollMs / 1000} s instead. ` +
      `Grant the verb "watch" on resource "${plural}" to follow them as they change.`,
  );
}

/** Missing objects are removed only after the whole list was read. */
async function relist(life: Life): Promise<string> {
  const { group, following, signal, before } = life;
  let fresh = new Map<string, KubeObject>();
  const resourceVersion = await following.requests.pages(group.query, {
    retry: 'never',
    signal,
    start: () => {
      fresh = new Map();
      group.limbo.clear();
    },
    take: async (items) => {
      await before;
      for (const object of items) {
        const key = objectKey(refOf(object));
        if (isWanted(group, object)) fresh.set(key, held(following, group, object));
        else if (isYoung(object)) keepBack(group, key, object);
      }
      // A large page must not block the other streams.
      await nextTurn();
    },
  });
  if (signal.aborted) throw new TaskError('Cancelled', 'No longer followed.');
  if (!areSame(group.objects, fresh)) {
    group.objects = fresh;
    for (const { metadata } of fresh.values()) releaseLimbo(following, metadata.uid);
    following.changed();
  }
  return resourceVersion;
}

function areSame(known: ReadonlyMap<string, KubeObject>, fresh: ReadonlyMap<string, KubeObject>): boolean {
  if (known.size !== fresh.size) return false;
  for (const [key, object] of fresh) {
    const before = known.get(key)?.metadata;
    if (before?.uid !== object.metadata.uid || before?.resourceVersion !== object.metadata.resourceVersion)
      return false;
  }
  return true;
}

function isWanted(group: Group, object: KubeObject): boolean {
  return group.keepers.some((query) => query.keep(object));
}

function held({ requests }: Following, group: Group, object: KubeObject): KubeObject {
  const keepers = group.keepers.filter((query) => query.keep(object));
  const [first] = keepers;
  const trim = keepers.every((query) => query.trim !== undefined) ? first?.trim : undefined;
  const kept = trim === undefined ? object : trim(object);
  return withRedactedMessages(kept, requests.transport.redact);
}

/** Throws if the watch could not be opened or broke in an unknown way. */
async function watch(life: Life, resourceVersion: string): Promise<Next> {
  const { group, following, signal } = life;
  const { requests } = following;
  const { apiVersion, kind } = group.query;
  const how = { retry: 'never', signal } as const;
  const resource = await requests.served(apiVersion, kind, listAttempt('watch', group.query), how);
  const attempt = listAttempt('watch', group.query, resource);
  const opened = await requests.transport.open({
    method: 'GET',
    path: resourcePath(resource, {
      namespace: group.query.namespace,
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion,
        // Many watches must not end at the same moment.
        timeoutSeconds: String(Math.round(300 + Math.random() * 300)),
        labelSelector: group.query.labelSelector,
        fieldSelector: group.query.fieldSelector,
      },
    }),
    attempt,
    accept: acceptFor(group.query, 'object'),
    retry: 'never',
    signal,
  });
  if ('answer' in opened) return afterRefusedWatch(life, opened.answer, attempt);
  group.hasWatched = true;
  markRead(life);
  return readWatch(life, opened.stream, resourceVersion);
}

function afterRefusedWatch(life: Life, answer: Answer, attempt: Attempt): Next {
  const { group, following } = life;
  if (answer.status === 410) return { next: 'relist' };
  const failure = refusal(answer, attempt, following.requests.transport.server);
  const isForbidden = answer.status === 405 || failure.reason === 'PermissionDenied';
  if (!isForbidden || group.hasWatched) throw failure;
  noticePolling(life, attempt.resource?.plural ?? group.query.kind);
  return { next: 'poll' };
}

async function readWatch(life: Life, stream: IncomingMessage, from: string): Promise<Next> {
  const { following, group, signal } = life;
  const { silenceMs, maxLineBytes } = following.options;
  const attempt = listAttempt('watch', group.query);
  const { server } = following.requests.transport;
  let resourceVersion = from;
  const startedAt = performance.now();
  let hasNews = false;
  const silence = setTimeout(() => {
    stream.destroy();
  }, silenceMs);
  stream.socket.setKeepAlive(true, 15_000);
  try {
    for await (const line of byteLines(stream, maxLineBytes)) {
      silence.refresh();
      if (signal.aborted) break;
      const event = parseEvent(line, group.query);
      if (event === undefined) throw notUnderstood(attempt, server, 'its watch gave something that is not an event');
      if (event.type === 'ERROR') return afterWatchError(life, event, resourceVersion);
      hasNews = true;
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
      if (event.type !== 'BOOKMARK') applyEvent(life, event);
    }
  } catch (error) {
    if (error instanceof RangeError) throw notUnderstood(attempt, server, `its watch gave ${error.message}`, error);
    if (error instanceof TaskError) throw error;
    // Idle limits and restarts often cut a watch. The next watch shows if the server is still there.
    if (!isCutOff(error)) throw connectionFailure(error, attempt, server);
  } finally {
    clearTimeout(silence);
    stream.destroy();
  }
  const progressed = hasNews || performance.now() - startedAt > quietWatchMs;
  return { next: 'resume', resourceVersion, progressed };
}

function isCutOff(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion?: string } } }
  | { type: 'ERROR'; code: number; message: string; retryAfterSeconds: number | undefined };

function parseEvent(line: string, query: ListQuery): WatchEvent | undefined {
  let parsed: { type?: unknown; object?: unknown } | null;
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch {
    return undefined;
  }
  const type = parsed?.type;
  const value = parsed?.object;
  if (type === 'ERROR') return errorEvent(value);
  if (typeof value !== 'object' || value === null) return undefined;
  if (type === 'BOOKMARK') {
    const version = (value as { metadata?: { resourceVersion?: unknown } }).metadata?.resourceVersion;
    return { type, object: { metadata: typeof version === 'string' ? { resourceVersion: version } : {} } };
  }
  const object = asKubeObject(value, query);
  if (object === undefined || (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')) return undefined;
  return { type, object: withoutManagedFields(object) };
}

function errorEvent(value: unknown): WatchEvent {
  const status = asStatus(value);
  const seconds = (value as { details?: { retryAfterSeconds?: unknown } } | null | undefined)?.details
    ?.retryAfterSeconds;
  return {
    type: 'ERROR',
    code: status?.code ?? 0,
    message: status?.message ?? '',
    retryAfterSeconds: typeof seconds === 'number' ? seconds : undefined,
  };
}

function afterWatchError(
  { group, following }: Life,
  event: Extract<WatchEvent, { type: 'ERROR' }>,
  resourceVersion: string,
): Next {
  if (event.code === 410 || event.code === 0) return { next: 'relist' };
  const answer: Answer = {
    status: event.code,
    contentType: 'application/json',
    body: Buffer.from(JSON.stringify({ kind: 'Status', message: event.message, code: event.code })),
    ...(event.retryAfterSeconds === undefined ? {} : { retryAfterMs: Math.min(event.retryAfterSeconds, 30) * 1000 }),
  };
  if (event.code >= 500 && answer.retryAfterMs === undefined) {
    return { next: 'resume', resourceVersion, progressed: false };
  }
  const { server } = following.requests.transport;
  throw refusal(answer, listAttempt('watch', group.query), server);
}

function applyEvent(life: Life, event: Extract<WatchEvent, { type: 'ADDED' | 'MODIFIED' | 'DELETED' }>): void {
  const { group, following } = life;
  const { object } = event;
  const key = objectKey(refOf(object));
  group.limbo.delete(key);
  if (event.type !== 'DELETED' && isWanted(group, object)) {
    const isNew = group.objects.get(key)?.metadata.uid !== object.metadata.uid;
    group.objects.set(key, held(following, group, object));
    if (isNew) releaseLimbo(following, object.metadata.uid);
    following.changed();
    return;
  }
  if (event.type !== 'DELETED') keepBack(group, key, object);
  if (group.objects.delete(key)) following.changed();
}

function isYoung({ metadata }: KubeObject): boolean {
  return Date.now() - Date.parse(metadata.creationTimestamp ?? '') < youngMs;
}

/** Keeps an object until its owner arrives. */
function keepBack(group: Group, key: string, object: KubeObject): void {
  const belongsTo = ownersOf(object);
  if (belongsTo.length === 0) return;
  const now = performance.now();
  for (const [old, { until }] of group.limbo) {
    if (until > now && group.limbo.size < limboMaxSize) break;
    group.limbo.delete(old);
  }
  group.limbo.set(key, { object, belongsTo, until: now + limboMs });
}

/** Includes the object that an Event is about. */
function ownersOf({ metadata, involvedObject }: KubeObject): string[] {
  const owners = (metadata.ownerReferences ?? []).map(({ uid }) => uid);
  const subject = (involvedObject as { uid?: unknown } | undefined)?.uid;
  return typeof subject === 'string' ? [...owners, subject] : owners;
}

/** Checks the objects of an owner that has just arrived, and then the objects that they own. */
function releaseLimbo(following: Following, owner: string | undefined): void {
  if (owner === undefined) return;
  const now = performance.now();
  for (const group of following.groups.values()) {
    for (const [key, { object, belongsTo, until }] of group.limbo) {
      if (until < now) group.limbo.delete(key);
      else if (belongsTo.includes(owner) && isWanted(group, object)) {
        group.limbo.delete(key);
        group.objects.set(key, held(following, group, object));
        releaseLimbo(following, object.metadata.uid);
      }
    }
  }
}
