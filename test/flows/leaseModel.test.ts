import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TaskError } from '../../tasks/common/core/failure';
import { withLease, type FlowLease } from '../../tasks/common/flows/lock/lease';
import { contender, world, type Contender, type Fate, type LeaseCall, type World } from '../support/fakes/contender';

/** What happens to one contender. Times are milliseconds of the simulation. */
interface Life {
  startMs: number;
  skewMs: number;
  /** The speed of its monotonic clock, in percent of the true time. */
  ratePercent: number;
  /** The duration of each of its changes. */
  stepsMs: number[];
  freezes: { atMs: number; forMs: number }[];
  killedAtMs: number | undefined;
  /**
   * The fates of its requests, by their count. The first request succeeds, because a server that never answered is not
   * waited for.
   */
  fates: Fate[];
  leavesToExpire: boolean;
}

/** The longest time of a request on its way to the server. */
const slowestMs = 12_000;

const times = (max: number) => fc.integer({ min: 0, max });

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ thereMs: times(300), backMs: times(300) }) },
  { weight: 2, arbitrary: fc.record({ thereMs: times(slowestMs), backMs: times(slowestMs) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      thereMs: times(2000),
      backMs: times(2000),
      fails: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ hangs: true }) },
);

const life: fc.Arbitrary<Life> = fc.record({
  startMs: times(10_000),
  skewMs: fc.constantFrom(-600_000, 0, 600_000),
  ratePercent: fc.integer({ min: 95, max: 105 }),
  stepsMs: fc.array(times(15_000), { minLength: 1, maxLength: 8 }),
  freezes: fc.array(fc.record({ atMs: times(60_000), forMs: times(80_000) }), { maxLength: 4 }),
  killedAtMs: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: times(90_000) }),
  fates: fc.array(fate, { maxLength: 40 }),
  leavesToExpire: fc.boolean(),
});

const history = fc.record({
  lives: fc.array(life, { minLength: 2, maxLength: 5 }),
  /** The times at which somebody writes a note into the Lease. */
  notesMs: fc.array(times(120_000), { maxLength: 3 }),
});

type End = 'done' | 'killed' | 'lost' | 'unreachable';

interface Change {
  by: Contender;
  atMs: number;
}

/** Makes a change only while the lease is trusted, and fails when another contender could trust the lease too. */
function change(the: World, by: Contender, all: readonly Contender[], changes: Change[], over: Set<Contender>): void {
  const atMs = the.time.elapsed();
  assert.ok(atMs <= by.trustedUntilMs(), `${by.context.holder.identity} changes at ${atMs} without trust`);
  for (const other of all) {
    const trusts = other !== by && !over.has(other) && other.trustedUntilMs() >= atMs;
    assert.ok(!trusts, `${other.context.holder.identity} trusts its lease too at ${atMs}`);
  }
  const mine = changes.findIndex((made) => made.by === by);
  const between = mine < 0 ? [] : changes.slice(mine).filter((made) => made.by !== by);
  assert.deepEqual(between, [], `${by.context.holder.identity} goes on at ${atMs} after another`);
  changes.push({ by, atMs });
}

async function live(
  us: Contender,
  { startMs, stepsMs, leavesToExpire }: Life,
  act: () => void,
  end: () => void,
): Promise<End> {
  const { clock } = us.context;
  const never = new AbortController().signal;
  const flow = async (lease: FlowLease): Promise<void> => {
    try {
      if (leavesToExpire) lease.leaveToExpire();
      await lease.begin({ action: 'upgrade', revision: 1 });
      act();
      for (const milliseconds of stepsMs) {
        await clock.sleep(milliseconds, never);
        await lease.confirm();
        act();
      }
      await lease.settled();
    } finally {
      end();
    }
  };
  const run = clock.sleep(startMs, never).then(() => withLease(us.context, flow));
  const done: Promise<End> = run.then(
    () => 'done',
    (thrown: unknown) => {
      if (thrown instanceof TaskError && thrown.reason === 'LeaseLost') return 'lost';
      if (thrown instanceof TaskError && thrown.reason === 'ClusterUnreachable') return 'unreachable';
      throw thrown;
    },
  );
  return Promise.race([done, us.killed]);
}

async function play({ lives, notesMs }: { lives: Life[]; notesMs: number[] }): Promise<End[]> {
  const the = world();
  const changes: Change[] = [];
  const over = new Set<Contender>();
  const all = lives.map(({ skewMs, ratePercent, fates }, index) =>
    contender(the, {
      name: `run ${index}`,
      skewMs,
      rate: ratePercent / 100,
      // This timeout is longer than the whole simulation, so every living contender must get the lease.
      request: { lockTimeoutSeconds: 3600 },
      fate: (_call: LeaseCall, _atMs: number, count: number) => fates[count - 2],
    }),
  );
  for (const atMs of notesMs) the.time.after(atMs, the.annotate);
  lives.forEach(({ freezes, killedAtMs }, index) => {
    const us = all[index];
    if (us === undefined) return;
    for (const { atMs, forMs } of freezes)
      the.time.after(atMs, () => {
        us.freeze(forMs);
      });
    if (killedAtMs !== undefined) the.time.after(killedAtMs, us.kill);
  });
  const ends = await Promise.all(
    lives.map((each, index) => {
      const us = all[index];
      if (us === undefined) throw new Error('no contender');
      return live(
        us,
        each,
        () => {
          change(the, us, all, changes, over);
        },
        () => over.add(us),
      );
    }),
  );
  // A write that was sent before the end may arrive later, and a note counts as a sign of life.
  const quietFromMs = Math.max(the.time.elapsed() + slowestMs, ...notesMs);
  const last = contender(the, { name: 'last', request: { lockTimeoutSeconds: 3600 } });
  await withLease(last.context, () => Promise.resolve());
  const freeMs = the.time.elapsed() - quietFromMs;
  assert.ok(freeMs <= 33_000, `free only ${freeMs} ms after everybody had ended`);
  return ends;
}

describe('any number of contenders for a lease', function () {
  this.timeout(180_000);

  it('stopped, killed, cut off or with wrong clocks, no two trust the lease at once, and all living contenders get it', async () => {
    const counts: Record<End, number> = { done: 0, killed: 0, lost: 0, unreachable: 0 };
    await fc.assert(
      fc.asyncProperty(history, async (each) => {
        for (const end of await play(each)) counts[end]++;
      }),
      { numRuns: 80 },
    );
    // Without enough of each ending the model would prove nothing.
    const { done, killed, lost } = counts;
    assert.ok(Math.min(done, killed, lost) >= 4, JSON.stringify(counts));
  });
});
