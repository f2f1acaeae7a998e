import type { IncomingMessage } from 'node:http';
import { asTaskError, type TaskError } from '../../core/failure';
import { readLineLimit } from '../../core/text/foreignText';
import type { ContainerRef, FollowLogOptions, LogEnd } from '../../core/ports';
import { connectionFailure, refusal, statusOf, type Answer, type Attempt } from './errors';
import { boundedLines } from './lines';
import { listAttempt, type Requests } from './requests';
import { resourcePath } from './resources';
import { abortableDelay, backoffMs } from './transport';
import type { ApiResource } from '../../core/kubernetes/access';

/** This number of failures in a row ends the reading. */
const maximumFailures = 30;
/** The streams of a container are not stamped in one order, and a log resumes only at whole seconds. */
const replayMs = 1000;

interface Reading {
  requests: Requests;
  ref: ContainerRef;
  options: FollowLogOptions;
  signal: AbortSignal;
  attempt: Attempt;
  position: { sinceMs: number; seen: Map<string, number> };
}

type Round =
  | { round: 'refused'; answer: Answer }
  /** `rest` is a last line without a line break. */
  | { round: 'ended'; hasNews: boolean; rest: StampedLine | undefined }
  /** The lines carry no times, so the log cannot be resumed. */
  | { round: 'unstamped' };

/** Reports every line once, even if connections break. Throws errors that cannot pass, such as `PermissionDenied`. */
export async function followPodLog(
  requests: Requests,
  ref: ContainerRef,
  options: FollowLogOptions,
  signal: AbortSignal,
): Promise<LogEnd> {
  const reading = newReading(requests, ref, options, signal);
  const ended = (end: LogEnd['end']): LogEnd => {
    const { sinceMs, seen } = reading.position;
    return { end, position: { sinceMs, seen: Object.fromEntries(seen) } };
  };
  let failures = 0;
  let hasRead = false;
  let isConfirming = false;
  for (;;) {
    if (isOver(signal)) return ended('aborted');
    let round: Round;
    try {
      round = await readRound(reading);
      if (round.round === 'refused') {
        const end = endOf(round.answer);
        if (end !== undefined) return ended(end);
        throw refusal(round.answer, reading.attempt, requests.transport.server);
      }
    } catch (error) {
      if (isOver(signal)) return ended('aborted');
      const failure = asTaskError(error);
      // While a container has logged nothing, the API server does not even begin an answer.
      if (failure.facts['code'] === 'ETIMEDOUT') continue;
      if (!isPassing(failure, hasRead) || ++failures > maximumFailures) throw failure;
      isConfirming = false;
      await abortableDelay(pauseAfter(failure, failures), [signal]);
      continue;
    }
    failures = 0;
    hasRead = true;
    if (isOver(signal)) return ended('aborted');
    if (round.round === 'unstamped') return ended('ended');
    // An API server that shuts down ends the stream like a container that ends, so a second request confirms the end.
    if (isConfirming && !round.hasNews) {
      if (round.rest !== undefined) give(reading, round.rest);
      return ended('ended');
    }
    isConfirming = true;
  }
}

function newReading(requests: Requests, ref: ContainerRef, options: FollowLogOptions, signal: AbortSignal): Reading {
  const query = { apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace };
  const { from } = options;
  return {
    requests,
    ref,
    options,
    signal,
    attempt: {
      ...listAttempt('get', query, { ...pods, plural: 'pods/log' }),
      target: `the log of ${ref.container} of Pod/${ref.name} in namespace ${ref.namespace}`,
    },
    position: { sinceMs: from?.sinceMs ?? 0, seen: new Map(Object.entries(from?.seen ?? {})) },
  };
}

const pods: ApiResource = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Undefined if the log may go on. */
function endOf(answer: Answer): LogEnd['end'] | undefined {
  if (answer.status === 404 && statusOf(answer) !== undefined) return 'gone';
  if (answer.status !== 400) return undefined;
  return statusOf(answer)?.message.includes('waiting to start') === true ? 'waiting' : 'ended';
}

/** An API server that has just started may not know its users and their permissions yet. */
function isPassing({ reason }: TaskError, hasRead: boolean): boolean {
  if (reason === 'ClusterUnreachable') return true;
  return hasRead && (reason === 'CredentialsRejected' || reason === 'PermissionDenied');
}

function pauseAfter({ facts }: TaskError, failures: number): number {
  const asked = facts['retryAfterMs'];
  return typeof asked === 'number' ? asked : backoffMs(failures - 1);
}

async function readRound(reading: Reading): Promise<Round> {
  const { requests, ref, options, signal, attempt, position } = reading;
  const { namespace, name, container } = ref;
  const opened = await requests.transport.open({
    method: 'GET',
    path: resourcePath(pods, {
      namespace,
      name,
      subresource: 'log',
      query: {
        container,
        follow: options.previous === true ? undefined : 'true',
        previous: options.previous === true ? 'true' : undefined,
        timestamps: 'true',
        sinceTime: position.sinceMs === 0 ? undefined : new Date(position.sinceMs).toISOString(),
      },
    }),
    attempt,
    accept: '*/*',
    retry: 'never',
    signal,
  });
  if ('answer' in opened) return { round: 'refused', answer: opened.answer };
  try {
    return await readStream(reading, opened.stream);
  } catch (error) {
    throw connectionFailure(error, attempt, requests.transport.server);
  } finally {
    opened.stream.destroy();
  }
}

async function readStream(reading: Reading, stream: IncomingMessage): Promise<Round> {
  const { options, position, signal } = reading;
  const known = new Map(position.seen);
  let hasNews = false;
  let isUnstamped = false;
  let rest: StampedLine | undefined;
  stream.socket.setKeepAlive(true, 15_000);
  for await (const { text, isWhole } of boundedLines(stream, options.maxLineBytes ?? readLineLimit)) {
    if (isOver(signal)) break;
    const line = stamped(text);
    if (line === undefined) {
      isUnstamped = true;
      options.onLine(text);
    } else if (isKnown(known, line)) continue;
    else if (isWhole) {
      hasNews = true;
      give(reading, line);
    } else rest = line;
  }
  return isUnstamped ? { round: 'unstamped' } : { round: 'ended', hasNews, rest };
}

interface StampedLine {
  stamp: string;
  at: number;
  text: string;
}

/** Parses `2026-03-01T12:00:00.123456789Z text`, with the time of the node. */
function stamped(line: string): StampedLine | undefined {
  const [, stamp = '', text = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) ?(.*)$/s.exec(line) ?? [];
  const at = Date.parse(stamp);
  return Number.isNaN(at) ? undefined : { stamp, at, text };
}

/** Several lines may have the same time, so times are counted. */
function isKnown(known: Map<string, number>, { stamp }: StampedLine): boolean {
  const times = known.get(stamp) ?? 0;
  if (times === 0) return false;
  known.set(stamp, times - 1);
  return true;
}

function give({ options, position }: Reading, { stamp, at, text }: StampedLine): void {
  position.seen.set(stamp, (position.seen.get(stamp) ?? 0) + 1);
  const sinceMs = Math.floor(at / 1000) * 1000 - replayMs;
  if (sinceMs > position.sinceMs) {
    position.sinceMs = sinceMs;
    for (const old of position.seen.keys()) if (Date.parse(old) < sinceMs) position.seen.delete(old);
  }
  options.onLine(text);
}
