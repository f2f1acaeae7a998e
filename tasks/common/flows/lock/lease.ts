import { TaskError } from '../../core/failure';
import type { LeaseRecord, Work } from '../../core/lock/lease';
import type { Lease, LeaseContext } from '../../core/releaseContext';
import { acquireLease } from './acquireLease';
import {
  confirm,
  holdingOf,
  keepRenewing,
  noteSettled,
  noteWork,
  release,
  renewMs,
  silentMs,
  type Holding,
} from './holdLease';

export interface FlowLease extends Lease {
  /** For work that may outlive the flow: the guard ends it before the lease expires. */
  leaveToExpire(): void;
}

/** Holds the lease while the flow runs. Throws what `acquireLease` and the flow throw, and nothing else. */
export async function withLease<T>(context: LeaseContext, flow: (lease: FlowLease) => Promise<T>): Promise<T> {
  const keeper = leaseKeeper(context);
  try {
    await keeper.acquire();
    keeper.beat().catch(() => undefined);
    return await flow(keeper.lease);
  } finally {
    await keeper.end();
  }
}

interface Keeper {
  lease: FlowLease;
  acquire(): Promise<void>;
  /** Renews the lease, and tells the guard that this process is alive. */
  beat(): Promise<void>;
  end(): Promise<void>;
}

function leaseKeeper(context: LeaseContext): Keeper {
  const { clock, guard, request } = context;
  const ended = new AbortController();
  const lost = new AbortController();
  let state: Lease['state'] = 'unlocked';
  let previous: LeaseRecord | undefined;
  let holding: Holding | undefined;
  let isLeftToExpire = false;

  const acquire = async (): Promise<void> => {
    const acquired = await acquireLease(context);
    state = acquired.state;
    if (acquired.state !== 'held') return;
    previous = acquired.taken.previous;
    holding = holdingOf(context, acquired.taken, { lost, ended: ended.signal });
    guard.alive(silentMs(holding));
  };

  const acquireNow = async (): Promise<void> => {
    if (state === 'later') await acquire();
  };

  const begin = async (work: Work): Promise<void> => {
    await acquireNow();
    if (state === 'later' && request.lock === 'required') throw noNamespace(context);
    if (holding !== undefined) await noteWork(holding, work);
  };

  return {
    acquire: () => (request.lock === 'off' ? Promise.resolve() : acquire()),
    async beat() {
      while (!ended.signal.aborted && !lost.signal.aborted) {
        if (holding === undefined) guard.alive(0);
        await (holding === undefined ? clock.sleep(renewMs, ended.signal) : keepRenewing(holding));
      }
    },
    async end() {
      ended.abort();
      if (holding !== undefined && !lost.signal.aborted && !isLeftToExpire) await release(holding);
    },
    lease: {
      get state() {
        return state;
      },
      get previous() {
        return previous;
      },
      lost: lost.signal,
      confirm: () => (holding === undefined ? Promise.resolve() : confirm(holding)),
      begin,
      settled: () => (holding === undefined ? Promise.resolve() : noteSettled(holding)),
      acquireNow,
      leaveToExpire() {
        isLeftToExpire = true;
      },
    },
  };
}

function noNamespace({ namespace, request }: LeaseContext): TaskError {
  const message = `The release ${request.releaseName} cannot be locked: there is no namespace ${namespace} for its Lease.`;
  return new TaskError('NamespaceMissing', message);
}
