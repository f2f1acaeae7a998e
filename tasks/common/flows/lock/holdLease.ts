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
/** A hanging connection must not use up the time for which the lease is trusted. The next attempt uses another one. */
const attemptMs = 6000;
/** How long a change waits for an API server that does not answer, for example because it restarts. */
const patienceMs = 60_000;
/** How long a change waits for an API server that answers, but refuses. */
const refusedPatienceMs = 10_000;
const troubleMs = 10_000;

/** A lease that this run holds, as far as it knows. */
export interface Holding {
  readonly context: LeaseContext;
  readonly ref: ObjectRef;
  /** The Lease as it was last read or written. */
  object: KubeObject;
  /** The desired content, which the next renewal writes at the latest. */
  content: LeaseContent;
  /** When the last successful write began. The lease is trusted from that moment. */
  begun: Moment;
  /** Aborts with the error when another holder was seen. */
  readonly lost: AbortController;
  loss: TaskError | undefined;
  /** Aborts when the flow is over. */
  readonly ended: AbortSignal;
  /** Writes are done one after the other. */
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

/** The time since the last successful write began. */
export function silentMs({ context, begun }: Holding): number {
  return context.clock.monotonicMs() - begun.monotonicMs;
}

/** The wall clock counts too: it goes on while the machine is suspended, and the monotonic clock may stop. */
function isTrusted(holding: Holding): boolean {
  const wallMs = holding.context.clock.now().getTime() - holding.begun.wallMs;
  return silentMs(holding) <= trustMs && wallMs <= trustMs;
}

function throwIfLost({ loss }: Holding): void {
  if (loss !== undefined) throw loss;
}

/** Throws `LeaseLost`, or the reason why the holder of the lease cannot be known. */
export async function confirm(holding: Holding): Promise<void> {
  await renewWhile(holding, () => !isTrusted(holding));
}

/** Records work in the Lease before it begins. */
export async function noteWork(holding: Holding, work: Work): Promise<void> {
  const { content, object } = holding;
  // Earlier unfinished work stays recorded, even if this process dies during the new work.
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

/** Never throws: the next renewal writes what could not be written now. */
export async function noteSettled(holding: Holding): Promise<void> {
  const { content, context } = holding;
  if (content.work === undefined && content.left.length === 0) return;
  holding.content = { ...content, work: undefined, left: [] };
  try {
    await inTurn(holding, () => renew(holding));
  } catch (thrown) {
    context.agent.debug(`The Lease does not show yet that the release is in order: ${asTaskError(thrown).message}`);
  }
}

async function renewWhile(holding: Holding, isNeeded: () => boolean, done?: () => void): Promise<void> {
  const { clock } = holding.context;
  const startedMs = clock.monotonicMs();
  throwIfLost(holding);
  while (isNeeded()) {
    try {
      await inTurn(holding, async () => {
        // An earlier write in the queue may have renewed the lease.
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

/** Accepts also an answer that nobody waits for any more: that write was done. */
function accept(holding: Holding, object: KubeObject, begun: Moment): void {
  if (holding.ended.aborted || begun.monotonicMs < holding.begun.monotonicMs) return;
  holding.object = object;
  holding.begun = begun;
  holding.context.guard.alive(silentMs(holding));
}

/** After a conflict, the Lease may have another holder, a note of another process, or an earlier write of ours. */
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

/** Never throws: an error does not lose the lease, and the renewal is tried again. */
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
    logTrouble(holding, asTaskError(thrown));
    await clock.sleep(retryMs, holding.ended);
  }
}

function logTrouble(holding: Holding, { message }: TaskError): void {
  const { context, ended, inTrouble, lost } = holding;
  const isOver = ended.aborted || lost.signal.aborted || context.signal.aborted;
  if (isOver || inTrouble || silentMs(holding) < troubleMs) return;
  holding.inTrouble = true;
  context.agent.log(unrenewedText(silentMs(holding), message));
}

/** Unfinished work stays recorded. Takes little time, and never throws. */
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
  for (let conflicts = 0; !isOver.aborted; conflicts += 1) {
    if (conflicts > 1) await clock.sleep(retryMs, isOver);
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
