import type { KubeObject } from '../kubernetes/object';
import { objectKey } from '../kubernetes/manifest';
import type { StatusRule } from '../status/objectStatus';
import { badRuns } from './badRuns';
import type { RunEnd } from './facts';
import { familyOf, indexOf, type Family } from './family';
import type { Finding } from './finding';
import { listAt, numberAt, textAt } from '../kubernetes/read';
import { statusWithOwned } from './owned';
import { remembered } from './remembered';
import type { RolloutSnapshot } from './snapshot';
import type { RolloutMemory, BaselineEntry, Sighting, WorkloadMemory, Reading } from './model';

/** A finding that was not seen for this time counts as healed; a shorter gap is a pause between two attempts. */
const forgetMilliseconds = 30_000;
export function baselineOf(
  snapshot: RolloutSnapshot,
  now: Date,
  statusRules: readonly StatusRule[] = [],
): RolloutMemory {
  const index = indexOf(snapshot);
  const entries = snapshot.followed.flatMap(({ ref, object }): [string, BaselineEntry][] => {
    if (object === undefined) return [];
    const about = { rules: statusRules, unread: snapshot.unread, now };
    const { status, reason, message } = statusWithOwned(object, familyOf(object, index), about);
    const { uid = '', generation = 0 } = object.metadata;
    const progressingSince = progressingTime(object);
    return [[objectKey(ref), { uid, generation, isHealthy: status === 'Current', reason, message, progressingSince }]];
  });
  return {
    baseline: Object.fromEntries(entries),
    baselineEvents: Object.fromEntries(snapshot.events.map(({ uid, count }) => [uid, count])),
    findings: {},
    workloads: {},
  };
}

/** Failures of the failed deploy count, older ones do not. `isReturn`: the target is the revision of `beforeDeploy`. */
export function baselineForRollback(
  beforeDeploy: RolloutMemory | undefined,
  now: RolloutMemory,
  isReturn = false,
): RolloutMemory {
  const entries = Object.entries(now.baseline ?? {}).map(([key, entry]): [string, BaselineEntry] => {
    const before = beforeDeploy?.baseline?.[key];
    const { isHealthy, reason, message } = before ?? { isHealthy: true, reason: '', message: '' };
    return [key, { ...entry, isHealthy, reason, message, ...(isReturn && !isHealthy ? { isBroughtBack: true } : {}) }];
  });
  return { ...now, baseline: Object.fromEntries(entries) };
}

function progressingTime(object: KubeObject): string {
  const condition = listAt(object, 'status', 'conditions').find(({ type }) => type === 'Progressing');
  return textAt(condition, 'lastUpdateTime');
}

export function sightingKey(reading: Reading, finding: Finding): string {
  return `${reading.key}|${finding.code}|${finding.id}`;
}

export function sightings(readings: readonly Reading[], before: RolloutMemory, now: Date): Record<string, Sighting> {
  const time = now.getTime();
  // A finding of the last judgement has lasted until now, since nothing has changed in between.
  const lasting = Object.entries(before.findings).map(([key, sighting]): [string, Sighting] => [
    key,
    { ...sighting, last: sighting.isGone ? sighting.last : time, isGone: true },
  ]);
  const next: Record<string, Sighting> = Object.fromEntries(
    lasting.filter(([, { last }]) => time - last <= forgetMilliseconds),
  );
  for (const reading of readings) {
    for (const finding of reading.findings) {
      const key = sightingKey(reading, finding);
      const known = next[key];
      const ended = finding.runs?.ended ?? 0;
      const first = known === undefined || finding.isHeld === true ? time : known.first;
      const endedAt = known?.ended === ended ? known.endedAt : time;
      const ends = endsWith(known?.ends, finding.runs?.last);
      next[key] = { seen: known?.seen ?? time, first, last: time, isGone: false, ended, endedAt, ...ends };
    }
  }
  return next;
}

function endsWith(known: readonly RunEnd[] = [], last: RunEnd | undefined): Pick<Sighting, 'ends'> {
  return last === undefined ? {} : { ends: [...known.filter(({ number }) => number !== last.number), last].slice(-2) };
}

export function workloadMemories(
  readings: readonly Reading[],
  before: RolloutMemory,
  now: Date,
): Record<string, WorkloadMemory> {
  const time = now.getTime();
  return Object.fromEntries(
    readings.map((reading) => [reading.key, workloadMemory(reading, before.workloads[reading.key] ?? {}, time)]),
  );
}

function workloadMemory(reading: Reading, known: WorkloadMemory, time: number): WorkloadMemory {
  const { family, findings, followed, settled, status } = reading;
  const isCurrent = status.status === 'Current';
  const restarts = family === undefined ? 0 : restartsIn(family);
  const since = known.current?.restarts === restarts ? known.current.since : time;
  const isUnready = !isCurrent && settled === undefined;
  const isStarting = isUnready && !findings.some(({ runs }) => runs !== undefined);
  const lastTime = (is: boolean, was = false, earlier?: number): number | undefined => (is || was ? time : earlier);
  const startingAt = lastTime(isStarting, known.isStarting, known.startingAt);
  const unreadyAt = lastTime(isUnready, known.isUnready, known.unreadyAt);
  const seenAt = known.seenAt ?? (followed.object === undefined ? undefined : time);
  const logs = jobLogs(reading) ?? known.logs;
  const neededSeconds = neededAfterBadRuns(reading, known, new Date(time));
  return {
    ...(isCurrent && { current: { since, restarts } }),
    ...(neededSeconds > 0 && { neededSeconds }),
    ...(startingAt !== undefined && { startingAt, isStarting }),
    ...(unreadyAt !== undefined && { unreadyAt, isUnready }),
    ...(seenAt !== undefined && { seenAt }),
    ...(logs && { logs }),
  };
}

/** While the object is current, the runs that are seen count by themselves; they may have ended before this rollout. */
function neededAfterBadRuns({ family, status }: Reading, known: WorkloadMemory, now: Date): number {
  const seen = family === undefined || status.status === 'Current' ? [] : badRuns(family, now);
  return seen.reduce((most, run) => Math.max(most, run.neededSeconds), known.neededSeconds ?? 0);
}

function jobLogs({ followed, findings }: Reading): WorkloadMemory['logs'] {
  const logs = followed.object?.kind === 'Job' ? findings.flatMap((finding) => finding.logs) : [];
  return logs.length > 0 ? logs : undefined;
}

const restartsIn = remembered(({ pods }: Family) =>
  pods
    .flatMap((pod) => [
      ...listAt(pod, 'status', 'initContainerStatuses'),
      ...listAt(pod, 'status', 'containerStatuses'),
    ])
    .reduce((sum, status) => sum + numberAt(status, 'restartCount'), 0),
);

/** The time until all nodes send traffic to a pod that has become ready. */
const spreadMilliseconds = 5000;

/** A run that began earlier may have missed its dependency. `others`: the last time at which one was not done. */
export function beganAfter(others: number, { seconds }: RunEnd, { endedAt }: Sighting): boolean {
  return endedAt - seconds * 1000 > others + spreadMilliseconds;
}

/** The last time at which any other workload was starting, or was not done in any way. 0 if none was. */
export function othersUntil(
  memory: RolloutMemory,
  field: 'startingAt' | 'unreadyAt',
  isOther: (key: string) => boolean,
): number {
  let latest = 0;
  for (const [key, workload] of Object.entries(memory.workloads)) {
    const time = workload[field] ?? 0;
    if (time > latest && isOther(key)) latest = time;
  }
  return latest;
}
