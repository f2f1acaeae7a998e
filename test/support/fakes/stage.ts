import { setMaxListeners } from 'node:events';
import type { DeployRequest } from '../../../tasks/common/core/inputs/deployRequest';
import { TaskError } from '../../../tasks/common/core/failure';
import { readInterruption, type Interruption } from '../../../tasks/common/core/lock/interruption';
import type { KubeObject } from '../../../tasks/common/core/kubernetes/object';
import type { Clock, Follower, HelmResult } from '../../../tasks/common/core/ports';
import type { Revision } from '../../../tasks/common/core/release/release';
import type { DeployStart } from '../../../tasks/common/core/releaseContext';
import type { DeployReport } from '../../../tasks/common/core/report/report';
import { interruptionVariable } from '../../../tasks/common/core/inputs/taskVariables';
import { deploy } from '../../../tasks/common/flows/deploy/deploy';
import { repair } from '../../../tasks/common/flows/deploy/repair';
import { unreachable } from './disturbance';
import { fakeCluster, type FakeCluster } from './fakeCluster';
import { fakeHelm, type FakeChart, type FakeHelmOptions } from './fakeHelm';
import { fakePlanStore } from './fakePlanStore';
import { fakeRollbackHelm, workingRollbackHelm } from './fakeRollbackHelm';
import { fakeStorage, type FakeStorage } from './fakeStorage';
import { assertReport } from '../reportSchema';
import { sha256 } from '../rollbackScene';
import { recordingAgent, type RecordingAgent } from './recordingAgent';
import { inNamespace, namespace, owned, plainRequest, release } from './scene';
import { simulatedTime, type SimulatedTime } from './simulatedTime';

/** The fate of a Helm whose task is killed. `interrupted`: by the guard. `goes on`: there is no guard. */
export type HelmFate = 'dies' | 'goes on' | 'interrupted';

/**
 * A mishap of a process. `at` is a moment of its life, from 1. Each call of its ports and each action of its Helm is
 * one moment.
 */
export type Mishap =
  /** `isDone`: the call is done, but its answer is lost. */
  | { what: 'killed'; at: number; isDone: boolean; helm: HelmFate }
  /** The agent waits for ten seconds and kills then. */
  | { what: 'cancelled'; at: number }
  | { what: 'fails' | 'answer lost'; at: number }
  /** From the processes and from Helm. */
  | { what: 'cluster away'; at: number; forMs: number };

export interface ProcessOptions {
  /** Names the job. Its post-job phase has the same name. */
  job: string;
  chart?: FakeChart;
  request?: Partial<DeployRequest>;
  mishap?: Mishap | undefined;
  helm?: Partial<FakeHelmOptions>;
  /** The time of each action of Helm. */
  stepMs?: number;
  /** The times of port calls, used in turn. */
  latenciesMs?: readonly number[];
}

/** A process that has ended. */
export interface Ended<Report = DeployReport> {
  /** Undefined if the process was killed. */
  report: Report | undefined;
  agent: RecordingAgent;
  /** The interrupted work that it left for its post-job phase. */
  left: Interruption | undefined;
  /** The variables that it set at the agent for its post-job phase, by name. */
  variables: ReadonlyMap<string, string>;
  moments: readonly string[];
}

/** The time in which a process or its Helm changed the release. */
export interface Change {
  /** The process. */
  by: string;
  what: string;
  fromMs: number;
  toMs: number;
}

/** One cluster and one release on which processes work, one after the other or several at once. */
export interface Stage {
  time: SimulatedTime;
  cluster: FakeCluster;
  storage: FakeStorage;
  changes: Change[];
  deploy(options: ProcessOptions & { chart: FakeChart }): Promise<Ended>;
  /** The post-job phase of an ended process. It first ends the job's Helm that is still at work. */
  repair(left: Interruption, options: ProcessOptions): Promise<Ended>;
  /** A process that does something else through the ports of a deploy, with a Helm that supports a fence. */
  run<Report>(options: ProcessOptions, flow: (start: DeployStart) => Promise<Report>): Promise<Ended<Report>>;
}

export interface StageSetting {
  history?: readonly Revision[];
  live?: readonly KubeObject[];
  /** Objects in the cluster that belong to no release. */
  foreign?: readonly KubeObject[];
  noNamespace?: boolean;
}

