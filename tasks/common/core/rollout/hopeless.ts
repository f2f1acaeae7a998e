import { clipped } from '../text/foreignText';
import { sentence } from '../text/sentence';
import { causes, rankOf, stepOf, waitingCodes, type Grace } from './causes';
import { couldNotReach, linesOf } from './crashProof';
import type { Facts, LogRequest } from './facts';
import type { Finding } from './finding';
import { beganAfter, othersUntil, sightingKey } from './memory';
import type { Cause, RolloutMemory, Sighting, Reading } from './model';
import { proofOf, type Judging } from './proofs';

/** A crash loop is excused for so long while another workload is starting. */
const dependencySeconds = 180;
/**
 * A container that could not reach what it needs is restarted once more: the fifth run begins after 72 s at the earliest
 * (the kubelet restarts at once, and then after 10, 20 and 40 s).
 */
const unreached = { ends: 5, seconds: 90 };
/** Even if thousands of pods fail, they fail for few reasons. */
const suspectLimit = 5;

interface JudgedFinding {
  cause: Cause;
  isHopeless: boolean;
  hopelessAt?: number;
}

/** If the grace was held and delays double, it is as long as the hold (measured: old pods that take 50 s to end, 164 s). */
export function judgedFinding(reading: Reading, finding: Finding, judging: Judging): JudgedFinding {
  const { policy, memory, now } = judging;
  const sighting = memory.findings[sightingKey(reading, finding)] ?? firstSighting(now.getTime());
  const cause = causeOf(withLastLine(finding, judging.facts), sighting.seen);
  const { followed } = reading;
  const isOnce = followed.purpose === 'hook' || followed.object?.kind === 'Job';
  if (!policy.failFast || (isOnce && !finding.isCertain)) return { cause, isHopeless: false };
  const override = policy.graces[finding.code];
  const decided = (hopelessAt: number, shown = cause): JudgedFinding => {
    return { cause: shown, isHopeless: hopelessAt <= now.getTime(), hopelessAt };
  };
  const proof = override === undefined && !finding.isCertain ? proofOf(reading, finding, judging) : undefined;
  if (proof !== undefined) {
    const proven = { ...cause, message: `${sentence(cause.message)} ${proof.why}`, isCertain: true };
    return decided(sighting.first + proof.grace * 1000, proven);
  }
  const waiting = patienceFor(finding, judging.facts);
  const grace = override ?? ownGrace(finding, waiting);
  if (grace === 'timeout') return { cause, isHopeless: false };
  const ready = loopReadyAt(reading, finding, { sighting, memory, waiting, isOverridden: override !== undefined });
  if (ready === undefined) return { cause, isHopeless: false };
  const waited = override === undefined && finding.doublesWait === true ? sighting.first - sighting.seen : 0;
  return decided(Math.max(sighting.first + Math.max(grace * 1000, waited), ready));
}

function patienceFor(finding: Finding, facts: Facts): typeof unreached | undefined {
  return couldNotReach(finding, facts) ? unreached : undefined;
}

function firstSighting(time: number): Sighting {
  return { seen: time, first: time, last: 0, isGone: false, ended: 0, endedAt: time };
}

function ownGrace({ grace, isCertain, code }: Finding, waiting: typeof unreached | undefined): Grace {
  return grace ?? (isCertain ? 0 : (waiting?.seconds ?? causes[code].grace));
}

/** A container that only runs says itself what it waits for. */
function withLastLine(finding: Finding, { logs }: Facts): Finding {
  const said = finding.code === 'InitContainerRunning' ? linesOf(logs[finding.id]).at(-1)?.said : undefined;
  return said === undefined ? finding : { ...finding, message: `${finding.message} It said last: ${said}` };
}

interface Loop {
  sighting: Sighting;
  memory: RolloutMemory;
  waiting: typeof unreached | undefined;
  isOverridden: boolean;
}

/** Undefined while the ends must not count as a loop; 0 for findings that are no loop. */
function loopReadyAt(
  reading: Reading,
  finding: Finding,
  { sighting, memory, waiting, isOverridden }: Loop,
): number | undefined {
  const { runs } = finding;
  if (runs === undefined || finding.isCertain) return 0;
  if (runs.isRunning) return undefined;
  if (isOverridden) return 0;
  if (runs.ended < (waiting?.ends ?? runs.needed)) return undefined;
  if (!runs.mayWaitForOthers) return 0;
  const excuse = sighting.first + dependencySeconds * 1000;
  const others = othersUntil(memory, 'startingAt', (key) => key !== reading.key);
  return beganAfter(others, runs.last, sighting) ? 0 : excuse;
}

/** Kubernetes cuts events at 1024 characters and conditions at 32768. */
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

const statesShown = 3;

/** A deadline or a failed Job explains less than what its pods show. */
export function better(cause: Cause, judged: readonly JudgedFinding[], logsBefore: readonly LogRequest[] = []): Cause {
  const logs = judged.flatMap((item) => item.cause.logs);
  if (cause.code === 'VolumeNotBound' && cause.subject.kind === 'Pod') {
    const claim = judged.find((item) => item.cause.code === cause.code && item.cause.subject.kind !== 'Pod')?.cause;
    if (claim !== undefined) return { ...claim, evidence: [...cause.evidence, ...claim.evidence], since: cause.since };
  }
  if (cause.code === 'ProgressDeadlineExceeded') {
    const explained = distinct(judged.map((item) => item.cause)).find(
      ({ code }) => code !== 'ProgressDeadlineExceeded',
    );
    return explained === undefined ? cause : afterDeadline(cause, explained);
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

/** A Deployment that only waits has failed by its own deadline, which is then the reason. The log names what it waits for. */
function afterDeadline(deadline: Cause, explained: Cause): Cause {
  const reason = waitingCodes.has(explained.code) ? deadline : explained;
  return {
    ...reason,
    message: `${sentence(explained.message)} ${deadline.message}`,
    evidence: [...explained.evidence, ...deadline.evidence],
    logs: explained.logs,
    whoActs: explained.whoActs,
    nextStep: explained.nextStep.replace('raise the timeout', 'raise progressDeadlineSeconds'),
  };
}

/** The cause that explains most comes first; among equals, the oldest. */
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
