import { asTaskError, TaskError, type FailureReason } from '../../core/failure';
import type { KubeObject, ObjectRef } from '../../core/kubernetes/object';
import {
  inherited,
  leaseObject,
  leaseRecord,
  leaseRef,
  leaseSeconds,
  nextTransitions,
  sightOf,
  turn,
  type LeaseContent,
  type LeaseRecord,
  type Sight,
  type Turn,
} from '../../core/lock/lease';
import {
  refusedMessage,
  reminderText,
  takenText,
  unreadText,
  unusableMessage,
  waitingText,
  type Locked,
} from '../../core/lock/leaseWords';
import type { Clock } from '../../core/ports';
import { stopIfCancelled, type LeaseContext } from '../../core/releaseContext';
import { orCancelled, within } from '../steps/bounded';

export interface Taken {
  object: KubeObject;
  content: LeaseContent;
  /** When the write that acquired the lease began. */
  begun: Moment;
  /** The record before this run acquired the lease. */
  previous: LeaseRecord | undefined;
}

/** `unlocked`: the lease cannot be used, and the log has the reason. `later`: the namespace does not exist yet. */
type Acquired = { state: 'held'; taken: Taken } | { state: 'unlocked' } | { state: 'later' };

export interface Moment {
  monotonicMs: number;
  wallMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.now().getTime() };
}

const pollMs = 2000;
const remindMs = 15_000;
const retryMs = 1000;
const answerMs = 10_000;
/** The last read falls within the wait also if the holder died just before the wait began. */
const marginMs = 2000;
/** A step that ends must not wait longer for the release of its lease. */
export const farewellMs = 2500;

export function lockedOf({ request, namespace }: LeaseContext): Locked {
  return { release: request.releaseName, namespace };
}

/**
 * Waits up to the lock's timeout for the lease. Throws `ReleaseLocked` after the timeout, `Cancelled`, and the error of
 * a lease that cannot be read. A lease that cannot be used is an error for lock `required` and a warning otherwise.
 */
export async function acquireLease(context: LeaseContext): Promise<Acquired> {
  const contest = beginContest(context);
  try {
    for (;;) {
      stopIfCancelled(context.signal);
      const acquired = await tryOnce(contest);
      if (acquired !== undefined) return acquired;
    }
  } catch (thrown) {
    await giveBack(contest);
    throw thrown;
  }
}

interface Contest {
  context: LeaseContext;
  ref: ObjectRef;
  startedMs: number;
  limitMs: number;
  /** The lease as it was last read. `sight` knows since when it is unchanged. */
  seen: { record: LeaseRecord | undefined; object: KubeObject | undefined } | undefined;
  sight: Sight | undefined;
  /** The lease before our first write without an answer. That write may have succeeded. */
  attempted: { previous: LeaseRecord | undefined } | undefined;
  logged: { holder: string; atMs: number } | undefined;
  wasDenied: boolean;
  hadConflict: boolean;
}

function beginContest(context: LeaseContext): Contest {
  const { clock, namespace, request } = context;
  return {
    context,
    ref: leaseRef(namespace, request.releaseName),
    startedMs: clock.monotonicMs(),
    limitMs: Math.max(request.lockTimeoutSeconds, leaseSeconds) * 1000,
    seen: undefined,
    sight: undefined,
    attempted: undefined,
    logged: undefined,
    wasDenied: false,
    hadConflict: false,
  };
}

function waitedMs({ context, startedMs }: Contest): number {
  return context.clock.monotonicMs() - startedMs;
}

async function tryOnce(contest: Contest): Promise<Acquired | undefined> {
  try {
    const next = await readLease(contest);
    if (next.turn === 'wait') await wait(contest, next.milliseconds);
    else return { state: 'held', taken: await take(contest, next) };
  } catch (thrown) {
    return afterError(contest, asTaskError(thrown));
  }
  return undefined;
}

/** A connection may hang, so the wait for an answer is limited. */
function answerTo<T>({ context }: Contest, request: Promise<T>): Promise<T> {
  return orCancelled(within(context.clock, answerMs, request), context.signal);
}

async function readLease(contest: Contest): Promise<Turn> {
  const { context } = contest;
  const { cluster, clock, holder } = context;
  const object = await answerTo(contest, cluster.get(contest.ref));
  const record = object === undefined ? undefined : leaseRecord(object);
  const nowMs = clock.monotonicMs();
  contest.seen = { record, object };
  contest.sight = record === undefined ? undefined : sightOf(record, contest.sight, nowMs);
  if (record?.holder !== holder.identity || record.process !== holder.process) contest.attempted = undefined;
  const isOver = context.isHelmStopped === true || record?.work === undefined;
  const isOwnGone = record?.holder === holder.identity && isOver && context.isProcessGone(record.process);
  return turn(record, contest.sight, { me: holder, isOwnProcessGone: isOwnGone }, nowMs);
}

/** Throws `Conflict` when another run was faster. */
async function take(contest: Contest, next: Exclude<Turn, { turn: 'wait' }>): Promise<Taken> {
  const { agent, clock, holder } = contest.context;
  const found = contest.seen?.record;
  const previous = contest.attempted === undefined ? found : contest.attempted.previous;
  const now = clock.now();
  const content: LeaseContent = {
    holder,
    acquiredAt: now,
    renewedAt: now,
    transitions: found === undefined ? 0 : nextTransitions(found),
    work: undefined,
    left: inherited(found),
  };
  contest.attempted = { previous };
  const taken = await write(contest, content, contest.seen?.object);
  if (next.turn === 'take' && found !== undefined && contest.logged !== undefined) {
    agent.log(takenText(next.because, waitedMs(contest), found));
  }
  return { ...taken, content, previous };
}

