import assert from 'node:assert/strict';
import { TaskError, type FailureReason } from '../../tasks/common/core/failure';
import { isAbandoned, leaseObject, type LeaseContent } from '../../tasks/common/core/lock/lease';
import { objectKey } from '../../tasks/common/core/kubernetes/manifest';
import type { Revision } from '../../tasks/common/core/release/release';
import { withLease, type FlowLease } from '../../tasks/common/flows/lock/lease';
import {
  contender,
  ref,
  world,
  type Contender,
  type ContenderOptions,
  type Fate,
  type LeaseCall,
  type World,
} from '../support/fakes/contender';

const never = new AbortController().signal;

/** Writes another run into the Lease as its holder. */
function otherHolds(the: World, more: Partial<LeaseContent> = {}): void {
  const now = the.time.now();
  const holder = {
    identity: 'fabrikam/Shop, other',
    link: 'https://dev.example/other',
    process: 'elsewhere/1/1',
    run: '',
  };
  const content = { holder, acquiredAt: now, renewedAt: now, transitions: 9, work: undefined, left: [], ...more };
  the.server.put(leaseObject(ref, the.object(), content));
}

/** The other run lives and renews its lease until then. */
function otherRenewsUntil(the: World, untilMs: number, more: Partial<LeaseContent> = {}): void {
  otherHolds(the, more);
  if (the.time.elapsed() + 5000 > untilMs) return;
  the.time.after(5000, () => {
    otherRenewsUntil(the, untilMs, more);
  });
}

function reasonOf(thrown: unknown): FailureReason | undefined {
  return thrown instanceof TaskError ? thrown.reason : undefined;
}

async function rejection(promise: Promise<unknown>): Promise<TaskError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof TaskError)) throw new Error(`No TaskError was thrown but: ${String(thrown)}`);
  return thrown;
}

const answers =
  (reason: FailureReason, facts: Record<string, string | number> = {}) =>
  (): Error =>
    new TaskError(reason, `The server says ${reason}.`, { facts });

interface Play {
  the: World;
  us: Contender;
}

function play(options: Partial<ContenderOptions> = {}, the = world()): Play {
  return { the, us: contender(the, { name: 'run 7', ...options }) };
}

const held = ({ the, us }: Play): boolean => the.lease()?.holder === us.context.holder.identity;

const updates = ({ us }: Play): number[] => us.calls.filter(({ call }) => call === 'update').map(({ atMs }) => atMs);

describe('a held lease', () => {
  it('exists before the flow begins, is renewed while it runs, and is released after it', async () => {
    const one = play();
    const answer = await withLease(one.us.context, async (lease) => {
      assert.equal(lease.state, 'held');
      assert.equal(lease.previous, undefined);
      assert.ok(held(one));
      await one.us.context.clock.sleep(32_000, never);
      assert.ok(held(one));
      return 'deployed';
    });
    assert.equal(answer, 'deployed');
    assert.deepEqual(updates(one).slice(1), [5000, 10_000, 15_000, 20_000, 25_000, 30_000, 32_000]);
    assert.equal(one.the.lease()?.holder, '');
    assert.deepEqual(
      one.us.heartbeats.map(({ atMs }) => atMs),
      [0, 5000, 10_000, 15_000, 20_000, 25_000, 30_000],
    );
    const after = one.us.calls.length;
    await one.the.time.sleep(60_000, never);
    assert.equal(one.us.calls.length, after, 'renewed after the end');
  });

  it("is released when the flow fails, and the flow's own error is thrown", async () => {
    const one = play();
    await assert.rejects(
      withLease(one.us.context, () => Promise.reject(new Error('helm is gone'))),
      /helm is gone/,
    );
    assert.equal(one.the.lease()?.holder, '');
  });

  it("is left to expire when the server is gone at the end, and the flow's error is reported soon", async () => {
    let isGone = false;
    const one = play({ fate: () => (isGone ? { hangs: true } : undefined) });
    const ended = withLease(one.us.context, async () => {
      await one.the.time.sleep(100, never);
      isGone = true;
      throw new Error('helm is gone');
    });
    await assert.rejects(ended, /helm is gone/);
    assert.ok(one.the.time.elapsed() <= 3000, String(one.the.time.elapsed()));
    assert.match(one.us.agent.lines.join('\n'), /could not be released; it expires within 30 s/);
  });

  it('is released even if somebody writes a note into it at the end', async () => {
    const one = play();
    await withLease(one.us.context, () => {
      one.the.annotate();
      return Promise.resolve();
    });
    assert.equal(one.the.lease()?.holder, '');
  });

  it('is left to expire when every release of it is refused as a conflict, after a few requests', async () => {
    let isRefused = false;
    const one = play({
      fate: (call) => {
        const answered = { thereMs: 1 };
        return isRefused && call === 'update' ? { ...answered, fails: 'before', error: answers('Conflict') } : answered;
      },
    });
    await withLease(one.us.context, () => {
      isRefused = true;
      return Promise.resolve();
    });
    assert.ok(updates(one).length <= 6, `${updates(one).length} updates`);
    assert.match(one.us.agent.lines.join('\n'), /could not be released/);
  });

  it('stays ours when somebody keeps writing notes into it', async () => {
    const one = play();
    await withLease(one.us.context, async (lease) => {
      for (let count = 0; count < 40; count++) {
        one.the.annotate();
        await one.the.time.sleep(1300, never);
      }
      await lease.confirm();
      assert.equal(lease.lost.aborted, false);
    });
    assert.equal(one.the.object()?.metadata.annotations?.['note'], '50700');
  });

  it('is left to expire when a change that was begun may still be at work', async () => {
    const one = play();
    await withLease(one.us.context, (lease) => {
      lease.leaveToExpire();
      return Promise.resolve();
    });
    assert.ok(held(one));
  });
});

