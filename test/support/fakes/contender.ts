import { objectKey } from '../../../tasks/common/core/kubernetes/manifest';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import { leaseRecord, leaseRef, trustSeconds, type LeaseRecord } from '../../../tasks/common/core/lock/lease';
import type { Cluster } from '../../../tasks/common/core/ports';
import type { LeaseContext } from '../../../tasks/common/core/releaseContext';
import { unreachable } from './disturbance';
import { fakeCluster, type FakeCluster } from './fakeCluster';
import { recordingAgent, type RecordingAgent } from './recordingAgent';
import { simulatedTime, type SimulatedTime } from './simulatedTime';

export const release = 'shop';
export const namespace = 'prod';
export const ref = leaseRef(namespace, release);

/** One API server for all contenders, and the true time. */
export interface World {
  time: SimulatedTime;
  server: FakeCluster;
  /** The Lease as it is stored there. */
  lease(): LeaseRecord | undefined;
  object(): KubeObject | undefined;
  /** A person writes a note into the Lease. */
  readonly annotate: () => void;
}

export function world(): World {
  const time = simulatedTime();
  const server = fakeCluster(time);
  server.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const object = (): KubeObject | undefined => server.objects.get(objectKey(ref));
  return {
    time,
    server,
    object,
    lease() {
      const found = object();
      return found === undefined ? undefined : leaseRecord(found);
    },
    annotate() {
      const found = object();
      if (found === undefined) return;
      const annotations = { ...found.metadata.annotations, note: String(time.elapsed()) };
      server.put({ ...found, metadata: { ...found.metadata, annotations } });
    },
  };
}

export type LeaseCall = 'get' | 'create' | 'update';

/** The fate of one request. By default it is done and answered at once. */
export interface Fate {
  /** The time of the request on its way to the server, and of the answer on its way back. */
  thereMs?: number;
  backMs?: number;
  /** `before`: the request is not done. `after`: it is done, but the answer is an error. */
  fails?: 'before' | 'after';
  error?: () => Error;
  /** The request is not done, and no answer ever comes. */
  hangs?: boolean;
}

export interface ContenderOptions {
  name: string;
  process?: string;
  /** The error of its wall clock. */
  skewMs?: number;
  /** The speed of its monotonic clock compared with the true time. */
  rate?: number;
  request?: Partial<LeaseContext['request']>;
  isProcessGone?: (mark: string) => boolean;
  fate?: (call: LeaseCall, atMs: number, count: number) => Fate | undefined;
}

/** A process that wants the lease. */
export interface Contender {
  context: LeaseContext;
  agent: RecordingAgent;
  cancel: AbortController;
  /** The calls `get`, `create` and `update`, with the time of each request. */
  calls: { call: LeaseCall; atMs: number }[];
  /** The messages to the guard, with their times. */
  heartbeats: { atMs: number; ageMs: number }[];
  /** The true time until which it may regard the lease as its own. -Infinity without a lease. */
  trustedUntilMs(): number;
  /** Like SIGSTOP until SIGCONT: nothing runs in the process, and it sees later what arrived meanwhile. */
  freeze(milliseconds: number): void;
  /** The machine sleeps, and its monotonic clock stands still too. */
  suspend(milliseconds: number): void;
  /** Like SIGKILL. */
  readonly kill: () => void;
  /** Resolves when the process is killed. */
  killed: Promise<'killed'>;
}

const origin = Date.parse('2026-01-01T00:00:00Z');

export function contender({ time, server }: World, options: ContenderOptions): Contender {
  const { name, skewMs = 0, rate = 1 } = options;
  const agent = recordingAgent();
  const cancel = new AbortController();
  const calls: Contender['calls'] = [];
  const heartbeats: Contender['heartbeats'] = [];
  let frozenUntilMs = 0;
  let isKilled = false;
  let suspendedMs = 0;
  let tellKilled = (_word: 'killed'): void => undefined;
  const killed = new Promise<'killed'>((resolve) => {
    tellKilled = resolve;
  });
  const never = new AbortController().signal;

  /** A process continues after any wait only while it runs. */
  const whenRunning = async (): Promise<void> => {
    if (isKilled) await new Promise(() => undefined);
    while (frozenUntilMs > time.elapsed()) {
      await time.sleep(frozenUntilMs - time.elapsed(), never);
      if (isKilled) await new Promise(() => undefined);
    }
  };

  const request = async <T>(call: LeaseCall, act: () => Promise<T>): Promise<T> => {
    calls.push({ call, atMs: time.elapsed() });
    const fate = options.fate?.(call, time.elapsed(), calls.length) ?? {};
    const { thereMs = 0, backMs = 0, fails, error = unreachable, hangs = false } = fate;
    if (hangs) await new Promise(() => undefined);
    try {
      if (thereMs > 0) await time.sleep(thereMs, never);
      if (fails === 'before') throw error();
      const answer = await act();
      if (fails === 'after') throw error();
      return answer;
    } finally {
      if (backMs > 0) await time.sleep(backMs, never);
      await whenRunning();
    }
  };

  const cluster: Cluster = {
    ...server,
    get: (wanted, how) => request('get', () => server.get(wanted, how)),
    create: (object) => request('create', () => server.create(object)),
    update: (object) => request('update', () => server.update(object)),
  };

  return {
    agent,
    cancel,
    calls,
    heartbeats,
    killed,
    trustedUntilMs() {
      const last = heartbeats.at(-1);
      return last === undefined ? -Infinity : last.atMs + (trustSeconds * 1000 - last.ageMs) / rate;
    },
    freeze(milliseconds) {
      frozenUntilMs = Math.max(frozenUntilMs, time.elapsed() + milliseconds);
    },
    suspend(milliseconds) {
      suspendedMs += milliseconds;
      frozenUntilMs = time.elapsed() + milliseconds;
    },
    kill() {
      isKilled = true;
      tellKilled('killed');
    },
    context: {
      agent,
      cluster,
      clock: {
        now: () => new Date(origin + time.elapsed() + skewMs),
        monotonicMs: () => (time.elapsed() - suspendedMs) * rate + 12_345,
        async sleep(milliseconds, signal) {
          await time.sleep(milliseconds / rate, signal);
          await whenRunning();
        },
      },
      guard: { alive: (ageMs) => void heartbeats.push({ atMs: time.elapsed(), ageMs }) },
      namespace,
      signal: cancel.signal,
      holder: {
        identity: `fabrikam/Shop, ${name}`,
        link: `https://dev.example/${name}`,
        process: options.process ?? `machine/${name}/1`,
        run: '',
      },
      isProcessGone: options.isProcessGone ?? (() => false),
      request: { releaseName: release, lock: 'preferred', lockTimeoutSeconds: 300, ...options.request },
    },
  };
}
