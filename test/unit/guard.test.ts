import assert from 'node:assert/strict';
import fc from 'fast-check';
import { leaseSeconds, renewSeconds } from '../../tasks/common/core/lock/lease';
import { duty, startOfDuty, type GuardAction, type GuardEvent, type GuardLimits } from '../../tasks/common/guard/duty';
import { guardLimits } from '../../tasks/common/guard/limits';
import { messageLine, readMessage, type GuardMessage } from '../../tasks/common/guard/messages';

const linux = guardLimits('linux');
const windows = guardLimits('win32');

interface Done {
  atMs: number;
  actions: readonly GuardAction[];
}

/**
 * Plays events at their times, checks in between when the guard asks for it, and returns the actions with their times.
 */
function play(
  events: readonly (readonly [atMs: number, event: GuardEvent])[],
  { limits = linux, untilMs = 60_000, endsAt = {} }: Play = {},
): Done[] {
  const left = [...events];
  const done: Done[] = [];
  let state = startOfDuty(0);
  let lookAt: number | undefined;
  const step = (event: GuardEvent, atMs: number): void => {
    const next = duty(state, event, atMs, limits);
    state = next.state;
    lookAt = next.lookInMs === undefined ? undefined : atMs + next.lookInMs;
    if (next.actions.length > 0) done.push({ atMs, actions: next.actions });
  };
  step({ event: 'looked', gone: [] }, 0);
  for (;;) {
    const [nextAt, event] = left[0] ?? [Infinity, undefined];
    const atMs = Math.min(nextAt, lookAt ?? Infinity);
    if (atMs > untilMs || done.at(-1)?.actions.some(({ action }) => action === 'exit') === true) return done;
    if (event !== undefined && nextAt === atMs) {
      left.shift();
      step(event, atMs);
    } else {
      const gone = state.watched.map(({ mark }) => mark).filter((mark) => (endsAt[mark] ?? Infinity) <= atMs);
      step({ event: 'looked', gone }, atMs);
    }
  }
}

interface Play {
  limits?: GuardLimits;
  untilMs?: number;
  /** The time at which the Helm of a mark ends without a signal. */
  endsAt?: Readonly<Record<string, number>>;
}

const upgrade = { event: 'watch', mark: 'upgrade', kind: 'interruptible' } as const;
const rollback = { event: 'watch', mark: 'rollback', kind: 'final' } as const;
const ownerGone = { event: 'ownerGone' } as const;

function alive(atMs: number): readonly [number, GuardEvent] {
  return [atMs, { event: 'alive', atMs }];
}

/** Each action in one word, with its second. */
function story(done: readonly Done[]): string[] {
  return done.flatMap(({ atMs, actions }) =>
    actions
      .filter(({ action }) => action !== 'search')
      .map((each) => `${(atMs / 1000).toFixed(1)} ${each.action}${'mark' in each ? ` ${each.mark}` : ''}`),
  );
}