describe('a lease that cannot be renewed for a while', () => {
  const trouble = (error: () => Error): Play & { from: number; to: number } => {
    const [from, to] = [12_000, 32_000];
    const fate = (_call: LeaseCall, atMs: number): Fate | undefined =>
      atMs >= from && atMs < to ? { fails: 'before', error } : undefined;
    return { ...play({ fate }), from, to };
  };

  const errors: [string, () => Error][] = [
    ['the API server is stopped', answers('ClusterUnreachable')],
    ['too many requests', answers('ClusterUnreachable', { status: 429 })],
    ['a webhook of the cluster fails', answers('ApplyRejected', { status: 500 })],
    ['rights are not there for a moment', answers('PermissionDenied', { status: 403 })],
  ];
  for (const [title, error] of errors) {
    it(`${title} for 20 s: the lease is not lost, and a change waits until it is renewed`, async () => {
      const one = trouble(error);
      await withLease(one.us.context, async (lease) => {
        const { clock } = one.us.context;
        await clock.sleep(29_900, never);
        await lease.confirm();
        assert.equal(one.the.time.elapsed(), 29_900, 'still trusted, 19.9 s after the last renewal');
        await clock.sleep(300, never);
        await lease.confirm();
        const waited = one.the.time.elapsed();
        assert.ok(waited >= one.to && waited < one.to + 1500, `confirmed at ${waited}`);
        assert.equal(lease.lost.aborted, false);
      });
      const silent = one.us.heartbeats.filter(({ atMs }) => atMs >= one.from && atMs < one.to);
      assert.deepEqual(silent, [], 'the guard was told that the lease was renewed');
      const tries = updates(one).filter((atMs) => atMs >= 15_000 && atMs < 29_000);
      assert.ok(tries.length >= 13 && tries.length <= 15, `tried ${tries.length} times in 14 s`);
      const said = one.us.agent.lines.join('\n');
      assert.match(said, /could not be renewed for 10 s; it is tried again every second: The server says/);
      assert.match(said, /is renewed again, after 2\d s/);
    });
  }

  it('when the server stays away, the flow ends before its next change and names the reason', async () => {
    const fate = (_call: LeaseCall, atMs: number): Fate | undefined => (atMs > 0 ? { fails: 'before' } : undefined);
    const one = play({ fate });
    await withLease(one.us.context, async (lease) => {
      await one.us.context.clock.sleep(25_000, never);
      assert.equal((await rejection(lease.confirm())).reason, 'ClusterUnreachable');
    });
    assert.ok(one.the.time.elapsed() < 100_000);
  });

  it('when a connection hangs, the next try succeeds before the lease can no longer be trusted', async () => {
    const fate = (call: LeaseCall, atMs: number): Fate | undefined =>
      call === 'update' && atMs === 5000 ? { hangs: true } : undefined;
    const one = play({ fate });
    await withLease(one.us.context, async (lease) => {
      await one.us.context.clock.sleep(14_000, never);
      assert.ok(one.us.trustedUntilMs() > 30_000, String(one.us.trustedUntilMs()));
      await lease.confirm();
      assert.equal(one.the.time.elapsed(), 14_000);
    });
  });

  it('an answer that took 15 s counts from the time of its request', async () => {
    const fate = (call: LeaseCall, atMs: number): Fate | undefined =>
      call === 'update' && atMs >= 5000 && atMs < 25_000 ? { backMs: 15_000 } : undefined;
    const one = play({ fate });
    await withLease(one.us.context, async () => {
      await one.us.context.clock.sleep(60_000, never);
    });
    const late = one.us.heartbeats.filter(({ ageMs }) => ageMs > 0);
    assert.ok(late.length > 0);
    for (const { atMs, ageMs } of late) assert.ok(updates(one).includes(atMs - ageMs), `${atMs} ${ageMs}`);
  });

  it('when the answer to a successful renewal is lost, the lease is still ours', async () => {
    const fate = (call: LeaseCall, atMs: number): Fate | undefined =>
      call === 'update' && atMs === 5000 ? { fails: 'after' } : undefined;
    const one = play({ fate });
    await withLease(one.us.context, async (lease) => {
      await one.us.context.clock.sleep(8000, never);
      assert.equal(lease.lost.aborted, false);
      assert.ok(one.us.trustedUntilMs() >= 26_000);
    });
    assert.equal(one.the.lease()?.holder, '');
  });

  it('a cancelled flow does not wait to make a change while the server is away', async () => {
    let isCancelled = false;
    const one = play({ fate: () => (isCancelled ? { fails: 'before', error: answers('Cancelled') } : undefined) });
    await withLease(one.us.context, async (lease) => {
      isCancelled = true;
      await one.us.context.clock.sleep(25_000, never);
      assert.equal((await rejection(lease.confirm())).reason, 'Cancelled');
      assert.equal(one.the.time.elapsed(), 25_000);
    });
  });
});

