import { asTaskError } from '../../core/failure';
import { splitLines } from '../../core/text/foreignText';
import type { KubeObject } from '../../core/kubernetes/object';
import type { LogPosition } from '../../core/ports';
import type { RolloutContext } from '../../core/releaseContext';
import { containerRuns, type ContainerRun } from '../../core/rollout/containerRuns';

interface LogLimits {
  podsPerWorkload: number;
  linesPerContainer: number;
  /** Also reads containers that are not reported as started yet, for pods that vanish once they have ended. */
  isEager?: boolean;
}

/** An error is logged once and stops nothing else. */
export interface PodLogs {
  /** Must be called with every change of a pod of a workload (`Kind/name`). */
  show(workload: string, pod: KubeObject): void;
  /** Returns the last lines, also if the pod is gone. */
  lastLines(namespace: string, pod: string, container: string): readonly string[];
  /** Waits for the rest of the logs of ended containers and stops. */
  end(milliseconds: number): Promise<void>;
}

/** The log is the main thing to see of a hook, so these limits only stop a flood. */
export const hookLogLimits: LogLimits = { podsPerWorkload: 10, linesPerContainer: 10_000 };
const workloadLogLimits: LogLimits = { podsPerWorkload: 5, linesPerContainer: 500 };

const lineBytes = 64 * 1024;
/** Older pods are from before this rollout. Their logs are shown from the start of this rollout on. */
const oldPodMs = 10_000;
const eagerPauseMs = 100;
const eagerPauseMaxMs = 1_000;

export function workloadLogs(context: RolloutContext): PodLogs | undefined {
  return context.request.rollout.followLogs ? podLogs(context, workloadLogLimits) : undefined;
}

interface FollowedContainer {
  namespace: string;
  pod: string;
  container: string;
  run: ContainerRun;
  /** The run that was being read when the last reading began. */
  readRun: number;
  isReading: boolean;
  wasRead: boolean;
  position: LogPosition | undefined;
  lines: number;
  lastLines: string[];
  size: number;
}

interface Listening {
  context: RolloutContext;
  limits: LogLimits;
  stop: AbortController;
  startedAt: number;
  containers: Map<string, FollowedContainer>;
  /** The pods of each workload. */
  pods: Map<string, Set<string>>;
  /** Keys of messages that are logged only once. */
  said: Set<string>;
  readings: Set<Promise<void>>;
}

export function podLogs(context: RolloutContext, limits: LogLimits): PodLogs {
  const listening: Listening = {
    context,
    limits,
    stop: new AbortController(),
    startedAt: context.clock.now().getTime(),
    containers: new Map(),
    pods: new Map(),
    said: new Set(),
    readings: new Set(),
  };
  return {
    show: (workload, pod) => {
      if (!listening.stop.signal.aborted && isWithin(listening, workload, pod)) lookAt(listening, pod);
    },
    lastLines: (namespace, pod, container) =>
      [...listening.containers.values()].findLast(
        (known) => known.namespace === namespace && known.pod === pod && known.container === container,
      )?.lastLines ?? [],
    end: (milliseconds) => end(listening, milliseconds),
  };
}

async function end(listening: Listening, milliseconds: number): Promise<void> {
  const { context, containers, readings, stop } = listening;
  const isDrained = (): boolean => ![...containers.values()].some(({ isReading, run }) => isReading && run.hasEnded);
  const over = new AbortController();
  const time = context.clock.sleep(milliseconds, AbortSignal.any([over.signal, context.signal])).then(() => {
    over.abort();
  });
  while (!over.signal.aborted && !isDrained()) await Promise.race([time, ...readings]);
  over.abort();
  stop.abort();
  await time;
}

function isWithin({ context, limits, pods, said }: Listening, workload: string, { metadata }: KubeObject): boolean {
  const known = pods.get(workload) ?? new Set();
  pods.set(workload, known);
  const id = metadata.uid ?? metadata.name;
  if (known.has(id)) return true;
  if (known.size < limits.podsPerWorkload) {
    known.add(id);
    return true;
  }
  if (!said.has(workload)) {
    context.agent.log(
      `  (The logs of ${limits.podsPerWorkload} pods of ${workload} are shown, those of more are not.)`,
    );
  }
  said.add(workload);
  return false;
}