async function write(
  contest: Contest,
  content: LeaseContent,
  found: KubeObject | undefined,
): Promise<Pick<Taken, 'object' | 'begun'>> {
  const { context, ref } = contest;
  const { clock, cluster } = context;
  const begun = momentOf(clock);
  const wanted = leaseObject(ref, found, content);
  if (found !== undefined) return { object: await answerTo(contest, cluster.update(wanted)), begun };
  const created = await answerTo(contest, cluster.create(wanted));
  // Renewing at once shows before the first change whether the identity may update a Lease.
  const renewed = leaseObject(ref, created, { ...content, renewedAt: clock.now() });
  return { object: await answerTo(contest, cluster.update(renewed)), begun };
}

const unusable: readonly FailureReason[] = ['PermissionDenied', 'ApplyRejected', 'KindNotServed'];

async function afterRefusal(contest: Contest, error: TaskError): Promise<Acquired | undefined> {
  const { agent, clock, request, signal } = contest.context;
  // A restarting API server refuses everything for a moment, so one refused write is tried again.
  if (contest.seen !== undefined && !contest.wasDenied) {
    contest.wasDenied = true;
    await clock.sleep(retryMs, signal);
    return undefined;
  }
  const message = unusableMessage(lockedOf(contest.context), error.message);
  if (request.lock === 'required') throw new TaskError(error.reason, message, { cause: error, facts: error.facts });
  agent.warning(`${message} Until then nothing keeps another run from changing the release at the same time.`);
  return { state: 'unlocked' };
}

/** The next read usually shows the run that was faster. A server that calls every write a conflict must not be asked without end. */
async function afterConflict(contest: Contest, error: TaskError): Promise<undefined> {
  const { clock, signal } = contest.context;
  if (waitedMs(contest) >= contest.limitMs) throw error;
  if (contest.hadConflict) await clock.sleep(retryMs, signal);
  contest.hadConflict = true;
}

async function afterError(contest: Contest, error: TaskError): Promise<Acquired | undefined> {
  const { clock, signal } = contest.context;
  const isServersFault = Number(error.facts['status'] ?? 0) >= 500;
  if (error.reason === 'Conflict') return afterConflict(contest, error);
  if (error.reason === 'NamespaceMissing') return { state: 'later' };
  if (unusable.includes(error.reason) && !isServersFault) return afterRefusal(contest, error);
  // If the lease was never read, the step reports the unreachable cluster soon.
  const mayPass = error.reason === 'ClusterUnreachable' || isServersFault;
  if (!mayPass || contest.seen === undefined || waitedMs(contest) >= contest.limitMs) throw error;
  if (isReminderDue(contest)) {
    logAndNote(contest, contest.logged?.holder ?? '', unreadText(waitedMs(contest), contest.limitMs, error.message));
  }
  await clock.sleep(retryMs, signal);
  return undefined;
}

async function wait(contest: Contest, untilExpiryMs: number): Promise<void> {
  const { clock, signal } = contest.context;
  const record = contest.seen?.record;
  if (record === undefined) return;
  const restMs = contest.limitMs + marginMs - waitedMs(contest);
  if (restMs <= 0) throw refused(contest, record);
  logWait(contest, record, untilExpiryMs);
  // Contenders that began at the same moment must not keep polling at the same moment.
  const spreadMs = pollMs * (0.75 + Math.random() / 2);
  await clock.sleep(Math.ceil(Math.min(spreadMs, untilExpiryMs, restMs)), signal);
}

function refused(contest: Contest, record: LeaseRecord): TaskError {
  const { context } = contest;
  const locked = lockedOf(context);
  return new TaskError('ReleaseLocked', refusedMessage(locked, record, waitedMs(contest)), {
    facts: { release: locked.release, namespace: locked.namespace, holder: record.holder, link: record.link },
  });
}

function logWait(contest: Contest, record: LeaseRecord, untilExpiryMs: number): void {
  const { logged, limitMs } = contest;
  const waited = waitedMs(contest);
  if (logged?.holder !== record.holder) {
    logAndNote(contest, record.holder, waitingText(lockedOf(contest.context), record, waited, limitMs));
    return;
  }
  if (!isReminderDue(contest)) return;
  const quietMs = record.durationSeconds * 1000 - untilExpiryMs;
  logAndNote(contest, record.holder, reminderText(record, { waitedMs: waited, limitMs, quietMs, untilExpiryMs }));
}

function isReminderDue({ context, logged, startedMs }: Contest): boolean {
  return context.clock.monotonicMs() - (logged?.atMs ?? startedMs) >= remindMs;
}

function logAndNote(contest: Contest, holder: string, text: string): void {
  const { agent, clock } = contest.context;
  agent.log(text);
  contest.logged = { holder, atMs: clock.monotonicMs() };
}

/** Releases a lease that a write without an answer may have acquired. Never throws. */
async function giveBack(contest: Contest): Promise<void> {
  const { context, ref, attempted } = contest;
  if (attempted === undefined) return;
  try {
    await within(context.clock, farewellMs, releaseOwn(context, ref));
  } catch {
    context.agent.debug('It is not known whether the lock was taken; if so, it expires.');
  }
}

async function releaseOwn({ clock, cluster, holder }: LeaseContext, ref: ObjectRef): Promise<void> {
  const object = await cluster.get(ref);
  if (object === undefined) return;
  const record = leaseRecord(object);
  const isOurs = record.holder === holder.identity && record.process === holder.process && holder.process !== '';
  if (!isOurs) return;
  const { transitions, work, left, acquiredAt } = record;
  const now = clock.now();
  const acquired = acquiredAt === '' ? now : new Date(acquiredAt);
  const content = { holder: undefined, acquiredAt: acquired, renewedAt: now, transitions, work, left };
  await cluster.update(leaseObject(ref, object, content));
}