describe('a lost lease', () => {
  it('when another run took the lease, the next renewal sees it, no further change is made, and the lease is left alone', async () => {
    const one = play();
    const thrown = await rejection(
      withLease(one.us.context, async (lease) => {
        await one.us.context.clock.sleep(6000, never);
        otherHolds(one.the);
        await one.us.context.clock.sleep(4500, never);
        assert.ok(lease.lost.aborted);
        assert.equal(reasonOf(lease.lost.reason), 'LeaseLost');
        await assert.rejects(lease.begin({ action: 'rollback', revision: 8 }), { reason: 'LeaseLost' });
        await lease.settled();
        await lease.confirm();
      }),
    );
    assert.equal(thrown.reason, 'LeaseLost');
    assert.match(thrown.message, /taken by fabrikam\/Shop, other.*https:\/\/dev\.example\/other/);
    assert.equal(thrown.facts['link'], 'https://dev.example/other');
    assert.equal(one.the.lease()?.holder, 'fabrikam/Shop, other');
    assert.ok(
      one.us.heartbeats.every(({ atMs }) => atMs <= 6000),
      'the guard was told that we are alive',
    );
  });

  const changes: [string, (the: World) => void][] = [
    [
      'it was deleted',
      (the) => {
        the.server.take(objectKey(ref));
      },
    ],
    [
      'it was released by hand',
      (the) => {
        otherHolds(the, { holder: undefined });
      },
    ],
    [
      'the post-job phase of the same job has taken it',
      (the) => {
        const now = the.time.now();
        const holder = { identity: 'fabrikam/Shop, run 7', link: '', process: 'machine/post-job/1', run: '' };
        otherHolds(the, { holder, acquiredAt: now, transitions: 1 });
      },
    ],
  ];
  for (const [title, change] of changes) {
    it(`${title}: the next change is not made`, async () => {
      const one = play();
      await withLease(one.us.context, async (lease) => {
        await one.us.context.clock.sleep(6000, never);
        change(one.the);
        await one.us.context.clock.sleep(5000, never);
        assert.equal((await rejection(lease.confirm())).reason, 'LeaseLost');
      });
    });
  }

  it('a stopped holder that wakes up after another run took its lease fails before its next change', async () => {
    const the = world();
    const paused = contender(the, { name: 'paused' });
    const heir = contender(the, { name: 'heir' });
    let takenAt = 0;
    const first = withLease(paused.context, async (lease) => {
      await paused.context.clock.sleep(3000, never);
      paused.freeze(60_000);
      await paused.context.clock.sleep(1, never);
      // This is the first statement after the process wakes up.
      assert.equal(the.time.elapsed(), 63_000);
      await lease.confirm();
    });
    await the.time.sleep(4000, never);
    const second = withLease(heir.context, async (lease) => {
      takenAt = the.time.elapsed();
      assert.equal(lease.previous?.holder, paused.context.holder.identity);
      await heir.context.clock.sleep(90_000 - takenAt, never);
      await lease.confirm();
    });
    assert.equal((await rejection(first)).reason, 'LeaseLost');
    await second;
    assert.ok(takenAt > 30_000 && takenAt < 36_500, `taken at ${takenAt}`);
  });

  it('after the machine slept and its monotonic clock stood still, the holder does not trust its lease', async () => {
    const one = play();
    await withLease(one.us.context, async (lease) => {
      await one.us.context.clock.sleep(2000, never);
      one.us.suspend(120_000);
      one.the.time.after(60_000, () => {
        otherHolds(one.the);
      });
      await one.us.context.clock.sleep(1, never);
      assert.equal((await rejection(lease.confirm())).reason, 'LeaseLost');
    });
  });
});

