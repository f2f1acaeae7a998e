import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import { noFacts, type Facts, type Question } from '../../tasks/common/core/rollout/facts';
import { judge, type RolloutPolicy, type RolloutVerdict } from '../../tasks/common/core/rollout/verdict';
import type { Peer } from './simulatedPeers';
import { at, deployment, event, iso, snapshotOf, type Fields } from './rolloutObjects';

/** Numbers from 0 up to 1 that depend on the seed only. */
export type Random = () => number;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const between = (random: Random, least: number, most: number): number => least + random() * (most - least);
export const oneOf = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

/** How one run of a container goes. Without `seconds` it runs on and is ready after `readyAfter`. */
export interface Run {
  seconds?: number;
  exitCode?: number;
  reason?: string;
  lines?: readonly string[];
  readyAfter?: number;
}

/** A Deployment whose pods all do the same. Times are seconds since the start of the rollout. */
export interface Simulated {
  name: string;
  replicas?: number;
  podSpec?: Fields;
  /** The error of a pull, a container's configuration or a mount at this time; undefined if there is none. */
  pull?(time: number): string | undefined;
  config?(time: number): string | undefined;
  mount?(time: number): string | undefined;
  /** The scheduler's message while no node takes the pod. */
  unplaced?(time: number): string | undefined;
  /** The refusal of the API server while a pod cannot be created. */
  refused?(time: number): string | undefined;
  /** `index` is that of the pod, and `number` counts its runs from 1. */
  run(number: number, time: number, index: number): Run;
  initRun?(number: number, time: number): Run;
  /** Old pods that end at this time, and were told so at the start. */
  oldEndsAt?: number;
  /** Events about each pod, by the second from which they are there. */
  events?: readonly { second: number; reason: string; message: string }[];
}

export interface World {
  workloads: readonly Simulated[];
  /** What the API shows beside the rollout; absent: the connection may not read it. */
  facts?(time: number): Partial<Facts>;
}

interface Ended {
  number: number;
  began: number;
  run: Run;
}

/** One container as the kubelet runs it: it starts the first restart at once, and later ones after 10, 20, 40 s and so on. */
class Container {
  began: number | undefined;
  number = 0;
  run: Run = {};
  last: Ended | undefined;
  waits = '';
  said = '';
  private nextAt = 0;
  private backoff = 10;
  private terminatedUntil = 0;
  constructor(
    private readonly random: Random,
    private readonly runAt: (number: number, time: number) => Run,
    private readonly blockedAt: (time: number) => readonly [reason: string, message: string] | undefined = () =>
      undefined,
  ) {}

  isReady(time: number): boolean {
    const { began, run } = this;
    return began !== undefined && run.seconds === undefined && time >= began + (run.readyAfter ?? 0);
  }

  hasSucceeded(): boolean {
    return this.began === undefined && this.last?.run.exitCode === 0;
  }

  step(time: number): void {
    const { began, run } = this;
    if (began !== undefined && run.seconds !== undefined && time >= began + run.seconds) {
      this.last = { number: this.number, began, run };
      this.began = undefined;
      // The kubelet looks at its containers once a second.
      this.terminatedUntil = time + between(this.random, 0, 1);
      this.nextAt = this.number === 1 ? this.terminatedUntil : time + this.backoff + between(this.random, 0, 3);
      if (this.number > 1) this.backoff = Math.min(300, 2 * this.backoff);
    }
    if (this.began !== undefined || time < this.nextAt) return;
    const blocked = this.blockedAt(time);
    if (blocked !== undefined) {
      [this.waits, this.said] = blocked;
      const isPull = this.waits === 'ErrImagePull';
      this.nextAt = time + (isPull ? this.backoff : 10) + between(this.random, 0, 4);
      if (isPull) this.backoff = Math.min(300, 2 * this.backoff);
      return;
    }
    this.waits = '';
    this.number += 1;
    this.run = this.runAt(this.number, time);
    this.began = time;
  }