/** The conditions that every flow must meet at its end, whatever happens to it. */
const longestMs = 2 * 60 * 60_000;
const guardTellsHelmMs = 20_000;
const guardEndsHelmMs = 27_000;
const agentKillsMs = 10_000;
const leftHelmMs = 30_000;
const never = new AbortController().signal;
// All waits that end at the same time continue together.
setMaxListeners(0, never);

export async function stage({
  history = [],
  live = [],
  foreign = [],
  noNamespace = false,
}: StageSetting): Promise<Stage> {
  const time = simulatedTime();
  const cluster = fakeCluster(time);
  const storage = fakeStorage(history, () => time.now());
  const gone = new Set<string>();
  const helmRuns = new Map<string, Set<HelmRun>>();
  const runsOf = (job: string): Set<HelmRun> => {
    const runs = helmRuns.get(job) ?? new Set();
    helmRuns.set(job, runs);
    return runs;
  };
  let count = 0;
  if (!noNamespace) {
    cluster.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace }, status: { phase: 'Active' } });
  }
  for (const object of live) cluster.put(owned(inNamespace(object)));
  for (const object of foreign) cluster.put(inNamespace(object));
  await time.sleep(5000, never);

  const made: Stage = {
    time,
    cluster,
    storage,
    changes: [],
    async deploy(options) {
      const process = newProcess(made, options, `machine/${++count}/1`, { gone, helmRuns: runsOf(options.job) });
      return process.play(() => deploy(process.start));
    },
    async repair(left, options) {
      await stopHelm(time, runsOf(options.job));
      const request = { ...plainRequest, ...options.request };
      const process = newProcess(made, options, `machine/${++count}/1`, { gone, helmRuns: runsOf(options.job) });
      const timeOver = new AbortController();
      time.after(request.cleanupTimeoutSeconds * 1000, () => {
        timeOver.abort();
      });
      const signal = AbortSignal.any([process.start.signal, timeOver.signal]);
      const bounded = {
        ...process.start.request,
        rollbackTimeoutSeconds: Math.min(request.rollbackTimeoutSeconds, request.cleanupTimeoutSeconds),
        lockTimeoutSeconds:
          left.revision === 0 ? 0 : Math.min(request.lockTimeoutSeconds, request.cleanupTimeoutSeconds),
      };
      return process.play(() => repair({ ...process.start, isHelmStopped: true, signal, request: bounded }, left));
    },
    async run(options, flow) {
      await stopHelm(time, runsOf(options.job));
      const process = newProcess(made, options, `machine/${++count}/1`, { gone, helmRuns: runsOf(options.job) });
      return process.play(() => flow(process.fenced));
    },
  };
  return made;
}

/** A run of Helm. It outlives its task. */
interface HelmRun {
  by: string;
  isOver(): boolean;
  kill(): void;
  interrupt: AbortController;
}

interface Process {
  start: DeployStart;
  /** The same kind of run, with a Helm that supports a fence. */
  fenced: DeployStart;
  play<Report>(flow: () => Promise<Report>): Promise<Ended<Report>>;
}

const killedHelm: HelmResult = {
  ok: false,
  exitCode: undefined,
  signal: 'SIGKILL',
  cancelled: false,
  timedOut: false,
  failure: { reason: 'HelmFailed', message: 'Helm was killed.' },
  stdout: '',
  durationMs: 10,
};

const emptyChart: FakeChart = { version: '0', objects: [] };

/** Ends Helm as the post-job phase does: it waits, interrupts and kills. */
async function stopHelm(time: SimulatedTime, runs: ReadonlySet<HelmRun>): Promise<void> {
  for (const run of [...runs]) {
    const pause = async (milliseconds: number): Promise<void> => {
      for (let waited = 0; waited < milliseconds && !run.isOver(); waited += 500) await time.sleep(500, never);
    };
    await pause(leftHelmMs);
    run.interrupt.abort();
    await pause(5000);
    run.kill();
  }
}

interface Known {
  /** Marks of ended processes. */
  gone: Set<string>;
  /** Runs of Helm of the same job. */
  helmRuns: Set<HelmRun>;
}