describe('a lease that another run holds', () => {
  it('is waited for: the log names holder, place, start and wait at once, and again every 15 s', async () => {
    const one = play();
    otherRenewsUntil(one.the, 40_000, { work: { action: 'upgrade', revision: 7 } });
    one.the.time.after(42_000, () => {
      otherHolds(one.the, { holder: undefined });
    });
    await withLease(one.us.context, (lease) => {
      const now = one.the.time.elapsed();
      assert.ok(now >= 42_000 && now < 44_600, `taken at ${now}`);
      assert.equal(lease.previous?.link, 'https://dev.example/other');
      return Promise.resolve();
    });
    const { lines } = one.us.agent;
    assert.match(
      lines[0] ?? '',
      /^Another run holds the release shop in namespace prod: fabrikam\/Shop, other, since 2026-01-01 00:00:/,
    );
    assert.match(
      lines[0] ?? '',
      /, working on upgrade 7: https:\/\/dev\.example\/other\nWaiting for it, at most 5 min \(lockTimeout\)\.$/,
    );
    assert.match(
      lines[1] ?? '',
      /^Still waiting, 1[5-7] s of at most 5 min, for fabrikam\/Shop, other\. It is alive\.$/,
    );
    assert.match(lines[2] ?? '', /^Still waiting, 3[0-4] s of at most 5 min/);
    assert.match(lines[3] ?? '', /^The release is free after 4[2-4] s: it was released\.$/);
    assert.equal(lines.length, 4);
    const gets = one.us.calls.filter(({ call }) => call === 'get').length;
    assert.ok(gets >= 17 && gets <= 30, `asked ${gets} times in 42 s`);
  });

  it('is refused when lockTimeout is over, with the link to the holder, and stays unchanged', async () => {
    const one = play({ request: { lockTimeoutSeconds: 60 } });
    otherRenewsUntil(one.the, 200_000);
    const thrown = await rejection(withLease(one.us.context, () => Promise.reject(new Error('ran'))));
    assert.equal(thrown.reason, 'ReleaseLocked');
    assert.match(
      thrown.message,
      /^Waited 1 min( \d s)? for the release shop in namespace prod, which another run holds: .*https:\/\/dev\.example\/other$/,
    );
    assert.deepEqual(thrown.facts, {
      release: 'shop',
      namespace: 'prod',
      holder: 'fabrikam/Shop, other',
      link: 'https://dev.example/other',
    });
    const now = one.the.time.elapsed();
    assert.ok(now >= 60_000 && now <= 62_500, `refused at ${now}`);
    assert.equal(one.the.lease()?.holder, 'fabrikam/Shop, other');
  });

  for (const lockTimeoutSeconds of [0, 1, 30]) {
    it(`a dead holder is outlived even with a lockTimeout of ${lockTimeoutSeconds} s, because the wait lasts at least one lease duration`, async () => {
      const one = play({ request: { lockTimeoutSeconds } });
      otherHolds(one.the);
      await withLease(one.us.context, () => Promise.resolve());
      const now = one.the.time.elapsed();
      assert.ok(now >= 30_000 && now <= 31_000, `taken at ${now}`);
      assert.match(
        one.us.agent.lines.join('\n'),
        /It has not renewed its lock for 1[5-7] s; if it stays silent, its lock expires in 1[3-5] s/,
      );
      assert.match(
        one.us.agent.lines.at(-1) ?? '',
        /The release is free after 30 s: fabrikam\/Shop, other did not renew its lock for 30 s/,
      );
    });
  }

  for (const minutes of [-10, 10]) {
    it(`a wall clock that is off by ${minutes} min, ours or theirs, does not change the length of the wait`, async () => {
      const one = play({ skewMs: minutes * 60_000 });
      const theirs = new Date(one.the.time.now().getTime() - 2 * minutes * 60_000);
      otherHolds(one.the, { renewedAt: theirs, acquiredAt: theirs });
      await withLease(one.us.context, () => Promise.resolve());
      const now = one.the.time.elapsed();
      assert.ok(now >= 30_000 && now <= 31_000, `taken at ${now}`);
    });
  }

  it('a note that somebody writes into a dead lease counts as a sign of life once', async () => {
    const one = play();
    otherHolds(one.the);
    one.the.time.after(20_000, () => {
      one.the.annotate();
    });
    await withLease(one.us.context, () => Promise.resolve());
    const now = one.the.time.elapsed();
    assert.ok(now >= 50_000 && now <= 53_000, `taken at ${now}`);
  });

  it('when the step is cancelled, the wait ends at that moment, and nothing was written', async () => {
    const one = play();
    otherHolds(one.the);
    one.the.time.after(7777, () => {
      one.us.cancel.abort();
    });
    const thrown = await rejection(withLease(one.us.context, () => Promise.reject(new Error('ran'))));
    assert.equal(thrown.reason, 'Cancelled');
    assert.equal(one.the.time.elapsed(), 7777);
    assert.deepEqual(updates(one), []);
  });

  it('when the step is cancelled during a hanging read, the wait ends at that moment', async () => {
    const one = play({ fate: (_call, atMs) => (atMs > 5000 ? { hangs: true } : undefined) });
    otherHolds(one.the);
    one.the.time.after(9000, () => {
      one.us.cancel.abort();
    });
    const thrown = await rejection(withLease(one.us.context, () => Promise.reject(new Error('ran'))));
    assert.equal(thrown.reason, 'Cancelled');
    assert.equal(one.the.time.elapsed(), 9000);
  });

  it('when the step is cancelled while it takes the lease, the lease is released', async () => {
    const fate = (call: LeaseCall): Fate | undefined => (call === 'update' ? { thereMs: 100, backMs: 900 } : undefined);
    const one = play({ fate });
    otherHolds(one.the, { holder: undefined, work: { action: 'upgrade', revision: 7 } });
    one.the.time.after(500, () => {
      one.us.cancel.abort();
    });
    const thrown = await rejection(withLease(one.us.context, () => Promise.reject(new Error('ran'))));
    assert.equal(thrown.reason, 'Cancelled');
    assert.equal(one.the.lease()?.holder, '');
    assert.deepEqual(
      one.the.lease()?.left.map(({ action, revision }) => `${action} ${revision}`),
      ['upgrade 7'],
    );
  });

  it('a step cancelled before it began sends no request', async () => {
    const one = play();
    one.us.cancel.abort();
    assert.equal((await rejection(withLease(one.us.context, () => Promise.resolve()))).reason, 'Cancelled');
    assert.deepEqual(one.us.calls, []);
  });

  it('when the API server restarts during the wait, the wait goes on for the same holder', async () => {
    const fate = (_call: LeaseCall, atMs: number): Fate | undefined =>
      atMs >= 10_000 && atMs < 30_000 ? { fails: 'before' } : undefined;
    const one = play({ fate });
    otherRenewsUntil(one.the, 32_000);
    one.the.time.after(35_000, () => {
      otherHolds(one.the, { holder: undefined });
    });
    await withLease(one.us.context, () => Promise.resolve());
    const now = one.the.time.elapsed();
    assert.ok(now >= 35_000 && now < 38_000, `taken at ${now}`);
    assert.match(
      one.us.agent.lines.join('\n'),
      /the holder of the release cannot be read now: The server did not answer/,
    );
  });

  it('hanging connections during the wait and the taking are replaced by new ones', async () => {
    let hung = 0;
    const fate = (call: LeaseCall, atMs: number): Fate | undefined => {
      const hangs = (call === 'get' && atMs > 3000 && hung === 0) || (call === 'update' && hung === 1);
      if (hangs) hung++;
      return { hangs };
    };
    const one = play({ fate });
    otherRenewsUntil(one.the, 6000);
    one.the.time.after(7000, () => {
      otherHolds(one.the, { holder: undefined });
    });
    await withLease(one.us.context, () => Promise.resolve());
    assert.equal(hung, 2);
    assert.ok(one.the.time.elapsed() < 30_000, String(one.the.time.elapsed()));
  });

  it('a server that never answered is reported as unreachable and not waited for', async () => {
    const one = play({ fate: () => ({ fails: 'before' }) });
    assert.equal((await rejection(withLease(one.us.context, () => Promise.resolve()))).reason, 'ClusterUnreachable');
    assert.equal(one.the.time.elapsed(), 0);
  });

  it('when the holder changes during the wait, the new one is named at once', async () => {
    const one = play();
    otherRenewsUntil(one.the, 6000);
    const third = { identity: 'fabrikam/Shop, third', link: '', process: 'x/1/1', run: '' };
    one.the.time.after(8000, () => {
      otherHolds(one.the, { holder: third });
    });
    one.the.time.after(12_000, () => {
      otherHolds(one.the, { holder: undefined });
    });
    await withLease(one.us.context, () => Promise.resolve());
    assert.match(
      one.us.agent.lines[1] ?? '',
      /^Another run holds .*: fabrikam\/Shop, third, since .*\n.*\(\d+ s have passed\)/,
    );
  });

  it('a lease of the same job is taken at once when its process has ended, for example by the post-job phase', async () => {
    const the = world();
    const main = contender(the, { name: 'run 7', process: 'machine/main/1' });
    const first = withLease(main.context, async (lease) => {
      await lease.begin({ action: 'upgrade', revision: 7 });
      await main.context.clock.sleep(500_000, never);
    });
    await the.time.sleep(3000, never);
    main.kill();
    assert.equal(await Promise.race([first, main.killed]), 'killed');
    const asked: string[] = [];
    const isProcessGone = (mark: string): boolean => asked.push(mark) > 0;
    const post = contender(the, { name: 'run 7', process: 'machine/post/2', isProcessGone });
    await withLease({ ...post.context, isHelmStopped: true }, (lease) => {
      assert.equal(the.time.elapsed(), 3000);
      assert.deepEqual(lease.previous?.work, { action: 'upgrade', revision: 7 });
      return Promise.resolve();
    });
    assert.deepEqual(asked, ['machine/main/1']);
  });

  it('the retry of a step that died during a change waits, because its Helm may still be at work', async () => {
    const the = world();
    const main = contender(the, { name: 'run 7', process: 'machine/main/1' });
    const first = withLease(main.context, async (lease) => {
      await lease.begin({ action: 'rollback', revision: 7 });
      await main.context.clock.sleep(500_000, never);
    });
    await the.time.sleep(3000, never);
    main.kill();
    assert.equal(await Promise.race([first, main.killed]), 'killed');
    const retry = contender(the, { name: 'run 7', process: 'machine/main/2', isProcessGone: () => true });
    await withLease(retry.context, () => Promise.resolve());
    assert.ok(the.time.elapsed() >= 30_000);
  });

  it('a process of the same job that may be alive is waited for like any other', async () => {
    const one = play({ process: 'machine/post/2' });
    const now = one.the.time.now();
    otherHolds(one.the, {
      acquiredAt: now,
      holder: { identity: 'fabrikam/Shop, run 7', link: '', process: 'machine/main/1', run: '' },
    });
    await withLease(one.us.context, () => Promise.resolve());
    assert.ok(one.the.time.elapsed() >= 30_000);
  });
});