  status(name: string, time: number): Fields {
    const { last } = this;
    const terminated = last && {
      exitCode: last.run.exitCode ?? 1,
      reason: last.run.reason ?? 'Error',
      startedAt: iso(Math.floor(last.began)),
      finishedAt: iso(Math.floor(last.began + (last.run.seconds ?? 0))),
    };
    const restartCount = Math.max(0, this.number - 1);
    const before = terminated === undefined ? {} : { lastState: { terminated } };
    if (this.began !== undefined) {
      const isReady = this.isReady(time);
      return {
        name,
        ready: isReady,
        started: true,
        restartCount,
        state: { running: { startedAt: iso(this.began) } },
        ...before,
      };
    }
    if (terminated !== undefined && time < this.terminatedUntil) {
      return { name, ready: false, restartCount, state: { terminated } };
    }
    const reason = this.waits || (last === undefined ? 'ContainerCreating' : 'CrashLoopBackOff');
    return { name, ready: false, restartCount, state: { waiting: { reason, message: this.said } }, ...before };
  }
}

class Pod {
  readonly app: Container;
  readonly init: Container | undefined;
  constructor(
    private readonly simulated: Simulated,
    index: number,
    random: Random,
  ) {
    this.app = new Container(
      random,
      (number, time) => simulated.run(number, time, index),
      (time) => {
        const pull = simulated.pull?.(time);
        if (pull !== undefined) return ['ErrImagePull', pull];
        const config = simulated.config?.(time);
        return config === undefined ? undefined : ['CreateContainerConfigError', config];
      },
    );
    this.init = simulated.initRun && new Container(random, simulated.initRun.bind(simulated));
  }

  isReady(time: number): boolean {
    return this.app.isReady(time);
  }

  step(time: number): void {
    if (this.simulated.unplaced?.(time) !== undefined || this.simulated.mount?.(time) !== undefined) return;
    if (this.init !== undefined && !this.init.hasSucceeded()) this.init.step(time);
    if (this.init?.hasSucceeded() !== false) this.app.step(time);
  }

  fields(time: number): Fields {
    const unplaced = this.simulated.unplaced?.(time);
    if (unplaced !== undefined) {
      const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: unplaced };
      return { phase: 'Pending', conditions: [condition], spec: { nodeName: undefined } };
    }
    const isReady = this.isReady(time);
    const word = isReady ? 'True' : 'False';
    return {
      phase: this.app.began === undefined && this.app.last === undefined ? 'Pending' : 'Running',
      ready: isReady,
      startTime: iso(0),
      conditions: [
        { type: 'Ready', status: word },
        { type: 'ContainersReady', status: word },
      ],
      ...(this.init && { initContainerStatuses: [initStatus(this.init, time)] }),
      containerStatuses: [this.app.status('app', time)],
    };
  }
}

function initStatus(init: Container, time: number): Fields {
  const status = init.status('init', time);
  if (!init.hasSucceeded()) return status;
  return { ...status, ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } };
}

export interface End {
  health: RolloutVerdict['health'];
  second: number;
  verdict: RolloutVerdict;
}

/** Little happens late, so that larger steps are enough. */
const stepAt = (time: number): number => (time < 20 ? 0.5 : 1);

/** Judges a simulated rollout whenever it changes, until there is a verdict. */
export class Simulation {
  private readonly pods = new Map<string, Pod[]>();
  private readonly answers: { from: number; facts: Facts['logs'] }[] = [];
  private readonly asked = new Set<string>();

  constructor(
    private readonly world: World,
    private readonly random: Random,
  ) {
    for (const each of world.workloads) {
      this.pods.set(
        each.name,
        Array.from({ length: each.replicas ?? 1 }, (_, index) => new Pod(each, index, random)),
      );
    }
  }

  isReady(name: string, time: number): boolean {
    return (this.pods.get(name) ?? []).every((pod) => pod.isReady(time));
  }

  play(policy: RolloutPolicy, withFacts = true): End {
    let verdict: RolloutVerdict | undefined;
    let before = '';
    let lookedAt = -Infinity;
    for (let time = 0; ; time += stepAt(time)) {
      this.step(time);
      const objects = this.objects(time);
      const now = JSON.stringify(objects);
      const news = this.answers.some(({ from }) => from > lookedAt && from <= time);
      const recheck = verdict?.recheckAt === undefined ? Infinity : Date.parse(verdict.recheckAt);
      // A rollout is reminded of every 30 s at the latest.
      if (now === before && !news && at(time).getTime() < recheck && time - lookedAt < 30) continue;
      before = now;
      lookedAt = time;
      verdict = judge(snapshotOf(objects, withFacts ? this.facts(time) : undefined), policy, verdict?.memory, at(time));
      if (verdict.health === 'healthy' || verdict.health === 'failed')
        return { health: verdict.health, second: time, verdict };
      for (const question of verdict.questions) this.ask(question, time);
    }
  }