function newProcess(on: Stage, options: ProcessOptions, mark: string, { gone, helmRuns }: Known): Process {
  const { time, cluster, storage, changes } = on;
  const { mishap, job, stepMs = 0, latenciesMs = [] } = options;
  const agent = recordingAgent();
  const cancel = new AbortController();
  const moments: string[] = [];
  let hasEnded = false;
  const isDead = (): boolean => hasEnded;
  let awayUntilMs = -1;
  let aliveAtMs = time.elapsed();
  let left: Interruption | undefined = { release: '', namespace: '', revision: 0, process: mark };
  const variables = new Map<string, string>();
  let tellKilled = (): void => undefined;
  const killed = new Promise<undefined>((resolve) => {
    tellKilled = () => {
      resolve(undefined);
    };
  });
  const silence = <T>(): Promise<T> => new Promise<T>(() => undefined);

  const die = (helm: HelmFate): void => {
    if (isDead()) return;
    hasEnded = true;
    gone.add(mark);
    for (const run of [...helmRuns].filter(({ by }) => by === mark)) {
      if (helm === 'dies') run.kill();
      if (helm === 'interrupted') run.interrupt.abort();
      time.after(Math.max(0, aliveAtMs + guardEndsHelmMs - time.elapsed()), () => {
        run.kill();
      });
    }
    tellKilled();
  };

  /** The fate of a call or of a step. */
  const moment = (what: string): Mishap['what'] | undefined => {
    moments.push(what);
    if (time.elapsed() < awayUntilMs) return 'fails';
    if (mishap === undefined || moments.length !== mishap.at) return undefined;
    if (mishap.what === 'cancelled') {
      time.after(agentKillsMs, () => {
        die('dies');
      });
      cancel.abort('SIGINT');
      return undefined;
    }
    if (mishap.what !== 'cluster away') return mishap.what;
    awayUntilMs = time.elapsed() + mishap.forMs;
    return 'fails';
  };

  const later = async (): Promise<void> => {
    const latency = latenciesMs[moments.length % latenciesMs.length] ?? 0;
    if (latency > 0) await time.sleep(latency, never);
  };

  const noted = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const fromMs = time.elapsed();
    const answer = await act();
    // A refused call has changed nothing, and Helm's changes are recorded by its own steps.
    if (isChange(what)) changes.push({ by: mark, what, fromMs, toMs: time.elapsed() });
    return answer;
  };

  const call = async (what: string, act: () => Promise<unknown>): Promise<unknown> => {
    if (isDead()) return silence();
    const fate = moment(what);
    if (fate === 'fails') throw unreachable();
    if (fate === 'killed' && mishap?.what === 'killed') {
      // Helm starts, and its own fate decides how it ends.
      if (mishap.isDone) void noted(what, act).catch(() => undefined);
      die(mishap.helm);
      return silence();
    }
    await later();
    if (isDead()) return silence();
    try {
      const answer = await noted(what, act);
      await later();
      if (isDead()) return await silence();
      if (fate === 'answer lost') throw unreachable();
      return answer;
    } catch (thrown) {
      if (isDead()) return silence();
      throw thrown;
    }
  };

  const wrap = <Port extends object>(name: string, port: Port): Port =>
    new Proxy(port, {
      get(target, method) {
        const value: unknown = Reflect.get(target, method);
        if (typeof value !== 'function') return value;
        const act = value as (...given: unknown[]) => Promise<unknown>;
        return (...given: unknown[]) =>
          call(wordFor(name, String(method), given), async () => {
            const answer = await act.apply(target, given);
            return method === 'follow' ? mortal(answer as Follower) : answer;
          });
      },
    });

  const mortal = (follower: Follower): Follower => ({
    ...follower,
    async changed(milliseconds, signal) {
      await follower.changed(milliseconds, signal);
      if (isDead()) await silence();
    },
  });

  const clock: Clock = {
    now: () => time.now(),
    monotonicMs: () => time.monotonicMs(),
    async sleep(milliseconds, signal) {
      await time.sleep(milliseconds, signal);
      if (isDead()) await silence();
    },
  };

  /**
   * The guard also sees a silent task, for example when the cluster is away. The end of the pipe shows the task's
   * death.
   */
  const guard = async (run: HelmRun): Promise<void> => {
    while (!run.isOver() && !isDead()) {
      const silentMs = time.elapsed() - aliveAtMs;
      if (silentMs >= guardTellsHelmMs) run.interrupt.abort();
      if (silentMs >= guardEndsHelmMs) run.kill();
      await time.sleep(1000, never);
    }
  };

  /** Each run of Helm is a separate process. */
  const runHelm = (act: (helm: ReturnType<typeof fakeHelm>, signal: AbortSignal) => Promise<HelmResult>) => {
    let isKilled = false;
    let isOver = false;
    const isGone = (): boolean => isKilled;
    let tellEnd = (_result: HelmResult): void => undefined;
    const end = new Promise<HelmResult>((resolve) => {
      tellEnd = resolve;
    });
    const run: HelmRun = {
      by: mark,
      isOver: () => isKilled || isOver,
      kill() {
        isKilled = true;
        tellEnd(killedHelm);
      },
      interrupt: new AbortController(),
    };
    const pace = async (what: string): Promise<void> => {
      if (isGone()) return silence();
      const fate = isDead() ? undefined : moment(`Helm: ${what}`);
      if (fate === 'killed' && mishap?.what === 'killed') die(mishap.helm);
      if (stepMs > 0) await time.sleep(stepMs, never);
      if (isGone()) return silence();
      if (fate === 'fails' || fate === 'answer lost' || time.elapsed() < awayUntilMs) throw unreachable();
      changes.push({ by: mark, what, fromMs: time.elapsed(), toMs: time.elapsed() });
    };
    const chart = options.chart ?? emptyChart;
    const helm = fakeHelm({ release, namespace, chart, ...options.helm, pace }, storage, cluster, time);
    helmRuns.add(run);
    void guard(run);
    return Promise.race([act(helm, run.interrupt.signal), end]).finally(() => {
      isOver = true;
      helmRuns.delete(run);
    });
  };

  const reading = fakeHelm({ release, namespace, chart: options.chart ?? emptyChart }, storage, cluster, time);
  const start: DeployStart = {
    agent: {
      ...agent,
      setTaskVariable(name, value) {
        if (isDead()) return;
        variables.set(name, value);
        if (name === interruptionVariable) left = readInterruption(value);
      },
    },
    cluster: wrap('cluster', cluster),
    storage: wrap('storage', storage),
    helm: wrap('helm', {
      ...reading,
      upgrade: (wish, signal) => runHelm((helm, stop) => helm.upgrade(wish, AbortSignal.any([signal, stop]))),
      test: (wish, signal) => runHelm((helm, stop) => helm.test(wish, AbortSignal.any([signal, stop]))),
      rollback: (wish) => runHelm((helm) => helm.rollback(wish)),
      uninstall: (wish) => runHelm((helm) => helm.uninstall(wish)),
    }),
    rollbackHelm: wrap('rollbackHelm', fakeRollbackHelm()),
    sha256,
    plans: fakePlanStore(),
    newSalt: () => 'salt',
    clock,
    phases: [],
    namespace,
    signal: cancel.signal,
    guard: {
      alive(ageMs) {
        if (!isDead()) aliveAtMs = time.elapsed() - ageMs;
      },
    },
    holder: { identity: job, link: `https://dev.example/${encodeURIComponent(job)}`, process: mark, run: '' },
    isProcessGone: (other) => gone.has(other),
    request: { ...plainRequest, lock: 'preferred', ...options.request },
  };

  const fencedHelm = workingRollbackHelm(storage, cluster, (wish) => runHelm((helm) => helm.fencedRollback(wish)));
  return {
    start,
    fenced: { ...start, rollbackHelm: wrap('rollbackHelm', fencedHelm) },
    async play(flow) {
      const over = new AbortController();
      const tooLong = time.sleep(longestMs, over.signal).then((): never => {
        throw new TaskError(
          'TimedOut',
          `It did not end within ${longestMs / 60_000} min, after ${moments.join(', ')}.`,
        );
      });
      tooLong.catch(() => undefined);
      const report = await Promise.race([flow(), killed, tooLong]);
      gone.add(mark);
      hasEnded = true;
      over.abort();
      assertReports(report);
      return { report, agent, left, variables, moments };
    },
  };
}

/** Every report of a flow matches docs/report.schema.json, however the flow ended. */
function assertReports(ended: unknown): void {
  const told = typeof ended === 'object' && ended !== null && 'report' in ended ? ended.report : ended;
  if (typeof told === 'object' && told !== null && 'task' in told) assertReport(told as DeployReport);
}

const changing = /^(storage\.(update|remove)|cluster\.(create|update|patch|delete))/;

/** A Lease and an Event are no part of the release. */
function isChange(what: string): boolean {
  return changing.test(what) && !/ (?:Lease|Event)$/.test(what);
}

/** A call as `cluster.update Lease` or `storage.update 2`. */
function wordFor(port: string, method: string, [first]: readonly unknown[]): string {
  const word = `${port}.${method}`;
  if (typeof first === 'number' || typeof first === 'string') return `${word} ${first}`;
  const kind = (first as { kind?: unknown } | undefined)?.kind;
  return typeof kind === 'string' ? `${word} ${kind}` : word;
}