describe('taking a lease when answers are lost', () => {
  it('ends with the error after the timeout, and asks once a second, when every write is a conflict', async () => {
    const one = play({
      fate: (call) => (call === 'get' ? { thereMs: 1 } : { thereMs: 1, fails: 'before', error: answers('Conflict') }),
    });
    const error = await rejection(withLease(one.us.context, () => Promise.resolve()));
    assert.equal(error.reason, 'Conflict');
    const limitMs = Math.max(one.us.context.request.lockTimeoutSeconds, 30) * 1000;
    assert.ok(one.the.time.elapsed() <= limitMs + 5000, String(one.the.time.elapsed()));
    assert.ok(one.us.calls.length <= (2 * limitMs) / 1000 + 10, `${one.us.calls.length} requests`);
  });

  it('a lease that was taken although the answer was an error is ours, and the previous work is still known', async () => {
    const fate = (call: LeaseCall, _atMs: number, count: number): Fate | undefined =>
      call === 'update' && count === 2 ? { fails: 'after' } : undefined;
    const one = play({ fate });
    otherHolds(one.the, { holder: undefined, work: { action: 'upgrade', revision: 7 } });
    await withLease(one.us.context, (lease) => {
      assert.equal(lease.state, 'held');
      assert.deepEqual(lease.previous?.work, { action: 'upgrade', revision: 7 });
      assert.ok(one.the.time.elapsed() <= 1000);
      return Promise.resolve();
    });
    assert.equal(one.the.lease()?.holder, '');
  });

  it('when another run was faster and died, the known work is that of the other run', async () => {
    const fate = (call: LeaseCall): Fate | undefined => (call === 'update' ? { thereMs: 100 } : undefined);
    const one = play({ fate });
    otherHolds(one.the, { holder: undefined, work: { action: 'upgrade', revision: 7 } });
    one.the.time.after(50, () => {
      otherHolds(one.the, { work: { action: 'rollback', revision: 8 } });
    });
    await withLease(one.us.context, (lease) => {
      assert.ok(one.the.time.elapsed() >= 30_000);
      assert.deepEqual(lease.previous?.work, { action: 'rollback', revision: 8 });
      return Promise.resolve();
    });
  });

  it('a lease that was created although the answer was an error is ours', async () => {
    const fate = (call: LeaseCall): Fate | undefined => (call === 'create' ? { fails: 'after' } : undefined);
    const one = play({ fate });
    await withLease(one.us.context, (lease) => {
      assert.equal(lease.previous, undefined);
      assert.ok(held(one));
      return Promise.resolve();
    });
  });

  it('ten runs that begin at the same moment get the lease one after the other', async () => {
    const the = world();
    const all = Array.from({ length: 10 }, (_, index) => contender(the, { name: `run ${index}` }));
    let inside = 0;
    let turns = 0;
    await Promise.all(
      all.map(({ context }) =>
        withLease(context, async (lease) => {
          inside++;
          assert.equal(inside, 1);
          await context.clock.sleep(700, never);
          await lease.confirm();
          turns++;
          inside--;
        }),
      ),
    );
    assert.equal(turns, 10);
  });
});