  /** The second at which another tool gives up; undefined if it does not until then. */
  playFor(peer: Peer, seconds: number): number | undefined {
    const hasFailed = peer();
    for (let time = 0; time < seconds; time += stepAt(time)) {
      this.step(time);
      if (this.world.workloads.every(({ name }) => this.isReady(name, time))) return undefined;
      if (hasFailed(this.objects(time), time)) return time;
    }
    return undefined;
  }

  private step(time: number): void {
    for (const each of this.world.workloads) {
      if (each.refused?.(time) === undefined) for (const pod of this.pods.get(each.name) ?? []) pod.step(time);
    }
  }

  private objects(time: number): KubeObject[] {
    return this.world.workloads.flatMap((each) => this.objectsOf(each, time));
  }

  private objectsOf(each: Simulated, time: number): KubeObject[] {
    const refused = each.refused?.(time);
    const isOldThere = (each.oldEndsAt ?? 0) > time;
    const leaving = { deletionTimestamp: iso(30), deletionGracePeriodSeconds: 30 };
    const pods = refused === undefined ? (this.pods.get(each.name) ?? []).map((pod) => pod.fields(time)) : [];
    const replicas = each.replicas ?? 1;
    const made = deployment(each.name, pods, {
      ...(each.podSpec && { podSpec: each.podSpec }),
      spec: { replicas },
      ...(isOldThere && { old: [{ phase: 'Running', metadata: leaving }] }),
      ...(refused !== undefined && {
        set: { replicas: 0, conditions: [{ type: 'ReplicaFailure', status: 'True', message: refused }] },
      }),
    });
    const podObjects = made.filter(({ kind, metadata }) => kind === 'Pod' && metadata.deletionTimestamp === undefined);
    const mount = each.mount?.(time);
    const said = [
      ...(each.events ?? []).filter(({ second }) => second <= time),
      ...(mount === undefined ? [] : [{ second: 1, reason: 'FailedMount', message: mount }]),
    ];
    return [
      ...made,
      ...podObjects.flatMap((pod) =>
        said.map(({ second, reason, message }) => event(pod, reason, message, { second })),
      ),
    ];
  }

  private facts(time: number): Facts {
    const logs = Object.assign(
      {},
      ...this.answers.filter(({ from }) => from <= time).map(({ facts }) => facts),
    ) as Facts['logs'];
    return { ...noFacts, ...this.world.facts?.(time), logs };
  }

  /** A log arrives late, so that it may be the one of a later run, or not at all. */
  private ask(question: Question, time: number): void {
    if (question.about !== 'log' || this.asked.has(question.key)) return;
    this.asked.add(question.key);
    if (this.random() < 0.05) return;
    const delay = oneOf(this.random, [0.5, 0.5, 0.5, 1, 2]);
    const [, name = '', index = '', container = ''] = /^Pod-(.+)-2-(\d+)\/(\w+)#/.exec(question.key) ?? [];
    const pod = this.pods.get(name)?.[Number(index)];
    const source = container === 'init' ? pod?.init : pod?.app;
    if (source?.last === undefined) return;
    // The kubelet gives the run that has ended last when it answers.
    const { began, run } = this.random() < 0.8 ? source.last : (this.later(source, time + delay) ?? source.last);
    const end = began + (run.seconds ?? 0);
    const text = (run.lines ?? []).map((line, number) => `${iso(end).replace('Z', `${number}Z`)} ${line}`).join('\n');
    this.answers.push({ from: time + delay, facts: { [question.key]: text } });
  }

  private later(container: Container, time: number): Ended | undefined {
    const { began, run, number } = container;
    return began !== undefined && run.seconds !== undefined && began + run.seconds <= time
      ? { began, run, number }
      : undefined;
  }
}
