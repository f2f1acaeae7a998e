import { clipped } from '../text/foreignText';
import { causes, rankOf, stepOf } from './causes';
import type { Finding, LogRequest } from './finding';
import { othersStartingAt, sightingKey } from './memory';
import type { Cause, RolloutPolicy, RolloutMemory, Sighting, Reading } from './model';

/** How long a crash loop is excused by another workload that is still starting. */
const dependencySeconds = 180;
/** Until all nodes send to a pod that has become ready. */
const spreadSeconds = 5;
/** So many findings of one workload are told; thousands of pods fail for few reasons. */
const suspectLimit = 5;

export interface JudgedFinding {
  cause: Cause;
  isHopeless: boolean;
  /** When it becomes hopeless if nothing changes. */
  hopelessAt?: number;
}

/**
 * What was held for long, and is tried again after a time that doubles with each try, is given as long again (measured
 * with the ReplicaSet controller: old pods that take 50 s each to end make it wait for 164 s and more).
 */
export function judgedFinding(
  reading: Reading,
  finding: Finding,
  policy: RolloutPolicy,
  memory: RolloutMemory,
  now: Date,
): JudgedFinding {
  const sighting = memory.findings[sightingKey(reading, finding)] ?? {
    seen: now.getTime(),
    first: now.getTime(),
    last: 0,
    isGone: false,
    ended: 0,
    endedAt: now.getTime(),
  };
  const cause = causeOf(finding, sighting.seen);
  const { followed } = reading;
  const isOnce = followed.purpose === 'hook' || followed.object?.kind === 'Job';
  if (!policy.failFast || (isOnce && !finding.isCertain)) return { cause, isHopeless: false };
  const override = policy.graces[finding.code];
  const grace = override ?? finding.grace ?? (finding.isCertain ? 0 : causes[finding.code].grace);
  if (grace === 'timeout') return { cause, isHopeless: false };
  const ready = loopReadyAt(reading, finding, sighting, memory, override !== undefined);
  if (ready === undefined) return { cause, isHopeless: false };
  const waited = override === undefined && finding.doublesWait === true ? sighting.first - sighting.seen : 0;
  const hopelessAt = Math.max(sighting.first + Math.max(grace * 1000, waited), ready);
  return { cause, isHopeless: hopelessAt <= now.getTime(), hopelessAt };
}

/** The time from which on a loop may be called one; undefined while it must not. Zero for what is no loop. */
function loopReadyAt(
  reading: Reading,
  finding: Finding,
  sighting: Sighting,
  memory: RolloutMemory,
  isOverridden: boolean,
): number | undefined {
  const { runs } = finding;
  if (runs === undefined || finding.isCertain) return 0;
  if (runs.isRunning) return undefined;
  // Who sets a grace of his own means time, not tries.
  if (isOverridden) return 0;
  if (runs.ended < runs.needed) return undefined;
  if (!runs.mayWaitForOthers) return 0;
  const excuse = sighting.first + dependencySeconds * 1000;
  // Only a run that began after the last dependency had come up tells that it was not the dependency. Both by our clock.
  const beganAt = sighting.endedAt - runs.lastedSeconds * 1000;
  return beganAt > othersStartingAt(memory, reading.key) + spreadSeconds * 1000 ? 0 : excuse;
}

/** Kubernetes itself ends an event's message at 1024 characters; a condition may hold 32768, and others hold to nothing. */
const saidLimit = 2000;

export function causeOf(finding: Finding, since: number): Cause {
  return {
    code: finding.code,
    group: causes[finding.code].group,
    ...(finding.detail === undefined ? {} : { detail: finding.detail }),
    subject: finding.subject,
    message: clipped(finding.message, saidLimit),
    isCertain: finding.isCertain,
    since: new Date(since).toISOString(),
    evidence: finding.evidence.map((item) => ({ ...item, text: clipped(item.text, saidLimit) })),
    logs: finding.logs,
    ...stepOf(finding.code, finding.detail),
  };
}

export function mostTelling(judged: readonly JudgedFinding[]): JudgedFinding | undefined {
  return judged.toSorted((a, b) => rankOf(a.cause.code) - rankOf(b.cause.code))[0];
}

/** The containers of a Job end alike in most cases. */
const statesShown = 3;

/** A deadline or a Job's end says that it failed; where a pod says why, that is the cause. */
export function better(cause: Cause, judged: readonly JudgedFinding[], logsBefore: readonly LogRequest[] = []): Cause {
  const logs = judged.flatMap((item) => item.cause.logs);
  if (cause.code === 'VolumeNotBound' && cause.subject.kind === 'Pod') {
    // The scheduler knows that a claim is not bound; the claim knows why.
    const claim = judged.find((item) => item.cause.code === cause.code && item.cause.subject.kind !== 'Pod')?.cause;
    if (claim !== undefined) return { ...claim, evidence: [...cause.evidence, ...claim.evidence], since: cause.since };
  }
  if (cause.code === 'ProgressDeadlineExceeded') {
    const explained = distinct(judged.map((item) => item.cause)).find(
      ({ code }) => code !== 'ProgressDeadlineExceeded',
    );
    return explained === undefined ? cause : { ...explained, evidence: [...explained.evidence, ...cause.evidence] };
  }
  const isJob = cause.code === 'JobFailed' || cause.code === 'HookFailed' || cause.code === 'JobDeadlineExceeded';
  if (!isJob || cause.logs.length > 0) return cause;
  const states = judged.flatMap((item) => item.cause.evidence).filter(({ kind }) => kind === 'containerState');
  return {
    ...cause,
    evidence: [...cause.evidence, ...states.slice(0, statesShown)],
    logs: logs.length > 0 ? logs : logsBefore,
  };
}

/** One of each code and text, the most telling first, the oldest of equals. */
export function distinct(found: readonly Cause[]): readonly Cause[] {
  const sorted = found.toSorted((a, b) => rankOf(a.code) - rankOf(b.code) || a.since.localeCompare(b.since));
  const seen = new Set<string>();
  return sorted
    .filter(({ code, message }) => {
      const word = `${code} ${message.replaceAll(/[\w-]+/g, (each) => (/\d/.test(each) ? '' : each))}`;
      return seen.has(word) ? false : seen.add(word).has(word);
    })
    .slice(0, suspectLimit);
}