describe('without the right to use Leases', () => {
  const denied = answers('PermissionDenied', { status: 403 });
  const denials: [string, Fate['fails'], readonly LeaseCall[]][] = [
    ['read', 'before', ['get', 'create', 'update']],
    ['create', 'before', ['create', 'update']],
    ['update', 'before', ['update']],
  ];
  for (const [verb, fails = 'before', calls] of denials) {
    const fate = (call: LeaseCall): Fate | undefined => (calls.includes(call) ? { fails, error: denied } : undefined);

    it(`preferred, may not ${verb}: the rule to add is logged once, and the flow goes on without a lease`, async () => {
      const one = play({ fate });
      const answer = await withLease(one.us.context, async (lease) => {
        assert.equal(lease.state, 'unlocked');
        await lease.begin({ action: 'upgrade', revision: 1 });
        await one.us.context.clock.sleep(21_000, never);
        await lease.confirm();
        await lease.settled();
        await lease.acquireNow();
        assert.equal(lease.lost.aborted, false);
        return 'deployed';
      });
      assert.equal(answer, 'deployed');
      const [warning = '', ...others] = one.us.agent.warnings;
      assert.deepEqual(others, []);
      assert.match(warning, /The server says PermissionDenied/);
      assert.match(
        warning,
        /apiGroups: \["coordination\.k8s\.io"\], resources: \["leases"\], verbs: \["get", "create", "update"\]/,
      );
      assert.ok(one.us.heartbeats.length >= 5, 'the guard must hear that we live');
      assert.ok(one.us.heartbeats.every(({ ageMs }) => ageMs === 0));
    });

    it(`required, may not ${verb}: the run is refused with the rule to add`, async () => {
      const one = play({ fate, request: { lock: 'required' } });
      const thrown = await rejection(withLease(one.us.context, () => Promise.reject(new Error('ran'))));
      assert.equal(thrown.reason, 'PermissionDenied');
      assert.match(thrown.message, /resources: \["leases"\]/);
    });
  }

  it('when a policy of the cluster refuses the Lease, preferred goes on and required does not', async () => {
    const error = answers('ApplyRejected', { status: 403 });
    const fate = (call: LeaseCall): Fate | undefined => (call === 'create' ? { fails: 'before', error } : undefined);
    const one = play({ fate });
    await withLease(one.us.context, (lease) => {
      assert.equal(lease.state, 'unlocked');
      return Promise.resolve();
    });
    const other = play({ fate, request: { lock: 'required' } });
    const thrown = await rejection(withLease(other.us.context, () => Promise.resolve()));
    assert.equal(thrown.reason, 'ApplyRejected');
  });

  it('a server that denies everything for a moment after its start: the lease is still used', async () => {
    const fate = (call: LeaseCall, atMs: number): Fate | undefined =>
      call === 'create' && atMs < 900 ? { fails: 'before', error: denied } : undefined;
    const one = play({ fate, request: { lock: 'required' } });
    await withLease(one.us.context, (lease) => {
      assert.equal(lease.state, 'held');
      return Promise.resolve();
    });
  });

  it('a failing webhook of the cluster is no missing right, so nothing is done without the lease', async () => {
    const error = answers('ApplyRejected', { status: 500 });
    const fate = (call: LeaseCall, atMs: number): Fate | undefined =>
      call === 'create' && atMs < 20_000 ? { fails: 'before', error } : undefined;
    const one = play({ fate });
    await withLease(one.us.context, (lease) => {
      assert.equal(lease.state, 'held');
      assert.ok(one.the.time.elapsed() >= 20_000);
      return Promise.resolve();
    });
  });

  it('lock: off sends no request to the cluster, and the guard still receives signs of life', async () => {
    const one = play({ request: { lock: 'off' } });
    await withLease(one.us.context, async (lease) => {
      assert.equal(lease.state, 'unlocked');
      await one.us.context.clock.sleep(12_000, never);
      await lease.begin({ action: 'upgrade', revision: 1 });
    });
    assert.deepEqual(one.us.calls, []);
    assert.equal(one.us.heartbeats.length, 3);
  });
});

