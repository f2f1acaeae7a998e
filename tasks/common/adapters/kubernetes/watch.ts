import type { IncomingMessage } from 'node:http';
import { TaskError } from '../../core/failure';
import { type Answer, type Attempt, connectionFailure, notUnderstood, refusal } from './errors';
import { byteLines } from './lines';
import { acceptFor, listAttempt } from './requests';
import { resourcePath } from './resources';
import { type Life, markRead } from './followedGroup';
import { type WatchEvent, parseEvent } from './watchEvents';
import { applyEvent } from './followedObjects';

/** A watch that ends sooner and without an event counts as a failure, so that it is not repeated in a tight loop. */
const quietWatchMs = 5_000;

type Next =
  | { next: 'resume'; resourceVersion: string; progressed: boolean }
  /** The version is too old or unknown. */
  | { next: 'relist' }
  /** The permission to watch is missing. */
  | { next: 'poll' };

function noticePolling({ group, following }: Life, plural: string): void {
  const where = group.query.namespace === undefined ? '' : ` in namespace ${group.query.namespace}`;
  following.options.onNotice(
    `The connection may not watch ${plural}${where}: they are listed every ${following.options.pollMs / 1000} s instead. ` +
      `Grant the verb "watch" on resource "${plural}" to follow them as they change.`,
  );
}

/** Throws if the watch could not be opened or broke in an unknown way. */
export async function watch(life: Life, resourceVersion: string): Promise<Next> {
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
