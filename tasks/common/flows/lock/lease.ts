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

/** The lease as seen by the flow that it was acquired for. */
export interface FlowLease extends Lease {
  /**
   * For work that may still run when the flow ends: the lease is not given back but left to expire. By then the guard
   * has ended that work.
   */
  leaveToExpire(): void;
}

/**
 * Runs a flow that may change the release. Acquires the lease of the release, renews it while the flow runs, and gives
 * it back however the flow ends. Throws what acquiring throws (see `acquireLease`) and what the flow throws, nothing
 * else.
 */
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
  /** Renews the lease, and signals to the guard that this process is alive, until the end. */
  beat(): Promise<void>;
  /** Never throws. */
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
        if (holding !== undefined) {
          await keepRenewing(holding);
        } else {
          guard.alive(0);
          await clock.sleep(renewMs, ended.signal);
        }
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
      confirm: async () => {
        if (holding !== undefined) await confirm(holding);
      },
      begin,
      settled: async () => {
        if (holding !== undefined) await noteSettled(holding);
      },
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