describe('a namespace that does not exist yet', () => {
  const missing = (): Play & { make: () => void } => {
    let isThere = false;
    const fate = (call: LeaseCall): Fate | undefined =>
      call === 'create' && !isThere ? { fails: 'before', error: answers('NamespaceMissing') } : undefined;
    return { ...play({ fate }), make: () => (isThere = true) };
  };

  it('the lease is acquired as soon as the namespace exists', async () => {
    const one = missing();
    await withLease(one.us.context, async (lease) => {
      assert.equal(lease.state, 'later');
      await lease.confirm();
      await one.us.context.clock.sleep(11_000, never);
      one.make();
      await lease.acquireNow();
      assert.equal(lease.state, 'held');
      await one.us.context.clock.sleep(20_000, never);
      assert.ok(held(one) && one.us.trustedUntilMs() > 45_000, 'it must be renewed too');
    });
    assert.equal(one.the.lease()?.holder, '');
    assert.equal(one.us.heartbeats.filter(({ atMs }) => atMs <= 11_000).length, 4);
  });

  it('a change acquires the lease even if the flow did not acquire it explicitly', async () => {
    const one = missing();
    await withLease(one.us.context, async (lease) => {
      one.make();
      await lease.begin({ action: 'install', revision: 1 });
      assert.deepEqual(one.the.lease()?.work, { action: 'install', revision: 1 });
    });
  });

  it('required: nothing is begun without the lease', async () => {
    const one = missing();
    const context = { ...one.us.context, request: { ...one.us.context.request, lock: 'required' as const } };
    const thrown = await rejection(withLease(context, (lease) => lease.begin({ action: 'install', revision: 1 })));
    assert.equal(thrown.reason, 'NamespaceMissing');
  });
});

