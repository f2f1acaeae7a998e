import { objectName } from '../kubernetes/manifest';
import { rankOf } from './causes';
import type { Facts, Question } from './facts';
import { indexOf, isEnding } from './family';
import { runningLogs, type Evidence } from './finding';
import { better, causeOf, distinct, judgedFinding, mostTelling } from './hopeless';
import { sightings, workloadMemories } from './memory';
import { podCounts } from './podCounts';
import { judgingOf, questionsOf, withStartErrors, type Judging } from './proofs';
import { isTouched, readingOf, type ReadingContext } from './reading';
import type { FollowedObject, RolloutSnapshot } from './snapshot';
import { steadyTime, type Steady } from './steady';
import { isRunner } from './runner';
import type { Cause, Health, RolloutPolicy, RolloutVerdict, WorkloadVerdict, RolloutMemory, Reading } from './model';

export { baselineForRollback, baselineOf } from './memory';
export type { RolloutMemory } from './model';
export type { Cause, Health, RolloutPolicy, RolloutVerdict, WorkloadVerdict } from './model';

/** `memory` comes from the previous judgement or from `baselineOf`. */
export function judge(
  snapshot: RolloutSnapshot,
  policy: RolloutPolicy,
  memory: RolloutMemory | undefined,
  now: Date,
): RolloutVerdict {
  const pods = snapshot.around.filter(({ kind }) => kind === 'Pod');
  const scene = {
    ...snapshot,
    index: indexOf(snapshot),
    isAnythingEnding: pods.some(isEnding),
    pods: () => pods,
  };
  return judgeScene(scene, { policy, memory, now });
}

/** What judging reads of one moment. */
export interface RolloutScene extends Pick<ReadingContext, 'unread' | 'index' | 'isAnythingEnding' | 'pods'> {
  followed: readonly FollowedObject[];
  facts?: Facts;
}

export interface JudgingTime {
  policy: RolloutPolicy;
  memory: RolloutMemory | undefined;
  now: Date;
}

/** `read` may return an earlier reading if it would not differ. */
export function judgeScene(
  scene: RolloutScene,
  { policy, memory, now }: JudgingTime,
  read: typeof readingOf = readingOf,
): RolloutVerdict {
  const { facts, followed, index, isAnythingEnding, pods, unread } = scene;
  const before = memory ?? { findings: {}, workloads: {} };
  const context = { unread, index, isAnythingEnding, pods, policy, before, now };
  const readings = followed.map((item) => withStartErrors(read(item, context), facts));
  const findings = sightings(readings, before, now);
  const workloads = workloadMemories(readings, before, now);
  const next: RolloutMemory = { ...before, findings, workloads };
  const judging = judgingOf(readings, { policy, memory: next, now, facts });
  const decided = readings.map((reading) => workloadVerdict(reading, judging));
  const verdicts = withOldEvils(decided);
  const changes = decided.flatMap(({ changesAt }) => changesAt).filter((time) => time > now.getTime());
  const recheck = changes.reduce((first, each) => Math.min(first, each), policy.deadline.getTime());
  return {
    ...whole(verdicts, policy),
    workloads: verdicts,
    unread,
    questions: policy.failFast ? asked(readings) : [],
    ...(recheck > now.getTime() ? { recheckAt: new Date(recheck).toISOString() } : {}),
    memory: next,
  };
}

const questionsAsked = 20;

function asked(readings: readonly Reading[]): Question[] {
  const byKey = new Map(readings.flatMap(questionsOf).map((question) => [question.key, question]));
  return [...byKey.values()].slice(0, questionsAsked);
}

interface Decision {
  verdict: WorkloadVerdict;
  changesAt: readonly number[];
  /** The object has failed now, and had failed before the change that is rolled back. */
  isBroughtBack?: boolean;
}

/** A rollback may restore earlier failures while another workload serves. */
function withOldEvils(decided: readonly Decision[]): WorkloadVerdict[] {
  const serves = decided.some(({ verdict: { ref, health } }) => isRunner(ref) && isHopeful.has(health));
  return decided.map(({ verdict, isBroughtBack }) =>
    isBroughtBack === true && serves ? { ...verdict, isPreexisting: true } : verdict,
  );
}

const isHopeful: ReadonlySet<Health> = new Set(['healthy', 'progressing']);

type Base = Omit<WorkloadVerdict, 'health'>;

