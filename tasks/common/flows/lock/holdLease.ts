import { asTaskError, TaskError } from '../../core/failure';
import { lastWrite, type KubeObject, type ObjectRef } from '../../core/kubernetes/object';
import {
  isHeldBy,
  leaseObject,
  leaseRecord,
  leaseRef,
  renewSeconds,
  trustSeconds,
  withLeft,
  type LeaseContent,
  type LeaseRecord,
  type Work,
} from '../../core/lock/lease';
import { lostMessage, renewedText, unreleasedText, unrenewedText } from '../../core/lock/leaseWords';
import type { LeaseContext } from '../../core/releaseContext';
import { farewellMs, lockedOf, momentOf, type Moment, type Taken } from './acquireLease';
import { within } from '../steps/bounded';

export const renewMs = renewSeconds * 1000;
const trustMs = trustSeconds * 1000;
const retryMs = 1000;
/**
 * A hanging connection must not use up the time for which the lease is trusted. The next attempt uses another
 * connection, and the first attempt may still succeed.
 */
const attemptMs = 6000;
/**
 * How long a change waits for an API server that does not answer, such as one that restarts, before the change is given
 * up.
 */
const patienceMs = 60_000;
/** How long a change waits for an API server that answers, but refuses. */
const refusedPatienceMs = 10_000;
/** The log mentions renewals that have failed for this long. */
const troubleMs = 10_000;

/** A lease that this run holds, as far as it knows. */
export interface Holding {
  readonly context: LeaseContext;
  readonly ref: ObjectRef;
  /** The Lease as it was last read or written. */
  object: KubeObject;
  /** The content that the Lease should have. The next renewal at the latest writes a change of it. */
  content: LeaseContent;
  /** When the last successful write was begun. The lease is trusted from that moment. */
  begun: Moment;
  /** Aborts when another holder was seen. The reason of the signal is the error. */
  readonly lost: AbortController;
  loss: TaskError | undefined;
  /** Aborts when the flow is over. */
  readonly ended: AbortSignal;
  /** The queue of writes, which are made one after the other. */
  queue: Promise<unknown>;
  inTrouble: boolean;
}

export function holdingOf(
  context: LeaseContext,
  { object, content, begun }: Taken,
  signals: { lost: AbortController; ended: AbortSignal },
): Holding {
  const ref = leaseRef(context.namespace, context.request.releaseName);
  const queue = Promise.resolve();
  return { context, ref, object, content, begun, ...signals, loss: undefined, queue, inTrouble: false };
}

/** The time since the last successful write was begun. */
export function silentMs({ context, begun }: Holding): number {
  return context.clock.monotonicMs() - begun.monotonicMs;
}

/**
 * Returns true if nobody else can hold the lease now. The wall clock counts too: it goes on while the machine is
 * suspended, and the monotonic clock may stop. If somebody has set the wall clock, this costs at most one renewal.
 */
function isTrusted(holding: Holding): boolean {
  const wallMs = holding.context.clock.now().getTime() - holding.begun.wallMs;
  return silentMs(holding) <= trustMs && wallMs <= trustMs;
}

function throwIfLost({ loss }: Holding): void {
  if (loss !== undefined) throw loss;
}

/**
 * For the moment right before a change. Throws `LeaseLost`, or the reason why the holder of the lease cannot be known.
 */
export async function confirm(holding: Holding): Promise<void> {
  await renewWhile(holding, () => !isTrusted(holding));
}

/** Notes work in the Lease before the work is begun. */
export async function noteWork(holding: Holding, work: Work): Promise<void> {
  const { content, object } = holding;
  // Earlier work that was not settled stays noted, even if this process dies during the new work.
  holding.content = { ...content, work, left: withLeft(content.left, content.work, lastWrite(object)) };
  let isNoted = false;
  const note = (): void => {
    isNoted = true;
  };
  try {
    await renewWhile(holding, () => !isNoted || !isTrusted(holding), note);
  } catch (thrown) {
    holding.content = { ...holding.content, work: undefined };
    throw thrown;
  }
}

/** Notes that no work is left to settle. Never throws: the next renewal writes a note that failed now. */
export async function noteSettled(holding: Holding): Promise<void> {
  const { content, context } = holding;
  if (content.work === undefined && content.left.length === 0) return;
  holding.content = { ...content, work: undefined, left: [] };
  try {
    await inTurn(holding, () => renew(holding));
  } catch (thrown) {
    context.agent.debug(`That the release is in order is not noted in its Lease yet: ${asTaskError(thrown).message}`);
  }
}

/** Renews as long as a renewal is needed, and gives up on an API server that stays away. */
async function renewWhile(holding: Holding, isNeeded: () => boolean, done?: () => void): Promise<void> {
  const { clock } = holding.context;
  const startedMs = clock.monotonicMs();
  throwIfLost(holding);
  while (isNeeded()) {
    try {
      await inTurn(holding, async () => {
        // An earlier write in the queue may have made this one unnecessary, but never if there is work to note.
        if (!isNeeded()) return;
        await renew(holding);
        done?.();
      });
    } catch (thrown) {
      throwIfLost(holding);
      if (isHopeless(asTaskError(thrown), clock.monotonicMs() - startedMs)) throw thrown;
      await clock.sleep(retryMs, holding.ended);
    }
    throwIfLost(holding);
  }
}