describe('the decisions of the guard', () => {
  it('task gone during an upgrade: Helm is interrupted once, at once, and the guard exits when Helm has ended', () => {
    const done = play([alive(0), [1000, upgrade], alive(5000), [6000, ownerGone]], { endsAt: { upgrade: 6020 } });
    assert.deepEqual(story(done), ['6.0 interrupt upgrade', '6.1 exit']);
  });

  it('task gone during a rollback: Helm may finish', () => {
    const done = play([alive(0), [1000, rollback], [2000, ownerGone]], { endsAt: { rollback: 20_000 } });
    assert.deepEqual(story(done), ['20.0 exit']);
  });

  it('task gone, Helm does not end: killed 27 s after the last renewal began, not after the task went', () => {
    const done = play([[1000, upgrade], [1100, rollback], alive(10_000), [12_000, ownerGone]], {
      endsAt: { upgrade: 37_050, rollback: 37_050 },
    });
    assert.deepEqual(story(done), ['12.0 interrupt upgrade', '37.0 kill upgrade', '37.0 kill rollback', '37.1 exit']);
  });

  it('task silent for 20 s: Helm is interrupted, and killed before another run can take the lease', () => {
    const done = play([alive(0), [1000, upgrade]], { endsAt: { upgrade: 27_050 }, untilMs: 120_000 });
    assert.deepEqual(story(done), ['20.0 interrupt upgrade', '27.0 kill upgrade']);
    assert.ok(linux.killAfterMs < leaseSeconds * 1000);
  });

  it('task silent: the time counts from the start of its last renewal, long before it reported that', () => {
    const done = play(
      [
        [8000, { event: 'alive', atMs: 1000 }],
        [9000, upgrade],
      ],
      { endsAt: { upgrade: 21_010 } },
    );
    assert.deepEqual(story(done), ['21.0 interrupt upgrade']);
  });

  it('a renewal cannot have begun later than now, whatever a message claims', () => {
    const done = play(
      [
        [2000, upgrade],
        [3000, { event: 'alive', atMs: 900_000 }],
      ],
      { endsAt: { upgrade: 23_010 } },
    );
    assert.deepEqual(story(done), ['23.0 interrupt upgrade']);
  });

  it('everything was paused for a minute: a message that waited in the pipe counts with its real age', () => {
    const done = play(
      [
        [1000, upgrade],
        [61_000, { event: 'alive', atMs: 2000 }],
      ],
      { untilMs: 62_000 },
    );
    assert.deepEqual(story(done).slice(0, 2), ['20.0 interrupt upgrade', '27.0 kill upgrade']);
    const woken = duty(startOfDuty(0), upgrade, 1000, linux).state;
    const { actions } = duty(woken, { event: 'alive', atMs: 2000 }, 61_000, linux);
    assert.deepEqual(actions, [{ action: 'search' }, { action: 'kill', mark: 'upgrade' }]);
  });

  it('task silent and back: its next Helm runs on and is watched like the first one', () => {
    const next = { ...upgrade, mark: 'next' };
    const done = play(
      [
        alive(0),
        [1000, upgrade],
        [30_000, { event: 'done', mark: 'upgrade' }],
        alive(31_000),
        [32_000, next],
        alive(36_000),
        [40_000, ownerGone],
      ],
      { endsAt: { upgrade: 20_050, next: 40_050 } },
    );
    assert.deepEqual(story(done), ['20.0 interrupt upgrade', '40.0 interrupt next', '40.1 exit']);
  });

  it('a Helm that a task starts with a stale lease is interrupted', () => {
    const done = play([alive(0), [25_000, upgrade], [28_000, rollback]], {
      endsAt: { upgrade: 25_010, rollback: 28_010 },
    });
    assert.deepEqual(story(done), ['25.0 interrupt upgrade', '28.0 kill rollback']);
  });

  it('regular renewals cause no action for an hour', () => {
    const hour = 3_600_000;
    const step = renewSeconds * 1000;
    const renewals = Array.from({ length: hour / step }, (_, index) => alive(index * step));
    assert.deepEqual(play([[0, upgrade], ...renewals], { untilMs: hour }), []);
  });

  it('task gone after Helm has ended: the guard exits at once', () => {
    const done = play([alive(0), [1000, upgrade], [2000, { event: 'done', mark: 'upgrade' }], [3000, ownerGone]]);
    assert.deepEqual(story(done), ['3.0 exit']);
  });

  it('a Helm that was not reported is searched for when the task is gone, and again when it is silent', () => {
    const searches = (done: readonly Done[]) =>
      done.filter(({ actions }) => actions.some(({ action }) => action === 'search')).map(({ atMs }) => atMs);
    assert.deepEqual(searches(play([alive(0), [1000, ownerGone]])), [1000]);
    assert.deepEqual(searches(play([alive(0), [30_000, ownerGone]])), [20_000, 30_000]);
    // The search result counts although the task is gone.
    const found = play([alive(0), [1000, ownerGone], [1000, upgrade]], { endsAt: { upgrade: 1050 } });
    assert.deepEqual(story(found), ['1.0 interrupt upgrade', '1.1 exit']);
  });

  it('a Helm that cannot be killed does not keep the guard alive for ever', () => {
    const done = story(play([alive(0), [1000, rollback], [2000, ownerGone]]));
    assert.equal(done[0], '27.0 kill rollback');
    assert.equal(done.at(-1), '37.0 exit');
  });

  it('Windows has no signals: Helm is only killed, at the end of its time', () => {
    const done = play([alive(0), [1000, upgrade], [2000, ownerGone]], { limits: windows, endsAt: { upgrade: 27_050 } });
    assert.deepEqual(story(done), ['27.0 kill upgrade', '27.1 exit']);
  });

  it('for any events: no rollback is interrupted or killed early, no Helm is interrupted twice, the guard ends', () => {
    const event: fc.Arbitrary<GuardEvent> = fc.oneof(
      fc.record({ event: fc.constant('alive' as const), atMs: fc.integer({ min: 0, max: 100_000 }) }),
      fc.constantFrom<GuardEvent>(
        upgrade,
        rollback,
        { event: 'done', mark: 'upgrade' },
        { event: 'done', mark: 'rollback' },
      ),
    );
    const timed = fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), event), { maxLength: 20 });
    fc.assert(
      fc.property(timed, fc.integer({ min: 0, max: 110_000 }), (drawn, goneAt) => {
        const events = [...drawn, [goneAt, ownerGone] as const].sort(([a], [b]) => a - b);
        const done = play(events, { untilMs: 300_000 });
        const all = done.flatMap(({ atMs, actions }) => actions.map((action) => ({ atMs, action })));
        assert.ok(!all.some(({ action }) => action.action === 'interrupt' && action.mark === 'rollback'));
        for (const { atMs } of all.filter(({ action }) => action.action === 'kill')) {
          const renewals = events.flatMap(([at, each]) =>
            each.event === 'alive' ? [{ at, began: Math.min(each.atMs, at) }] : [],
          );
          const before = renewals.findLast(({ at }) => at < atMs)?.began ?? 0;
          // Whether a renewal of the same millisecond came before the kill is not known here.
          const last = [before, ...renewals.filter(({ at }) => at === atMs).map(({ began }) => began)];
          assert.ok(last.some((began) => atMs - began >= linux.killAfterMs));
        }
        const starts = events.filter(([, each]) => each.event === 'watch').length;
        assert.ok(all.filter(({ action }) => action.action === 'interrupt').length <= starts);
        assert.equal(all.at(-1)?.action.action, 'exit');
        assert.ok((all.at(-1)?.atMs ?? 0) <= Math.max(goneAt, 100_000) + linux.killAfterMs + linux.patienceMs);
      }),
    );
  });
});

describe('messages to the guard', () => {
  it('are read as they were written', () => {
    const messages: GuardMessage[] = [
      { event: 'alive', atMs: 12.5 },
      upgrade,
      rollback,
      { event: 'done', mark: 'a/1/2' },
    ];
    assert.deepEqual(
      messages.map((message) => readMessage(messageLine(message).trimEnd())),
      messages,
    );
  });

  it('of unknown shape are ignored', () => {
    const lines = [
      '',
      'alive',
      'null',
      '[]',
      '{"event":"alive"}',
      '{"event":"watch","mark":"m"}',
      '{"event":"exit","mark":"m"}',
    ];
    assert.deepEqual(
      lines.map(readMessage),
      lines.map(() => undefined),
    );
  });
});