function workloadVerdict(reading: Reading, judging: Judging): Decision {
  const { policy, memory, now } = judging;
  const { followed, key, status } = reading;
  const baseline = memory.baseline?.[key];
  const wasBroken = baseline !== undefined && !baseline.isHealthy;
  const isOldEvil = wasBroken && followed.object !== undefined && policy.isApplied;
  const base = {
    key,
    ref: followed.ref,
    purpose: followed.purpose,
    status,
    timedOut: false,
    suspects: [] as readonly Cause[],
    isPreexisting: isOldEvil && !isTouched(followed, baseline),
    ...(wasBroken ? { brokenBefore: { reason: baseline.reason, message: baseline.message } } : {}),
  };
  if (reading.settled !== undefined) return { verdict: { ...base, health: reading.settled }, changesAt: [] };
  const steady = steadyTime(reading, policy, memory, now);
  if (steady !== undefined && steady.at <= now.getTime()) {
    return { verdict: { ...base, health: 'healthy', isPreexisting: false }, changesAt: [] };
  }
  const decision = openVerdict(reading, judging, base, steady);
  const isBroughtBack = isOldEvil && baseline.isBroughtBack === true && decision.verdict.health === 'failed';
  return isBroughtBack ? { ...decision, isBroughtBack } : decision;
}

/** The verdict about an object that is not healthy, or not for long enough. */
function openVerdict(reading: Reading, judging: Judging, base: Base, steady: Steady | undefined): Decision {
  const { policy, memory, now } = judging;
  const revisit = reading.revisitAt === undefined ? [] : [reading.revisitAt];
  if (reading.findings.length === 0 && steady === undefined && now.getTime() < policy.deadline.getTime()) {
    return { verdict: { ...base, health: 'progressing' }, changesAt: revisit };
  }
  const judged = reading.findings.map((finding) => judgedFinding(reading, finding, judging));
  const hopeless = mostTelling(judged.filter(({ isHopeless }) => isHopeless));
  const badRun = steady?.badRun === undefined ? [] : [causeOf(steady.badRun, now.getTime())];
  const suspects = distinct([...judged.map(({ cause }) => cause), ...badRun]);
  const counts = suspects.length === 0 ? undefined : podCounts(reading);
  const told = { ...base, suspects, ...(counts === undefined ? {} : { counts }) };
  const failed = { ...told, health: 'failed' as const };
  if (hopeless !== undefined) {
    const cause = better(hopeless.cause, judged, memory.workloads[reading.key]?.logs);
    return { verdict: { ...failed, cause }, changesAt: [] };
  }
  if (now.getTime() >= policy.deadline.getTime()) {
    const cause = suspects[0] ?? timedOutCause(reading, now);
    return { verdict: { ...failed, cause, timedOut: true }, changesAt: [] };
  }
  const times = [...judged.map(({ hopelessAt }) => hopelessAt), steady?.at, ...revisit];
  const changesAt = times.filter((time) => time !== undefined);
  return { verdict: { ...told, health: 'progressing' }, changesAt };
}

function timedOutCause({ followed, status, warning, family }: Reading, now: Date): Cause {
  const { ref } = followed;
  const logs = runningLogs(family?.pods ?? []);
  const own: Evidence = { kind: 'object', ref, text: `${status.status}, ${status.reason}: ${status.message}` };
  const evidence = warning === undefined ? [own] : [own, warning];
  const message =
    status.status === 'Current'
      ? `${objectName(ref)} was healthy at the end, but not yet for as long as was asked for.`
      : `${objectName(ref)} was not healthy in time: ${warning?.text ?? status.message}`;
  const detail = warning === undefined ? {} : { detail: 'warning' };
  const finding = {
    code: 'TimedOut' as const,
    ...detail,
    subject: ref,
    id: '',
    message,
    isCertain: false,
    evidence,
    logs,
  };
  return causeOf(finding, now.getTime());
}

function whole(
  workloads: readonly WorkloadVerdict[],
  policy: RolloutPolicy,
): Pick<RolloutVerdict, 'health' | 'decisive' | 'timedOut'> {
  const counting = workloads.filter(({ isPreexisting }) => !isPreexisting);
  const failed = counting
    .filter(({ health }) => health === 'failed')
    .toSorted((a, b) => causeRank(a) - causeRank(b))[0];
  if (failed !== undefined) return { health: 'failed', decisive: failed, timedOut: failed.timedOut };
  const progressing = counting.find(({ health }) => health === 'progressing');
  if (progressing !== undefined) return { health: 'progressing', decisive: progressing, timedOut: false };
  const unknown = counting.find(({ health }) => health === 'unknown');
  if (unknown !== undefined) return { health: 'unknown', decisive: unknown, timedOut: false };
  return { health: policy.isApplied ? 'healthy' : 'progressing', timedOut: false };
}

function causeRank({ cause }: WorkloadVerdict): number {
  return cause === undefined ? Infinity : rankOf(cause.code);
}

/** The decisive one comes first. */
export function causesOf(verdict: RolloutVerdict): Cause[] {
  const decisive = verdict.decisive === undefined ? [] : [verdict.decisive];
  const others = verdict.workloads.filter((workload) => workload !== verdict.decisive && !workload.isPreexisting);
  return [...decisive, ...others]
    .filter(({ health }) => health !== 'healthy')
    .flatMap(({ cause, suspects }) => cause ?? suspects.slice(0, 1));
}