function isHopeless({ reason }: TaskError, triedMs: number): boolean {
  if (reason === 'Cancelled') return true;
  const mayPass = reason === 'ClusterUnreachable' || reason === 'Conflict';
  return triedMs > (mayPass ? patienceMs : refusedPatienceMs);
}

function inTurn<T>(holding: Holding, act: () => Promise<T>): Promise<T> {
  const result = holding.queue.then(act);
  holding.queue = result.catch(() => undefined);
  return result;
}

async function renew(holding: Holding): Promise<void> {
  throwIfLost(holding);
  try {
    await write(holding);
  } catch (thrown) {
    if (asTaskError(thrown).reason !== 'Conflict') throw thrown;
    await lookAgain(holding);
    await write(holding);
  }
}

async function write(holding: Holding): Promise<void> {
  const { clock, cluster } = holding.context;
  const begun = momentOf(clock);
  const wanted = leaseObject(holding.ref, holding.object, { ...holding.content, renewedAt: clock.now() });
  const written = cluster.update(wanted).then((object) => {
    accept(holding, object, begun);
  });
  await within(clock, attemptMs, written);
}

/** Accepts also an answer that nobody waits for any more: the write that it answers was done. */
function accept(holding: Holding, object: KubeObject, begun: Moment): void {
  if (holding.ended.aborted || begun.monotonicMs < holding.begun.monotonicMs) return;
  holding.object = object;
  holding.begun = begun;
  holding.context.guard.alive(silentMs(holding));
}

/**
 * Reads the Lease after a conflict. Another process may have noted something in it, an earlier write of ours may have
 * succeeded without an answer, or there may be another holder.
 */
async function lookAgain(holding: Holding): Promise<void> {
  const { clock, cluster, holder } = holding.context;
  const object = await within(clock, attemptMs, cluster.get(holding.ref));
  const seen = object === undefined ? undefined : leaseRecord(object);
  if (object !== undefined && isHeldBy(seen, holder, holding.content.transitions)) {
    holding.object = object;
    return;
  }
  if (holding.ended.aborted) throw new TaskError('Cancelled', 'The lock was released.');
  throw lose(holding, seen);
}

function lose(holding: Holding, seen: LeaseRecord | undefined): TaskError {
  const locked = lockedOf(holding.context);
  const facts = { ...locked, holder: seen?.holder ?? '', link: seen?.link ?? '' };
  const loss = new TaskError('LeaseLost', lostMessage(locked, seen, silentMs(holding)), { facts });
  holding.loss = loss;
  holding.lost.abort(loss);
  return loss;
}

/**
 * One step of renewing beside the flow. Never throws: an error does not lose the lease, and the renewal is tried again.
 */
export async function keepRenewing(holding: Holding): Promise<void> {
  const { agent, clock } = holding.context;
  const silentBefore = silentMs(holding);
  if (silentBefore < renewMs) {
    await clock.sleep(renewMs - silentBefore, holding.ended);
    return;
  }
  try {
    await inTurn(holding, () => renew(holding));
    if (holding.inTrouble) agent.log(renewedText(silentBefore));
    holding.inTrouble = false;
  } catch (thrown) {
    sayTrouble(holding, asTaskError(thrown));
    await clock.sleep(retryMs, holding.ended);
  }
}

function sayTrouble(holding: Holding, { message }: TaskError): void {
  const { context, ended, inTrouble, lost } = holding;
  const isOver = ended.aborted || lost.signal.aborted || context.signal.aborted;
  if (isOver || inTrouble || silentMs(holding) < troubleMs) return;
  holding.inTrouble = true;
  context.agent.log(unrenewedText(silentMs(holding), message));
}

/** Gives the lease back. Work that is not settled stays noted in it. Takes little time, and never throws. */
export async function release(holding: Holding): Promise<void> {
  const { agent, clock } = holding.context;
  const over = new AbortController();
  try {
    await within(clock, farewellMs, releaseUnless(over.signal, holding));
  } catch (thrown) {
    agent.log(unreleasedText(asTaskError(thrown).message));
  } finally {
    over.abort();
  }
}

/** Does not wait for a renewal that is under way: the API server refuses the later of the two writes. */
async function releaseUnless(isOver: AbortSignal, { context, content, object, ref }: Holding): Promise<void> {
  const { clock, cluster, holder } = context;
  let seen: KubeObject = object;
  while (!isOver.aborted) {
    try {
      await cluster.update(leaseObject(ref, seen, { ...content, holder: undefined, renewedAt: clock.now() }));
      return;
    } catch (thrown) {
      if (asTaskError(thrown).reason !== 'Conflict') throw thrown;
    }
    const found = await cluster.get(ref);
    if (found === undefined || !isHeldBy(leaseRecord(found), holder, content.transitions)) return;
    seen = found;
  }
}