function lookAt(listening: Listening, pod: KubeObject): void {
  const { containers, limits } = listening;
  const { name, namespace = '', uid = '' } = pod.metadata;
  for (const run of containerRuns(pod)) {
    const key = `${uid}/${run.container}`;
    const known = containers.get(key);
    const followed = known ?? newContainer(namespace, name, run, positionFor(listening, pod));
    followed.run = run;
    containers.set(key, followed);
    const isAwaited = limits.isEager === true && run.isPlaced && !followed.wasRead;
    const isReadable = run.number > followed.readRun || isAwaited;
    if (!followed.isReading && isReadable) read(listening, followed);
  }
}

function newContainer(
  namespace: string,
  pod: string,
  run: ContainerRun,
  position: LogPosition | undefined,
): FollowedContainer {
  const { container } = run;
  const nothing = { readRun: 0, isReading: false, wasRead: false, lines: 0, lastLines: [], size: 0 };
  return { namespace, pod, container, run, position, ...nothing };
}

function positionFor({ startedAt }: Listening, pod: KubeObject): LogPosition | undefined {
  const created = Date.parse(pod.metadata.creationTimestamp ?? '');
  return startedAt - created > oldPodMs ? { sinceMs: startedAt, seen: {} } : undefined;
}

function read(listening: Listening, followed: FollowedContainer): void {
  followed.isReading = true;
  followed.wasRead = true;
  const reading = readToEnd(listening, followed)
    .catch((error: unknown) => {
      logUnshown(listening, followed, error);
    })
    .finally(() => {
      followed.isReading = false;
      listening.readings.delete(reading);
      const isBehind = followed.run.number > followed.readRun;
      if (isBehind && !listening.stop.signal.aborted && !listening.said.has(forbidden)) read(listening, followed);
    });
  listening.readings.add(reading);
}

async function readToEnd(listening: Listening, followed: FollowedContainer): Promise<void> {
  const { context, stop } = listening;
  const signal = AbortSignal.any([stop.signal, context.signal]);
  const { namespace, pod: name, container } = followed;
  const ref = { namespace, name, container };
  const isMissed = followed.readRun === 0 && followed.run.number > 1;
  followed.readRun = followed.run.number;
  const onLine = (line: string): void => {
    addLine(listening, followed, line);
  };
  const follow = async (previous: boolean): Promise<string> => {
    const from = followed.position === undefined ? {} : { from: followed.position };
    const { end, position } = await context.cluster.followPodLog(ref, { onLine, previous, ...from }, signal);
    followed.position = position;
    return end;
  };
  if (isMissed) await follow(true);
  for (let pause = eagerPauseMs; ; pause = Math.min(2 * pause, eagerPauseMaxMs)) {
    const ended = await follow(false);
    if (ended !== 'waiting' || listening.limits.isEager !== true || signal.aborted) return;
    await context.clock.sleep(pause, signal);
  }
}

const forbidden = 'forbidden';

function logUnshown({ context, said, stop }: Listening, { pod, container }: FollowedContainer, error: unknown): void {
  const { reason, message } = asTaskError(error);
  if (context.signal.aborted || stop.signal.aborted || reason === 'Cancelled') return;
  if (reason !== 'PermissionDenied') {
    context.agent.log(`  (The log of Pod/${pod}, container ${container}, is no longer shown: ${message})`);
    return;
  }
  if (!said.has(forbidden)) context.agent.log(`  (Logs are not shown: ${message})`);
  said.add(forbidden);
  stop.abort();
}

function addLine({ context, limits }: Listening, followed: FollowedContainer, text: string): void {
  const { pod, container } = followed;
  for (const line of splitLines(text)) {
    followed.lines += 1;
    keep(followed, line, context.request.rollout.logLines);
    if (followed.lines <= limits.linesPerContainer) context.agent.log(`  ${pod}/${container} | ${line}`);
    if (followed.lines === limits.linesPerContainer + 1) {
      context.agent.log(`  ${pod}/${container} | (more than ${limits.linesPerContainer} lines: the rest is not shown)`);
    }
  }
}

function keep(followed: FollowedContainer, line: string, lines: number): void {
  followed.lastLines.push(line);
  followed.size += line.length;
  while (followed.lastLines.length > lines || (followed.size > lineBytes && followed.lastLines.length > 1)) {
    followed.size -= followed.lastLines.shift()?.length ?? 0;
  }
}
