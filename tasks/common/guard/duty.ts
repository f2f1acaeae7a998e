import type { GuardMessage, HelmKind } from './messages';

/** Unit: milliseconds. `silentAfterMs` and `killAfterMs` count from the start of the last renewal of the lease. */
export interface GuardLimits {
  /** The time after which a silent task has lost its right to write, or is about to lose it. */
  silentAfterMs: number;
  /** A Helm that still runs then is killed, because another run may write soon. */
  killAfterMs: number;
  lookEveryMs: number;
  /** How long after `killAfterMs` the guard waits for a Helm that cannot even be killed. */
  patienceMs: number;
  /** False on Windows, which has no signals. */
  canInterrupt: boolean;
}

interface Watched {
  mark: string;
  kind: HelmKind;
  isOrdered: boolean;
}

interface DutyState {
  /** When the last reported renewal began. */
  renewedAtMs: number;
  isOwnerGone: boolean;
  /** The owner is gone or silent, so its Helm must end. */
  isPressing: boolean;
  watched: readonly Watched[];
}

export type GuardEvent =
  | GuardMessage
  /** The task has ended in some way, which closed its end of the pipe. */
  | { event: 'ownerGone' }
  /** `gone` names the watched processes that have ended with their whole group. */
  | { event: 'looked'; gone: readonly string[] };

export type GuardAction =
  | { action: 'interrupt' | 'kill'; mark: string }
  /** Searches for a Helm of this task whose start was not reported. */
  | { action: 'search' }
  | { action: 'exit' };

interface DutyStep {
  state: DutyState;
  actions: readonly GuardAction[];
  /** Undefined: not before another event. */
  lookInMs: number | undefined;
}

export function startOfDuty(nowMs: number): DutyState {
  return { renewedAtMs: nowMs, isOwnerGone: false, isPressing: false, watched: [] };
}

/**
 * Decides what the guard does on an event. If the owner is gone or silent, an interruptible Helm is interrupted once,
 * and every Helm is killed shortly before the lease expires. A guard stays for a silent owner, which may come back.
 */
export function duty(before: DutyState, event: GuardEvent, nowMs: number, limits: GuardLimits): DutyStep {
  const seen = noted(before, event, nowMs);
  const quietMs = nowMs - seen.renewedAtMs;
  const isPressing = seen.isOwnerGone || quietMs >= limits.silentAfterMs;
  const state = { ...seen, isPressing };
  if (event.event === 'looked' && mayLeave(state, quietMs, limits)) {
    return { state, actions: [{ action: 'exit' }], lookInMs: undefined };
  }
  const orders = isPressing ? ordersFor(state, quietMs, limits) : [];
  const isNews = isPressing && (!before.isPressing || event.event === 'ownerGone');
  return {
    state: { ...state, watched: withOrders(state.watched, orders) },
    actions: [...(isNews ? [{ action: 'search' } as const] : []), ...orders],
    lookInMs: lookInMs(state, quietMs, limits),
  };
}

function noted(state: DutyState, event: GuardEvent, nowMs: number): DutyState {
  switch (event.event) {
    case 'alive':
      return { ...state, renewedAtMs: Math.min(event.atMs, nowMs) };
    case 'watch': {
      const { mark, kind } = event;
      const isKnown = state.watched.some((each) => each.mark === mark);
      return isKnown ? state : { ...state, watched: [...state.watched, { mark, kind, isOrdered: false }] };
    }
    case 'done':
      return { ...state, watched: state.watched.filter(({ mark }) => mark !== event.mark) };
    case 'ownerGone':
      return { ...state, isOwnerGone: true };
    case 'looked':
      return { ...state, watched: state.watched.filter(({ mark }) => !event.gone.includes(mark)) };
  }
}

function mayLeave({ isOwnerGone, watched }: DutyState, quietMs: number, limits: GuardLimits): boolean {
  return isOwnerGone && (watched.length === 0 || quietMs >= limits.killAfterMs + limits.patienceMs);
}

function ordersFor(
  { watched }: DutyState,
  quietMs: number,
  { killAfterMs, canInterrupt }: GuardLimits,
): { action: 'interrupt' | 'kill'; mark: string }[] {
  if (quietMs >= killAfterMs) return watched.map(({ mark }) => ({ action: 'kill', mark }));
  if (!canInterrupt) return [];
  return watched
    .filter(({ kind, isOrdered }) => kind === 'interruptible' && !isOrdered)
    .map(({ mark }) => ({ action: 'interrupt', mark }));
}

function withOrders(watched: readonly Watched[], orders: readonly { mark: string }[]): Watched[] {
  return watched.map((each) => (orders.some(({ mark }) => mark === each.mark) ? { ...each, isOrdered: true } : each));
}

function lookInMs(state: DutyState, quietMs: number, limits: GuardLimits): number | undefined {
  if (!state.isPressing) return limits.silentAfterMs - quietMs;
  if (state.watched.length > 0) return limits.lookEveryMs;
  return state.isOwnerGone ? 0 : undefined;
}