describe('work that is begun under a lease', () => {
  const upgrade7 = { action: 'upgrade', revision: 7 } as const;
  const pending7 = (the: World, more: Partial<Revision> = {}): Revision =>
    ({ status: 'pending-upgrade', revision: 7, writtenAt: the.time.now(), ...more }) as Revision;

  it('is noted before it begins, and the note is removed when it is in order', async () => {
    const one = play();
    await withLease(one.us.context, async (lease) => {
      await lease.begin(upgrade7);
      assert.deepEqual(one.the.lease()?.work, upgrade7);
      await one.us.context.clock.sleep(12_000, never);
      assert.deepEqual(one.the.lease()?.work, upgrade7, 'a renewal must keep it');
      await lease.settled();
      assert.equal(one.the.lease()?.work, undefined);
    });
    assert.equal(one.the.object()?.metadata.annotations?.['helm-safe-deploy/work'], undefined);
  });

  it('stays noted in a lease that was released while the work was unfinished, so the next run knows at once', async () => {
    const one = play();
    await withLease(one.us.context, (lease) => lease.begin(upgrade7));
    const pending = pending7(one.the);
    const next = contender(one.the, { name: 'next' });
    await withLease(next.context, (lease) => {
      assert.equal(one.the.time.elapsed(), 0);
      assert.ok(isAbandoned(lease.previous, pending));
      return Promise.resolve();
    });
  });

  it('stays known when the run that was to repair it dies too', async () => {
    const one = play();
    const dies = async (name: string, flow: (lease: FlowLease, us: Contender) => Promise<void>): Promise<void> => {
      const us = contender(one.the, { name });
      const run = withLease(us.context, async (lease) => {
        await flow(lease, us);
        us.kill();
        await us.context.clock.sleep(1, never);
      });
      await Promise.race([run, us.killed]);
    };
    await dies('first', (lease) => lease.begin(upgrade7));
    const pending = pending7(one.the);
    await dies('second', (lease) => lease.begin({ action: 'rollback', revision: 8 }));
    await dies('third', () => Promise.resolve());
    await withLease(one.us.context, async (lease) => {
      assert.ok(isAbandoned(lease.previous, pending));
      assert.ok(isAbandoned(lease.previous, { ...pending, status: 'pending-rollback', revision: 8 }));
      const byHand = { ...pending, writtenAt: one.the.time.now() };
      assert.ok(!isAbandoned(lease.previous, byHand), 'what a person began since is none of ours');
      await lease.settled();
    });
    assert.deepEqual(one.the.lease()?.left, []);
  });

  it('a rollback that begins before the upgrade is in order leaves both known', async () => {
    const one = play();
    await withLease(one.us.context, async (lease) => {
      await lease.begin(upgrade7);
      await one.us.context.clock.sleep(1000, never);
      await lease.begin({ action: 'rollback', revision: 8 });
    });
    const left = one.the.lease();
    assert.ok(isAbandoned(left, { ...pending7(one.the), writtenAt: one.the.time.now() }));
    assert.ok(isAbandoned(left, pending7(one.the, { status: 'pending-rollback', revision: 8 })));
  });

  it('a change that could not be noted is not begun and is not reported to the next run', async () => {
    const isAway = (atMs: number): boolean => atMs > 0 && atMs < 70_000;
    const one = play({ fate: (_call, atMs) => (isAway(atMs) ? { fails: 'before' } : undefined) });
    await withLease(one.us.context, async (lease) => {
      await one.us.context.clock.sleep(1, never);
      assert.equal((await rejection(lease.begin(upgrade7))).reason, 'ClusterUnreachable');
      await one.us.context.clock.sleep(30_000, never);
    });
    assert.equal(one.the.lease()?.work, undefined);
    assert.equal(one.the.lease()?.holder, '');
  });

  it('a finished change that could not be noted is no error, and the next renewal notes it', async () => {
    const isAway = (atMs: number): boolean => atMs > 0 && atMs < 3000;
    const one = play({ fate: (_call, atMs) => (isAway(atMs) ? { fails: 'before' } : undefined) });
    await withLease(one.us.context, async (lease) => {
      await lease.begin(upgrade7);
      await one.us.context.clock.sleep(1, never);
      await lease.settled();
      assert.deepEqual(one.the.lease()?.work, upgrade7);
      await one.us.context.clock.sleep(6000, never);
      assert.equal(one.the.lease()?.work, undefined);
    });
  });
});
